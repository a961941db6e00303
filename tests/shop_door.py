"""The shop's form, and a program that posts to it: for tests of what Mallory tries there."""

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from prefcenter.consent import sites
from prefcenter.consent.sites import Place
from prefcenter.database import db, writing
from tests import mallory
from tests.cast import ALICE, Town, rows
from tests.conftest import Clock

SHOP = "https://shop.example"


class Door:
    """The shop's form, and a program that posts to it."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self.town, self.clock, self.browser = town, clock, town.browser
        with writing():
            for slug in ("shop", "blog"):
                sites.add(slug, slug, origins=[SHOP], now=clock.now())
            db.session.commit()

    def place(self, key: str = "shop") -> Place:
        found = sites.find(key, now=self.clock.now())
        assert found is not None
        return found

    def form(self, number: str = ALICE, **more: str) -> dict[str, str]:
        return mallory.form(self.place(), number, now=self.clock.now()) | more

    def post(self, data: Any, **more: Any) -> TestResponse:
        """As a program: with `json` the answer is not a page."""
        headers = {"Origin": SHOP, "Accept": "application/json"} | more.pop("headers", {})
        return self.browser.post("/o/shop", data=data, headers=headers, **more)

    def takes(self, data: Any, **more: Any) -> bool:
        """True for a form that was stored; one that was not has left nothing behind."""
        before = rows()
        answer = self.post(data, **more)
        assert answer.status_code < 500
        if len(rows()["signup"]) > len(before["signup"]):
            assert (answer.status_code, len(rows()["signup"])) == (200, len(before["signup"]) + 1)
            return True
        assert rows() == before
        return False


@pytest.fixture
def door(town: Town, now: Clock) -> Iterator[Door]:
    with mallory.easy_work():
        yield Door(town, now)
