"""When a marketing text may arrive, by the recipient's own clock (RULE-32, RULE-33, RULE-35).

Where it is unclear in which zone or state a number is at home, every possible place must agree.
Answers to keywords and confirmations never ask here (RULE-36): a STOP at two in the night is
answered at two in the night.

Speed: where and when are worked out once for each home and minute and kept (_first_minute), so
that ten thousand numbers cost a few hundred of these calculations and a look-up each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from prefcenter.consent.homes import Home as Home
from prefcenter.consent.homes import home_of as home_of
from prefcenter.consent.homes import is_zone as is_zone
from prefcenter.consent.hours_book import Book as Book
from prefcenter.consent.hours_book import Rule as Rule
from prefcenter.consent.hours_book import WindowsError as WindowsError
from prefcenter.consent.hours_book import read as read

_LONGEST = 21  # days that a search looks ahead
_MINUTE = timedelta(minutes=1)

Watch = tuple[str, Rule]  # a zone and a rule that holds there


@dataclass(frozen=True, slots=True)
class Told:
    """What one rule says in one zone at one moment."""

    zone: str
    rule: Rule
    hours: tuple[time, time] | None  # of that day there
    day_off: str | None  # the holiday that it is there
    open: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a text may arrive at a moment or not, and the next window or the one that is open."""

    allowed: bool
    opens: datetime | None  # None where no window comes
    closes: datetime | None
    rules: tuple[Told, ...]
    opened_by: tuple[Watch, ...]  # which the others wait for at the end
    closed_by: tuple[Watch, ...]


def next_allowed(home: Home, now: datetime, book: Book) -> datetime | None:
    """The first moment from `now` on when a text may arrive, in UTC; `now` itself if it may.

    None where no window comes in three weeks: nobody knows where the number is at home, or an
    owner's own file closes every day.
    """
    now = now.astimezone(UTC)
    minute = now.replace(second=0, microsecond=0)
    first = _first_minute(home, minute, book)
    return now if first == minute else first


def closes(home: Home, now: datetime, book: Book) -> datetime | None:
    """When the window that is open now ends, in UTC; None when none is open."""
    if next_allowed(home, now, book) != now:
        return None
    return min(_window(watch, now)[1] for watch in _watches(home, book))


@lru_cache(maxsize=4096)
def daily_cap(home: Home, book: Book) -> int | None:
    """The strictest number of marketing texts in 24 hours that a state allows (RULE-34)."""
    return min((book.caps[place] for _, place in home.spots if place in book.caps), default=None)


def explain(home: Home, at: datetime, book: Book) -> Explanation:
    """What holds at this moment, rule by rule and zone by zone, for a person to read."""
    opens = next_allowed(home, at, book)
    watches = _watches(home, book)
    if opens is None:
        return Explanation(False, None, None, tuple(_told(watches, at)), (), ())
    ends = closes(home, opens, book)
    spans = {watch: _window(watch, opens) for watch in watches}
    began = max(start for start, _ in spans.values())  # `opens`, or before it where it is open
    return Explanation(
        allowed=opens == at,
        opens=opens,
        closes=ends,
        rules=tuple(_told(watches, at)),
        opened_by=tuple(watch for watch, span in spans.items() if span[0] == began),
        closed_by=tuple(watch for watch, span in spans.items() if span[1] == ends),
    )


# A rush asks for many homes at one moment; a minute later all of them are new.
@lru_cache(maxsize=16_384)
def _first_minute(home: Home, minute: datetime, book: Book) -> datetime | None:
    """As next_allowed. Windows begin and end at whole minutes, so all of a minute is alike."""
    watches = _watches(home, book)
    limit = minute + timedelta(days=_LONGEST)
    while watches and minute <= limit:
        later = max(_opens(watch, minute) for watch in watches)
        if later == minute:
            return minute
        minute = later
    return None


@lru_cache(maxsize=4096)
def _watches(home: Home, book: Book) -> tuple[Watch, ...]:
    """Every rule in every zone where it may hold: a state's only in the zones of that state."""
    found = [(zone, rule) for zone in home.zones for rule in book.everywhere]
    found += [(zone, rule) for zone, place in home.spots for rule in book.places.get(place, ())]
    return tuple(found)


def _told(watches: tuple[Watch, ...], at: datetime) -> Iterator[Told]:
    for zone, rule in watches:
        day = at.astimezone(ZoneInfo(zone)).date()
        span = _span(zone, rule, day)
        is_open = span is not None and span[0] <= at < span[1]
        yield Told(zone, rule, rule.on(day), rule.day_off(day), is_open)


def _opens(watch: Watch, moment: datetime) -> datetime:
    """The first moment from this one on when this rule allows a text in this zone, in UTC."""
    return max(moment, _window(watch, moment)[0])


def _window(watch: Watch, moment: datetime) -> tuple[datetime, datetime]:
    """The first window of a rule that has not ended at this moment."""
    zone, rule = watch
    day = moment.astimezone(ZoneInfo(zone)).date()
    for ahead in range(_LONGEST + 2):
        span = _span(zone, rule, day + timedelta(days=ahead))
        if span and moment < span[1]:
            return span
    never = moment + timedelta(days=_LONGEST + 1)
    return never, never


@lru_cache(maxsize=16_384)
def _span(zone: str, rule: Rule, day: date) -> tuple[datetime, datetime] | None:
    """The window of a day in UTC, if it has one.

    Where the clock shows a time twice, the later one opens and the earlier one closes; a time
    that it leaps over is reached when it leaps.
    """
    hours = rule.on(day)
    if hours is None:
        return None
    start, end = hours
    closing = (day + timedelta(days=1), time(0)) if end == time.max else (day, end)
    span = _reached(day, start, zone, fold=1), _reached(*closing, zone, fold=0)
    return span if span[0] < span[1] else None


def _reached(day: date, clock: time, zone: str, *, fold: int) -> datetime:
    """When a clock shows this time of this day, or first shows a later one."""
    here = ZoneInfo(zone)
    shown = datetime.combine(day, clock)
    moment = shown.replace(tzinfo=here, fold=fold).astimezone(UTC)
    if moment.astimezone(here).replace(tzinfo=None) == shown:
        return moment
    # In the gap: the offset before it gives a moment after the leap, the one after it one before.
    late = shown.replace(tzinfo=here, fold=0).astimezone(UTC)
    early = shown.replace(tzinfo=here, fold=1).astimezone(UTC)
    before = early.astimezone(here).utcoffset()
    while late - early > _MINUTE:
        middle = early + (late - early) // (2 * _MINUTE) * _MINUTE
        if middle.astimezone(here).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
