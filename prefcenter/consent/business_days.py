"""Business days as the FCC counts them: Monday to Friday without US federal holidays.

47 CFR 64.1200(a)(10) gives ten of them, from receipt, to honour a wish to get no more texts
(RULE-21). The holidays are those of 5 U.S.C. 6103(a). One that falls on a Saturday is kept on
the Friday before (6103(b)), on a Sunday on the Monday after (Executive Order 11582).
"""

import calendar
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = 10
_DAY = timedelta(days=1)
_ZONE = "America/New_York"

# Month, day, and the first year.
_FIXED = (
    (1, 1, 0),  # New Year's Day
    (6, 19, 2021),  # Juneteenth (Public Law 117-17)
    (7, 4, 0),  # Independence Day
    (11, 11, 0),  # Veterans Day
    (12, 25, 0),  # Christmas Day
)
# Month, weekday, and which one of the month; -1 is the last.
_MOVING = (
    (1, calendar.MONDAY, 3),  # Birthday of Martin Luther King, Jr.
    (2, calendar.MONDAY, 3),  # Washington's Birthday
    (5, calendar.MONDAY, -1),  # Memorial Day
    (9, calendar.MONDAY, 1),  # Labor Day
    (10, calendar.MONDAY, 2),  # Columbus Day
    (11, calendar.THURSDAY, 4),  # Thanksgiving Day
)
_OBSERVED = {calendar.SATURDAY: -_DAY, calendar.SUNDAY: _DAY}


def due(received: datetime) -> date:
    """The last day to act on something that was received at this moment."""
    return after(day_of(received))


def day_of(moment: datetime) -> date:
    """The date in Washington, where these days are counted.

    So a text of late evening there, when UTC has the next day already, gets no day more.
    """
    return moment.astimezone(ZoneInfo(_ZONE)).date()


def after(day: date, count: int = DAYS) -> date:
    """The so many-th business day after `day`, which itself does not count."""
    if count < 1:
        raise ValueError("count at least one business day")
    while count:
        day += _DAY
        count -= is_business_day(day)
    return day


def left(today: date, due_on: date) -> int:
    """How many business days are left to act, the last one included; below zero when overdue."""
    first, last, sign = (today, due_on, 1) if today <= due_on else (due_on, today, -1)
    days = (first + _DAY * count for count in range(1, (last - first).days + 1))
    return sign * sum(map(is_business_day, days))


def is_business_day(day: date) -> bool:
    return day.weekday() < calendar.SATURDAY and day not in holidays(day.year)


@lru_cache(maxsize=256)
def holidays(year: int) -> frozenset[date]:
    """The weekdays of a year on which a federal holiday is kept.

    The first of January may be kept on the last day of the year before.
    """
    kept = (_kept(day) for near in (year, year + 1) for day in _by_law(near))
    return frozenset(day for day in kept if day.year == year)


def _by_law(year: int) -> Iterator[date]:
    for month, day, since in _FIXED:
        if year >= since:
            yield date(year, month, day)
    for month, weekday, which in _MOVING:
        days = [week[weekday] for week in calendar.monthcalendar(year, month) if week[weekday]]
        yield date(year, month, days[which if which < 0 else which - 1])


def _kept(day: date) -> date:
    return day + _OBSERVED.get(day.weekday(), timedelta())
