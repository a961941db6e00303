"""RULE-21: ten business days, against the holidays that the US government publishes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.consent import business_days
from prefcenter.consent.business_days import after, due, holidays, is_business_day

# The days off of federal offices, copied by hand from the list of the Office of Personnel
# Management (opm.gov, "Federal Holidays"). 2022 begins in 2021, and 2028 in 2027.
DAYS_OFF = {
    2021: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
    2022: "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26",
    2024: "01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25",
    2025: "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25",
    2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31",
}
days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
counts = st.integers(1, 40)


@pytest.mark.parametrize("year", DAYS_OFF)
def test_the_holidays_are_those_that_were_published(year: int) -> None:
    expected = {date.fromisoformat(f"{year}-{day}") for day in DAYS_OFF[year].split()}
    assert holidays(year) == expected


def test_juneteenth_begins_in_2021() -> None:
    """Signed on a Thursday, kept on the Friday: the 19th was a Saturday."""
    assert date(2021, 6, 18) in holidays(2021)
    assert date(2020, 6, 19) not in holidays(2020)


@pytest.mark.parametrize(
    ("received", "last"),
    [
        ("2026-11-23", "2026-12-08"),  # a Monday, over Thanksgiving
        ("2026-11-02", "2026-11-17"),  # over Veterans Day, a Wednesday
        ("2026-06-18", "2026-07-06"),  # over Juneteenth and the Friday before July 4
        ("2026-06-12", "2026-06-29"),  # a Friday: counting begins on Monday
        ("2026-06-13", "2026-06-29"),  # a Saturday: the same
        ("2025-12-24", "2026-01-09"),  # over Christmas and New Year
        ("2021-12-23", "2022-01-10"),  # New Year's Day of 2022 is kept in 2021
        ("2026-03-02", "2026-03-16"),  # no holiday: two weeks
    ],
)
def test_ten_business_days_by_hand(received: str, last: str) -> None:
    assert after(date.fromisoformat(received)) == date.fromisoformat(last)


def test_the_day_of_receipt_is_the_one_in_washington() -> None:
    late = datetime(2026, 3, 3, 4, 30, tzinfo=UTC)  # still Monday the 2nd there
    assert due(late) == date(2026, 3, 16)
    assert due(late + timedelta(hours=1)) == date(2026, 3, 17)
    summer = datetime(2026, 8, 4, 4, 0, tzinfo=UTC)  # midnight there, by summer time
    assert due(summer) == date(2026, 8, 18)
    assert due(summer - timedelta(seconds=1)) == date(2026, 8, 17)


@given(day=days, count=counts)
def test_it_is_a_business_day_and_exactly_so_many_on(day: date, count: int) -> None:
    last = after(day, count)
    between = [day + timedelta(n) for n in range(1, (last - day).days + 1)]
    assert is_business_day(last)
    assert last.weekday() < 5 and last not in holidays(last.year)
    assert sum(map(is_business_day, between)) == count


@given(one=days, other=days, count=counts)
def test_what_came_later_is_never_due_sooner(one: date, other: date, count: int) -> None:
    assert after(min(one, other), count) <= after(max(one, other), count)


@given(day=days, count=counts, more=counts)
def test_counting_on_is_counting_once(day: date, count: int, more: int) -> None:
    assert after(after(day, count), more) == after(day, count + more)


@given(day=days)
def test_ten_take_two_weeks_and_a_few_days_at_most(day: date) -> None:
    assert 12 <= (after(day) - day).days <= 18


@given(year=st.integers(2000, 2100))
def test_holidays_are_weekdays_of_their_year_and_eleven_or_so(year: int) -> None:
    kept = holidays(year)
    assert all(day.year == year and day.weekday() < 5 for day in kept)
    assert len(kept) - (year >= 2021) in (9, 10, 11)


def test_none_is_not_a_number_of_days() -> None:
    with pytest.raises(ValueError, match="at least one"):
        after(date(2026, 1, 1), 0)
    assert business_days.DAYS == 10
