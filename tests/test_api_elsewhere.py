"""`POST /api/v1/opt-ins` with a proof: consent that somebody gave elsewhere.

Dave signed a form at the counter, and the till's program hands it in. Alice is subscribed, Bob
pending, Carol has stopped. Mallory would like to bring people back who went.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from prefcenter import clock
from prefcenter.consent import (
    api_keys,
    audit,
    breaker,
    by_hand,
    catalog,
    ledger,
    order,
    people,
    sites,
    suppression,
)
from prefcenter.database import db, writing
from prefcenter.models import (
    Action,
    Category,
    ConsentEvent,
    Deliverability,
    EventKind,
    Evidence,
    Inbound,
    OptInLevel,
    OutboxMessage,
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
    WordingVersion,
)
from prefcenter.sms.sender import Outcome, Verdict
from prefcenter.upkeep import counted, erasure
from prefcenter.upkeep.spans import Scope, Span
from tests.caller import Caller, program, seen
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import last_event, say
from tests.watching import listening
from tests.web_shop import DAVE, LEFT_OUT, on_sqlite, refused, tells_a_number

WORDS = "Yes, text me about offers. Automated marketing, up to 4 a month. Reply STOP to stop."
GIVEN = "2026-11-20T10:40:00-05:00"
PROOF = {
    "given_at": GIVEN,
    "method": "paper_form",
    "wording": WORDS,
    "wording_language": "en",
    "answer": "Box ticked, signed",
    "collected_by": "Counter, Market Street",
    "place": "Shop on Market Street",
    "reference": "form-184",
}
WEB = {
    "method": "web_form",
    "page_url": "https://partner.example/join?who=dave#top",
    "ip": "198.51.100.7",
    "user_agent": "Mozilla/5.0",
    "confirmed_at": "2026-11-20T15:45:00Z",
    "confirmation": "Replied YES",
    "place": LEFT_OUT,
}


@pytest.fixture
def till(town: Town) -> Caller:
    with writing():
        sites.add("counter", "Counter", origins=["https://shop.example"], now=town.now())
        db.session.commit()
    return program(town, "write", "attest", name="till")


def body(number: str = DAVE, *, proof: Mapping[str, object] | None = None, **more: object) -> Any:
    whole = {**PROOF, **(proof or {})}
    kept = {name: value for name, value in whole.items() if value is not LEFT_OUT}
    fields = {"site": "counter", "number": number, "categories": ["offers"], "proof": kept} | more
    return {name: value for name, value in fields.items() if value is not LEFT_OUT}


def hand_in(
    till: Caller, number: str = DAVE, *, proof: Mapping[str, object] | None = None, **more: object
) -> TestResponse:
    return till.post("/opt-ins", body(number, proof=proof, **more))


def recorded(answer: TestResponse) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.get_json()
    assert found["status"] == "recorded"
    return found


def turned_away(till: Caller, reason: str, number: str = DAVE, **more: Any) -> None:
    """Refused with a reason, and nothing in the database has changed (SEC-47)."""
    before = rows()
    found = refused(hand_in(till, number, **more), 409)
    assert found["reason"] == reason
    assert rows() == before


def events(number: str) -> list[ConsentEvent]:
    db.session.rollback()
    query = sa.select(ConsentEvent).join(Person, Person.id == ConsentEvent.person_id)
    found = db.session.scalars(query.where(Person.number == number).order_by(ConsentEvent.seq))
    return list(found)


def decided(town: Town, number: str, category: str) -> dict[str, Any]:
    """May this number be texted about it now?"""
    names = [key.name for key in api_keys.every()]
    db.session.rollback()
    asking = program(town, "decide", name=f"campaign-{len(names)}")
    question = {"number": number, "category": category, "kind": "marketing"}
    found: dict[str, Any] = asking.post("/decisions", question).get_json()
    return found


def sound() -> None:
    """INV-2, REL-22."""
    db.session.rollback()
    db.session.expire_all()
    assert list(audit.differences()) == []
    assert list(audit.faults()) == []
    db.session.rollback()


# --- what it does


def test_it_counts_as_asked_and_as_a_yes_of_that_day(till: Caller, now: Clock) -> None:
    """As docs/counts.md says: the overview counts requests and answers, whoever took them."""
    recorded(hand_in(till))
    today = now.moment.date()
    with counted.one_moment() as connection:
        found = counted.read(connection, Scope(), Span(today, today), now=now.moment)
    said = found.numbers(now.moment)["days"][today.isoformat()]
    assert (said["asked"], said["yes"]) == (1, 1)


def test_daves_signature_at_the_counter_counts_with_its_whole_proof(
    town: Town, till: Caller, now: Clock
) -> None:
    """RULE-11, RULE-12, RULE-9, INV-6."""
    answer = recorded(hand_in(till, "(202) 555-0146", frequency="1/month"))
    dave = town.person(DAVE)
    assert (dave.status, dave.opt_in_level) == (Status.SUBSCRIBED, OptInLevel.SINGLE)
    assert (dave.frequency, set(catalog.taken(dave.id))) == ("1/month", {"offers"})
    assert dave.confirmed_at == datetime(2026, 11, 20, 15, 40, tzinfo=UTC), "when he agreed"
    requested, confirmed = events(DAVE)
    assert (requested.kind, confirmed.kind) == (EventKind.REQUESTED, EventKind.CONFIRMED)
    assert confirmed.refers_to == requested.public_id and confirmed.action is Action.OPT_IN
    assert answer == {
        "status": "recorded",
        "event": confirmed.public_id,
        "opt_in_level": "single_opt_in",
    }
    for event in (requested, confirmed):
        assert (event.source, event.source_detail) == (Source.API, "counter")
        assert event.wording_sha256 == ledger.wording_sha256(WORDS)
        assert event.at == now.now()
    bodies = [json.loads(one) for one in db.session.scalars(sa.select(Evidence.body))]
    assert (
        bodies[0]["answer"]
        == bodies[1]["answer"]
        == {
            "answer": "Box ticked, signed",
            "collected_by": "Counter, Market Street",
            "reference": "form-184",
            "key": "till",
            "place": "Shop on Market Street",
            "given_at": "2026-11-20T15:40:00+00:00",
            "method": "paper_form",
        }
    )
    wording = db.session.scalars(sa.select(WordingVersion)).one()
    assert (wording.kind, wording.language, wording.text) == ("elsewhere", "en", WORDS)
    [text] = town.work()
    assert (text.to, text.kind) == (DAVE, TextKind.WELCOME)
    for said in ("Counter", "form-184", "signed"):
        assert said not in text.body, "SEC-25"
    sound()


def test_it_is_the_grant_that_a_decision_cites(town: Town, till: Caller) -> None:
    """INV-6: who, when, wording."""
    answer = recorded(hand_in(till))
    found = decided(town, DAVE, "offers")
    assert found["decision"] == "allow"
    evidence = found["evidence"]
    assert (evidence["event"], evidence["source"]) == (answer["event"], "api")
    assert evidence["wording_sha256"] == ledger.wording_sha256(WORDS)
    assert decided(town, DAVE, "events")["reason"] == "not_this_category"


def test_a_web_form_counts_where_the_phone_itself_said_yes(town: Town, till: Caller) -> None:
    """RULE-5: then it is what we call confirmed, and the proof says by what."""
    answer = recorded(hand_in(till, proof=WEB))
    assert answer["opt_in_level"] == "confirmed_opt_in"
    assert town.person(DAVE).opt_in_level is OptInLevel.CONFIRMED
    found = seen(DAVE)
    assert (found["page_url"], found["ip"]) == ("https://partner.example/join", "198.51.100.7")
    assert found["answer"]["confirmation"] == "Replied YES"
    assert found["answer"]["confirmed_at"] == "2026-11-20T15:45:00.000Z"


def test_bob_who_was_asked_by_a_form_need_not_answer_it(town: Town, till: Caller) -> None:
    """The signature is enough; the link that he has turns nothing on twice."""
    link = town.bob()
    town.work()
    clock_now = town.now()
    with writing():
        db.session.execute(
            sa.update(OutboxMessage).values(created_at=clock_now - timedelta(minutes=11))
        )
        db.session.commit()
    recorded(hand_in(till, BOB, categories=["events"]))
    bob = town.person(BOB)
    assert (bob.status, set(catalog.taken(bob.id))) == (Status.SUBSCRIBED, {"events"})
    assert [text.kind for text in town.work()] == [TextKind.WELCOME]
    town.browser.post(link)
    assert catalog.taken(town.person(BOB).id) == {"events"}
    sound()


def test_alice_gets_what_she_signed_for_besides(town: Town, till: Caller, now: Clock) -> None:
    town.alice()
    now.forward(days=2)
    given = {"given_at": (now.now() - timedelta(minutes=30)).isoformat()}
    answer = recorded(hand_in(till, ALICE, categories=["events", "offers"], proof=given))
    assert "opt_in_level" not in answer
    event = last_event(ALICE)
    assert (event.kind, event.action) == (EventKind.CHANGED, Action.OPT_IN)
    assert json.loads(event.changes)["added"] == ["events"]
    alice = town.person(ALICE)
    assert (alice.opt_in_level, set(catalog.taken(alice.id))) == (
        OptInLevel.CONFIRMED,
        {"offers", "events"},
    )
    assert [text.kind for text in town.work()] == [TextKind.CHANGED]
    assert decided(town, ALICE, "events")["evidence"]["event"] == answer["event"]
    sound()


def test_what_alice_takes_already_is_kept_as_proof_without_a_text(
    town: Town, till: Caller, now: Clock
) -> None:
    town.alice()
    recorded(hand_in(till, ALICE))
    assert town.events(ALICE)[-1] is EventKind.NOTED
    assert seen(ALICE)["answer"]["reference"] == "form-184"
    assert town.work() == []
    sound()


def test_the_welcome_does_not_come_by_night(town: Town, till: Caller, now: Clock) -> None:
    """RULE-32: forms that are typed in at midnight; the person did not just ask."""
    now.moment = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)  # midnight in Washington
    recorded(hand_in(till))
    assert town.work() == []
    [text] = town.outbox(DAVE)
    assert text.due_at.astimezone(UTC) == datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
    now.moment = text.due_at
    assert [one.kind for one in town.work()] == [TextKind.WELCOME]


def test_who_agreed_a_moment_ago_is_welcomed_at_once(town: Town, till: Caller, now: Clock) -> None:
    """RULE-36: on the phone with the shop, whatever the hour."""
    now.moment = datetime(2026, 11, 25, 5, 0, tzinfo=UTC)
    given = {"given_at": "2026-11-25T04:50:00Z", "method": "phone"}
    recorded(hand_in(till, proof=given))
    assert [one.kind for one in town.work()] == [TextKind.WELCOME]


@pytest.mark.parametrize(("language", "speaks"), [("es", "es"), ("es-MX", "es"), ("fr-CA", "en")])
@on_sqlite
def test_the_words_keep_their_language(
    town: Town, till: Caller, language: str, speaks: str
) -> None:
    """Texts come in the nearest of ours, or the site's."""
    recorded(hand_in(till, proof={"wording_language": language}))
    assert town.person(DAVE).language == speaks
    assert db.session.scalars(sa.select(WordingVersion.language)).one() == language


