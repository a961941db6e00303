"""The people of the tests: Alice is subscribed, Bob is pending, Carol stopped.

Mallory is nobody: she has forged links. Everybody came through the front door.
"""

import re
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from prefcenter.consent import decisions, signup
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, EventKind, OutboxMessage, Person, TextKind
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Parcel, Verdict

ALICE, BOB, CAROL = "+12025550143", "+12025550144", "+12025550145"
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')


class Network:
    """Stands in for the phone network: takes every text, unless told otherwise."""

    def __init__(self) -> None:
        self.texts: list[Parcel] = []
        self.answers: list[Verdict] = []

    def send(self, parcel: Parcel) -> Verdict:
        self.texts.append(parcel)
        if self.answers:
            return self.answers.pop(0)
        return Verdict(Outcome.SENT, "", message_id=f"m-{len(self.texts)}")


class Town:
    """Drives the product as people do, and reads what they got."""

    def __init__(self, browser: FlaskClient, now: Callable[[], datetime]) -> None:
        self.browser = browser
        self.now = now
        self.network = Network()

    def sign_up(self, number: str, categories: tuple[str, ...] = ("offers",)) -> TestResponse:
        """Fill in the form at / and send it."""
        page = self.browser.get("/")
        fields = _FIELD.findall(page.text)
        data: dict[str, object] = {
            "number": number,
            "consent": "yes",
            "categories": list(categories),
            "shown": [value for name, value in fields if name == "shown"],
            "text_version": dict(fields)["text_version"],
        }
        return self.browser.post("/", data=data)

    def work(self) -> list[Parcel]:
        """Let the sender do what is due; gives the texts that left."""
        before = len(self.network.texts)
        for row in signup.waiting(100):
            with writing():
                signup.admit(row, now=self.now())
                db.session.commit()
        with writing():
            claims = delivery.claim_due(
                100, now=self.now(), may_send=decisions.may_send, horizon=3600
            )
            db.session.commit()
        for claim in claims or ():
            verdict = self.network.send(claim.parcel)
            with writing():
                delivery.record([(claim, verdict)], now=self.now())
                db.session.commit()
        return self.network.texts[before:]

    def last_link(self, number: str) -> str:
        """The path of the newest link that this number was texted."""
        for parcel in reversed(self.network.texts):
            found = re.search(r"http://prefs\.test(/[cpul]/[a-z2-7]{31})", parcel.body)
            if parcel.to == number and found:
                return found[1]
        raise AssertionError(f"no link was texted to {number}")

    def bob(self, number: str = BOB, categories: tuple[str, ...] = ("offers",)) -> str:
        """Somebody pending; gives the confirm link."""
        self.sign_up(number, categories)
        self.work()
        return self.last_link(number)

    def alice(self, number: str = ALICE, categories: tuple[str, ...] = ("offers",)) -> str:
        """Somebody subscribed; gives the preferences link."""
        self.browser.post(self.bob(number, categories))
        self.work()
        return self.last_link(number)

    def carol(self, number: str = CAROL) -> str:
        """Somebody who pressed "Stop all texts"; gives their link."""
        link = self.alice(number)
        self.browser.post(f"{link}/stop")
        self.work()
        return link

    def person(self, number: str) -> Person:
        db.session.rollback()
        db.session.expire_all()
        return db.session.scalars(sa.select(Person).where(Person.number == number)).one()

    def events(self, number: str) -> list[EventKind]:
        person = self.person(number)
        query = sa.select(ConsentEvent.kind).where(ConsentEvent.person_id == person.id)
        return list(db.session.scalars(query.order_by(ConsentEvent.seq)))

    def kinds(self, number: str) -> list[TextKind]:
        """What was texted to a number, in order."""
        return [parcel.kind for parcel in self.network.texts if parcel.to == number]

    def outbox(self, number: str) -> list[OutboxMessage]:
        db.session.rollback()
        query = sa.select(OutboxMessage).where(OutboxMessage.to == number)
        return list(db.session.scalars(query.order_by(OutboxMessage.id)))


def rows() -> dict[str, list[tuple[object, ...]]]:
    """The whole content of the database, to compare before and after."""
    db.session.rollback()
    found = {}
    for table in db.metadata.sorted_tables:
        content = db.session.execute(sa.select(table)).all()
        found[table.name] = sorted(tuple(map(str, row)) for row in content)
    db.session.rollback()
    return found
