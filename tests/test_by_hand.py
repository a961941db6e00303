"""What people who work here do for somebody: it stops, and it never turns texts on."""

import json
import re
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock
from prefcenter.consent import audit, by_hand, catalog, ledger, people, second_look, suppression
from prefcenter.consent.by_hand import Channel, Sent, Wish
from prefcenter.consent.ledger import Proof
from prefcenter.consent.outlook import Outlook
from prefcenter.consent.second_look import Decision
from prefcenter.consent.state import MoveError
from prefcenter.database import db, writing
from prefcenter.models import (
    Action,
    Deliverability,
    EventKind,
    Evidence,
    OutboxStatus,
    Person,
    Review,
    Source,
    Status,
    Suppression,
    SuppressionReason,
    TextKind,
)
from tests import webhooks
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import last_event, reviews, say
from tests.test_architecture import PACKAGE

DANA = Decision("dana", "I rang her up.")
LIKELY = "No thanks"
WRITES_RETURN = re.compile(r"ledger\.record\([^)]*EventKind\.RESTARTED")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def wish(now: Clock, *, minutes_ago: float = 60, channel: Channel = Channel.PHONE) -> Wish:
    at = now.now() - timedelta(minutes=minutes_ago)
    return Wish(channel, at, "She called and said no more texts.", "dana")


def revoke(town: Town, number: str, wished: Wish) -> None:
    with writing():
        person = people.by_number(number)
        assert person is not None
        by_hand.revoke(person, wished, now=town.now())
        db.session.commit()


def decide(town: Town, verdict: bool, review: Review | None = None) -> bool:
    """What Dana says of the only open review, or of one: was it a refusal?"""
    waiting = [one for one in reviews() if one.closed_at is None]
    public_id = (review or waiting[0]).public_id
    with writing():
        case = second_look.take(public_id, now=town.now())
        assert case is not None
        rule = second_look.confirm_refusal if verdict else second_look.deny_refusal
        done = rule(case, DANA, now=town.now())
        db.session.execute(
            sa.update(Review).where(Review.public_id == public_id).values(closed_at=town.now())
        )
        db.session.commit()
    return done


def outlook_now(number: str = ALICE) -> Outlook:
    """Of the first review."""
    with writing():
        review = db.session.scalars(sa.select(Review).order_by(Review.id)).first()
        assert review is not None
        case = second_look.take(review.public_id, now=clock.now())
        assert case is not None
        return case.outlook


def sound() -> None:
    """INV-2, REL-22: the rows say what the ledger says, and the proof is whole."""
    db.session.rollback()
    db.session.expire_all()
    assert list(audit.differences()) == []
    assert list(audit.faults()) == []
    db.session.rollback()


# --- revocations by hand


@pytest.mark.parametrize("channel", Channel)
def test_alice_calls_and_is_stopped_at_once(town: Town, now: Clock, channel: Channel) -> None:
    """RULE-20, RULE-21: every way in stops; channel, time, words and who took it are proof."""
    town.alice()
    received = now.now() - timedelta(days=2)
    revoke(town, ALICE, Wish(channel, received, " She said no more. ", "dana"))
    event = last_event()
    assert (event.kind, event.source, event.action) == (
        EventKind.REVOKED,
        Source.ADMIN,
        Action.OPT_OUT,
    )
    assert event.source_detail == "dana"
    assert json.loads(event.changes) == {
        "word": "stop",
        "scope": "all",
        "channel": channel.value,
        "received_at": received.isoformat(),
    }
    body = json.loads(db.session.get_one(Evidence, event.id).body)
    assert body["number"] == ALICE
    assert body["answer"] == {
        "channel": channel.value,
        "received_at": received.isoformat(),
        "note": "She said no more.",
        "recorded_by": "dana",
    }
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)
    reason = db.session.scalars(sa.select(Suppression.reason)).one()
    assert reason is SuppressionReason.ADMIN
    sound()


def test_what_waits_to_leave_is_taken_back_and_nothing_more_is_sent(town: Town, now: Clock) -> None:
    """RULE-22: two days after the letter came no text acknowledges it any more."""
    link = town.bob(ALICE)
    town.browser.post(link)  # her welcome waits
    revoke(town, ALICE, wish(now, minutes_ago=2 * 24 * 60, channel=Channel.LETTER))
    assert town.work() == []
    assert [(t.kind, t.status) for t in town.outbox(ALICE)][1:] == [
        (TextKind.WELCOME, OutboxStatus.CANCELLED)
    ]


