"""Where a number may be at home: area codes, countries, and what people say themselves."""

import tomllib
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pytest

from prefcenter.consent import homes
from prefcenter.consent.homes import home_of, is_zone

CENTRAL, EASTERN, PACIFIC = "America/Chicago", "America/New_York", "America/Los_Angeles"
CODES = homes.table()["codes"]


@pytest.mark.parametrize(
    ("number", "country", "places", "zones"),
    [
        ("+12125550143", "US", {"US", "US-NY"}, {EASTERN}),
        ("+12015550143", "US", {"US", "US-NJ"}, {EASTERN}),
        # Area codes that lie over one another have the same zones.
        ("+18505550143", "US", {"US", "US-FL"}, {CENTRAL, EASTERN}),
        ("+14485550143", "US", {"US", "US-FL"}, {CENTRAL, EASTERN}),
        ("+16895550143", "US", {"US", "US-FL"}, {EASTERN}),
        ("+13645550143", "US", {"US", "US-KY"}, {CENTRAL, EASTERN}),
        ("+19305550143", "US", {"US", "US-IN"}, {CENTRAL, EASTERN}),
        ("+14585550143", "US", {"US", "US-OR"}, {"America/Denver", PACIFIC}),
        ("+19155550143", "US", {"US", "US-TX"}, {"America/Denver"}),
        ("+19075550143", "US", {"US", "US-AK"}, {"America/Adak", "America/Anchorage"}),
        # The territories, whatever country was written down.
        ("+17875550143", "PR", {"PR"}, {"America/Puerto_Rico"}),
        ("+17875550143", "US", {"US", "PR"}, {"America/Puerto_Rico"}),
        ("+16715550143", "GU", {"GU"}, {"Pacific/Guam"}),
        ("+16845550143", "AS", {"AS"}, {"Pacific/Pago_Pago"}),
        ("+13405550143", "VI", {"VI"}, {"America/St_Thomas"}),
        ("+16705550143", "MP", {"MP"}, {"Pacific/Saipan"}),
        # Canada and the islands by area code.
        ("+14165550143", "CA", {"CA"}, {"America/Toronto"}),
        ("+18075550143", "CA", {"CA"}, {"America/Toronto", "America/Winnipeg", "America/Atikokan"}),
        ("+18765550143", "JM", {"JM"}, {"America/Jamaica"}),
        # Abroad: all of the country, for a mobile number moves in it.
        ("+447700900123", "GB", {"GB"}, {"Europe/London"}),
        ("+34612345678", "ES", {"ES"}, {"Europe/Madrid", "Atlantic/Canary", "Africa/Ceuta"}),
        ("+38344123456", "XK", {"XK"}, {"Europe/Belgrade"}),
        # But for countries whose mobile numbers begin with an area code.
        ("+5511987654321", "BR", {"BR"}, {"America/Sao_Paulo"}),
        ("+5592987654321", "BR", {"BR"}, {"America/Manaus"}),
        # What says nothing has no home.
        ("+80012345678", "", set(), set()),
    ],
)
def test_a_number_is_at_home_where_its_plan_says(
    number: str, country: str, places: set[str], zones: set[str]
) -> None:
    home = home_of(number, country)
    assert (set(home.places), set(home.zones)) == (places, zones)


def test_a_mobile_number_of_a_wide_country_may_be_at_either_end() -> None:
    """The metadata of numbers has Moscow for all mobiles of Russia, and Sydney for Australia."""
    assert {"Europe/Kaliningrad", "Asia/Kamchatka"} <= set(home_of("+79161234567", "RU").zones)
    assert {"Australia/Perth", "Australia/Sydney"} <= set(home_of("+61412345678", "AU").zones)
    tijuana, cancun = home_of("+526641234567", "MX"), home_of("+529981234567", "MX")
    assert set(tijuana.zones).isdisjoint(cancun.zones)


@pytest.mark.parametrize("code", ["800", "833", "888", "900", "500", "222", "999", ""])
def test_toll_free_and_unknown_area_codes_may_be_anywhere(code: str) -> None:
    home = home_of(f"+1{code}5550143" if code else "+1", "US")
    assert len([place for place in home.places if place.startswith("US-")]) == 51
    assert {"Pacific/Honolulu", "America/Adak", EASTERN} <= set(home.zones)
    assert ("Pacific/Honolulu", "US-HI") in home.spots
    assert ("Pacific/Honolulu", "US-KY") not in home.spots, "a state's law holds in its own zones"


def test_a_canadian_number_of_no_area_may_be_anywhere_in_canada() -> None:
    assert {"America/St_Johns", "America/Vancouver"} <= set(home_of("+16005550143", "CA").zones)


