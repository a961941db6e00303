"""What the overview's counters cost: in a confirm, to be made again, and whether they agree."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import sqlalchemy as sa
from flask import Flask

from benchmarks import stories
from benchmarks.pages import line
from prefcenter import clock, counting, demo_data
from prefcenter.consent import asking, ledger, people, preferences
from prefcenter.consent.ledger import Proof
from prefcenter.database import begin_write, db, writing
from prefcenter.models import ConsentEvent, Source
from prefcenter.models_counts import CountMark, CountScope, DayCount, RunningCount
from prefcenter.upkeep import recount

_A_ROUND = 400
_ENOUGH = 3600.0  # seconds
Counts = dict[tuple[str, ...], int]


def measure(database: str, app: Flask, rounds: int) -> Iterator[str]:
    """What each confirm costs, and what it costs a sender to count it; on an empty database."""
    with app.app_context():
        numbers = _pending((rounds + 1) * _A_ROUND)
        counting.catch_up(_ENOUGH)
        walls, works = [], []
        for turn in range(rounds + 1):
            asked = [next(numbers) for _ in range(_A_ROUND)]
            confirm, fold = _timed(partial(_confirm, asked)), _timed(_count)
            if turn:
                walls.append(fold[0] / confirm[0])
                works.append(fold[1] / confirm[1])
        yield line(
            f"{database}: counting a confirm / the durable confirm", walls, 0.2, at_most=True
        )
        yield f"       by CPU of this process: {sorted(works)[len(works) // 2]:.2f}x"
        before = counts()
        recount.recount()
        yield _same(f"{database}: counts by step and counted anew", before, counts())
        db.session.remove()
        db.engine.dispose()


def anew(database: str, app: Flask) -> Iterator[str]:
    """Count all anew, twice; the first puts the counts in force that pages then read."""
    with app.app_context():
        events = db.session.scalar(sa.select(sa.func.max(ConsentEvent.id))) or 0
        db.session.rollback()
        seconds, _ = _timed(recount.recount)
        first = counts()
        _timed(recount.recount)
        counting.catch_up(_ENOUGH)  # as the sender would by now: what was suppressed meanwhile
        yield f"  {database}: {events:,} events counted anew in {seconds:.1f} s"
        yield _same(f"{database}: counted anew twice over {events:,} events", first, counts())
        db.session.remove()
        db.engine.dispose()


def counts() -> Counts:
    """Every count in force that is not nothing."""
    found: Counts = {}
    scope = CountScope.__table__.c
    wide = (scope.place, scope.kind, scope.country, scope.language)
    for table in (DayCount.__table__, RunningCount.__table__):
        own = [column for column in table.c if column.name not in ("scope_id", "count")]
        query = (
            sa.select(*wide, *own, table.c.count.label("n"))
            .join(CountScope.__table__, scope.id == table.c.scope_id)
            .join(CountMark.__table__, CountMark.__table__.c.generation == scope.generation)
            .where(table.c["count"] != 0)
        )
        for *key, count in db.session.execute(query):
            found[table.name, *map(str, key)] = count
    db.session.rollback()
    return found


def _pending(count: int) -> Iterator[str]:
    """So many people who were asked to confirm, by the product's own rules."""
    proof = Proof(Source.FORM, "prefs.example")
    numbers = [stories.phone_of(i) for i in range(count)]
    with writing():
        demo_data.add()
        db.session.commit()
    for start in range(0, count, 1_000):
        with writing():
            for number in numbers[start : start + 1_000]:
                person = people.enrol(number, "US", "en", now=clock.now())
                asking.open_request(person, ["offers", "events"], proof, now=clock.now())
            db.session.commit()
    return iter(numbers)


def _confirm(numbers: list[str]) -> None:
    """Each in a durable transaction of its own, as the page's button does."""
    text = "By pressing the button you agree to get texts."
    for number in numbers:
        begin_write()
        person, now = people.by_number(number), clock.now()
        assert person is not None
        sha256 = ledger.publish("confirm", "en", text, now=now)
        proof = Proof(Source.PREFERENCE_PAGE, "prefs.example", wording_sha256=sha256)
        preferences.turn_on(person, proof, now=now)
        db.session.commit()


def _count() -> None:
    counting.catch_up(_ENOUGH)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock on the wall, and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _same(what: str, one: Counts, other: Counts) -> str:
    unlike = sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())
    good = one and not unlike
    return f"{'ok  ' if good else 'MISS'} {what}: {unlike} of {len(one):,} differ"
