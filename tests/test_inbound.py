"""What people text, from the signed webhook to the text that answers it.

Long, because it is the list of everything that people do by text, in one place.
"""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from prefcenter import config
from prefcenter.consent import audit, catalog, inbound, suppression
from prefcenter.database import db, writing
from prefcenter.models import (
    EventKind,
    Evidence,
    OptInLevel,
    OutboxStatus,
    ReviewReason,
    Source,
    Status,
    TextKind,
)
from prefcenter.sms import inbox
from prefcenter.sms.webhook import InboundText
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import heard, last_event, reviews, say

STRANGER = "+12025550177"


def evidence(number: str = ALICE) -> dict[str, object]:
    """The personal half of the last event's proof."""
    event = last_event(number)
    row = db.session.get(Evidence, event.id)
    assert row is not None
    found: dict[str, object] = json.loads(row.body)
    return found


def answers(town: Town, number: str = ALICE) -> list[TextKind]:
    """What leaves to a number now."""
    return [parcel.kind for parcel in town.work() if parcel.to == number]


def sound() -> None:
    """INV-2, INV-3: the proof holds and every row says what it says."""
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []


# --- STOP ---


def test_stop_ends_everything_at_once_with_one_reply(town: Town) -> None:
    """RULE-21, RULE-22, SEC-36: state, proof, queue and the one acknowledgement together."""
    town.alice()
    link = town.last_link(ALICE)
    town.browser.post(link, data={"shown": "events", "categories": "events"})
    assert town.outbox(ALICE)[-1].status is OutboxStatus.QUEUED
    say(town, "STOP", message_id="m-stop")

    alice = town.person(ALICE)
    assert (alice.status, alice.opt_out_source) == (Status.UNSUBSCRIBED, Source.SMS)
    assert suppression.contains(ALICE)
    event = last_event()
    assert (event.kind, event.source, event.source_detail) == (
        EventKind.REVOKED,
        Source.SMS,
        "STOP",
    )
    assert json.loads(event.changes) | {} == {
        "word": "stop",
        "sure": True,
        "said_at": "2026-11-24T15:00:00+00:00",
        "reply": "app",
        "scope": "all",
        "reading": "stop",
    }
    answer = evidence()["answer"]
    assert isinstance(answer, dict)
    assert (answer["text"], answer["message_id"]) == ("STOP", "m-stop")
    assert [m.status for m in town.outbox(ALICE) if m.kind is TextKind.CHANGED] == [
        OutboxStatus.CANCELLED
    ]
    assert answers(town) == [TextKind.UNSUBSCRIBED]
    assert answers(town) == []
    sound()


def test_the_same_stop_again_changes_nothing(town: Town) -> None:
    """REL-11, SEC-33: once for each message id, for ever."""
    town.alice()
    say(town, "STOP", message_id="m-1")
    town.work()
    before = rows()
    for _ in range(3):
        say(town, "STOP", message_id="m-1")
    assert rows() == before


def test_a_second_stop_is_kept_as_proof_but_not_answered(town: Town, now: Clock) -> None:
    """RULE-24, RULE-31."""
    town.alice()
    say(town, "STOP")
    town.work()
    now.forward(minutes=1)
    say(town, "stop!!")
    assert town.events(ALICE)[-2:] == [EventKind.REVOKED, EventKind.NOTED]
    assert answers(town) == []
    assert [row.outcome for row in heard()] == ["stopped", "again"]
    sound()


def test_a_stop_from_a_number_we_never_saw_suppresses_it(town: Town) -> None:
    """RULE-29: a first STOP is answered for anyone."""
    say(town, "Stop", STRANGER)
    assert town.person(STRANGER).status is Status.UNSUBSCRIBED
    assert suppression.contains(STRANGER)
    assert answers(town, STRANGER) == [TextKind.UNSUBSCRIBED]
    town.sign_up(STRANGER)
    assert answers(town, STRANGER) == []  # SEC-26
    sound()


def test_a_stop_while_pending_kills_the_link(town: Town) -> None:
    link = town.bob()
    say(town, "STOP", BOB)
    assert answers(town, BOB) == [TextKind.UNSUBSCRIBED]
    town.browser.post(link)
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    sound()


@pytest.mark.parametrize(
    ("late", "replies"), [(timedelta(minutes=4, seconds=59), 1), (timedelta(minutes=5), 0)]
)
def test_the_reply_leaves_within_five_minutes_or_not_at_all(
    town: Town, late: timedelta, replies: int
) -> None:
    """RULE-22: counted from Vonage's timestamp; the event says why there is none."""
    town.alice()
    say(town, "STOP", at=town.now() - late)
    assert json.loads(last_event().changes)["reply"] == ("app" if replies else "too_late")
    assert len(answers(town)) == replies


