"""People for the measurements, put in by bulk: enough rows, not enough proof to verify."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask

from prefcenter import demo_data, links
from prefcenter.database import db, writing
from prefcenter.links import Purpose
from prefcenter.models import (
    Category,
    Deliverability,
    OptInLevel,
    OutboxMessage,
    OutboxStatus,
    Person,
    PersonCategory,
    Status,
    TextKind,
)

_CHUNK = 10_000


def people(app: Flask, *, subscribed: int, pending: int, now: datetime) -> None:
    """So many people: subscribed ones first, each with two categories, then pending ones."""
    with app.app_context(), writing():
        demo_data.add()
        kinds = list(db.session.scalars(sa.select(Category.id).order_by(Category.position)))[:2]
        for start in range(0, subscribed + pending, _CHUNK):
            ids = range(start + 1, min(start + _CHUNK, subscribed + pending) + 1)
            rows = [_person(i, i > subscribed, now) for i in ids]
            db.session.execute(sa.insert(Person), rows)
            taken = [
                {"person_id": i, "category_id": kind}
                for i in ids
                if i <= subscribed
                for kind in kinds
            ]
            if taken:
                db.session.execute(sa.insert(PersonCategory), taken)
        db.session.commit()


def phone_of(number: int) -> str:
    """The phone number of person number so and so, one that may be texted."""
    return f"+1202{2_000_000 + number}"


def _person(number: int, pending: bool, now: datetime) -> dict[str, object]:
    return {
        "id": number,
        "link_id": (number * 7_919_999_983) % (1 << 40),
        "number": phone_of(number),
        "country": "US",
        "language": "en",
        "status": Status.PENDING if pending else Status.SUBSCRIBED,
        "opt_in_level": OptInLevel.UNKNOWN,
        "deliverability": Deliverability.OK,
        "frequency": "all",
        "requested": ["offers", "events"] if pending else [],
        "request_ref": "r" * 22 if pending else None,
        "request_expires_at": now + timedelta(hours=72) if pending else None,
        "confirmed_at": None if pending else now,
        "ledger_seq": 1,
        "ledger_head": "0" * 64,
        "created_at": now,
    }


def tokens(app: Flask, purpose: Purpose, first: int, count: int, now: datetime) -> list[str]:
    """Links of people number `first` and on."""
    with app.app_context():
        query = sa.select(Person.link_id).where(Person.id >= first).order_by(Person.id)
        found = db.session.scalars(query.limit(count))
        return [links.make(purpose, link_id, now=now) for link_id in found]


def texts(app: Flask, count: int, *, now: datetime) -> None:
    """So many texts that are due, one each to the first subscribed people."""
    with app.app_context(), writing():
        rows = [
            {
                "person_id": i,
                "to": phone_of(i),
                "sender": "+12025550100",
                "kind": TextKind.WELCOME,
                "language": "en",
                "body": f"Marlow Books: texts are on, about 4 a month. {i:07d} STOP to end"
                + "." * 60,
                "status": OutboxStatus.QUEUED,
                "created_at": now,
                "due_at": now,
                "expires_at": now + timedelta(days=1),
            }
            for i in range(1, count + 1)
        ]
        db.session.execute(sa.delete(OutboxMessage))
        db.session.execute(sa.insert(OutboxMessage), rows)
        db.session.commit()