# --- sent again


def test_the_same_reference_counts_once(town: Town, till: Caller, now: Clock) -> None:
    first = recorded(hand_in(till))
    town.work()
    now.forward(days=1)
    assert recorded(hand_in(till)) == first
    assert recorded(hand_in(till, frequency="1/month")) == first
    assert town.events(DAVE) == [EventKind.REQUESTED, EventKind.CONFIRMED]
    assert town.work() == []


def test_the_same_reference_after_a_stop_changes_nothing(
    town: Town, till: Caller, now: Clock
) -> None:
    """INV-1: the answer of then, and he stays stopped."""
    first = recorded(hand_in(till))
    town.work()
    now.forward(days=1)
    say(town, "STOP", DAVE)
    town.work()
    assert recorded(hand_in(till)) == first
    assert town.person(DAVE).status is Status.UNSUBSCRIBED
    assert town.work() == []


def test_one_reference_is_one_consent(town: Town, till: Caller) -> None:
    recorded(hand_in(till))
    turned_away(till, "reference_used", proof={"answer": "Nodded"})
    turned_away(till, "reference_used", proof={"wording": "Yes to everything."})


def test_the_reference_of_another_key_or_number_is_another(town: Town, till: Caller) -> None:
    recorded(hand_in(till))
    other = program(town, "write", "attest", name="other")
    recorded(hand_in(other, proof={"answer": "Nodded"}))
    recorded(hand_in(till, BOB, proof={"answer": "Nodded"}))


