"""The inbox: every text that comes in is a row before the provider is answered (REL-11).

A row is stored once for each message id, for ever; who works it is in consent/inbound.py.
Until that is done nothing leaves to its number (delivery.py), because it may be a STOP.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from prefcenter.database import execute, insert, per_dialect
from prefcenter.models import Inbound, Unreadable
from prefcenter.sms.webhook import InboundText

_rows = Inbound.__table__.c
_OPEN = sa.select(_rows.id).where(_rows.handled_at.is_(None))
# "+ 0", or SQLite walks the whole table by its key for the few that wait.
_WAITING = _OPEN.order_by(_rows.id + 0).limit(sa.bindparam("most", type_=sa.Integer))
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(_rows.id), 0))
_TAKE = (
    sa.select(Inbound.__table__)
    .where(_rows.id == sa.bindparam("key"), _rows.handled_at.is_(None))
    .with_for_update(skip_locked=True)
)
_DONE = (
    sa.update(Inbound)
    .where(_rows.id == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("reading", "outcome", "reply")})
    .values(handled_at=sa.bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A text that waits for its effect, ours to work until the transaction ends."""

    id: int
    message_id: str
    number: str
    ours: str
    text: str
    said_at: datetime | None
    received_at: datetime


@per_dialect
def _store() -> sa.Executable:
    statement = insert(Inbound).on_conflict_do_nothing(index_elements=["message_id"])
    return statement.returning(_rows.id, _rows.message_id)


def store(
    texts: Sequence[tuple[InboundText, datetime]], *, connection: Connection | None = None
) -> list[int | None]:
    """Keep texts, each with when it came, in one statement. Never commits.

    Gives a row's id for each, None where its message id was seen before. Without a
    connection they are kept in the session's transaction.
    """
    # In one order everywhere, or two processes with the same posts could wait for each other.
    # The sort is stable: the first of two with the same id is the one that is stored.
    rows = [
        {
            "message_id": text.message_id,
            "number": text.number,
            "ours": text.ours,
            "text": text.text,
            "said_at": text.said_at,
            "received_at": now,
        }
        for text, now in sorted(texts, key=lambda one: one[0].message_id)
    ]
    run = connection.execute if connection is not None else execute
    stored = {row.message_id: int(row.id) for row in run(_store(), rows)}
    return [stored.pop(text.message_id, None) for text, _ in texts]


def waiting(limit: int) -> list[int]:
    """Ids of texts that nobody has worked yet, oldest first."""
    return [row.id for row in execute(_WAITING, {"most": limit})]


def newest() -> int:
    """The id of the text that came last, 0 before the first."""
    return int(execute(_NEWEST, {}).scalar_one())


def take(row_id: int) -> Incoming | None:
    """A waiting text, locked; None when it is done, or another process is at it."""
    row = execute(_TAKE, {"key": row_id}).one_or_none()
    if row is None:
        return None
    return Incoming(
        row.id, row.message_id, row.number, row.ours, row.text, row.said_at, row.received_at
    )


def done(row_id: int, *, reading: str, outcome: str, reply: str, now: datetime) -> None:
    """Note what came of a text, in the transaction of its effect. Never commits."""
    values = {"new_reading": reading, "new_outcome": outcome, "new_reply": reply}
    execute(_DONE, values | {"key": row_id, "at": now})


def keep_unreadable(door: str, body: bytes, reason: str, *, now: datetime) -> bool:
    """Keep a genuine post that we cannot use, once, for a person (SEC-34). Never commits."""
    statement = insert(Unreadable).on_conflict_do_nothing(index_elements=["body_sha256"])
    values = {
        "door": door,
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "body": body,
        "reason": reason[:80],
        "received_at": now,
    }
    row = execute(statement.returning(Unreadable.__table__.c.id), values).one_or_none()
    return row is not None
