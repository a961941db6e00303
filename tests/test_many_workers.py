"""A server and two workers on PostgreSQL, workers killed with -9 meanwhile, real SDK, real TLS.

Nothing is lost, and a kill doubles one text at most: the one whose answer it cut off.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests import postgres
from tests.conftest import BASE
from tests.standin import Standin, application_key

SIGN_UPS, KILLS = 150, 5


class Deployment:
    """One web server and some workers, as an operator starts them."""

    def __init__(self, env: dict[str, str], port: int) -> None:
        self.env = env
        self.port = port
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefcenter", *command],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as page:
            return str(page.read().decode())

    def post(self, path: str, fields: dict[str, str]) -> int:
        data = urllib.parse.urlencode(fields).encode()
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data=data, timeout=20) as answer:
            return int(answer.status)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(40)


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "0.2"], timeout=5, check=False)


@pytest.fixture
def vonage(tmp_path: Path) -> Iterator[Standin]:
    with Standin(tmp_path) as standin:
        yield standin


@pytest.fixture
def deployment(
    tmp_path: Path, postgres_server: postgres.Server, postgres_template: str, vonage: Standin
) -> Iterator[Deployment]:
    port = 20_000 + os.getpid() % 10_000
    name = f"workers_{os.getpid()}"
    url = postgres_server.create(name, template=postgres_template)
    settings = {
        "DATABASE_URL": url,
        "DATA_DIR": str(tmp_path),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SMS_BACKEND": "vonage",
        "VONAGE_APPLICATION_ID": "app-1",
        "VONAGE_PRIVATE_KEY": application_key()[0],
        "VONAGE_API_HOST": vonage.host,
        "SENDS_PER_SECOND": "60",
        "LEASE_SECONDS": "21",
        "RECEIPT_WAIT_SECONDS": "2",
        "IP_TEXTS_PER_HOUR": "100000",
        "IP_TEXTS_PER_DAY": "100000",
        "PREFIX_TEXTS_PER_HOUR": "100000",
        "PREFIX_TEXTS_PER_DAY": "100000",
        "BREAKER_PERCENT": "0",  # nobody confirms here
    }
    env = os.environ | BASE | {f"PREFCENTER_{key}": value for key, value in settings.items()}
    deployment = Deployment(env | {"REQUESTS_CA_BUNDLE": str(vonage.ca)}, port)
    yield deployment
    deployment.stop()
    postgres_server.drop(name)


def test_killed_workers_lose_nothing_and_double_one_text_a_kill(
    deployment: Deployment, vonage: Standin
) -> None:
    """REL-3, REL-4, REL-7: confirm requests and welcomes alike."""
    deployment.start("serve", "--port", str(deployment.port), "--processes", "1")
    workers = [deployment.start("worker") for _ in range(2)]

    def up() -> bool:
        with suppress(OSError):
            return bool(deployment.get("/readyz"))
        return False

    wait_for(up, 30, "the server does not come up")
    version = re.search(r'name="text_version" value="(\w+)"', deployment.get("/"))
    assert version
    numbers = [f"+1202555{n:04d}" for n in range(1000, 1000 + SIGN_UPS)]
    for number in numbers:
        fields = {"number": number, "consent": "yes", "text_version": version[1]}
        assert deployment.post("/", fields | {"categories": "", "shown": ""}) == 200

    answered: set[str] = set()

    def confirm_what_came() -> int:
        for sent in list(vonage.texts):
            link = re.search(r"/c/[a-z2-7]{31}", sent["text"])
            if link and sent["to"] not in answered:
                answered.add(sent["to"])
                deployment.post(link[0], {})
        return len(answered)

    for turn in range(KILLS):
        wait_for(
            lambda turn=turn: confirm_what_came() > turn * SIGN_UPS / (KILLS + 2),
            60,
            f"only {len(answered)} of {SIGN_UPS} were texted",
        )
        workers[turn % 2].send_signal(signal.SIGKILL)
        workers[turn % 2].wait(10)
        workers[turn % 2] = deployment.start("worker")
    wait_for(lambda: confirm_what_came() == SIGN_UPS, 90, "a confirm request was lost")
    wait_for(lambda: _kinds(vonage)["welcome"] >= SIGN_UPS, 90, "a welcome was lost")
    wait_for(lambda: not _open(deployment), 90, "a text is still on its way")

    copies = Counter((sent["to"], _kind(sent)) for sent in vonage.texts)
    assert len(copies) == 2 * SIGN_UPS
    assert max(copies.values()) <= 2
    assert sum(copies.values()) - len(copies) <= KILLS
    for command in (["verify"], ["rebuild", "--check"]):
        assert deployment.start(*command).wait(60) == 0
    counts = _rows(deployment, "SELECT status, count(*) FROM person GROUP BY status")
    assert counts == [("subscribed", SIGN_UPS)]


def _kind(sent: dict[str, str]) -> str:
    return "confirm" if "/c/" in sent["text"] else "welcome"


def _kinds(vonage: Standin) -> Counter[str]:
    return Counter(kind for _to, kind in {(s["to"], _kind(s)) for s in list(vonage.texts)})


def _open(deployment: Deployment) -> list[tuple[object, ...]]:
    unfinished = "('queued', 'sending', 'unknown')"
    return _rows(deployment, f"SELECT id FROM outbox WHERE status IN {unfinished}")


def _rows(deployment: Deployment, query: str) -> list[tuple[object, ...]]:
    url = deployment.env["PREFCENTER_DATABASE_URL"]
    with create_engine(url, poolclass=NullPool).connect() as database:
        return [tuple(row) for row in database.execute(text(query))]
