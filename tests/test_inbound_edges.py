"""Texts where a plain reading would go wrong: late, doubtful, by halves, or for somebody else."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcenter.consent import audit, catalog, ledger, people
from prefcenter.database import db, writing
from prefcenter.models import Deliverability, OutboxMessage, OutboxStatus, Person, Status, TextKind
from prefcenter.sms import inbox
from tests.cast import ALICE, BOB, Town
from tests.conftest import Clock
from tests.phones import heard, last_event, reviews, say

STRANGER = "+12025550177"
SECOND = "+12025550101"
BOTH = "+12025550100,+12025550101"
PROGRAMMES = {
    "SENDER": BOTH,
    "REVOCATION_SCOPE": "programme",
    "PROGRAMMES": "+12025550100=offers,+12025550101=events+new-books",
}
WINE = {"KEYWORDS": "WINE=wine,SALE=offers"}


def taken(number: str = ALICE) -> frozenset[str]:
    """What somebody takes; everybody's state is what their ledger says."""
    db.session.rollback()
    assert list(audit.differences()) == []
    with writing():
        person = people.by_number(number)
        assert person is not None
        return catalog.taken(person.id)


def kinds(town: Town, number: str = ALICE) -> list[TextKind]:
    return [parcel.kind for parcel in town.work() if parcel.to == number]


# --- one programme alone (RULE-25) ---


@pytest.mark.settings(**PROGRAMMES)
def test_no_older_link_undoes_the_stop_of_a_programme(town: Town, now: Clock) -> None:
    """SEC-16: it may lower, and a new link may raise."""
    link = town.alice(categories=("offers", "events"))
    now.forward(minutes=1)
    say(town, "STOP", to=SECOND)
    town.work()
    both = {"shown": ["offers", "events"], "categories": ["offers", "events"]}
    town.browser.post(link, data=both)
    assert taken() == {"offers"}


@pytest.mark.settings(**PROGRAMMES)
@pytest.mark.parametrize("late", [False, True])
def test_a_programme_comes_back_by_start_in_either_order(
    town: Town, now: Clock, late: bool
) -> None:
    """REL-12, RULE-30."""
    town.alice(categories=("offers", "events"))
    now.forward(minutes=10)
    said = [("STOP", 5), ("START", 10)]
    for word, seconds in reversed(said) if late else said:
        say(town, word, to=SECOND, at=now.now() - timedelta(seconds=60 - seconds))
    assert taken() == {"offers", "events"}


@pytest.mark.settings(**PROGRAMMES)
def test_a_second_stop_of_a_programme_changes_and_says_nothing(town: Town, now: Clock) -> None:
    """RULE-24."""
    town.alice(categories=("offers", "events"))
    for _ in range(2):
        now.forward(minutes=1)
        say(town, "STOP", to=SECOND)
    assert kinds(town) == [TextKind.PREFERENCES]
    assert taken() == {"offers"}


@pytest.mark.settings(**PROGRAMMES)
def test_the_stop_of_a_programme_is_answered_in_time_or_not_at_all(town: Town, now: Clock) -> None:
    """RULE-22."""
    town.alice(categories=("offers", "events"))
    now.forward(hours=21)
    say(town, "STOP", to=SECOND, at=now.now() - timedelta(hours=20))
    assert kinds(town) == []
    assert taken() == {"offers"}


# --- late and doubtful words of a subscriber (REL-12) ---


@pytest.mark.settings(**WINE)
@pytest.mark.parametrize("odd", ["late", "none"])
def test_a_campaign_word_from_before_the_choice_adds_nothing(
    town: Town, now: Clock, odd: str
) -> None:
    link = town.alice(categories=("offers", "events"))
    now.forward(minutes=40)
    shown = {"shown": ["offers", "events"], "categories": ["events"], "frequency": "all"}
    assert town.browser.post(link, data=shown).status_code == 303
    if odd == "late":
        say(town, "SALE", at=now.now() - timedelta(minutes=30))
    else:
        say(town, "SALE", timestamp=None)
    assert taken() == {"events"}
    now.forward(minutes=4)
    say(town, "SALE")
    assert taken() == {"events"}, "within the skew of two clocks, what was unticked stays so"
    now.forward(minutes=2)
    say(town, "SALE")
    assert taken() == {"events", "offers"}


@pytest.mark.parametrize("odd", ["late", "none"])
def test_a_start_from_before_the_pause_does_not_end_it(town: Town, now: Clock, odd: str) -> None:
    town.alice()
    now.forward(hours=1)
    say(town, "PAUSE")
    now.forward(minutes=1)
    if odd == "late":
        say(town, "START", at=now.now() - timedelta(minutes=30))
    else:
        say(town, "START", timestamp=None)
    assert town.person(ALICE).paused_until is not None
    say(town, "START")
    assert town.person(ALICE).paused_until is None


