"""The ledger as rows of a file: what the history shows, or all of it. Only reads.

Read in pieces, each in a short transaction of its own, so that neither memory nor the
database's log grows with the length of a file. What is
written while a file goes out is not in it: it ends at the last event that was there before.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from prefcenter.consent.state import MOVES
from prefcenter.database import db
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Evidence,
    Person,
    Source,
    Status,
    WordingVersion,
)
from prefcenter.upkeep import history, settled
from prefcenter.upkeep.export_files import Number
from prefcenter.upkeep.history import Filters, Walk

PIECE = 2_000
Row = tuple[Any, ...]
EVENT_COLUMNS = (
    *("event_id", "at", "person", "number", "seq", "what", "action", "before", "after"),
    *("source", "source_detail", "actor", "reason", "page", "language", "changes", "refers_to"),
    *("consent_kind", "consent_version", "consent_sha256"),
    *("evidence_hash", "prev_hash", "hash"),
)
_e, _p, _ev = ConsentEvent.__table__.c, Person.__table__.c, Evidence.__table__.c
_AFTER = {kind: moves[0].to for kind, moves in MOVES.items() if kind is not EventKind.NOTED}
_ACTORS = {
    Source.API: "program",
    Source.IMPORT: "import",
    Source.PROVIDER: "provider",
    Source.MAINTENANCE: "system",
}
_earlier = ConsentEvent.__table__.alias("earlier")
_MOVED_BEFORE = (
    sa.select(_earlier.c.kind)
    .where(_earlier.c.person_id == _e.person_id, _earlier.c.seq < _e.seq)
    .where(_earlier.c.kind != EventKind.NOTED)
    .order_by(_earlier.c.seq.desc())
    .limit(1)
    .scalar_subquery()
)
_EVENTS = (
    sa.select(
        *(_e.id, _e.public_id, _e.at, _e.seq, _e.kind, _e.action, _e.source, _e.source_detail),
        *(_e.language, _e.changes, _e.refers_to, _e.wording_sha256),
        *(_e.evidence_hash, _e.prev_hash, _e.hash),
        *(_p.public_id.label("person"), _p.number, _ev.body),
        _MOVED_BEFORE.label("moved_before"),
    )
    .select_from(ConsentEvent.__table__)
    .join(Person.__table__, _p.id == _e.person_id)
    .outerjoin(Evidence.__table__, _ev.event_id == _e.id)
    .where(_e.id.in_(sa.bindparam("ids", expanding=True)))
)
_WORDINGS = sa.select(WordingVersion.sha256, WordingVersion.kind, WordingVersion.language)


@dataclass(frozen=True, slots=True)
class Content:
    """Rows for a file: their columns, how many there will be, and the pieces they come in."""

    columns: tuple[str, ...]
    total: int | None  # None: it would take too long to count
    pieces: Iterator[list[Row]]


class NotNow(Exception):
    """The ledger is being written to so much that nobody can say where it ends."""


def events(filters: Filters, *, oldest_first: bool = False) -> Content:
    """The events that a filter lets pass and that are there now. Raises NotNow."""
    found = settled.tops()
    if found is None:
        raise NotNow
    top = found[0]
    return Content(EVENT_COLUMNS, _total(filters, top), _event_pieces(filters, top, oldest_first))


def _total(filters: Filters, top: int) -> int | None:
    try:
        return history.count(filters, top=top)
    except history.TooLong:
        return None


def _event_pieces(filters: Filters, top: int, oldest_first: bool) -> Iterator[list[Row]]:
    with db.engine.connect() as connection:
        walk = Walk(connection, filters, forward=oldest_first, top=top)
        versions = _versions(connection)
    behind = None
    while True:
        with db.engine.connect() as connection:
            places = walk.places(connection, behind, PIECE)
            if not places:
                return
            rows = connection.execute(_EVENTS, {"ids": [one.id for one in places]}).all()
            if any(row.wording_sha256 and row.wording_sha256 not in versions for row in rows):
                versions = _versions(connection)
        found = {row.id: _event_row(row, versions) for row in rows}
        behind = places[-1]
        yield [found[one.id] for one in places]


def _event_row(row: Any, versions: Mapping[str, tuple[str, int]]) -> Row:
    seen: dict[str, Any] = json.loads(row.body) if row.body else {}
    number = seen.get("number") or row.number
    before = _AFTER[row.moved_before] if row.moved_before else Status.NOT_SUBSCRIBED
    kind, version = versions.get(row.wording_sha256 or "", ("", None))
    by_hand = row.source is Source.ADMIN
    return (
        *(row.public_id, row.at, row.person, Number(number) if number else None, row.seq),
        *(row.kind.value, row.action.value if row.action else None),
        *(before.value, _AFTER.get(row.kind, before).value),
        *(row.source.value, row.source_detail),
        row.source_detail if by_hand else _ACTORS.get(row.source, "customer"),
        *(seen.get("answer", {}).get("note"), seen.get("page_url")),
        *(row.language, json.loads(row.changes), row.refers_to),
        *(kind, version, row.wording_sha256),
        *(row.evidence_hash, row.prev_hash, row.hash),
    )


def _versions(connection: sa.Connection) -> dict[str, tuple[str, int]]:
    """Kind and version of each consent text; versions count those of a kind and language."""
    counts: dict[tuple[str, str], int] = {}
    found = {}
    for row in connection.execute(_WORDINGS.order_by(WordingVersion.id)):
        key = (row.kind, row.language)
        counts[key] = counts.get(key, 0) + 1
        found[row.sha256] = (row.kind, counts[key])
    return found
