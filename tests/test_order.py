"""What was said last counts, in whatever order it comes (REL-12).

Each case is a handful of texts with Vonage's times; every order of them, with one repeated,
must end in the same state. The rules never commit, so each order is rolled back.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, permutations

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from prefcenter.consent import audit, catalog, inbound, ledger, people, suppression
from prefcenter.database import begin_write, db, is_postgresql
from prefcenter.models import EventKind, Inbound, ReviewReason, Status, TextKind
from prefcenter.sms import inbox
from prefcenter.sms.webhook import InboundText
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.phones import last_event, reviews, say
from tests.test_erasure import erase
from tests.webhooks import SENDER

STRANGER = "+12025550177"
Texts = tuple[tuple[str, int | None], ...]  # what, and when: seconds after the first could be
CASES: list[tuple[str, Texts, Status]] = [
    (ALICE, (("STOP", 5), ("START", 0), ("HELP", 1)), Status.UNSUBSCRIBED),
    (ALICE, (("STOP", 5), ("START", 0), ("START", 10), ("HELP", 20)), Status.SUBSCRIBED),
    (
        ALICE,
        (("STOP", 5), ("START", 0), ("START", 10), ("STOP", 15), ("START", 14)),
        Status.UNSUBSCRIBED,
    ),
    (
        ALICE,
        (("STOP", 5), ("START", 7), ("STOP", 9), ("no more texts please", 3), ("START", 11)),
        Status.SUBSCRIBED,
    ),
    (ALICE, (("STOP", 5), ("START", 5), ("HELP", 5), ("MENU", 5)), Status.UNSUBSCRIBED),
    (
        ALICE,
        (("STOP", 5), ("START", None), ("START", 4), ("UNSTOP", None), ("STOPALL", 1)),
        Status.UNSUBSCRIBED,
    ),
    (ALICE, (("STOP", None), ("START", 0), ("START", 30), ("HELP", 2)), Status.UNSUBSCRIBED),
    (
        ALICE,
        (("STOP", 5), ("JOIN", 0), ("YES", 20), ("START", 10), ("HELP", 3)),
        Status.SUBSCRIBED,
    ),
    (CAROL, (("START", -900), ("STOP", 5), ("START", 3), ("HELP", 9)), Status.UNSUBSCRIBED),
    (CAROL, (("START", 900), ("STOP", 5), ("START", 3), ("STOP", 899)), Status.SUBSCRIBED),
    (BOB, (("STOP", 5), ("YES", 3), ("HELP", 4), ("YES", 8)), Status.UNSUBSCRIBED),
    (BOB, (("YES", 3), ("STOP", 5), ("NO", 1), ("STOP", 7), ("HELP", 6)), Status.UNSUBSCRIBED),
    (
        STRANGER,
        (("STOP", 5), ("START", 0), ("START", 10), ("STOP", 3), ("HELP", 11)),
        Status.PENDING,
    ),
    (
        STRANGER,
        (("STOP", 5), ("START", 12), ("STOP", 11), ("START", 10), ("STOP", 20)),
        Status.UNSUBSCRIBED,
    ),
    (STRANGER, (("JOIN", None), ("STOP", 5), ("HELP", 6)), Status.UNSUBSCRIBED),
    (STRANGER, (("JOIN", -5_000_000), ("STOP", 5), ("START", None)), Status.UNSUBSCRIBED),
    (ALICE, (("PAUSE", 10), ("RESUME", 15), ("PAUSE", 20), ("HELP", 1)), Status.SUBSCRIBED),
    (ALICE, (("PAUSE", 10), ("RESUME", 15), ("MENU", 30)), Status.SUBSCRIBED),
    (ALICE, (("PAUSE", 10), ("START", 15), ("PAUSE", 5)), Status.SUBSCRIBED),
    (ALICE, (("MONTHLY", 10), ("WEEKLY", 15), ("MONTHLY", 20), ("HELP", 1)), Status.SUBSCRIBED),
    (ALICE, (("MONTHLY", 10), ("WEEKLY", 15), ("PAUSE", None)), Status.SUBSCRIBED),
    (ALICE, (("LESS", 10), ("LESS", 15), ("LESS", 20)), Status.SUBSCRIBED),
    (ALICE, (("WEEKLY", 12), ("LESS", 10), ("LESS", 15), ("MONTHLY", 5)), Status.SUBSCRIBED),
    # A wish that arrives before the START it followed, or while nothing is on, is kept.
    (CAROL, (("START", 45), ("MONTHLY", 54), ("HELP", 1)), Status.SUBSCRIBED),
    (CAROL, (("START", 45), ("LESS", 54), ("WEEKLY", 40), ("LESS", 57)), Status.SUBSCRIBED),
    (CAROL, (("START", 45), ("PAUSE", 54), ("PAUSE", 40)), Status.SUBSCRIBED),
    (CAROL, (("START", 45), ("PAUSE", 54), ("RESUME", 57), ("MONTHLY", None)), Status.SUBSCRIBED),
    (ALICE, (("STOP", 5), ("START", 7), ("PAUSE", 10), ("MONTHLY", 12)), Status.SUBSCRIBED),
    (ALICE, (("PAUSE", 3), ("STOP", 5), ("WEEKLY", 1), ("START", 7)), Status.SUBSCRIBED),
    (BOB, (("YES", 5), ("MONTHLY", 8), ("PAUSE", 10)), Status.SUBSCRIBED),
    (BOB, (("MONTHLY", 3), ("PAUSE", 4), ("YES", 5)), Status.SUBSCRIBED),
    (STRANGER, (("JOIN", 5), ("MONTHLY", 8), ("HELP", 1)), Status.PENDING),
    # A JOIN asks whoever had stopped before it, also where the STOP arrives behind it.
    (ALICE, (("STOP", 5), ("JOIN", 10)), Status.PENDING),
    (ALICE, (("STOP", 5), ("JOIN", 10), ("STOP", 15), ("JOIN", 20), ("HELP", 1)), Status.PENDING),
    (ALICE, (("STOP", 5), ("JOIN", 10), ("STOP", 15)), Status.UNSUBSCRIBED),
    (ALICE, (("STOP", 5), ("JOIN", 10), ("START", 12)), Status.SUBSCRIBED),
    (ALICE, (("STOP", 5), ("JOIN", None)), Status.UNSUBSCRIBED),
    (ALICE, (("PAUSE", 5), ("JOIN", 10)), Status.SUBSCRIBED),
    (CAROL, (("START", 5), ("JOIN", 10), ("PAUSE", 7)), Status.SUBSCRIBED),
    (CAROL, (("START", 5), ("STOP", 10), ("JOIN", 15)), Status.PENDING),
    # A NO that arrives before the request it answers.
    (STRANGER, (("JOIN", 5), ("NO", 10)), Status.NOT_SUBSCRIBED),
    (STRANGER, (("JOIN", 10), ("NO", 5), ("HELP", 1)), Status.PENDING),
    (STRANGER, (("JOIN", 5), ("NO", None)), Status.NOT_SUBSCRIBED),
    (CAROL, (("JOIN", 5), ("NO", 10), ("JOIN", 15)), Status.PENDING),
    (BOB, (("START", 5), ("NO", 10), ("START", 15)), Status.PENDING),
    (ALICE, (("STOP", 5), ("JOIN", 10), ("NO", 15)), Status.UNSUBSCRIBED),
    # The newest request is the one that a NO would have to follow.
    (CAROL, (("JOIN", 5), ("JOIN", 10), ("NO", 15), ("JOIN", 20)), Status.PENDING),
    (STRANGER, (("START", 5), ("JOIN", 10), ("NO", 15), ("START", 20)), Status.PENDING),
    # Whoever had confirmed needs no second confirmation for a START (RULE-30), NO or not.
    (CAROL, (("JOIN", 5), ("NO", 10), ("START", 15)), Status.SUBSCRIBED),
    (
        ALICE,
        (("STOP", 5), ("JOIN", 10), ("NO", 15), ("START", 20), ("HELP", 1)),
        Status.SUBSCRIBED,
    ),
]
WORDS = ("STOP", "START", "YES", "NO", "JOIN", "MONTHLY", "PAUSE", "RESUME")


@pytest.fixture
def neighbours(town: Town, now: Clock) -> Town:
    """Alice subscribed, Bob pending, Carol stopped on her page; an hour ago."""
    town.alice(categories=("offers", "events"))
    town.carol()
    now.forward(minutes=50)
    town.bob()
    now.forward(minutes=10)
    return town


def orders(texts: Texts) -> Iterator[tuple[tuple[int, str, int | None], ...]]:
    """Every order, each with its second text brought once more at the end.

    On PostgreSQL a fifth of the 120 of five texts: the rules are the same, and all take minutes.
    """
    every = 5 if is_postgresql() and len(texts) > 4 else 1
    for order in islice(
        permutations((i, *text) for i, text in enumerate(texts)), None, None, every
    ):
        yield (*order, order[1])


@pytest.mark.parametrize(("number", "texts", "expected"), CASES)
def test_every_order_ends_the_same(
    app: Flask, neighbours: Town, now: Clock, number: str, texts: Texts, expected: Status
) -> None:
    start = now.now()
    ends = {end_of(number, order, start) for order in orders(texts)}
    assert {status for status, *_ in ends} == {expected}
    assert len(ends) == 1, ends


@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_texts_end_the_same_in_every_order(
    app: Flask, neighbours: Town, now: Clock, data: st.DataObject
) -> None:
    """Any two to four words, as long as no text of ours goes out in between (starting.py)."""
    number = data.draw(st.sampled_from((ALICE, BOB, CAROL, STRANGER)))
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=4))
    assume(not _answers_a_text_in_between(number, words))
    texts = tuple((word, 5 * place) for place, word in enumerate(words, 1))
    ends = {end_of(number, order, now.now()) for order in orders(texts)}
    assert len(ends) == 1, (number, texts, ends)


def _answers_a_text_in_between(number: str, words: list[str]) -> bool:
    """The exceptions that starting.py names: only Bob has had a text that asks."""
    said = set(words)
    return number == BOB and "YES" in said and bool(said & {"START", "JOIN", "NO"})


def test_a_join_behind_its_stop_asks_once_with_its_own_proof(neighbours: Town, now: Clock) -> None:
    """Alice said STOP and then JOIN, which came first."""
    now.forward(minutes=1)
    stopped = now.now()
    now.forward(minutes=1)
    say(neighbours, "JOIN", message_id="her-join")
    now.forward(minutes=1)
    say(neighbours, "STOP", at=stopped)
    say(neighbours, "STOP", at=stopped)
    assert neighbours.person(ALICE).status is Status.PENDING
    person = neighbours.person(ALICE)
    [request] = [one for one in ledger.events_of(person.id) if one.public_id == person.request_ref]
    assert ledger.answer_of(request.id)["message_id"] == "her-join"
    assert suppression.contains(ALICE), "until she confirms"
    now.forward(seconds=1)
    [text] = [parcel for parcel in neighbours.work() if parcel.to == ALICE]
    assert text.kind is TextKind.CONFIRM_REQUEST
    now.forward(minutes=1)
    say(neighbours, "YES")
    assert neighbours.person(ALICE).status is Status.SUBSCRIBED
    assert list(audit.differences()) == []
    assert list(audit.faults()) == []


def end_of(
    number: str, texts: tuple[tuple[int, str, int | None], ...], start: datetime
) -> tuple[object, ...]:
    """How it ends when these texts arrive in this order; nothing of it is kept."""
    begin_write()
    for step, (index, text, second) in enumerate(texts):
        said = None if second is None else start + timedelta(seconds=second)
        arrives = start + timedelta(minutes=16, seconds=step)
        arrived = InboundText(f"m{index}", number, SENDER, text, said)
        [row] = inbox.store([(arrived, arrives)])
        if row is not None:
            assert inbound.handle(row, now=arrives)
    end = _end(number)
    db.session.rollback()
    db.session.expunge_all()
    return end


def _end(number: str) -> tuple[object, ...]:
    """All that counts about somebody, after checking that the ledger says the same.

    What a stopped person had taken counts only once they had confirmed: Bob's YES, come late
    behind his STOP, finds no request any more, and his START would ask him anew.
    """
    person = people.by_number(number)
    if person is None:
        return ()  # nobody, whose YES found nothing
    texts = db.session.scalar(sa.select(sa.func.count(Inbound.id)).where(Inbound.number == number))
    rebuilt = ledger.rebuilt(ledger.events_of(person.id))
    taken = catalog.taken(person.id)
    assert rebuilt == ledger.state_of(person, taken)
    stopped = suppression.contains(number)
    if number == BOB:
        taken = frozenset()
    return (person.status, person.frequency, taken, person.paused_until, stopped, texts)


def test_the_times_of_the_issue(neighbours: Town, now: Clock) -> None:
    """STOP 10:00:05 and START 10:00:00 in both orders; START 10:00:10 comes back."""

    ten = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
    now.forward(minutes=1)
    for first, second in ((("STOP", 5), ("START", 0)), (("START", 0), ("STOP", 5))):
        for text, seconds in (first, second):
            say(neighbours, text, at=ten + timedelta(seconds=seconds))
        assert neighbours.person(ALICE).status is Status.UNSUBSCRIBED
        say(neighbours, "START", at=ten + timedelta(seconds=10))
        assert neighbours.person(ALICE).status is Status.SUBSCRIBED
        assert catalog.taken(neighbours.person(ALICE).id) == {"offers", "events"}
        ten += timedelta(seconds=20)
        now.forward(minutes=1)
    assert list(audit.differences()) == []
    assert list(audit.faults()) == []


def _erased(town: Town, link: str) -> None:
    erase(town)


def _not_mine(town: Town, link: str) -> None:
    assert town.browser.post(f"{link}/not-mine").status_code == 303


@pytest.mark.parametrize("word", ["START", "JOIN"])
@pytest.mark.parametrize("parted", [_erased, _not_mine])
def test_a_late_start_counts_by_a_stop_that_only_the_number_remembers(
    town: Town, now: Clock, parted: Callable[[Town, str], None], word: str
) -> None:
    """SEC-48, RULE-51: Alice's row is nobody's any more, and her STOP was said after it."""
    link = town.alice()
    now.forward(hours=1)
    before = now.now()
    now.forward(minutes=30)
    say(town, "STOP")
    town.work()
    now.forward(minutes=10)
    parted(town, link)
    say(town, word, at=before)
    say(town, "YES", at=before + timedelta(minutes=1))
    assert town.person(ALICE).status is Status.NOT_SUBSCRIBED
    assert (last_event().kind, town.work()) == (EventKind.NOTED, [])
    say(town, word, timestamp="yesterday")
    assert town.person(ALICE).status is Status.NOT_SUBSCRIBED
    assert [review.reason for review in reviews()] == [ReviewReason.DOUBTFUL_START]
    assert suppression.contains(ALICE) and town.work() == []

    now.forward(minutes=10)
    say(town, word)
    assert town.person(ALICE).status is Status.PENDING, "said after it, from the phone itself"
    town.work()
    say(town, "YES")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert list(audit.differences()) == []


@pytest.mark.parametrize("parted", [_erased, _not_mine])
def test_a_start_said_before_the_number_was_parted_with_is_the_former_owners(
    town: Town, now: Clock, parted: Callable[[Town, str], None]
) -> None:
    """Also where it was said after their STOP: erased or given up, it asks for nothing."""
    link = town.alice()
    now.forward(hours=1)
    say(town, "STOP")
    town.work()
    now.forward(minutes=30)
    between = now.now()
    now.forward(minutes=30)
    parted(town, link)
    say(town, "START", at=between)
    assert town.person(ALICE).status is Status.NOT_SUBSCRIBED
    assert suppression.contains(ALICE) and town.work() == []


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (-20, Status.UNSUBSCRIBED),
        (-6, Status.UNSUBSCRIBED),
        (-2, Status.PENDING),  # two clocks: it may have been said after it, so she is asked
        (4, Status.PENDING),
        (6, Status.SUBSCRIBED),
    ],
)
def test_a_stop_on_the_page_counts_behind_a_stop_by_text(
    town: Town, now: Clock, minutes: int, expected: Status
) -> None:
    """Alice texted STOP, and later she pressed Stop as well; her START comes after both."""
    link = town.alice()
    now.forward(hours=1)
    say(town, "STOP")
    now.forward(minutes=40)
    town.browser.post(f"{link}/stop")
    said = now.now() + timedelta(minutes=minutes)
    now.forward(minutes=20)
    say(town, "START", at=said)
    assert town.person(ALICE).status is expected


def test_a_stop_without_a_time_wins_by_a_clock_that_is_behind(town: Town, now: Clock) -> None:
    """REL-15: what is doubtful counts from the latest moment that it can be from."""
    town.alice()
    now.forward(hours=1)
    say(town, "START", at=now.now() + timedelta(minutes=4))
    now.forward(minutes=1)
    say(town, "STOP", timestamp="")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
