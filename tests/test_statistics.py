"""The overview's counts: added up in steps, read with their tail, and always the ledger's."""

from datetime import date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from prefcenter import counting
from prefcenter.consent import ledger, people
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, EventKind, Source, Status
from prefcenter.models_counts import CountMark, DayCount, RunningCount, SuppressionChange
from prefcenter.upkeep import counted, recount, settled, statistics
from prefcenter.upkeep.figures import Figures
from prefcenter.upkeep.spans import Scope, Span, last_days
from tests.by_hand import ByHand
from tests.cast import ALICE, Town
from tests.conftest import Clock
from tests.histories import (
    COUNTRIES,
    KINDS,
    LANGUAGES,
    PLACES,
    Teller,
    everybody_is_somewhere,
    tell,
)

SCOPES = [
    Scope(),
    *(Scope(place=place) for place in (*PLACES, "sms:JOIN", "nowhere")),
    *(Scope(kind=kind) for kind in KINDS),
    *(Scope(country=c, language=la) for c, la in product(COUNTRIES, LANGUAGES)),
    Scope(place="shop", kind="offers", country="US", language="en"),
]


def figures(scope: Scope, span: Span, now: datetime, *, slow: bool = False) -> Figures:
    with counted.one_moment() as connection:
        return counted.read(connection, scope, span, now=now, slow=slow)


def compare(now: datetime, scopes: list[Scope], spans: list[Span]) -> None:
    for scope, span in product(scopes, spans):
        found = figures(scope, span, now)
        assert found.numbers(now) == figures(scope, span, now, slow=True).numbers(now)
        hand = ByHand({n: getattr(scope, n) for n in Scope.__slots__}, found.zone)
        for what in ("on", "off", "asked", "answer"):
            labels = {k[1]: n for k, n in found.labels.items() if k[0] == what and n}
            assert labels == hand.labels(what, span.first, span.last), (what, scope)
        stands = {k: n for k, n in found.now.items() if n and k[0] != "paused"}
        assert stands == dict(hand.now)
        assert found.paused == hand.paused(now)
        assert found.on_at_end() == hand.on_at_end(span.last)
        start = found.on_at_end(span.before())
        assert start == hand.on_at_end(span.before().last)
        assert start + found.total("on") - found.total("off") == found.on_at_end()
        assert found.on_by_bar()[-1] == found.on_at_end()
        assert found.yes_rate(span, now) == hand.yes_rate(span.first, span.last, now)


STEPS = st.lists(
    st.one_of(
        st.integers(1, 12),  # so many events
        st.sampled_from(["fold", "fold a little", "recount"]),
    ),
    min_size=3,
    max_size=8,
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # the database goes on from example to example: nothing to shrink
    derandomize=True,
)
@given(steps=STEPS, seed=st.integers(0, 10**6), chosen=st.sampled_from(SCOPES))
def _histories(now: Clock, folk: list[int], steps: list[Any], seed: int, chosen: Scope) -> None:
    teller = Teller(seed, now.moment)
    for step in steps:
        if isinstance(step, int):
            tell(teller, folk, step)
        elif step == "recount":
            recount.recount()
        else:
            fold(3 if step == "fold a little" else 400)
    now.moment = teller.now
    today = now.moment.date()
    spans = [last_days(today, 30), Span(today - timedelta(days=90), today - timedelta(days=40))]
    compare(now.moment, [Scope(), chosen], spans)


def fold(most: int) -> None:
    step = statistics.next_step(most)
    if step:
        with writing():
            assert statistics.take(step)
            db.session.commit()


@pytest.mark.settings(TIME_ZONE="America/New_York")
def test_any_history_counts_the_same_however_it_is_counted(app: Flask, now: Clock) -> None:
    """INV-12: sums and tail, the ledger counted slowly, and a plain loop in the tests agree,
    with steps of counting at any moment, for everybody and for any filter."""
    folk: list[int] = []
    _histories(now, folk)
    assert everybody_is_somewhere() == set(Status)
    compare(now.moment, SCOPES, [last_days(now.moment.date(), 84)])


def counts() -> dict[str, set[tuple[Any, ...]]]:
    """All counts that are not 0, by the names of their scopes."""
    db.session.rollback()
    found = {}
    for name, table in (("days", DayCount), ("now", RunningCount)):
        day = "d.day," if table is DayCount else "''  AS day,"
        query = (
            f"SELECT place, kind, country, language, what, {day} label, d.count"
            f" FROM {table.__tablename__} d JOIN count_scope s ON s.id = d.scope_id"
            " JOIN count_mark m ON m.generation = s.generation WHERE d.count <> 0"
        )
        found[name] = {tuple(map(str, row)) for row in db.session.execute(sa.text(query))}
    db.session.rollback()
    return found


def test_counting_anew_gives_the_same_counts(app: Flask, now: Clock) -> None:
    """PERFORMANCE (f): a rebuild from the ledger gives identical counts."""
    folk: list[int] = []
    teller = Teller(7, now.moment)
    for _ in range(6):
        tell(teller, folk, 25)
        counting.catch_up(9)
    before = counts()
    assert len(before["days"]) > 300
    recount.recount()
    assert counts() == before
    assert db.session.scalar(sa.select(sa.func.count()).select_from(CountMark)) == 1


