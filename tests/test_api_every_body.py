"""Every POST of the API refuses every body that could be read two ways, or not at all.

The calls are walked, so that a new one cannot be forgotten. What a field of one call may hold is
in that call's own tests.
"""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from prefcenter.web import api_spec, guards
from tests import programs
from tests.cast import Town, rows
from tests.conftest import Clock
from tests.programs import View, World
from tests.watching import listening
from tests.web_shop import PROBLEM, tells_a_number

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TAKES = {
    name: view
    for name, view in programs.views().items()
    if (call := api_spec.call_of(view)) is not None and call.body is not None
}
by_call = pytest.mark.parametrize("view", TAKES.values(), ids=TAKES)
TWO_MB = 2 * 1024 * 1024
NUMBER = "+12025550146"

Change = Callable[[dict[str, Any]], str | bytes]


def _first(body: dict[str, Any]) -> str:
    """A field that the call must be given."""
    return next(iter(body))


def _with(text: str) -> Change:
    """One field holds something that JSON may hold and nobody expects."""
    return lambda body: json.dumps(body).replace(json.dumps(body[_first(body)]), text, 1)


# By name: what is sent instead of the example, the status, and the pointer.
# "" stands for the pointer of the field that was changed.
ODD: dict[str, tuple[Change, int, str]] = {
    "nothing": (lambda _body: b" ", 400, "#"),
    "two objects": (lambda body: json.dumps(body) * 2, 400, "#"),
    "a list": (lambda body: json.dumps([body]), 400, "#"),
    "null": (lambda _body: b"null", 400, "#"),
    "a string": (lambda _body: json.dumps(NUMBER), 400, "#"),
    "a number": (lambda _body: b"12025550146", 400, "#"),
    "a form": (lambda _body: b"number=%2B12025550146", 400, "#"),
    "half an object": (lambda body: json.dumps(body)[:-1], 400, "#"),
    "a comma too many": (lambda body: json.dumps(body)[:-1] + ",}", 400, "#"),
    "UTF-16": (lambda body: json.dumps(body).encode("utf-16"), 400, "#"),
    "no UTF-8": (lambda _body: b'{"number": "\xff"}', 400, "#"),
    "30,000 lists": (lambda _body: b"[" * 30_000, 400, "#"),
    "10,000 objects": (lambda _body: b'{"a":' * 10_000, 400, "#"),
    "40 levels": (_with("[" * 40 + "]" * 40), 400, "#"),
    "5,000 digits": (_with("9" * 5000), 400, "#"),
    "NaN": (_with("NaN"), 400, ""),
    "infinity": (_with("-Infinity"), 400, ""),
    "a float too large": (_with("1e999"), 400, ""),
    "NUL": (_with(r'"\u0000"'), 400, ""),
    "half a character": (_with(r'"\ud83d"'), 400, ""),
    "a new line": (_with(r'"a\nb"'), 400, ""),
    "half a character as name": (lambda body: '{"\\ud83d": 1, ' + json.dumps(body)[1:], 400, "#"),
    "a field twice": (
        lambda body: "{" + json.dumps({_first(body): body[_first(body)]})[1:-1] + ", "
        + json.dumps(body)[1:],
        400,
        "",
    ),
    "a number's own name twice": (
        lambda body: '{"5550146": 1, "5550146": 2, ' + json.dumps(body)[1:],
        400,
        "#",
    ),
    "twice inside": (_with('{"a": 1, "a": 1}'), 400, "/a"),
    "an object for a word": (_with("{}"), 422, ""),
    "a whole number for a word": (_with("12025550146"), 422, ""),
    "a truth for a word": (_with("true"), 422, ""),
    "null for a word": (_with("null"), 422, "#"),
    "a field that nobody knows": (lambda body: json.dumps(body | {"nobody": 1}), 422, "#/nobody"),
    "a number as a field": (lambda body: json.dumps(body | {NUMBER: True}), 422, "#"),
    "nothing of what is needed": (lambda _body: b"{}", 422, "#"),
}  # fmt: skip


@pytest.fixture
def world(town: Town, app: Flask, now: Clock) -> World:
    now.moment += programs.noon()
    return programs.world(town, app)


def example(world: World, view: View) -> dict[str, Any]:
    call = api_spec.call_of(view)
    assert call is not None
    found: dict[str, Any] = world.real(next(iter(call.asks.values())))
    return found


