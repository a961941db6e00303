"""A program of Bob's that calls the API: a CRM, a till, a help desk. Its key may do what it needs."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from werkzeug.test import TestResponse

from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, Evidence, Person
from tests.cast import Town
from tests.web_shop import LEFT_OUT, Changes, tells_a_number

LETTER = {"channel": "letter", "note": "No more texts, please."}


@dataclass
class Caller:
    """Sends a body as JSON with its key, and keeps to what the API promises of every answer."""

    town: Town
    secret: str = field(repr=False)

    def post(self, path: str, body: object, **headers: str) -> TestResponse:
        raw = body if isinstance(body, str) else json.dumps(body)
        answer = self.town.browser.post(
            f"/api/v1{path}",
            data=raw,
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.secret}"} | headers,
        )
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert not tells_a_number(answer.text), "a number was repeated"
        return answer

    def opt_out(self, whose: str, /, **changes: object) -> TestResponse:
        """A letter that came an hour ago; LEFT_OUT takes a field away."""
        at = f"{self.town.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
        fields: Changes = {"number": whose, "received_at": at, **LETTER} | changes
        body = {name: value for name, value in fields.items() if value is not LEFT_OUT}
        return self.post("/opt-outs", body)

    def look_up(self, number: str, **more: object) -> dict[str, Any]:
        answer = self.post("/people/lookup", {"number": number, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.get_json()
        return found


def program(town: Town, *scopes: str, name: str = "") -> Caller:
    """A program with a key of these scopes, named after them."""
    with writing():
        secret = api_keys.make(name or "-".join(scopes), scopes, now=town.now())
        db.session.commit()
    return Caller(town, secret)


def seen(number: str) -> dict[str, Any]:
    """The evidence of a number's last event."""
    db.session.rollback()
    query = (
        sa.select(Evidence.body)
        .join(ConsentEvent, ConsentEvent.id == Evidence.event_id)
        .join(Person, Person.id == ConsentEvent.person_id)
        .where(Person.number == number)
        .order_by(ConsentEvent.seq.desc())
        .limit(1)
    )
    found: dict[str, Any] = json.loads(db.session.scalars(query).one())
    db.session.rollback()
    return found
