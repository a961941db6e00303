"""A campaign tool: it asks before it texts, with a key of its own."""

import json
from typing import Any

from werkzeug.test import TestResponse

from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from tests.cast import ALICE, Town
from tests.conftest import Clock

OFFERS = {"category": "offers", "kind": "marketing"}


class Tool:
    """Asks about offers, unless told otherwise."""

    def __init__(
        self, town: Town, scopes: tuple[str, ...] = ("decide",), name: str = "tool"
    ) -> None:
        self.town = town
        with writing():
            self.key = api_keys.make(name, scopes, now=town.now())
            db.session.commit()

    def post(self, path: str, body: dict[str, Any] | None = None, **headers: str) -> TestResponse:
        return self.town.browser.post(
            f"/api/v1/{path}",
            data=json.dumps(body or {}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}"} | headers,
        )

    def ask(self, number: str = ALICE, **more: Any) -> dict[str, Any]:
        """One number's answer; always 200."""
        answer = self.post("decisions", {"number": number} | OFFERS | more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.get_json()
        return found

    def ask_many(self, numbers: list[str], **more: Any) -> list[dict[str, Any]]:
        answer = self.post("decisions", {"numbers": numbers} | OFFERS | more)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.get_json()
        return found

    def says(self, number: str = ALICE, **more: Any) -> tuple[str, str]:
        """The decision and its reason."""
        found = self.ask(number, **more)
        return found["decision"], found["reason"]


def noon(now: Clock) -> None:
    """17:00 UTC is noon in Washington, where the cast's numbers are at home."""
    today = now.moment.replace(hour=17, minute=0, second=0, microsecond=0)
    now.forward(seconds=(today - now.moment).total_seconds() % 86400)