@pytest.mark.parametrize(("minutes", "told"), [(0, True), (4.9, True), (5, False), (60, False)])
def test_one_text_says_so_only_in_the_first_minutes(
    town: Town, now: Clock, minutes: float, told: bool
) -> None:
    """RULE-22: counted from when she called, not from when Dana wrote it down."""
    town.alice()
    revoke(town, ALICE, wish(now, minutes_ago=minutes))
    queued = [text.kind for text in town.outbox(ALICE)]
    assert queued.count(TextKind.UNSUBSCRIBED) == told
    assert [parcel.kind for parcel in town.work()] == [TextKind.UNSUBSCRIBED] * told
    if told:
        text = town.outbox(ALICE)[-1]
        assert text.expires_at == now.now() + timedelta(minutes=5 - minutes)


def test_each_wish_counts_also_from_somebody_who_has_stopped(town: Town, now: Clock) -> None:
    """RULE-31: each request is on record; none of them is answered by a text."""
    town.carol()
    town.work()
    for _ in range(2):
        now.forward(minutes=1)
        revoke(town, CAROL, wish(now, minutes_ago=0))
    assert town.events(CAROL)[-3:] == [EventKind.REVOKED] * 3
    assert town.work() == []
    sound()


def test_after_a_call_no_link_undoes_the_stop(town: Town, now: Clock) -> None:
    """SEC-16: the page of her stop could be undone for an hour; what she said to Dana cannot."""
    link = town.carol()
    revoke(town, CAROL, wish(now, minutes_ago=0))
    page = town.browser.get(link).text
    version = page.partition('name="text_version" value="')[2].partition('"')[0]
    town.browser.post(f"{link}/start", data={"text_version": version})
    assert town.person(CAROL).status is Status.UNSUBSCRIBED


def test_a_pending_person_and_one_we_never_heard_of_can_be_stopped_too(
    town: Town, now: Clock
) -> None:
    link = town.bob()
    revoke(town, BOB, wish(now))
    town.browser.post(link)
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    with writing():
        stranger = people.enrol("+12025550199", "US", "en", now=now.now())
        by_hand.revoke(stranger, wish(now), now=now.now())
        db.session.commit()
    town.sign_up("+12025550199")
    assert town.work() == []
    sound()


@pytest.mark.usefixtures("app")
@on_sqlite
def test_a_wish_from_the_future_or_without_a_word_is_refused(town: Town, now: Clock) -> None:
    town.alice()
    before = rows()
    for received, note, why in (
        (now.now() + timedelta(minutes=6), "x", "future"),
        (now.now(), "  ", "note"),
    ):
        with pytest.raises(ValueError, match=why):
            revoke(town, ALICE, Wish(Channel.PHONE, received, note, "dana"))
    db.session.rollback()
    assert rows() == before


def test_start_from_the_handset_works_after_a_stop_by_hand(town: Town, now: Clock) -> None:
    """RULE-30: only the phone itself turns texts on again."""
    town.alice()
    revoke(town, ALICE, wish(now))
    now.forward(minutes=20)
    say(town, "START")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    sound()


# --- the link


def send_link(town: Town, number: str) -> Sent:
    with writing():
        person = people.by_number(number)
        assert person is not None
        done = by_hand.send_link(person, now=town.now())
        db.session.commit()
    return done


def test_only_a_subscriber_is_sent_the_link(town: Town, now: Clock) -> None:
    """RULE-43: a stopped number is not texted to come back; a pending one has its request."""
    town.alice()
    town.bob()
    town.carol()
    now.forward(hours=1)
    assert [send_link(town, n) for n in (ALICE, BOB, CAROL)] == [Sent.DONE, Sent.OFF, Sent.OFF]
    [parcel] = town.work()
    assert (parcel.to, parcel.kind) == (ALICE, TextKind.NEW_LINK)
    assert "/p/" in parcel.body