def test_a_reply_that_waited_too_long_for_the_sender_is_dropped(town: Town, now: Clock) -> None:
    town.alice()
    say(town, "STOP", at=now.now() - timedelta(minutes=4))
    now.forward(minutes=2)
    assert answers(town) == []
    assert town.outbox(ALICE)[-1].status is OutboxStatus.EXPIRED


@pytest.mark.settings(REPLIES_BY="network")
def test_where_the_network_answers_we_do_not(town: Town) -> None:
    """RULE-29: one answer, and the event says whose."""
    town.alice()
    say(town, "STOP")
    assert answers(town) == []
    assert json.loads(last_event().changes)["reply"] == "network"
    say(town, "HELP", BOB)
    assert answers(town, BOB) == []
    assert heard(BOB)[0].reply == "network"


@pytest.mark.settings(SENDER="+12025550100,+12025550101", REPLIES_BY="+12025550101=network")
def test_who_answers_is_set_for_each_sender(town: Town) -> None:
    town.alice()
    say(town, "STOP", to="+12025550101")
    assert answers(town) == []
    town.alice(CAROL)
    say(town, "STOP", CAROL)
    assert answers(town, CAROL) == [TextKind.UNSUBSCRIBED]


@pytest.mark.settings(SENDER="+12025550100,+18885550101")
def test_a_toll_free_number_gets_no_second_reply(town: Town) -> None:
    """RULE-29: the carrier answers STOP there, and not HELP."""
    town.alice()
    say(town, "STOP", to="+18885550101")
    assert answers(town) == []
    say(town, "HELP", to="+18885550101")
    assert answers(town) == [TextKind.HELP]


@pytest.mark.settings(SENDER="+12025550100,+12025550101")
def test_one_stop_covers_every_sender_and_is_answered_by_the_one_texted(town: Town) -> None:
    """RULE-25, RULE-28."""
    town.alice()
    say(town, "STOP", to="+12025550101")
    [reply] = town.work()
    assert reply.sender == "+12025550101"
    assert suppression.contains(ALICE)


