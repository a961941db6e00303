"""What the provider's word does to people: an opt-out, a dead number, trouble with our account."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import sending
from prefcenter.consent import provider, suppression
from prefcenter.database import db, writing
from prefcenter.models import (
    ConsentEvent,
    Deliverability,
    EventKind,
    OptInLevel,
    OutboxStatus,
    Source,
    Status,
    Suppression,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms.sender import Outcome, Verdict
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import say
from tests.receipts import Network, again, deliver, kept, last_text, queued, sound, take, update
from tests.webhooks import SETTINGS

pytestmark = pytest.mark.settings(**SETTINGS)
STRANGER = "+12025550177"
OPTED_OUT = Verdict(Outcome.FAILED, "opted out at the provider", code="1240")


def deliverability(town: Town, number: str = ALICE) -> Deliverability:
    return town.person(number).deliverability


def reasons() -> list[SuppressionReason]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Suppression.reason)))


# --- opted out at the provider ---


@pytest.mark.parametrize("code", ["1240", "9"])
def test_an_opt_out_at_the_provider_is_a_stop(town: Town, now: Clock, code: str) -> None:
    """RULE-54: unsubscribed, suppressed, with proof, and without a text that cannot arrive."""
    town.alice()
    now.forward(seconds=5)
    take(update(last_text(town), "rejected", code), now)
    alice = town.person(ALICE)
    assert (alice.status, alice.opt_out_source) == (Status.UNSUBSCRIBED, Source.PROVIDER)
    assert alice.deliverability is Deliverability.OK
    assert suppression.contains(ALICE) and reasons() == [SuppressionReason.PROVIDER_BLOCK]
    text = last_text(town)
    assert (text.status, text.reason) == (OutboxStatus.FAILED, "opted out at the provider")
    assert town.work() == [] and len(town.outbox(ALICE)) == 2
    event = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
    assert event and event.kind is EventKind.REVOKED
    assert event.source_detail == f"error {code}: opted out at the provider"
    assert json.loads(event.changes)["code"] == code
    sound()
    before = rows()
    take(update(text, "rejected", code), now)
    assert rows() == before, "a repeat changes nothing"


def test_an_opt_out_counts_behind_another_receipt_too(town: Town, now: Clock) -> None:
    town.alice()
    take(update(last_text(town), "rejected"), now)
    assert town.person(ALICE).status is Status.SUBSCRIBED
    take(update(last_text(town), "rejected", "1240"), now)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert last_text(town).reason == "opted out at the provider"


def test_an_opt_out_cancels_what_waits(town: Town, now: Clock) -> None:
    town.alice()
    waiting = queued(ALICE, now=now, kind=TextKind.CHANGED)
    take(update(town.outbox(ALICE)[-2], "rejected", "1240"), now)
    assert again(waiting).status is OutboxStatus.CANCELLED


def test_whoever_waits_to_confirm_is_stopped_too(town: Town, now: Clock) -> None:
    link = town.bob()
    take(update(last_text(town, BOB), "rejected", "1240"), now)
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    town.browser.post(link)
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    sound()


def test_a_number_of_nobody_is_suppressed(town: Town, now: Clock) -> None:
    say(town, "HELP", STRANGER)
    town.work()
    take(update(last_text(town, STRANGER), "rejected", "1240"), now)
    assert suppression.contains(STRANGER)
    town.sign_up(STRANGER)
    assert town.work() == [], "a form does not reopen it (SEC-26)"


def test_who_stopped_by_text_stays_as_it_was(town: Town, now: Clock) -> None:
    """Many networks refuse our reply to a STOP: START must still restore at once (RULE-30)."""
    town.alice()
    now.forward(hours=1)
    say(town, "STOP")
    town.work()
    before = town.events(ALICE)
    for _ in range(2):
        take(update(last_text(town), "rejected", "1240"), now)
    assert town.events(ALICE) == [*before, EventKind.NOTED], "what it said is on record, once"
    assert town.person(ALICE).opt_out_source is Source.SMS
    sound()
    now.forward(seconds=20)
    say(town, "START")
    assert town.person(ALICE).status is Status.SUBSCRIBED


def test_a_block_behind_a_delivery_is_on_record_too(town: Town, now: Clock) -> None:
    """The text stays delivered; whoever reads of her STOP must see what the provider said."""
    town.alice()
    take(update(last_text(town), "delivered"), now)
    now.forward(hours=1)
    say(town, "STOP")
    before = town.events(ALICE)
    for _ in range(2):
        take(update(town.outbox(ALICE)[1], "rejected", "1240"), now)
    assert town.events(ALICE) == [*before, EventKind.NOTED]
    sound()


def test_after_a_stop_on_the_page_it_closes_the_undo(town: Town, now: Clock) -> None:
    link = town.carol()
    take(update(last_text(town, CAROL), "rejected", "1240"), now)
    assert town.person(CAROL).opt_out_source is Source.PROVIDER
    town.browser.post(f"{link}/undo")
    assert town.person(CAROL).status is Status.UNSUBSCRIBED
    sound()


def test_a_text_from_before_a_newer_start_stops_nobody(town: Town, now: Clock) -> None:
    """REL-12: refused while blocked, then START; the receipt comes last. Noted, once."""
    town.alice()
    now.forward(hours=1)
    old = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="old")
    now.forward(minutes=10)
    say(town, "START")  # she is subscribed here; it is the network that had stopped her
    now.forward(hours=3)
    for _ in range(2):
        take(update(old, "rejected", "1240"), now)
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert not suppression.contains(ALICE)
    assert again(old).status is OutboxStatus.FAILED
    assert town.events(ALICE).count(EventKind.NOTED) == 2, "her START, and the opt-out"
    sound()
    new = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="new")
    take(update(new, "rejected", "1240"), now)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED, "the block is still there"


def test_a_start_that_came_late_but_was_said_before_the_text_does_not_save(
    town: Town, now: Clock
) -> None:
    """Order is by what was said when, not by arrival: after her START she was refused again."""
    town.alice()
    now.forward(hours=1)
    said = now.now()
    now.forward(minutes=30)
    text = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="x")
    now.forward(minutes=30)
    say(town, "START", at=said)
    take(update(text, "rejected", "1240"), now)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


def test_a_refusal_at_once_is_recorded_with_its_text(town: Town, now: Clock) -> None:
    """The same opt-out as the answer to our call, in the transaction of the record."""
    town.browser.post(town.bob(ALICE))
    deliver(last_text(town), Network(answer=OPTED_OUT))
    text, alice = last_text(town), town.person(ALICE)
    assert (text.status, text.reason, text.copies) == ("failed", "opted out at the provider", 0)
    assert (alice.status, alice.opt_out_source) == (Status.UNSUBSCRIBED, Source.PROVIDER)
    assert reasons() == [SuppressionReason.PROVIDER_BLOCK]
    assert len(town.outbox(ALICE)) == 2
    sound()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_sqlites_sender_records_it_too(app: Flask, town: Town, now: Clock) -> None:
    town.browser.post(town.bob(ALICE))
    drain = sending.Drain(app, Network(answer=OPTED_OUT))
    with ThreadPoolExecutor(1) as pool:
        db.session.rollback()
        drain.turn(pool)
        drain._take_in(5)
        drain.turn(pool)
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert last_text(town).status is OutboxStatus.FAILED


def test_without_its_commit_nothing_of_it_happened(town: Town, now: Clock) -> None:
    town.alice()
    refused = update(last_text(town), "rejected", "1240")
    before = rows()
    with writing():
        provider.take(refused, now=now.now())
    assert rows() == before


def test_a_receipt_that_waited_has_its_effect_when_it_is_joined(town: Town, now: Clock) -> None:
    """REL-13: no reference, and our own call had not returned yet."""
    town.browser.post(town.bob(ALICE))
    text = last_text(town)
    refused = update(text, "rejected", "1240", id_="x-1", by_ref=False)
    answer = Verdict(Outcome.SENT, "", message_id="x-1")
    deliver(text, Network(lambda _: take(refused, now), answer))
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert len(kept()) == 1
    sending.rescue()
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert again(text).status is OutboxStatus.FAILED and kept() == []
    sound()


# --- whether texts arrive ---


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("1190", Deliverability.DEACTIVATED),
        ("3", Deliverability.DEACTIVATED),
        ("1050", Deliverability.INVALID),
        ("4", Deliverability.INVALID),
        ("2", Deliverability.SOFT_FAILED),
        ("1210", Deliverability.OK),
        ("31337", Deliverability.OK),
        ("", Deliverability.OK),
    ],
)
def test_a_dead_number_is_no_opt_out(
    town: Town, now: Clock, code: str, found: Deliverability
) -> None:
    """RULE-51: deliverability alone moves, and what arrives sets it back if it may pass."""
    town.alice()
    events, texts = town.events(ALICE), len(town.outbox(ALICE))
    take(update(last_text(town), "undeliverable", code), now)
    alice = town.person(ALICE)
    assert (alice.deliverability, alice.status) == (found, Status.SUBSCRIBED)
    assert alice.opt_in_level is OptInLevel.CONFIRMED and not suppression.contains(ALICE)
    assert town.events(ALICE) == events and len(town.outbox(ALICE)) == texts
    now.forward(minutes=1)
    newer = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="newer")
    take(update(newer, "delivered"), now)
    lost = found is Deliverability.DEACTIVATED
    assert deliverability(town) is (found if lost else Deliverability.OK)


def test_trouble_in_the_right_order(town: Town, now: Clock) -> None:
    """A passing trouble hides no lasting one, a repeat or an older text says nothing new."""
    town.alice()
    old = last_text(town)
    now.forward(minutes=1)
    texts = []
    for n in range(4):
        values = {"status": OutboxStatus.SENT, "copies": 1, "provider_id": f"t{n}"}
        texts.append(queued(ALICE, now=now, **values))
        now.forward(minutes=1)
    take(update(texts[0], "failed", "2"), now)
    assert deliverability(town) is Deliverability.SOFT_FAILED
    take(update(texts[1], "failed", "1050"), now)
    take(update(texts[2], "failed", "2"), now)
    assert deliverability(town) is Deliverability.INVALID
    take(update(texts[3], "delivered"), now)
    take(update(texts[3], "failed", "1190"), now)
    take(update(texts[1], "failed", "1190"), now)
    take(update(old, "failed", "1190"), now)
    assert deliverability(town) is Deliverability.OK
    dead = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="dead")
    take(update(dead, "failed", "1190"), now)
    take(update(texts[3], "delivered"), now)
    assert deliverability(town) is Deliverability.DEACTIVATED, "a repeat is no sign of life"


def test_out_of_service_stays_so_whatever_fails_next(town: Town, now: Clock) -> None:
    """SEC-20: "invalid" would let the next owner's first text set it back to working."""
    town.alice()
    now.forward(minutes=1)
    for ref, code in (("gone", "1190"), ("bad", "1050")):
        text = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id=ref)
        take(update(text, "failed", code), now)
        now.forward(minutes=1)
    assert deliverability(town) is Deliverability.DEACTIVATED


