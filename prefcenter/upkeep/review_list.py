"""Reviews and unread webhooks as lists for people: what waits, and what was done. Only reads."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from prefcenter.consent.outlook import NO_REFUSAL, REFUSAL
from prefcenter.database import db, read
from prefcenter.models import ConsentEvent, EventKind, Inbound, Person, Review, Source, Unreadable
from prefcenter.sms import alarms

MOST = 30
_START = 2000  # characters of a webhook that are shown
_PLACE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})_([0-9]{1,18})\Z")
_events = ConsentEvent.__table__.c
_BY_NUMBER = sa.select(Person.__table__).where(
    Person.__table__.c.number.in_(sa.bindparam("numbers", expanding=True))
)
_DECISIONS = sa.select(_events.person_id, _events.at, _events.kind, _events.changes).where(
    _events.person_id.in_(sa.bindparam("people", expanding=True)),
    _events.source == Source.ADMIN,
    _events.at >= sa.bindparam("first"),
)
_body = Unreadable.__table__.c.body
_UNREADABLE: Any = (
    sa.select(
        *(Unreadable.id, Unreadable.door, Unreadable.reason, Unreadable.received_at),
        sa.func.substr(_body, 1, 4 * _START, type_=sa.LargeBinary).label("start"),
    )
    .where(Unreadable.seen_at.is_(None))
    .order_by(sa.case((Unreadable.reason.in_(alarms.FAULTY), 0), else_=1), Unreadable.id)
    .limit(MOST)
)


class Place(NamedTuple):
    """Where an open review stands among those that wait; an address names it to read on from."""

    due_on: date
    id: int

    def __str__(self) -> str:
        return f"{self.due_on.isoformat()}_{self.id}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """What an address says; None where it says nothing that we wrote."""
        found = _PLACE.match(text)
        if not found:
            return None
        try:
            return cls(date.fromisoformat(found[1]), int(found[2]))
        except ValueError:
            return None


class Done(StrEnum):
    """What a closed review has led to."""

    STOPPED = "stopped"
    KEPT_STOPPED = "kept_stopped"
    PUT_BACK = "put_back"
    NOT_REFUSAL = "not_refusal"
    READ = "read"


@dataclass(frozen=True, slots=True)
class Closed:
    """A review that somebody has closed. `text` is empty where the person was erased."""

    public_id: str
    done: Done
    text: str
    number: str | None
    person: str | None  # public id
    received_at: datetime
    closed_at: datetime
    closed_by: str
    note: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that was kept unread, as text: what is no letter is spelt out."""

    id: int
    door: str
    reason: str
    received_at: datetime
    body: str


Open = tuple[Review, Inbound, Person | None]


def waiting(behind: Place | None = None) -> tuple[list[Open], Place | None]:
    """Open reviews, the most urgent first, with whoever has the number now, not locked; and the
    place to read on from, None at the end."""
    query = (
        sa.select(Review, Inbound)
        .join(Inbound, Inbound.id == Review.inbound_id)
        .where(Review.closed_at.is_(None))
        .order_by(Review.due_on, Review.id)
        .limit(MOST + 1)
    )
    if behind is not None:
        there = sa.tuple_(sa.literal(behind.due_on, sa.Date), sa.literal(behind.id, sa.BigInteger))
        query = query.where(sa.tuple_(Review.due_on, Review.id) > there)
    rows = [(review, inbound) for review, inbound in db.session.execute(query)]
    more = len(rows) > MOST
    rows = rows[:MOST]
    numbers = [inbound.number for _review, inbound in rows if inbound.number]
    owners = {row.number: row for row in read(_BY_NUMBER, {"numbers": numbers})} if numbers else {}
    found: list[Open] = []
    for review, inbound in rows:
        row = owners.get(inbound.number)
        if row is not None and review.person_id not in (None, row.id):
            row = None  # the number has another owner by now
        found.append((review, inbound, Person(**row._mapping) if row is not None else None))
    last = rows[-1][0] if more else None
    return found, Place(last.due_on, last.id) if last else None


def closed(after: str = "") -> tuple[list[Closed], int | None]:
    """Closed reviews, the last first, from an id on; and the id to read on from."""
    query: Any = (
        sa.select(
            *(Review.id, Review.public_id, Review.person_id, Review.closed_at, Review.closed_by),
            *(Review.note, Inbound.text, Inbound.received_at),
            *(Person.number, Person.public_id.label("person")),
        )
        .join(Inbound, Inbound.id == Review.inbound_id)
        .outerjoin(Person, Person.id == Review.person_id)
        .where(Review.closed_at.is_not(None))
        .order_by(Review.id.desc())
        .limit(MOST + 1)
    )
    if after:
        query = query.where(Review.id < int(after))
    rows = read(query, {})
    shown = rows[:MOST]
    decided = _decisions(shown)
    found = [
        Closed(
            public_id=row.public_id,
            done=decided.get(row.public_id, Done.READ),
            text=row.text,
            number=row.number,
            person=row.person,
            received_at=row.received_at,
            closed_at=row.closed_at,
            closed_by=row.closed_by,
            note=row.note,
        )
        for row in shown
    ]
    return found, shown[-1].id if len(rows) > MOST else None


def unreadable() -> list[Webhook]:
    """What nobody has seen yet: first what means a fault, then the oldest."""
    return [
        Webhook(row.id, row.door, row.reason, row.received_at, _spelt(row.start))
        for row in read(_UNREADABLE, {})
    ]


def _decisions(rows: Iterable[Any]) -> dict[str, Done]:
    """What was decided, as the ledger has it, by the review's public id."""
    of_people = [row for row in rows if row.person_id is not None]
    if not of_people:
        return {}
    values = {
        "people": sorted({row.person_id for row in of_people}),
        "first": min(row.closed_at for row in of_people),
    }
    found = {}
    for event in read(_DECISIONS, values):
        changes = json.loads(event.changes)
        if review := changes.get("review"):
            found[str(review)] = _done(event.kind, str(changes.get("word")))
    return found


def _done(kind: EventKind, word: str) -> Done:
    if word == NO_REFUSAL:
        return Done.NOT_REFUSAL if kind is EventKind.NOTED else Done.PUT_BACK
    if kind is EventKind.REVOKED:
        return Done.STOPPED
    return Done.KEPT_STOPPED if word == REFUSAL else Done.READ


def _spelt(body: bytes) -> str:
    """Bytes of a stranger as text on one page: without what turns or hides other letters."""
    text = body.decode("utf-8", "replace")
    spelt = (
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )
    return "".join(spelt)[:_START]
