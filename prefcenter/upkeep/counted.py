"""The figures of the overview: ready sums, and the events after the mark, in one moment.

The same figures can be counted from the ledger alone (`slow`), which takes long and must give
the same (INV-12); `prefcenter counts` does that.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter.database import db, is_postgresql
from prefcenter.models import Deliverability, Person, Suppression
from prefcenter.models_counts import (
    ANY,
    CountScope,
    DayCount,
    RunningCount,
    SuppressionChange,
    TextCount,
)
from prefcenter.upkeep import replay, standing, statistics, texts_sent
from prefcenter.upkeep.figures import NOW_ON, Figures
from prefcenter.upkeep.spans import DIMENSIONS, Scope, Span
from prefcenter.upkeep.standing import Cells

_TAIL = 5000  # events that a page counts itself; with more, it says how many are left out
_UNREACHABLE = (Deliverability.SOFT_FAILED, Deliverability.INVALID, Deliverability.DEACTIVATED)
_s, _d, _r = CountScope.__table__.c, DayCount.__table__.c, RunningCount.__table__.c
_p, _t = Person.__table__.c, TextCount.__table__.c
_FLOWS = (standing.ON, standing.OFF, standing.ASKED, standing.ANSWER)


@contextlib.contextmanager
def one_moment() -> Iterator[sa.Connection]:
    """A connection that sees the database as it is now, however long it reads."""
    engine = db.engine
    if is_postgresql():
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        yield connection


def today(connection: sa.Connection, now: datetime) -> date:
    """The day it is where the days are counted."""
    return now.astimezone(ZoneInfo(statistics.mark_of(connection).zone)).date()


def read(
    connection: sa.Connection,
    scope: Scope,
    span: Span,
    *,
    now: datetime,
    slow: bool = False,
    most: int = _TAIL,
) -> Figures:
    """The figures of a scope for a span and the span before it. `slow` asks the ledger alone.

    `most` is how many events that are not added up yet are counted here.
    """
    mark = statistics.mark_of(connection)
    found = Figures(scope, span, now.astimezone(ZoneInfo(mark.zone)).date(), mark.zone)
    if slow:
        cells = replay.everything(connection, mark.zone)
        found.texts = Counter(texts_sent.newest(connection, 0, mark.zone))
        found.suppressed = _count(connection, Suppression)
    else:
        _ready_sums(connection, mark, found)
        newer = replay.since(connection, mark.event_id, mark.zone, most=most)
        if newer.events == most:
            found.behind = max(0, statistics.behind(connection, mark) - most)
        cells = newer.cells
        found.texts.update(texts_sent.newest(connection, mark.text_id, mark.zone))
        changes = sa.select(sa.func.sum(SuppressionChange.change))
        found.suppressed = mark.suppressed + (connection.scalar(changes) or 0)
    _add_cells(found, cells)
    _count_paused(connection, found, now)
    unreachable = sa.select(sa.func.count()).where(
        _p.deliverability.in_(_UNREACHABLE), sa.text("deliverability <> 'ok'")
    )
    found.unreachable = connection.scalar(unreachable) or 0
    return found


def _ready_sums(connection: sa.Connection, mark: statistics.Mark, found: Figures) -> None:
    """What was added up already."""
    first, last = found.span.before().first, found.span.last
    texts = sa.select(_t.day, _t.count.label("n")).where(
        _t.generation == mark.generation, _t.day.between(first, last)
    )
    found.texts.update({row.day: row.n for row in connection.execute(texts)})
    for name in DIMENSIONS:
        found.by[name] = _by(connection, mark, found, name)
    here = sa.select(_s.id).where(_s.generation == mark.generation, *_is(found.scope))
    scope_id = connection.scalar(here)
    if scope_id is None:
        return
    _ready_days(connection, scope_id, found)
    _ready_labels(connection, scope_id, found)
    if last < found.today:
        found.later = _later(connection, scope_id, last)


def _ready_days(connection: sa.Connection, scope_id: int, found: Figures) -> None:
    yes = sa.func.sum(sa.case((_d.label == standing.YES, _d.count), else_=0))
    query = (
        sa.select(_d.day, _d.what, sa.func.sum(_d.count).label("n"), yes.label("yes"))
        .where(_d.scope_id == scope_id, _d.what.in_(_FLOWS))
        .where(_d.day.between(found.span.before().first, found.span.last))
        .group_by(_d.day, _d.what)
    )
    for row in connection.execute(query):
        is_answer = row.what == standing.ANSWER
        found.days[row.day, "yes" if is_answer else row.what] += row.yes if is_answer else row.n


def _ready_labels(connection: sa.Connection, scope_id: int, found: Figures) -> None:
    labels = (
        sa.select(_d.what, _d.label, sa.func.sum(_d.count).label("n"))
        .where(_d.scope_id == scope_id, _d.what.in_(_FLOWS))
        .where(_d.day.between(found.span.first, found.span.last))
        .group_by(_d.what, _d.label)
    )
    found.labels.update({(r.what, r.label): r.n for r in connection.execute(labels)})
    now = sa.select(_r.what, _r.label, _r.count.label("n")).where(_r.scope_id == scope_id)
    found.now.update({(r.what, r.label): r.n for r in connection.execute(now)})


def _is(scope: Scope, but: str = "") -> list[sa.ColumnElement[bool]]:
    """The filters of a scope, with `but` opened to each of its values."""
    return [
        _s[name] != ANY if name == but else _s[name] == getattr(scope, name) for name in DIMENSIONS
    ]


def _by(
    connection: sa.Connection, mark: statistics.Mark, found: Figures, name: str
) -> dict[str, Counter[str]]:
    """Turned on and off in the span, and on now, for each place, category and so on."""
    here = (_s.generation == mark.generation, *_is(found.scope, but=name))
    flows = (
        sa.select(_s[name].label("value"), _d.what, sa.func.sum(_d.count).label("n"))
        .join(DayCount.__table__, _d.scope_id == _s.id)
        .where(*here, _d.what.in_((standing.ON, standing.OFF)))
        .where(_d.day.between(found.span.first, found.span.last))
        .group_by(_s[name], _d.what)
    )
    now = (
        sa.select(_s[name].label("value"), sa.literal("now").label("what"), _r.count.label("n"))
        .join(RunningCount.__table__, _r.scope_id == _s.id)
        .where(*here, _r.what == NOW_ON[0], _r.label == NOW_ON[1])
    )
    sums: dict[str, Counter[str]] = {}
    for query in (flows, now):
        for row in connection.execute(query):
            sums.setdefault(row.value, Counter())[row.what] += row.n
    return sums


def _later(connection: sa.Connection, scope_id: int, last: date) -> int:
    signed = sa.case((_d.what == standing.ON, _d.count), else_=-_d.count)
    query = sa.select(sa.func.sum(signed)).where(
        _d.scope_id == scope_id, _d.what.in_((standing.ON, standing.OFF)), _d.day > last
    )
    return connection.scalar(query) or 0


def _add_cells(found: Figures, cells: Cells) -> None:
    """Add counts that no table has yet, or all of them."""
    for cell, count in cells.items():
        if not count:
            continue
        if found.scope.holds(cell):
            _add_one(found, cell, count)
        for name in DIMENSIONS:
            value = getattr(cell, name)
            if value != ANY and found.scope.holds(cell, but=name):
                what = _what_by(found, cell)
                if what:
                    sums = found.by.setdefault(name, {})
                    sums.setdefault(value, Counter())[what] += count


def _add_one(found: Figures, cell: standing.Cell, count: int) -> None:
    if cell.day is None:
        found.now[cell.what, cell.label] += count
        return
    if cell.what != standing.ANSWER:
        found.days[cell.day, cell.what] += count
    elif cell.label == standing.YES:
        found.days[cell.day, "yes"] += count
    if cell.day in found.span:
        found.labels[cell.what, cell.label] += count
    if cell.day > found.span.last and cell.what in (standing.ON, standing.OFF):
        found.later += count if cell.what == standing.ON else -count


def _what_by(found: Figures, cell: standing.Cell) -> str:
    """How a cell counts in the sums by place, category and so on; empty if it does not."""
    if cell.day is None:
        return "now" if (cell.what, cell.label) == NOW_ON else ""
    in_span = cell.day in found.span and cell.what in (standing.ON, standing.OFF)
    return cell.what if in_span else ""


def _count_paused(connection: sa.Connection, found: Figures, now: datetime) -> None:
    """Pauses that end on a later UTC day are counted; those that end today are looked at."""
    today = now.astimezone(UTC).date()
    week = (today + timedelta(days=7)).isoformat()
    for (what, label), count in found.now.items():
        if what == standing.PAUSED and label > today.isoformat():
            found.paused += count
            found.paused_soon += count if label <= week else 0
    ends = datetime.combine(today, time.max, UTC)
    still = _still_today(connection, found.scope, found.zone, now, ends)
    found.paused += still
    found.paused_soon += still


def _still_today(
    connection: sa.Connection, scope: Scope, zone: str, now: datetime, ends: datetime
) -> int:
    # Only who is subscribed has this date; to ask for the status too would mislead SQLite.
    query = sa.select(_p.id).where(_p.paused_until > now, _p.paused_until <= ends)
    query = query.where(sa.text("paused_until IS NOT NULL"))
    if scope.is_all:
        return connection.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0
    people = list(connection.execute(query).scalars())
    found = replay.standings(connection, people, replay.NO_TOP, zone)
    return sum(
        cell.what == standing.PAUSED and scope.holds(cell)
        for then in found.values()
        for cell in standing.stand(then)
    )


def _count(connection: sa.Connection, table: Any) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