def test_what_arrives_out_of_service_may_have_reached_the_next_owner(
    town: Town, now: Clock
) -> None:
    """SEC-20, RULE-51: neither a late receipt nor the answer to their HELP brings texts back."""
    town.alice()
    late = last_text(town)
    now.forward(minutes=1)
    dead = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="dead")
    take(update(dead, "failed", "1190"), now)
    take(update(late, "delivered"), now)
    assert deliverability(town) is Deliverability.DEACTIVATED
    now.forward(days=90)
    say(town, "HELP")
    town.work()
    assert last_text(town).kind is TextKind.HELP
    take(update(last_text(town), "delivered"), now)
    assert deliverability(town) is Deliverability.DEACTIVATED


def test_whoever_texts_us_has_a_number_that_lives(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=1)
    say(town, "HELP")
    take(update(town.outbox(ALICE)[1], "failed", "1190"), now)
    assert deliverability(town) is Deliverability.OK


def test_a_refusal_at_once_marks_the_number(town: Town, now: Clock) -> None:
    town.browser.post(town.bob(ALICE))
    deliver(last_text(town), Network(answer=Verdict(Outcome.FAILED, "dead", code="1190")))
    assert deliverability(town) is Deliverability.DEACTIVATED
    assert town.person(ALICE).status is Status.SUBSCRIBED


def test_the_numbers_new_owner_is_not_marked(town: Town, now: Clock) -> None:
    town.alice()
    text = last_text(town)
    with writing():
        db.session.execute(sa.text("UPDATE person SET number = NULL"))
        db.session.commit()
    take(update(text, "failed", "1190"), now)
    assert again(text).status is OutboxStatus.FAILED