def test_an_idempotency_key_gives_the_first_answer(town: Town, till: Caller) -> None:
    first = till.post("/opt-ins", body(), **{"Idempotency-Key": "one"})
    again = till.post("/opt-ins", body(), **{"Idempotency-Key": "one"})
    assert again.data == first.data and again.headers["Idempotent-Replayed"] == "true"


# --- what it can never do (SEC-47)


def test_carol_who_pressed_stop_stays_stopped(town: Town, till: Caller, now: Clock) -> None:
    """Also by a form that is newer than her stop: only her phone reopens (SEC-26)."""
    town.carol()
    now.forward(days=30)
    turned_away(till, "stopped", CAROL, proof={"given_at": now.now().isoformat()})
    assert town.work() == []


def test_a_stranger_who_texted_stop_stays_stopped(town: Town, till: Caller) -> None:
    say(town, "STOP", DAVE)
    town.work()
    turned_away(till, "stopped")


def suppressed(town: Town) -> None:
    with writing():
        suppression.add(DAVE, SuppressionReason.IMPORT, now=town.now())
        db.session.commit()


def erased(town: Town) -> None:
    town.alice(DAVE)
    with writing():
        person = people.by_number(DAVE)
        assert person is not None
        erasure.erase(person, by="dana", reason="Asked.", now=town.now())
        db.session.commit()


