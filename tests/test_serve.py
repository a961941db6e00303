"""`prefcenter serve` on SQLite as an operator has it: what is killed comes back or goes away."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from prefcenter import serve
from tests.conftest import BASE
from tests.watching import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def parents() -> dict[int, int]:
    """Every process and the one that began it; the dead that nobody took in are left out."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found[int(entry.parent.name)] = int(parent)
    return found


def family(pid: int) -> set[int]:
    """A process and all that it began, and what those began."""
    all_, found, new = parents(), {pid}, {pid}
    while new:
        new = {child for child, parent in all_.items() if parent in new} - found
        found |= new
    return found


class Shop:
    """One server with its own folder, port and database file."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.file = self.data / "prefcenter.sqlite3"
        self.port = free_port()
        self.env = os.environ | BASE
        self.env |= {
            "PREFCENTER_DATA_DIR": str(self.data),
            "PREFCENTER_DATABASE_URL": f"sqlite:///{self.file}",
            "PREFCENTER_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "PREFCENTER_NUMBER_GAP_MINUTES": "1",
        }
        self.log = folder / "log"
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefcenter", *command],
                env=self.env,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        """Start, and wait until the pages are there and the sender works."""
        before = self.said("the sender works")
        process = self.run("serve", "--port", str(self.port), "--processes", "1")
        until(self.answers, f"no answer: {self.words}")
        until(lambda: self.said("the sender works") > before, f"no sender: {self.words}")
        return process

    def answers(self) -> bool:
        with suppress(OSError):
            return bool(self.get("/readyz"))
        return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
            return str(page.read().decode())

    def sign_up(self, number: str) -> None:
        version = re.search(r'name="text_version" value="(\w+)"', self.get("/"))
        assert version
        fields = {"number": number, "consent": "yes", "text_version": version[1]}
        data = urllib.parse.urlencode(fields).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", data=data, timeout=10):
            pass

    def texts(self) -> list[tuple[str, str]]:
        query = "SELECT to_number, status FROM outbox ORDER BY id"
        with closing(sqlite3.connect(self.file)) as database:
            return list(database.execute(query))

    @property
    def words(self) -> str:
        return self.log.read_text()

    def said(self, words: str) -> int:
        return self.words.count(words) if self.log.exists() else 0

    def last_beat(self) -> str | None:
        with closing(sqlite3.connect(self.file)) as database:
            row = database.execute("SELECT at FROM heartbeat WHERE name = 'webhooks'").fetchone()
        return row[0] if row else None

    def sender(self, server: subprocess.Popen[bytes]) -> int:
        """The process that sends."""
        for pid in family(server.pid) - {server.pid}:
            with suppress(OSError):
                if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
        return 0

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(40)


@pytest.fixture
def shop(tmp_path: Path, sqlite_template: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.data.mkdir(mode=0o700)
    shutil.copy(sqlite_template, shop.file)
    yield shop
    shop.close()


def test_a_sender_that_is_killed_is_started_again_and_sends(shop: Shop) -> None:
    server = shop.serve()
    shop.sign_up("+12025550143")
    until(lambda: shop.texts() == [("+12025550143", "sent")], "nothing was sent")
    killed = shop.sender(server)
    os.kill(killed, signal.SIGKILL)
    until(lambda: shop.said("the sender works") == 2, "it is not started again")
    assert shop.sender(server) not in (0, killed)
    shop.sign_up("+12025550144")
    until(lambda: ("+12025550144", "sent") in shop.texts(), "the new one does not send")
    assert len(shop.texts()) == 2
    assert shop.said("the sender ended and is started again") == 1
    assert "+1202555" not in shop.words


def test_nothing_outlives_a_server_that_is_killed(shop: Shop) -> None:
    """And a new one on the same port and file starts, without anybody cleaning up."""
    server = shop.serve()
    everybody = family(server.pid)
    assert len(everybody) >= 3, "at least a server, a worker of it, the sender"
    server.kill()
    server.wait(10)
    until(lambda: not everybody & set(parents()), "some outlive it", seconds=8)
    again = shop.serve()
    shop.sign_up("+12025550143")
    until(lambda: shop.texts() == [("+12025550143", "sent")], "nothing was sent")
    assert again.poll() is None


def test_a_server_that_is_killed_may_be_started_again_at_once(shop: Shop) -> None:
    """A service manager does not wait for the old sender to notice."""
    server = shop.serve()
    server.kill()
    server.wait(10)
    shop.serve()


def test_a_server_that_is_stopped_while_it_starts_does_not_make_anybody_wait(shop: Shop) -> None:
    server = shop.run("serve", "--port", str(shop.port), "--processes", "1")
    # Itself, the sender, granian and its one worker, whose app is not made yet.
    until(lambda: len(family(server.pid)) >= 4, f"no worker: {shop.words}")
    server.terminate()
    assert server.wait(15) == 0
    assert "refused to gracefully stop" not in shop.words


def test_a_sender_that_ends_as_soon_as_it_starts_is_started_ever_more_slowly() -> None:
    pause = serve.Pause()
    assert [pause.after(0.5) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause.after(3600) == 1, "it worked, and was killed"
    assert pause.after(0.5) == 2


_STARTS = """
import os, signal, time
from prefcenter import serve

