"""What the provider says later about a text of ours: it moves that text, and only forward.

A receipt may come before our own call has returned, after it, after it timed out, twice, or
behind a newer one. In any order the same receipts leave the same row (REL-13, SEC-37). What
it says of the person is for consent/provider.py to act on.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.database import execute, insert, per_dialect
from prefcenter.models import Inbound, OutboxMessage, OutboxStatus, Receipt
from prefcenter.sms import codes
from prefcenter.sms.webhook import StatusUpdate

log = logging.getLogger(__name__)

_SENT, _DELIVERED, _FAILED = OutboxStatus.SENT, OutboxStatus.DELIVERED, OutboxStatus.FAILED
# Both APIs' words, and the reason where no code says more. A word that is not here is news of
# a text that the provider has, so it left.
WORDS: dict[str, tuple[OutboxStatus, str]] = {
    "submitted": (_SENT, ""),
    "accepted": (_SENT, ""),
    "buffered": (_SENT, ""),
    "unknown": (_SENT, ""),
    "delivered": (_DELIVERED, ""),
    "read": (_DELIVERED, ""),
    "seen": (_DELIVERED, ""),
    "rejected": (_FAILED, "rejected"),
    "undeliverable": (_FAILED, "undeliverable"),
    "failed": (_FAILED, "not delivered"),
    "expired": (_FAILED, "expired on the way"),
}
_RANK = {_SENT: 1, _FAILED: 2, _DELIVERED: 3}  # all others come before: nobody knew
_PLAIN = frozenset(reason for _, reason in WORDS.values())
_NOT_CALLED = (OutboxStatus.QUEUED, OutboxStatus.CANCELLED, OutboxStatus.EXPIRED)
_JOIN_WITHIN = timedelta(hours=6)

_texts, _kept = OutboxMessage.__table__.c, Receipt.__table__.c
_FIND = sa.select(_texts.id, _texts.to_number.label("number"))
_BY_REF = _FIND.where(_texts.ref == sa.bindparam("key"))
_BY_ID = _FIND.where(_texts.provider_id == sa.bindparam("key")).order_by(_texts.id.desc()).limit(1)
_LOCK = sa.select(OutboxMessage.__table__).where(_texts.id == sa.bindparam("key")).with_for_update()
_MOVED = ("status", "reason", "copies", "provider_id", "finished_at")
_MOVE = (
    sa.update(OutboxMessage)
    .where(_texts.id == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in _MOVED})
)
_CALLED_AT = sa.select(sa.func.coalesce(_texts.claimed_at, _texts.created_at)).where(
    _texts.id == sa.bindparam("key")
)
_JOINABLE = (
    sa.select(Receipt.__table__, _texts.id.label("text_id"), _texts.to_number.label("number"))
    .join(OutboxMessage, _texts.provider_id == _kept.provider_id)
    .where(_kept.received_at > sa.bindparam("since"))
    .order_by(_texts.to_number, _kept.id)  # one order of locks for all who join at once
    .limit(200)
    .with_for_update(of=Receipt, skip_locked=True)
)
_DROP = sa.delete(Receipt).where(_kept.id == sa.bindparam("key"))


@dataclass(frozen=True, slots=True)
class About:
    """The text that a receipt is about. It is not locked yet."""

    text_id: int
    number: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Kept:
    """A receipt that came before we knew its text."""

    id: int
    about: About
    update: StatusUpdate


@dataclass(frozen=True, slots=True)
class News:
    """What a receipt said, for whoever it concerns beyond its text."""

    number: str = field(repr=False)
    status: OutboxStatus  # the text's, now
    changed: bool  # False for a repeat, and for what comes behind something weightier
    code: str
    called_at: datetime  # when the text was last handed to the provider
    said_at: datetime | None


def find(update: StatusUpdate) -> About | None:
    """The text that this is about: by our reference, else by the provider's id.

    Another number than the text's own means another text, whatever the reference says.
    """
    for query, key in ((_BY_REF, update.ref), (_BY_ID, update.message_id)):
        row = execute(query, {"key": key}).one_or_none() if key else None
        if row is not None and update.number in (None, row.number):
            return About(row.id, row.number)
    return None


def concerns_person(update: StatusUpdate) -> bool:
    """True when whoever takes this may need the person's lock, which comes before the text's."""
    code = codes.of(update.code)
    return WORDS.get(update.status, WORDS["unknown"])[0] is not _SENT or code.opted_out


def move(about: About, update: StatusUpdate, *, now: datetime) -> News | None:
    """Move one text as far as this receipt says. Never commits.

    None for a text that was never handed to the provider: then it is not this text's.
    """
    row = execute(_LOCK, {"key": about.text_id}).one()
    if row.status in _NOT_CALLED and not row.copies:
        return None
    values = _moved(row, update, now)
    if any(getattr(row, name) != value for name, value in values.items()):
        execute(_MOVE, {f"new_{name}": value for name, value in values.items()} | {"key": row.id})
    changed = (row.status, row.reason) != (values["status"], values["reason"])
    if changed and values["status"] is _FAILED:
        facts = {"ref": row.ref, "kind": row.kind, "reason": values["reason"]}
        log.warning("text not delivered", extra=facts)
    return News(
        number=row.to_number,
        status=values["status"],
        changed=changed,
        code=update.code,
        called_at=row.claimed_at or row.created_at,
        said_at=update.said_at,
    )


def _moved(row: Any, update: StatusUpdate, now: datetime) -> dict[str, Any]:
    """The row's fields after this receipt; some are what they were."""
    said, reason = _reading(update)
    status = said if _RANK[said] > _RANK.get(row.status, 0) else row.status
    if status is not row.status:
        copies = row.copies + 1 if row.status is OutboxStatus.SENDING else max(row.copies, 1)
    else:
        reason = _weightier(row.reason, reason) if said is status is _FAILED else row.reason
        copies = row.copies
    return {
        "status": status,
        "reason": reason,
        "copies": copies,
        "provider_id": row.provider_id or update.message_id,
        "finished_at": row.finished_at or now,
    }


