"""How many texts a web page may cause: exact with any number of writers, and failing closed."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from prefcenter.consent import asking, limits, signup
from prefcenter.consent.ledger import Proof
from prefcenter.consent.people import by_number
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, Person, Source, Tally
from prefcenter.phone import Number
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock

settings = pytest.mark.settings


def block(count: int) -> list[str]:
    """Different numbers of one prefix."""
    return [f"+1202555{last:04d}" for last in range(1000, 1000 + count)]


def receive(number: str, ip: str, now: datetime) -> int:
    """A form comes in from this address; gives its row."""
    with writing():
        filled = signup.Filled(
            number=Number(number, "US"),
            site="prefs.test",
            source=Source.FORM,
            categories=["offers"],
            language="en",
            consent_text="I agree.",
            answer={},
            page_url="http://prefs.test/",
            ip=ip,
            user_agent="",
        )
        signup.receive(filled, now=now)
        row = signup.waiting(100)[-1]
        db.session.commit()
    return row


def admit(row: int, now: datetime) -> None:
    """A sender looks at the form."""
    with writing():
        signup.admit(row, now=now)
        db.session.commit()


def send_form(number: str, ip: str, now: datetime) -> None:
    admit(receive(number, ip, now), now)


def together(app: Flask, calls: list[Callable[[], None]]) -> list[str]:
    """Run all at once, each in a thread with its own session; gives what went wrong."""
    gate, wrong = threading.Barrier(len(calls)), []

    def run(call: Callable[[], None]) -> None:
        with app.app_context():
            gate.wait(20)
            try:
                call()
            except Exception as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return wrong


def texts() -> list[str]:
    db.session.rollback()
    found = list(db.session.scalars(sa.select(OutboxMessage.to)))
    db.session.rollback()
    return found


def counts() -> dict[str, int]:
    """What is counted, per scope, over all keys and windows."""
    db.session.rollback()
    query = sa.select(Tally.scope, sa.func.sum(Tally.count)).group_by(Tally.scope)
    found = {scope: int(total) for scope, total in db.session.execute(query)}
    db.session.rollback()
    return found


def people() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count(Person.id))) or 0


def _by_text() -> set[int]:
    """The counts of all that belongs to a text, not to who sends forms."""
    return {count for scope, count in counts().items() if not scope.startswith("ip/")}


@settings(PREFIX_TEXTS_PER_HOUR="7")
def test_twenty_writers_at_once_get_exactly_the_limit(app: Flask, now: Clock) -> None:
    """SEC-28: numbers of one prefix, each from an address of its own."""
    forms = [
        receive(number, f"198.51.100.{index}", now.moment) for index, number in enumerate(block(20))
    ]

    wrong = together(app, [partial(admit, form, now.moment) for form in forms])

    assert wrong == []
    assert len(texts()) == len(set(texts())) == 7
    assert people() == 7
    assert _by_text() == {7}


@settings(NUMBER_TEXTS_PER_DAY="1")
def test_one_number_at_once_gets_one_text(app: Flask, now: Clock) -> None:
    """SEC-28: ten forms for Alice, looked at in the same moment."""
    forms = [receive(ALICE, "198.51.100.7", now.moment) for _ in range(10)]
    assert together(app, [partial(admit, form, now.moment) for form in forms]) == []
    assert texts() == [ALICE]
    assert _by_text() == {1}
    assert counts()["ip/hour"] == 10, "whoever sends forms pays for each, whatever comes of it"


def test_a_number_waits_ten_minutes_and_gets_two_texts_for_one_request(
    town: Town, now: Clock
) -> None:
    """SEC-28, RULE-7: the request and one resend."""
    moments = [(0, 1), (9, 1), (1, 2), (11, 2), (600, 2)]
    for wait, sent in moments:
        now.forward(minutes=wait)
        town.sign_up(BOB)
        town.work()
        assert len(town.kinds(BOB)) == sent, wait


@settings(SAVES_PER_HOUR="1000")
def test_a_subscriber_gets_three_a_day_counted_to_the_second(town: Town, now: Clock) -> None:
    """SEC-28: the welcome is not counted, what a stranger could cause is."""
    town.alice()
    caused = 1
    for wait in (10, 10, 10, 10, 60):
        now.forward(minutes=wait)
        town.sign_up(ALICE)
        caused += len(town.work())
    assert caused == 3
    now.forward(minutes=24 * 60 - 100, seconds=-1)
    town.sign_up(ALICE)
    assert town.work() == []
    now.forward(seconds=1)
    town.sign_up(ALICE)
    assert [text.kind for text in town.work()] == ["already_subscribed"]


@settings(
    IP_TEXTS_PER_HOUR="2", IP_TEXTS_PER_DAY="3", PREFIX_TEXTS_PER_HOUR="9", SITE_TEXTS_PER_HOUR="9"
)
def test_over_a_limit_nothing_at_all_is_left(app: Flask, now: Clock) -> None:
    """SEC-24, SEC-28: no person, no text, and no wider scope has counted it."""
    for number in block(5):
        send_form(number, "198.51.100.7", now.moment)
    assert people() == len(texts()) == 2
    assert set(counts().values()) == {2}
    now.forward(hours=1)
    for number in block(9)[5:]:
        send_form(number, "198.51.100.7", now.moment)
    assert people() == len(texts()) == 3  # the day's limit
    assert set(counts().values()) == {3}
    send_form(CAROL, "198.51.100.8", now.moment)
    assert people() == 4  # another address is not held back


@settings(PREFIX_TEXTS_PER_HOUR="1")
def test_a_refused_text_to_a_subscriber_counts_for_who_sent_the_form_alone(
    town: Town, now: Clock
) -> None:
    """SEC-28: our site has not caused what was never sent."""
    town.alice()
    before = counts()
    now.forward(minutes=30)  # the same hour
    town.sign_up(ALICE)
    assert town.work() == []
    assert counts() == before | {"ip/hour": 2, "ip/day": 2}


@settings(IP_TEXTS_PER_HOUR="2")
@pytest.mark.parametrize("who", ["stopped", "new"])
def test_what_is_left_for_others_does_not_tell_who_stopped(
    town: Town, now: Clock, who: str
) -> None:
    """SEC-24: Mallory types one number, then those of two phones of her own."""
    if who == "stopped":
        town.carol(CAROL)
        now.forward(hours=25)
    for number in (CAROL, *block(2)):
        send_form(number, "203.0.113.66", now.moment)
    assert set(texts()) & set(block(2)) == {block(2)[0]}


@settings(IP_TEXTS_PER_HOUR="2")
def test_an_ipv6_network_counts_as_one_visitor(app: Flask, now: Clock) -> None:
    """SEC-28: a /64 has more addresses than all limits together."""
    one, next_door = "2001:db8:1:2::{:x}", "2001:db8:1:3::1"
    for index, number in enumerate(block(4)):
        send_form(number, one.format(index + 1), now.moment)
    assert people() == 2
    send_form(CAROL, next_door, now.moment)
    assert people() == 3


@pytest.mark.parametrize(
    ("address", "visitor"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_the_visitor_behind_an_address(address: str, visitor: str) -> None:
    assert limits.network(address) == visitor


def test_addresses_that_are_none_share_one_count() -> None:
    """An unreadable address is counted too; it is no way round the limit."""
    assert limits.network("") == limits.network("")
    assert limits.network("unknown") != limits.network("")


def test_no_count_means_no_text(app: Flask, now: Clock) -> None:
    """SEC-28: with the counters gone nothing is sent, rather than everything."""
    with writing():
        db.session.execute(sa.text("ALTER TABLE tally RENAME TO gone"))
        db.session.commit()
    with pytest.raises(DBAPIError):
        send_form(ALICE, "198.51.100.7", now.moment)
    assert texts() == []
    assert people() == 0


def test_a_form_and_a_new_link_of_one_person_do_not_lock_each_other(
    app: Flask, town: Town, now: Clock
) -> None:
    """Both count for the same network and hold the same person, whom all take first."""
    town.bob()
    now.forward(hours=1)
    form, wrong = receive(BOB, "198.51.100.7", now.moment), list[str]()

    def sender() -> None:
        with app.app_context():
            try:
                admit(form, now.moment)
            except DBAPIError as error:
                wrong.append(repr(error))

    other = threading.Thread(target=sender)
    with writing():
        bob = by_number(BOB)
        assert bob is not None
        other.start()
        other.join(0.5)
        asking.new_link(bob, Proof(Source.PREFERENCE_PAGE, ip="198.51.100.7"), now=now.moment)
        db.session.commit()
    other.join(20)
    assert wrong == []
    assert texts().count(BOB) == 2, "the first, and one of these"
    assert signup.waiting(1) == []


@pytest.mark.settings(TOTAL_TEXTS_PER_DAY="3")
def test_numbers_and_addresses_are_not_written_into_the_counters(app: Flask, now: Clock) -> None:
    """SEC-48: keyed hashes only; and a day that is full is full for everybody."""
    for index, number in enumerate(block(5)):
        send_form(number, f"198.51.100.{index}", now.moment)
    assert people() == 3
    keys = list(db.session.scalars(sa.select(Tally.key)))
    assert all(len(key) == 64 and int(key, 16) for key in keys)
    assert Counter(keys).most_common(1)[0][1] <= 1
