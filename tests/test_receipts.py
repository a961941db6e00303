"""What receipts do to the text they are about, in any order and at any moment (REL-13, SEC-37)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
import sqlalchemy as sa

from prefcenter import sending
from prefcenter.consent import decisions, provider
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, OutboxStatus, TextKind
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Verdict
from prefcenter.sms.vonage import VonageSender
from prefcenter.sms.webhook import StatusUpdate
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock
from tests.receipts import Network, again, deliver, kept, queued, take, update
from tests.standin import Standin, application_key

UNKNOWN = Verdict(Outcome.UNKNOWN, "broken off")


@contextmanager
def undone() -> Iterator[None]:
    """What is tried here is not kept."""
    with writing():
        yield


STARTS = {
    "in the call": {"status": OutboxStatus.SENDING},
    "timed out": {"status": OutboxStatus.UNKNOWN, "copies": 1, "reason": "broken off"},
    "to be sent once more": {"status": OutboxStatus.QUEUED, "copies": 1, "reason": "broken off"},
    "sent": {"status": OutboxStatus.SENT, "copies": 1, "provider_id": "id"},
    "refused": {"status": OutboxStatus.FAILED, "copies": 1, "reason": "bad request"},
}
DELIVERED = [("submitted", ""), ("delivered", ""), ("rejected", "1190"), ("expired", "")]
NOT_DELIVERED = [("submitted", ""), ("rejected", ""), ("rejected", "1190"), ("failed", "1210")]
IN_DOUBT = [("submitted", ""), ("failed", "1490"), ("unknown", ""), ("strange", "")]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("receipts", "status", "reason"),
    [
        (DELIVERED, OutboxStatus.DELIVERED, ""),
        (NOT_DELIVERED, OutboxStatus.FAILED, "taken for spam"),
        (IN_DOUBT, OutboxStatus.SENT, ""),
    ],
    ids=["delivered", "not delivered", "in doubt"],
)
def test_any_order_with_repeats_leaves_the_same_row(
    town: Town,
    now: Clock,
    start: str,
    receipts: list[tuple[str, str]],
    status: OutboxStatus,
    reason: str,
) -> None:
    message = queued(now=now, **STARTS[start])
    if start == "refused" and status is OutboxStatus.SENT:
        status, reason = OutboxStatus.FAILED, "bad request"
    found = set()
    for order in sorted(set(permutations([*receipts, receipts[1]]))):
        with undone():
            for word, code in order:
                provider.take(update(message, word, code, id_="id"), now=now.now())
            row = db.session.execute(
                sa.select(OutboxMessage.__table__).where(OutboxMessage.id == message.id)
            ).one()
            found.add(tuple(row))
            assert (row.status, row.reason, row.copies) == (status, reason, 1)
            assert (row.provider_id, row.finished_at) == ("id", now.now())
    assert len(found) == 1


@pytest.mark.parametrize("word", ["submitted", "delivered", "rejected"])
def test_a_receipt_before_our_own_call_has_returned(town: Town, now: Clock, word: str) -> None:
    message = queued(now=now)
    network = Network(lambda _: take(update(message, word, id_="m-1"), now))
    deliver(message, network)
    after = again(message)
    expected = {"submitted": "sent", "delivered": "delivered", "rejected": "failed"}[word]
    assert (after.status, after.copies, after.provider_id) == (expected, 1, "m-1")
    assert kept() == []


def test_a_receipt_without_our_reference_waits_for_our_record(town: Town, now: Clock) -> None:
    """REL-13: kept while nobody knows its id, joined once our own call has returned."""
    message = queued(now=now)
    early = [update(message, word, id_="m-1", by_ref=False) for word in ("submitted", "delivered")]
    network = Network(lambda _: [take(one, now) for one in [*early, *early]])
    deliver(message, network)
    assert again(message).status is OutboxStatus.SENT
    assert kept() == [("m-1", "submitted", ""), ("m-1", "delivered", "")]
    sending.rescue()
    after = again(message)
    assert (after.status, after.copies, after.provider_id) == (OutboxStatus.DELIVERED, 1, "m-1")
    assert kept() == []


def test_what_is_about_no_text_of_ours_is_kept_once(town: Town, now: Clock) -> None:
    """SEC-37: another program may use the same account."""
    town.alice()
    foreign = StatusUpdate("their-id", None, BOB, "rejected", now.now(), "")
    take(foreign, now)
    before = rows()
    take(foreign, now)
    assert rows() == before
    take(StatusUpdate("their-id", None, BOB, "rejected", now.now(), "1240"), now)
    assert kept() == [("their-id", "rejected", "1240")]
    sending.rescue()
    assert len(kept()) == 1


def test_a_reference_with_another_number_moves_nothing(town: Town, now: Clock) -> None:
    message = queued(ALICE, now=now, status=OutboxStatus.SENT, copies=1, provider_id="a")
    bobs = queued(BOB, now=now, status=OutboxStatus.SENT, copies=1, provider_id="b")
    crossed = StatusUpdate("b", message.ref, BOB, "delivered", now.now(), "")
    take(crossed, now)
    assert again(message).status is OutboxStatus.SENT
    assert again(bobs).status is OutboxStatus.DELIVERED, "its id is Bob's, and so is the number"
    take(StatusUpdate("a", message.ref, BOB, "delivered", now.now(), ""), now)
    assert again(message).status is OutboxStatus.SENT
    assert kept() == [("a", "delivered", "")]


@pytest.mark.parametrize(
    "status", [OutboxStatus.QUEUED, OutboxStatus.CANCELLED, OutboxStatus.EXPIRED]
)
def test_a_text_that_was_never_called_is_not_moved(
    town: Town, now: Clock, status: OutboxStatus
) -> None:
    message = queued(now=now, status=status)
    take(update(message, "delivered"), now)
    after = again(message)
    assert (after.status, after.copies, after.provider_id) == (status, 0, None)
    assert len(kept()) == 1


@pytest.mark.parametrize("mode", ["hang", "accept-and-drop"])
def test_after_a_time_out_a_receipt_settles_it_and_one_text_has_left(
    town: Town, now: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """The SDK's own time-out, then `delivered` with our reference: one POST, delivered."""
    message = queued(now=now, kind=TextKind.WELCOME)
    with Standin(tmp_path) as vonage:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(vonage.ca))
        vonage.modes = [mode]
        sender = VonageSender(
            application_id="a", private_key=application_key()[0], api_host=vonage.host, timeout=1
        )
        with writing():
            [claim] = (
                delivery.claim(message.id, now=now.now(), may_send=lambda *_: True, horizon=9) or []
            )
            db.session.commit()
        sending._record(claim, sender.send(claim.parcel))
        assert again(message).status is OutboxStatus.UNKNOWN
        [text] = vonage.texts
        now.forward(seconds=30)
        take(StatusUpdate("v-1", text["client_ref"], ALICE, "delivered", now.now(), ""), now)
        for seconds in (46, 121, 121):
            now.forward(seconds=seconds)
            sending.rescue()
            deliver(message, sender)
        after = again(message)
        assert (after.status, after.copies, after.provider_id) == ("delivered", 1, "v-1")
        assert (after.reason, after.finished_at) == ("", now.now() - timedelta(seconds=288))
        assert len(vonage.texts) == 1
        sender._client().http_client._session.close()


