"""Can somebody who signs numbers up tell by the time of the answer who is a customer? (SEC-24)

Known, new and stopped numbers in a shuffled order, at `prefcenter serve` with its senders at
work beside. A coin would tell two kinds apart with 0.5.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations, pairwise
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from benchmarks import seed, servers
from benchmarks.pages import environment, migrated
from prefcenter import clock
from prefcenter.database import db
from prefcenter.models import OutboxMessage, Signup
from tests import postgres, strangers
from tests.strangers import Heard
from tests.watching import until

TRIES = 2_000
_LEAST, _MOST = 0.45, 0.55
_KINDS = ("known", "new", "stopped")
_TO_WARM_UP = 90


def measure(tries: int = TRIES) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _on("SQLite", environment(folder / "a", **strangers.NO_LIMITS), tries)
        try:
            server = postgres.start(fsync=True)
        except postgres.Unavailable as error:
            yield f"SKIP the same on PostgreSQL: {error}"
            return
        with server:
            more = strangers.NO_LIMITS | {"DATABASE_URL": server.create("signups")}
            yield from _on("PostgreSQL", environment(folder / "b", **more), tries)


def _on(database: str, env: dict[str, str], tries: int) -> Iterator[str]:
    app, each = migrated(env), (tries + _TO_WARM_UP) // 3
    assert isinstance(app, Flask)
    now = clock.now()
    seed.people(app, subscribed=2 * each, pending=0, now=now)
    numbers = [seed.phone_of(n) for n in range(1, 3 * each + 1)]
    of = dict(
        zip(_KINDS, (numbers[:each], numbers[2 * each :], numbers[each : 2 * each]), strict=True)
    )
    strangers.stop(app, of["stopped"], now=now)
    strangers.open_shop(app, now=now)
    people = [(kind, number) for kind in _KINDS for number in of[kind]]
    random.Random(24).shuffle(people)
    forms = strangers.tries(app, people, now=now)
    with servers.product(env) as product, _worker(env):
        strangers.post_all(product.port, forms[:_TO_WARM_UP])
        heard = strangers.post_all(product.port, forms[_TO_WARM_UP:])
        with app.app_context():
            until(lambda: not _count(Signup), "forms still wait", seconds=300)
    yield from _told(database, heard)
    with app.app_context():
        texts = {kind: _texts(found) for kind, found in of.items()}
        db.session.remove()
        db.engine.dispose()
    good = texts == {"known": each, "new": each, "stopped": 0}
    yield f"{'ok  ' if good else 'MISS'} texts of {each} forms each on {database}: {texts}"


@contextmanager
def _worker(env: dict[str, str]) -> Iterator[None]:
    """On PostgreSQL the senders are processes of their own."""
    if "PREFCENTER_DATABASE_URL" not in env:
        yield
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "prefcenter", "worker"],
        env=os.environ | env,
        cwd=servers.ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(40)


def _told(database: str, heard: list[Heard]) -> Iterator[str]:
    answers = {one.answer for one in heard}
    good = len(answers) == 1
    yield (
        f"{'ok  ' if good else 'MISS'} {len(heard):,} answers on {database},"
        f" less date and number: {len(answers)} different"
    )
    own = {kind: [one.seconds for one in heard if one.kind == kind] for kind in _KINDS}
    after = {
        kind: [later.seconds for one, later in pairwise(heard) if one.kind == kind]
        for kind in _KINDS
    }
    for what, times in (("the answer's time", own), ("the next answer's time", after)):
        for one, other in combinations(_KINDS, 2):
            told = strangers.auc(times[one], times[other])
            good = _LEAST <= told <= _MOST
            yield (
                f"{'ok  ' if good else 'MISS'} {what} tells {one} from {other} on {database}:"
                f" {told:.3f} ({_LEAST} to {_MOST})"
            )
        middle = {kind: f"{1000 * statistics.median(times[kind]):.2f} ms" for kind in _KINDS}
        yield f"  medians: {middle}"


def _count(model: type[Signup]) -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def _texts(numbers: list[str]) -> int:
    db.session.rollback()
    found = sa.select(sa.func.count()).where(OutboxMessage.to.in_(numbers))
    return db.session.scalar(found) or 0
