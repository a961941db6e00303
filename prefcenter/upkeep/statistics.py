"""The counts of the overview, kept up with the ledger in small steps (INV-12).

The rules write events and nothing else; no count makes a change wait. Now and then a sender
takes the next few hundred events after the mark, works out what they add, and writes that
down together with the new mark: each event is counted once, also through kill -9. Whoever
reads adds the events after the mark (figures.py), so what a page says is always exact.

`next_step` reads and thinks, in no write transaction; `take` only writes, in the caller's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, execute, insert, is_postgresql
from prefcenter.models import ConsentEvent
from prefcenter.models_counts import (
    ANY,
    CountMark,
    CountScope,
    DayCount,
    RunningCount,
    SuppressionChange,
    TextCount,
)
from prefcenter.upkeep import replay, settled, texts_sent
from prefcenter.upkeep.standing import Cell, Cells

EVENTS_A_STEP = 400
_CHANGES_A_STEP = 5000
_KEYS_A_LOOK = 200
_mark, _scopes = CountMark.__table__, CountScope.__table__
_days, _running = DayCount.__table__, RunningCount.__table__
_changes = SuppressionChange.__table__
_NEWEST = sa.select(sa.func.max(ConsentEvent.__table__.c.id))
ScopeKey = tuple[str, str, str, str]  # place, kind, country, language
_WIDE = (_scopes.c.place, _scopes.c.kind, _scopes.c.country, _scopes.c.language)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the counting has come."""

    generation: int
    zone: str
    event_id: int
    text_id: int
    suppressed: int


@dataclass(frozen=True, slots=True)
class Step:
    """What the next events and texts add, to be written down if nobody else was quicker."""

    mark: Mark
    event_id: int
    text_id: int
    cells: Cells
    texts: dict[date, int]
    more: bool  # there is likely more to count at once


def mark_of(connection: sa.Connection) -> Mark:
    """Where the counting stands; the very beginning where it has not begun."""
    row = connection.execute(sa.select(_mark)).one_or_none()
    if row is None:
        return Mark(0, config.current().time_zone, 0, 0, 0)
    return Mark(row.generation, row.zone, row.event_id, row.text_id, row.suppressed)


def is_outdated(mark: Mark) -> bool:
    """True when the days of another zone are counted: all must be counted anew (recount.py)."""
    return mark.zone != config.current().time_zone


def behind(connection: sa.Connection, mark: Mark) -> int:
    """About how many events wait to be counted."""
    return max(0, (connection.scalar(_NEWEST) or 0) - mark.event_id)


def next_step(most: int = EVENTS_A_STEP) -> Step | None:
    """What to add next; None when all is counted, or a writer takes too long."""
    tops = settled.tops()
    if tops is None:
        return None
    with db.engine.connect() as connection:
        mark = mark_of(connection)
        newer = replay.since(connection, mark.event_id, mark.zone, most=most, top=tops[0])
        texts = texts_sent.since(connection, mark.text_id, mark.zone, top=tops[1])
        waiting = sa.select(_changes.c.id).limit(_CHANGES_A_STEP + 1)
        changes = len(connection.execute(waiting).all())
    if newer.last_id == mark.event_id and texts.last_id == mark.text_id and not changes:
        return None
    more = newer.events == most or changes > _CHANGES_A_STEP
    return Step(mark, newer.last_id, texts.last_id, newer.cells, texts.days, more)


def take(step: Step) -> bool:
    """Write a step down. Never commits; False, and nothing is written, if another one was."""
    old = step.mark
    if old.generation == 0 and not _begin(old):
        return False
    generation = max(old.generation, 1)
    # The mark's row is held from here on, so that of two processes only one counts.
    move = (
        sa.update(CountMark)
        .where(_mark.c.generation == generation, _mark.c.event_id == old.event_id)
        .where(_mark.c.text_id == old.text_id)
        .values(event_id=step.event_id, text_id=step.text_id)
    )
    if not execute(move, {}).rowcount:
        return False
    if change := _take_changes():
        execute(sa.update(CountMark).values(suppressed=_mark.c.suppressed + change), {})
    add(generation, step.cells)
    add_texts(generation, step.texts)
    return True


def add(generation: int, cells: Cells) -> None:
    """Add counts to every scope that they belong to. Never commits."""
    wide: Cells = Cells()
    for cell, count in cells.items():
        if count:
            for key in _around(cell):
                wide[key] += count
    found = {cell: count for cell, count in wide.items() if count}
    ids = _scope_ids(generation, {cell[:4] for cell in found})
    days, running = [], []
    for cell, count in found.items():
        row = {"scope_id": ids[cell[:4]], "what": cell.what, "label": cell.label, "count": count}
        if cell.day is None:
            running.append(row)
        else:
            days.append(row | {"day": cell.day})
    _upsert(DayCount, ("scope_id", "what", "day", "label"), days)
    _upsert(RunningCount, ("scope_id", "what", "label"), running)


def add_texts(generation: int, days: dict[date, int]) -> None:
    """Add to the texts that left. Never commits."""
    rows = [{"generation": generation, "day": day, "count": n} for day, n in days.items()]
    _upsert(TextCount, ("generation", "day"), rows)


def _around(cell: Cell) -> Iterable[Cell]:
    """The cell itself, and those for any place, any country and any language."""
    rest = cell[4:]
    for place, country, language in product(
        (cell.place, ANY), (cell.country, ANY), (cell.language, ANY)
    ):
        yield Cell(place, cell.kind, country, language, *rest)


def _scope_ids(generation: int, keys: Iterable[ScopeKey]) -> dict[ScopeKey, int]:
    """The row ids of scopes, which are made where they are not there yet."""
    wanted = sorted(keys)
    if not wanted:
        return {}
    names = ("place", "kind", "country", "language")
    rows = [{"generation": generation, **dict(zip(names, key, strict=True))} for key in wanted]
    execute(insert(CountScope).on_conflict_do_nothing(), rows)
    found: dict[ScopeKey, int] = {}
    for start in range(0, len(wanted), _KEYS_A_LOOK):
        part = wanted[start : start + _KEYS_A_LOOK]
        query = sa.select(_scopes.c.id, *_WIDE).where(
            _scopes.c.generation == generation, sa.tuple_(*_WIDE).in_(part)
        )
        for row in execute(query, {}):
            found[row.place, row.kind, row.country, row.language] = row.id
    return found


def _upsert(
    table: type[DayCount] | type[RunningCount] | type[TextCount],
    key: Sequence[str],
    rows: list[dict[str, Any]],
) -> None:
    if not rows:
        return
    statement = insert(table)
    rows.sort(key=lambda row: tuple(str(row[name]) for name in key))
    execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={"count": table.count + statement.excluded.count}
        ),
        rows,
    )


def _begin(mark: Mark) -> bool:
    """Write the first mark; False if another process was quicker."""
    values = {"id": 1, "generation": 1, "zone": mark.zone, "event_id": 0, "text_id": 0}
    statement = insert(CountMark).values(**values, suppressed=0).on_conflict_do_nothing()
    return bool(execute(statement, {}).rowcount)


def _take_changes() -> int:
    """Add up what was suppressed and let go, and forget the rows."""
    ids = sa.select(_changes.c.id).order_by(_changes.c.id).limit(_CHANGES_A_STEP)
    if is_postgresql():
        ids = ids.with_for_update(skip_locked=True)
    gone = sa.delete(SuppressionChange).where(_changes.c.id.in_(ids)).returning(_changes.c.change)
    return sum(execute(gone, {}).scalars())
