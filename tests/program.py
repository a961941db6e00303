"""Other programs: each has a key and asks what it may ask."""

from typing import Any

from werkzeug.test import TestResponse

from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from tests.cast import Town


class Program:
    """A program whose key has these scopes; `name` is the key's."""

    def __init__(self, town: Town, *scopes: str, name: str = "crm") -> None:
        self.browser, self.name = town.browser, name
        with writing():
            self.secret = api_keys.make(name, scopes, now=town.now())
            db.session.commit()

    def get(self, path: str, *, method: str = "GET", accept: str = "", **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}"}
        if accept:
            headers["Accept"] = accept
        return self.browser.open(path, method=method, headers=headers, **more)

    def post(self, path: str, **body: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}"}
        return self.browser.post(path, json=body, headers=headers)
