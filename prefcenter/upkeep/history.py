"""Every event of the ledger, newest first: filtered, page by page, at the same cost at any depth.

The order is by time, and by id within one moment, so that days and every other filter are one
walk along an index (models.ConsentEvent, models_exports.EventFact). Where several filters are
set, the walk goes along the one that holds fewest events. Only reads.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from prefcenter.consent import ledger
from prefcenter.database import UtcDateTime, db, is_postgresql
from prefcenter.models import BY_HAND, OF_SITES, Action, ConsentEvent, EventKind, Person, Source
from prefcenter.models_exports import EventFact, EventNote

PAGE = 50
FEW = 1_000  # as many as a page counts
_QUERY_CANCELED = "57014"  # PostgreSQL's statement_timeout
_NEW = 100
_NEW_IDS = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9]{1,18})\Z")

_event, _person = ConsentEvent.__table__, Person.__table__
_e, _p = _event.c, _person.c
_fact, _note = EventFact.__table__, EventNote.__table__
# Word for word what the indexes say that hold these parts.
_IS_OF_SITES = sa.text(f"consent_event.{OF_SITES}")
_IS_BY_HAND = sa.text(f"consent_event.{BY_HAND}")
_SHOWN = sa.select(
    *(_e.id, _e.public_id, _e.person_id, _e.seq, _e.at, _e.kind, _e.action, _e.source),
    *(_e.source_detail, _e.language, _e.changes),
    _p.public_id.label("person"),
    _p.number,
).join(_person, _p.id == _e.person_id)


@dataclass(frozen=True, slots=True)
class Filters:
    """What to show; empty means everything. `until` is the first moment that is left out."""

    since: datetime | None = None
    until: datetime | None = None
    kind: EventKind | None = None
    action: Action | None = None
    source: Source | None = None
    site: str = ""  # on whose form or page it happened
    category: str = ""  # that was asked for, taken or left
    country: str = ""
    by: str = ""  # who of ours acted
    note: str = ""  # words of what they noted
    person: str = ""  # public id

    def named(self) -> dict[str, str]:
        """Those that are set, for the admin log."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: value.isoformat() if isinstance(value, datetime) else str(value)
            for name, value in found.items()
            if value
        }


class Place(NamedTuple):
    """Where an event stands; also what an address names to read on from."""

    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.id}"


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, newest first, and where to read on; None where there is nothing more."""

    events: list[Any]
    newer: Place | None
    older: Place | None


class TooLong(Exception):
    """The database gave up: several filters that hardly ever meet, over very many events."""


def place(text: str) -> Place | None:
    """What an address says to read on from; None where it says nothing that we wrote."""
    found = _CURSOR.match(text)
    if not found:
        return None
    try:
        return Place(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))
    except OverflowError:
        return None


def page(
    filters: Filters,
    *,
    before: Place | None = None,
    after: Place | None = None,
    size: int = PAGE,
) -> Page:
    """The newest events, those behind the place `before`, or those just above `after`.

    Raises TooLong.
    """
    with _patience() as connection:
        walk = Walk(connection, filters, forward=after is not None)
        found = walk.places(connection, after or before, size + 1)
        rows = _rows(connection, [one.id for one in found[:size]])
    more = len(found) > size
    if after is not None:
        rows.reverse()
    first, last = (Place(row.at, row.id) for row in (rows[0], rows[-1])) if rows else (None, None)
    if after is not None:
        return Page(rows, first if more else None, last)
    return Page(rows, first if before is not None else None, last if more else None)


def count(filters: Filters, *, most: int | None = None, top: int | None = None) -> int:
    """How many events there are, at most `most`; `top` is the last id that counts.

    Raises TooLong.
    """
    with _patience() as connection:
        walk = Walk(connection, filters, top=top)
        return _counted(connection, walk.query.limit(most) if most else walk.query)


def newer(filters: Filters, last_id: int) -> int:
    """How many came since the event with this id; looks at the next thousands only, and counts
    to a hundred."""
    query = sa.select(_e.id).where(_e.id > last_id, _e.id <= last_id + _NEW_IDS)
    for name, value in _set(filters).items():
        query = query.where(_is(name, value, _e.at, _e.id, leads=False))
    query = query.where(*_span(filters, _e.at)).limit(_NEW)
    with db.engine.connect() as connection:
        return _counted(connection, query)


def newest_id() -> int:
    """The id to ask `newer` about later."""
    with db.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(_e.id))).scalar() or 0)


# PostgreSQL takes filters for independent of each other and expects that hardly an event passes
# them all: it would then fetch and sort everything that passes, for seconds.
_WALK = sa.text(
    "SELECT set_config('enable_sort', 'off', true), set_config('enable_hashjoin', 'off', true),"
    " set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true)"
)


class Walk:
    """The way through the events that a filter lets pass: which index to walk along, once."""

    def __init__(
        self,
        connection: sa.Connection,
        filters: Filters,
        *,
        forward: bool = False,
        top: int | None = None,
    ) -> None:
        wanted = _set(filters)
        if len(wanted) > 1 and is_postgresql():
            connection.execute(_WALK)
        lead = _lead(connection, filters, wanted)
        self.forward = forward
        self._at, self._id, query = _start(lead, wanted)
        for name, value in wanted.items():
            query = query.where(_is(name, value, self._at, self._id, leads=name == lead))
        query = query.where(*_span(filters, self._at))
        self.query = query if top is None else query.where(self._id <= top)

    def places(self, connection: sa.Connection, behind: Place | None, size: int) -> list[Place]:
        """The next places behind one, in the order of the walk."""
        query = self.query
        here = sa.tuple_(self._at, self._id)
        if behind is not None:
            there = sa.tuple_(
                sa.literal(behind.at, UtcDateTime), sa.literal(behind.id, sa.BigInteger)
            )
            query = query.where(here > there if self.forward else here < there)
        ordered = (self._at, self._id) if self.forward else (self._at.desc(), self._id.desc())
        rows = connection.execute(query.order_by(*ordered).limit(size))
        return [Place(row[1], row[0]) for row in rows]


@contextmanager
def _patience() -> Iterator[sa.Connection]:
    """A connection on which the database's own limit of time is no fault of ours."""
    try:
        with db.engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
            raise TooLong from error
        raise


