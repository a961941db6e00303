"""The breaker: where hardly anybody confirms, nothing more is sent (SEC-30)."""

import threading

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import breaker, sites
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Breaker, BreakerScope, OutboxMessage, TextKind
from prefcenter.sms import alarms
from tests.cast import BOB, Town
from tests.conftest import Clock
from tests.forms import admit, fill
from tests.phones import say

WIDE = pytest.mark.settings(
    IP_TEXTS_PER_HOUR="9999",
    IP_TEXTS_PER_DAY="9999",
    PREFIX_TEXTS_PER_HOUR="9999",
    PREFIX_TEXTS_PER_DAY="9999",
    COUNTRIES="US,GB,ES",
)


def asked() -> int:
    db.session.rollback()
    query = sa.select(sa.func.count(OutboxMessage.id))
    found = db.session.scalar(query.where(OutboxMessage.kind == TextKind.CONFIRM_REQUEST))
    return found or 0


def us(block: int, last: int) -> str:
    """A number of one of several blocks."""
    return f"+1202{555 + block}{last:04d}"


def send(number: str, now: Clock, site: str = "shop") -> None:
    admit(fill(number, site=site), now.now())


def open_breakers(now: Clock) -> list[tuple[BreakerScope, str]]:
    db.session.rollback()
    return [(row.scope, row.label) for row in breaker.open_now(now=now.now())]


@pytest.fixture
def shop(app: Flask, now: Clock) -> None:
    with writing():
        for slug in ("shop", "other"):
            sites.add(slug, slug, origins=["https://shop.example"], now=now.now())
        db.session.commit()


@WIDE
def test_sixty_in_one_block_that_nobody_confirms(shop: None, now: Clock) -> None:
    """The fifty-first and all that follow send nothing; the operator hears of it once."""
    for last in range(60):
        send(us(0, last), now)
    assert asked() == 50
    assert (BreakerScope.PREFIX, "one block of 10,000 numbers in US, +1202…") in open_breakers(now)
    db.session.rollback()
    alarm = db.session.scalars(sa.select(Alarm)).all()
    assert {one.name for one in alarm} == {alarms.BREAKER}
    assert "`prefcenter breaker list`" in alarm[0].message


@WIDE
def test_another_block_of_another_country_and_site_still_works(
    shop: None, town: Town, now: Clock
) -> None:
    for last in range(60):
        send(us(0, last), now)
    before = asked()
    send("+447400123456", now, "other")
    assert asked() == before + 1


@WIDE
def test_a_site_whose_forms_nobody_confirms_stops_alone(shop: None, now: Clock) -> None:
    """Numbers of many blocks and three countries; another site goes on."""
    numbers = [*(us(block, 1) for block in range(40)), *(f"+4474001{n:05d}" for n in range(20))]
    for number in numbers:
        send(number, now)
    assert asked() == 50
    assert [scope for scope, _ in open_breakers(now)] == [BreakerScope.SITE]
    send("+447400123456", now, "other")
    assert asked() == 51


@WIDE
def test_people_who_confirm_keep_it_closed(shop: None, town: Town, now: Clock) -> None:
    """One in ten is enough by default: a crowd at a concert confirms later than it signs up."""
    for last in range(60):
        send(us(0, last), now)
        if last % 10 == 0:
            town.work()
            assert town.browser.post(town.last_link(us(0, last))).status_code == 303
    assert asked() == 60
    assert open_breakers(now) == []


@WIDE
def test_it_closes_by_time_and_counting_begins_anew(shop: None, now: Clock) -> None:
    for last in range(60):
        send(us(0, last), now)
    assert asked() == 50
    now.forward(minutes=61)
    send(us(0, 100), now)
    assert asked() == 51
    with writing():
        breaker.forget(now=now.now())
        db.session.commit()
    assert db.session.scalars(sa.select(Alarm)).all() == []
    for last in range(200, 260):
        send(us(0, last), now)
    assert asked() == 100, "fifty more, and it trips again"


@WIDE
def test_one_that_trips_while_another_is_forgotten_keeps_the_alarm(
    app: Flask, shop: None, now: Clock
) -> None:
    """The first one's alarm still stands, and a sender is about to end it."""
    for last in range(51):
        send(us(0, last), now, "other")
    now.forward(minutes=61)
    for block in range(50):
        send(us(block, 999), now)

    def forget() -> None:
        with app.app_context(), writing():
            breaker.forget(now=now.now())
            db.session.commit()

    sender = threading.Thread(target=forget)
    with writing():
        assert not breaker.lets_pass(us(0, 998), "US", "shop", now=now.now())
        sender.start()
        sender.join(0.5)
        db.session.commit()
    sender.join(10)
    assert open_breakers(now) != []
    assert db.session.get(Alarm, alarms.BREAKER) is not None


@WIDE
def test_two_who_trip_it_at_once_open_one(app: Flask, shop: None, now: Clock) -> None:
    """Whoever closes that one lets texts pass again."""
    for last in range(50):
        send(us(last, last), now)

    def ask() -> None:
        with app.app_context(), writing():
            assert not breaker.lets_pass(us(60, 1), "US", "shop", now=now.now())
            db.session.commit()

    other = threading.Thread(target=ask)
    with writing():
        assert not breaker.lets_pass(us(61, 1), "US", "shop", now=now.now())
        other.start()
        other.join(0.5)
        db.session.commit()
    other.join(10)
    opened = [scope for scope, _ in open_breakers(now)]
    assert sorted(opened) == [BreakerScope.COUNTRY, BreakerScope.SITE]


@WIDE
def test_an_operator_closes_it(shop: None, now: Clock) -> None:
    for last in range(51):
        send(us(0, last), now)
    with writing():
        for row in breaker.open_now(now=now.now()):
            breaker.close(row, "Olga", now=now.now())
        db.session.commit()
    assert open_breakers(now) == []
    db.session.rollback()
    assert db.session.scalars(sa.select(Alarm)).all() == []
    assert {row.closed_by for row in db.session.scalars(sa.select(Breaker))} == {"Olga"}
    send(us(0, 99), now)
    assert asked() == 51


@WIDE
def test_a_subscriber_there_gets_no_reminder_either(shop: None, town: Town, now: Clock) -> None:
    """Somebody else may have typed the number."""
    town.alice(us(0, 500))
    for last in range(51):
        send(us(0, last), now)
    now.forward(minutes=20)
    before = len(town.outbox(us(0, 500)))
    send(us(0, 500), now)
    assert len(town.outbox(us(0, 500))) == before


@WIDE
def test_forms_cost_more_before_it_trips(shop: None, now: Clock) -> None:
    for last in range(29):
        send(us(last % 20, last), now)
    assert not breaker.strained("shop", now=now.now())
    send(us(3, 999), now)
    assert breaker.strained("shop", now=now.now())
    assert not breaker.strained("other", now=now.now())


@WIDE
def test_a_long_name_trips_all_the_same(shop: None, now: Clock) -> None:
    """PostgreSQL keeps no more of a label than its column has room for."""
    site = "prefs." + "a" * 60 + ".example.com"
    for last in range(51):
        send(us(last % 40, last), now, site)
    assert asked() == 50
    assert BreakerScope.SITE in [scope for scope, _ in open_breakers(now)]


@WIDE
def test_texting_join_is_never_stopped_by_it(shop: None, town: Town, now: Clock) -> None:
    """A handset is in somebody's hand."""
    for last in range(51):
        send(us(0, last), now)
    before = asked()
    say(town, "JOIN", BOB)
    assert asked() == before + 1
