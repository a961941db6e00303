"""Many STOPs at once to the real server, which is killed again and again meanwhile.

Whatever was answered 200 is there after every kill, and in the end each STOP has had its
effect once. RUSH says how many: `RUSH=1000 pytest tests/test_stop_rush.py -s`.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock
from prefcenter.consent import suppression
from prefcenter.database import db
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Inbound,
    OutboxMessage,
    Person,
    Status,
    Suppression,
    TextKind,
)
from tests.cast import Town
from tests.conftest import BASE, Clock
from tests.test_serve import family, free_port, parents
from tests.watching import until
from tests.webhooks import INBOUND, Post, Vonage, headers, inbound_body

RUSH = int(os.environ.get("RUSH", "150"))
KILLS = 2 if RUSH < 500 else 6
POSTERS, SUBSCRIBERS = 6, 5
PATIENCE = 60 + RUSH / 5  # seconds

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


class RealClock(Clock):
    """The server in its own process has the real one, so this test has it too."""

    now = staticmethod(clock.now)


@pytest.fixture
def now() -> Clock:
    return RealClock()


class Deployment:
    """`prefcenter serve`, and a worker where the database wants one; all die together."""

    def __init__(self, url: str, folder: Path) -> None:
        self.port = free_port()
        self.env = os.environ | BASE
        self.env |= {"PREFCENTER_DATABASE_URL": url, "PREFCENTER_DATA_DIR": str(folder)}
        self.worker = not url.startswith("sqlite")
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "prefcenter", *command],
                env=self.env,
                stdout=log,
                stderr=log,
            )

    def start(self) -> None:
        serve = ["serve", "--port", str(self.port), "--processes", "1"]
        self.processes = [self.run(*serve), *([self.run("worker")] if self.worker else [])]
        until(self.up, "the server does not come up", seconds=60)

    def up(self) -> bool:
        with suppress(OSError):
            address = f"http://127.0.0.1:{self.port}/readyz"
            with urllib.request.urlopen(address, timeout=5) as answer:
                return answer.status == 200
        return False

    def kill(self) -> set[int]:
        """Everything of ours at once, with -9; gives who it was."""
        everybody = set().union(*(family(process.pid) for process in self.processes))
        for pid in everybody:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return everybody

    def bury(self, everybody: set[int]) -> None:
        """Be back when nothing of it is left."""
        for process in self.processes:
            process.wait(10)
        until(lambda: not everybody & set(parents()), "some outlive it")

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(40)


@pytest.fixture
def deployment(app: Flask, database_url: str, tmp_path: Path) -> Iterator[Deployment]:
    deployment = Deployment(database_url, tmp_path)
    yield deployment
    deployment.stop()


class Rush:
    """Vonage, posting from several threads and again until it is told 200. Use it in a `with`."""

    def __init__(self, port: int, numbers: list[str]) -> None:
        self.vonage = Vonage("127.0.0.1", port, now=clock.now)
        self.left = iter(numbers)
        self.taking = threading.Lock()
        self.up = threading.Event()
        self.given_up = False
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self._post) for _ in range(POSTERS)]

    def __enter__(self) -> Self:
        self.up.set()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.given_up = True
        self.up.set()
        for thread in self.threads:
            thread.join(30)

    def _post(self) -> None:
        while number := self._next():
            raw = inbound_body("STOP", number=number, at=clock.now())
            post = Post(INBOUND, tuple(headers(raw, now=clock.now()).items()), raw)
            turn = 0
            while not self._deliver(post, turn) and not self.given_up:
                turn += 1

    def _next(self) -> str:
        with self.taking:
            return "" if self.given_up else next(self.left, "")

    def _deliver(self, post: Post, turn: int) -> bool:
        """Once more, every other time with a new token, when there is somebody to answer."""
        self.up.wait()
        began = time.monotonic()
        answer = self.vonage.repeat(post, sign_again=turn % 2 == 1)
        if answer:
            self.slowest = max(self.slowest, time.monotonic() - began)
        assert answer in (0, 200, 503), answer
        return answer == 200

    @property
    def accepted(self) -> set[str]:
        """Message ids of what was answered 200."""
        return {_message_id(post) for post in list(self.vonage.accepted)}

    @property
    def over(self) -> bool:
        return not any(thread.is_alive() for thread in self.threads)


def _message_id(post: Post) -> str:
    return str(json.loads(post.body)["message_uuid"])


def stored() -> set[str]:
    """Message ids in the inbox, read by somebody who then goes away."""
    ids = set(db.session.scalars(sa.select(Inbound.message_id)))
    leave()
    return ids


def leave() -> None:
    """Hold nothing of the database open, so that a kill is a kill of all that has it."""
    db.session.remove()
    db.engine.dispose()


def count(query: sa.Select[tuple[int]]) -> int:
    db.session.rollback()
    return db.session.scalar(query) or 0


WAITING = sa.select(sa.func.count()).where(Inbound.handled_at.is_(None))


def test_no_stop_is_lost_or_doubled_however_often_the_server_is_killed(
    town: Town, deployment: Deployment
) -> None:
    """REL-1, REL-3, REL-11, INV-4: strangers and subscribers alike."""
    numbers = [f"+1202{2_000_000 + turn}" for turn in range(RUSH)]
    for number in numbers[:: max(1, RUSH // SUBSCRIBERS)][:SUBSCRIBERS]:
        town.alice(number)
    leave()
    began = time.monotonic()
    deployment.start()
    with Rush(deployment.port, numbers) as rush:
        cut_off = sum(killed_on_the_way(deployment, rush, turn) for turn in range(KILLS))
        until(lambda: rush.over, "posts are still on their way", seconds=PATIENCE)
    until(lambda: not count(WAITING), "texts still wait", seconds=PATIENCE)
    took = time.monotonic() - began
    deployment.stop()

    assert len(rush.accepted) == RUSH
    assert stored() == rush.accepted
    each_had_its_effect_once(numbers)
    checks = [deployment.run("verify"), deployment.run("rebuild", "--check")]
    assert [check.wait(120) for check in checks] == [0, 0], deployment.log.read_text()[-2000:]
    said = deployment.log.read_text()
    assert "unexpected error" not in said and "+1202" not in said
    sys.stdout.write(
        f"\n{RUSH} STOPs, {KILLS} kills, {len(rush.vonage.posts)} posts,"
        f" {cut_off} stored without an answer, slowest answer {rush.slowest:.2f} s,"
        f" all worked after {took:.1f} s\n"
    )


def killed_on_the_way(deployment: Deployment, rush: Rush, turn: int) -> int:
    """Kill it and start it again; gives how many were stored and not answered."""
    part = (turn + 1) * RUSH / (KILLS + 1)
    until(lambda: len(rush.accepted) > part, "it does not get on", seconds=PATIENCE)
    killed = deployment.kill()
    rush.up.clear()
    deployment.bury(killed)
    there, answered = stored(), rush.accepted
    assert answered <= there, "a STOP that was answered 200 is lost"
    deployment.start()
    rush.up.set()
    return len(there - answered)


def each_had_its_effect_once(numbers: list[str]) -> None:
    """Inbox, state, proof, suppression and reply of every number."""
    leave()
    everybody = set(numbers)
    rows = db.session.execute(sa.select(Inbound.number, Inbound.outcome, Inbound.reply)).all()
    assert sorted(row.number for row in rows) == sorted(numbers)
    assert {(row.outcome, row.reply) for row in rows} == {("stopped", "app")}
    stopped = sa.select(Person.number).where(Person.status == Status.UNSUBSCRIBED)
    assert set(db.session.scalars(stopped)) == everybody
    events = sa.select(Person.number).join(ConsentEvent, ConsentEvent.person_id == Person.id)
    revoked = events.where(ConsentEvent.kind == EventKind.REVOKED)
    assert sorted(db.session.scalars(revoked)) == sorted(numbers)
    assert count(sa.select(sa.func.count()).select_from(Suppression)) == len(numbers)
    assert all(suppression.contains(number) for number in numbers)
    replies = sa.select(OutboxMessage.to, OutboxMessage.copies)
    replies = replies.where(OutboxMessage.kind == TextKind.UNSUBSCRIBED)
    found = db.session.execute(replies).all()
    assert sorted(row.to for row in found) == sorted(numbers)
    assert max(row.copies for row in found) <= 1
