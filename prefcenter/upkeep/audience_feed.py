"""Whoever may be texted about a category, as a file that goes out while it is read. Only reads.

Read by ranges of ids, each in a short transaction of its own, so that neither memory nor the
database's log grows with the length of a file, and no plan of the database can go astray.
A range is never older than the one before it: whoever has stopped, paused or texted something
that is not worked yet (it may be a STOP) is in nothing that is written after that.

Nobody is looked up among the suppressed: who is subscribed is not one of them, which every rule
that suppresses sees to, consent/audit.py checks and tests/test_suppressed_means_stopped.py
proves. A hash for each number took more time than all the rest together.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter.database import db, is_postgresql, per_dialect
from prefcenter.models import (
    Category,
    Deliverability,
    Inbound,
    Person,
    PersonCategory,
    Status,
)
from prefcenter.upkeep import export_files
from prefcenter.upkeep.export_files import Format

RANGE = 2_000  # ids
COLUMNS = ("number", "person", "country", "zone", "language", "frequency", "confirmed_at")
_SHARED = COLUMNS[2:6]  # what many people have in common
END = "end"
_p, _in = Person.__table__.c, Inbound.__table__.c
_kinds, _taken = Category.__table__.c, PersonCategory.__table__.c
_LAST: sa.BindParameter[int] = sa.bindparam("last")
_UPTO: sa.BindParameter[int] = sa.bindparam("upto")
_AS_OF: sa.BindParameter[datetime] = sa.bindparam("as_of")
_CATEGORY: sa.BindParameter[str] = sa.bindparam("category")
_TOP = sa.select(sa.func.coalesce(sa.func.max(_p.id), 0))
_BY_PUBLIC_ID = sa.select(_p.id).where(_p.public_id == sa.bindparam("person"))
_LIVE = sa.select(_kinds.id).where(_kinds.slug == _CATEGORY, _kinds.retired_at.is_(None))
_OPEN = sa.select(_in.number).where(_in.handled_at.is_(None))
_MAY_BE_TEXTED = sa.and_(
    _p.status == Status.SUBSCRIBED,
    _p.number.is_not(None),
    # A passing trouble is no reason to give somebody up (RULE-51); decisions say the same.
    _p.deliverability.in_((Deliverability.OK, Deliverability.SOFT_FAILED)),
    _p.confirmed_at <= _AS_OF,
    sa.or_(_p.paused_until.is_(None), _p.paused_until <= _AS_OF),
    _p.number.not_in(_OPEN),
)
Row = tuple[Any, ...]  # the row's id, then COLUMNS as texts


@dataclass(frozen=True, slots=True)
class Piece:
    """Who may be texted of those whose row ids are above `last`, up to `upto`."""

    last: int
    upto: int
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file is about. `as_of` is the moment by which somebody had said yes, `after` the
    row id to read on from, `events_after` where the events feed goes on from this file."""

    category: str
    format: Format
    as_of: datetime
    after: int = 0
    events_after: str | None = None
    degraded: bool = False


def is_live(category: str) -> bool:
    """True for a category that there is and that is not retired."""
    with db.engine.connect() as connection:
        return connection.execute(_LIVE, {"category": category}).first() is not None


def place_of(person: str) -> int | None:
    """The row id of somebody by public id; None for nobody."""
    with db.engine.connect() as connection:
        return connection.execute(_BY_PUBLIC_ID, {"person": person}).scalar()


def count(category: str, *, as_of: datetime) -> int:
    """How many there are now; of any category that is not retired where none is named."""
    query = sa.select(sa.func.count()).select_from(Person.__table__)
    query = query.where(_MAY_BE_TEXTED, _takes(category, ranged=False))
    with db.engine.connect() as connection:
        values = {"as_of": as_of, "category": category}
        return int(connection.execute(query, values).scalar_one())


