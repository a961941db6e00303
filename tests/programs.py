"""Programs that call the API: a key for each scope, and a world in which every example works.

Alice is subscribed, Bob pending, Carol stopped, and Bob's web shop is a site. Numbers, keys and
ids that an example cannot know are put in here.
"""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from prefcenter import web
from prefcenter.consent import api_keys, sites
from prefcenter.database import db, writing
from prefcenter.web import api_openapi, api_spec, guards, pages
from prefcenter.web.api_spec import Call
from tests.cast import ALICE, Town

VERSION = "3f2a9c0d1e4b5a67"  # stands in examples for the text_version of now
JSON = "application/json"
View = Callable[..., object]


def views() -> dict[str, View]:
    """Every view that has a call, by a name for the test's report."""
    found: dict[str, View] = {}
    for module in pkgutil.iter_modules(web.__path__, "prefcenter.web."):
        if module.name.startswith("prefcenter.web.api"):
            for name, view in vars(importlib.import_module(module.name)).items():
                if inspect.isfunction(view) and api_spec.call_of(view):
                    found[name] = view
    return found


def examples() -> Iterator[tuple[View, str]]:
    """Each example of each call; "" where a call is made with nothing to say."""
    for view in views().values():
        call = api_spec.call_of(view)
        assert call is not None
        for name in call.asks or [""]:
            yield view, name


def rule_of(view: View, app: Flask) -> Rule:
    return next(one for one in app.url_map.iter_rules() if app.view_functions[one.endpoint] is view)


@dataclass
class World:
    """Everybody, a shop, and a key for each scope."""

    town: Town
    app: Flask
    keys: dict[str, str] = field(default_factory=dict)
    text_version: str = ""

    def call(self, view: View, ask: str = "", **headers: str) -> TestResponse:
        """Send an example with a key of the right scope."""
        call, rule = api_spec.call_of(view), rule_of(view, self.app)
        assert call is not None
        said = self.real(call.asks.get(ask, {}))
        body = json.dumps(said) if call.body else None
        return self.send(rule, body, query=None if call.body else said, headers=headers)

    def send(
        self,
        rule: Rule,
        body: str | bytes | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        kind: str | None = JSON,
        path: str | None = None,
    ) -> TestResponse:
        secret = self.keys[guards.scope_of(self.app, rule.endpoint)]
        return self.town.browser.open(
            path or self.path(rule),
            method=method_of(rule),
            data=body,
            query_string=query,
            content_type=kind if body is not None else None,
            headers={"Authorization": f"Bearer {secret}"} | dict(headers or {}),
            buffered=True,  # what is streamed is read to its end
        )

    def path(self, rule: Rule) -> str:
        """With what stands in the place of a name, such as a reservation of this key's."""
        return rule.rule.replace("<ref>", self.reserve()) if "<ref>" in rule.rule else rule.rule

    def reserve(self) -> str:
        question = {"number": ALICE, "category": "offers", "kind": "marketing", "reserve": True}
        answer = self.town.browser.post(
            "/api/v1/decisions",
            data=json.dumps(question),
            content_type=JSON,
            headers={"Authorization": f"Bearer {self.keys['decide']}"},
        )
        found: str = answer.get_json()["reservation"]["id"]
        return found

    def real(self, said: Any) -> Any:
        """An example with what only this world knows."""
        text = json.dumps(said).replace(VERSION, self.text_version)
        return json.loads(text)


def world(town: Town, app: Flask) -> World:
    town.alice()
    town.bob()
    town.carol()
    found = World(town, app)
    with writing():
        sites.add("web-shop", "Web shop", origins=["https://shop.example.com"], now=town.now())
        for scope in api_keys.SCOPES:
            also = ["attest"] if scope == "write" else []  # hands in consent given elsewhere, too
            found.keys[scope] = api_keys.make(f"for-{scope}", [scope, *also], now=town.now())
        db.session.commit()
    with app.test_request_context():
        found.text_version = pages.text_version(pages.shown_text("signup", "en"))
    db.session.rollback()
    return found


def noon() -> timedelta:
    """From the clock of tests, 15:00 UTC, to noon where the cast is at home."""
    return timedelta(hours=2)


def method_of(rule: Rule) -> str:
    [method] = (rule.methods or set()) - {"HEAD", "OPTIONS"}
    return method


def operation(app: Flask, rule: Rule) -> dict[str, Any]:
    """What the description says of a call."""
    path = rule.rule.replace("<", "{").replace(">", "}")
    found: dict[str, Any] = api_openapi.description(app)["paths"][path][method_of(rule).lower()]
    return found


def schema_of(app: Flask, rule: Rule, answer: TestResponse) -> dict[str, Any]:
    """What the description promises for an answer of this status and type."""
    promised = resolve(app, operation(app, rule)["responses"][str(answer.status_code)])
    content: dict[str, Any] = promised["content"]
    assert answer.mimetype in content, f"{answer.mimetype} is not described"
    media = content[answer.mimetype]
    found: dict[str, Any] = media.get("x-line", media["schema"])
    return found


def resolve(app: Flask, found: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in found:
        there: Any = api_openapi.description(app)
        for step in found["$ref"].removeprefix("#/").split("/"):
            there = there[step]
        found = there
    return found


def conforms(app: Flask, schema: dict[str, Any], value: object) -> None:
    """Fails unless the value is as its schema says; `components` are those of the description."""
    whole = {"components": api_openapi.description(app)["components"]} | schema
    Draft202012Validator(whole).validate(value)


def fits(app: Flask, rule: Rule, answer: TestResponse) -> None:
    """Fails unless status, type and body of an answer are as described."""
    described = operation(app, rule)["responses"]
    assert str(answer.status_code) in described, f"{answer.status_code} is not described"
    schema, kind = schema_of(app, rule, answer), answer.mimetype or ""
    if kind.endswith("json") and "ndjson" not in kind:
        conforms(app, schema, answer.get_json())
    elif "ndjson" in kind:
        for line in answer.text.splitlines():
            conforms(app, schema, json.loads(line))


def described(app: Flask) -> list[tuple[Rule, Call]]:
    return list(api_openapi.calls(app))
