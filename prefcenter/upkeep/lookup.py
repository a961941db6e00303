"""One number as another program may know it: where it stands, and what led there. Only reads.

Nothing of the evidence is here: what people typed, their addresses and browsers stay where the
proof is, and so do the names of those who work here (RULE-64).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import suppression
from prefcenter.database import execute
from prefcenter.models import Category, ConsentEvent, Person, PersonCategory, Source, Status

MOST = 100
_people, _events = Person.__table__.c, ConsentEvent.__table__.c
_kinds, _taken = Category.__table__.c, PersonCategory.__table__.c
_PERSON = sa.select(Person.__table__).where(_people.number == sa.bindparam("number"))
_TAKES = (
    sa.select(_kinds.slug)
    .join(PersonCategory.__table__, _taken.category_id == _kinds.id)
    .where(_taken.person_id == sa.bindparam("person"), _kinds.retired_at.is_(None))
    .order_by(_kinds.position, _kinds.id)
)
_OF_PERSON = _events.person_id == sa.bindparam("person")
_SEQ = sa.select(_events.seq).where(_OF_PERSON, _events.public_id == sa.bindparam("ref"))
_NEWEST = (
    sa.select(ConsentEvent.__table__)
    .where(_OF_PERSON, _events.seq < sa.bindparam("before"))
    .order_by(_events.seq.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
# What an event changed, or what was asked for: the rest of it is for us.
_TOLD = (
    *("requested", "added", "dropped", "refused", "frequency", "requested_frequency"),
    *("paused_until", "language", "scope", "channel", "received_at", "given_at", "method"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What there is of a number; `person` is None where nobody has it. `older` is the event to
    read on from, None at the end of the history."""

    person: Person | None
    suppressed: bool
    categories: Sequence[str] = ()
    history: Sequence[sa.Row[Any]] = ()
    older: str | None = None


class NoSuchEvent(Exception):
    """The event to read on from is none of this number's."""


def find(number: str, *, most: int, before: str | None = None) -> Found:
    """The number as it stands, and its newest events, or those before one. Raises NoSuchEvent."""
    suppressed = suppression.contains(number)
    row = execute(_PERSON, {"number": number}).one_or_none()
    if row is None:
        if before is not None:
            raise NoSuchEvent
        return Found(None, suppressed)
    person = Person(**row._mapping)
    on = person.status is Status.SUBSCRIBED
    takes = [one.slug for one in execute(_TAKES, {"person": person.id})] if on else []
    top = person.ledger_seq + 1 if before is None else _seq(person, before)
    rows = execute(_NEWEST, {"person": person.id, "before": top, "most": most + 1}).all()
    older = rows[most - 1].public_id if len(rows) > most else None
    return Found(person, suppressed, takes, rows[:most], older)


def _seq(person: Person, ref: str) -> int:
    found = execute(_SEQ, {"person": person.id, "ref": ref}).scalar()
    if found is None:
        raise NoSuchEvent
    return int(found)


def changes(row: Any) -> dict[str, Any]:
    """What an event changed, as a program may read it."""
    said: Mapping[str, Any] = json.loads(row.changes)
    return {name: said[name] for name in _TOLD if name in said}


def detail(row: Any) -> str | None:
    """The site, key, keyword or file; not who of ours it was."""
    return None if row.source is Source.ADMIN else row.source_detail or None
