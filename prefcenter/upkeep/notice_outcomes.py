"""What came of telling an endpoint: written down, parked for later, given up, or told once more.

All of it is fenced by the lease of notices.py. Rules here never commit.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.database import UtcDateTime, execute, insert, is_public_id
from prefcenter.models import ConsentEvent
from prefcenter.models_webhooks import EndpointEnd, ParkedNotice, WebhookEndpoint
from prefcenter.sms import alarms
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import notice_bodies, notices
from prefcenter.upkeep.notices import Batch, Notice

# Seconds after each failure, as Standard Webhooks recommends; together about three days.
RETRY = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
DEAD_AFTER = timedelta(days=3)
RESTS = (30, 60, 120, 300, 600, 900, 1800)  # seconds; then as long as the last
_JITTER = 0.2

_e, _w, _n = (t.__table__.c for t in (ConsentEvent, WebhookEndpoint, ParkedNotice))
Tried = Sequence[tuple[Notice, Answer | None]]  # None: not tried, it waits behind another


def record(batch: Batch, tried: Tried, holder: str, *, now: datetime) -> bool:
    """Write down what was told and what was not. Never commits.

    False, and nothing is written, where somebody else tells this endpoint by now.
    """
    if not _move(batch, tried, holder, now):
        return False
    died = _settle(batch, tried, now)
    if any(answer.gone for _notice, answer in tried if answer):
        _stop(batch.endpoint_id, EndpointEnd.GONE, now)
    elif _fails_for_days(batch.endpoint_id, now):
        _stop(batch.endpoint_id, EndpointEnd.FAILING, now)
    elif died:
        alarms.start(alarms.NOTICES, now=now)
    return True


def _settle(batch: Batch, tried: Tried, now: datetime) -> bool:
    """The rows of what is parked; True where one of them is dead now."""
    died = False
    taken = [one.parked for one, answer in tried if answer and answer.taken and one.parked]
    if taken:
        execute(sa.delete(ParkedNotice).where(_n.id.in_(taken)), {})
    for notice, answer in tried:
        if answer is None:
            _park(batch, notice, "", now, due=None)
        elif not answer.taken and not answer.gone:
            died |= _refused(batch, notice, answer, now)
    for person_id in dict.fromkeys(notice.person_id for notice, _answer in tried):
        _free_next(batch.endpoint_id, person_id, now)
    return died


def _move(batch: Batch, tried: Tried, holder: str, now: datetime) -> bool:
    """The endpoint's own row: cursor, failures in a row, rest, and the lease anew."""
    asked = [answer for _notice, answer in tried if answer is not None]
    failures, wait = batch.failures, 0.0
    for answer in asked:
        failures = 0 if answer.taken else failures + 1
        wait = answer.wait
    values: dict[str, Any] = {"told_event_id": _cursor(batch, tried), "failures": failures}
    if asked:
        values["last_error"] = asked[-1].error[:120]
        rest = max(wait, _rest(failures))
        values["rests_until"] = now + timedelta(seconds=rest) if rest else None
        since = sa.func.coalesce(_w.failing_since, sa.literal(now, UtcDateTime()))
        values["failing_since"] = since if failures else None
    if any(answer.taken for answer in asked):
        values |= {"taken_at": now, "failing_since": now if failures else None}
    mine = sa.update(WebhookEndpoint).where(
        _w.id == batch.endpoint_id, _w.held_by == holder, _w.told_event_id == batch.told
    )
    moved = execute(
        mine.values(**values, held_until=notices.moment(now) + notices.LEASE), {}
    ).rowcount
    if moved and batch.failures >= notices.IN_A_ROW and any(answer.taken for answer in asked):
        _bring_forward(batch.endpoint_id, now)
    return bool(moved)


def _cursor(batch: Batch, tried: Tried) -> int:
    """Before the first new event that nothing was done about yet."""
    done = {notice.event_id for notice, _answer in tried if not (_answer and _answer.gone)}
    left = [n.event_id for n in batch.notices if n.parked is None and n.event_id not in done]
    return min(left) - 1 if left else batch.upto


def _refused(batch: Batch, notice: Notice, answer: Answer, now: datetime) -> bool:
    """Park it, or park it for longer; True where it is dead."""
    if notice.parked is None:
        _park(batch, notice, answer.error, now, due=now + _backoff(1), attempts=1)
        return False
    row = execute(sa.select(_n.attempts, _n.parked_at).where(_n.id == notice.parked), {}).first()
    if row is None:  # somebody replayed or dropped it meanwhile
        return False
    dead = row.parked_at + DEAD_AFTER <= now
    values: dict[str, Any] = {"attempts": row.attempts + 1, "last_error": answer.error[:120]}
    values |= {"dead_at": now} if dead else {"due_at": now + _backoff(row.attempts + 1)}
    execute(sa.update(ParkedNotice).where(_n.id == notice.parked).values(values), {})
    return bool(dead)


