"""The API as OpenAPI 3.1, built once an app from what views say beside themselves (api_spec.py).

spectree makes the schemas, paths and parameters. It only describes: bodies are read and refused by
api_body.py, whose answers never repeat what was sent. So views are not wrapped, and none of
spectree's pages, which load scripts from elsewhere, is there.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData, Server
from spectree.plugins.flask_plugin import FlaskPlugin
from spectree.response import Response
from werkzeug.routing import Rule

from prefcenter import config
from prefcenter.web import api_spec, guards
from prefcenter.web.api_spec import PROBLEM, WORDS, Call, Refused

VERSION = "1.0.0"  # of the API: a call or field is added in the second, nothing is ever taken away
_BUILT = "prefcenter.api_description"
_KEY = "key"
_REPLAYED = "Idempotent-Replayed"

_TITLES = {
    400: ("That is no JSON for us", "Send one JSON object."),
    401: (
        "No key that works",
        "Send one header, Authorization: Bearer KEY; `prefcenter key add` makes one.",
    ),
    403: (
        "This key may not do that",
        "Use a key with the scope write; `prefcenter key add --scope` makes one.",
    ),
    422: ("Some fields cannot be used", "At #/number: Add this field."),
    429: ("Too many calls", "Wait 12 seconds, then go on more slowly."),
    503: (
        "Nothing was changed; try again soon",
        "Send it again after the seconds that Retry-After names.",
    ),
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A new random value for each thing to be done, the same for each try of it. Who sends it"
        f" again within 48 hours gets the first answer again, with `{_REPLAYED}: true`, and"
        " nothing is done twice."
    ),
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
    },
    "example": "6f1c0f6e-2f0a-4c55-9b0e-0d9a54f9a7c1",
}
_IS_REPLAYED = {
    "description": "The answer is that of the first try; nothing was done now.",
    "schema": {"type": "string", "enum": ["true"]},
}
_ALWAYS = (401, 403, 411, 429, 500, 503)
_WITH_BODY = (400, 413, 415, 422)


def description(app: Flask) -> dict[str, Any]:
    """The description, built when it is first asked for."""
    if _BUILT not in app.extensions:
        app.extensions[_BUILT] = _build(app)
    found: dict[str, Any] = app.extensions[_BUILT]
    return found


def calls(app: Flask) -> Iterator[tuple[Rule, Call]]:
    """Every call of the API, by address."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        call = api_spec.call_of(app.view_functions[rule.endpoint])
        if call is not None:
            yield rule, call


class _Views(FlaskPlugin):
    """Shows spectree the views that have a call, each as it was told about it."""

    spectree: "_Tree"

    def find_routes(self) -> Iterator[Rule]:
        yield from self.spectree.rules

    def parse_func(self, route: Rule) -> Iterator[tuple[str, Callable[..., Any]]]:
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, self.spectree.told[route.endpoint]


class _Tree(SpecTree):
    def __init__(self, **said: Any) -> None:
        self.rules: list[Rule] = []
        self.told: dict[str, Callable[..., Any]] = {}  # by endpoint
        self._models: dict[str, type] = {}
        super().__init__(
            backend=_Views,
            naming_strategy=self._name,
            nested_naming_strategy=lambda _parent, child: child,
            validation_error_model=Refused,
            mode="strict",
            annotations=False,
            page_templates={},  # those of spectree load scripts from elsewhere
            openapi_version="3.1.0",
            **said,
        )

    def tell(self, rule: Rule, view: Callable[..., Any], call: Call) -> None:
        answer = {f"HTTP_{call.status}": call.answer}
        self.rules.append(rule)
        self.told[rule.endpoint] = self.validate(
            query=call.query,
            json=call.body,
            resp=Response(**answer),
            operation_id=rule.endpoint.rpartition(".")[2],
            path_parameter_descriptions=call.path,
        )(view)

    def _name(self, model: type) -> str:
        """Without the hash that spectree adds. Raises ValueError where two models share a name."""
        if self._models.setdefault(model.__name__, model) is not model:
            raise ValueError(f"two models of the API are named {model.__name__}")
        return model.__name__