def refused(answer: TestResponse, status: int, pointer: str, name: str) -> None:
    assert (answer.status_code, answer.mimetype) == (status, PROBLEM), (name, answer.text)
    assert answer.headers["Cache-Control"] == "no-store"
    found = answer.get_json()
    assert found["title"] and found["detail"]
    pointers = [error["pointer"] for error in found.get("errors", ())]
    assert any(one.startswith(pointer) for one in pointers), (name, found)
    assert not tells_a_number(answer.text), f"{name}: a number was repeated"


@on_sqlite
@by_call
def test_an_odd_body_is_refused_and_says_where(world: World, view: View) -> None:
    """SEC-5, SEC-7, INV-11."""
    rule, body = programs.rule_of(view, world.app), example(world, view)
    path, before = world.path(rule), rows()
    for name, (change, status, pointer) in ODD.items():
        at = f"#/{_first(body)}{pointer}" if pointer in ("", "/a") else pointer
        with listening() as heard:
            answer = world.send(rule, change(body), path=path)
        refused(answer, status, at, name)
        assert not tells_a_number(heard.getvalue()), name
    assert rows() == before


@on_sqlite
@by_call
def test_too_much_is_413_and_of_another_kind_415(world: World, view: View) -> None:
    rule, body = programs.rule_of(view, world.app), json.dumps(example(world, view))
    path, before = world.path(rule), rows()
    for text in (body + " " * TWO_MB, json.dumps({"number": "2" * TWO_MB}), "x" * TWO_MB):
        answer = world.send(rule, text, path=path)
        assert (answer.status_code, answer.mimetype) == (413, PROBLEM)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "text/json", None):
        answer = world.send(rule, body, path=path, kind=kind)
        assert (answer.status_code, answer.mimetype) == (415, PROBLEM), kind
    answer = world.send(rule, body, path=path, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.mimetype) == (415, PROBLEM)
    assert rows() == before


@on_sqlite
@by_call
def test_a_body_without_a_length_is_411(world: World, view: View) -> None:
    """SEC-5: it could be cut short and still look whole."""
    rule, body = programs.rule_of(view, world.app), json.dumps(example(world, view))
    path, before = world.path(rule), rows()
    secret = world.keys[guards.scope_of(world.app, rule.endpoint)]
    answer = world.town.browser.post(
        path,
        input_stream=BytesIO(body.encode()),
        headers={"Authorization": f"Bearer {secret}", "Transfer-Encoding": "chunked"},
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )
    assert (answer.status_code, answer.mimetype) == (411, PROBLEM)
    assert rows() == before


@on_sqlite
def test_without_the_right_key_no_body_is_read(world: World) -> None:
    """SEC-39: 401 without one that works, 403 without the scope, whatever the body is."""
    before = rows()
    for rule, _call in programs.described(world.app):
        scope, method = guards.scope_of(world.app, rule.endpoint), programs.method_of(rule)
        path = rule.rule.replace("<ref>", "x" * 22)
        wrong = [secret for one, secret in world.keys.items() if one != scope]
        for secret, status in [("", 401), ("pck_wrong", 401), *[(key, 403) for key in wrong]]:
            answer = world.town.browser.open(
                path,
                method=method,
                data=b"{" if method == "POST" else None,
                content_type="application/json" if method == "POST" else None,
                headers={"Authorization": f"Bearer {secret}"} if secret else {},
            )
            assert (answer.status_code, answer.mimetype) == (status, PROBLEM), (rule.rule, status)
            assert answer.headers["Cache-Control"] == "no-store"
            if status == 403:
                assert scope in answer.get_json()["detail"]
    assert rows() == before


@on_sqlite
def test_no_call_opens_to_pages_of_others(world: World) -> None:
    """SEC-39: no CORS, no cookies."""
    for rule, _call in programs.described(world.app):
        path = rule.rule.replace("<ref>", "x" * 22)
        for method in ("OPTIONS", programs.method_of(rule)):
            answer = world.town.browser.open(
                path, method=method, headers={"Origin": "https://shop.example.com"}
            )
            names = {name.lower() for name, _value in answer.headers.to_wsgi_list()}
            assert not [name for name in names if name.startswith("access-control")]
            assert "set-cookie" not in names