def test_the_limits_hold_for_staff_too(town: Town, now: Clock) -> None:
    """SEC-28: one in ten minutes and three in a day, whoever presses."""
    town.alice()
    now.forward(hours=1)
    assert send_link(town, ALICE) is Sent.DONE
    assert send_link(town, ALICE) is Sent.LIMITED
    now.forward(minutes=11)
    assert send_link(town, ALICE) is Sent.DONE


def test_a_number_out_of_service_gets_no_link(town: Town, now: Clock) -> None:
    """SEC-20."""
    town.alice()
    now.forward(hours=1)
    correct(town, ALICE, Deliverability.DEACTIVATED)
    assert send_link(town, ALICE) is Sent.LAPSED


# --- whether texts arrive


def correct(town: Town, number: str, to: Deliverability) -> bool:
    with writing():
        person = people.by_number(number)
        assert person is not None
        done = by_hand.correct(person, to)
        db.session.commit()
    return done


def test_deliverability_is_corrected_and_the_consent_stays(town: Town) -> None:
    """RULE-51; from "out of service" only the phone itself leads back (SEC-20)."""
    town.alice()
    before = town.events(ALICE)
    ok, bad, gone = Deliverability.OK, Deliverability.INVALID, Deliverability.DEACTIVATED
    assert not correct(town, ALICE, ok), "it is so already"
    assert correct(town, ALICE, bad) and correct(town, ALICE, ok) and correct(town, ALICE, gone)
    for wanted in (ok, bad, Deliverability.SOFT_FAILED, Deliverability.REASSIGNED):
        assert not correct(town, ALICE, wanted), "not in two steps either"
    assert town.person(ALICE).deliverability is gone
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert town.events(ALICE) == before
    sound()


def test_a_new_owner_starts_from_nothing(town: Town) -> None:
    """RULE-51: the former owner's consent and links end; the new one may sign up."""
    link = town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        by_hand.new_owner(person, "dana", "The new owner rang.", now=town.now())
        db.session.commit()
    assert town.browser.get(link).status_code == 410
    with writing():
        former = db.session.scalars(sa.select(Person)).one()
        assert (former.number, former.status) == (None, Status.NOT_SUBSCRIBED)
        assert by_hand.corrections(former) == ()
        assert by_hand.link_state(former) is Sent.OFF
    assert not suppression.contains(ALICE)
    sound()


# --- "it was not a refusal"


def test_what_a_doubtful_text_took_away_is_put_back(town: Town, now: Clock) -> None:
    """RULE-19: Alice meant her taxi; whoever read it says so, with full evidence."""
    town.alice()
    town.work()
    confirmed = town.person(ALICE).confirmed_at
    now.forward(hours=1)
    say(town, LIKELY)
    stop = last_event()
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    town.work()
    now.forward(days=1)
    assert outlook_now() is Outlook.PUT_BACK
    assert decide(town, False) is True
    alice = town.person(ALICE)
    assert alice.status is Status.SUBSCRIBED
    assert alice.confirmed_at == confirmed, "nobody agreed anew"
    assert catalog.taken(alice.id) == {"offers"}
    assert not suppression.contains(ALICE)
    event = last_event()
    assert (event.kind, event.source, event.refers_to) == (
        EventKind.RESTARTED,
        Source.ADMIN,
        stop.public_id,
    )
    answer = json.loads(db.session.get_one(Evidence, event.id).body)["answer"]
    assert answer["text"] == LIKELY
    assert (answer["decision"], answer["recorded_by"], answer["note"]) == (
        "no refusal",
        "dana",
        "I rang her up.",
    )
    assert town.work() == [], "no text says so"
    sound()


def test_a_pause_that_is_not_over_is_put_back_too(town: Town, now: Clock) -> None:
    link = town.alice()
    town.browser.post(f"{link}/pause", data={"pause": "1m"})
    until = town.person(ALICE).paused_until
    say(town, LIKELY)
    assert town.person(ALICE).paused_until is None
    decide(town, False)
    assert town.person(ALICE).paused_until == until
    sound()


def _stop_by_text(town: Town, now: Clock) -> None:
    say(town, "STOP")


def _late_stop(town: Town, now: Clock) -> None:
    """Said before the doubtful text, brought after it."""
    say(town, "STOP", at=now.now() - timedelta(minutes=30))


