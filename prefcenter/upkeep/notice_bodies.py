"""What an endpoint is told of an event: the person's whole state just after it.

Whoever keeps the event with the highest `seq` of each person has what we have, whatever was
lost, came twice or came late. What is no change of consent is not told: a form that was filled in
for a number says nothing until its phone does, and a stranger may have typed it.
The number is the one in the event's evidence: it outlives a change of hands, so that the receiver
knows which number to stop texting, and is gone once the person is erased.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import state as states
from prefcenter.consent.state import MoveError, State
from prefcenter.models import ConsentEvent, EventKind, Evidence, OptInLevel, Person, Status

GRANTED, CONFIRMED, CHANGED = "preference.granted", "preference.confirmed", "preference.changed"
REVOKED, DELETED = "preference.revoked", "preference.deleted"
TYPES: Mapping[EventKind, str] = MappingProxyType(
    {
        EventKind.CONFIRMED: CONFIRMED,
        EventKind.RESTARTED: GRANTED,
        EventKind.CHANGED: CHANGED,
        EventKind.PAUSED: CHANGED,
        EventKind.RESUMED: CHANGED,
        EventKind.REVOKED: REVOKED,
        EventKind.REASSIGNED: REVOKED,
        EventKind.ERASED: DELETED,
    }
)
SILENT = frozenset(
    {EventKind.REQUESTED, EventKind.DECLINED, EventKind.EXPIRED, EventKind.NOTED}
)  # nothing changed for whoever texts

_e, _p, _v = ConsentEvent.__table__.c, Person.__table__.c, Evidence.__table__.c
_STORIES = (
    sa.select(
        *(_e.id, _e.person_id, _e.public_id, _e.seq, _e.at, _e.kind, _e.source, _e.changes),
        _p.public_id.label("person"),
    )
    .join(Person.__table__, _p.id == _e.person_id)
    .where(_e.person_id.in_(sa.bindparam("people", expanding=True)), _e.id <= sa.bindparam("top"))
    .order_by(_e.person_id, _e.seq)
)
_NUMBERS = sa.select(_v.event_id, _v.body).where(
    _v.event_id.in_(sa.bindparam("events", expanding=True))
)


def bodies(connection: sa.Connection, wanted: Mapping[int, int]) -> dict[int, tuple[str, bytes]]:
    """By event id its public id and what is told of it; `wanted` names each one's person."""
    if not wanted:
        return {}
    values = {"people": sorted(set(wanted.values())), "top": max(wanted)}
    rows = connection.execute(_STORIES, values).all()
    numbers = _numbers(connection, wanted)
    found: dict[int, tuple[str, bytes]] = {}
    standing: dict[int, State] = defaultdict(State)
    for row in rows:
        after = standing[row.person_id] = _after(standing[row.person_id], row)
        if row.id in wanted:
            said = _said(row, after, numbers.get(row.id))
            found[row.id] = row.public_id, json.dumps(said, ensure_ascii=False).encode()
    return found


def _numbers(connection: sa.Connection, events: Collection[int]) -> dict[int, str | None]:
    rows = connection.execute(_NUMBERS, {"events": sorted(events)})
    return {row.event_id: json.loads(row.body)["number"] for row in rows}


def _after(before: State, row: Any) -> State:
    """An event that the ledger should not hold changes nothing; `prefcenter rebuild --check`
    names it."""
    try:
        return states.apply(before, row, json.loads(row.changes), _iso(row.at))
    except MoveError:
        return before


def _said(row: Any, after: State, number: str | None) -> dict[str, Any]:
    return {
        "type": _type_of(row.kind, after),
        "timestamp": _zulu(_iso(row.at)),
        "data": {
            "event": row.public_id,
            "person": row.person,
            "seq": row.seq,
            "kind": row.kind,
            "number": number,
            "status": after.status,
            "categories": sorted(after.categories) if after.status is Status.SUBSCRIBED else [],
            "frequency": after.frequency,
            "paused_until": _zulu(after.paused_until) if after.paused_until else None,
            "language": after.language,
            "source": row.source,
            "occurred_at": _zulu(_iso(row.at)),
        },
    }


def _type_of(kind: EventKind, after: State) -> str:
    """Confirmed is what the phone itself has said yes to; consent that came another way is
    granted."""
    if kind is EventKind.CONFIRMED and after.opt_in_level is not OptInLevel.CONFIRMED:
        return GRANTED
    return TYPES[kind]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _zulu(moment: str) -> str:
    return moment.replace("+00:00", "Z")
