"""The form of one category: what was typed, what is wrong with it, and what the rule gets of it."""

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _

from prefcenter import config
from prefcenter.consent import catalog, category_values
from prefcenter.models import Category
from prefcenter.web.admin import typed

_WORDS = ("name", "description")
_TICKS = ("public", "transactional")


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it is filled in: text by field, `name_es` for a translation; "yes" is a tick."""

    values: dict[str, str]


def languages(kind: Category | None) -> list[str]:
    """The languages that a translation is asked for, besides the owner's first words."""
    written = kind.translations if kind else {}
    first = config.current().default_language
    return [code for code in config.LANGUAGES if code != first or code in written]


def of(kind: Category | None) -> Filled:
    """The form of a category as it is; that of a new one is public."""
    if kind is None:
        empty = dict.fromkeys(_fields(), "")
        return Filled(empty | {"public": "yes"})
    values = {"slug": kind.slug, "age_gate": str(kind.age_gate or "")}
    values |= {name: getattr(kind, name) for name in _WORDS}
    values |= {name: "yes" if getattr(kind, name) else "" for name in _TICKS}
    for code in config.LANGUAGES:
        words = kind.translations.get(code, {})
        values |= {f"{name}_{code}": words.get(name, "") for name in _WORDS}
    return Filled(values)


def read() -> Filled:
    """What was posted."""
    return Filled(typed.texts(_fields()))


def errors(form: Filled) -> dict[str, str]:
    """By field, in words for the page."""
    sentences = {
        "name": _("Give it a name of 1 to 80 characters."),
        "description": _("Use at most 200 characters."),
    }
    found: dict[str, str] = {}
    for field in [*_WORDS, *(f"{name}_{code}" for code in config.LANGUAGES for name in _WORDS)]:
        name, _sign, code = field.partition("_")
        if code and not form.values[field]:
            continue
        found |= typed.faults(
            {field: form.values[field]},
            {field: category_values.CHECKS[name]},
            {field: sentences[name]},
        )
    try:
        category_values.CHECKS["age_gate"](typed.number(form.values["age_gate"], longest=2))
    except ValueError:
        found["age_gate"] = _("Type an age from 1 to 99, or nothing.")
    return found


def slug_errors(slug: str) -> dict[str, str]:
    """Of a new category; asked in the write that adds it."""
    try:
        category_values.slug(slug)
    except ValueError:
        return {
            "slug": _("Use lower-case letters, digits and dashes, such as new-books; 40 at most.")
        }
    if catalog.find(slug):
        return {"slug": _("There is a category with this short name already.")}
    return {}


def values(form: Filled, kind: Category | None) -> dict[str, Any]:
    """For the rule. Translations that this form does not show stay as they are."""
    given = form.values
    words = dict(kind.translations) if kind else {}
    for code in languages(kind):
        words[code] = {name: given[f"{name}_{code}"] for name in _WORDS}
    return {
        "name": given["name"],
        "description": given["description"],
        "translations": words,
        "public": given["public"] == "yes",
        "transactional": given["transactional"] == "yes",
        "age_gate": typed.number(given["age_gate"], longest=2),
    }


def _fields() -> list[str]:
    translated = [f"{name}_{code}" for code in config.LANGUAGES for name in _WORDS]
    return ["slug", *_WORDS, *translated, *_TICKS, "age_gate"]