def _stop_by_phone(town: Town, now: Clock) -> None:
    revoke(town, ALICE, wish(now, minutes_ago=0))


def _new_owner(town: Town, now: Clock) -> None:
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        by_hand.new_owner(person, "dana", "x", now=now.now())
        db.session.commit()


def _came_back(town: Town, now: Clock) -> None:
    say(town, "START")


def _out_of_service(town: Town, now: Clock) -> None:
    correct(town, ALICE, Deliverability.DEACTIVATED)


def _stop_on_page(town: Town, now: Clock) -> None:
    town.browser.post(f"{town.last_link(ALICE)}/stop")


def _provider_block(town: Town, now: Clock, of: TextKind = TextKind.UNSUBSCRIBED) -> None:
    """The provider refuses the reply to her text, because she told it to stop as well."""
    [text] = [t for t in town.outbox(ALICE) if t.kind is of]
    raw = webhooks.status_body(
        "rejected", message_id=text.provider_id or "", ref=text.ref, code="1240", at=now.now()
    )
    town.browser.post(webhooks.STATUS, data=raw, headers=webhooks.headers(raw, now=now.now()))
    db.session.expire_all()
    assert text.reason == "opted out at the provider"


def _provider_block_of_an_earlier_text(town: Town, now: Clock) -> None:
    """It had left before her doubtful text, and only now we learn what became of it."""
    _provider_block(town, now, TextKind.WELCOME)


@pytest.mark.parametrize(
    ("since", "outlook", "ends"),
    [
        (_stop_by_text, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_late_stop, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_stop_by_phone, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_stop_on_page, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_provider_block, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_provider_block_of_an_earlier_text, Outlook.STOPPED_SINCE, Status.UNSUBSCRIBED),
        (_out_of_service, Outlook.NEW_OWNER, Status.UNSUBSCRIBED),
        (_came_back, Outlook.BACK_ALREADY, Status.SUBSCRIBED),
    ],
)
def test_nothing_is_put_back_past_what_came_since(
    town: Town, now: Clock, since: object, outlook: Outlook, ends: Status
) -> None:
    """INV-1, SEC-44: never after an explicit STOP, whoever says it was none."""
    town.alice()
    now.forward(hours=1)
    say(town, LIKELY)
    town.work()
    now.forward(minutes=10)
    assert callable(since)
    since(town, now)
    assert outlook_now() is outlook
    assert decide(town, False) is False
    assert town.person(ALICE).status is ends
    assert suppression.contains(ALICE) is (ends is Status.UNSUBSCRIBED)
    sound()


def test_a_former_owner_gets_nothing_back(town: Town, now: Clock) -> None:
    town.alice()
    say(town, LIKELY)
    _new_owner(town, now)
    assert outlook_now() is Outlook.NEW_OWNER
    assert decide(town, False) is False
    assert suppression.contains(ALICE)


def test_a_stop_that_came_before_stays(town: Town, now: Clock) -> None:
    """Carol stopped on her page; the doubtful text came after it and took nothing away."""
    town.carol()
    now.forward(hours=1)
    say(town, LIKELY, CAROL)
    assert town.events(CAROL)[-2:] == [EventKind.REVOKED, EventKind.REVOKED]
    assert outlook_now() is Outlook.NOTHING
    assert decide(town, False) is False
    assert town.person(CAROL).status is Status.UNSUBSCRIBED
    sound()


def test_a_request_that_nobody_confirmed_is_not_revived(town: Town) -> None:
    """INV-5: Bob never said yes, so there is nothing to put back."""
    town.bob()
    say(town, LIKELY, BOB)
    assert outlook_now() is Outlook.NOT_CONFIRMED
    assert decide(town, False) is False
    assert town.person(BOB).status is Status.UNSUBSCRIBED


def test_two_doubtful_texts_are_read_both_before_anything_comes_back(
    town: Town, now: Clock
) -> None:
    """Whichever is read last decides; one refusal among them is enough."""
    town.alice()
    for _ in range(2):
        now.forward(minutes=30)
        say(town, LIKELY)
    first, second = reviews()
    assert outlook_now() is Outlook.OTHER_FIRST
    with pytest.raises(ValueError, match="not yet"):
        decide(town, False, first)
    assert decide(town, False, second) is False
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert decide(town, False, first) is True
    assert town.person(ALICE).status is Status.SUBSCRIBED
    sound()


