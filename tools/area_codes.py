#!/usr/bin/env python3
"""Make prefcenter/data/area_codes.toml: the place and the zones of every geographic +1 area code.

Run it by hand after an update of phonenumbers, whose maps of number blocks it reads, and after a
look at the tables below, which say what those maps do not: area codes laid over one another
share all their zones, and some places keep another clock than the map says. An area code of the
United States that has no line, such as that of a toll-free number, is unclear (RULE-35).
"""

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import phonenumbers
from phonenumbers import PhoneNumber, geocoder
from phonenumbers.tzdata import TIMEZONE_DATA

TARGET = Path(__file__).parents[1] / "prefcenter" / "data" / "area_codes.toml"
CHECKED = "2026-11-23"
BLOCKS = (234, 345, 456, 555, 678, 789, 890, 974)  # of each area code; most must name its state
STATES = {
    "Alabama": "AL", "Alaska": "AK", "Arizona": "AZ", "Arkansas": "AR", "California": "CA",
    "Colorado": "CO", "Connecticut": "CT", "Delaware": "DE", "Florida": "FL", "Georgia": "GA",
    "Hawaii": "HI", "Idaho": "ID", "Illinois": "IL", "Indiana": "IN", "Iowa": "IA", "Kansas": "KS",
    "Kentucky": "KY", "Louisiana": "LA", "Maine": "ME", "Maryland": "MD", "Massachusetts": "MA",
    "Michigan": "MI", "Minnesota": "MN", "Mississippi": "MS", "Missouri": "MO", "Montana": "MT",
    "Nebraska": "NE", "Nevada": "NV", "New Hampshire": "NH", "New Jersey": "NJ", "New Mexico": "NM",
    "New York": "NY", "North Carolina": "NC", "North Dakota": "ND", "Ohio": "OH", "Oklahoma": "OK",
    "Oregon": "OR", "Pennsylvania": "PA", "Rhode Island": "RI", "South Carolina": "SC",
    "South Dakota": "SD", "Tennessee": "TN", "Texas": "TX", "Utah": "UT", "Vermont": "VT",
    "Virginia": "VA", "Washington State": "WA", "Washington D.C.": "DC", "West Virginia": "WV",
    "Wisconsin": "WI", "Wyoming": "WY",
}  # fmt: skip

# Where the map by blocks is wrong or too coarse: these zones instead of its own.
_QUEBEC_EAST = "America/Toronto America/Halifax America/Blanc-Sablon"
_BRITISH_COLUMBIA = (
    "America/Vancouver America/Edmonton America/Creston America/Dawson_Creek America/Fort_Nelson"
)
ZONES = {
    "334 483": "America/Chicago America/New_York",  # Phenix City and Lanett keep Georgia's clock
    "407 689": "America/New_York",  # the map has Orlando's second code in Chicago
    "907": "America/Anchorage America/Adak",  # Adak keeps summer time, Honolulu does not
    "306 474 639": "America/Regina America/Edmonton America/Winnipeg",  # both borders
    "250 236 257 672 778": _BRITISH_COLUMBIA,
    "418 367 581": _QUEBEC_EAST,
    "709 879": "America/St_Johns America/Halifax",
    "807": "America/Toronto America/Winnipeg America/Atikokan",
    "867": (
        "America/Whitehorse America/Edmonton America/Winnipeg America/Resolute"
        " America/Atikokan America/Toronto"
    ),
}
# Codes for one area, where it has more than one zone: each gets the zones of all.
OVERLAID = ("208 986", "270 364", "423 729", "541 458", "812 930", "850 448")
# Zones of one state alone that no line above names. People may say that they live in one.
OF_A_STATE = {
    "America/Detroit": "MI",
    "America/Menominee": "MI",
    "America/Indiana/Indianapolis": "IN",
    "America/Indiana/Knox": "IN",
    "America/Indiana/Marengo": "IN",
    "America/Indiana/Petersburg": "IN",
    "America/Indiana/Tell_City": "IN",
    "America/Indiana/Vevay": "IN",
    "America/Indiana/Vincennes": "IN",
    "America/Indiana/Winamac": "IN",
    "America/Kentucky/Louisville": "KY",
    "America/Kentucky/Monticello": "KY",
    "America/North_Dakota/Beulah": "ND",
    "America/North_Dakota/New_Salem": "ND",
    "America/Juneau": "AK",
    "America/Metlakatla": "AK",
    "America/Nome": "AK",
    "America/Sitka": "AK",
    "America/Yakutat": "AK",
}


def main() -> None:
    zones = {code: _zones(code) for code in map(str, range(201, 990))}
    for group in OVERLAID:
        every = set().union(*(zones[code] for code in group.split()))
        zones |= dict.fromkeys(group.split(), every)
    for group, named in ZONES.items():
        zones |= dict.fromkeys(group.split(), set(named.split()))
    lines = [_line(code, place, zones[code]) for code, place in _places() if zones[code]]
    head = (
        "# The place and the zones of each geographic area code of +1: the United States by state,\n"
        "# Canada and the others by country. Made by tools/area_codes.py.\n"
        f'source = "phonenumbers {version("phonenumbers")}, maps by number block; overlays and'
        ' clocks kept by custom by hand"\n'
        f"checked = {CHECKED}\n"
    )
    states = "".join(f'"{zone}" = "US-{state}"\n' for zone, state in sorted(OF_A_STATE.items()))
    text = (
        f"{head}\n[codes]\n{''.join(lines)}\n# Zones of one state that no area code has.\n[zones]\n"
    )
    TARGET.write_text(text + states, encoding="utf-8")


def _places() -> Iterator[tuple[str, str]]:
    """Each geographic area code and where it is: `US-NJ`, `CA`, `PR`."""
    for code in range(201, 990):
        numbers = [
            PhoneNumber(country_code=1, national_number=code * 10**7 + block * 10**4 + 143)
            for block in BLOCKS
        ]
        [(region, _)] = Counter(map(phonenumbers.region_code_for_number, numbers)).most_common(1)
        if region != "US":
            yield from ((str(code), region) for _ in [region] if region)
            continue
        words = [geocoder.description_for_number(number, "en") for number in numbers]
        states = Counter(state for state in map(_state, words) if state)
        if states:
            yield str(code), f"US-{states.most_common(1)[0][0]}"


def _state(words: str) -> str | None:
    """`NJ` for "New Jersey" and for "Newark, NJ"; None for a description of neither."""
    if words in STATES:
        return STATES[words]
    _, comma, state = words.rpartition(", ")
    return state if comma and state in STATES.values() else None


def _zones(code: str) -> set[str]:
    """All zones of the blocks of an area code; none for one that is no area's."""
    found = [zones for prefix, zones in TIMEZONE_DATA.items() if prefix.startswith(f"1{code}")]
    return set().union(*found)


def _line(code: str, place: str, zones: set[str]) -> str:
    names = ", ".join(f'"{zone}"' for zone in sorted(zones))
    return f'{code} = {{ place = "{place}", zones = [{names}] }}\n'


if __name__ == "__main__":
    main()
