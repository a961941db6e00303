"""The filters of the history: as an address names them, as a form types them, as a rule needs
them. Days are those of the reader's clock; a number never stands among them (SEC-44)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import url_for
from flask_babel import get_locale
from flask_babel import gettext as _

from prefcenter import phone
from prefcenter.consent import catalog, sites
from prefcenter.models import Action, EventKind, Source
from prefcenter.upkeep import event_words, history_aids
from prefcenter.upkeep.history import Filters
from prefcenter.web import guards, htmx

NAMES = (
    *("from", "to", "what", "through", "action", "site", "category"),
    *("country", "by", "note", "person"),
)
MORE = ("action", "site", "category", "country", "by", "note")  # behind "More filters"
_LONGEST = 100
Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for: as typed, as a rule reads it, and what is wrong with it."""

    typed: dict[str, str]
    filters: Filters
    errors: dict[str, str]
    person: Any = None  # whose history alone, with their number

    @property
    def named(self) -> dict[str, str]:
        """The filters that are set, as an address has them."""
        return {name: value for name, value in self.typed.items() if value}

    @property
    def uses_more(self) -> bool:
        """Whether something is set, or wrong, behind "More filters"."""
        return any(self.typed[name] or name in self.errors for name in MORE)

    def address(self, endpoint: str = "admin_history.history", **more: str) -> str:
        """A page with these filters; `more` adds some, or takes one away with an empty text."""
        query = urlencode({k: v for k, v in {**self.typed, **more}.items() if v})
        return htmx.in_language(url_for(endpoint) + (f"?{query}" if query else ""))


def read(given: Mapping[str, str]) -> Asked:
    """The filters of an address or a form."""
    typed = {name: _clean(given.get(name, "")) for name in NAMES}
    errors: dict[str, str] = {}
    if phone.mask_within(typed["note"]) != typed["note"]:
        typed["note"] = ""  # it must not stand in an address, nor in the log (SEC-44)
        errors["note"] = _("Look for a number in the field for numbers.")
    first, last = _day(typed, "from", errors), _day(typed, "to", errors)
    if first and last and last < first:
        errors["to"] = _("This day is before the first one.")
    person = history_aids.whose(typed["person"]) if typed["person"] else None
    if typed["person"] and person is None:
        errors["person"] = _("There is nobody like this any more, or there never was.")
    filters = Filters(
        since=_midnight(first),
        until=_midnight(last + timedelta(days=1) if last else None),
        kind=_word(typed, "what", EventKind, errors),
        action=_word(typed, "action", Action, errors),
        source=_word(typed, "through", Source, errors),
        **{name: typed[name] for name in ("site", "category", "country", "by", "note", "person")},
    )
    return Asked(typed, filters, errors, person)


def choices(asked: Asked) -> dict[str, list[tuple[str, str]]]:
    """What each filter may be set to: what the ledger has, and what is set already."""
    kinds, places = category_names(), site_names()
    return {
        "what": [("", _("Everything")), *_words(event_words.KINDS, lambda looks: looks[0])],
        "through": [("", _("Every way")), *_words(event_words.SOURCES, str)],
        "action": [("", _("Everything")), *_words(event_words.ACTIONS, str)],
        "site": [("", _("Every site")), *_found("site", asked, places)],
        "category": [("", _("Every category")), *_found("category", asked, kinds)],
        "country": [("", _("Every country")), *_found("country", asked, _countries())],
        "by": [("", _("Everybody")), *_found("by", asked, {})],
    }


def category_names() -> dict[str, str]:
    language = str(get_locale() or "en")
    return {kind.slug: kind.text("name", language) for kind in catalog.every()}


def site_names() -> dict[str, str]:
    return {site.slug: site.name for site in sites.every()}


def _words(names: Mapping[Any, Any], words: Callable[[Any], Any]) -> Iterator[tuple[str, str]]:
    for value, looks in names.items():
        yield value.value, str(words(looks))


def _found(name: str, asked: Asked, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for value in sorted({*history_aids.values(name), asked.typed[name]} - {""}):
        yield value, names.get(value, value)


def _countries() -> Mapping[str, str]:
    locale = get_locale()
    return dict(locale.territories) if locale else {}


def _clean(text: str) -> str:
    """Without what no database should see (SEC-5)."""
    return "".join(sign for sign in text if sign.isprintable())[:_LONGEST].strip()


def _day(typed: Mapping[str, str], name: str, errors: dict[str, str]) -> date | None:
    if not typed[name]:
        return None
    try:
        found = date.fromisoformat(typed[name])
        if not 2000 <= found.year <= 2200:  # so that no zone carries it out of the calendar
            raise ValueError(typed[name])
    except ValueError:
        errors[name] = _("Write a day like 2026-11-24.")
        return None
    return found


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), ZoneInfo(guards.staff().zone)) if day else None


def _word(
    typed: Mapping[str, str], name: str, words: type[Word], errors: dict[str, str]
) -> Word | None:
    if not typed[name]:
        return None
    try:
        return words(typed[name])
    except ValueError:
        errors[name] = _("Choose one of the list.")
        return None