@pytest.mark.settings(
    SENDER="+12025550100,+12025550101",
    REVOCATION_SCOPE="programme",
    PROGRAMMES="+12025550100=offers,+12025550101=events+new-books",
)
def test_a_programme_can_be_stopped_alone(town: Town) -> None:
    """RULE-25: the choice stands in the event; the last programme stops all."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP", to="+12025550101")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert catalog.taken(town.person(ALICE).id) == {"offers"}
    assert json.loads(last_event().changes)["scope"] == "programme"
    assert answers(town) == [TextKind.PREFERENCES]
    say(town, "STOP")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    sound()


@pytest.mark.settings(
    SENDER="+12025550100,+12025550101",
    REVOCATION_SCOPE="programme",
    PROGRAMMES="+12025550100=offers,+12025550101=events",
)
def test_a_stop_to_a_number_that_we_gave_up_meanwhile_stops_everything(
    app: Flask, town: Town
) -> None:
    """It was stored, and waited while the settings changed: nothing says what it was about."""
    town.alice(categories=("offers", "events"))
    text = InboundText("m1", ALICE, "+12025550101", "STOP", town.now())
    with writing():
        [row] = inbox.store([(text, town.now())])
        db.session.commit()
    app.extensions["prefcenter"] = replace(
        config.current(), senders=("+12025550100",), programmes={"+12025550100": ("offers",)}
    )
    with writing():
        assert row is not None and inbound.handle(row, now=town.now())
        db.session.commit()
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)


# --- which ones? (RULE-23) ---


@pytest.mark.settings(ASK_WHICH="yes")
def test_the_stop_reply_may_ask_which_to_keep(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events", "new-books"))
    say(town, "STOP")
    [question] = town.work()
    assert question.kind is TextKind.WHICH
    assert "1 Sales and offers, 2 New books" in question.body
    assert town.person(ALICE).status is Status.UNSUBSCRIBED  # no answer means all stop
    now.forward(minutes=2)
    say(town, "1 and 3.")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert catalog.taken(town.person(ALICE).id) == {"offers", "events"}
    assert answers(town) == [TextKind.PREFERENCES]
    sound()


@pytest.mark.settings(ASK_WHICH="yes")
@pytest.mark.parametrize("text", ["0", "4", "1 2 of these", "hello", "", "99999999999999"])
def test_what_is_no_answer_keeps_all_stopped(town: Town, now: Clock, text: str) -> None:
    town.alice(categories=("offers", "events", "new-books"))
    say(town, "STOP")
    now.forward(minutes=2)
    say(town, text)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


@pytest.mark.settings(ASK_WHICH="yes")
def test_an_answer_after_a_day_is_too_late(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    now.forward(hours=24, minutes=1)
    say(town, "1")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


def test_a_number_is_no_answer_where_nothing_was_asked(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    now.forward(minutes=2)
    say(town, "1")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


# --- refusals in other words ---


def test_a_refusal_in_free_words_stops_at_once(town: Town) -> None:
    """RULE-19."""
    town.alice()
    say(town, "please take me off your list")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert answers(town) == [TextKind.UNSUBSCRIBED]
    assert reviews() == []


def test_a_likely_refusal_stops_and_opens_a_review(town: Town) -> None:
    """RULE-21: ten business days, with Thanksgiving and a weekend among them."""
    town.alice()
    say(town, "why do i keep getting these")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    [review] = reviews()
    assert review.reason is ReviewReason.LIKELY_REFUSAL
    assert review.person_id == town.person(ALICE).id
    assert review.due_on.isoformat() == "2026-12-09"
    assert json.loads(last_event().changes)["reading"] == "likely"


def test_a_stop_word_elsewhere_is_shown_to_a_person_and_stops_nobody(town: Town) -> None:
    """SEC-35."""
    town.alice()
    say(town, "We have got to STOP this bill")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    [review] = reviews()
    assert review.reason is ReviewReason.MENTIONS_STOP
    assert answers(town) == []


def test_anything_else_is_kept_and_changes_nothing(town: Town) -> None:
    town.alice()
    events = town.events(ALICE)
    say(town, "Do you have the new Le Guin?")
    say(town, "YES")  # no request is open
    say(town, "")
    assert [row.outcome for row in heard()] == ["kept", "nothing_open", "kept"]
    assert town.events(ALICE) == events
    assert answers(town) == []


# --- YES and NO ---


@pytest.mark.parametrize("word", ["YES", "y", "Oui!", "Sí"])
def test_yes_confirms_an_open_request_with_the_text_as_proof(town: Town, word: str) -> None:
    """RULE-3, RULE-11, RULE-12, RULE-9."""
    town.bob()
    request = town.person(BOB).request_ref
    say(town, word, BOB, message_id="m-yes")
    bob = town.person(BOB)
    assert (bob.status, bob.opt_in_level) == (Status.SUBSCRIBED, OptInLevel.CONFIRMED)
    event = last_event(BOB)
    assert (event.kind, event.refers_to) == (EventKind.CONFIRMED, request)
    answer = evidence(BOB)["answer"]
    assert isinstance(answer, dict)
    assert (answer["text"], answer["message_id"]) == (word, "m-yes")
    assert event.wording_sha256 is not None
    assert answers(town, BOB) == [TextKind.WELCOME]
    sound()


def test_a_yes_after_the_request_has_expired_confirms_nothing(town: Town, now: Clock) -> None:
    town.bob()
    now.forward(hours=72)
    say(town, "YES", BOB)
    assert town.person(BOB).status is Status.PENDING


def test_a_yes_from_before_the_request_confirms_nothing(town: Town, now: Clock) -> None:
    town.bob()
    say(town, "YES", BOB, at=now.now() - timedelta(minutes=6))
    assert town.person(BOB).status is Status.PENDING


def test_no_declines(town: Town) -> None:
    link = town.bob()
    say(town, "No", BOB)
    assert town.person(BOB).status is Status.NOT_SUBSCRIBED
    assert answers(town, BOB) == []
    town.browser.post(link)
    assert town.person(BOB).status is Status.NOT_SUBSCRIBED
    sound()


# --- START and JOIN ---


def test_start_restores_what_was_so_with_new_proof(town: Town, now: Clock) -> None:
    """RULE-30."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    town.work()
    now.forward(minutes=1)
    say(town, "START", message_id="m-start")
    alice = town.person(ALICE)
    assert alice.status is Status.SUBSCRIBED
    assert catalog.taken(alice.id) == {"offers", "events"}
    assert last_event().action is not None and last_event().action.value == "re-opt-in"
    answer = evidence()["answer"]
    assert isinstance(answer, dict) and answer["message_id"] == "m-start"
    assert not suppression.contains(ALICE)
    assert answers(town) == [TextKind.RESUBSCRIBED]
    sound()


