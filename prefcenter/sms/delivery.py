"""What the senders do with the outbox: claim, record, rescue.

A row is claimed and committed before the call, no transaction is open during it, each call
is one POST, and what became of it is written down after (REL-3 to REL-9). A little long,
because all of it moves the same row and shares its words.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, execute, new_public_id
from prefcenter.models import Inbound, OutboxMessage, OutboxStatus, Person, Status, TextKind
from prefcenter.sms import alarms, codes, gate, jobs, outbox
from prefcenter.sms.gate import Slots
from prefcenter.sms.outbox import POLICY
from prefcenter.sms.sender import Outcome, Parcel, Verdict

log = logging.getLogger(__name__)

MaySend = Callable[[TextKind, Status | None], bool]
PAUSE_SECONDS = 300.0
SLOW_SECONDS = 5.0  # for each text that was refused because we send too fast
_BACKOFF_SECONDS = (5, 10, 20, 40, 80, 160, 320, 640, 900)
_CLOCK_SKEW = timedelta(minutes=5)
_CALL_SECONDS = 20.0  # a call may take its timeout to connect and again to read


@dataclass(frozen=True, slots=True)
class Claim:
    """A text that is ours to send now. `token` fences out whoever held it before (REL-7)."""

    id: int
    token: str
    parcel: Parcel
    wait: float  # seconds until its slot
    lapses: float  # time.monotonic() after which the call must not begin
    probing: bool


def claim(id_: int, *, now: datetime, may_send: MaySend, horizon: float) -> list[Claim] | None:
    """Make this text ours, as far as the rate allows; None when it allows none yet.

    Consent is asked again under the person's lock, so a STOP that came first cancels the
    text and one that comes later waits (REL-8). Never commits; commit before the call.
    """
    person_id = execute(_OUTBOX_PERSON, {"id": id_}).scalar()
    if person_id is not None:
        execute(_LOCK_PERSON, {"id": person_id})
    # Its job came when the queue's clock said so; ours may be behind (REL-15).
    rows = execute(_ONE_ROW, {"id": id_, "at": now + _CLOCK_SKEW}).all()
    if not rows and execute(_HELD, {"id": id_}).first():
        jobs.defer(jobs.DELIVER, id_, due_at=now + _HELD_FOR)
    return _claim_rows(rows, now, may_send, horizon)


def claim_due(most: int, *, now: datetime, may_send: MaySend, horizon: float) -> list[Claim] | None:
    """Like `claim`, for the oldest texts that are due: SQLite, where a writer holds all."""
    rows = execute(_DUE_ROWS, {"at": now, "most": most})
    return _claim_rows(rows, now, may_send, horizon)


def _claim_rows(
    found: Iterable[Any], now: datetime, may_send: MaySend, horizon: float
) -> list[Claim] | None:
    rows = [row for row in found if _worth_sending(row, now, may_send)]
    if not rows:
        return []
    settings = config.current()
    slots = gate.take(gate.PROVIDER, len(rows), settings.sends_per_second, horizon=horizon, now=now)
    if slots is None:
        return None
    lapses = time.monotonic() + settings.lease_seconds - _CALL_SECONDS
    claims = [_claim(row, index, slots, lapses) for index, row in enumerate(rows[: slots.count])]
    marks = [{"row_id": claim.id, "token": claim.token, "at": now} for claim in claims]
    execute(_MARK, marks)
    return claims


# Whoever has just texted us is heard first: it may be a STOP (INV-1).
_UNHEARD = sa.exists().where(Inbound.number == OutboxMessage.to, Inbound.handled_at.is_(None))
_HELD_FOR = timedelta(seconds=1)
_LOCK_PERSON = sa.select(Person.id).where(Person.id == sa.bindparam("id")).with_for_update()
_OUTBOX_PERSON = sa.select(OutboxMessage.person_id).where(OutboxMessage.id == sa.bindparam("id"))
_ROWS = (
    sa.select(
        OutboxMessage.id,
        OutboxMessage.ref,
        OutboxMessage.to.label("to"),
        OutboxMessage.sender,
        OutboxMessage.body,
        OutboxMessage.kind,
        OutboxMessage.expires_at,
        OutboxMessage.person_id,
        Person.status.label("person_status"),
        Person.number.label("person_number"),
    )
    .outerjoin(Person, Person.id == OutboxMessage.person_id)
    .where(
        OutboxMessage.status == OutboxStatus.QUEUED,
        OutboxMessage.due_at <= sa.bindparam("at"),
        ~_UNHEARD,
    )
)
_HELD = sa.select(OutboxMessage.id).where(
    OutboxMessage.id == sa.bindparam("id"), OutboxMessage.status == OutboxStatus.QUEUED, _UNHEARD
)
_ONE_ROW = _ROWS.where(OutboxMessage.id == sa.bindparam("id")).with_for_update(
    of=OutboxMessage, skip_locked=True
)
_DUE_ROWS = _ROWS.order_by(OutboxMessage.due_at, OutboxMessage.id).limit(
    sa.bindparam("most", type_=sa.Integer)
)
_MARK = (
    sa.update(OutboxMessage)
    .where(OutboxMessage.id == sa.bindparam("row_id"))
    .values(status=OutboxStatus.SENDING, claim=sa.bindparam("token"), claimed_at=sa.bindparam("at"))
)


def _worth_sending(row: Any, now: datetime, may_send: MaySend) -> bool:
    """True for a row that may go; one that never may is closed here."""
    if row.expires_at <= now:
        return _finish(row.id, OutboxStatus.EXPIRED, "too late to be of use", now)
    if row.person_id is not None and row.person_number != row.to:
        return _finish(row.id, OutboxStatus.CANCELLED, "the number changed hands", now)
    if not may_send(row.kind, row.person_status):
        return _finish(row.id, OutboxStatus.CANCELLED, f"the person is {row.person_status}", now)
    return True


def _claim(row: Any, index: int, slots: Slots, lapses: float) -> Claim:
    parcel = Parcel(ref=row.ref, to=row.to, sender=row.sender, body=row.body, kind=row.kind)
    return Claim(row.id, new_public_id(), parcel, slots.wait_of(index), lapses, slots.probing)


def _finish(id_: int, status: OutboxStatus, reason: str, now: datetime) -> bool:
    """Close a row that will not be sent; always False, for `_worth_sending`."""
    statement = sa.update(OutboxMessage).where(OutboxMessage.id == id_)
    execute(statement.values(status=status, reason=reason, finished_at=now), {})
    return False


_SENT = (
    sa.update(OutboxMessage)
    .where(
        OutboxMessage.id == sa.bindparam("row_id"),
        OutboxMessage.claim == sa.bindparam("token"),
        # No IN here: a list cannot be spelled out for many rows at once.
        (OutboxMessage.status == OutboxStatus.SENDING)
        | (OutboxMessage.status == OutboxStatus.UNKNOWN)
        # Given up, and about to leave once more: not needed any longer.
        | ((OutboxMessage.status == OutboxStatus.QUEUED) & (OutboxMessage.copies > 0)),
    )
    .values(
        status=OutboxStatus.SENT,
        provider_id=sa.bindparam("message_id"),
        reason="",
        finished_at=sa.bindparam("at"),
        copies=OutboxMessage.copies
        + sa.case((OutboxMessage.status == OutboxStatus.SENDING, 1), else_=0),
    )
)


def record(done: Sequence[tuple[Claim, Verdict]], *, now: datetime) -> None:
    """Write down what became of calls. Never commits.

    Whoever lost a claim meanwhile changes nothing, except that a late "sent" still settles
    a row that was given up as unknown. What a receipt has settled stays as it is (REL-13).
    """
    sent = [pair for pair in done if pair[1].outcome is Outcome.SENT]
    if sent:
        rows = [{"row_id": claim.id, "token": claim.token, "at": now} for claim, _ in sent]
        ids = ({"message_id": verdict.message_id} for _, verdict in sent)
        execute(_SENT, [row | id_ for row, id_ in zip(rows, ids, strict=True)])
    if any(claim.probing for claim, _ in sent):
        gate.open_again(gate.PROVIDER)
        alarms.end(alarms.SENDING_PAUSED)
    for claim, verdict in done:
        if verdict.outcome is not Outcome.SENT:
            _record_trouble(claim, verdict, now)


def _record_trouble(done: Claim, verdict: Verdict, now: datetime) -> None:
    facts = {"ref": done.parcel.ref, "kind": done.parcel.kind, "reason": verdict.reason}
    log.warning("text not sent", extra={"outcome": verdict.outcome, **facts})
    message = db.session.scalar(
        sa.select(OutboxMessage)
        .where(
            OutboxMessage.id == done.id,
            OutboxMessage.claim == done.token,
            OutboxMessage.status == OutboxStatus.SENDING,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if message is not None:
        message.reason = verdict.reason
        _RECORD[verdict.outcome](message, verdict, now)
        db.session.flush()
    # Last, because whoever claims holds the text's row first and the gate after it.
    if verdict.outcome is Outcome.PAUSE:
        pause(verdict.reason, now=now)
    elif codes.of(verdict.code).too_fast:
        gate.slow(gate.PROVIDER, max(verdict.retry_after or 0.0, SLOW_SECONDS), now=now)


def _record_unknown(message: OutboxMessage, _verdict: Verdict, now: datetime) -> None:
    message.status = OutboxStatus.UNKNOWN
    message.copies += 1
    message.claimed_at = now  # the wait for a receipt starts here


def _record_failed(message: OutboxMessage, _verdict: Verdict, now: datetime) -> None:
    message.status = OutboxStatus.FAILED
    message.finished_at = now


def _record_pause(message: OutboxMessage, _verdict: Verdict, now: datetime) -> None:
    message.status = OutboxStatus.QUEUED  # burns no attempt
    jobs.defer(jobs.DELIVER, message.id, due_at=now + timedelta(seconds=PAUSE_SECONDS))


def _record_retry(message: OutboxMessage, verdict: Verdict, now: datetime) -> None:
    rung = min(message.attempts, len(_BACKOFF_SECONDS) - 1)
    delay = verdict.retry_after or _BACKOFF_SECONDS[rung] * (0.75 + secrets.randbelow(500) / 1000)
    message.attempts += 1
    message.status = OutboxStatus.QUEUED
    message.due_at = now + timedelta(seconds=delay)
    jobs.defer(jobs.DELIVER, message.id, due_at=message.due_at)


_RECORD: dict[Outcome, Callable[[OutboxMessage, Verdict, datetime], None]] = {
    Outcome.UNKNOWN: _record_unknown,
    Outcome.FAILED: _record_failed,
    Outcome.PAUSE: _record_pause,
    Outcome.RETRY: _record_retry,
}


def rescue(*, now: datetime) -> int:
    """Settle what a dead or silent sender left behind; gives how many rows moved (REL-4).

    A claim whose lease ran out may have been sent: it becomes unknown. An unknown text
    waits for its receipt; then it is sent once more, if its kind allows and it is the
    first time, or else stays unknown for a person to look at. Never commits.
    """
    settings = config.current()
    open_rows = (
        sa.select(OutboxMessage)
        .where(
            OutboxMessage.status.in_([OutboxStatus.SENDING, OutboxStatus.UNKNOWN]),
            OutboxMessage.finished_at.is_(None),
            OutboxMessage.claimed_at
            < now - timedelta(seconds=min(settings.lease_seconds, settings.receipt_wait_seconds)),
        )
        .order_by(OutboxMessage.id)
        .limit(200)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if not paused(now=now) and not outbox.due(1, now=now):
        gate.open_again(gate.PROVIDER)  # nothing is left to probe with
        alarms.end(alarms.SENDING_PAUSED)
    moved = 0
    for message in db.session.scalars(open_rows):
        moved += _settle(message, settings, now)
    db.session.flush()
    return moved


def _settle(message: OutboxMessage, settings: config.Settings, now: datetime) -> bool:
    assert message.claimed_at is not None
    waited = (now - message.claimed_at).total_seconds()
    if message.status is OutboxStatus.SENDING:
        if waited < settings.lease_seconds:
            return False
        message.reason = "the sender died during the call"
        _record_unknown(message, Verdict(Outcome.UNKNOWN, message.reason), now)
    elif waited < settings.receipt_wait_seconds:
        return False
    elif POLICY[message.kind].resend and message.copies < 2 and now < message.expires_at:
        message.status, message.due_at = OutboxStatus.QUEUED, now
        jobs.defer(jobs.DELIVER, message.id)
    else:
        message.finished_at = now
    return True


def pause(reason: str, *, now: datetime) -> None:
    """Stop sending for a while, in every process, and tell the operator. Never commits."""
    gate.close(gate.PROVIDER, PAUSE_SECONDS, now=now)
    alarms.start(alarms.SENDING_PAUSED, f"Sending is paused: {reason}.", now=now)


def paused(*, now: datetime) -> bool:
    """True while the provider refuses everything, for example without credit."""
    return gate.is_closed(gate.PROVIDER, now=now)
