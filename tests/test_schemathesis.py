"""schemathesis plays programs that it makes up from the description, with each kind of key.

Whatever it sends, no answer is an error of ours, and every answer is as described. Each run makes
the same choices.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import schemathesis
from flask import Flask, g
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from prefcenter.consent import api_keys
from prefcenter.database import db
from prefcenter.web import api_spec, guards
from prefcenter.web.api_spec import Call
from tests import programs
from tests.cast import Town
from tests.conftest import Clock
from tests.programs import World
from tests.web_shop import tells_a_number

ADDRESS = "/api/v1/openapi.json"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# All else that could be true of an answer: that what cannot be is refused, and who has no key.
MORE = [*CHECKS, negative_data_rejection, unsupported_method]
VIEWS = programs.views()
everybody = pytest.mark.settings(API_WRONG_KEYS_PER_MINUTE="1000000")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Operation = APIOperation[Any, Any, Any, Any]
MadeUp = Case[Any]


def few(examples: int) -> settings:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class Door:
    """The app as a server has it: nothing of one request is there in the next."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        db.session.rollback()
        for name in list(g):
            g.pop(name)
        return self.app.wsgi_app(environ, start)


@dataclass
class Stage:
    """Everybody, the description as schemathesis reads it, and what came back so far."""

    world: World
    schema: BaseSchema
    seen: Counter[tuple[str, int]] = field(default_factory=Counter)

    def calls(self) -> Iterator[tuple[str, Call, Operation, str]]:
        """Each call with its operation and the scope that it needs."""
        for name, view in VIEWS.items():
            call, rule = api_spec.call_of(view), programs.rule_of(view, self.world.app)
            assert call is not None
            path = rule.rule.replace("<", "{").replace(">", "}")
            operation = self.schema[path][programs.method_of(rule)]
            yield name, call, operation, guards.scope_of(self.world.app, rule.endpoint)

    def key(self, scope: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.keys[scope]}"}

    def send(self, name: str, scope: str, checks: list[Any], case: MadeUp) -> None:
        answer = case.call_and_validate(headers=self.key(scope), checks=checks)
        self.seen[name, answer.status_code] += 1
        if answer.status_code >= 400:
            assert not tells_a_number(answer.text)

    def statuses(self, name: str) -> set[int]:
        return {status for one, status in self.seen if one == name}


@pytest.fixture
def stage(town: Town, app: Flask, now: Clock) -> Stage:
    now.moment += programs.noon()
    world = programs.world(town, app)
    return Stage(world, schemathesis.openapi.from_wsgi(ADDRESS, Door(app)))


def play(examples: int, cases: st.SearchStrategy[Any], act: Callable[[Any], object]) -> None:
    """Do this with each of the cases that hypothesis makes up."""

    @few(examples)
    @given(case=cases)
    def run(case: Any) -> None:
        act(case)

    run()


def obedient(operation: Operation) -> st.SearchStrategy[MadeUp]:
    return operation.as_strategy(generation_mode=GenerationMode.POSITIVE)


@everybody
@on_sqlite
def test_programs_that_obey_the_description(stage: Stage) -> None:
    """INV-11."""
    for name, _call, operation, scope in stage.calls():
        play(12, obedient(operation), partial(stage.send, name, scope, CHECKS))
        assert stage.statuses(name), name


@everybody
def test_programs_that_do_not(stage: Stage) -> None:
    """INV-11, SEC-5: refused, and on PostgreSQL, too, which takes less than SQLite."""
    for name, call, operation, scope in stage.calls():
        cases = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        play(15, cases, partial(stage.send, name, scope, MORE))
        if call.body or call.query:
            assert stage.statuses(name) & {400, 415, 422}, name


@everybody
def test_programs_that_are_nearly_right(stage: Stage) -> None:
    """A good example with a field or two made up: this reaches the rules behind the door."""
    for name, call, operation, scope in stage.calls():
        if not call.body:
            continue
        good = [stage.world.real(value) for value in call.asks.values()]
        cases = st.builds(nearly, obedient(operation), st.sampled_from(good), st.data())
        play(25, cases, partial(stage.send, name, scope, CHECKS))
        assert stage.statuses(name) >= {call.status, 422}, (name, stage.seen)


def nearly(case: MadeUp, good: dict[str, Any], data: st.DataObject) -> MadeUp:
    """A case that is good but for two fields at most."""
    made_up = case.body if isinstance(case.body, dict) else {}
    some = data.draw(st.sets(st.sampled_from(sorted(made_up)), max_size=2)) if made_up else ()
    case.body = good | {one: made_up[one] for one in some}
    return case


@everybody
@on_sqlite
def test_programs_with_the_wrong_key_or_none(stage: Stage) -> None:
    """SEC-39: whatever they send, 401 without a key and 403 without the scope."""
    for _name, _call, operation, scope in stage.calls():
        wrong: list[tuple[dict[str, str], int]] = [
            ({}, 401),
            ({"Authorization": "Bearer pck_made_up"}, 401),
            *[(stage.key(one), 403) for one in api_keys.SCOPES if one != scope],
        ]
        play(3, obedient(operation), partial(refused, wrong))


def refused(wrong: list[tuple[dict[str, str], int]], case: MadeUp) -> None:
    for headers, status in wrong:
        answer = case.call(headers=headers)
        assert answer.status_code == status, answer.text
        case.validate_response(answer, checks=CHECKS)


@everybody
@on_sqlite
def test_schemathesis_finds_no_way_around_the_key(stage: Stage) -> None:
    for name, _call, operation, scope in stage.calls():
        play(2, obedient(operation), partial(stage.send, name, scope, [ignored_auth]))
