"""The rules as data: ours, and an owner's file, which can only make windows narrower."""

import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter import create_app, doctor
from prefcenter.config import ConfigError
from prefcenter.consent import send_windows
from prefcenter.consent.hours_book import WindowsError, read
from prefcenter.consent.send_windows import home_of, next_allowed
from tests.conftest import Clock, settings_for

NEW_YORK, LONDON = "America/New_York", "Europe/London"
ALICE, ERIN = home_of("+12125550143", "US"), home_of("+442079460018", "GB")
BOOK = read()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path / "hours.toml"


def at(clock: str, zone: str) -> datetime:
    return datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_an_owner_can_make_windows_narrower_and_add_places(own: Path) -> None:
    own.write_text(
        'checked = 2026-11-23\n[us.NY]\nhours = "10:00-22:00"\ndates = ["2026-11-24", 2026-11-26]\n'
        '[country.GB]\nhours = "09:00-18:00"\nsun = "none"\n[caps]\nNY = 2\nFL = 9\nOK = 1\n'
    )
    book = read(own)
    assert next_allowed(ALICE, at("2026-11-23 21:30", NEW_YORK), book) == at(
        "2026-11-25 10:00", NEW_YORK
    )
    assert next_allowed(ALICE, at("2026-11-25 21:00", NEW_YORK), book) == at(
        "2026-11-27 10:00", NEW_YORK
    )
    assert next_allowed(ERIN, at("2026-11-21 18:00", LONDON), book) == at(
        "2026-11-23 09:00", LONDON
    )
    assert book.caps == {"US-NY": 2, "US-FL": 3, "US-OK": 1}, "the smaller one"
    assert book.checked == BOOK.checked, "the owner's date says nothing about our lists"


def test_an_owners_default_holds_everywhere_beside_ours(own: Path) -> None:
    own.write_text('[default]\nhours = "06:00-23:00"\nsun = "none"\n')
    book = read(own)
    for home, zone in ((ALICE, NEW_YORK), (ERIN, LONDON)):
        assert next_allowed(home, at("2026-11-21 21:00", zone), book) == at(
            "2026-11-23 08:00", zone
        )


