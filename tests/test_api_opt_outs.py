"""`POST /api/v1/opt-outs`: somebody refused elsewhere, and Bob's CRM passes it on.

Alice is subscribed, Bob pending, Carol has stopped, Dave is nobody we know. What the CRM hears is
the same for all of them.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import audit, catalog, suppression
from prefcenter.consent.by_hand import Channel
from prefcenter.database import db, writing
from prefcenter.models import (
    Action,
    ApiKey,
    ConsentEvent,
    EventKind,
    OutboxStatus,
    Source,
    Status,
    Suppression,
    SuppressionReason,
    TextKind,
)
from prefcenter.web import guards
from tests.caller import Caller, program, seen
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import last_event, say
from tests.watching import listening
from tests.web_shop import DAVE, LEFT_OUT, on_sqlite, refused, tells_a_number

ABROAD = "+4915112345678"  # not among the countries that we text


@pytest.fixture
def crm(town: Town) -> Caller:
    return program(town, "write", name="crm")


def sound() -> None:
    """INV-2, REL-22: the rows say what the ledger says, and the proof is whole."""
    db.session.rollback()
    db.session.expire_all()
    assert list(audit.differences()) == []
    assert list(audit.faults()) == []
    db.session.rollback()


def recorded(town: Town, number: str, answer: Any) -> ConsentEvent:
    """The event that an answer names is the number's last one."""
    assert answer.status_code == 200, answer.text
    assert answer.get_json() == {"status": "recorded", "event": last_event(number).public_id}
    return last_event(number)


