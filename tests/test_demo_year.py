"""The demo's year: whole proof, nothing left to send, and not one number of a real person."""

import ipaddress
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import config, create_app, demo_data, demo_people, demo_plan, demo_year
from prefcenter.consent import audit, business_days, reviews
from prefcenter.database import Base, db, is_postgresql, writing
from prefcenter.demo_plan import Act
from prefcenter.models import (
    Alarm,
    Ask,
    Breaker,
    ConsentEvent,
    EventKind,
    Evidence,
    Gate,
    Inbound,
    OutboxMessage,
    OutboxStatus,
    Person,
    Review,
    Site,
    Source,
    Status,
    Tally,
    TextKind,
    WordingVersion,
)
from tests.cast import ALICE, Town
from tests.conftest import Clock, fresh_database, settings_for

SOME = 160  # people: all that happens in a year happens to a few of them
FEW = 50
KINDS = ("offers", "new-books", "events", "in-stock")
ALL = ("US", "CA", "GB")
TUESDAY, SATURDAY = 1, 5
# RFC 5737 and RFC 3849: for examples alone.
NOBODYS = [
    ipaddress.ip_network(net)
    for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Flask, demo_year.Added]]:
    """A year that tests only look at: one for all of them, because it takes seconds to make."""
    folder = tmp_path_factory.mktemp("year")
    with fresh_database(request, folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            added = live()
            db.session.remove()
        yield app, added
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def year(lived: tuple[Flask, demo_year.Added]) -> Iterator[demo_year.Added]:
    app, added = lived
    with app.app_context():
        yield added
        db.session.remove()


@pytest.fixture
def own_year(app: Flask) -> demo_year.Added:
    """A year in which a test may go on living."""
    return live()


def live() -> demo_year.Added:
    with writing():
        demo_data.add()
        added = demo_year.add(SOME, now=Clock().now())
        db.session.commit()
    assert added is not None
    return added


def count(table: type[Base]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def whole_year(day: datetime) -> list[Act]:
    return demo_plan.plan(
        people=demo_year.PEOPLE, countries=ALL, kinds=KINDS, confirm_hours=72, now=day
    )


def test_the_proof_is_whole_and_every_state_is_what_it_says(year: demo_year.Added) -> None:
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []
    assert (year.people, year.events) == (count(Person), count(ConsentEvent))
    assert count(Evidence) == year.events > 2 * SOME


def test_nothing_of_it_is_ever_sent(own_year: demo_year.Added, town: Town, now: Clock) -> None:
    statuses = set(db.session.scalars(sa.select(OutboxMessage.status)))
    assert statuses == {OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.FAILED}
    if is_postgresql():
        jobs = sa.text("SELECT count(*) FROM procrastinate_jobs")
        assert db.session.scalar(jobs) == 0
    assert town.work() == []
    now.forward(days=1)
    assert town.work() == []


def test_it_counts_against_no_limit_and_raises_no_alarm(year: demo_year.Added) -> None:
    assert [count(table) for table in (Tally, Ask, Breaker, Alarm, Gate)] == [0] * 5
    assert not db.session.scalars(sa.select(Inbound).where(Inbound.handled_at.is_(None))).all()


def test_whoever_signs_up_beside_it_is_served_as_ever(
    own_year: demo_year.Added, town: Town
) -> None:
    town.alice()
    assert town.kinds(ALICE) == [TextKind.CONFIRM_REQUEST, TextKind.WELCOME]


def test_no_number_and_no_address_is_anybodys(year: demo_year.Added) -> None:
    columns = (Person.number, OutboxMessage.to, Inbound.number)
    numbers = {n for column in columns for n in db.session.scalars(sa.select(column)) if n}
    assert SOME - 5 < len(numbers) <= SOME  # somebody may come later today
    assert [number for number in numbers if not demo_people.is_fiction(number)] == []
    bodies = [json.loads(body) for body in db.session.scalars(sa.select(Evidence.body))]
    assert {n for body in bodies if (n := body["number"])} <= numbers
    addresses = [ipaddress.ip_address(body["ip"]) for body in bodies if body["ip"]]
    assert all(any(one in net for net in NOBODYS) for one in addresses)
    hosts = {body["page_url"].split("/")[2] for body in bodies if body["page_url"]}
    assert hosts == {"www.marlowbooks.example", "prefs.test"}


def test_everything_happens_in_it(year: demo_year.Added) -> None:
    kinds = set(db.session.scalars(sa.select(ConsentEvent.kind).distinct()))
    assert kinds >= set(EventKind) - {EventKind.ERASED, EventKind.REASSIGNED}
    sources = set(db.session.scalars(sa.select(ConsentEvent.source).distinct()))
    assert sources >= set(Source) - {Source.IMPORT, Source.ADMIN, Source.PROVIDER}
    states = set(db.session.scalars(sa.select(Person.status)))
    assert states >= {Status.SUBSCRIBED, Status.UNSUBSCRIBED, Status.NOT_SUBSCRIBED}
    shown = Counter(db.session.scalars(sa.select(WordingVersion.kind)))
    assert shown["signup"] >= 3  # two languages, and the words of the first months


def test_likely_refusals_wait_for_a_reader_with_days_left(
    year: demo_year.Added, now: Clock
) -> None:
    today = business_days.day_of(now.now())
    due = [review.due_on for review, _ in reviews.waiting(50)]
    assert len(due) >= 5
    assert today <= due[0] < due[-1] == business_days.after(today)
    assert db.session.scalars(sa.select(Review).where(Review.closed_at.is_not(None))).all()


def test_it_ends_now_and_no_row_lies_ahead(year: demo_year.Added, now: Clock) -> None:
    newest, oldest = db.session.execute(
        sa.select(sa.func.max(ConsentEvent.at), sa.func.min(ConsentEvent.at))
    ).one()
    assert oldest < now.now() - timedelta(days=300)
    assert now.now() - timedelta(days=3) < newest <= now.now()
    assert db.session.scalar(sa.select(sa.func.max(OutboxMessage.finished_at))) <= now.now()
    ids = db.session.scalars(sa.select(ConsentEvent.at).order_by(ConsentEvent.id)).all()
    assert ids == sorted(ids)  # written in the order in which it was


def test_it_adds_nobody_where_somebody_is(town: Town, now: Clock) -> None:
    town.alice()
    with writing():
        assert demo_year.add(SOME, now=now.now()) is None
    assert count(Person) == 1


@pytest.mark.parametrize("country", ALL)
def test_only_numbers_that_we_may_text_are_in_it(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, country: str
) -> None:
    monkeypatch.setitem(
        app.extensions, "prefcenter", replace(config.current(), countries=(country,))
    )
    with writing():
        added = demo_year.add(FEW, now=now.now())
        db.session.commit()
    assert added is not None and added.people >= FEW - 5
    assert set(db.session.scalars(sa.select(Person.country))) == {country}
    assert list(audit.differences()) == []


def test_where_no_numbers_are_kept_for_fiction_nobody_is_made_up(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, "prefcenter", replace(config.current(), countries=("DE",)))
    before = count(Site)
    with writing():
        assert demo_year.add(SOME, now=now.now()) == demo_year.Added(0, 0)
        db.session.commit()
    assert (count(Person), count(Site)) == (0, before)


@pytest.mark.parametrize("countries", [("US",), ("CA",), ("GB",), ("US", "CA"), ("CA", "GB")])
def test_a_crowd_that_asks_for_more_numbers_than_there_are_gets_all(
    countries: tuple[str, ...],
) -> None:
    crowd = demo_people.crowd(random.Random(1), demo_people.MOST, countries)
    there_are = {"US": 1800, "CA": 500, "GB": 1000}
    assert Counter(who.country for who in crowd) == {code: there_are[code] for code in countries}


def test_one_day_always_has_the_same_year() -> None:
    day = datetime(2026, 11, 24, 15, tzinfo=UTC)
    acts = whole_year(day)
    assert acts == whole_year(day)
    assert acts != whole_year(day + timedelta(days=1))


def test_the_whole_year_grows_by_the_week_and_has_one_peak() -> None:
    day = datetime(2026, 11, 24, 15, tzinfo=UTC)
    acts = whole_year(day)
    first = {act.who.number: act.at.date() for act in reversed(acts)}
    assert demo_year.PEOPLE - 20 < len(first) <= demo_year.PEOPLE and len(acts) > 6_000
    by_day = Counter(first.values())
    [(peak, _)] = by_day.most_common(1)
    assert timedelta(days=70) <= day.date() - peak <= timedelta(days=81)
    by_weekday = Counter(on.weekday() for on in first.values())
    assert by_weekday[SATURDAY] > 1.1 * by_weekday[TUESDAY]
    half = day.date() - timedelta(days=182)
    assert sum(on >= half for on in first.values()) > 1.5 * sum(on < half for on in first.values())


def test_there_are_numbers_for_everybody() -> None:
    crowd = demo_people.crowd(random.Random(1), demo_people.MOST, ALL)
    numbers = {who.number for who in crowd}
    assert len(numbers) == demo_people.MOST >= demo_year.PEOPLE
    assert all(demo_people.is_fiction(number) for number in numbers)


@pytest.mark.parametrize(
    "number", ["+12125550200", "+447700800123", "+34600000000", "+121255501000"]
)
def test_a_number_that_may_be_somebodys_is_not_taken_for_fiction(number: str) -> None:
    assert not demo_people.is_fiction(number)
