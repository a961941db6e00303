"""Bodies of the API: one JSON object of the shape that a call asks for, or a 4xx that says where.

A fault is named by a JSON pointer and a sentence. What was sent is never repeated, not even the
name of an unknown field: a number may stand anywhere in it (SEC-5, SEC-7).
"""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from prefcenter.web.errors import Problem

MAX_DEPTH = 32  # SEC-5
_TELLABLE = re.compile(r"[a-z][a-z_]{0,39}\Z")
_UNCLEAN = "Leave out control characters and half characters."
_SENTENCES = {
    "missing": "Add this field.",
    "extra_forbidden": "Leave out the fields that this call does not know.",
    "string_type": "Send a string.",
    "bool_type": "Send true or false.",
    "list_type": "Send a list.",
    "string_too_long": "Send a shorter string.",
    "string_too_short": "Send a longer string.",
    "too_long": "Send fewer.",
    "too_short": "Send at least one.",
}
Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)
Other = TypeVar("Other", bound=BaseModel)


class _Object(dict[str, Any]):
    """A JSON object that remembers whether it said a name twice."""

    twice: str | None = None


def read(model: type[Model]) -> Model:
    """The request's body. Raises Problem, or 413 and 415 as pages do."""
    return _valid(model, _body())


def read_either(model: type[Model], name: str, other: type[Other]) -> Model | Other:
    """As `read`; a body that has this name is of the other shape."""
    found = _body()
    return _valid(other, found) if name in found else _valid(model, found)


def _body() -> dict[str, Any]:
    sent = request.environ
    plain = sent.get("CONTENT_TYPE") == "application/json"  # as nearly all say it
    if not (plain or request.mimetype == "application/json") or "HTTP_CONTENT_ENCODING" in sent:
        raise UnsupportedMediaType
    return _parsed(request.get_data())


def _valid(model: type[Model], found: dict[str, Any]) -> Model:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        told = [(one["loc"], _sentence(one["type"], one["msg"])) for one in faults[:20]]
        raise problem(told) from None


def problem(faults: Iterable[tuple[Path, str]], *, status: int = 422, **more: str) -> Problem:
    """What is wrong with a body: where and how, each with what to do."""
    errors = [{"pointer": _pointer(path), "detail": text} | more for path, text in faults]
    title = {400: "That is no JSON for us", 404: "There is no such site"}
    first = errors[0]
    at = f"At {first['pointer']}: " if len(first["pointer"]) > 1 else ""
    name = title.get(status, "Some fields cannot be used")
    return Problem(status, name, at + first["detail"], errors=errors)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = _JSON.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise problem([((), "Send one JSON object, in UTF-8.")], status=400) from None
    if not isinstance(found, dict):
        raise problem([((), "Send one JSON object.")], status=400)
    if faults := list(_faults(found, ()))[:20]:
        raise problem(faults, status=400)
    return found


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    found = _Object(pairs)
    if len(found) < len(pairs):
        found.twice = Counter(name for name, _value in pairs).most_common(1)[0][0]
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def _faults(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    """What JSON may hold and our database, log and rules may not."""
    if isinstance(value, dict | list):
        yield from _faults_inside(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, "Send a finite number."


def _faults_inside(value: dict[str, Any] | list[Any], path: Path) -> Iterator[tuple[Path, str]]:
    if len(path) >= MAX_DEPTH:
        yield (), f"Nest at most {MAX_DEPTH} levels."
        return
    if isinstance(value, _Object) and value.twice is not None:
        yield (*path, value.twice), "Say each name once."
    for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(step, str) and not _is_clean(step):
            yield path, _UNCLEAN
        if type(inner) is not str:
            yield from _faults(inner, (*path, step))
        elif not _is_clean(inner):
            yield (*path, step), _UNCLEAN


def _is_clean(text: str) -> bool:
    if text.isascii():
        return text.isprintable()
    return not any(unicodedata.category(char) in ("Cc", "Cs") for char in text)


def _pointer(path: Path) -> str:
    """RFC 6901, as a fragment, up to the first name that is none of ours."""
    found = "#"
    for step in path:
        if isinstance(step, str) and not _TELLABLE.match(step):
            break
        found += f"/{step}"
    return found


def _sentence(kind: str, message: str) -> str:
    own = message.removeprefix("Value error, ")
    return _SENTENCES.get(kind) or (own if own != message else f"{message}.")
