"""Several real servers on one database, and the programs that ask them for decisions.

Used by the tests of what holds between processes, and by `python -m benchmarks race`.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask

from benchmarks.servers import free_port
from prefcenter import clock
from prefcenter.config import PREFIX
from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from tests.watching import until

OFFERS = {"category": "offers", "kind": "marketing"}
MOST_NUMBERS = 10_000  # of one question
UNLIMITED = {  # no key of a real program asks like this
    f"{PREFIX}API_CALLS_PER_MINUTE": "1000000000",
    f"{PREFIX}API_UNKNOWN_PER_HOUR": "1000000000",
}
_IDLE = 10.0  # seconds; a server ends a connection that was silent for half a minute
_ZONES = ("America/New_York", "Europe/London", "Asia/Tokyo")  # at any hour it is day in one
_DAY = range(9, 20)


class Deployment:
    """`prefcenter serve` several times on one database, as behind a balancer.

    `each` has the further settings of each server, without their prefix. On SQLite the sender
    runs beside the first of them, on PostgreSQL there is one worker.
    """

    def __init__(self, env: dict[str, str], log: Path, each: Sequence[dict[str, str]]) -> None:
        self._env, self._log, self._each = os.environ | UNLIMITED | env, log, each
        url = self._env.get(f"{PREFIX}DATABASE_URL", "sqlite")  # as it is where nothing is said
        self._sqlite = url.startswith("sqlite")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.ports = [free_port() for _ in each]

    def start(self, *, processes: int = 1) -> None:
        for turn, (port, own) in enumerate(zip(self.ports, self._each, strict=True)):
            apart = ["--no-sender"] if self._sqlite and turn else []
            command = ["serve", "--port", str(port), "--processes", str(processes), *apart]
            self._run(command, {PREFIX + name: value for name, value in own.items()})
        if not self._sqlite:
            self._run(["worker"], {})
        for port in self.ports:
            until(partial(_is_up, port), f"no server: {self.said}", seconds=60)

    def _run(self, command: Sequence[str], own: dict[str, str]) -> None:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefcenter", *command],
                env=self._env | own,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(40)


def _is_up(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


class Tool:
    """A program with a key, on a connection to one server that stays open."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._used = time.monotonic()
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, number: str, **more: object) -> dict[str, Any]:
        """The decision about an offer to this number."""
        found: dict[str, Any] = self.post("decisions", {"number": number, **OFFERS, **more})
        return found

    def ask_all(self, numbers: Sequence[str], **more: object) -> list[dict[str, Any]]:
        """One decision for each number, in as few calls as can be."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(numbers), MOST_NUMBERS):
            part = numbers[start : start + MOST_NUMBERS]
            found += self.post("decisions", {"numbers": list(part), **OFFERS, **more})
        return found

    def release(self, reservation: str) -> None:
        self.post(f"reservations/{reservation}/release", None)

    def post(self, path: str, body: object) -> Any:
        raw = b"" if body is None else json.dumps(body).encode()
        if time.monotonic() - self._used > _IDLE:
            self._connection.close()  # and the request opens it again
        self._used = time.monotonic()
        self._connection.request("POST", f"/api/v1/{path}", raw, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status == 200, f"{path}: {answer.status} {said[:300]!r}"
        return json.loads(said)

    def close(self) -> None:
        self._connection.close()


def key(app: Flask, name: str) -> str:
    """The secret of a new key that may ask for decisions."""
    with app.app_context(), writing():
        secret = api_keys.make(name, ("decide",), now=clock.now())
        db.session.commit()
        return secret


def by_day(now: datetime) -> str:
    """The next moment when no window is closed, from London to Los Angeles."""
    return _tomorrow(now, 18)


def by_night(now: datetime) -> str:
    """The next moment when it is night from Los Angeles to London."""
    return _tomorrow(now, 5)


def _tomorrow(now: datetime, hour: int) -> str:
    day = now + timedelta(days=1)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0).isoformat()


def awake_zone(now: datetime) -> str:
    """A zone in which it is day for another hour at least."""
    return next(zone for zone in _ZONES if now.astimezone(ZoneInfo(zone)).hour in _DAY)