@pytest.mark.settings(ASK_WHICH="yes")
def test_a_digit_answers_no_question_that_never_left(town: Town, now: Clock) -> None:
    """INV-1."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    now.forward(minutes=6)
    assert kinds(town) == []
    assert town.outbox(ALICE)[-1].status is OutboxStatus.EXPIRED
    now.forward(minutes=30)
    say(town, "2")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


def test_a_yes_confirms_a_request_that_waits_for_its_second_copy(town: Town, now: Clock) -> None:
    """REL-4: the call timed out, and yet the text arrived."""
    town.bob()
    with writing():
        again = sa.update(OutboxMessage).where(OutboxMessage.to == BOB)
        db.session.execute(again.values(status=OutboxStatus.QUEUED, copies=1))
        db.session.commit()
    say(town, "YES", BOB)
    assert town.person(BOB).status is Status.SUBSCRIBED
    assert [text.status for text in town.outbox(BOB)][:1] != [OutboxStatus.SENT]


def test_a_yes_to_an_old_request_needs_no_review(town: Town, now: Clock) -> None:
    """Nothing about it is doubtful: there is nothing to confirm."""
    town.bob()
    say(town, "YES", BOB, at=now.now() - timedelta(minutes=30))
    assert town.person(BOB).status is Status.PENDING
    assert reviews() == []


def _deactivated(number: str) -> None:
    with writing():
        gone = sa.update(Person).where(Person.number == number)
        db.session.execute(gone.values(deliverability=Deliverability.DEACTIVATED))
        db.session.commit()


@pytest.mark.parametrize("word", ["START", "JOIN"])
def test_who_has_a_deactivated_number_now_must_confirm_anew(
    town: Town, now: Clock, word: str
) -> None:
    """SEC-20, RULE-51: the next owner gets neither the former one's texts nor their link."""
    link = town.alice()
    now.forward(hours=1)
    _deactivated(ALICE)
    say(town, word)
    texts = town.work()
    assert [parcel.kind for parcel in texts if parcel.to == ALICE] == [TextKind.CONFIRM_REQUEST]
    assert town.person(ALICE).status is Status.PENDING
    assert town.browser.get(link).status_code == 410


def test_a_deactivated_number_is_told_nothing_by_commands_or_links(town: Town, now: Clock) -> None:
    link = town.alice()
    now.forward(hours=1)
    _deactivated(ALICE)
    say(town, "MENU")
    say(town, "MONTHLY")
    town.browser.post(link.replace("/p/", "/l/"))
    assert town.work() == []
    assert town.person(ALICE).frequency == "all"


