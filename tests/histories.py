"""Histories that people may have, made up by chance: every kind of event, every door."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import ledger, people, state, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import (
    Deliverability,
    EventKind,
    Person,
    Source,
    Status,
    SuppressionReason,
)

KINDS = ("offers", "new-books", "events")
COUNTRIES, LANGUAGES = ("US", "GB", "ES"), ("en", "es")
PLACES = ("shop", "checkout", "prefs.test")
_DOORS = {
    EventKind.REQUESTED: (Source.WIDGET, Source.FORM, Source.SMS, Source.API, Source.IMPORT),
    EventKind.RESTARTED: (Source.SMS, Source.PREFERENCE_PAGE),
}
_ANY_DOOR = (Source.SMS, Source.PREFERENCE_PAGE, Source.ADMIN, Source.PROVIDER)


class Teller:
    """Makes people and what happens to them, at moments that go on."""

    def __init__(self, seed: int, now: datetime) -> None:
        self.chance = random.Random(seed)  # the same seed, the same story
        self.now = now

    def new_person(self) -> int:
        """Somebody with a number that nobody has; gives their id. Never commits."""
        number = f"+1202555{self.chance.randrange(10**4):04}{self.chance.randrange(10**3):03}"
        country = self.chance.choice(COUNTRIES)
        return people.enrol(number, country, "en", now=self.now).id

    def something(self, person_id: int) -> EventKind | None:
        """One event that is allowed now; None where nothing is any more. Never commits."""
        person = people.by_id(person_id)
        moves = [
            (kind, source)
            for kind in EventKind
            for source in _DOORS.get(kind, _ANY_DOOR)
            if state.allowed(kind, person.status, source)
        ]
        if not moves:
            return None
        likely = [m for m in moves if m[0] not in (EventKind.ERASED, EventKind.REASSIGNED)]
        kind, source = self.chance.choice(likely if self.chance.random() < 0.9 else moves)
        self.now += timedelta(minutes=self.chance.randrange(1, 900))
        proof = Proof(
            source=source,
            detail=self._detail(source),
            language=self.chance.choice(LANGUAGES),
        )
        self._suppress(person, kind)
        ledger.record(person, kind, proof, now=self.now, changes=self._changes(person, kind))
        if self.chance.random() < 0.2:
            person.deliverability = self.chance.choice(list(Deliverability))
            ledger.save(person)
        return kind

    def _detail(self, source: Source) -> str:
        if source is Source.SMS:
            return self.chance.choice(("JOIN", "START"))
        return self.chance.choice(PLACES) if source is not Source.PROVIDER else "error 1"

    def _some(self) -> list[str]:
        return sorted(k for k in KINDS if self.chance.random() < 0.5)

    def _changes(self, person: Person, kind: EventKind) -> dict[str, Any]:
        takes = sorted(db.session.scalars(_TAKEN, {"person": person.id}))
        match kind:
            case EventKind.REQUESTED:
                expires = (self.now + timedelta(days=1)).isoformat()
                return {"requested": self._some(), "request_expires_at": expires}
            case EventKind.CONFIRMED:
                gone = sorted(set(takes) - set(person.requested))
                added = sorted(set(person.requested) - set(takes))
                return {"added": added, "dropped": gone, "paused_until": None}
            case EventKind.CHANGED if self.chance.random() < 0.3:
                return {"frequency": self.chance.choice(("all", "1/week", "2/month"))}
            case EventKind.CHANGED:
                wanted = self._some()
                added = sorted(set(wanted) - set(takes))
                return {"added": added, "dropped": sorted(set(takes) - set(wanted))}
            case EventKind.PAUSED:
                hours = self.chance.choice((1, 5, 30, 200, 2000))
                until = self.now.astimezone(UTC) + timedelta(hours=hours)
                return {"paused_until": until.isoformat()}
            case EventKind.RESUMED:
                return {"paused_until": None}
            case EventKind.REVOKED if self.chance.random() < 0.3:
                return {"reading": "likely", "word": "stop"}
        return {}

    def _suppress(self, person: Person, kind: EventKind) -> None:
        """As the rules do it."""
        if person.number is None:
            return
        if kind is EventKind.REVOKED:
            suppression.add(person.number, SuppressionReason.KEYWORD, now=self.now)
        elif kind in (EventKind.CONFIRMED, EventKind.RESTARTED):
            suppression.lift(person.number)


_TAKEN = sa.text(
    "SELECT slug FROM category JOIN person_category ON category_id = category.id"
    " WHERE person_id = :person"
)


def tell(teller: Teller, people_ids: list[int], events: int) -> None:
    """So many events of these people, and of a newcomer now and then. Commits."""
    with writing():
        for _ in range(events):
            if not people_ids or teller.chance.random() < 0.15:
                people_ids.append(teller.new_person())
            teller.something(teller.chance.choice(people_ids))
        db.session.commit()


def everybody_is_somewhere() -> set[Status]:
    db.session.rollback()
    return set(db.session.scalars(sa.select(Person.status)))