def test_one_refusal_of_two_doubtful_texts_keeps_it_stopped(town: Town, now: Clock) -> None:
    town.alice()
    for _ in range(2):
        now.forward(minutes=30)
        say(town, LIKELY)
    first, second = reviews()
    assert decide(town, True, second) is False, "it was stopped already"
    assert outlook_now() is Outlook.STOPPED_SINCE
    assert decide(town, False, first) is False
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    sound()


def test_after_it_was_put_back_an_older_stop_that_comes_late_still_wins(
    town: Town, now: Clock
) -> None:
    """REL-12, INV-1: a decision of ours is no opt-in of hers."""
    town.alice()
    now.forward(hours=1)
    said_at = now.now()
    now.forward(hours=1)
    say(town, LIKELY)
    now.forward(hours=1)
    decide(town, False)
    assert town.person(ALICE).status is Status.SUBSCRIBED
    now.forward(hours=1)
    say(town, "STOP", at=said_at)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)


PROGRAMMES = pytest.mark.settings(
    REVOCATION_SCOPE="programme",
    SENDER="+12025550100,+12025550101",
    PROGRAMMES="+12025550100=offers,+12025550101=events+new-books",
)


@PROGRAMMES
def test_of_one_programme_only_that_is_put_back(town: Town, now: Clock) -> None:
    """RULE-25."""
    town.alice(categories=("offers", "events"))
    now.forward(minutes=30)
    say(town, LIKELY)
    assert catalog.taken(town.person(ALICE).id) == {"events"}
    assert outlook_now() is Outlook.PUT_BACK_KINDS
    assert decide(town, False) is True
    assert catalog.taken(town.person(ALICE).id) == {"offers", "events"}
    sound()


@PROGRAMMES
def test_what_she_saved_on_her_page_since_is_her_choice(town: Town, now: Clock) -> None:
    """INV-1: she saw that the kinds were off, left them off, and saved."""
    town.alice(categories=("offers", "events"))
    now.forward(minutes=30)
    say(town, LIKELY, to="+12025550101")
    now.forward(minutes=30)
    with writing():
        person = people.by_number(ALICE)
        assert person is not None and by_hand.send_link(person, now=now.now()) is Sent.DONE
        db.session.commit()
    town.work()
    saved = {"shown": ["offers", "events"], "categories": ["offers"], "frequency": "1/month"}
    town.browser.post(town.last_link(ALICE), data=saved)
    assert town.person(ALICE).frequency == "1/month"
    assert outlook_now() is Outlook.BACK_ALREADY
    assert decide(town, False) is False
    assert catalog.taken(town.person(ALICE).id) == {"offers"}
    sound()


@pytest.mark.settings(ASK_WHICH="yes")
def test_while_she_may_answer_which_texts_to_keep_nothing_is_put_back(
    town: Town, now: Clock
) -> None:
    """RULE-23: her own answer says more than whoever reads her text can."""
    town.alice(categories=("offers", "events"))
    say(town, LIKELY)
    town.work()
    now.forward(minutes=1)
    assert outlook_now() is Outlook.ASKED
    with pytest.raises(ValueError, match="not yet"):
        decide(town, False)
    say(town, "1")
    assert len(catalog.taken(town.person(ALICE).id)) == 1
    assert outlook_now() is Outlook.BACK_ALREADY
    assert decide(town, False) is False
    assert len(catalog.taken(town.person(ALICE).id)) == 1
    sound()


