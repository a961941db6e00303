"""The outbox: every text is a row, from the moment that causes it until it is over.

queue() and cancel() are called by the rules, in the transaction of the change itself
(REL-2). delivery.py is what the senders do with the rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

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
    TextKind.WHICH: Policy(timedelta(minutes=5), resend=False),
    TextKind.HELP: Policy(timedelta(minutes=10), resend=False),
    TextKind.MENU: Policy(timedelta(minutes=10), resend=False),
    TextKind.PREFERENCES: Policy(timedelta(hours=1), resend=False),
    TextKind.PAUSED: Policy(timedelta(hours=1), resend=False),
    TextKind.RESUMED: Policy(timedelta(hours=1), resend=False),
}


# The statuses of a text that its reader may have seen.
LEFT = (
    *(OutboxStatus.SENDING, OutboxStatus.SENT, OutboxStatus.DELIVERED),
    OutboxStatus.UNKNOWN,
)

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


@dataclass(frozen=True, slots=True)
class Answer:
    """How a text answers one that came in: from the number that was texted, and in time.

    `until` is its latest useful moment where that is not what POLICY says: the five minutes
    of RULE-22 begin when the person texted. `options` are names that the text numbers.
    """

    sender: str
    until: datetime | None = None
    options: Sequence[str] = ()


def queue(
    person: Person,
    kind: TextKind,
    *,
    now: datetime,
    answer: Answer | None = None,
    frequency: str | None = None,
    not_before: datetime | None = None,
) -> None:
    """Add a text to this person in the transaction that causes it. Never commits.

    `frequency` is the cap to name where it is not the person's own yet; `not_before` is for a
    text about what they did some time ago, which need not come by night.
    """
    if person.number is None:
        return
    due_at = _replace_changed(person.number, now) if kind is TextKind.CHANGED else now
    due_at = max(due_at, not_before or now)
    _add(
        kind,
        person_id=person.id,
        to_number=person.number,
        sender=answer.sender if answer else config.current().senders[0],
        language=person.language,
        body=compose.body(
            kind, person, now=now, options=answer.options if answer else (), frequency=frequency
        ),
        created_at=now,
        due_at=due_at,
        expires_at=(answer.until if answer else None) or due_at + POLICY[kind].useful,
    )


def queue_to_stranger(
    number: str, language: str, kind: TextKind, *, now: datetime, answer: Answer
) -> None:
    """Add an answer to a number that nobody has signed up with. Never commits."""
    _add(
        kind,
        person_id=None,
        to_number=number,
        sender=answer.sender,
        language=language,
        body=compose.to_stranger(kind, language),
        created_at=now,
        due_at=now,
        expires_at=answer.until or now + POLICY[kind].useful,
    )


def _add(kind: TextKind, **values: Any) -> None:
    ref = {"ref": new_public_id(), "kind": kind, "status": OutboxStatus.QUEUED}
    row_id = insert_row(_ADD, ref | values)
    later = values["due_at"] > values["created_at"]
    jobs.defer(jobs.DELIVER, row_id, due_at=values["due_at"] if later else None)


def cancel(
    number: str,
    reason: str,
    *,
    now: datetime,
    kind: TextKind | None = None,
    spared: Collection[TextKind] = (),
) -> None:
    """Take back what has not left yet, for a STOP or a newer text. Never commits."""
    kinds = [kind] if kind else [k for k in TextKind if k not in spared]
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
