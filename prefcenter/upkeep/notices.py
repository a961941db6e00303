"""What each endpoint still has to be told: the ledger is the outbox (REL-2).

A change and its event are one transaction, so nothing is queued besides. Each endpoint has a
cursor over the settled events (settled.py). An event that it did not take is parked in a row of
its own and tried again later; the cursor goes on. Events of a person who has one parked wait
behind it, so each person's come in their order, and one bad event holds up nobody else.
An endpoint that fails several times in a row rests as a whole, its cursor stands still, and what
happens meanwhile costs nothing. After days without success it is stopped: its address may be
somebody else's by now.

One process tells an endpoint at a time: it holds a lease, on the database's own clock, and what
it writes down (notice_outcomes.py) is fenced by it. Killed between a POST and its commit, the
next one tells the same again under the same id: at least once. Rules here never commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.database import db, execute, is_postgresql, read
from prefcenter.models import ConsentEvent
from prefcenter.models_webhooks import ParkedNotice, WebhookEndpoint
from prefcenter.upkeep import notice_bodies, settled, webhook_keys

IN_A_ROW = 5  # failures, whatever the event, after which the endpoint itself rests
LEASE = timedelta(seconds=60)
A_BATCH = 20  # parked and as many new ones between two commits: what may come twice after kill -9
_LOOK = 500  # events; most of them may be none that is told

_e, _w, _n = (t.__table__.c for t in (ConsentEvent, WebhookEndpoint, ParkedNotice))


@dataclass(frozen=True, slots=True)
class Notice:
    """One event for one endpoint. `parked` is its row, once it was refused before."""

    event_id: int
    person_id: int
    webhook_id: str
    body: bytes = field(repr=False)
    parked: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to tell an endpoint next, in this order."""

    endpoint_id: int
    url: str = field(repr=False)
    keys: Sequence[bytes] = field(repr=False)
    notices: Sequence[Notice]
    waiting: frozenset[int]  # people who have one parked
    failures: int
    told: int  # the cursor as it was read
    upto: int  # and as it may be once all of these are done


# --- who has something to do, and who does it


_before = ParkedNotice.__table__.alias().c
_BEHIND = sa.exists().where(  # another of that person's, as when several are replayed
    _before.endpoint_id == _n.endpoint_id,
    _before.person_id == _n.person_id,
    _before.event_id < _n.event_id,
    _before.dead_at.is_(None),
)
_FAR = sa.exists().where(_e.id > _w.told_event_id)
_DUE = sa.exists().where(
    _n.endpoint_id == _w.id,
    _n.dead_at.is_(None),
    _n.due_at <= sa.bindparam("now", type_=_n.due_at.type),
    ~_BEHIND,
)
_BUSY = sa.select(_w.id).where(
    _w.disabled_at.is_(None),
    sa.or_(_w.rests_until.is_(None), _w.rests_until <= sa.bindparam("now")),
    sa.or_(_FAR, _DUE),
)


def busy(*, now: datetime) -> list[int]:
    """The endpoints that there is something for. Reads past the session."""
    with db.engine.connect() as connection:
        return [row.id for row in connection.execute(_BUSY, {"now": now})]


def take(endpoint_id: int, holder: str, *, now: datetime) -> bool:
    """Be the one who tells this endpoint, for a while; False while another one is."""
    at = moment(now)
    free = sa.or_(_w.held_by.is_(None), _w.held_by == holder, _w.held_until < at)
    mine = (
        sa.update(WebhookEndpoint)
        .where(_w.id == endpoint_id, _w.disabled_at.is_(None), free)
        .values(held_by=holder, held_until=at + LEASE)
    )
    return bool(execute(mine, {}).rowcount)


_HELD = sa.select(_w.id).where(
    _w.id == sa.bindparam("id"), _w.held_by == sa.bindparam("holder"), _w.disabled_at.is_(None)
)


