"""Quiet hours by the recipient's clock: tables made by hand, and what must hold for all."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.consent import homes, send_windows
from prefcenter.consent.homes import Home
from prefcenter.consent.hours_book import EVERYWHERE, Book, Rule
from prefcenter.consent.send_windows import closes, explain, home_of, next_allowed
from prefcenter.models import TextKind
from tests.cast import BOB, CAROL, Town
from tests.conftest import Clock

BOOK = send_windows.read()
NEW_YORK, CHICAGO, DENVER = "America/New_York", "America/Chicago", "America/Denver"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)

# A number, the moment on the clock named, and when a text may arrive on that same clock.
BY_HAND = [
    # Florida, 8 to 20 (RULE-33): half past eight in the evening waits for the morning.
    ("+13055550143", NEW_YORK, "2026-11-23 20:30", "2026-11-24 08:00"),
    # New York state has no window of its own: 8 to 21.
    ("+12125550143", NEW_YORK, "2026-11-23 20:30", "2026-11-23 20:30"),
    ("+12125550143", NEW_YORK, "2026-11-23 21:00", "2026-11-24 08:00"),
    ("+12125550143", NEW_YORK, "2026-11-23 20:59", "2026-11-23 20:59"),
    # Texas begins at noon on a Sunday.
    ("+12145550143", CHICAGO, "2026-11-22 09:30", "2026-11-22 12:00"),
    ("+12145550143", CHICAGO, "2026-11-21 21:00", "2026-11-22 12:00"),
    # Alabama: nothing on Sundays, nothing on Thanksgiving.
    ("+12055550143", CHICAGO, "2026-11-21 20:00", "2026-11-23 08:00"),
    ("+12055550143", CHICAGO, "2026-11-25 21:00", "2026-11-27 08:00"),
    # Louisiana keeps Mardi Gras and Good Friday.
    ("+15045550143", CHICAGO, "2026-02-17 12:00", "2026-02-18 08:00"),
    ("+15045550143", CHICAGO, "2026-04-03 12:00", "2026-04-04 08:00"),
    # Mississippi: no Sundays, but holidays are days like others.
    ("+16015550143", CHICAGO, "2026-11-26 12:00", "2026-11-26 12:00"),
    # The other states with a law of their own, at both ends of their day.
    ("+14055550143", CHICAGO, "2026-11-23 20:00", "2026-11-24 08:00"),  # OK
    ("+12065550143", "America/Los_Angeles", "2026-11-23 20:00", "2026-11-24 08:00"),  # WA
    ("+13015550143", NEW_YORK, "2026-11-23 20:00", "2026-11-24 08:00"),  # MD
    ("+16175550143", NEW_YORK, "2026-11-23 20:00", "2026-11-24 08:00"),  # MA
    ("+12015550143", NEW_YORK, "2026-11-23 20:00", "2026-11-24 08:00"),  # NJ
    ("+12035550143", NEW_YORK, "2026-11-23 20:00", "2026-11-24 09:00"),  # CT
    ("+17025550143", "America/Los_Angeles", "2026-11-23 20:00", "2026-11-24 09:00"),  # NV
    ("+13135550143", "America/Detroit", "2026-11-23 21:00", "2026-11-24 09:00"),  # MI
    ("+16125550143", CHICAGO, "2026-11-23 21:00", "2026-11-24 09:00"),  # MN
    ("+15055550143", DENVER, "2026-11-23 21:00", "2026-11-24 09:00"),  # NM
    # Kentucky from ten; the west of the state is an hour behind, so both clocks count.
    ("+12705550143", NEW_YORK, "2026-11-23 10:30", "2026-11-23 11:00"),
    ("+12705550143", NEW_YORK, "2026-11-23 21:00", "2026-11-24 11:00"),
    # Rhode Island: 9 to 18, at weekends 10 to 17.
    ("+14015550143", NEW_YORK, "2026-11-23 18:00", "2026-11-24 09:00"),
    ("+14015550143", NEW_YORK, "2026-11-27 18:00", "2026-11-28 10:00"),
    ("+14015550143", NEW_YORK, "2026-11-28 17:00", "2026-11-29 10:00"),
    # The Florida panhandle has two zones, by either of its area codes.
    ("+18505550143", NEW_YORK, "2026-11-23 08:30", "2026-11-23 09:00"),
    ("+14485550143", NEW_YORK, "2026-11-23 08:30", "2026-11-23 09:00"),
    ("+18505550143", NEW_YORK, "2026-11-23 19:59", "2026-11-23 19:59"),
    # Arizona has no summer time, and its north-east has.
    ("+16025550143", "America/Phoenix", "2026-07-06 08:00", "2026-07-06 08:00"),
    ("+19285550143", "America/Phoenix", "2026-07-06 20:30", "2026-07-07 08:00"),
    # Toll-free could be in any state: from 8 in Hawaii until 18 in Rhode Island.
    ("+18005550143", NEW_YORK, "2026-11-23 12:59", "2026-11-23 13:00"),
    ("+18005550143", NEW_YORK, "2026-11-23 17:59", "2026-11-23 17:59"),
    ("+18005550143", NEW_YORK, "2026-11-23 18:00", "2026-11-24 13:00"),
    # At weekends until 17 in Rhode Island, and Alabama has no Sunday.
    ("+18005550143", NEW_YORK, "2026-11-21 17:00", "2026-11-23 13:00"),
    # Thanksgiving in Alabama and Louisiana.
    ("+18005550143", NEW_YORK, "2026-11-26 14:00", "2026-11-27 13:00"),
    # London, the first day of winter time.
    ("+442079460018", "Europe/London", "2026-10-24 21:00", "2026-10-25 08:00"),
    # A Spanish mobile may be in the Canaries, an hour behind Madrid.
    ("+34612345678", "Europe/Madrid", "2026-11-23 08:30", "2026-11-23 09:00"),
    ("+34612345678", "Europe/Madrid", "2026-11-23 20:59", "2026-11-23 20:59"),
    # Toronto and, an hour and a half before it, Newfoundland.
    ("+14165550143", "America/Toronto", "2026-11-23 20:59", "2026-11-23 20:59"),
    ("+17095550143", "America/St_Johns", "2026-11-23 21:00", "2026-11-24 08:30"),  # Labrador's 8
    # San Juan and Guam.
    ("+17875550143", "America/Puerto_Rico", "2026-11-23 21:00", "2026-11-24 08:00"),
    ("+16715550143", "Pacific/Guam", "2026-11-23 21:00", "2026-11-24 08:00"),
]
COUNTRIES = {"+44": "GB", "+34": "ES", "+1416": "CA", "+1709": "CA", "+1787": "PR", "+1671": "GU"}


def at(clock: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def home(number: str, zone: str | None = None) -> Home:
    found = (country for code, country in COUNTRIES.items() if number.startswith(code))
    return home_of(number, next(found, "US"), zone)


@pytest.mark.parametrize(("number", "zone", "now", "expected"), BY_HAND)
def test_the_first_moment_is_the_one_worked_out_by_hand(
    number: str, zone: str, now: str, expected: str
) -> None:
    assert next_allowed(home(number), at(now, zone), BOOK) == at(expected, zone)


def test_every_state_of_rule_33_is_in_the_data_and_in_the_table() -> None:
    stricter = {"FL", "OK", "WA", "MD", "MA", "NJ", "CT", "NV", "KY", "MI", "MN", "NM", "TX"}
    stricter |= {"AL", "LA", "MS", "RI"}
    assert set(BOOK.places) == {f"US-{state}" for state in stricter}
    shown = {place for number, *_ in BY_HAND for place in home(number).places}
    assert set(BOOK.places) <= shown
    assert all(rule.source for rules in BOOK.places.values() for rule in rules)
    assert BOOK.caps == {"US-FL": 3, "US-OK": 3}


def test_summer_time_moves_the_window_in_utc_by_an_hour() -> None:
    """8:00 in New York is 13:00 UTC before 8 March 2026 and 12:00 from then on."""
    for night, opens in (
        ("2026-03-07T05:00", "2026-03-07T13:00"),
        ("2026-03-08T05:00", "2026-03-08T12:00"),
        ("2026-11-01T04:00", "2026-11-01T13:00"),
    ):
        assert next_allowed(home("+12125550143"), at(night), BOOK) == at(opens)


def test_what_the_person_said_about_their_zone_counts_more_than_the_number() -> None:
    night = at("2026-11-23 21:30", NEW_YORK)
    there = home("+12125550143", "America/Los_Angeles")
    assert next_allowed(there, night, BOOK) == night  # half past six there


def test_the_law_of_the_numbers_state_stays_and_that_of_the_zone_may_come_to_it() -> None:
    """RULE-35: a Florida number in Los Angeles: 8 to 20 by Florida, 9 to 20 by Nevada."""
    there = home("+13055550143", "America/Los_Angeles")
    zone = "America/Los_Angeles"
    assert next_allowed(there, at("2026-11-23 08:30", zone), BOOK) == at("2026-11-23 09:00", zone)
    assert next_allowed(there, at("2026-11-23 20:00", zone), BOOK) == at("2026-11-24 09:00", zone)
    assert send_windows.daily_cap(there, BOOK) == 3


def test_the_strictest_cap_of_the_possible_states_counts() -> None:
    """RULE-34."""
    numbers = ("+13055550143", "+12125550143", "+14055550143", "+18005550143")
    assert [send_windows.daily_cap(home(number), BOOK) for number in numbers] == [3, None, 3, 3]


def test_a_number_of_nowhere_is_never_texted() -> None:
    nowhere = home_of("+80012345678", "")
    noon = at("2026-11-23 12:00")
    assert next_allowed(nowhere, noon, BOOK) is None and closes(nowhere, noon, BOOK) is None
    found = explain(nowhere, noon, BOOK)
    assert (found.allowed, found.opens, found.closes, found.rules) == (False, None, None, ())


# --- the hours in which the clock is changed


def always(hours: str, *more: Rule) -> Book:
    """A book of one window for every day, so that it may lie in the night."""
    start, end = (time.fromisoformat(clock) for clock in hours.split("-"))
    rule = Rule(EVERYWHERE, ((start, end),) * 7, False, frozenset(), "")
    return Book((rule, *more), {}, {}, date(2026, 11, 23))


@pytest.mark.parametrize(
    ("zone", "hours", "now", "opens", "ends"),
    [
        # New York leaps from 2:00 to 3:00 at 7:00 UTC.
        (NEW_YORK, "02:30-10:00", "2026-03-08 05:00", "2026-03-08 07:00", "2026-03-08 14:00"),
        (NEW_YORK, "02:00-10:00", "2026-03-08 05:00", "2026-03-08 07:00", "2026-03-08 14:00"),
        (NEW_YORK, "03:00-10:00", "2026-03-08 05:00", "2026-03-08 07:00", "2026-03-08 14:00"),
        (NEW_YORK, "00:30-02:30", "2026-03-08 05:00", "2026-03-08 05:30", "2026-03-08 07:00"),
        # A window in the hour that is not: the next day.
        (NEW_YORK, "02:10-02:50", "2026-03-08 05:00", "2026-03-09 06:10", "2026-03-09 06:50"),
        # It goes back from 2:00 to 1:00 at 6:00 UTC: the later 1:30 opens, the earlier closes.
        (NEW_YORK, "01:30-10:00", "2026-11-01 04:00", "2026-11-01 06:30", "2026-11-01 15:00"),
        (NEW_YORK, "00:30-01:30", "2026-11-01 04:00", "2026-11-01 04:30", "2026-11-01 05:30"),
        (NEW_YORK, "01:10-01:40", "2026-11-01 04:00", "2026-11-02 06:10", "2026-11-02 06:40"),
        # Lord Howe leaps from 2:00 to 2:30 at 15:30 UTC.
        (
            *("Australia/Lord_Howe", "02:15-10:00"),
            *("2026-10-03 14:00", "2026-10-03 15:30", "2026-10-03 23:00"),
        ),
        # Troll leaps from 1:00 to 3:00.
        (
            *("Antarctica/Troll", "01:30-10:00"),
            *("2026-03-28 23:30", "2026-03-29 01:00", "2026-03-29 08:00"),
        ),
    ],
)
def test_a_window_in_the_hour_of_the_change_is_right_to_the_minute(
    zone: str, hours: str, now: str, opens: str, ends: str
) -> None:
    there, book = Home(((zone, "US"),)), always(hours)
    found = next_allowed(there, at(now), book)
    assert found == at(opens)
    assert closes(there, found, book) == at(ends)
    assert next_allowed(there, at(opens) - SECOND, book) == at(opens)
    late = next_allowed(there, at(ends), book)
    assert late is not None and late > at(ends)


def test_a_day_without_a_moment_that_suits_all_is_passed_over() -> None:
    """Sundays until 9 by one law, from 10 by the other: Monday."""
    weekdays = ((time(8), time(20)),) * 6
    early, late = (
        Rule("US", (*weekdays, hours), False, frozenset(), "")
        for hours in ((time(8), time(9)), (time(10), time(20)))
    )
    book = Book((early, late), {}, {}, date(2026, 11, 23))
    there = home("+12125550143")
    saturday = at("2026-11-21 20:00", NEW_YORK)
    assert next_allowed(there, saturday, book) == at("2026-11-23 08:00", NEW_YORK)
    never = replace(book, everywhere=(replace(early, hours=(None,) * 7),))
    assert next_allowed(there, saturday, never) is None


# --- answers to keywords, and confirmations (RULE-36)


def test_confirmations_and_replies_leave_in_the_night(town: Town, now: Clock) -> None:
    """RULE-36, RULE-59: it is three in the night in Washington."""
    now.moment = at("2026-11-24 03:00", NEW_YORK)
    assert next_allowed(home(BOB), now.now(), BOOK) != now.now()
    town.bob()
    town.carol()
    assert town.kinds(BOB) == [TextKind.CONFIRM_REQUEST]
    assert TextKind.UNSUBSCRIBED in town.kinds(CAROL)


# --- what must hold for all


def open_by_the_clock(there: Home, moment: datetime, book: Book) -> bool:
    """Worked out anew, without the search: what every clock on every wall shows."""
    watches = [(zone, rule) for zone in there.zones for rule in book.everywhere]
    watches += [(zone, rule) for zone, place in there.spots for rule in book.places.get(place, ())]
    for zone, rule in watches:
        here = moment.astimezone(ZoneInfo(zone))
        hours = rule.on(here.date())
        if hours is None or not hours[0] <= here.time() < hours[1]:
            return False
    return bool(watches)


def near_a_change(there: Home, moment: datetime) -> bool:
    """Within a day of one, where a clock may show a time twice."""
    return any(
        len({(moment + timedelta(hours=h)).astimezone(ZoneInfo(zone)).utcoffset()
             for h in (-27, 0, 27)}) > 1
        for zone in there.zones
    )  # fmt: skip


FIRST, LAST = (datetime.fromisoformat(day) for day in ("2026-01-01", "2028-01-01"))
CHANGES = [
    at(day) for day in ("2026-03-08", "2026-03-29", "2026-10-04", "2026-11-01", "2027-03-14")
]
moments = st.one_of(
    st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    st.builds(
        lambda day, minutes: day + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-2880, 2880),
    ),
)
zones = st.sampled_from(
    [NEW_YORK, "America/Los_Angeles", "America/St_Johns", "America/Havana", "America/Nuuk",
     "Europe/London", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Kathmandu",
     "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Chatham", "Pacific/Honolulu"]
)  # fmt: skip
codes = st.sampled_from(sorted(homes.table()["codes"]) + ["800", "999"])
numbers = st.builds(
    lambda code, said: home_of(f"+1{code}5550143", "US", said), codes, st.none() | zones
)
anywhere = st.builds(
    lambda found: Home(tuple((zone, "US") for zone in found)),
    st.lists(zones, min_size=1, max_size=3, unique=True),
)
clocks = st.integers(0, 24 * 60 - 1).map(lambda minutes: time(*divmod(minutes, 60)))
hours = st.lists(clocks, min_size=2, max_size=2, unique=True).map(lambda two: tuple(sorted(two)))
own_rules = st.builds(
    lambda week: Rule(EVERYWHERE, tuple(week), False, frozenset(), ""),
    st.lists(st.none() | hours, min_size=7, max_size=7),
)
books = st.builds(
    lambda rules: Book(tuple(rules), {}, {}, date(2026, 11, 23)),
    st.lists(own_rules, min_size=1, max_size=2),
)
cases = st.one_of(
    st.tuples(numbers, st.just(BOOK)), st.tuples(anywhere, books), st.tuples(numbers, books)
)


@given(cases, moments)
def test_every_possible_clock_agrees_with_the_answer(
    case: tuple[Home, Book], moment: datetime
) -> None:
    there, book = case
    found = next_allowed(there, moment, book)
    if found is None:
        assert book is not BOOK
        return
    assert found >= moment and open_by_the_clock(there, found, book)
    assert next_allowed(there, found, book) == found, "asked again then, it is allowed"
    if found > moment:
        assert next_allowed(there, found - SECOND, book) == found, "and not a second before"
    ends = closes(there, found, book)
    assert ends is not None and open_by_the_clock(there, ends - SECOND, book)
    assert next_allowed(there, ends, book) != ends
    if not near_a_change(there, moment):
        assert (found == moment) == open_by_the_clock(there, moment, book)


@given(cases, moments, st.timedeltas(timedelta(), timedelta(days=9)))
def test_whoever_asks_later_is_never_told_an_earlier_moment(
    case: tuple[Home, Book], moment: datetime, later: timedelta
) -> None:
    there, book = case
    found = [next_allowed(there, asked, book) for asked in (moment, moment + later)]
    told = [one for one in found if one is not None]
    assert told == sorted(told)


@given(numbers, moments, own_rules)
def test_one_rule_more_never_allows_more(there: Home, moment: datetime, rule: Rule) -> None:
    stricter = replace(BOOK, everywhere=(*BOOK.everywhere, rule))
    found, narrowed = (next_allowed(there, moment, book) for book in (BOOK, stricter))
    assert found is not None
    assert narrowed is None or narrowed >= found


@given(numbers, moments)
def test_nobody_is_texted_in_the_night_of_any_zone_that_is_possible(
    there: Home, moment: datetime
) -> None:
    """RULE-32, with no rule of ours asked."""
    found = next_allowed(there, moment, BOOK)
    assert found is not None
    for zone in there.zones:
        assert time(8) <= found.astimezone(ZoneInfo(zone)).time() < time(21)


@given(numbers, moments)
def test_the_explanation_says_the_same(there: Home, moment: datetime) -> None:
    found = explain(there, moment, BOOK)
    assert found.opens == next_allowed(there, moment, BOOK)
    assert found.allowed == (found.opens == moment) == all(told.open for told in found.rules)
    assert found.closed_by and (found.allowed or found.opened_by)


def test_ten_thousand_numbers_of_every_area_code_cost_microseconds_each() -> None:
    """A guard against losing the memo, with room for a busy machine."""
    every = sorted(homes.table()["codes"])
    asked = [f"+1{every[i % len(every)]}{2000000 + i}" for i in range(10_000)]
    moment = at("2026-11-23 17:00")
    began = perf_counter()
    for number in asked:
        next_allowed(home_of(number, "US"), moment, BOOK)
    first = perf_counter() - began
    assert send_windows._first_minute.cache_info().currsize >= len(
        {home_of(n, "US") for n in asked}
    )
    assert first < 2.0


def test_weeks_are_in_order_around_every_change() -> None:
    """Minute by minute through the night and morning of a change, one after the other."""
    there = home("+18505550143")
    for change in CHANGES:
        found = [next_allowed(there, change + timedelta(minutes=m), BOOK) for m in range(1440)]
        assert all(a is not None and b is not None and a <= b for a, b in pairwise(found))