@pytest.mark.settings(ASK_WHICH="yes")
def test_after_the_time_for_an_answer_it_is_put_back(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events"))
    say(town, LIKELY)
    town.work()
    now.forward(hours=24, seconds=1)
    assert decide(town, False) is True
    assert catalog.taken(town.person(ALICE).id) == {"offers", "events"}
    sound()


# --- "it was a refusal"


@pytest.mark.settings(ASK_WHICH="yes")
@pytest.mark.parametrize("other", [decide, _provider_block_of_an_earlier_text])
def test_what_others_say_closes_no_question_of_hers(town: Town, now: Clock, other: object) -> None:
    """RULE-23: Dana reads the text, or the network reports an older one; her answer counts."""
    town.alice(categories=("offers", "events"))
    now.forward(hours=1)
    say(town, LIKELY)
    town.work()
    now.forward(minutes=1)
    assert callable(other)
    other(town, True if other is decide else now)
    assert last_event().kind is EventKind.NOTED
    now.forward(minutes=1)
    say(town, "1")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert len(catalog.taken(town.person(ALICE).id)) == 1
    sound()


def test_a_doubtful_text_that_was_a_refusal_stays_one(town: Town, now: Clock) -> None:
    town.alice()
    say(town, LIKELY)
    assert decide(town, True) is False
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    event = last_event()
    assert (event.kind, json.loads(event.changes)["word"]) == (EventKind.NOTED, "refusal")
    sound()


FLAGGED = "The bus does not stop at your shop"


def test_a_text_that_only_mentions_it_stops_now_when_it_was_one(town: Town, now: Clock) -> None:
    town.alice()
    town.work()
    say(town, FLAGGED)
    assert [one.reason for one in reviews()] == ["mentions_stop"]
    assert town.person(ALICE).status is Status.SUBSCRIBED
    now.forward(days=1)
    assert decide(town, True) is True
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)
    assert town.work() == [], "a day later no text acknowledges it (RULE-22)"
    sound()


def test_an_opt_in_that_is_newer_than_the_text_stands(town: Town, now: Clock) -> None:
    """REL-12: she wrote, and an hour later said START."""
    town.alice()
    now.forward(hours=1)
    say(town, FLAGGED)
    now.forward(hours=1)
    say(town, "START")
    assert decide(town, True) is False
    assert town.person(ALICE).status is Status.SUBSCRIBED


def test_a_stranger_who_refused_is_suppressed(town: Town) -> None:
    """RULE-31: whoever never signed up may still not be texted after it."""
    say(town, FLAGGED, "+12025550198")
    [review] = reviews()
    assert review.person_id is None
    assert decide(town, True) is True
    assert suppression.contains("+12025550198")
    assert reviews()[0].person_id == town.person("+12025550198").id
    sound()


def test_a_closed_review_is_not_decided_again(town: Town) -> None:
    town.alice()
    say(town, LIKELY)
    [review] = reviews()
    decide(town, True)
    with writing():
        assert second_look.take(review.public_id, now=town.now()) is None
        assert second_look.take("nobody", now=town.now()) is None


# --- nobody else gets past a stop


def restart_by(source: Source, person: Person, now: datetime, refers_to: str | None) -> None:
    proof = Proof(source=source, detail="mallory")
    ledger.record(person, EventKind.RESTARTED, proof, now=now, refers_to=refers_to)


@pytest.mark.usefixtures("app")
def test_the_ledger_itself_takes_back_no_other_stop_by_hand(town: Town, now: Clock) -> None:
    """SEC-44: not one of a page, of the provider or of Dana's own hand."""
    town.carol()
    for source in set(Source) - {Source.SMS}:
        with writing():
            person = people.by_number(CAROL)
            assert person is not None
            person.opt_out_source = source
            with pytest.raises(MoveError):
                restart_by(Source.ADMIN, person, now.now(), None)


def test_a_return_by_hand_that_undoes_a_clear_stop_shows_in_the_proof(
    town: Town, now: Clock
) -> None:
    """SEC-44: `prefcenter verify` names it, should a faulty version ever write one."""
    town.alice()
    say(town, "STOP")
    for refers_to in (None, last_event().public_id):
        with writing():
            person = people.by_number(ALICE)
            assert person is not None
            restart_by(Source.ADMIN, person, now.now(), refers_to)
            [fault] = audit.faults()
            assert "takes back a stop" in fault


@on_sqlite
def test_two_modules_alone_write_a_return(app: Flask) -> None:
    """What people do themselves (preferences.py), and what is put back by hand."""
    sources = {path.stem: path.read_text() for path in PACKAGE.rglob("*.py")}
    writers = {name for name, text in sources.items() if WRITES_RETURN.search(text)}
    assert writers == {"preferences", "second_look"}