def _park(
    batch: Batch,
    notice: Notice,
    error: str,
    now: datetime,
    *,
    due: datetime | None,
    attempts: int = 0,
) -> None:
    if notice.parked is not None:
        return
    values = {
        "endpoint_id": batch.endpoint_id,
        "event_id": notice.event_id,
        "person_id": notice.person_id,
        "parked_at": now,
        "due_at": due,
        "attempts": attempts,
        "last_error": error[:120],
    }
    execute(insert(ParkedNotice).values(values).on_conflict_do_nothing(), {})


def _free_next(endpoint_id: int, person_id: int, now: datetime) -> None:
    """Where what a person's others waited behind is settled, the next of them has its turn."""
    first = (
        sa.select(_n.id)
        .where(_n.endpoint_id == endpoint_id, _n.person_id == person_id, _n.dead_at.is_(None))
        .order_by(_n.event_id)
        .limit(1)
        .scalar_subquery()
    )
    freed = sa.update(ParkedNotice).where(_n.id == first, _n.due_at.is_(None))
    execute(freed.values(due_at=now, parked_at=now), {})  # its days begin now


def _bring_forward(endpoint_id: int, now: datetime) -> None:
    """It answers again, so what waits for hours need not."""
    waiting = sa.update(ParkedNotice).where(
        _n.endpoint_id == endpoint_id, _n.dead_at.is_(None), _n.due_at > now
    )
    execute(waiting.values(due_at=now), {})


def _fails_for_days(endpoint_id: int, now: datetime) -> bool:
    """True where it took nothing for days, and not just one event: that may be our fault."""
    row = execute(sa.select(_w.failing_since, _w.failures).where(_w.id == endpoint_id), {}).one()
    since = row.failing_since
    if row.failures < notices.IN_A_ROW or since is None or since + DEAD_AFTER > now:
        return False
    tried = sa.select(_n.id).where(
        _n.endpoint_id == endpoint_id, _n.attempts > 0, _n.parked_at >= since
    )
    return len(execute(tried.limit(2), {}).all()) > 1


def _stop(endpoint_id: int, why: EndpointEnd, now: datetime) -> None:
    stopped = sa.update(WebhookEndpoint).where(_w.id == endpoint_id, _w.disabled_at.is_(None))
    execute(stopped.values(disabled_at=now, disabled_why=why), {})
    alarms.start(alarms.NOTICES, now=now)


def _backoff(attempt: int) -> timedelta:
    """How long to wait after this many attempts, and a little more, so that not all come back
    together."""
    return timedelta(seconds=_jittered(RETRY[min(attempt, len(RETRY)) - 1]))


def _rest(failures: int) -> float:
    over = failures - notices.IN_A_ROW
    return _jittered(RESTS[min(over, len(RESTS) - 1)]) if over >= 0 else 0.0


def _jittered(seconds: float) -> float:
    return seconds * (1 + _JITTER * secrets.randbelow(1001) / 1000)


def replay(endpoint_id: int, events: Iterable[int] | None, *, now: datetime) -> int:
    """Tell these dead ones again, all of them where none is named; gives how many.

    They come late, so a receiver looks at `seq`. Never commits.
    """
    again = sa.update(ParkedNotice).where(_n.endpoint_id == endpoint_id, _n.dead_at.is_not(None))
    if events is not None:
        again = again.where(_n.event_id.in_(list(events)))
    fresh = {"dead_at": None, "due_at": now, "parked_at": now, "attempts": 0}
    return int(execute(again.values(fresh), {}).rowcount)


def tell_again(endpoint_id: int, public_id: str, *, now: datetime) -> bool:
    """Tell one event again, also one that was taken; False where there is none that is told.

    Never commits.
    """
    if not is_public_id(public_id):
        return False
    query = sa.select(_e.id, _e.person_id, _e.kind).where(_e.public_id == public_id)
    event = execute(query, {}).first()
    if event is None or event.kind not in notice_bodies.TYPES:
        return False
    if replay(endpoint_id, [event.id], now=now):
        return True
    told = execute(sa.select(_w.told_event_id).where(_w.id == endpoint_id), {}).scalar_one()
    if event.id > told:
        return True  # its turn comes anyway
    values = {"endpoint_id": endpoint_id, "event_id": event.id, "person_id": event.person_id}
    values |= {"parked_at": now, "due_at": now, "attempts": 0, "last_error": ""}
    execute(insert(ParkedNotice).values(values).on_conflict_do_nothing(), {})
    return True
