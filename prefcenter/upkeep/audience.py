"""Whoever may be texted and whoever may not, as rows of a file. Only reads.

Read in pieces, each in a short transaction of its own. A piece is never older than the one
before it: nobody who has stopped meanwhile is in what is written after that. Who may be texted
is audience_feed.py's to say, as for programs.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.database import db, read
from prefcenter.models import Category, Person, PersonCategory, Suppression
from prefcenter.upkeep import audience_feed
from prefcenter.upkeep.export_files import Number
from prefcenter.upkeep.exporting import PIECE, Content, Row

PERSON_COLUMNS = (
    *("number", "country", "zone", "language", "frequency", "confirmed_at", "categories"),
)
SUPPRESSION_COLUMNS = ("pseudonym", "reason", "since")
_p = Person.__table__.c
_s, _kinds, _taken = Suppression.__table__.c, Category.__table__.c, PersonCategory.__table__.c
_TAKEN = (  # nothing may be texted about a kind that is retired
    sa.select(_taken.person_id, _kinds.slug)
    .join(Category.__table__, _kinds.id == _taken.category_id)
    .where(
        _kinds.retired_at.is_(None),
        _taken.person_id > sa.bindparam("last"),
        _taken.person_id <= sa.bindparam("upto"),
    )
    .order_by(_kinds.position)
)
_KEPT_OUT = sa.select(_s.id, _s.pseudonym).where(
    _s.pseudonym.in_(sa.bindparam("pseudonyms", expanding=True))
)
_PEOPLE = (
    sa.select(_p.id, _p.number)
    .where(_p.number.is_not(None), _p.id > sa.bindparam("last"))
    .order_by(_p.id)
    .limit(PIECE)
)
_SUPPRESSIONS = (
    sa.select(_s.id, _s.pseudonym, _s.reason, _s.since)
    .where(_s.id > sa.bindparam("last"))
    .order_by(_s.id)
    .limit(PIECE)
)


def is_category(slug: str) -> bool:
    return bool(read(sa.select(_kinds.id).where(_kinds.slug == slug), {}))


def audience(category: str = "", *, now: datetime) -> Content:
    """Whoever may be texted, of those who had said yes at that moment; about one category, or
    about any that is not retired."""
    total = audience_feed.count(category, as_of=now)
    return Content(PERSON_COLUMNS, total, _audience_pieces(category, now))


def suppressions(*, plain: bool = False) -> Content:
    """Whoever must get nothing, by keyed hash; `plain` adds the number where we still have it."""
    with db.engine.connect() as connection:
        total = int(connection.execute(sa.select(sa.func.count(_s.id))).scalar_one())
    if plain:
        return Content((*SUPPRESSION_COLUMNS, "number"), total, _plain_pieces())
    return Content(SUPPRESSION_COLUMNS, total, _suppression_pieces())


def _audience_pieces(category: str, now: datetime) -> Iterator[list[Row]]:
    for piece in audience_feed.pieces(category, as_of=now):
        takes: dict[int, list[str]] = {one[0]: [] for one in piece.rows}
        for row in read(_TAKEN, {"last": piece.last, "upto": piece.upto}):
            if row.person_id in takes:
                takes[row.person_id].append(row.slug)
        yield [
            (Number(number), *shared, at, takes[id_])
            for id_, number, _person, *shared, at in piece.rows
        ]


def _kept_out(connection: sa.Connection, numbers: Sequence[str]) -> dict[str, int]:
    """Those of the numbers that are suppressed, with the id of that row."""
    keys = config.current().pseudonym_keys
    hidden = {phone.pseudonym(number, key): number for number in numbers for key in keys}
    rows = connection.execute(_KEPT_OUT, {"pseudonyms": list(hidden)})
    return {hidden[row.pseudonym]: row.id for row in rows}


def _suppression_pieces() -> Iterator[list[Row]]:
    last = 0
    while True:
        with db.engine.connect() as connection:
            rows = connection.execute(_SUPPRESSIONS, {"last": last}).all()
        if not rows:
            return
        last = rows[-1].id
        yield [(row.pseudonym, row.reason.value, row.since) for row in rows]


def _plain_pieces() -> Iterator[list[Row]]:
    """First those whose number somebody has, then the others: a hash tells no number."""
    done, last = bytearray(), 0
    query = sa.select(_s.id, _s.pseudonym, _s.reason, _s.since)
    query = query.where(_s.id.in_(sa.bindparam("ids", expanding=True)))
    while True:
        with db.engine.connect() as connection:
            people = connection.execute(_PEOPLE, {"last": last}).all()
            if not people:
                break
            ids = {id_: n for n, id_ in _kept_out(connection, [r.number for r in people]).items()}
            rows = connection.execute(query, {"ids": list(ids)}).all() if ids else []
        last = people[-1].id
        for row in rows:
            _mark(done, row.id)
        yield [(row.pseudonym, row.reason.value, row.since, Number(ids[row.id])) for row in rows]
    yield from _others(done)


def _others(done: bytearray) -> Iterator[list[Row]]:
    last = 0
    while True:
        with db.engine.connect() as connection:
            rows = connection.execute(_SUPPRESSIONS, {"last": last}).all()
        if not rows:
            return
        last = rows[-1].id
        yield [
            (row.pseudonym, row.reason.value, row.since, None)
            for row in rows
            if not _is_marked(done, row.id)
        ]


def _mark(done: bytearray, number: int) -> None:
    """One bit for each row: a million of them are 125 kB."""
    if number // 8 >= len(done):
        done.extend(bytes(number // 8 + 1 - len(done)))
    done[number // 8] |= 1 << number % 8


def _is_marked(done: bytearray, number: int) -> bool:
    return number // 8 < len(done) and bool(done[number // 8] >> number % 8 & 1)
