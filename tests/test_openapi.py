"""/api/v1/openapi.json and the page made from it: whole, true, and of use to a reader.

Every example that the description shows is sent to the app, and the answer must be as described.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from prefcenter import create_app
from prefcenter.consent import api_keys
from prefcenter.web import api_openapi, api_spec, guards
from tests import programs
from tests.cast import Town
from tests.conftest import Browser, Clock, settings_for
from tests.programs import View, World, method_of

ADDRESS, PAGE = "/api/v1/openapi.json", "/api/v1/docs"
OPEN = {ADDRESS, PAGE}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EXAMPLES = list(programs.examples())
by_example = pytest.mark.parametrize(
    ("view", "ask"), EXAMPLES, ids=[f"{view.__name__}-{ask}" for view, ask in EXAMPLES]
)


@pytest.fixture
def world(town: Town, app: Flask, now: Clock) -> World:
    now.moment += programs.noon()
    return programs.world(town, app)


# --- the examples


@by_example
def test_an_example_is_answered_as_described(world: World, view: View, ask: str) -> None:
    """INV-11 for readers: what they copy works."""
    call, rule = api_spec.call_of(view), programs.rule_of(view, world.app)
    assert call is not None
    answer = world.call(view, ask)
    assert answer.status_code == call.status, answer.text
    programs.fits(world.app, rule, answer)
    said = call.answers.get(ask) if call.asks else next(iter(call.answers.values()))
    if said is not None and answer.mimetype == "application/json":
        assert shape(answer.get_json()) == shape(said), "the example's answer is old"


WORDS = ("decision", "reason", "status")
FREE = ("changes",)  # holds other things each time


def shape(value: Any) -> Any:
    """The names in an answer, and the words that programs act on; lists by what is in them."""
    if isinstance(value, dict):
        named = {name: inner for name, inner in sorted(value.items()) if name not in FREE}
        return {name: v if name in WORDS else shape(v) for name, v in named.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(one)) for one in value})
    return ""


@on_sqlite
def test_examples_fit_their_own_schemas(app: Flask) -> None:
    for rule, call in programs.described(app):
        operation = programs.operation(app, rule)
        if call.body:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            for value in call.asks.values():
                programs.conforms(app, schema, value)
        content = operation["responses"][str(call.status)].get("content", {})
        for value in call.answers.values():
            if "application/json" in content:
                programs.conforms(app, content["application/json"]["schema"], value)


@on_sqlite
def test_every_call_shows_how_it_is_made(app: Flask) -> None:
    for rule, call in programs.described(app):
        assert call.asks or not (call.body or call.query), f"{rule.rule} has no example"
        assert call.answers or "application/json" not in call.media, f"{rule.rule}: no answer"
        if call.body or call.query:
            unknown = set(call.answers) - set(call.asks)
            assert not unknown, f"{rule.rule}: {unknown} answers nothing that is asked"


# --- the description


@on_sqlite
def test_it_is_valid(client: Browser) -> None:
    answer = client.get(ADDRESS)
    found = answer.get_json()
    assert (answer.status_code, answer.mimetype, found["openapi"]) == (
        200,
        "application/json",
        "3.1.0",
    )
    assert list(OpenAPIV31SpecValidator(found).iter_errors()) == []


@on_sqlite
def test_every_call_is_in_it_and_nothing_else(app: Flask) -> None:
    """Who adds a route below /api/v1 says beside it what it takes and answers."""
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method_of(rule).lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and rule.rule not in OPEN
    }
    found = api_openapi.description(app)["paths"]
    assert {(path, method) for path, inner in found.items() for method in inner} == routes


@on_sqlite
def test_every_call_names_its_scope_and_the_one_way_in(app: Flask) -> None:
    """SEC-39."""
    found = api_openapi.description(app)
    [scheme] = found["components"]["securitySchemes"].values()
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for rule, _call in programs.described(app):
        scope = guards.scope_of(app, rule.endpoint)
        operation = programs.operation(app, rule)
        assert scope in api_keys.SCOPES, rule.rule
        assert operation["security"] == [{"key": [scope]}]
        assert f"`{scope}`" in operation["description"]
        assert guards.guard_of(app, rule.endpoint) == "API key", rule.rule


@on_sqlite
def test_every_refusal_is_a_problem_that_is_described(app: Flask) -> None:
    for rule, call in programs.described(app):
        answers = programs.operation(app, rule)["responses"]
        wanted = {401, 403, 411, 429, 500, 503, *call.problems}
        if call.body:
            wanted |= {400, 413, 415, 422}
        assert {int(code) for code in answers} >= wanted, rule.rule
        for code in set(answers) - {str(call.status)}:
            refusal = programs.resolve(app, answers[code])
            assert list(refusal["content"]) == ["application/problem+json"], rule.rule
            assert refusal["description"]
            assert ("Retry-After" in refusal.get("headers", {})) == (code in ("429", "503"))


@on_sqlite
def test_models_have_plain_names_and_fields_have_words(app: Flask) -> None:
    silent = []
    for name, schema in api_openapi.description(app)["components"]["schemas"].items():
        assert re.fullmatch(r"[A-Z][A-Za-z]+", name), name
        for field, inner in schema.get("properties", {}).items():
            if not (inner.get("description") or programs.resolve(app, inner).get("description")):
                silent.append(f"{name}.{field}")
    assert silent == []


@on_sqlite
def test_each_operation_has_a_name_of_its_own(app: Flask) -> None:
    """Generated clients take it for the name of a function."""
    names = [programs.operation(app, rule)["operationId"] for rule, _ in programs.described(app)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_two_models_of_one_name_are_refused() -> None:
    tree = api_openapi._Tree()
    first, second = type("Same", (), {}), type("Same", (), {})
    assert tree._name(first) == tree._name(first) == "Same"
    with pytest.raises(ValueError, match="Same"):
        tree._name(second)


# --- how it is served


@on_sqlite
def test_it_is_open_and_stable_and_cheap_to_ask_again(
    client: Browser, app: Flask, tmp_path: Path
) -> None:
    """No key: it says nothing of anybody, and who has no key yet wants to read it."""
    first = client.get(ADDRESS)
    etag = first.headers["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    assert first.headers["Cache-Control"] == "no-cache"
    again = client.get(ADDRESS, headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(ADDRESS, headers={"If-None-Match": '"other"'}).status_code == 200
    another = create_app(
        settings_for("sqlite:///" + str(tmp_path / "2.db"), tmp_path), serving=False
    )
    with another.test_client() as other:
        assert other.get(ADDRESS, base_url="http://prefs.test").data == first.data


@on_sqlite
def test_a_view_is_not_wrapped(app: Flask) -> None:
    """spectree only describes: it would repeat what was sent in its refusals (SEC-7)."""
    api_openapi.description(app)
    for rule, _call in programs.described(app):
        view = app.view_functions[rule.endpoint]
        assert not hasattr(view, "__wrapped__"), rule.rule
    assert not [rule for rule in app.url_map.iter_rules() if "apidoc" in rule.rule]


# --- the page


def rows_of(page: str) -> Iterator[str]:
    return iter(re.findall(r'<th scope="row"><code>([^<]+)</code>', page))


def fields_of(app: Flask, operation: dict[str, Any]) -> Iterator[str]:
    """The names of what a body holds, of each shape that it may have."""
    content = operation.get("requestBody", {"content": {}})["content"]
    for media in content.values():
        schema = programs.resolve(app, media["schema"])
        for one in schema.get("anyOf", [schema]):
            yield from programs.resolve(app, one).get("properties", {})


@on_sqlite
def test_the_page_tells_everything_that_the_description_does(client: Browser, app: Flask) -> None:
    page = client.get(PAGE).text
    for rule, call in programs.described(app):
        operation = programs.operation(app, rule)
        path = rule.rule.replace("<", "{").replace(">", "}")
        assert f"<b>{method_of(rule)}</b> {path}" in page
        assert call.summary in page
        anchor = operation["operationId"].replace("_", "-")
        assert page.count(f'id="{anchor}"') == 1 and f'href="#{anchor}"' in page
        for parameter in operation.get("parameters", ()):
            assert programs.resolve(app, parameter)["name"] in set(rows_of(page)), path
        for name in fields_of(app, operation):
            assert name in set(rows_of(page)), (path, name)
    assert page.count("curl --silent") == sum(
        max(1, len(c.asks)) for _, c in programs.described(app)
    )


@on_sqlite
def test_the_page_has_no_script_and_nothing_from_elsewhere(client: Browser) -> None:
    answer = client.get(PAGE)
    page = answer.text
    assert "<script" not in page and "style=" not in page and "<style" not in page
    loaded = re.findall(r'(?:src|href)="([^"#][^"]*)"', page)
    assert all(one.startswith(("/assets/api-", "/api/v1/", "data:,")) for one in loaded)
    assert "script-src" not in answer.headers["Content-Security-Policy"]
    [style] = re.findall(r'href="(/assets/api-[^"]+)"', page)
    with client.get(style) as sheet:
        assert (sheet.status_code, sheet.mimetype) == (200, "text/css")
        assert "prefers-color-scheme:dark" in sheet.get_data(as_text=True).replace(" ", "")


@on_sqlite
def test_the_commands_on_the_page_hold_no_key(client: Browser) -> None:
    page = client.get(PAGE).text
    assert "pck_" not in page and "@key.header" in page
    json_bodies = re.findall(r"&lt;&lt;&#39;JSON&#39;\n(.*?)\nJSON", page, re.DOTALL)
    for body in json_bodies:
        json.loads(body.replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&"))
    assert json_bodies
