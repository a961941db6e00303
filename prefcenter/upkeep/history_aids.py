"""What the page of the history needs beside the events: whose number it is, which values there
are to choose from, what was so before a change. Only reads."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from prefcenter.consent.state import State
from prefcenter.database import db, is_postgresql, read
from prefcenter.models import BY_HAND, OF_SITES, ConsentEvent, Person

_event, _e = ConsentEvent.__table__, ConsentEvent.__table__.c
_p = Person.__table__.c
_PLACES = {
    "site": ("consent_event", "source_detail", OF_SITES),
    "by": ("consent_event", "source_detail", BY_HAND),
    "category": ("event_fact", "value", "name = 'category'"),
    "country": ("event_fact", "value", "name = 'country'"),
}
_JUMPS = """
WITH RECURSIVE found(value) AS (
    SELECT * FROM (SELECT {column} FROM {table} WHERE {part} ORDER BY {column} LIMIT 1) first
    UNION ALL
    SELECT (SELECT {column} FROM {table} WHERE {part} AND {column} > found.value
            ORDER BY {column} LIMIT 1)
      FROM found WHERE found.value IS NOT NULL)
SELECT value FROM found WHERE value IS NOT NULL LIMIT 300
"""
_earlier = _event.alias("earlier")


def _last(key: str) -> sa.ScalarSelect[Any]:
    mine = sa.and_(_earlier.c.person_id == _e.person_id, _earlier.c.seq < _e.seq)
    said = sa.select(_earlier.c.changes).where(mine, _earlier.c.changes.contains(f'"{key}":"'))
    return said.order_by(_earlier.c.seq.desc()).limit(1).scalar_subquery()


_BEFORE: sa.Select[Any] = sa.select(_e.id, _last("frequency"), _last("language")).where(
    _e.id.in_(sa.bindparam("ids", expanding=True))
)
_OF_PERSON = sa.select(_p.public_id, _p.number).where(_p.public_id == sa.bindparam("key"))


def whose(public_id: str) -> Any | None:
    """The person of an address, with their number to be masked."""
    rows = read(_OF_PERSON, {"key": public_id}) if public_id.isprintable() else []
    return rows[0] if rows else None


def values(name: str) -> list[str]:
    """Which values the ledger has for a filter: of `site`, `by`, `category` or `country`.

    Jumps along the index from one value to the next, so that it costs the same for few and
    for millions of events.
    """
    table, column, part = _PLACES[name]
    if not is_postgresql() and table == "consent_event":
        # Without figures SQLite takes the index of sources, and sorts half of the ledger.
        table += f" INDEXED BY ix_consent_event_{name}"
    query = sa.text(_JUMPS.format(table=table, column=column, part=part))
    with db.engine.connect() as connection:
        return [row.value for row in connection.execute(query) if row.value]


def states_before(events: Sequence[Any]) -> Mapping[int, State]:
    """By id of the event: how often and in which language just before it, where it changes
    one of these; enough to say "from what to what" without reading whole stories."""
    ids = [
        row.id for row in events if '"frequency":' in row.changes or '"language":' in row.changes
    ]
    if not ids:
        return {}
    return {
        id_: State(
            frequency=_value(frequency, "frequency", "all"),
            language=_value(language, "language", "en"),
        )
        for id_, frequency, language in map(tuple, read(_BEFORE, {"ids": ids}))
    }


def _value(changes: str | None, key: str, default: str) -> str:
    found = json.loads(changes).get(key) if changes else None
    return found if isinstance(found, str) else default