def reassigned(town: Town) -> None:
    town.alice(DAVE)
    with writing():
        person = people.by_number(DAVE)
        assert person is not None
        by_hand.new_owner(person, "dana", "The new owner rang.", now=town.now())
        db.session.commit()


def out_of_service(town: Town) -> None:
    town.alice(DAVE)
    with writing():
        person = people.by_number(DAVE)
        assert person is not None
        by_hand.correct(person, Deliverability.DEACTIVATED)
        db.session.commit()


def declined(town: Town) -> None:
    town.browser.post(f"{town.bob(DAVE)}/decline")
    assert town.person(DAVE).status is Status.NOT_SUBSCRIBED


def left_offers(town: Town) -> None:
    """Subscribed, and unticked just that."""
    link = town.alice(DAVE, ("offers", "events"))
    shown = {"shown": ["offers", "events"], "categories": ["events"]}
    town.browser.post(link, data=shown)
    assert catalog.taken(town.person(DAVE).id) == {"events"}


def came_back(town: Town) -> None:
    """Stopped after the form was signed, and came back for something else since."""
    town.alice(DAVE, ("events",))
    say(town, "STOP", DAVE)
    say(town, "START", DAVE, at=town.now() + timedelta(minutes=1))
    assert town.person(DAVE).status is Status.SUBSCRIBED


def texted_and_nobody_read_it(town: Town) -> None:
    """The sender is busy; it may be a STOP."""
    with writing():
        db.session.add(
            Inbound(
                message_id="m1",
                number=DAVE,
                ours="+12025550100",
                text="STOP",
                said_at=town.now(),
                received_at=town.now(),
            )
        )
        db.session.commit()


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (suppressed, "suppressed"),
        (erased, "suppressed"),
        (reassigned, "reassigned"),
        (out_of_service, "unreachable"),
        (declined, "newer_refusal"),
        (left_offers, "newer_refusal"),
        (came_back, "newer_refusal"),
        (texted_and_nobody_read_it, "text_waiting"),
    ],
)
def test_what_stands_against_it_wins(
    town: Town, till: Caller, before: Callable[[Town], None], reason: str
) -> None:
    """SEC-47, SEC-20, SEC-48, INV-1: and then nothing at all is written."""
    before(town)
    town.work()
    turned_away(till, reason)
    assert town.work() == []


def test_a_refusal_that_the_form_is_newer_than_does_not_stand(
    town: Town, till: Caller, now: Clock
) -> None:
    """He said no to a form of Mallory's in spring, and signed at the counter in autumn."""
    declined(town)
    now.forward(days=1)
    given = {"given_at": (now.now() - timedelta(hours=1)).isoformat()}
    recorded(hand_in(till, proof=given))
    assert town.person(DAVE).status is Status.SUBSCRIBED


