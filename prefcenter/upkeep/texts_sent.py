"""How many texts have left, by the day on which they were written. Reads only."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter.models import OutboxMessage, OutboxStatus

_A_STEP = 5000
_t = OutboxMessage.__table__.c
# What may still leave; all before the first such row will stay as it is.
_OPEN = sa.select(sa.func.min(_t.id)).where(
    _t.status.in_([OutboxStatus.QUEUED, OutboxStatus.SENDING]), _t.id > sa.bindparam("mark")
)
_LAST = sa.select(sa.func.max(sa.text("id"))).select_from(
    sa.select(_t.id)
    .where(_t.id > sa.bindparam("mark"), _t.id <= sa.bindparam("top"))
    .order_by(_t.id)
    .limit(_A_STEP)
    .subquery()
)
_LEFT = sa.select(_t.created_at).where(
    _t.id > sa.bindparam("mark"), _t.id <= sa.bindparam("last"), _t.copies > 0
)
_NO_TOP = 2**62


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts after a mark, by day."""

    days: dict[date, int]
    last_id: int


def since(connection: sa.Connection, mark: int, zone: str, *, top: int) -> Texts:
    """The next texts whose fate is settled, a few thousand at most."""
    first_open = connection.scalar(_OPEN, {"mark": mark})
    top = min(top, first_open - 1) if first_open else top
    last = connection.scalar(_LAST, {"mark": mark, "top": top})
    if last is None:
        return Texts({}, mark)
    return Texts(newest(connection, mark, zone, last=last), last)


def newest(
    connection: sa.Connection, mark: int, zone: str, *, last: int = _NO_TOP
) -> dict[date, int]:
    """The texts after the one with id `mark` that have left so far."""
    there = ZoneInfo(zone)
    left = connection.execute(_LEFT, {"mark": mark, "last": last}).scalars()
    return dict(Counter(moment.astimezone(there).date() for moment in left))


def settled(connection: sa.Connection, zone: str, *, top: int) -> Texts:
    """All texts whose fate is settled."""
    days: Counter[date] = Counter()
    last = 0
    while True:
        part = since(connection, last, zone, top=top)
        if part.last_id == last:
            return Texts(dict(days), last)
        days.update(part.days)
        last = part.last_id
