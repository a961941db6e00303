"""The rate that every sending process shares, in one row of the database (GCRA).

Exact at any number of processes on any number of machines: PostgreSQL's own clock is used
there; SQLite's processes share the machine's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter.database import execute, insert, is_postgresql, per_dialect
from prefcenter.models import Gate

PROVIDER = "provider"
SLOWEST = 30.0  # seconds that nothing leaves, however often we were told to slow down
_FARTHEST = 1000.0
_MARGIN = 1.015  # slots a little wider than asked, so that jitter fills no second too full


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
    count = min(wanted, 1 + math.floor(horizon / step))
    values = {"gate": name, "cost": step * count, "horizon": horizon, "now": now.timestamp()}
    row = execute(_take(), values).one_or_none()
    if row is None:
        return None
    probing = row.closed_until > 0
    return Slots(row.wait, step, 1 if probing else count, probing)


@per_dialect
def _take() -> sa.Executable:
    clock, cost = _clock(), sa.bindparam("cost", type_=sa.Double)
    sane, (_, later) = _next_free(clock), _least_and_greatest()
    return (
        insert(Gate)
        .values(name=sa.bindparam("gate"), next_free=clock + cost, closed_until=0.0)
        .on_conflict_do_update(
            index_elements=["name"],
            set_={"next_free": later(sane, clock) + cost},
            where=(sane <= clock + sa.bindparam("horizon", type_=sa.Double))
            & ((Gate.closed_until <= clock) | (Gate.closed_until > clock + _FARTHEST)),
        )
        .returning((Gate.next_free - cost - clock).label("wait"), Gate.closed_until)
    )


def slow(name: str, seconds: float, *, now: datetime) -> None:
    """Let the next text wait longer, in any process. Never commits.

    Each call adds its seconds, until SLOWEST; what was to leave later still does.
    """
    values = {"gate": name, "seconds": min(seconds, SLOWEST), "now": now.timestamp()}
    execute(_slow(), values)


@per_dialect
def _slow() -> sa.Executable:
    clock, seconds = _clock(), sa.bindparam("seconds", type_=sa.Double)
    sane, (least, greatest) = _next_free(clock), _least_and_greatest()
    ahead = least(greatest(sane, clock) + seconds, clock + SLOWEST)
    return (
        insert(Gate)
        .values(name=sa.bindparam("gate"), next_free=clock + seconds, closed_until=0.0)
        .on_conflict_do_update(index_elements=["name"], set_={"next_free": greatest(sane, ahead)})
    )


def close(name: str, seconds: float, *, now: datetime) -> None:
    """Let nothing through for a while, in any process. Never commits."""
    until = _clock() + seconds
    statement = insert(Gate).values(name=name, next_free=0.0, closed_until=until)
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"closed_until": until}
    )
    execute(statement, {"now": now.timestamp()})


def open_again(name: str) -> None:
    """Let everything through again. Never commits."""
    shut = sa.update(Gate).where(Gate.name == name, Gate.closed_until > 0)
    execute(shut.values(closed_until=0.0), {})


def _next_free(clock: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    """When the next text may leave.

    Farther ahead than we ever set it means that the clock was put back meanwhile (REL-15).
    """
    return sa.case((Gate.next_free > clock + _FARTHEST, clock), else_=Gate.next_free)


def _least_and_greatest() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """SQLite's names for these two are those of its aggregates."""
    if is_postgresql():
        return sa.func.least, sa.func.greatest
    return sa.func.min, sa.func.max


def _clock() -> sa.ColumnElement[float]:
    """Unix seconds by the clock that all senders share; SQLite's is the parameter `now`."""
    if is_postgresql():
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    return sa.bindparam("now", type_=sa.Double)


def is_closed(name: str, *, now: datetime) -> bool:
    """True while sending is paused."""
    query = sa.select(Gate.name).where(Gate.name == name, Gate.closed_until > _clock())
    return execute(query, {"now": now.timestamp()}).first() is not None