def held(endpoint_id: int, holder: str) -> bool:
    """Whether it may be told still, asked before each POST: whoever turned it off means at once.

    Reads past the session.
    """
    return bool(read(_HELD, {"id": endpoint_id, "holder": holder}))


def let_go(endpoint_id: int, holder: str) -> None:
    mine = sa.update(WebhookEndpoint).where(_w.id == endpoint_id, _w.held_by == holder)
    execute(mine.values(held_by=None, held_until=None), {})


def let_all_go() -> None:
    """Where no other process can be at it: on SQLite, as the one sender begins."""
    execute(sa.update(WebhookEndpoint).values(held_by=None, held_until=None), {})


def moment(now: datetime) -> Any:
    """Now, by the clock that all who compare it share (REL-15)."""
    if is_postgresql():
        return sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))
    return now


# --- what to tell


_ENDPOINT = sa.select(WebhookEndpoint.__table__).where(_w.id == sa.bindparam("id"))
_HEADS = (
    sa.select(_n.id, _n.event_id, _n.person_id)
    .where(
        _n.endpoint_id == sa.bindparam("endpoint"),
        _n.dead_at.is_(None),
        _n.due_at <= sa.bindparam("now"),
        ~_BEHIND,
    )
    .order_by(_n.due_at, _n.event_id)
    .limit(A_BATCH)
)
_NEWER = (
    sa.select(_e.id, _e.person_id, _e.kind)
    .where(_e.id > sa.bindparam("told"), _e.id <= sa.bindparam("top"))
    .order_by(_e.id)
    .limit(_LOOK)
)
_WAITING = (
    sa.select(_n.person_id)
    .where(
        _n.endpoint_id == sa.bindparam("endpoint"),
        _n.person_id.in_(sa.bindparam("people", expanding=True)),
        _n.dead_at.is_(None),
    )
    .distinct()
)


def next_batch(endpoint_id: int, *, now: datetime) -> Batch | None:
    """What to tell it now; None where there is nothing. Reads past the session.

    One that rests is asked with something new first: what it refused before may be refused for
    what it says.
    """
    tops = settled.tops()
    with db.engine.connect() as connection:
        row: Any = connection.execute(_ENDPOINT, {"id": endpoint_id}).one()
        if row.disabled_at or (row.rests_until and row.rests_until > now):
            return None
        found = connection.execute(_HEADS, {"endpoint": endpoint_id, "now": now}).all()
        parked = sorted(found, key=lambda one: one.event_id)
        fresh, upto = _fresh(connection, row.told_event_id, tops[0] if tops else 0)
        people = {one.person_id for one in fresh}
        values = {"endpoint": endpoint_id, "people": sorted(people)}
        waiting = {one.person_id for one in connection.execute(_WAITING, values)}
        wanted = {one.event_id: one.person_id for one in parked}
        bodies = notice_bodies.bodies(connection, wanted | {one.id: one.person_id for one in fresh})
    if not parked and upto == row.told_event_id:
        return None
    old = [Notice(one.event_id, one.person_id, *bodies[one.event_id], one.id) for one in parked]
    new = [Notice(one.id, one.person_id, *bodies[one.id]) for one in fresh]
    return Batch(
        endpoint_id=endpoint_id,
        url=row.url,
        keys=webhook_keys.keys_of(row, now=now),
        notices=new + old if row.failures >= IN_A_ROW else old + new,
        waiting=frozenset(waiting),
        failures=row.failures,
        told=row.told_event_id,
        upto=upto,
    )


def _fresh(connection: sa.Connection, told: int, top: int) -> tuple[list[Any], int]:
    """The next events that are told, and up to where was looked."""
    rows = connection.execute(_NEWER, {"told": told, "top": top}).all()
    fresh: list[Any] = []
    upto = told
    for row in rows:
        if row.kind in notice_bodies.TYPES:
            if len(fresh) == A_BATCH:
                break
            fresh.append(row)
        upto = row.id
    return fresh, upto
