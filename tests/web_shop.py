"""Bob's web shop, whose server hands in what people typed there."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from prefcenter.consent import api_keys, sites
from prefcenter.database import db, writing
from prefcenter.web import pages
from tests.cast import Town
from tests.conftest import Browser

OPT_INS = "/api/v1/opt-ins"
PROBLEM = "application/problem+json"
DAVE = "+12025550146"
PAGE = "https://shop.example/checkout"
FIREFOX = "Mozilla/5.0 (Android 16; Mobile) Firefox/140.0"
ABOUT = {"en": "sales and new books", "es": "rebajas y libros nuevos"}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Changes = dict[str, Any]
LEFT_OUT = object()


@dataclass
class Shop:
    """Bob's web shop: its server has a key and tells us what people typed there."""

    browser: Browser
    secret: str = field(repr=False)
    text: str = ""

    def body(self, number: str = DAVE, **changes: object) -> Changes:
        """What the shop sends for a form; LEFT_OUT takes a field away."""
        fields: Changes = {
            "site": "web-shop",
            "number": number,
            "consent": True,
            "text_version": pages.text_version(self.text),
            "page_url": PAGE,
            "ip": "198.51.100.7",
            "user_agent": FIREFOX,
            "categories": ["offers"],
            "shown": ["offers", "events"],
            "source": "checkout",
            "button": "Pay now",
        } | changes
        return {name: value for name, value in fields.items() if value is not LEFT_OUT}

    def hand_in(self, number: str = DAVE, **changes: object) -> TestResponse:
        return self.post(json.dumps(self.body(number, **changes)))

    def post(
        self, raw: str | bytes, *authorization: str, kind: str | None = "application/json"
    ) -> TestResponse:
        """Without `authorization` the shop's own key is shown; "" is no header."""
        headers = Headers()
        for one in authorization or (f"Bearer {self.secret}",):
            if one:
                headers.add("Authorization", one)
        return self.browser.post(OPT_INS, data=raw, headers=headers, content_type=kind)


def open_shop(town: Town, **more: Any) -> Shop:
    with writing():
        sites.add(
            "web-shop",
            "Web shop",
            origins=["https://shop.example"],
            about=ABOUT,
            now=town.now(),
            **more,
        )
        secret = api_keys.make("bobs-shop", ["write"], now=town.now())
        db.session.commit()
    assert isinstance(town.browser, Browser)
    text = pages.shown_text("signup", "en", about=ABOUT["en"])
    return Shop(town.browser, secret, text)


def tells_a_number(text: str) -> bool:
    """True where a part of the numbers that people type here is repeated."""
    return bool(re.search(r"202\D{0,2}555|555\D{0,2}01\d\d|900\D{0,2}555|12 34 56", text))


def refused(answer: TestResponse, status: int, pointer: str | None = None) -> dict[str, Any]:
    """A problem that says what to do, and at which field."""
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.get_json()
    assert found["status"] == status
    assert found["title"] and found["detail"].endswith((".", "one."))
    if pointer is not None:
        assert pointer in [error["pointer"] for error in found["errors"]], found
    assert not tells_a_number(answer.text), "a number was repeated"
    return found
