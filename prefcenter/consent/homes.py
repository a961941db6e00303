"""Where a number may be at home: every place and zone that is possible (RULE-35, RULE-38).

A number of +1 says so by its area code, which data/area_codes.toml lists. Mobile numbers of most
other countries say no more than the country. What is not known is not guessed: all that is
possible counts, and a number that says nothing has no home at all.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from babel.core import get_global
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

AREA_CODES = Path(__file__).parents[1] / "data" / "area_codes.toml"
_FIXED = ("Etc/", "posix", "right", "SystemV/")  # beside EST5EDT and UTC, which have no slash
_BY_AREA = ("AR", "BR", "MX")  # abroad, whose mobile numbers begin with an area code

Spot = tuple[str, str]  # a zone, and a place in it: ("America/Chicago", "US-TX")


@dataclass(frozen=True, slots=True, eq=False)
class Home:
    """Where a number may be at home: each of these is possible, and none where nobody knows.

    `home_of` gives the same object for the same home, so that what is kept of it is found at once.
    """

    spots: tuple[Spot, ...]

    @property
    def zones(self) -> tuple[str, ...]:
        return _each_once(zone for zone, _ in self.spots)

    @property
    def places(self) -> tuple[str, ...]:
        """`US` and `US-TX`: the country and the state."""
        return _each_once(place for _, place in self.spots)


def home_of(number: str, country: str, zone: str | None = None) -> Home:
    """Where an E.164 number may be at home; `zone` is where the person says that they live.

    Their zone tells the time there; the law of the number's state stays (in Florida, Oklahoma
    and Washington an area code means residence, RULE-35). Where they name a zone that is not
    one of the number's, the states of that zone are possible too. A zone that `is_zone` refuses
    counts as not said.

    A number costs a microsecond or two: the answer is made once for each area code or country.
    """
    said = zone if zone and is_zone(zone) else None
    if number.startswith("+1"):
        return _by_area_code(number[2:5], country, said)
    return _abroad(_zones_by_area(number, country), country, said)


def is_zone(name: str) -> bool:
    """True for an IANA name of a place; an offset is none, and UTC neither (RULE-38)."""
    return name in _zone_names()


@cache
def states() -> frozenset[str]:
    """`TX` and so on: those that an area code is of."""
    found = (place.partition("-") for place, _ in _area_codes().values())
    return frozenset(state for country, _, state in found if country == "US" and state)


@cache
def table() -> Mapping[str, Any]:
    """The shipped list of area codes."""
    return tomllib.loads(AREA_CODES.read_text(encoding="utf-8"))


@lru_cache(maxsize=8192)
def _by_area_code(code: str, country: str, said: str | None) -> Home:
    known = _area_codes().get(code)
    spots: Iterable[Spot]
    if known:
        place, zones = known
        places = _each_once((country, place.partition("-")[0], place))
        spots = [(zone, each) for each in places for zone in zones]
    elif country in ("US", ""):
        spots = _all_states()
    else:
        spots = [(zone, country) for zone in _national(country)]
    return _home(spots, said)


@lru_cache(maxsize=4096)
def _abroad(zones: tuple[str, ...], country: str, said: str | None) -> Home:
    return _home([(zone, country) for zone in zones], said, country)


def _home(possible: Iterable[Spot], said: str | None, country: str = "") -> Home:
    spots: tuple[Spot, ...] = _each_once(possible)
    if said:
        places = _each_once(place for _, place in spots) or (country,)
        if _canonical(said) not in {_canonical(zone) for zone, _ in spots}:
            places = _each_once((*places, *_places_of(said)))
        spots = tuple((said, place) for place in places)
    return Home(spots)


def _zones_by_area(number: str, country: str) -> tuple[str, ...]:
    """All zones of the country, or of the number's area where mobile numbers have one."""
    zones = _national(country)
    if zones and country not in _BY_AREA:
        return zones
    calling_code = len(str(phonenumbers.country_code_for_region(country))) if zones else 0
    for length in range(TIMEZONE_LONGEST_PREFIX, calling_code, -1):
        if found := TIMEZONE_DATA.get(number[1 : 1 + length]):
            return tuple(zone for zone in found if is_zone(zone)) or zones
    return zones


@cache
def _national(country: str) -> tuple[str, ...]:
    return tuple(zone for zone in get_global("territory_zones").get(country, ()) if is_zone(zone))


@cache
def _all_states() -> tuple[Spot, ...]:
    """For a toll-free number, or an area code that we do not know."""
    found = {
        (zone, each)
        for place, zones in _area_codes().values()
        if place.startswith("US-")
        for zone in zones
        for each in ("US", place)
    }
    return tuple(sorted(found))


def _places_of(zone: str) -> tuple[str, ...]:
    """The country of a zone, and in the United States the states that keep its clock."""
    zone = _canonical(zone)
    country = str(get_global("zone_territories").get(zone, ""))
    if country != "US":
        return (country,) if country else ()
    alone = table()["zones"].get(zone)
    shared = (place for place, zones in _area_codes().values() if zone in zones)
    states = {alone} if alone else set(shared)
    return ("US", *sorted(states or {place for _, place in _all_states()}))


def _canonical(zone: str) -> str:
    """`America/New_York` for `US/Eastern`."""
    return str(get_global("zone_aliases").get(zone, zone))


@cache
def _zone_names() -> frozenset[str]:
    names = (name for name in available_timezones() if not name.startswith(_FIXED))
    return frozenset(name for name in names if "/" in name)


@cache
def _area_codes() -> Mapping[str, tuple[str, tuple[str, ...]]]:
    codes = table()["codes"]
    return {code: (found["place"], tuple(found["zones"])) for code, found in codes.items()}


def _each_once(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(each for each in found if each))
