"""All counts anew from the ledger: after another time zone was set, or to be sure.

The new counts are made beside the old ones, as a new generation, in short transactions: pages
and STOPs go on meanwhile. One last step puts them in force and the old ones are dropped.
"""

import secrets
from collections.abc import Iterator
from datetime import date
from itertools import islice

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, execute, insert, writing
from prefcenter.models import Suppression
from prefcenter.models_counts import (
    CountMark,
    CountScope,
    DayCount,
    RunningCount,
    SuppressionChange,
    TextCount,
)
from prefcenter.upkeep import replay, settled, statistics, texts_sent
from prefcenter.upkeep.standing import Cell, Cells

_CELLS_A_STEP = 2000
_GENERATIONS = 2_000_000_000
_mark, _scopes = CountMark.__table__, CountScope.__table__


class Busy(Exception):
    """A writer is taking too long, or somebody else counts anew just now; try again."""


def recount() -> int:
    """Count everything anew and put that in force; gives how many counts there are. Commits.

    Raises Busy, and the old counts stay.
    """
    zone = config.current().time_zone
    tops = settled.tops()
    if tops is None:
        raise Busy("A change to the ledger takes unusually long.")
    with db.engine.connect() as connection:
        before = statistics.mark_of(connection)
        cells = replay.everything(connection, zone, top=tops[0], apart=True)
        texts = texts_sent.settled(connection, zone, top=tops[1])
    generation = _free_generation()
    for part in _parts(cells):
        with writing():
            statistics.add(generation, part)
            db.session.commit()
    with writing():
        _put_in_force(before, generation, zone, tops[0], texts)
        db.session.commit()
    _drop_others(generation)
    return len(cells)


def _free_generation() -> int:
    """One that nobody has; by chance, because another process may be counting too. Never 1,
    which the first steps of all take."""
    newest = sa.select(sa.func.max(_scopes.c.generation))
    with db.engine.connect() as connection:
        highest = max(connection.scalar(newest) or 0, statistics.mark_of(connection).generation)
    return highest % _GENERATIONS + 2 + secrets.randbelow(1000)


def _parts(cells: Cells) -> Iterator[Cells]:
    """Cells of one scope are written near each other."""
    waiting: Iterator[tuple[Cell, int]] = iter(
        sorted(cells.items(), key=lambda item: (item[0][:4], item[0].what, str(item[0].day)))
    )
    while part := dict(islice(waiting, _CELLS_A_STEP)):
        yield Cells(part)


def _put_in_force(
    before: statistics.Mark,
    generation: int,
    zone: str,
    event_id: int,
    texts: texts_sent.Texts,
) -> None:
    values = {"generation": generation, "zone": zone, "event_id": event_id}
    values |= {"text_id": texts.last_id, "suppressed": 0}
    # The first steps of all may have begun meanwhile: their counts are the generation 1.
    current = _mark.c.generation == max(before.generation, 1)
    if not execute(sa.update(CountMark).where(current).values(values), {}).rowcount:
        first = insert(CountMark).values(id=1, **values).on_conflict_do_nothing()
        if before.generation or not execute(first, {}).rowcount:
            raise Busy("Somebody else has counted anew meanwhile.")
    # The mark is held from here on, so nobody else adds up changes; what both sums see is one
    # moment, because it is one statement.
    rows = sa.select(sa.func.count()).select_from(Suppression).scalar_subquery()
    waiting = sa.select(sa.func.coalesce(sa.func.sum(SuppressionChange.change), 0))
    execute(sa.update(CountMark).values(suppressed=rows - waiting.scalar_subquery()), {})
    statistics.add_texts(generation, _kept(before, texts.days) | texts.days)


def _kept(before: statistics.Mark, days: dict[date, int]) -> dict[date, int]:
    """Counts of texts from days whose rows are gone from the outbox stay as they were."""
    query = sa.select(TextCount.day, TextCount.count.label("n")).where(
        TextCount.generation == before.generation
    )
    first = min(days, default=None)
    return {row.day: row.n for row in execute(query, {}) if first is None or row.day < first}


def _drop_others(generation: int) -> None:
    """Drop what is not in force, a little at a time."""
    while True:
        with writing():
            old = sa.select(_scopes.c.id).where(_scopes.c.generation != generation).limit(200)
            ids = list(execute(old, {}).scalars())
            if not ids:
                execute(sa.delete(TextCount).where(TextCount.generation != generation), {})
                db.session.commit()
                return
            for table in (DayCount, RunningCount):
                execute(sa.delete(table).where(table.scope_id.in_(ids)), {})
            execute(sa.delete(CountScope).where(_scopes.c.id.in_(ids)), {})
            db.session.commit()
