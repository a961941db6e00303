"""One person's whole story, newest first: what they said, what we texted, who looked.

Four tables in one column, read page by page from a place in time (keyset): the ledger, the
outbox, the inbox, and the part of the admin log that is no event of the ledger. Only reads.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent.state import State
from prefcenter.database import read
from prefcenter.links import TOKEN_LENGTH
from prefcenter.models import (
    ConsentEvent,
    Evidence,
    Inbound,
    OutboxMessage,
    Person,
    WordingVersion,
)
from prefcenter.models_staff import StaffAction
from prefcenter.upkeep import belongings, timeline

PAGE = 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-3])-([0-9]{1,18})\Z")
_events, _evidence = ConsentEvent.__table__.c, Evidence.__table__.c
_texts, _inbound = OutboxMessage.__table__.c, Inbound.__table__.c
_actions, _wordings = StaffAction.__table__.c, WordingVersion.__table__.c
_EVENTS = (
    sa.select(ConsentEvent.__table__)
    .where(_events.person_id == sa.bindparam("person"))
    .order_by(_events.seq)
)
_BODIES = sa.select(Evidence.__table__).where(
    _evidence.event_id.in_(sa.bindparam("ids", expanding=True))
)
_older, _other = WordingVersion.__table__.alias(), WordingVersion.__table__
_WORDINGS = sa.select(
    *(_other.c.sha256, _other.c.kind, _other.c.language, _other.c.text),
    sa.select(sa.func.count())
    .select_from(_older)
    .where(
        _older.c.kind == _other.c.kind,
        _older.c.language == _other.c.language,
        _older.c.id <= _other.c.id,
    )
    .scalar_subquery()
    .label("version"),
).where(_other.c.sha256.in_(sa.bindparam("hashes", expanding=True)))
# What staff did for or with a person that is no event of the ledger.
LOOKED = (
    *("number_shown", "certificate_taken", "record_exported"),
    *("link_sent", "deliverability_corrected"),
)


class Sort(StrEnum):
    """What an entry is; of one moment the cause stands below what it caused."""

    INBOUND = "inbound"
    EVENT = "event"
    TEXT = "text"
    ACTION = "action"


_RANKS = {sort: rank for rank, sort in enumerate(Sort)}


class Place(NamedTuple):
    """Where an entry stands in the story; also what an address names to read on from."""

    at: datetime
    rank: int
    id: int

    def __str__(self) -> str:
        micros = (self.at - _EPOCH) // timedelta(microseconds=1)
        return f"{micros}-{self.rank}-{self.id}"


@dataclass(frozen=True, slots=True)
class Wording:
    """A consent text as it was shown; `version` counts those of its kind and language."""

    kind: str
    language: str
    text: str
    sha256: str
    version: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. Of an event also what was seen and where it began."""

    sort: Sort
    place: Place
    row: Any
    before: State | None = None
    evidence: Mapping[str, Any] | None = None
    wording: Wording | None = None

    @property
    def changes(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.row.changes)
        return found


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first; `older` is the place to read on from, None at the end."""

    entries: list[Entry]
    older: Place | None


def place(text: str | None) -> Place | None:
    """What an address says to read on from; None for the newest, also where it says nothing
    that we wrote."""
    found = _CURSOR.match(text or "")
    if not found:
        return None
    try:
        at = _EPOCH + timedelta(microseconds=int(found[1]))
    except OverflowError:
        return None
    return Place(at, int(found[2]), int(found[3]))


def events_of(person_id: int) -> Sequence[Any]:
    """Every event of a person, oldest first, as plain rows."""
    return read(_EVENTS, {"person": person_id})


def page(
    person: Person, events: Sequence[Any], after: Place | None = None, *, size: int = PAGE
) -> Page:
    """The entries behind a place, or the newest ones. `events` are those of `events_of`."""
    found = belongings.reach(person)
    places = [
        (Place(row.at, _RANKS[Sort.EVENT], row.id), index) for index, row in enumerate(events)
    ]
    newest = [one for one in places if after is None or one[0] < after]
    newest.sort(reverse=True)
    entries = [Entry(Sort.EVENT, at, events[index]) for at, index in newest[: size + 1]]
    indexes = {at: index for at, index in newest[: size + 1]}
    if found is not None:
        entries += _rows(Sort.TEXT, OutboxMessage, belongings.texts_to(found), after, size)
        entries += _rows(Sort.INBOUND, Inbound, belongings.texts_from(found), after, size)
    looked = sa.and_(_actions.subject == person.public_id, _actions.action.in_(LOOKED))
    entries += _rows(Sort.ACTION, StaffAction, looked, after, size)
    entries.sort(key=lambda entry: entry.place, reverse=True)
    shown = entries[:size]
    older = shown[-1].place if len(entries) > size else None
    return Page(_with_evidence(shown, events, indexes), older)


def wordings(hashes: Iterable[str | None]) -> dict[str, Wording]:
    """Consent texts by their hash."""
    wanted = sorted({one for one in hashes if one})
    rows = read(_WORDINGS, {"hashes": wanted}) if wanted else []
    return {
        row.sha256: Wording(row.kind, row.language, row.text, row.sha256, row.version)
        for row in rows
    }


def without_links(text: str) -> str:
    """A text of ours without its links, each of which is a key to the person's page."""
    ours = re.escape(config.current().public_url)
    return re.sub(rf"({ours}/[cpul]/)[a-z2-7]{{{TOKEN_LENGTH}}}", r"\1…", text)


_MOMENTS = {
    OutboxMessage: _texts.created_at,
    Inbound: _inbound.received_at,
    StaffAction: _actions.at,
}


def _rows(
    sort: Sort, table: type[Any], condition: sa.ColumnElement[bool], after: Place | None, size: int
) -> list[Entry]:
    moment, id_, rank = _MOMENTS[table], table.__table__.c.id, _RANKS[sort]
    query = sa.select(table.__table__).where(condition)
    if after is not None:
        query = query.where(_behind(moment, id_, rank, after))
    rows = read(query.order_by(moment.desc(), id_.desc()).limit(size + 1), {})
    name = moment.name
    return [Entry(sort, Place(getattr(row, name), rank, row.id), row) for row in rows]


def _behind(moment: Any, id_: Any, rank: int, after: Place) -> sa.ColumnElement[bool]:
    if rank < after.rank:
        behind: sa.ColumnElement[bool] = moment <= after.at
    elif rank > after.rank:
        behind = moment < after.at
    else:
        behind = sa.or_(moment < after.at, sa.and_(moment == after.at, id_ < after.id))
    return behind


def _with_evidence(
    entries: list[Entry], events: Sequence[Any], indexes: Mapping[Place, int]
) -> list[Entry]:
    """The events of a page with what was seen, and the state that each of them met."""
    ids = [entry.row.id for entry in entries if entry.sort is Sort.EVENT]
    if not ids:
        return entries
    bodies = {row.event_id: json.loads(row.body) for row in read(_BODIES, {"ids": ids})}
    shown = wordings(e.row.wording_sha256 for e in entries if e.sort is Sort.EVENT)
    before = timeline.states_before(events)
    return [
        Entry(
            entry.sort,
            entry.place,
            entry.row,
            before[indexes[entry.place]],
            bodies.get(entry.row.id),
            shown.get(entry.row.wording_sha256 or ""),
        )
        if entry.sort is Sort.EVENT
        else entry
        for entry in entries
    ]