def test_counting_anew_never_takes_the_number_of_the_first_steps(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both may begin at once where nothing is counted yet, and would add to the same rows."""
    monkeypatch.setattr(recount.secrets, "randbelow", lambda _most: 0)
    with app.app_context():
        recount.recount()
        with db.engine.connect() as connection:
            assert statistics.mark_of(connection).generation > 1


def test_another_zone_has_other_days_and_all_is_counted_anew(
    app: Flask, town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alice confirms at two in the morning, which is the day before in New York."""
    now.moment = datetime.fromisoformat("2026-11-25T02:00:00+00:00")
    town.alice()
    counting.keep_up()
    span = Span(date(2026, 11, 24), date(2026, 11, 25))
    assert figures(Scope(), span, now.moment).days[date(2026, 11, 25), "on"] == 1
    there = app.extensions["prefcenter"]
    app.extensions["prefcenter"] = _with_zone(there, "America/New_York")
    counting.keep_up()
    _wait_until_counted_anew()
    found = figures(Scope(), span, now.moment)
    assert (found.zone, found.days[date(2026, 11, 24), "on"]) == ("America/New_York", 1)
    assert found.texts[date(2026, 11, 24)] == 2


def _with_zone(there: Any, zone: str) -> Any:
    from dataclasses import replace

    return replace(there, time_zone=zone)


def _wait_until_counted_anew() -> None:
    assert counting._anew.acquire(timeout=10)
    counting._anew.release()


def test_a_step_that_another_process_took_counts_nothing_twice(
    app: Flask, town: Town, now: Clock
) -> None:
    town.alice()
    counting.catch_up(9)
    town.carol()
    step = statistics.next_step()
    assert step
    with writing():
        assert statistics.take(step)
        db.session.commit()
    with writing():
        assert not statistics.take(step)
        db.session.commit()
    compare(now.moment, [Scope()], [last_days(now.moment.date(), 30)])


def test_killed_before_its_commit_a_step_has_done_nothing(
    app: Flask, town: Town, now: Clock
) -> None:
    town.alice()
    step = statistics.next_step()
    assert step
    with writing():
        statistics.take(step)
    compare(now.moment, [Scope()], [last_days(now.moment.date(), 30)])
    assert counts()["days"] == set()


def test_an_event_that_is_seen_late_is_counted(app: Flask, town: Town, now: Clock) -> None:
    """Two writers on PostgreSQL: the first gets the lower id and commits last. Nothing that
    comes between may take the mark past it."""
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    town.alice()
    counting.catch_up(9)
    with writing():
        slow = people.enrol("+12025550190", "US", "en", now=now.moment).id
        quick = people.enrol("+12025550191", "US", "en", now=now.moment).id
        db.session.commit()
    with app.app_context():  # a session, and with it a connection, of its own
        with writing():
            _stop(slow, now)  # has its id, and is not committed
            with app.app_context():
                with writing():
                    _stop(quick, now)
                    db.session.commit()
                db.session.remove()
            in_between = settled.tops()
            assert in_between is None
            counting.catch_up(0)
            found = figures(Scope(), last_days(now.moment.date(), 3), now.moment)
            assert found.now["standing", "unsubscribed"] == 1
            db.session.commit()
        db.session.remove()
    counting.catch_up(9)
    found = figures(Scope(), last_days(now.moment.date(), 3), now.moment)
    assert found.now["standing", "unsubscribed"] == 2
    compare(now.moment, [Scope()], [last_days(now.moment.date(), 30)])


def _stop(person_id: int, now: Clock) -> None:
    person = people.by_id(person_id)
    ledger.record(person, EventKind.REVOKED, Proof(source=Source.ADMIN), now=now.moment)


def test_pending_is_never_counted_as_subscribed(app: Flask, town: Town, now: Clock) -> None:
    town.alice()
    town.bob()
    town.carol()
    found = figures(Scope(), last_days(now.moment.date(), 30), now.moment)
    assert found.now["standing", "subscribed"] == found.on_at_end() == 1
    assert found.now["standing", "pending"] == 1
    assert found.now["standing", "unsubscribed"] == found.suppressed == 1


def test_what_is_suppressed_is_counted_whoever_does_it(app: Flask, town: Town, now: Clock) -> None:
    town.carol()
    counting.catch_up(9)
    assert db.session.scalar(sa.select(sa.func.count(SuppressionChange.id))) == 0
    with writing():
        db.session.execute(sa.text("DELETE FROM suppression"))
        db.session.commit()
    found = figures(Scope(), last_days(now.moment.date(), 3), now.moment)
    assert found.suppressed == 0


def test_texts_that_left_are_counted_by_the_day_they_were_written(
    app: Flask, town: Town, now: Clock
) -> None:
    town.alice(ALICE)
    counting.catch_up(9)
    now.forward(days=1)
    town.carol()
    found = figures(Scope(), last_days(now.moment.date(), 2), now.moment)
    assert list(found.texts.values()) == [2, 3]


def test_a_ledger_that_somebody_broke_is_counted_without_what_cannot_be(
    app: Flask, town: Town, now: Clock
) -> None:
    """The counts go on; `prefcenter rebuild --check` names what is wrong."""
    town.alice()
    row = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
    assert row
    values = {
        c.name: getattr(row, c.name) for c in ConsentEvent.__table__.columns if c.name != "id"
    }
    values |= {"seq": row.seq + 1, "kind": EventKind.DECLINED, "public_id": "x" * 22}
    with writing():
        db.session.execute(sa.insert(ConsentEvent).values(values))
        db.session.commit()
    counting.catch_up(9)
    found = figures(Scope(), last_days(now.moment.date(), 30), now.moment)
    assert found.on_at_end() == 1
    assert found.numbers(now.moment) == figures(Scope(), found.span, now.moment, slow=True).numbers(
        now.moment
    )
