"""What people do with their phones: they text us, and Vonage brings it, signed."""

import uuid
from datetime import datetime

import sqlalchemy as sa
from werkzeug.test import TestResponse

from prefcenter.database import db
from prefcenter.models import ConsentEvent, Inbound, Person, Review
from tests.cast import ALICE, Town
from tests.webhooks import INBOUND, SENDER, headers, inbound_body


def say(
    town: Town,
    text: str,
    number: str = ALICE,
    *,
    at: datetime | None = None,
    message_id: str | None = None,
    to: str = SENDER,
    **changes: object,
) -> TestResponse:
    """Text us; `at` is Vonage's time where it is not now. Always answered 200."""
    said = at or town.now()
    raw = inbound_body(
        text, number=number, to=to, at=said, message_id=message_id or str(uuid.uuid4()), **changes
    )
    answer = town.browser.post(INBOUND, data=raw, headers=headers(raw, now=town.now()))
    assert answer.status_code == 200, answer.text
    return answer


def heard(number: str = ALICE) -> list[Inbound]:
    """Every text that this number sent, as the inbox has it."""
    db.session.rollback()
    db.session.expire_all()
    query = sa.select(Inbound).where(Inbound.number == number).order_by(Inbound.id)
    return list(db.session.scalars(query))


def last_event(number: str = ALICE) -> ConsentEvent:
    db.session.rollback()
    query = sa.select(ConsentEvent).join(Person, Person.id == ConsentEvent.person_id)
    found = db.session.scalars(
        query.where(Person.number == number).order_by(ConsentEvent.seq.desc()).limit(1)
    )
    return found.one()


def reviews() -> list[Review]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Review).order_by(Review.id)))