def test_start_from_a_stranger_asks_for_a_confirmation(town: Town) -> None:
    """RULE-30: what is asked for is what anybody may choose, and no age-gated content."""
    say(town, "Start", STRANGER)
    stranger = town.person(STRANGER)
    assert stranger.status is Status.PENDING
    assert "wine" not in stranger.requested and "offers" in stranger.requested
    assert answers(town, STRANGER) == [TextKind.CONFIRM_REQUEST]
    say(town, "yes", STRANGER)
    assert town.person(STRANGER).status is Status.SUBSCRIBED
    assert answers(town, STRANGER) == [TextKind.WELCOME]
    sound()


def test_start_by_somebody_who_never_confirmed_asks_again(town: Town, now: Clock) -> None:
    say(town, "STOP", STRANGER)
    now.forward(minutes=1)
    say(town, "UNSTOP", STRANGER)
    assert town.person(STRANGER).status is Status.PENDING
    assert answers(town, STRANGER) == [TextKind.CONFIRM_REQUEST]


def test_start_by_a_subscriber_says_so(town: Town) -> None:
    town.alice()
    say(town, "START")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert answers(town) == [TextKind.ALREADY_SUBSCRIBED]
    sound()


def test_start_soon_after_a_stop_on_the_page_asks_for_a_confirmation(
    town: Town, now: Clock
) -> None:
    """REL-12, REL-15: two clocks that may differ by five minutes, so nothing is restored yet."""
    town.carol()
    now.forward(minutes=2)
    say(town, "START", CAROL)
    assert town.person(CAROL).status is Status.PENDING
    assert town.outbox(CAROL)[-1].kind is not TextKind.RESUBSCRIBED
    sound()


def test_start_long_after_a_stop_on_the_page_restores(town: Town, now: Clock) -> None:
    town.carol()
    now.forward(minutes=6)
    say(town, "START", CAROL)
    assert town.person(CAROL).status is Status.SUBSCRIBED


@pytest.mark.settings(KEYWORDS="BOOKS=new-books+events")
def test_an_owners_keyword_asks_for_its_categories(town: Town) -> None:
    say(town, "books!", STRANGER)
    assert town.person(STRANGER).requested == ["events", "new-books"]
    assert answers(town, STRANGER) == [TextKind.CONFIRM_REQUEST]


@pytest.mark.settings(KEYWORDS="BOOKS=new-books+events")
def test_an_owners_keyword_is_added_for_a_subscriber(town: Town) -> None:
    town.alice()
    say(town, "BOOKS")
    assert catalog.taken(town.person(ALICE).id) == {"offers", "new-books", "events"}
    assert answers(town) == [TextKind.PREFERENCES]
    sound()


def test_join_after_a_stop_asks_and_does_not_restore(town: Town, now: Clock) -> None:
    town.alice()
    say(town, "STOP")
    now.forward(minutes=1)
    say(town, "JOIN")
    assert town.person(ALICE).status is Status.PENDING


# --- HELP, and choosing by text ---


def test_help_is_answered_for_anyone(town: Town) -> None:
    """RULE-29, SEC-36."""
    town.alice()
    town.carol()
    for number in (ALICE, CAROL, STRANGER):
        say(town, "Help", number)
        assert answers(town, number) == [TextKind.HELP]
        say(town, "INFO", number)
        assert answers(town, number) == []  # once in ten minutes
    assert town.person(CAROL).status is Status.UNSUBSCRIBED


def test_choices_by_text_are_answered_in_one_part(town: Town, now: Clock) -> None:
    town.alice()
    seen = []
    for word in ("MENU", "LESS", "LESS", "LESS", "WEEKLY", "PAUSE", "RESUME"):
        now.forward(minutes=1)
        say(town, word)
        [parcel] = town.work()
        alice = town.person(ALICE)
        seen.append((word, parcel.kind.value, alice.frequency, alice.paused_until is not None))
    assert seen == [
        ("MENU", "menu", "all", False),
        ("LESS", "preferences", "1/week", False),
        ("LESS", "preferences", "1/month", False),
        ("LESS", "preferences", "1/month", False),
        ("WEEKLY", "preferences", "1/week", False),
        ("PAUSE", "paused", "1/week", True),
        ("RESUME", "resumed", "1/week", False),
    ]
    sound()


@pytest.mark.settings(TEXT_COMMANDS="MENU,LESS")
def test_a_command_that_is_off_changes_nothing_and_is_not_named(town: Town) -> None:
    town.alice()
    say(town, "PAUSE")
    assert town.person(ALICE).paused_until is None
    assert answers(town) == []
    say(town, "MENU")
    [menu] = town.work()
    assert "LESS" in menu.body and "PAUSE" not in menu.body


