"""The form of one site: what was typed, what is wrong with it, and what the rule gets of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import request
from flask_babel import gettext as _

from prefcenter import config
from prefcenter.consent import catalog, site_values
from prefcenter.models import Category, Site
from prefcenter.web import assets
from prefcenter.web.admin import typed

_ABOUT = tuple(f"about_{code}" for code in config.LANGUAGES)
_COLORS = ("color", "color_dark")
_FIELDS = ("slug", "name", *_ABOUT, "language", "country", *_COLORS, "daily_budget")


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it is filled in. `logo` is an uploaded file and its media type."""

    values: dict[str, str]
    categories: list[str]
    logo: tuple[bytes, str] | None = None
    without_logo: bool = False
    errors: dict[str, str] = field(default_factory=dict)


def of(site: Site | None) -> Filled:
    """The form of a site as it is; that of a new one has the deployment's language and country."""
    if site is None:
        settings = config.current()
        usual = {"language": settings.default_language, "country": settings.countries[0]}
        return Filled(dict.fromkeys([*_FIELDS, "origins"], "") | usual, [])
    plain = ("slug", "name", "language", "country", *_COLORS)
    values: dict[str, str] = {name: getattr(site, name) or "" for name in plain}
    values |= {f"about_{code}": site.about.get(code, "") for code in config.LANGUAGES}
    budget = site.daily_budget
    values |= {
        "origins": "\n".join(site.origins),
        "daily_budget": "" if budget is None else str(budget),
    }
    return Filled(values, list(site.categories))


def read() -> Filled:
    """What was posted, and by field what is wrong with it."""
    values = typed.texts(_FIELDS) | {"origins": typed.text("origins", lines=True)}
    values |= {name: values[name].lower() for name in _COLORS}
    categories, (logo, fault) = typed.many("categories"), _uploaded()
    errors = _faults(values, categories) | ({"logo": fault} if fault else {})
    without = request.form.get("without_logo") == "yes"
    return Filled(values, categories, logo, without, errors)


def values(form: Filled) -> dict[str, Any]:
    """For the rule; only of a form without errors."""
    given = form.values
    found: dict[str, Any] = {name: given[name] for name in ("name", "language", "country")}
    found |= {name: given[name] or None for name in _COLORS}
    found |= {
        "origins": _lines(given["origins"]),
        "about": {code: given[f"about_{code}"] for code in config.LANGUAGES},
        "categories": form.categories,
        "daily_budget": typed.number(given["daily_budget"]),
    }
    if form.logo or form.without_logo:
        found["logo"] = form.logo
    return found


def to_choose(site: Site | None) -> Sequence[Category]:
    """What a site may offer: what is on offer, and what it names although that was retired."""
    named = set(site.categories) if site else set()
    return [
        kind
        for kind in catalog.every()
        if kind.public and (kind.retired_at is None or kind.slug in named)
    ]


def _faults(given: dict[str, str], categories: list[str]) -> dict[str, str]:
    """By field, in words for the page."""
    about = _("Use at most 120 characters, without < and >.")
    colour = _("Write a colour like #1f5c48, or nothing.")
    sentences = {
        "name": _("Give it a name of 1 to 80 characters."),
        "language": _("Choose a language of the list."),
        "country": _("Choose a country of the list."),
        "categories": _("One of these is not offered any more. Choose again."),
    } | dict.fromkeys(_COLORS, colour)
    checked: dict[str, Any] = {name: given[name] for name in sentences if name in given}
    found = typed.faults(checked | {"categories": categories}, site_values.CHECKS, sentences)
    for name in _ABOUT:
        language = name.partition("_")[2]
        texts = {name: {language: given[name]}}
        found |= typed.faults(texts, {name: site_values.CHECKS["about"]}, {name: about})
    try:
        typed.number(given["daily_budget"])
    except ValueError:
        found["daily_budget"] = _("Type a number of texts such as 200, or nothing.")
    if fault := _origins_fault(_lines(given["origins"])):
        found["origins"] = fault
    return found


def _origins_fault(origins: list[str]) -> str:
    if not origins:
        return str(_("Name at least one website, like https://shop.example.com."))
    development = config.current().development
    for origin in origins:
        try:
            site_values.origin(origin, development=development)
        except ValueError:
            return _origin_fault(origin)
    return ""


def _origin_fault(origin: str) -> str:
    shown = origin[:80]
    words: str = _(
        "%(origin)s cannot be used. Write it exactly as the browser shows it, like"
        " https://shop.example.com, without a path and without *.",
        origin=shown,
    )
    if origin.startswith("http://"):
        words = _(
            "%(origin)s is not safe: numbers are typed there, so it must be https://.",
            origin=shown,
        )
    return words


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _uploaded() -> tuple[tuple[bytes, str] | None, str]:
    """The file that was chosen, or what is wrong with it; by the rules of `site add --logo`."""
    file = request.files.get("logo")
    if file is None or not file.filename:
        return None, ""
    media_type = assets.LOGO_TYPES.get(Path(file.filename).suffix.lower(), "")
    body = file.stream.read(site_values.LOGO_BYTES + 1)
    try:
        return site_values.logo(body, media_type), ""
    except ValueError:
        return None, _("Choose an SVG or PNG image of at most 20 KB.")
