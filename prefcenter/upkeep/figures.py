"""The figures of the overview, as numbers: what they add up to. Pure; counted.py reads them."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prefcenter.models import Status
from prefcenter.upkeep import standing
from prefcenter.upkeep.spans import Scope, Span

SETTLED = timedelta(hours=72)
NOW_ON = (standing.STANDING, Status.SUBSCRIBED.value)
Pairs = Counter[tuple[str, str]]


@dataclass
class Figures:
    """All that the overview says about a scope and a span."""

    scope: Scope
    span: Span
    today: date
    zone: str
    days: Counter[tuple[date, str]] = field(default_factory=Counter)  # on, off, asked, yes
    labels: Pairs = field(default_factory=Counter)  # of the span: (what, label)
    now: Pairs = field(default_factory=Counter)  # how it stands: (what, label)
    later: int = 0  # turned on less turned off after the span
    by: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    texts: Counter[date] = field(default_factory=Counter)
    paused: int = 0
    paused_soon: int = 0  # of those, whose pause ends within a week
    suppressed: int = 0  # of all places
    unreachable: int = 0  # of all places
    behind: int = 0  # events that are not counted yet

    def total(self, what: str, span: Span | None = None) -> int:
        """`on`, `off`, `asked` or `yes` in a span."""
        return sum(self.days[day, what] for day in span or self.span)

    def on_at_end(self, span: Span | None = None) -> int:
        """Numbers with texts on when a span ended."""
        end = self.now[NOW_ON] - self.later
        if span is not None and span.last < self.span.last:
            between = Span(span.last + timedelta(days=1), self.span.last)
            end -= self.total(standing.ON, between) - self.total(standing.OFF, between)
        return end

    def on_by_bar(self) -> list[int]:
        """Numbers with texts on at the end of each bar."""
        found = []
        on = self.on_at_end(self.span.before())
        for bar in self.span.cut():
            on += self.total(standing.ON, bar) - self.total(standing.OFF, bar)
            found.append(on)
        return found

    def settled(self, span: Span, now: datetime) -> Span | None:
        """Its days that ended 72 hours ago or more: whoever was asked then has had their time."""
        midnight = (now - SETTLED).astimezone(ZoneInfo(self.zone)).date()
        last = min(span.last, midnight - timedelta(days=1))
        return Span(span.first, last) if last >= span.first else None

    def yes_rate(self, span: Span, now: datetime) -> tuple[int, int]:
        """How many said yes, of how many who were asked on the settled days of a span."""
        days = self.settled(span, now)
        if days is None:
            return 0, 0
        return self.total("yes", days), self.total(standing.ASKED, days)

    def texts_in(self, span: Span | None = None) -> int:
        return sum(self.texts[day] for day in span or self.span)

    def numbers(self, now: datetime) -> dict[str, Any]:
        """All of it by name, as `prefcenter counts --json` prints it; what is 0 is left out."""
        yes, of = self.yes_rate(self.span, now)
        return {
            "from": self.span.first.isoformat(),
            "to": self.span.last.isoformat(),
            "zone": self.zone,
            "scope": asdict(self.scope),
            "on_at_start": self.on_at_end(self.span.before()),
            "on_at_end": self.on_at_end(),
            "turned_on": self.total(standing.ON),
            "turned_off": self.total(standing.OFF),
            "asked": self.total(standing.ASKED),
            "said_yes_settled": {"yes": yes, "asked": of},
            "days": {day.isoformat(): found for day in self.span if (found := self._of_day(day))},
            "detail": _nested(self.labels),
            "now": _nested(self.now),
            "by": {
                name: lines
                for name, sums in sorted(self.by.items())
                if (lines := _nested_values(sums))
            },
            "paused": self.paused,
            "paused_ending_in_a_week": self.paused_soon,
            "suppressed": self.suppressed,
            "unreachable": self.unreachable,
            "texts": self.texts_in(),
        }

    def _of_day(self, day: date) -> dict[str, int]:
        names = (standing.ON, standing.OFF, standing.ASKED, "yes")
        return {name: count for name in names if (count := self.days[day, name])}


def _nested(pairs: Pairs) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (what, label), count in sorted(pairs.items()):
        if count:
            found.setdefault(what, {})[label] = count
    return found


def _nested_values(sums: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    lines = {value: {n: c for n, c in sorted(s.items()) if c} for value, s in sorted(sums.items())}
    return {value: line for value, line in lines.items() if line}