@pytest.mark.settings(ASK_WHICH="yes")
def test_a_refusal_that_was_passed_on_closes_no_question(
    town: Town, crm: Caller, now: Clock
) -> None:
    """RULE-23: Alice stopped, was asked which ones to keep, and says so after the CRM's word."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    town.work()
    now.forward(minutes=2)
    assert crm.opt_out(ALICE, categories=["events"]).status_code == 200
    passed_on = last_event(ALICE)
    assert (passed_on.kind, passed_on.source) == (EventKind.NOTED, Source.API)
    say(town, "1 2", at=now.now() - timedelta(minutes=1))
    assert town.person(ALICE).status is Status.UNSUBSCRIBED, "her refusal is newer than that text"
    say(town, "1 2", at=now.now() + timedelta(minutes=4))
    assert town.person(ALICE).status is Status.UNSUBSCRIBED, "or may be: two clocks (REL-15)"
    now.forward(minutes=6)
    say(town, "1")
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert catalog.taken(town.person(ALICE).id) == {"offers"}
    sound()


# --- what it does


def test_alices_letter_stops_everything_at_once_with_full_proof(
    town: Town, crm: Caller, now: Clock
) -> None:
    """RULE-20, RULE-21, RULE-31: who took it, when it came, in which words."""
    town.alice()
    event = recorded(town, ALICE, crm.opt_out("(202) 555-0143"))
    assert (event.kind, event.action) == (EventKind.REVOKED, Action.OPT_OUT)
    assert (event.source, event.source_detail) == (Source.API, "crm")
    said = json.loads(event.changes)
    assert (said["scope"], said["channel"], said["received_at"]) == (
        "all",
        "letter",
        "2026-11-24T14:00:00+00:00",
    )
    assert seen(ALICE)["answer"] == {
        "channel": "letter",
        "received_at": "2026-11-24T14:00:00+00:00",
        "note": "No more texts, please.",
        "recorded_by": "crm",
    }
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)
    reason = db.session.scalars(sa.select(Suppression.reason)).one()
    assert reason is SuppressionReason.ADMIN
    db.session.rollback()
    assert town.work() == [], "an hour later no text acknowledges it (RULE-22)"
    assert db.session.scalars(sa.select(ApiKey.last_used_at)).one() == now.now()
    sound()


@pytest.mark.parametrize("channel", list(Channel))
@on_sqlite
def test_every_channel_counts(town: Town, crm: Caller, channel: Channel) -> None:
    """RULE-20: no way out is the only one."""
    town.alice()
    assert crm.opt_out(ALICE, channel=channel.value).status_code == 200
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


@pytest.mark.parametrize(("minutes", "told"), [(0, 1), (4, 1), (5, 0), (60, 0)])
def test_one_text_says_so_only_in_the_first_minutes(
    town: Town, crm: Caller, now: Clock, minutes: int, told: int
) -> None:
    """RULE-22: counted from when it reached the shop."""
    town.alice()
    received = now.now() - timedelta(minutes=minutes)
    crm.opt_out(ALICE, received_at=received.isoformat())
    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED] * told
    if told:
        text = town.outbox(ALICE)[-1]
        assert text.expires_at == received + timedelta(minutes=5)


def test_a_welcome_that_waits_is_taken_back(town: Town, crm: Caller) -> None:
    """REL-8."""
    town.browser.post(town.bob(ALICE))
    crm.opt_out(ALICE)
    assert town.work() == []
    assert town.outbox(ALICE)[-1].status is OutboxStatus.CANCELLED


def test_carol_who_stopped_is_on_record_once_more_and_gets_no_second_text(
    town: Town, crm: Caller, now: Clock
) -> None:
    """RULE-24, RULE-31."""
    town.carol()
    for _ in range(2):
        now.forward(minutes=1)
        recorded(town, CAROL, crm.opt_out(CAROL, received_at=now.now().isoformat()))
    assert town.events(CAROL)[-3:] == [EventKind.REVOKED] * 3
    assert town.work() == []
    sound()


def test_bob_who_was_asked_cannot_confirm_any_more(town: Town, crm: Caller) -> None:
    link = town.bob()
    recorded(town, BOB, crm.opt_out(BOB))
    town.browser.post(link)
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    assert town.work() == []


@pytest.mark.parametrize("number", [DAVE, ABROAD])
def test_whom_we_never_heard_of_is_known_as_stopped(town: Town, crm: Caller, number: str) -> None:
    """As a STOP of theirs would do: no form signs them up afterwards (RULE-62, SEC-26)."""
    recorded(town, number, crm.opt_out(number))
    assert town.person(number).status is Status.UNSUBSCRIBED
    assert suppression.contains(number)
    town.sign_up(number)
    assert town.work() == []
    sound()


def test_daves_own_phone_opens_what_the_crm_closed(town: Town, crm: Caller, now: Clock) -> None:
    """RULE-30, SEC-16: START from the handset, and no link of before."""
    link = town.alice()
    crm.opt_out(ALICE)
    page = town.browser.get(link).text
    version = page.partition('name="text_version" value="')[2].partition('"')[0]
    town.browser.post(f"{link}/start", data={"text_version": version})
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    now.forward(minutes=20)
    say(town, "START")
    assert town.person(ALICE).status is Status.SUBSCRIBED


def test_the_crm_hears_the_same_of_everybody(town: Town, crm: Caller) -> None:
    """SEC-24: a key that may write does not learn who is a customer."""
    town.alice(), town.bob(), town.carol()
    answers = [crm.opt_out(number) for number in (ALICE, BOB, CAROL, DAVE, ABROAD, ALICE)]
    shapes = set()
    for answer in answers:
        found = answer.get_json()
        assert len(found.pop("event")) == 22
        assert answer.content_length == answers[0].content_length
        shapes.add((answer.status_code, json.dumps(found)))
    assert shapes == {(200, '{"status": "recorded"}')}


# --- only some categories


def test_alice_leaves_offers_and_keeps_the_rest(town: Town, crm: Caller, now: Clock) -> None:
    """Lower only, and RULE-65: one category is no revocation."""
    town.alice(ALICE, ("offers", "events"))
    at = now.now().isoformat()
    event = recorded(town, ALICE, crm.opt_out(ALICE, categories=["offers"], received_at=at))
    assert (event.kind, event.action) == (EventKind.CHANGED, Action.OPT_OUT)
    alice = town.person(ALICE)
    assert alice.status is Status.SUBSCRIBED
    assert catalog.taken(alice.id) == {"events"}
    assert [text.kind for text in town.work()] == [TextKind.CHANGED]
    assert not suppression.contains(ALICE)
    sound()


def test_a_letter_about_offers_is_not_answered_by_text(town: Town, crm: Caller) -> None:
    town.alice(ALICE, ("offers", "events"))
    crm.opt_out(ALICE, categories=["offers"])
    assert town.work() == []


def test_who_leaves_all_that_they_take_has_stopped(town: Town, crm: Caller) -> None:
    """RULE-65."""
    town.alice(ALICE, ("offers", "events"))
    crm.opt_out(ALICE, categories=["events", "offers", "new-books"])
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)


def test_what_somebody_does_not_take_is_kept_as_proof_and_moves_nothing(
    town: Town, crm: Caller
) -> None:
    town.alice()
    town.carol()
    for number, status in (
        (ALICE, Status.SUBSCRIBED),
        (CAROL, Status.UNSUBSCRIBED),
        (DAVE, Status.NOT_SUBSCRIBED),
    ):
        event = recorded(town, number, crm.opt_out(number, categories=["events"]))
        assert event.kind is EventKind.NOTED
        assert json.loads(event.changes)["refused"] == ["events"]
        assert town.person(number).status is status
    assert catalog.taken(town.person(ALICE).id) == {"offers"}
    sound()


def test_bob_who_refuses_what_he_was_asked_about_has_said_no(town: Town, crm: Caller) -> None:
    link = town.bob()
    event = recorded(town, BOB, crm.opt_out(BOB, categories=["offers"]))
    assert event.kind is EventKind.DECLINED
    town.browser.post(link)
    assert town.person(BOB).status is Status.NOT_SUBSCRIBED
    sound()


# --- what is refused


@pytest.mark.parametrize(
    ("pointer", "changes"),
    [
        ("#/number", {"number": LEFT_OUT}),
        ("#/number", {"number": 12025550143}),
        ("#/number", {"number": "nobody"}),
        ("#/number", {"number": "202 555"}),
        ("#/number", {"number": "+1 202 555 0143 or 0144"}),
        ("#/channel", {"channel": LEFT_OUT}),
        ("#/channel", {"channel": "pigeon"}),
        ("#/channel", {"channel": 1}),
        ("#/received_at", {"received_at": LEFT_OUT}),
        ("#/received_at", {"received_at": "yesterday"}),
        ("#/received_at", {"received_at": "2026-11-24"}),
        ("#/received_at", {"received_at": "2026-11-24T14:00:00"}),
        ("#/received_at", {"received_at": "2026-11-24T14:00:00 UTC"}),
        ("#/received_at", {"received_at": "2026-W48-2T14:00:00Z"}),
        ("#/received_at", {"received_at": "2026-11-24T14:00:00+0100"}),
        ("#/received_at", {"received_at": "2026-02-30T14:00:00Z"}),
        ("#/received_at", {"received_at": "0001-01-01T00:00:00+14:00"}),
        ("#/received_at", {"received_at": "9999-12-31T23:59:59-14:00"}),
        ("#/received_at", {"received_at": 1795528800}),
        ("#/received_at", {"received_at": "2026-11-24T15:05:01Z"}),
        ("#/note", {"note": LEFT_OUT}),
        ("#/note", {"note": " "}),
        ("#/note", {"note": "x" * 1001}),
        ("#/categories", {"categories": []}),
        ("#/categories", {"categories": "offers"}),
        ("#/categories/1", {"categories": ["offers", "nonsense"]}),
        ("#/more", {"more": 1}),
    ],
)
@on_sqlite
def test_what_cannot_be_used_is_422_and_says_where(
    town: Town, crm: Caller, pointer: str, changes: dict[str, object]
) -> None:
    town.alice()
    before = rows()
    refused(crm.opt_out(ALICE, **changes), 422, pointer)
    assert rows() == before


@on_sqlite
def test_a_clock_five_minutes_fast_is_believed(town: Town, crm: Caller, now: Clock) -> None:
    """REL-15."""
    town.alice()
    ahead = (now.now() + timedelta(minutes=5)).isoformat()
    assert crm.opt_out(ALICE, received_at=ahead).status_code == 200


@pytest.mark.parametrize("scope", ["decide", "read", "export", "attest"])
@on_sqlite
def test_only_a_key_that_may_write(town: Town, scope: str) -> None:
    town.alice()
    refused(program(town, scope).opt_out(ALICE), 403)
    assert town.person(ALICE).status is Status.SUBSCRIBED


# --- the same once more, faults, and what is told to nobody


def test_the_same_call_again_does_nothing_twice(town: Town, crm: Caller, now: Clock) -> None:
    town.alice()
    body = {
        "number": ALICE,
        "channel": "phone",
        "note": "No.",
        "received_at": "2026-11-24T14:59:00Z",
    }
    first = crm.post("/opt-outs", body, **{"Idempotency-Key": "call-1"})
    before = rows()
    again = crm.post("/opt-outs", body, **{"Idempotency-Key": "call-1"})
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert rows() == before
    assert town.events(ALICE).count(EventKind.REVOKED) == 1


def test_a_number_is_nowhere_but_in_its_rows(town: Town, crm: Caller) -> None:
    """SEC-7, INV-10: not in a log, and numbers in a note are masked."""
    town.alice()
    with listening() as heard:
        crm.opt_out(ALICE, note="She wrote: no texts to 202 555 0143 or +1 202 555 0177")
        crm.opt_out("202 555 01")
        crm.opt_out(DAVE, channel="pigeon")
    assert not tells_a_number(heard.getvalue())
    assert seen(ALICE)["answer"]["note"] == "She wrote: no texts to …0143 or …0177"


def test_a_storage_fault_is_503_and_nothing_is_half_done(
    town: Town, crm: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-16: never "recorded" for what was not stored."""
    town.alice()
    before = rows()

    def broken(*_args: object) -> None:
        raise sa.exc.OperationalError("INSERT", None, Exception("disk full"))

    monkeypatch.setattr("prefcenter.consent.passed_on.order.newest", broken)
    answer = crm.opt_out(ALICE)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert rows() == before


def test_a_form_of_the_same_moment_loses(town: Town, crm: Caller) -> None:
    """Dave's form waits for the sender while the CRM passes his refusal on."""
    town.sign_up(DAVE)
    crm.opt_out(DAVE)
    assert town.work() == []
    with writing():
        assert suppression.contains(DAVE)


@on_sqlite
def test_the_blueprint_stands_behind_its_guard(app: Flask) -> None:
    assert guards.guard_of(app, "api_people.opt_out") == "API key"
    assert guards.guard_of(app, "api_people.look_up") == "API key"