def _rows(connection: sa.Connection, ids: Sequence[int]) -> list[Any]:
    """What a page shows of these events, in this order."""
    if not ids:
        return []
    found = {row.id: row for row in connection.execute(_SHOWN.where(_e.id.in_(ids)))}
    return [found[one] for one in ids]


def _set(filters: Filters) -> dict[str, str]:
    found = filters.named()
    return {name: found[name] for name in _RAREST_FIRST if name in found}


_RAREST_FIRST = (
    *("person", "note", "by", "site", "category", "country", "action", "kind", "source"),
)
_PROBE = 1_000


def _lead(connection: sa.Connection, filters: Filters, wanted: Mapping[str, str]) -> str:
    """Whose index to walk along: the one with the fewest events in the span, as far as a
    short look tells."""
    if len(wanted) < 2 or "person" in wanted:
        return next(iter(wanted), "")
    found = {}
    for name, value in wanted.items():
        at, id_, query = _start(name, {name: value})
        query = query.where(_is(name, value, at, id_, leads=True), *_span(filters, at))
        found[name] = _counted(connection, query.limit(_PROBE))
    return min(found, key=lambda name: found[name])


def _start(lead: str, wanted: Mapping[str, str]) -> tuple[Any, Any, sa.Select[Any]]:
    """The columns of time and id to walk along, and the tables that are needed."""
    if lead not in ("note", "category", "country"):
        return _e.at, _e.id, sa.select(_e.id, _e.at).select_from(_event)
    table = _note if lead == "note" else _fact
    query = sa.select(table.c.event_id, table.c.at).select_from(table)
    if any(name in _COLUMNS for name in wanted):
        query = query.join(_event, _e.id == table.c.event_id)
    return table.c.at, table.c.event_id, query


_COLUMNS = ("kind", "source", "action", "site", "by", "person")


def _is(name: str, value: str, at: Any, id_: Any, *, leads: bool) -> sa.ColumnElement[bool]:
    """That an event is as a filter says. One that does not lead is only looked at."""
    if name in ("category", "country"):
        return _has_fact(name, value, at, id_, leads=leads)
    if name == "note":
        words = _note.c.note.contains(ledger.searchable(value), autoescape=True)
        mine = sa.and_(_note.c.at == at, _note.c.event_id == id_)
        return words if leads else sa.exists().where(mine, words).correlate_except(_note)
    if name == "person":
        who = sa.select(_p.id).where(_p.public_id == value).scalar_subquery()
        return _e.person_id == who
    column = _e.source_detail if name in ("site", "by") else _e[name]
    is_so = _walked(column, leads=leads) == value
    if name == "site":
        return sa.and_(_IS_OF_SITES, is_so)
    return sa.and_(_IS_BY_HAND, is_so) if name == "by" else is_so


def _walked(column: Any, *, leads: bool) -> sa.ColumnElement[str]:
    """SQLite knows nothing of how often a value occurs: it must not choose the other index."""
    plain: sa.ColumnElement[str] = sa.type_coerce(column, sa.String)
    return plain if leads or is_postgresql() else plain.concat("")


def _has_fact(name: str, value: str, at: Any, id_: Any, *, leads: bool) -> sa.ColumnElement[bool]:
    if leads:
        return sa.and_(_fact.c.name == name, _fact.c.value == value)
    other = _fact.alias(f"of_{name}")
    return sa.exists().where(
        *(other.c.name == name, other.c.value == value),
        *(other.c.at == at, other.c.event_id == id_),
    )


def _span(filters: Filters, at: Any) -> Iterator[sa.ColumnElement[bool]]:
    if filters.since is not None:
        yield at >= filters.since
    if filters.until is not None:
        yield at < filters.until


def _counted(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(
        connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    )