def test_a_form_for_a_deactivated_number_asks_its_new_owner(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(hours=1)
    _deactivated(ALICE)
    town.sign_up(ALICE)
    assert [parcel.kind for parcel in town.work()] == [TextKind.CONFIRM_REQUEST]
    assert town.person(ALICE).status is Status.PENDING


def test_a_yes_confirms_no_request_that_nobody_saw(town: Town, now: Clock) -> None:
    """RULE-11, RULE-12."""
    town.bob()
    with writing():
        unsent = sa.update(OutboxMessage).where(OutboxMessage.to == BOB)
        db.session.execute(unsent.values(status=OutboxStatus.EXPIRED))
        db.session.commit()
    say(town, "YES", BOB)
    assert town.person(BOB).status is Status.PENDING


@pytest.mark.settings(**WINE)
def test_a_text_states_no_age(town: Town) -> None:
    """RULE-10: an age-gated category is only for a page that asks."""
    with writing():
        catalog.add("wine", "Wine", age_gate=21)
        db.session.commit()
    town.alice()
    say(town, "WINE")
    assert taken() == {"offers"}
    say(town, "WINE", STRANGER)
    requested = town.person(STRANGER).requested
    assert "wine" not in requested and "offers" in requested


# --- who answers ---


@pytest.mark.settings(REPLIES_BY="network")
@pytest.mark.parametrize("text", ["please take me off your list", "ARRET", "AIDE"])
def test_we_answer_what_no_network_knows(town: Town, text: str) -> None:
    """RULE-22, RULE-29: the networks know a short list of English words."""
    town.alice()
    say(town, text)
    assert len(kinds(town)) == 1
    assert heard()[-1].reply == "app"


@pytest.mark.settings(SENDER="+12025550100,+18885550101", REPLIES_BY="+12025550100=network")
@pytest.mark.parametrize("ours", ["+12025550100", "+18885550101"])
@pytest.mark.parametrize("text", ["please stop", "Hi, STOP!"])
def test_we_answer_a_stop_that_no_network_sees(town: Town, ours: str, text: str) -> None:
    """RULE-29: the networks look at how a text begins, so nobody else answers these."""
    town.alice()
    say(town, text, to=ours)
    assert kinds(town) == [TextKind.UNSUBSCRIBED]
    assert json.loads(last_event().changes)["reply"] == "app"


@pytest.mark.settings(REPLIES_BY="network")
@pytest.mark.parametrize(
    "text", ["STOP please", "stop texting me", "“Unsubscribe” me", "Help, pls"]
)
def test_we_leave_to_the_network_what_begins_with_its_word(town: Town, text: str) -> None:
    """RULE-29: never two replies."""
    town.alice()
    say(town, text)
    assert kinds(town) == []
    assert heard()[-1].reply == "network"


def test_no_number_of_other_texts_uses_up_the_reply_to_a_stop(town: Town, now: Clock) -> None:
    """RULE-29."""
    for _ in range(12):
        now.forward(minutes=11)
        say(town, "HELP", STRANGER)
        town.work()
    say(town, "STOP", STRANGER)
    assert kinds(town, STRANGER) == [TextKind.UNSUBSCRIBED]


def test_help_and_then_stop_gets_both_answers(town: Town) -> None:
    town.alice()
    say(town, "HELP")
    say(town, "STOP")
    assert kinds(town) == [TextKind.HELP, TextKind.UNSUBSCRIBED]


def test_the_event_says_who_answered_and_is_right(town: Town, now: Clock) -> None:
    say(town, "START", STRANGER)
    assert kinds(town, STRANGER) == [TextKind.CONFIRM_REQUEST]
    now.forward(minutes=2)
    say(town, "START", STRANGER)
    assert json.loads(last_event(STRANGER).changes)["reply"] == "capped"
    assert kinds(town, STRANGER) == []


@pytest.mark.settings(REPLIES_PER_DAY="1")
def test_the_welcome_follows_every_yes(town: Town, now: Clock) -> None:
    """RULE-9."""
    town.bob()
    say(town, "YES", BOB)
    assert kinds(town, BOB) == [TextKind.WELCOME]
    assert json.loads(last_event(BOB).changes)["reply"] == "app"


# --- a number that went out of service ---


def test_a_number_that_was_out_of_service_is_not_restored(town: Town, now: Clock) -> None:
    """SEC-20, RULE-51: it may have a new owner by now, who must confirm."""
    town.alice()
    say(town, "STOP")
    with writing():
        alice = people.by_number(ALICE)
        assert alice is not None
        alice.deliverability = Deliverability.DEACTIVATED
        ledger.save(alice)
        db.session.commit()
    town.work()
    now.forward(days=90)
    say(town, "who is this")
    assert town.person(ALICE).deliverability is Deliverability.DEACTIVATED
    say(town, "START")
    assert town.person(ALICE).status is Status.PENDING
    assert kinds(town) == [TextKind.CONFIRM_REQUEST]
    say(town, "YES")
    alice = town.person(ALICE)
    assert (alice.status, alice.deliverability) == (Status.SUBSCRIBED, Deliverability.OK)


# --- the inbox ---


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_looking_for_waiting_texts_reads_no_others(town: Town) -> None:
    statement = inbox._WAITING.params(most=20).compile(
        db.engine, compile_kwargs={"literal_binds": True}
    )
    plan = db.session.execute(sa.text(f"EXPLAIN QUERY PLAN {statement}")).all()
    db.session.rollback()
    assert any("ix_inbound_open" in str(row) for row in plan), plan


@pytest.mark.settings(FREQUENCIES="all,1/month")
def test_a_cap_that_is_not_offered_makes_nobody_of_a_stranger(town: Town) -> None:
    say(town, "WEEKLY", STRANGER)
    assert heard(STRANGER)[-1].outcome == "kept"
    with writing():
        assert people.by_number(STRANGER) is None
    say(town, "MONTHLY", STRANGER)
    assert town.person(STRANGER).frequency == "1/month"


@pytest.mark.parametrize(("number", "text"), [(BOB, "NO"), (ALICE, "START")])
def test_help_is_answered_although_more_is_said_at_once(
    town: Town, now: Clock, number: str, text: str
) -> None:
    """RULE-29: the answer still waits to leave when the next word comes."""
    town.bob()
    town.alice()
    say(town, "STOP", ALICE)
    town.work()
    now.forward(minutes=1)
    say(town, "HELP", number)
    say(town, text, number)
    assert TextKind.HELP in kinds(town, number)
