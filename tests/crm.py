"""For tests of outgoing webhooks: people to whom things happen, and a program that is told."""

import threading
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter import clock, telling
from prefcenter.consent import ledger, people
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.models import EventKind, Source
from prefcenter.models_webhooks import ParkedNotice, WebhookEndpoint
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import endpoints
from prefcenter.upkeep.notices import Batch, Notice

TAKEN, REFUSED = Answer(204), Answer(500, "It answered 500.")


def listen(url: str = "http://127.0.0.1:9/", *, after: int = 0) -> WebhookEndpoint:
    """An endpoint that is told of every event there is."""
    with writing():
        endpoint, _secret = endpoints.add(url, after=after, now=clock.now())
        db.session.commit()
    return endpoint


def subscriber(number: int, *, now: datetime) -> int:
    """Somebody who said yes to offers; gives their id."""
    with writing():
        person = people.enrol(f"+1202555{number:04}", "US", "en", now=now)
        asked = {"requested": ["offers"], "request_expires_at": _iso(now + timedelta(days=3))}
        _record(person.id, EventKind.REQUESTED, now, asked)
        _record(person.id, EventKind.CONFIRMED, now, {"added": ["offers"]})
        db.session.commit()
    return person.id


def happens(person_id: int, kind: EventKind, **changes: Any) -> None:
    """One more event of theirs, in a transaction of its own."""
    with writing():
        _record(person_id, kind, clock.now(), changes)
        db.session.commit()


def _record(person_id: int, kind: EventKind, now: datetime, changes: dict[str, Any]) -> None:
    ledger.record(people.by_id(person_id), kind, Proof(source=Source.SMS), now=now, changes=changes)


def _iso(moment: datetime) -> str:
    return moment.isoformat()


class Crm:
    """Takes notices without a socket; refuses those of whom it is told to."""

    def __init__(self) -> None:
        self.tried: list[Notice] = []
        self.taken: list[Notice] = []
        self.refuses: set[int] = set()  # people
        self.down = False
        self.answers: list[Answer] = []  # used up first

    def post(self, _batch: Batch, notice: Notice) -> Answer:
        self.tried.append(notice)
        bad = self.down or notice.person_id in self.refuses
        answer = self.answers.pop(0) if self.answers else REFUSED if bad else TAKEN
        if answer.taken:
            self.taken.append(notice)
        return answer

    def told(self, endpoint: WebhookEndpoint) -> list[int]:
        """Tell it all there is now; gives the people of what it took meanwhile, in order."""
        before = len(self.taken)
        telling.Round(endpoint.id, self.post, threading.Event()).run()
        db.session.rollback()
        return [notice.person_id for notice in self.taken[before:]]


def parked() -> list[ParkedNotice]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(ParkedNotice).order_by(ParkedNotice.event_id)))


def again(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """Its row as it is now."""
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(
        sa.select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint.id)
    ).one()
