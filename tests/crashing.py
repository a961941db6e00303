"""A process that does one thing and is killed with -9 at a named point of it.

Run as `python -m tests.crashing POINT ACTION ARGUMENT LOG`; the settings are in the
environment. LOG stands for the provider: each text it took is a line there.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask

from prefcenter import clock, create_app, pacing, sending
from prefcenter.database import db
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Parcel, Verdict


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Provider:
    """Takes a text for good before it answers, as the real one does."""

    def __init__(self, log: Path, point: str) -> None:
        self.log = log
        self.point = point

    def send(self, parcel: Parcel) -> Verdict:
        if self.point == "before the call":
            die()
        with self.log.open("a") as file:
            file.write(f"{parcel.kind} {parcel.ref}\n")
        if self.point == "after the provider's yes":
            die()
        return Verdict(Outcome.SENT, "", message_id="m-1")


COMMITS = {
    "before the commit": (1, "before"),
    "after the commit": (1, "after"),
    "before the second commit": (2, "before"),
    "after the second commit": (2, "after"),
}


def _patch(point: str) -> None:
    if point in COMMITS:
        _die_at_commit(*COMMITS[point])
    elif point == "before the record":
        delivery.record = die  # type: ignore[assignment]  # where it is killed


def _die_at_commit(number: int, side: str) -> None:
    """Let the commits before this one happen, and this one only if it is to die after it."""
    dialect = db.engine.dialect
    commit, left = dialect.do_commit, iter(range(number - 1, -1, -1))

    def count_and_die(connection: Any) -> None:
        last = next(left) == 0
        if last and side == "before":
            die()
        commit(connection)
        if last:
            die()

    dialect.do_commit = count_and_die  # type: ignore[method-assign]  # where it is killed


def _webhook(app: Flask, file: Path) -> None:
    """A post of Vonage's, from a file: the path and the headers in one line, then the body."""
    head, _, body = file.read_bytes().partition(b"\n")
    path, headers = json.loads(head)
    app.test_client().post(path, data=body, headers=headers)


def _at(moment: datetime) -> Callable[[], datetime]:
    return lambda: moment


def main(point: str, action: str, argument: str, log: str) -> None:
    clock.now = _at(datetime.fromisoformat(os.environ["CRASH_AT"]))
    app = create_app()
    with app.app_context():
        _patch(point)
        actions: dict[str, Callable[[], object]] = {
            "post": lambda: app.test_client().post(argument),
            "admit": lambda: sending.admit(int(argument)),
            "deliver": lambda: sending.deliver(
                int(argument), pacing.Caller(Provider(Path(log), point), 1000)
            ),
            "rescue": sending.rescue,
            "webhook": lambda: _webhook(app, Path(argument)),
        }
        actions[action]()


if __name__ == "__main__":
    main(*sys.argv[1:])
