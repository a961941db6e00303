"""The API described: for programs at /api/v1/openapi.json, for people at /api/v1/docs.

Both are made from one description (api_openapi.py). The page is plain HTML with one style sheet of
ours: no script, and nothing from elsewhere. It is in English, as the answers of the API are.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request
from markupsafe import Markup, escape

from prefcenter.config import Settings
from prefcenter.web import assets, brand
from prefcenter.web.api_spec import PROBLEM, WORDS

bp = Blueprint("api_docs", __name__, url_prefix="/api/v1")
_STYLE = "prefcenter.api_style"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_CODE = re.compile(r"`([^`]*)`")
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Field:
    """A row of a table: what may be sent, or what comes back."""

    name: str
    kind: str
    must: bool
    words: str


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    command: str
    answer: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A call as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    words: str
    scope: str
    headers: list[Field]
    takes: list[Field]
    gives: list[Field]
    status: str
    media: list[str]
    examples: list[Example]
    refusals: list[tuple[str, str]]


def init_app(app: Flask) -> None:
    """Make the page's style sheet once: that of all pages, and what this one needs besides."""
    settings: Settings = app.extensions["prefcenter"]
    static = Path(app.static_folder or "static")
    source = "\n".join(
        (static / name).read_text(encoding="utf-8") for name in ("site.css", "api.css")
    )
    theme = brand.theme(settings.brand_color, settings.brand_color_dark)
    style = assets.style_file("api", assets.style_sheet(source, theme))
    assets.add(app, style)
    app.extensions[_STYLE] = style.url
    app.jinja_env.filters["ticks"] = ticks


def ticks(text: str) -> Markup:
    """Escaped, and what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


@bp.get("/openapi.json")
def openapi() -> Response:
    """The description: the same bytes until the app is another, so it can be asked for cheaply."""
    body = json.dumps(_description(), ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, mimetype="application/json")
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@bp.get("/docs")
def docs() -> Response:
    """The description as a page."""
    description = _description()
    page = render_template(
        "api/docs.html",
        calls=[_shown(*one, description) for one in _operations(description)],
        about=description["info"],
        scheme=description["components"]["securitySchemes"]["key"]["description"],
        repeating=description["components"]["parameters"]["IdempotencyKey"]["description"],
        words=WORDS,
        problem=_fields(
            _schema({"$ref": "#/components/schemas/Refused"}, description), description
        ),
        style=current_app.extensions[_STYLE],
        problem_type=PROBLEM,
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _description() -> dict[str, Any]:
    """Imported by who asks for it: spectree takes 50 ms, which no other command should wait for."""
    from prefcenter.web import api_openapi

    return api_openapi.description(current_app)


def _operations(description: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _shown(path: str, method: str, operation: dict[str, Any], description: dict[str, Any]) -> Shown:
    parameters = [_schema(one, description) for one in operation.get("parameters", ())]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    status = next(iter(operation["responses"]))
    answers = operation["responses"][status].get("content", {})
    return Shown(
        anchor=operation["operationId"].replace("_", "-"),
        method=method,
        path=path,
        summary=operation["summary"],
        words=operation["description"],
        scope=next(iter(operation["security"][0].values()))[0],
        headers=[_of_parameter(one, description) for one in parameters if one["in"] == "header"],
        takes=[_of_parameter(one, description) for one in parameters if one["in"] != "header"]
        + _fields(_schema(body.get("schema", {}), description), description),
        gives=_of_answer(answers, description),
        status=status,
        media=list(answers),
        examples=list(_examples(path, method, parameters, body, answers, description)),
        refusals=[(code, WORDS[int(code)]) for code in operation["responses"] if code != status],
    )


def _of_parameter(parameter: dict[str, Any], description: dict[str, Any]) -> Field:
    return Field(
        parameter["name"],
        _kind(parameter["schema"], description),
        bool(parameter.get("required")),
        parameter.get("description", ""),
    )


def _of_answer(content: dict[str, Any], description: dict[str, Any]) -> list[Field]:
    for media in content.values():
        schema = media.get("x-line", media["schema"])
        if found := _fields(_schema(schema, description), description):
            return found
    return []


def _schema(schema: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    """What stands behind a reference."""
    while "$ref" in schema:
        found: Any = description
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _variants(schema: dict[str, Any], description: dict[str, Any]) -> list[dict[str, Any]]:
    """The kinds that a value may have, without null, and behind lists what they list."""
    schema = _schema(schema, description)
    found = [_schema(one, description) for one in schema.get("anyOf", [schema])]
    return [one for one in found if one.get("type") != "null"]


def _fields(
    schema: dict[str, Any], description: dict[str, Any], before: str = "", depth: int = 0
) -> list[Field]:
    """A row for each field, those inside others with the outer name before them."""
    found = []
    for one in _variants(schema, description):
        if one.get("type") == "array":
            found += _fields(one.get("items", {}), description, f"{before}[]", depth)
        for name, inner in one.get("properties", {}).items():
            whole = f"{before}.{name}" if before.strip("[]") else name
            must = name in one.get("required", ())
            words = inner.get("description") or _schema(inner, description).get("description", "")
            found.append(Field(whole, _kind(inner, description), must, words))
            if depth < _DEEPEST:
                found += _fields(inner, description, whole, depth + 1)
    return list(dict.fromkeys(found))


def _kind(schema: dict[str, Any], description: dict[str, Any]) -> str:
    kinds = []
    for one in _variants(schema, description):
        if "enum" in one:
            kinds.append("one of " + ", ".join(f"{value}" for value in one["enum"]))
        elif "const" in one:
            kinds.append(f"{one['const']}")
        elif one.get("type") == "array":
            kinds.append(f"list of {_kind(one.get('items', {}), description)}")
        else:
            kinds.append(f"{one.get('type', 'anything')}")
    return " or ".join(dict.fromkeys(kinds))


def _examples(
    path: str,
    method: str,
    parameters: list[dict[str, Any]],
    body: dict[str, Any],
    answers: dict[str, Any],
    description: dict[str, Any],
) -> Iterator[Example]:
    """Each question with its answer; an answer alone where there is nothing to ask."""
    address = description["servers"][0]["url"] + path
    given = {
        name: one["value"] if isinstance(one["value"], str) else _written(one["value"])
        for media in answers.values()
        for name, one in media.get("examples", {}).items()
    }
    asks = body.get("examples", {})
    queries: dict[str, dict[str, Any]] = {}
    for parameter in parameters:
        for name, one in parameter.get("examples", {}).items():
            queries.setdefault(name, {})[parameter["name"]] = one["value"]
    for name in list(dict.fromkeys([*asks, *queries, *given])) or [""]:
        command = _command(method, address, queries.get(name, {}), asks.get(name, {}).get("value"))
        yield Example(name, command, given.get(name, ""))


def _command(method: str, address: str, query: Mapping[str, Any], body: object) -> str:
    """The call as a shell knows it, with the key and the numbers not in the command line."""
    if query:
        address += "?" + "&".join(f"{name}={value}" for name, value in query.items())
    lines = ["curl --silent --show-error --header @key.header"]
    if body is not None:
        lines.append("  --header 'Content-Type: application/json' --data @-")
    elif method != "GET":
        lines.append(f"  --request {method}")
    lines.append(f"  '{address}'" if query else f"  {address}")
    shell = " \\\n".join(lines)
    if body is None:
        return shell
    return f"{shell} <<'JSON'\n{_written(body)}\nJSON"


def _written(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
