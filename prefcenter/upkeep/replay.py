"""Counts from events: the newest ones, or all of them. Reads only.

A person's events are written one after another, under the lock of their row, so their ids rise
with their numbers; whoever has the events up to an id has the beginning of each story.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter.models import ConsentEvent, Person
from prefcenter.upkeep import standing
from prefcenter.upkeep.standing import Cells, Standing

_CHUNK = 20_000
_NOTHING: dict[str, Any] = {}
_e = ConsentEvent.__table__.c
_p = Person.__table__.c
_COLUMNS = (
    *(_e.id, _e.person_id, _e.seq, _e.public_id, _e.at, _e.kind, _e.source),
    *(_e.source_detail, _e.language, _e.changes),
)
_NEWER = (
    sa.select(*_COLUMNS)
    .where(_e.id > sa.bindparam("mark"), _e.id <= sa.bindparam("top"))
    .order_by(_e.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_OLDER = (
    sa.select(*_COLUMNS)
    .where(_e.person_id.in_(sa.bindparam("people", expanding=True)), _e.id <= sa.bindparam("mark"))
    .order_by(_e.person_id, _e.seq)
)
_COUNTRIES = sa.select(_p.id, _p.country).where(_p.id.in_(sa.bindparam("people", expanding=True)))
_COUNTRIES_BETWEEN = sa.select(_p.id, _p.country).where(
    _p.id.between(sa.bindparam("first"), sa.bindparam("last"))
)
_ALL = (
    sa.select(*_COLUMNS)
    .where(
        sa.tuple_(_e.person_id, _e.seq) > sa.tuple_(sa.bindparam("person"), sa.bindparam("seq")),
        _e.id <= sa.bindparam("top"),
    )
    .order_by(_e.person_id, _e.seq)
    .limit(sa.bindparam("most", type_=sa.Integer))
)
NO_TOP = 2**62
Rows = Sequence[Any]  # of _COLUMNS


class Newer:
    """What the events after a mark add to the counts."""

    def __init__(self, cells: Cells, last_id: int, events: int) -> None:
        self.cells = cells
        self.last_id = last_id
        self.events = events


def since(
    connection: sa.Connection, mark: int, zone: str, *, most: int, top: int = NO_TOP
) -> Newer:
    """The counts of the next events after the one with id `mark`, at most so many."""
    events = connection.execute(_NEWER, {"mark": mark, "top": top, "most": most}).all()
    cells = Cells()
    if not events:
        return Newer(cells, mark, 0)
    stories = _stories(sorted(events, key=attrgetter("person_id", "seq")))
    before = standings(connection, {event.person_id for event in events}, mark, zone)
    for person_id, story in stories:
        then = before[person_id]
        if story[0].seq > 1:  # else nobody has counted them yet
            cells.subtract(standing.stand(then))
        cells.update(standing.stand(_follow(then, story, ZoneInfo(zone), cells)))
    return Newer(cells, events[-1].id, len(events))


def standings(
    connection: sa.Connection, people: Iterable[int], mark: int, zone: str
) -> dict[int, Standing]:
    """Where people stood after the event with id `mark`, as the counts see it."""
    found: dict[int, Standing] = {}
    wanted = sorted(people)
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        for row in connection.execute(_COUNTRIES, {"people": part}):
            found[row.id] = Standing(country=row.country)
        events = connection.execute(_OLDER, {"people": part, "mark": mark}).all()
        for person_id, story in _stories(events):
            found[person_id] = _follow(found[person_id], story, ZoneInfo(zone), Cells())
    return found


def everything(
    connection: sa.Connection, zone: str, *, top: int = NO_TOP, apart: bool = False
) -> Cells:
    """The counts of all events up to id `top`, from the ledger alone.

    `apart` reads each piece in a transaction of its own: nothing that is in the ledger changes,
    and a database must not be held in one moment for minutes.
    """
    cells, there = Cells(), ZoneInfo(zone)
    for pieces in _pieces(connection, top):
        for country, story in pieces:
            then = _follow(Standing(country=country), story, there, cells)
            cells.update(standing.stand(then))
        if apart:
            connection.rollback()
    return cells


def _pieces(connection: sa.Connection, top: int) -> Iterator[list[tuple[str, Rows]]]:
    """Each person's country and events. A story that a piece cuts comes whole with the next."""
    person, seq, more = 0, 0, True
    held: list[Any] = []
    while more:
        values = {"person": person, "seq": seq, "top": top, "most": _CHUNK}
        rows = connection.execute(_ALL, values).all()
        more = len(rows) == _CHUNK
        held += rows
        if not held:
            return
        person, seq = held[-1].person_id, held[-1].seq
        between = {"first": held[0].person_id, "last": person}
        countries = {r.id: r.country for r in connection.execute(_COUNTRIES_BETWEEN, between)}
        whole = [(countries[who], story) for who, story in _stories(held) if who != person]
        held = [row for row in held if row.person_id == person]
        if not more:
            whole.append((countries[person], held))
        yield whole


def _stories(rows: Iterable[Any]) -> Iterator[tuple[int, Rows]]:
    for person_id, story in groupby(rows, key=attrgetter("person_id")):
        yield person_id, list(story)


def _follow(then: Standing, story: Rows, zone: ZoneInfo, cells: Cells) -> Standing:
    for event in story:
        at: datetime = event.at
        then = standing.follow(
            then,
            event,
            json.loads(event.changes) if event.changes != "{}" else _NOTHING,
            at.astimezone(UTC).isoformat(),
            at.astimezone(zone).date(),
            cells,
        )
    return then
