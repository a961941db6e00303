"""What the owner of a category may say: each value checked, and put as we keep it.

Every refusal is a ValueError with a sentence that names the cure.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from prefcenter.config import LANGUAGES

LONGEST = {"name": 80, "description": 200}
OLDEST = 99
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


def slug(text: str) -> str:
    if not _SLUG.match(text):
        raise ValueError("A slug is lower-case letters, digits and dashes, like new-books.")
    return text


def words(field: str, text: str) -> str:
    """A name or a description; only a name must say something."""
    text, longest = text.strip(), LONGEST[field]
    if not text.isprintable() or len(text) > longest or (field == "name" and not text):
        raise ValueError("A name has 1 to 80 characters, a description at most 200, on one line.")
    return text


def _translations(given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """By language, then field; what is empty is left out, and said as the owner first wrote it."""
    found: dict[str, dict[str, str]] = {}
    for language, fields in given.items():
        if language not in LANGUAGES or not set(fields) <= set(LONGEST):
            raise ValueError(f"A category can be said in {', '.join(LANGUAGES)}.")
        said = {name: words(name, text) for name, text in fields.items() if text.strip()}
        if said:
            found[language] = said
    return found


def _age_gate(age: int | None) -> int | None:
    if age is not None and not 1 <= age <= OLDEST:
        raise ValueError(f"An age is a number from 1 to {OLDEST}.")
    return age


CHECKS: dict[str, Callable[[Any], object]] = {
    "name": lambda text: words("name", text),
    "description": lambda text: words("description", text),
    "translations": _translations,
    "public": bool,
    "transactional": bool,
    "age_gate": _age_gate,
}