def test_a_stopped_person_is_not_answered_on_commands(town: Town, now: Clock) -> None:
    town.alice()
    say(town, "STOP")
    town.work()
    now.forward(minutes=1)
    for word in ("MENU", "WEEKLY", "PAUSE", "RESUME"):
        say(town, word)
    assert answers(town) == []


@pytest.mark.settings(REPLIES_PER_DAY="4")
def test_two_robots_cannot_talk_for_ever(town: Town, now: Clock) -> None:
    """SEC-36: whatever comes, only so many answers in a day."""
    town.alice()
    before = len(town.outbox(ALICE))
    for _ in range(12):
        for word in ("STOP", "START", "HELP", "MENU", "WEEKLY", "PAUSE"):
            now.forward(minutes=1)
            say(town, word)
            town.work()
    assert len(town.outbox(ALICE)) - before <= 4
    sound()


def test_a_number_that_we_may_not_text_is_heard_and_not_answered(town: Town) -> None:
    """SEC-29: a premium line, or a country that we do not serve, costs us nothing."""
    for number in ("+19005550123", "+33612345678"):
        say(town, "STOP", number)
        say(town, "HELP", number)
        assert town.person(number).status is Status.UNSUBSCRIBED
        assert {row.reply for row in heard(number)} == {"not_textable"}
    assert town.work() == []


# --- the order of things (REL-12) ---


def test_an_older_start_that_comes_late_changes_nothing(town: Town, now: Clock) -> None:
    town.alice()
    ten = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    now.forward(minutes=1)
    say(town, "STOP", at=ten + timedelta(seconds=5))
    say(town, "START", at=ten)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    say(town, "START", at=ten + timedelta(seconds=5))  # the same second: the stop wins
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    say(town, "START", at=ten + timedelta(seconds=10))
    assert town.person(ALICE).status is Status.SUBSCRIBED
    sound()


def test_a_start_of_a_doubtful_time_never_takes_effect(town: Town, now: Clock) -> None:
    """REL-12: missing, unreadable, or ahead of us; a person looks at it."""
    town.alice()
    say(town, "STOP")
    for odd in (None, "yesterday", "2099-01-01T00:00:00Z"):
        now.forward(minutes=1)
        say(town, "START", timestamp=odd, message_id=str(uuid.uuid4()))
        assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert {review.reason for review in reviews()} == {ReviewReason.DOUBTFUL_START}
    sound()


@pytest.mark.parametrize("odd", [None, "yesterday", "2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_stop_of_a_doubtful_time_stops(town: Town, now: Clock, odd: str | None) -> None:
    town.alice()
    now.forward(hours=1)
    say(town, "STOP", timestamp=odd)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    now.forward(minutes=1)
    say(town, "START")
    assert town.person(ALICE).status is Status.SUBSCRIBED  # the odd time blocks no later START


def test_a_late_stop_that_a_new_opt_in_has_overtaken_is_kept_only(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=30)
    say(town, "START")
    now.forward(minutes=30)
    say(town, "STOP", at=now.now() - timedelta(minutes=40))
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert town.events(ALICE)[-1] is EventKind.NOTED
    sound()


def test_a_late_stop_close_to_a_confirmation_by_link_wins(town: Town, now: Clock) -> None:
    """REL-12: their clock against ours is less certain, so stopped."""
    link = town.bob()
    said = now.now() - timedelta(minutes=2)
    now.forward(minutes=1)
    town.browser.post(link)
    say(town, "STOP", BOB, at=said)
    assert town.person(BOB).status is Status.UNSUBSCRIBED


@pytest.mark.parametrize("shift", [-5, 5])
def test_a_clock_five_minutes_off_changes_no_decision(town: Town, now: Clock, shift: int) -> None:
    """REL-15."""
    town.alice()
    now.forward(hours=1)
    ahead = timedelta(minutes=shift)
    say(town, "STOP", at=now.now() + ahead)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    now.forward(seconds=10)
    say(town, "START", at=now.now() + ahead)
    assert town.person(ALICE).status is Status.SUBSCRIBED


@pytest.mark.settings(TEXTS_AT_ONCE="0")
def test_nothing_leaves_to_a_number_whose_text_waits(town: Town) -> None:
    """INV-1: a stored STOP that is not yet worked holds back what is queued."""
    town.alice()
    town.browser.post(town.last_link(ALICE), data={"shown": "events", "categories": "events"})
    say(town, "STOP")
    assert heard()[-1].handled_at is None
    assert town.work() == []