def test_a_text_about_to_leave_once_more_is_taken_back(town: Town, now: Clock) -> None:
    """REL-4: a receipt shows that the first copy left, so there is no second."""
    town.browser.post(town.bob(ALICE))
    message = town.outbox(ALICE)[-1]
    network = Network(answer=UNKNOWN)
    deliver(message, network)
    now.forward(seconds=121)
    sending.rescue()
    assert again(message).status is OutboxStatus.QUEUED
    take(update(message, "submitted", id_="m-1"), now)
    deliver(message, network)
    after = again(message)
    assert (after.status, after.copies, after.reason) == (OutboxStatus.SENT, 1, "")
    assert len(network.texts) == 1


def test_a_receipt_during_the_second_call_counts_both(town: Town, now: Clock) -> None:
    message = queued(now=now, copies=1, reason="broken off")
    network = Network(lambda _: take(update(message, "delivered", id_="m-1"), now))
    deliver(message, network)
    after = again(message)
    assert (after.status, after.copies) == (OutboxStatus.DELIVERED, 2)


def _claimed(message: OutboxMessage, now: Clock) -> delivery.Claim:
    with writing():
        [claim] = (
            delivery.claim(message.id, now=now.now(), may_send=decisions.may_send, horizon=9) or []
        )
        db.session.commit()
    return claim


LATE = [Verdict(outcome, "late", message_id="m-2") for outcome in Outcome]


@pytest.mark.parametrize("verdict", LATE, ids=lambda verdict: verdict.outcome)
@pytest.mark.parametrize("word", ["submitted", "delivered", "rejected"])
def test_a_late_verdict_never_puts_a_settled_text_back(
    town: Town, now: Clock, word: str, verdict: Verdict
) -> None:
    message = queued(now=now)
    claim = _claimed(message, now)
    take(update(message, word, id_="m-1"), now)
    settled = again(message)
    before = (settled.status, settled.copies, settled.reason, settled.provider_id)
    sending._record(claim, verdict)
    now.forward(seconds=200)
    sending.rescue()
    after = again(message)
    assert (after.status, after.copies, after.reason, after.provider_id) == before


def test_a_late_yes_takes_back_a_text_about_to_leave_once_more(town: Town, now: Clock) -> None:
    message = queued(now=now, kind=TextKind.HELP)
    claim = _claimed(message, now)
    with writing():
        db.session.execute(sa.update(OutboxMessage).values(status="queued", copies=1))
        db.session.commit()
    sending._record(claim, Verdict(Outcome.SENT, "", message_id="m-1"))
    after = again(message)
    assert (after.status, after.copies, after.provider_id) == (OutboxStatus.SENT, 1, "m-1")


def test_joining_costs_one_question_when_nothing_waits(town: Town, now: Clock) -> None:
    town.alice()
    asked = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    with writing():
        assert provider.join_waiting(now=now.now()) == 0
    assert len([one for one in asked if "receipt" in one]) == 1 == len(asked)
