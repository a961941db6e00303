"""The rules of quiet hours as data: ours in data/quiet_hours.toml, an owner's in a file beside it.

Every rule of both files must agree that a text may arrive, and of two caps the smaller one
counts, so an owner's file can make a window narrower and never wider. A file that says anything
we do not understand is refused as a whole: a misspelt word must not open what it meant to close.
"""

import contextlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import holidays

from prefcenter import phone
from prefcenter.consent import homes

SHIPPED = Path(__file__).parents[1] / "data" / "quiet_hours.toml"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TOP = {"checked", "source", "default", "us", "country", "caps"}
_KEYS = {"hours", *_DAYS, "holidays", "dates", "source"}
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", re.ASCII)
EVERYWHERE = "everywhere"

Hours = tuple[time, time]  # the second one is time.max for the midnight that ends the day


class WindowsError(Exception):
    """A data file cannot be used. The message is one sentence with the place and the cure."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One window: who says so, and when texts may arrive on each day of the week, if at all."""

    place: str  # "US", "US-TX", "everywhere"
    hours: tuple[Hours | None, ...]  # Monday first
    keeps_holidays: bool  # nothing may arrive on the place's legal holidays
    dates: frozenset[date]  # and on these
    source: str

    def on(self, day: date) -> Hours | None:
        """From when until when texts may arrive on this day; None for a day without."""
        return None if self.day_off(day) else self.hours[day.weekday()]

    def day_off(self, day: date) -> str | None:
        """The legal holiday or the owner's date that closes this day."""
        if day in self.dates:
            return "a date of this rule"
        return _holidays(self.place, day.year).get(day) if self.keeps_holidays else None


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """All rules of the data files."""

    everywhere: tuple[Rule, ...]
    places: Mapping[str, tuple[Rule, ...]]  # "US-TX", "FR": each must agree
    caps: Mapping[str, int]  # "US-FL": marketing texts in 24 hours (RULE-34)
    checked: date  # the older one of the two shipped lists


def read(own: Path | None = None) -> Book:
    """The book of the shipped data and of an owner's file. Raises WindowsError."""
    tables = [(SHIPPED, _shipped()), *([(own, _checked(own))] if own else [])]
    everywhere: list[Rule] = []
    places: dict[str, tuple[Rule, ...]] = {}
    caps: dict[str, int] = {}
    for path, table in tables:
        if "default" in table:
            everywhere.append(_rule(EVERYWHERE, table["default"], path))
        for place, found in _places(table, path):
            places[place] = (*places.get(place, ()), _rule(place, found, path))
        for state, cap in _caps(table, path):
            caps[state] = min(cap, caps.get(state, cap))
    checked = min(tables[0][1]["checked"], homes.table()["checked"])
    return Book(tuple(everywhere), places, caps, checked)


@cache
def _shipped() -> dict[str, Any]:
    return _checked(SHIPPED)


def _checked(path: Path) -> dict[str, Any]:
    """What a file says, if all its headings are known."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WindowsError(f"{path} cannot be read ({error.strerror}); let us read it.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise WindowsError(f"{path} is not TOML in UTF-8 ({error}); mend it.") from error
    _no_other(table, _TOP, "", path)
    return table


def _places(table: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """`[us.TX]` is a state; `[country.FR]` is a whole country."""
    for state, found in _section(table, "us", path):
        if state not in homes.states():
            raise WindowsError(
                f"{path} has [us.{state}], which is no state; write its two letters, as in [us.TX]."
            )
        yield f"US-{state}", found
    for country, found in _section(table, "country", path):
        if not phone.is_country(country):
            raise WindowsError(
                f"{path} has [country.{country}], which is none; write an ISO code,"
                " as in [country.FR]."
            )
        yield country, found


def _caps(table: Mapping[str, Any], path: Path) -> Iterator[tuple[str, int]]:
    for state, cap in _section(table, "caps", path):
        if state not in homes.states() or type(cap) is not int or cap < 1:
            raise WindowsError(
                f"{path} has the cap {state} = {cap!r}; write a state's two letters and a whole"
                " number from 1 on, as in FL = 3."
            )
        yield f"US-{state}", cap


def _section(table: Mapping[str, Any], name: str, path: Path) -> Iterable[tuple[str, Any]]:
    found = table.get(name, {})
    if not isinstance(found, dict):
        raise WindowsError(f"{path} says {name} = {found!r}; make {name} a heading in brackets.")
    return found.items()


def _rule(place: str, found: Any, path: Path) -> Rule:
    if not isinstance(found, dict):
        raise WindowsError(f"{path} says {found!r} for {place}; give it a heading in brackets.")
    _no_other(found, _KEYS, f" for {place}", path)
    if "hours" not in found:
        raise WindowsError(f'{path} has no hours for {place}; write hours = "08:00-21:00".')
    daily = _window(found["hours"], place, path)
    hours = tuple(_window(found[day], place, path) if day in found else daily for day in _DAYS)
    keeps = _keeps_holidays(found.get("holidays"), place, path)
    dates = frozenset(_date(day, place, path) for day in _list(found.get("dates", []), place, path))
    return Rule(place, hours, keeps, dates, str(found.get("source", path.name)))


def _window(text: object, place: str, path: Path) -> Hours | None:
    if text == "none":
        return None
    found = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    if found:
        start = time(int(found[1]), int(found[2]))
        end = time(int(found[3]), int(found[4])) if found[3] else time.max
        if start < end:
            return start, end
    raise WindowsError(
        f'{path} has the hours {text!r} for {place}; write "08:00-21:00", the earlier time first,'
        ' or "none".'
    )


def _keeps_holidays(said: object, place: str, path: Path) -> bool:
    if said is None:
        return False
    if said != "none":
        raise WindowsError(
            f'{path} says holidays = {said!r} for {place}; write holidays = "none", or nothing.'
        )
    if not _has_known_holidays(place):
        raise WindowsError(
            f"{path} wants the holidays of {place}, which we do not know; write them as"
            ' dates = ["2026-12-24"].'
        )
    return True


def _has_known_holidays(place: str) -> bool:
    country, _, state = place.partition("-")
    known = holidays.list_supported_countries()
    return country in known and (not state or state in known[country])


def _list(said: object, place: str, path: Path) -> list[object]:
    if isinstance(said, list):
        return said
    raise WindowsError(f'{path} says dates = {said!r} for {place}; write ["2026-12-24"].')


def _date(said: object, place: str, path: Path) -> date:
    if isinstance(said, str):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(said)
    elif isinstance(said, date) and not isinstance(said, datetime):
        return said
    raise WindowsError(f"{path} has the date {said!r} for {place}; write it as 2026-12-24.")


def _no_other(found: Mapping[str, Any], known: set[str], where: str, path: Path) -> None:
    if unknown := sorted(set(found) - known):
        words = ", ".join(sorted(known))
        raise WindowsError(f"{path} says {unknown[0]!r}{where}; remove it or write one of {words}.")


@lru_cache(maxsize=1024)
def _holidays(place: str, year: int) -> Mapping[date, str]:
    """The legal holidays of a country or state, and the days on which they are kept instead."""
    country, _, state = place.partition("-")
    found = holidays.country_holidays(country, subdiv=state or None, years=year)
    return dict(found)
