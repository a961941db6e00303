"""The rate that every sending process shares, in one row of the database (GCRA).

Exact at any number of processes on any number of machines: PostgreSQL's own clock is used
there; SQLite's processes share the machine's.
"""

import math
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from prefcenter.database import db, insert, is_postgresql
from prefcenter.models import Gate

PROVIDER = "provider"
_MARGIN = 1.01  # wider than asked by 1 %, so that jitter never makes a second too full


@dataclass(frozen=True, slots=True)
class Slots:
    """Leave to send `count` texts: the first after `wait` seconds, then one every `step`."""

    wait: float
    step: float
    count: int
    probing: bool  # sending was paused; a success opens it again

    def wait_of(self, index: int) -> float:
        return max(0.0, self.wait + index * self.step)


def take(name: str, wanted: int, rate: float, *, horizon: float, now: datetime) -> Slots | None:
    """Up to `wanted` slots that start within `horizon` seconds, or None. Never commits.

    `rate` is texts a second over all processes. After a pause only one slot is given, to
    try whether the provider takes texts again.
    """
    step = _MARGIN / rate
    paused = db.session.scalar(sa.select(Gate.closed_until).where(Gate.name == name)) or 0.0
    count = 1 if paused else min(wanted, 1 + math.floor(horizon / step))
    clock = _clock(now)
    later = sa.func.greatest if is_postgresql() else sa.func.max
    row = db.session.execute(
        insert(Gate)
        .values(name=name, next_free=clock + step * count, closed_until=0.0)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"next_free": later(Gate.next_free, clock) + step * count},
            where=(Gate.next_free <= clock + horizon) & (Gate.closed_until <= clock),
        )
        .returning(Gate.next_free - step * count - clock, Gate.closed_until)
    ).one_or_none()
    if row is None:
        return None
    return Slots(float(row[0]), step, count, probing=row[1] > 0)


def close(name: str, seconds: float, *, now: datetime) -> None:
    """Let nothing through for a while, in any process. Never commits."""
    until = _clock(now) + seconds
    statement = insert(Gate).values(name=name, next_free=0.0, closed_until=until)
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"closed_until": until})
    )


def open_again(name: str) -> None:
    db.session.execute(sa.update(Gate).where(Gate.name == name).values(closed_until=0.0))


def _clock(now: datetime) -> sa.ColumnElement[float]:
    """Unix seconds by the clock that all senders share."""
    if is_postgresql():
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    return sa.literal(now.timestamp(), sa.Double)


def is_closed(name: str, *, now: datetime) -> bool:
    """True while sending is paused."""
    query = sa.select(Gate.name).where(Gate.name == name, Gate.closed_until > _clock(now))
    return db.session.scalar(query) is not None