def pieces(category: str, *, as_of: datetime, after: int = 0) -> Iterator[Piece]:
    """Who may be texted about it, or about anything where none is named, in order of their ids.

    Nobody is added who came after the first piece was asked for.
    """
    statement = _of_one() if category else _of_any()
    with db.engine.connect() as connection:
        top = int(connection.execute(_TOP).scalar_one())
    for last in range(after, top, RANGE):
        values = {"as_of": as_of, "category": category, "last": last, "upto": last + RANGE}
        with db.engine.connect() as connection:
            # The driver's own rows: SQLAlchemy's would cost as much as reading them.
            cursor = connection.execute(statement, values).cursor
            assert cursor is not None
            rows = cursor.fetchall()
        yield Piece(last, last + RANGE, rows)


def file(wanted: Wanted) -> Iterator[tuple[bytes, int]]:
    """The file's bytes, and how many people are in them. Its last line says that it is whole."""
    done, shared = 0, _Shared(wanted.format)
    write = _csv if wanted.format is Format.CSV else _ndjson
    if wanted.format is Format.CSV:
        yield _cells(COLUMNS), 0
    for piece in pieces(wanted.category, as_of=wanted.as_of, after=wanted.after):
        if piece.rows:
            done += len(piece.rows)
            yield write(piece.rows, shared).encode(), len(piece.rows)
    yield _end(wanted, done), 0


class _Shared(dict[Row, str]):
    """What many people have in common, as it stands in their lines: written out once."""

    def __init__(self, format_: Format) -> None:
        self.format = format_

    def __missing__(self, values: Row) -> str:
        text = export_files.body(self.format, _SHARED, [values]).decode().rstrip("\r\n")
        self[values] = text if self.format is Format.CSV else text[1:-1]
        return self[values]


def _csv(rows: Sequence[Row], shared: _Shared) -> str:
    """As export_files.body writes it. Numbers, ids and moments have nothing to be escaped."""
    return "".join(
        f'"tel:{number}","{person}",{shared[country, zone, language, cap]},"{at}"\r\n'
        for _id, number, person, country, zone, language, cap, at in rows
    )


def _ndjson(rows: Sequence[Row], shared: _Shared) -> str:
    return "".join(
        f'{{"number": "{number}", "person": "{person}",'
        f' {shared[country, zone, language, cap]}, "confirmed_at": "{at}"}}\n'
        for _id, number, person, country, zone, language, cap, at in rows
    )


def _end(wanted: Wanted, rows: int) -> bytes:
    as_of = export_files.iso(wanted.as_of)
    if wanted.format is Format.CSV:
        return _cells((END, str(rows), "", "", "", "", as_of))
    said = {END: True, "rows": rows, "as_of": as_of, "events_after": wanted.events_after}
    return (json.dumps(said | ({"degraded": True} if wanted.degraded else {})) + "\n").encode()


def _cells(values: Sequence[str]) -> bytes:
    return export_files.body(Format.CSV, (), [values])


def _takes(category: str, *, ranged: bool) -> sa.ColumnElement[bool]:
    """That somebody takes it. The range is said for their row, too: no database infers it."""
    takes = sa.select(_taken.person_id).where(_taken.person_id == _p.id)
    if ranged:
        takes = takes.where(_taken.person_id > _LAST, _taken.person_id <= _UPTO)
    if category:
        return takes.where(_taken.category_id == _LIVE.scalar_subquery()).exists()
    live = sa.select(_kinds.id).where(_kinds.retired_at.is_(None))
    return takes.where(_taken.category_id.in_(live)).exists()


@per_dialect
def _of_one() -> sa.Select[Any]:
    return _people().where(_takes("one", ranged=True))


@per_dialect
def _of_any() -> sa.Select[Any]:
    return _people().where(_takes("", ranged=True))


def _people() -> sa.Select[Any]:
    columns = (_p.id, _p.number, _p.public_id, _p.country, _p.zone, _p.language, _p.frequency)
    query = sa.select(*columns, _moment()).select_from(Person.__table__)
    return query.where(_p.id > _LAST, _p.id <= _UPTO, _MAY_BE_TEXTED).order_by(_p.id)


def _moment() -> sa.ColumnElement[str]:
    """`confirmed_at` as export_files.iso writes it, made by the database, which is quicker."""
    if is_postgresql():
        in_utc = sa.func.timezone("UTC", _p.confirmed_at)
        return sa.func.to_char(in_utc, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=sa.String)
    return sa.func.replace(_p.confirmed_at, " ", "T", type_=sa.String).concat("Z")
