"""The outbox: every text is a row, from the moment that causes it until it is over.

queue() and cancel() are called by the rules, in the transaction of the change itself
(REL-2). delivery.py is what the senders do with the rows.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, execute, insert_row, new_public_id
from prefcenter.models import OutboxMessage, OutboxStatus, Person, TextKind
from prefcenter.sms import compose, jobs

_CHANGED_GAP = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a text is of use, and whether one that may have left is sent once more."""

    useful: timedelta
    resend: bool


# REL-4, REL-9, RULE-9, RULE-22: a reply is never repeated, a link or the welcome once.
POLICY = {
    TextKind.CONFIRM_REQUEST: Policy(timedelta(hours=24), resend=True),
    TextKind.WELCOME: Policy(timedelta(hours=72), resend=True),
    TextKind.CHANGED: Policy(timedelta(hours=24), resend=True),
    TextKind.NEW_LINK: Policy(timedelta(hours=2), resend=True),
    TextKind.UNSUBSCRIBED: Policy(timedelta(minutes=5), resend=False),
    TextKind.RESUBSCRIBED: Policy(timedelta(hours=1), resend=False),
    TextKind.ALREADY_SUBSCRIBED: Policy(timedelta(hours=1), resend=False),
    TextKind.HELP: Policy(timedelta(minutes=10), resend=False),
}


_rows = OutboxMessage.__table__.c
_ADD = sa.insert(OutboxMessage)
_CANCEL = (
    sa.update(OutboxMessage)
    .where(
        _rows.to_number == sa.bindparam("number"),
        _rows.status == OutboxStatus.QUEUED,
        _rows.kind.in_(sa.bindparam("kinds", expanding=True)),
    )
    .values(
        status=OutboxStatus.CANCELLED, reason=sa.bindparam("why"), finished_at=sa.bindparam("at")
    )
)


def queue(person: Person, kind: TextKind, *, now: datetime) -> None:
    """Add a text to this person in the transaction that causes it. Never commits."""
    if person.number is None:
        return
    due_at = _replace_changed(person.number, now) if kind is TextKind.CHANGED else now
    values = {
        "ref": new_public_id(),
        "person_id": person.id,
        "to_number": person.number,
        "sender": config.current().senders[0],
        "kind": kind,
        "language": person.language,
        "body": compose.body(kind, person, now=now),
        "status": OutboxStatus.QUEUED,
        "created_at": now,
        "due_at": due_at,
        "expires_at": due_at + POLICY[kind].useful,
    }
    row_id = insert_row(_ADD, values)
    jobs.defer(jobs.DELIVER, row_id, due_at=due_at if due_at > now else None)


def cancel(
    number: str,
    reason: str,
    *,
    now: datetime,
    kind: TextKind | None = None,
    spared: TextKind | None = None,
) -> None:
    """Take back what has not left yet, for a STOP or a newer text. Never commits."""
    kinds = [kind] if kind else [k for k in TextKind if k is not spared]
    execute(_CANCEL, {"number": number, "kinds": kinds, "why": reason, "at": now})


def _replace_changed(number: str, now: datetime) -> datetime:
    """At most one "changed" text in ten minutes, and the last state wins."""
    cancel(number, "superseded", now=now, kind=TextKind.CHANGED)
    last = db.session.scalar(
        sa.select(sa.func.max(OutboxMessage.due_at)).where(
            OutboxMessage.to == number,
            OutboxMessage.kind == TextKind.CHANGED,
            OutboxMessage.status != OutboxStatus.CANCELLED,
            OutboxMessage.created_at > now - 2 * _CHANGED_GAP,
        )
    )
    return max(now, last.astimezone(now.tzinfo) + _CHANGED_GAP) if last else now


_DUE = (
    sa.select(OutboxMessage.id)
    .where(OutboxMessage.status == OutboxStatus.QUEUED, OutboxMessage.due_at <= sa.bindparam("at"))
    .order_by(OutboxMessage.due_at, OutboxMessage.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


def due(limit: int, *, now: datetime) -> list[int]:
    """Ids of texts whose time has come, oldest first."""
    return [row.id for row in execute(_DUE, {"at": now, "most": limit})]
