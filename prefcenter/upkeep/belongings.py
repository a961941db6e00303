"""Which rows are one person's, though they are kept by number and numbers change hands.

A text to or from a number belongs to whoever had it then, also before they had a row: nobody
else had it since the last owner gave it up. The number of a person who gave it up stands only
in their evidence any more, and an erased person has none at all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter.database import is_public_id, read
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Evidence,
    Inbound,
    OutboxMessage,
    Person,
    Signup,
)

_events, _evidence = ConsentEvent.__table__.c, Evidence.__table__.c
_texts, _inbound = OutboxMessage.__table__.c, Inbound.__table__.c
_GIVEN_UP = sa.select(_evidence.body).join(
    ConsentEvent.__table__,
    sa.and_(_events.id == _evidence.event_id, _events.kind == EventKind.REASSIGNED),
)
_MY_LAST = _GIVEN_UP.where(_events.person_id == sa.bindparam("person"))
_EARLIER = sa.select(
    sa.or_(
        sa.exists().where(
            _inbound.number == sa.bindparam("number"),
            _inbound.handled_at < sa.bindparam("before"),
        ),
        sa.exists().where(
            _texts.to_number == sa.bindparam("number"),
            _texts.created_at < sa.bindparam("before"),
        ),
    )
)
_KNOWN = sa.select(
    sa.or_(
        *(
            sa.exists().where(column == sa.bindparam("number"))
            for column in (_inbound.number, _texts.to_number, Signup.__table__.c.number)
        )
    )
)
_FORMER = (
    _GIVEN_UP.join(Person.__table__, Person.__table__.c.id == _events.person_id)
    .with_only_columns(Person.__table__.c.public_id, _events.at)
    .where(
        _events.at <= sa.bindparam("before"),
        _events.person_id != sa.bindparam("person"),
        _evidence.body.like(sa.bindparam("named")),
    )
    .order_by(_events.at.desc())
)
_PERSON = sa.select(Person.__table__).where(Person.__table__.c.public_id == sa.bindparam("key"))


@dataclass(frozen=True, slots=True)
class Reach:
    """A number, and the time in which it was this person's."""

    person_id: int
    number: str = field(repr=False)
    since: datetime | None  # None: nobody is known to have had it before
    until: datetime | None  # None: it still is


def is_known(number: str) -> bool:
    """Whether a number without a person is kept all the same: strangers text, and forms wait."""
    return bool(read(_KNOWN, {"number": number})[0][0])


def person_of(public_id: str) -> Person | None:
    """The person of an address, only to be read."""
    rows = read(_PERSON, {"key": public_id}) if is_public_id(public_id) else []
    return Person(**rows[0]._mapping) if rows else None


def reach(person: Person) -> Reach | None:
    """Their number, or the one they had; None for the erased."""
    if person.number is not None:
        return Reach(person.id, person.number, _since(person, person.number), None)
    for row in read(_MY_LAST, {"person": person.id}):
        if number := json.loads(row.body)["number"]:
            since = _since(person, number)
            return Reach(person.id, number, since, person.reassigned_at)
    return None


def _since(person: Person, number: str) -> datetime | None:
    """When the owner before them gave the number up, which is looked for only where it tells."""
    values = {"number": number, "before": person.created_at}
    if not read(_EARLIER, values)[0][0]:
        return person.created_at
    owners = _former_owners(person, number)
    return owners[0].at if owners else None


def former_owners(person: Person) -> list[str]:
    """Public ids of those who had their number before them, the last first.

    It may be the same human, who signed up again after the number was out of service.
    """
    found = reach(person)
    return [row.public_id for row in _former_owners(person, found.number)] if found else []


def _former_owners(person: Person, number: str) -> Sequence[sa.Row[Any]]:
    named = f'%"number":"{number}"%'
    return read(_FORMER, {"before": person.created_at, "person": person.id, "named": named})


def texts_to(found: Reach) -> sa.ColumnElement[bool]:
    """Our texts to them, also the answers from before they were known by a row."""
    unknown = sa.and_(_texts.person_id.is_(None), *_within(_texts.created_at, found))
    theirs = sa.or_(_texts.person_id == found.person_id, unknown)
    return sa.and_(_texts.to_number == found.number, theirs)


def texts_from(found: Reach) -> sa.ColumnElement[bool]:
    """Their texts to us, by when we worked them: the first of them made their row."""
    theirs = sa.and_(_inbound.handled_at.is_not(None), *_within(_inbound.handled_at, found))
    if found.until is None:
        theirs = sa.or_(theirs, _inbound.handled_at.is_(None))
    return sa.and_(_inbound.number == found.number, theirs)


def _within(at: sa.ColumnElement[datetime], found: Reach) -> list[sa.ColumnElement[bool]]:
    bounds = [at >= found.since] if found.since else []
    return [*bounds, at <= found.until] if found.until else bounds
