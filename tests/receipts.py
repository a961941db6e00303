"""Texts of ours and what the provider says about them, for tests of receipts."""

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from prefcenter import pacing, sending
from prefcenter.consent import audit, provider
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, OutboxStatus, Receipt, TextKind
from prefcenter.sms.sender import Outcome, Parcel, Sender, Verdict
from prefcenter.sms.webhook import StatusUpdate
from tests.cast import ALICE, Town
from tests.conftest import Clock


def update(
    message: OutboxMessage, status: str, code: str = "", *, id_: str = "", by_ref: bool = True
) -> StatusUpdate:
    """A receipt about a text of ours, as the webhook reads it."""
    return StatusUpdate(
        message_id=id_ or message.provider_id or f"id-of-{message.id}",
        ref=message.ref if by_ref else None,
        number=message.to,
        status=status,
        said_at=message.created_at,
        code=code,
    )


def take(receipt: StatusUpdate, now: Clock) -> None:
    with writing():
        provider.take(receipt, now=now.now())
        db.session.commit()


def queued(to: str = ALICE, *, now: Clock, **values: object) -> OutboxMessage:
    """A text to nobody in particular; as it says, or waiting to be sent for the first time."""
    fresh = {
        "sender": "+12025550100",
        "kind": TextKind.HELP,
        "language": "en",
        "body": "Marlow Books: x. Reply STOP to stop.",
        "status": OutboxStatus.QUEUED,
        "created_at": now.now(),
        "due_at": now.now(),
        "expires_at": now.now() + timedelta(days=1),
    }
    with writing():
        message = OutboxMessage(to=to, **(fresh | values))
        db.session.add(message)
        db.session.commit()
    return message


def again(message: OutboxMessage) -> OutboxMessage:
    """The text as the database has it now."""
    db.session.rollback()
    db.session.expire_all()
    found = db.session.get(OutboxMessage, message.id)
    assert found is not None
    return found


def kept() -> list[tuple[str, str, str]]:
    db.session.rollback()
    query = sa.select(Receipt.provider_id, Receipt.status, Receipt.code).order_by(Receipt.id)
    return [tuple(row) for row in db.session.execute(query)]


def deliver(message: OutboxMessage, sender: Sender) -> None:
    db.session.rollback()
    sending.deliver(message.id, pacing.Caller(sender, 1000))


class Network:
    """Takes a text; `meanwhile` is what happens before our call returns."""

    def __init__(
        self, meanwhile: Callable[[Parcel], object] = str, answer: Verdict | None = None
    ) -> None:
        self.meanwhile = meanwhile
        self.answer = answer or Verdict(Outcome.SENT, "", message_id="m-1")
        self.texts: list[Parcel] = []

    def send(self, parcel: Parcel) -> Verdict:
        self.texts.append(parcel)
        self.meanwhile(parcel)
        return self.answer


def last_text(town: Town, number: str = ALICE) -> OutboxMessage:
    return town.outbox(number)[-1]


def sound() -> None:
    """INV-2, INV-3: the proof holds and every row says what it says."""
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []
