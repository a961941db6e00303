"""Which days, and whose people: what the overview's filters say. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta

from prefcenter.models_counts import ANY
from prefcenter.upkeep.standing import Cell

_DAY = timedelta(days=1)
_MOST_DAYS, _MOST_WEEKS = 31, 26
LONGEST = 3660  # days


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose events: `*` stands for all. The fields are named as in CountScope and Cell."""

    place: str = ANY
    kind: str = ANY
    country: str = ANY
    language: str = ANY

    @property
    def is_all(self) -> bool:
        return self == Scope()

    def holds(self, cell: Cell, but: str = "") -> bool:
        """Whether a cell belongs here; `but` names a field in which it may be anything."""
        wide = ("place", "country", "language")
        if but != "kind" and cell.kind != self.kind:
            return False
        return all(
            name == but or getattr(self, name) in (ANY, getattr(cell, name)) for name in wide
        )


DIMENSIONS = tuple(field.name for field in fields(Scope))


@dataclass(frozen=True, slots=True)
class Span:
    """From one day to another, both included."""

    first: date
    last: date

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def unit(self) -> str:
        """How finely its bars are cut: day, week or month."""
        if self.length <= _MOST_DAYS:
            return "day"
        return "week" if self.length <= _MOST_WEEKS * 7 else "month"

    def before(self) -> "Span":
        """As many days, just before these."""
        return Span(self.first - timedelta(days=self.length), self.first - _DAY)

    def after(self) -> "Span":
        return Span(self.last + _DAY, self.last + timedelta(days=self.length))

    def cut(self) -> list["Span"]:
        """The days of each bar. Weeks are sevens from the first day, months the calendar's."""
        found, first = [], self.first
        while first <= self.last:
            last = min(self._end_of_bar(first), self.last)
            found.append(Span(first, last))
            first = last + _DAY
        return found

    def _end_of_bar(self, first: date) -> date:
        if self.unit == "month":
            return (first.replace(day=1) + timedelta(days=31)).replace(day=1) - _DAY
        return first + timedelta(days=6) if self.unit == "week" else first

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=n) for n in range(self.length))

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last


def last_days(today: date, days: int) -> Span:
    return Span(today - timedelta(days=days - 1), today)


def last_months(today: date, months: int) -> Span:
    """This month so far, and the whole months before it."""
    year, month = divmod(today.year * 12 + today.month - months, 12)
    return Span(date(year, month + 1, 1), today)
