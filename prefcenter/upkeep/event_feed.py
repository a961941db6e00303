"""The ledger as a feed, oldest first: no event is ever skipped, none is shown twice. Only reads.

The order is that of the row ids. PostgreSQL gives an id when a row is written and shows the row
when its transaction commits, so an event may come to light below one that was shown. Where no
id is missing that cannot be; where one is, the feed goes on only up to what settled.py knows to
be settled. Nobody is kept waiting by that, and whoever asks gets what is before the gap.

A place in the feed is named by the public id of the event that was read last. An id that the
ledger does not know is refused: a database that was put back to an older state would otherwise
pass over what is written since.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import current_app

from prefcenter.database import is_postgresql, read
from prefcenter.models import ConsentEvent, Evidence, Person, Source
from prefcenter.upkeep import settled
from prefcenter.upkeep.export_files import iso

START = "start"  # the place before the first event
_SETTLED = "prefcenter.settled"
_e, _p, _ev = ConsentEvent.__table__.c, Person.__table__.c, Evidence.__table__.c
_ID = sa.select(_e.id).where(_e.public_id == sa.bindparam("event"))
_NAME = sa.select(_e.public_id).where(_e.id <= sa.bindparam("top")).order_by(_e.id.desc()).limit(1)
_NEXT = (
    sa.select(
        *(_e.id, _e.public_id, _e.seq, _e.at, _e.kind, _e.action, _e.source, _e.source_detail),
        *(_e.language, _e.wording_sha256, _e.refers_to, _e.changes),
        *(_e.evidence_hash, _e.prev_hash, _e.hash),
        *(_p.public_id.label("person"), _p.number, _ev.body),
    )
    .select_from(ConsentEvent.__table__)
    .join(Person.__table__, _p.id == _e.person_id)
    .outerjoin(Evidence.__table__, _ev.event_id == _e.id)
    .where(_e.id > sa.bindparam("behind"))
    .order_by(_e.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


class UnknownPlace(LookupError):
    """No event of this ledger has that id."""


@dataclass(frozen=True, slots=True)
class Page:
    """The next events, the place behind them, and whether there are more already."""

    events: list[dict[str, Any]]
    next: str
    more: bool


def page(after: str, limit: int) -> Page:
    """The next events behind a place, as programs get them. Raises UnknownPlace."""
    behind = _behind(after)
    rows, sure = _next(behind, limit)
    if sure < len(rows) and _look():
        rows, sure = _next(behind, limit)
    shown = rows[: min(sure, limit)]
    place = shown[-1].public_id if shown else after
    return Page([_told(row) for row in shown], place, len(rows) > len(shown))


def newest() -> str:
    """A place that is not behind any event still to come to light: whatever is read after this
    holds all that was written before it. An older place is as true, and takes longer to follow.
    """
    _look()
    rows = read(_NAME, {"top": _known()})
    return rows[0].public_id if rows else START


def _behind(after: str) -> int:
    if after == START:
        return 0
    rows = read(_ID, {"event": after})
    if not rows:
        raise UnknownPlace
    return int(rows[0].id)


def _next(behind: int, limit: int) -> tuple[Sequence[Any], int]:
    """The next rows, one more than wanted, and how many of them cannot have one before them
    that is still to come to light."""
    mark = _known()  # first: only what is read after it has all events up to it
    rows = read(_NEXT, {"behind": behind, "most": limit + 1})
    if not is_postgresql():  # one writer at a time: ids are committed in their order
        return rows, len(rows)
    sure = max(mark, behind)
    for count, row in enumerate(rows):
        if row.id > sure + 1:
            return rows, count
        sure = max(sure, row.id)
    return rows, len(rows)


def _known() -> int:
    """Up to which id this process knows that nothing is missing; that never goes back."""
    return int(current_app.extensions.get(_SETTLED, 0))


def _look() -> bool:
    """Ask the database for a newer mark; False while somebody writes for too long."""
    found = settled.tops()
    if found is None:
        return False
    current_app.extensions[_SETTLED] = max(_known(), found[0])
    return True


def _told(row: Any) -> dict[str, Any]:
    """An event with all that its hash is over, but `format`; `number` is none of that.

    Who of the staff it was is left out: with these names people sign in (SEC-41).
    """
    seen: dict[str, Any] = json.loads(row.body) if row.body else {}
    return {
        "id": row.public_id,
        "person": row.person,
        "number": seen.get("number") or row.number,
        "seq": row.seq,
        "at": iso(row.at),
        "kind": row.kind.value,
        "action": row.action.value if row.action else None,
        "source": row.source.value,
        "source_detail": "" if row.source is Source.ADMIN else row.source_detail,
        "language": row.language,
        "wording_sha256": row.wording_sha256,
        "refers_to": row.refers_to,
        "changes": json.loads(row.changes),
        "evidence_hash": row.evidence_hash,
        "prev_hash": row.prev_hash,
        "hash": row.hash,
    }
