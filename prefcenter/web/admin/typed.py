"""What staff typed into a form: cleaned, checked field by field, and kept for the page."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import request

_LONGEST = 4000


def text(name: str, *, lines: bool = False) -> str:
    """A field without what no database or log should see (SEC-5); line ends only where wanted."""
    given = request.form.get(name, "")[:_LONGEST].replace("\r\n", "\n")
    kept = "".join(sign for sign in given if sign.isprintable() or (lines and sign == "\n"))
    return kept if lines else kept.strip()


def texts(names: Iterable[str]) -> dict[str, str]:
    return {name: text(name) for name in names}


def many(name: str) -> list[str]:
    """A repeated field of short names."""
    return [value for value in request.form.getlist(name)[:200] if value.isprintable()]


def faults(
    values: Mapping[str, Any],
    checks: Mapping[str, Callable[[Any], object]],
    sentences: Mapping[str, str],
) -> dict[str, str]:
    """By field what to say about a value that its rule refuses with ValueError."""
    found = {}
    for name, value in values.items():
        try:
            checks[name](value)
        except ValueError:
            found[name] = sentences[name]
    return found


def opened(said: Mapping[str, Any]) -> str:
    """What tells whether somebody else has saved since a form was opened: a hash of its values."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def number(typed: str, *, longest: int = 9) -> int | None:
    """A whole number as typed; None for an empty field. Raises ValueError for anything else."""
    if not typed:
        return None
    if not typed.isascii() or not typed.isdigit() or len(typed) > longest:
        raise ValueError(typed)
    return int(typed)