@pytest.mark.parametrize(
    ("said", "states"),
    [
        (EASTERN, {"US-FL"}),  # the number's own zone: nothing else is possible
        ("US/Eastern", {"US-FL"}),  # by its old name
        ("America/Detroit", {"US-FL", "US-MI"}),
        ("America/Phoenix", {"US-FL", "US-AZ"}),
        ("Pacific/Honolulu", {"US-FL", "US-HI"}),
        (PACIFIC, {"US-FL", "US-CA", "US-ID", "US-NV", "US-OR", "US-WA"}),
    ],
)
def test_what_a_person_says_tells_the_time_and_may_add_laws(said: str, states: set[str]) -> None:
    """RULE-35: in Florida, Oklahoma and Washington an area code means residence."""
    home = home_of("+13055550143", "US", said)
    assert home.zones == (said,)
    assert set(home.places) - {"US"} == states


def test_whoever_says_that_they_live_abroad_has_both_laws() -> None:
    assert set(home_of("+12125550143", "US", "Europe/London").places) == {"US", "US-NY", "GB"}
    assert set(home_of("+447700900123", "GB", "Europe/Madrid").places) == {"GB", "ES"}
    assert home_of("+80012345678", "", "Europe/London").zones == ("Europe/London",)


def test_central_time_brings_the_strict_states() -> None:
    assert {"US-AL", "US-TX", "US-KY"} <= set(home_of("+12125550143", "US", CENTRAL).places)


@pytest.mark.parametrize(
    "zone",
    [
        *("+02:00", "UTC", "UTC-5", "GMT", "GMT+5", "Etc/GMT+5", "Etc/UTC", "EST", "EST5EDT"),
        *("PST8PDT", "SystemV/EST5", "Mars/Base", "../etc", "/etc/localtime", "", "new york"),
        *("america/new_york", "America/New_York ", "posix/America/New_York", "Europe/London\n"),
    ],
)
def test_an_offset_is_no_zone_and_counts_as_not_said(zone: str) -> None:
    """RULE-38; a bad one that is stored must not open the night, nor break the answer."""
    assert not is_zone(zone)
    assert home_of("+12125550143", "US", zone) == home_of("+12125550143", "US")


def test_iana_names_of_places_are_zones() -> None:
    for zone in (EASTERN, "America/Indiana/Knox", "Asia/Kolkata", "US/Eastern", "Asia/Calcutta"):
        assert is_zone(zone)


# --- the shipped list


def test_every_area_code_has_a_place_and_zones_that_exist() -> None:
    assert homes.table()["source"] and homes.table()["checked"]
    zones = available_timezones()
    for code, found in CODES.items():
        assert len(code) == 3 and found["zones"] and set(found["zones"]) <= zones, code
        country, _, state = found["place"].partition("-")
        assert len(country) == 2 and bool(state) == (country == "US"), code
    assert set(homes.table()["zones"]) <= zones
    assert len(homes.states()) == 51, "the states and the District of Columbia"


def test_every_area_code_that_the_numbers_metadata_knows_is_listed() -> None:
    """But those of no area: after an update of phonenumbers run tools/area_codes.py."""
    no_area = {"500", "521", "522", "523", "524", "525", "526", "527", "528", "529", "532", "533"}
    no_area |= {"544", "566", "577", "588", "800", "833", "844", "855", "866", "877", "888", "900"}
    no_area |= {"600", "622", "633"}
    known = set()
    for code in range(201, 990):
        number = phonenumbers.PhoneNumber(country_code=1, national_number=code * 10**7 + 2345678)
        region = phonenumbers.region_code_for_number(number)
        if region:
            known.add(str(code))
            place = CODES.get(str(code), {}).get("place", region)
            assert place.partition("-")[0] == region, code
    assert known - set(CODES) <= no_area
    assert set(CODES) <= known


@pytest.mark.parametrize(
    "group",
    [
        *("208 986", "270 364", "423 729", "541 458", "812 930", "850 448", "407 689 321"),
        *("334 483", "250 236 672 778", "306 639 474", "418 581 367", "709 879", "416 437 647"),
        *("402 531", "605", "212 332 646 917", "702 725", "480", "204 431 584", "519 226 548 382"),
    ],
)
def test_area_codes_over_one_another_agree(group: str) -> None:
    found = {
        (CODES[code]["place"], tuple(CODES[code]["zones"]))
        for code in group.split()
        if code in CODES
    }
    assert len(found) == 1


def test_the_zones_that_one_state_has_alone_are_all_listed() -> None:
    """So that a person who names one is under the law of that state."""
    by_country = (line.split("\t") for line in _zone_table().splitlines() if line[:1] != "#")
    american = {row[2] for row in by_country if row[0] == "US"}
    listed = {zone for found in CODES.values() for zone in found["zones"]}
    assert american <= listed | set(homes.table()["zones"])


def _zone_table() -> str:
    """tzdata's zone.tab."""
    from importlib.resources import files

    return files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8")


def test_the_list_is_toml_that_its_tool_would_write_the_same_way() -> None:
    from tools import area_codes

    lines = [
        area_codes._line(code, found["place"], set(found["zones"])) for code, found in CODES.items()
    ]
    text = homes.AREA_CODES.read_text(encoding="utf-8")
    assert "".join(lines) in text and tomllib.loads(text) == homes.table()
    assert all(ZoneInfo(zone) for zone in homes.table()["zones"])