def test_a_new_owner_signs_only_after_their_phone_said_yes(
    town: Town, till: Caller, now: Clock
) -> None:
    """SEC-20: a form for the number may still be the former owner's."""
    reassigned(town)
    now.forward(days=1)
    newer = {"given_at": now.now().isoformat(), "reference": "newer"}
    turned_away(till, "reassigned", proof=newer)
    town.alice(DAVE, ("events",))
    turned_away(till, "reassigned")
    now.forward(minutes=20)
    recorded(hand_in(till, proof=newer))
    assert catalog.taken(town.person(DAVE).id) == {"events", "offers"}


def test_a_stop_from_before_that_comes_late_does_not_undo_it_but_one_from_after_does(
    town: Town, till: Caller, now: Clock
) -> None:
    """REL-12: counted from when he signed, with five minutes for the clocks."""
    given = now.now() - timedelta(hours=3)
    recorded(hand_in(till, proof={"given_at": given.isoformat()}))
    say(town, "STOP", DAVE, at=given - timedelta(minutes=6))
    assert town.person(DAVE).status is Status.SUBSCRIBED
    say(town, "STOP", DAVE, at=given + timedelta(minutes=1))
    assert town.person(DAVE).status is Status.UNSUBSCRIBED
    sound()


def test_the_yes_of_a_form_is_as_old_as_the_form(town: Town, till: Caller, now: Clock) -> None:
    recorded(hand_in(till))
    with writing():
        person = people.by_number(DAVE)
        assert person is not None
        found = order.history(person)
    assert found.yes == datetime(2026, 11, 20, 15, 40, tzinfo=UTC) - order.SKEW


# --- who may, and what is whole


@pytest.mark.parametrize("scopes", [("write",), ("attest",), ("write", "read", "export")])
def test_it_needs_both_scopes(town: Town, till: Caller, scopes: tuple[str, ...]) -> None:
    """A web shop's key cannot turn texts on for anybody."""
    answer = hand_in(program(town, *scopes))
    found = refused(answer, 403)
    missing = "write" if "write" not in scopes else "attest"
    assert f"the scope {missing};" in found["detail"]
    assert f'scope="{missing}"' in answer.headers["WWW-Authenticate"]
    assert db.session.scalars(sa.select(Person)).first() is None


@pytest.mark.parametrize(
    ("pointer", "proof"),
    [
        *((f"#/proof/{name}", {name: LEFT_OUT}) for name in PROOF if name != "place"),
        ("#/proof", {"place": LEFT_OUT}),
        ("#/proof/given_at", {"given_at": "2026-11-20"}),
        ("#/proof/given_at", {"given_at": "2026-11-20T10:40:00"}),
        ("#/proof/given_at", {"given_at": "2026-11-24T15:06:00Z"}),
        ("#/proof/given_at", {"given_at": "2023-11-24T15:00:00Z"}),
        ("#/proof/method", {"method": "telepathy"}),
        ("#/proof/wording", {"wording": "  "}),
        ("#/proof/wording", {"wording": "x" * 4001}),
        ("#/proof/wording_language", {"wording_language": "English"}),
        ("#/proof/answer", {"answer": ""}),
        ("#/proof/reference", {"reference": "x" * 121}),
        ("#/proof/ip", {"ip": "shop.example"}),
        ("#/proof/page_url", {"page_url": "checkout"}),
        ("#/proof/name", {"name": "Dave"}),
        ("#/proof", WEB | {"ip": LEFT_OUT}),
        ("#/proof", WEB | {"page_url": LEFT_OUT}),
        ("#/proof", WEB | {"confirmation": LEFT_OUT}),
        ("#/proof", WEB | {"confirmation": LEFT_OUT, "confirmed_at": LEFT_OUT}),
        ("#/proof", WEB | {"confirmed_at": "2026-11-20T15:39:59Z"}),
        ("#/proof/confirmed_at", WEB | {"confirmed_at": "2026-11-24T15:06:00Z"}),
    ],
)
@on_sqlite
def test_less_than_the_whole_proof_is_422(
    town: Town, till: Caller, pointer: str, proof: dict[str, object]
) -> None:
    """RULE-5: a number that somebody typed is no proof of the phone."""
    before = rows()
    refused(hand_in(till, proof=proof), 422, pointer)
    assert rows() == before