def _build(app: Flask) -> dict[str, Any]:
    settings: config.Settings = app.extensions["prefcenter"]
    scheme = SecuritySchemeData(
        type=SecureType.HTTP,
        scheme="bearer",
        description=(
            "`Authorization: Bearer KEY`. `prefcenter key add NAME --scope SCOPES` makes a key;"
            " each call names the scope that it needs."
        ),
    )
    tree = _Tree(
        title="prefcenter",
        version=VERSION,
        description=(
            f"Consent to texts from {settings.brand}, for other programs: ask before you text,"
            " and pass on what people said elsewhere. Numbers stand in bodies only."
        ),
        servers=[Server(url=settings.public_url)],
        security_schemes=[SecurityScheme(name=_KEY, data=scheme)],
    )
    for rule, call in calls(app):
        tree.tell(rule, app.view_functions[rule.endpoint], call)
    found: dict[str, Any] = tree.spec
    for rule, call in calls(app):
        operations = found["paths"][rule.rule.replace("<", "{").replace(">", "}")]
        for method, _view in tree.backend.parse_func(rule):
            _finish(operations[method.lower()], call, guards.scope_of(app, rule.endpoint))
    del found["tags"], found["security"]
    found["components"] |= {
        "responses": {str(status): _refusal(status) for status in WORDS},
        "parameters": {"IdempotencyKey": _IDEMPOTENCY_KEY},
        "headers": {_REPLAYED: _IS_REPLAYED},
    }
    return found


def _finish(operation: dict[str, Any], call: Call, scope: str) -> None:
    """What spectree cannot say: scope, examples, other kinds of answers, and every refusal."""
    words = operation["description"] or operation["summary"]
    operation |= {
        "summary": call.summary,
        "description": f"{words} Needs a key with the scope `{scope}`.",
        "security": [{_KEY: [scope]}],
        "responses": {str(call.status): _success(operation["responses"], call)}
        | {str(status): _reference(status) for status in _statuses(call)},
    }
    del operation["tags"]
    _tidy_parameters(operation, call)
    if call.body and call.asks:
        examples = {name: {"value": body} for name, body in call.asks.items()}
        operation["requestBody"]["content"]["application/json"]["examples"] = examples


def _tidy_parameters(operation: dict[str, Any], call: Call) -> None:
    for parameter in operation["parameters"]:
        if not parameter["description"]:
            del parameter["description"]
        parameter["schema"].pop("title", None)
        if parameter["in"] == "query" and (examples := _of_parameter(parameter["name"], call)):
            parameter["examples"] = examples
    if call.idempotent:
        operation["parameters"].append({"$ref": "#/components/parameters/IdempotencyKey"})
    if not operation["parameters"]:
        del operation["parameters"]


def _of_parameter(name: str, call: Call) -> dict[str, Any]:
    return {ask: {"value": said[name]} for ask, said in call.asks.items() if name in said}


def _success(responses: dict[str, Any], call: Call) -> dict[str, Any]:
    found: dict[str, Any] = responses[str(call.status)]
    schema = found.get("content", {}).get("application/json", {}).get("schema")
    examples = {name: {"value": value} for name, value in call.answers.items()}
    for media in call.media if schema else ():
        content = found["content"].setdefault(media, {})
        if media == "application/json":
            content["schema"] = schema
        else:
            content["schema"] = {"type": "string"}
            if media.endswith("ndjson"):
                content["schema"]["description"] = "Lines, each one object as the `x-line` says."
                content["x-line"] = schema
                content["examples"] = {
                    name: {"value": json.dumps(line) + "\n"} for name, line in call.answers.items()
                }
        if examples and media == "application/json":
            content["examples"] = examples
    if schema and "application/json" not in call.media:
        del found["content"]["application/json"]
    if call.idempotent:
        found["headers"] = {_REPLAYED: {"$ref": f"#/components/headers/{_REPLAYED}"}}
    return found


def _statuses(call: Call) -> list[int]:
    found = {*_ALWAYS, *call.problems}
    if call.body:
        found |= set(_WITH_BODY)
    if call.query:
        found.add(422)
    if call.idempotent:
        found |= {400, 422}
    return sorted(found)


def _reference(status: int) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{status}"}


def _refusal(status: int) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": "#/components/schemas/Refused"}}
    if status in _TITLES:
        title, detail = _TITLES[status]
        content["example"] = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
        }
    found: dict[str, Any] = {"description": WORDS[status], "content": {PROBLEM: content}}
    if status in (429, 503):
        whole = {"type": "integer", "minimum": 1}
        found["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": whole}}
    return found