def test_an_owner_can_keep_the_holidays_of_a_country(own: Path) -> None:
    own.write_text('[country.GB]\nhours = "08:00-21:00"\nholidays = "none"\n')
    boxing_day = at("2026-12-26 12:00", LONDON)  # a Saturday, kept on Monday too
    assert next_allowed(ERIN, boxing_day, BOOK) == boxing_day
    assert next_allowed(ERIN, boxing_day, read(own)) == at("2026-12-27 08:00", LONDON)
    monday = at("2026-12-28 12:00", LONDON)
    assert next_allowed(ERIN, monday, read(own)) == at("2026-12-29 08:00", LONDON)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[us.NY]\nhours = "10:00"', "NY"),
        ('[us.NY]\nhours = "22:00-10:00"', "NY"),
        ('[us.NY]\nhours = "10:00-10:00"', "NY"),
        ('[us.NY]\nhours = "08:00-25:00"', "NY"),
        ('[us.NY]\nhours = "8:00-20:00"', "NY"),
        ('[us.NY]\nhours = "08:00+02:00-20:00"', "NY"),
        ('[us.NY]\nhours = "08:00:30-20:00"', "NY"),
        ('[us.NY]\nhours = "٠8:00-20:00"', "NY"),
        ("[us.NY]\nhours = 8", "NY"),
        ('[us.NY]\nhours = ["08:00-20:00"]', "NY"),
        ('[us.NY]\nsun = "none"', "no hours"),
        ('[us.NY]\nhours = "08:00-20:00"\nsun = "closed"', "closed"),
        ('[us.NY]\nhours = "08:00-20:00"\nsundays = "none"', "sundays"),
        ('[us.NY]\nhours = "08:00-20:00"\nholidays = "all"', "holidays"),
        ('[us.NY]\nhours = "08:00-20:00"\nholidays = true', "holidays"),
        ('[us.NY]\nhours = "08:00-20:00"\ndates = ["24.12.2026"]', "24.12.2026"),
        ('[us.NY]\nhours = "08:00-20:00"\ndates = "2026-12-24"', "dates"),
        ('[us.NY]\nhours = "08:00-20:00"\ndates = [2026-12-24T10:00:00]', "date"),
        ('[us.NY]\nhours = "08:00-20:00"\ndates = [20261224]', "date"),
        ('[us.Texas]\nhours = "08:00-20:00"', r"\[us.TX\]"),
        ('[us.tx]\nhours = "08:00-20:00"', r"\[us.TX\]"),
        ('[us]\nTX = "08:00-20:00"', "heading"),
        ("us = 1", "heading"),
        ('[country.gb]\nhours = "08:00-20:00"', r"\[country.FR\]"),
        ('[country.France]\nhours = "08:00-20:00"', "ISO"),
        ('[country.AC]\nhours = "08:00-20:00"\nholidays = "none"', "2026-12-24"),
        ('[default]\nhours = "08:00-20:00"\nholidays = "none"', "everywhere"),
        ('[states.NY]\nhours = "08:00-20:00"', "states"),
        ('[US.NY]\nhours = "08:00-20:00"', "'US'"),
        ("[caps]\nFL = 0", "cap"),
        ("[caps]\nFL = -1", "cap"),
        ("[caps]\nFL = true", "cap"),
        ("[caps]\nFL = 2.5", "cap"),
        ('[caps]\nFL = "2"', "cap"),
        ("[caps]\nFlorida = 2", "cap"),
        ("caps = 2", "heading"),
        ("hours =", "TOML"),
        ("a = " + "[" * 9999, "TOML"),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_the_cure(
    own: Path, text: str, words: str
) -> None:
    own.write_text(text)
    with pytest.raises(WindowsError, match=words) as caught:
        read(own)
    said = str(caught.value)
    assert said.startswith(str(own)) and said.endswith(".") and "\n" not in said


def test_a_file_that_cannot_be_read_says_so(own: Path) -> None:
    with pytest.raises(WindowsError, match="cannot be read"):
        read(own)
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WindowsError, match="UTF-8"):
        read(own)


moments = st.datetimes(
    datetime.fromisoformat("2026-01-01"),
    datetime.fromisoformat("2028-01-01"),
    timezones=st.just(UTC),
)
windows = st.tuples(st.integers(0, 23), st.integers(0, 23)).map(
    lambda found: f"{min(found):02}:00-{max(found):02}:30"
)


@given(st.sampled_from(["NY", "FL", "TX", "AL"]), windows, moments)
def test_no_file_of_an_owner_allows_earlier(state: str, hours: str, moment: datetime) -> None:
    codes = {"NY": "212", "FL": "305", "TX": "214", "AL": "205"}
    home = home_of(f"+1{codes[state]}5550143", "US")
    with TemporaryDirectory() as folder:
        own = Path(folder, "hours.toml")
        own.write_text(f'[us.{state}]\nhours = "{hours}"\n')
        book = read(own)
    ours, narrowed = (next_allowed(home, moment, one) for one in (BOOK, book))
    assert ours is not None
    assert narrowed is None or narrowed >= ours


# --- holidays


@pytest.mark.parametrize(
    ("place", "day", "name"),
    [
        ("US-AL", "2026-11-26", "Thanksgiving"),
        ("US-AL", "2026-06-19", "Juneteenth"),
        ("US-AL", "2026-07-03", "observed"),  # the 4th is a Saturday
        ("US-AL", "2027-07-05", "observed"),  # the 4th is a Sunday
        ("US-AL", "2027-12-31", "observed"),  # 1 January 2028 is a Saturday
        ("US-LA", "2027-12-31", "observed"),
        ("US-LA", "2026-02-17", "Mardi Gras"),
        ("US-LA", "2026-04-03", "Good Friday"),
        ("US-AL", "2026-04-27", "Confederate"),
    ],
)
def test_legal_holidays_and_the_days_on_which_they_are_kept(
    place: str, day: str, name: str
) -> None:
    [rule] = BOOK.places[place]
    assert name in (rule.day_off(date.fromisoformat(day)) or "")
    assert rule.on(date.fromisoformat(day)) is None