def _reading(update: StatusUpdate) -> tuple[OutboxStatus, str]:
    status, plain = WORDS.get(update.status, WORDS["unknown"])
    if status is not _FAILED:
        return status, ""
    code = codes.of(update.code)
    return (_SENT, "") if code.in_doubt else (_FAILED, code.reason or plain)


def _weightier(one: str, other: str) -> str:
    """The same reason of two, in whichever order they come; a code's goes before a word's."""
    return max(one, other, key=lambda reason: (reason not in _PLAIN, reason))


def keep(update: StatusUpdate, *, now: datetime) -> None:
    """Keep what is about no text of ours, or not yet: once for each status. Never commits."""
    log.info("receipt of an unknown text", extra={"status": update.status})
    values = {
        "provider_id": update.message_id,
        "ref": update.ref,
        "status": update.status,
        "code": update.code,
        "said_at": update.said_at,
        "received_at": now,
    }
    execute(_keep(), values)


@per_dialect
def _keep() -> sa.Executable:
    statement = insert(Receipt)
    return statement.on_conflict_do_update(
        index_elements=["provider_id", "status"],
        set_={"code": statement.excluded.code},
        where=_kept.code == "",
    )


def joinable(*, now: datetime) -> list[Kept]:
    """Kept receipts whose text is known by now, in the order in which to take them, locked."""
    rows = execute(_JOINABLE, {"since": now - _JOIN_WITHIN})
    return [
        Kept(
            row.id,
            About(row.text_id, row.number),
            StatusUpdate(row.provider_id, row.ref, None, row.status, row.said_at, row.code),
        )
        for row in rows
    ]


def drop(kept: list[Kept]) -> None:
    """Forget receipts that were joined to their text. Never commits."""
    if kept:
        execute(_DROP, [{"key": one.id} for one in kept])


def called_at(text_id: int) -> datetime | None:
    """When a text was last handed to the provider."""
    found: datetime | None = execute(_CALLED_AT, {"key": text_id}).scalar()
    return found


def arrived_since(number: str, moment: datetime) -> bool:
    """True when a newer text reached this number, or one came from it: so it is alive."""
    return execute(_ARRIVED, {"number": number, "moment": moment}).scalar() is True


_ARRIVED = sa.select(
    sa.or_(
        sa.exists().where(
            _texts.to_number == sa.bindparam("number"),
            _texts.created_at > sa.bindparam("moment"),
            _texts.status == _DELIVERED,
        ),
        sa.exists().where(
            Inbound.number == sa.bindparam("number"),
            Inbound.received_at > sa.bindparam("moment"),
        ),
    )
)