signal.signal(signal.SIGTERM, lambda *_: None)
serve.children_end_at_once()
for _ in range(200):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(1)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
os.kill(os.getpid(), signal.SIGTERM)  # its own handler stays
print("all ended")
"""


def test_a_web_process_that_has_just_begun_ends_at_once() -> None:
    """Whatever moment of its start the signal meets: 200 of them, each as early as can be."""
    done = subprocess.run(
        [sys.executable, "-c", _STARTS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "all ended\n", done.stderr


def test_a_second_server_is_refused_in_a_sentence_and_the_first_ends_well(shop: Shop) -> None:
    first = shop.serve()
    everybody = family(first.pid)
    first_port, shop.port = shop.port, free_port()
    second = shop.run("serve", "--port", str(shop.port), "--processes", "1")
    assert second.wait(30) == 1
    assert re.search(
        r"^Error: Another sender already works on \S+; stop it first", shop.words, re.M
    )
    assert "Traceback" not in shop.words
    with pytest.raises(OSError):
        shop.get("/healthz")

    shop.port = first_port
    assert shop.answers()
    first.terminate()
    assert first.wait(10) == 0
    assert not everybody & set(parents())
    assert shop.said("the sender stops") == 1


def test_what_is_made_is_its_owners_alone_to_read(tmp_path: Path) -> None:
    """SEC-49: numbers are in there. Under the umask that most systems have."""
    shop = Shop(tmp_path)
    old = os.umask(0o022)
    try:
        assert shop.run("db", "upgrade").wait(30) == 0
        server = shop.serve()
        shop.sign_up("+12025550143")
        until(lambda: shop.texts() == [("+12025550143", "sent")], "nothing was sent")
        made = list(shop.data.rglob("*"))
        names = {path.name for path in made}
        assert {shop.file.name, shop.file.name + "-wal"} <= names
        assert stat.S_IMODE(shop.data.stat().st_mode) == 0o700
        for path in made:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0
    finally:
        os.umask(old)
        shop.close()


def test_a_server_says_that_it_can_take_webhooks_and_tells_a_gap(shop: Shop) -> None:
    """REL-14, with the real clock: each start beats, and only a long gap is told."""
    first = shop.serve()
    until(shop.last_beat, "it does not beat")
    assert json.loads(shop.get("/readyz"))["alarms"] == []
    began = time.monotonic()
    first.terminate()
    assert first.wait(10) == 0
    assert time.monotonic() - began < 8, "the beat holds up no end"
    with closing(sqlite3.connect(shop.file)) as database:
        database.execute("UPDATE heartbeat SET at = '2026-01-01 00:00:00.000000'")
        database.commit()
    shop.serve()
    until(lambda: json.loads(shop.get("/readyz"))["alarms"], "it does not tell the gap")
    [alarm] = json.loads(shop.get("/readyz"))["detail"]
    assert alarm["name"] == "missed_texts"
    assert alarm["message"].startswith("Texts may have been missed from 2026-01-01 00:00 to 2")