# --- starting, and doctor


@pytest.fixture
def broken(own: Path) -> Path:
    own.write_text('[us.Texas]\nhours = "09:00-18:00"\n')
    return own


def test_nothing_is_served_with_a_file_that_cannot_be_used(broken: Path, tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/no.sqlite3", tmp_path, QUIET_HOURS=str(broken))
    with pytest.raises(ConfigError, match=r"PREFCENTER_QUIET_HOURS .*\[us.TX\]\.\Z"):
        create_app(settings)
    app = create_app(settings, serving=False)
    with app.app_context():
        [finding] = [one for one in doctor.examine() if one.what == "quiet hours"]
    assert not finding.ok and str(broken) in finding.detail


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PREFCENTER_QUIET_HOURS names .*gone.toml"):
        settings_for(f"sqlite:///{tmp_path}/no", tmp_path, QUIET_HOURS=str(tmp_path / "gone.toml"))


def test_an_app_holds_the_owners_hours(own: Path, tmp_path: Path) -> None:
    own.write_text('[us.NY]\nhours = "10:00-18:00"\n')
    settings = settings_for(f"sqlite:///{tmp_path}/no.sqlite3", tmp_path, QUIET_HOURS=str(own))
    book = create_app(settings).extensions["prefcenter.quiet_hours"]
    assert isinstance(book, send_windows.Book) and len(book.places["US-NY"]) == 1


def test_doctor_looks_at_a_list_that_nobody_checked_for_a_year(tmp_path: Path, now: Clock) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/no.sqlite3", tmp_path)
    app = create_app(settings, serving=False)

    def says() -> tuple[bool, str]:
        with app.app_context():
            [finding] = [one for one in doctor.examine() if one.what == "quiet hours"]
        return finding.ok, finding.detail

    good = f"the list of the laws was checked on {BOOK.checked}"
    now.moment = datetime(2027, 11, 23, 12, tzinfo=UTC)
    assert says() == (True, good)
    now.forward(days=1)
    ok, detail = says()
    assert not ok and detail.startswith(f"{good}, more than a year ago: take a newer version")


# --- the page for owners

PAGE = (Path(__file__).parents[1] / "docs" / "quiet-hours.md").read_text(encoding="utf-8")
STATES = {
    **{"Florida": "FL", "Maryland": "MD", "Massachusetts": "MA", "New Jersey": "NJ"},
    **{"Oklahoma": "OK", "Washington": "WA", "Connecticut": "CT", "Nevada": "NV"},
    **{"Michigan": "MI", "Minnesota": "MN", "New Mexico": "NM", "Kentucky": "KY"},
    **{"Texas": "TX", "Rhode Island": "RI", "Mississippi": "MS", "Alabama": "AL"},
    "Louisiana": "LA",
}


def test_the_example_of_an_own_file_can_be_used(own: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    own.write_text(example)
    book = read(own)
    assert book.caps["US-FL"] == 2
    christmas_eve = at("2026-12-24 12:00", NEW_YORK)
    assert next_allowed(ALICE, christmas_eve, book) == at("2026-12-25 09:00", NEW_YORK)


def test_the_table_of_states_is_what_the_data_say() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| (\d+) to (\d+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
    )
    listed = {STATES[name]: rest for names, *rest in rows for name in names.split(", ")}
    assert {f"US-{state}" for state in listed} == set(BOOK.places)
    for state, (start, end, sundays, holidays) in listed.items():
        [rule] = BOOK.places[f"US-{state}"]
        assert rule.hours[0] == (time(int(start)), time(int(end))), state
        assert rule.keeps_holidays == (holidays == "none"), state
        assert (rule.hours[6] is None) == (sundays == "none"), state
        assert (rule.hours[6] == rule.hours[0]) == (sundays == "the same"), state