@pytest.mark.parametrize(
    ("status", "pointer", "more"),
    [
        (404, "#/site", {"site": "nobody"}),
        (422, "#/site", {"site": LEFT_OUT}),
        (422, "#/number", {"number": "900 555 0100"}),
        (422, "#/number", {"number": "+49 1511 2345678"}),
        (422, "#/categories", {"categories": LEFT_OUT}),
        (422, "#/categories", {"categories": []}),
        (422, "#/categories/1", {"categories": ["offers", "nonsense"]}),
        (422, "#/frequency", {"frequency": "9/day"}),
        (422, "#/proof", {"proof": "signed"}),
        (422, "#/proof", {"proof": None}),
        (422, "#/consent", {"consent": True}),
    ],
)
@on_sqlite
def test_what_cannot_be_used_says_where(
    town: Town, till: Caller, status: int, pointer: str, more: dict[str, Any]
) -> None:
    before = rows()
    sent = body() | more
    answer = till.post("/opt-ins", {k: v for k, v in sent.items() if v is not LEFT_OUT})
    refused(answer, status, pointer)
    assert rows() == before


@pytest.mark.parametrize("change", [{"age_gate": 18}, {"public": False}, {"retired_at": "now"}])
@on_sqlite
def test_only_what_the_site_offers_to_all_ages(
    town: Town, till: Caller, now: Clock, change: dict[str, Any]
) -> None:
    """RULE-10: nobody can say here that he stated his age."""
    values = {name: now.now() if to == "now" else to for name, to in change.items()}
    with writing():
        db.session.execute(sa.update(Category).where(Category.slug == "offers").values(values))
        db.session.commit()
    refused(hand_in(till), 422, "#/categories/0")


# --- limits and faults


@pytest.mark.settings(SITE_TEXTS_PER_HOUR="1")
def test_more_than_may_be_texted_is_429_and_not_recorded(
    town: Town, till: Caller, now: Clock
) -> None:
    """RULE-9, SEC-28: without its welcome no consent counts; a stolen key floods nobody."""
    recorded(hand_in(till))
    answer = hand_in(till, BOB)
    refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    assert db.session.scalars(sa.select(Person.number)).all() == [DAVE]
    now.forward(hours=1)
    recorded(hand_in(till, BOB))


def test_a_breaker_that_trips_here_stays_open_and_is_told_once(
    town: Town, till: Caller, now: Clock
) -> None:
    """SEC-30: nothing of the consent is kept, but that nothing is sent there any more."""
    town.bob()
    with writing():
        bob = people.by_number(BOB)
        assert bob is not None
        for _ in range(50):
            breaker.note(bob, "counter", now=now.now())
        db.session.commit()
    before = rows()
    with listening() as heard:
        refused(hand_in(till), 429)
        refused(hand_in(till), 429)
    assert heard.getvalue().count("Hardly anybody confirms the texts to site counter") == 1
    after = rows()
    assert {name for name in after if after[name] != before[name]} == {"alarm", "breaker"}


def test_a_failure_half_way_leaves_nothing(
    town: Town, till: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-2: request, confirmation and welcome are one transaction."""
    before = rows()

    def broken(*_args: object, **_more: object) -> None:
        raise sa.exc.OperationalError("INSERT", None, Exception("disk full +12025550146"))

    monkeypatch.setattr("prefcenter.consent.elsewhere.outbox.queue", broken)
    with listening() as heard:
        answer = hand_in(till)
    assert answer.status_code == 503
    assert not tells_a_number(heard.getvalue())
    assert rows() == before


def test_a_welcome_that_cannot_be_sent_is_tried_again_like_any_other(
    town: Town, till: Caller, now: Clock
) -> None:
    recorded(hand_in(till))
    town.network.answers = [Verdict(Outcome.RETRY, "busy")]
    town.work()
    now.forward(hours=2)
    assert [one.kind for one in town.work()] == [TextKind.WELCOME]


def test_no_number_is_logged_and_the_key_is_noted(town: Town, till: Caller) -> None:
    """SEC-7, SEC-39."""
    with listening() as heard:
        hand_in(till)
        hand_in(till, "202 555 01")
        hand_in(till, proof={"reference": DAVE, "answer": LEFT_OUT})
    assert not tells_a_number(heard.getvalue())
    assert [key.name for key in api_keys.every() if key.last_used_at == clock.now()] == ["till"]
