"""The overview's filters: read from the address, and written into it again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode

from flask_babel import gettext as _

from prefcenter.models_counts import ANY
from prefcenter.upkeep.spans import DIMENSIONS, LONGEST, Scope, Span, last_days, last_months

PERIODS = ("30d", "12w", "12m", "own")
_LONGEST_VALUE = 220


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for. With `error`, the dates are not to be used."""

    period: str
    scope: Scope
    span: Span
    compares: bool
    from_typed: str = ""
    to_typed: str = ""
    error: str = ""

    def query(self, **changed: str) -> str:
        """The same as part of an address, without what is the default."""
        own = self.period == "own"
        values = {
            "period": "" if self.period == PERIODS[0] else self.period,
            "from": self.span.first.isoformat() if own else "",
            "to": self.span.last.isoformat() if own else "",
            "compare": "" if self.compares else "no",
        }
        for name in DIMENSIONS:
            value = getattr(self.scope, name)
            values[name] = "" if value == ANY else value
        return urlencode({k: v for k, v in (values | changed).items() if v})

    def moved(self, span: Span) -> str:
        """The address of the same filters for other days."""
        there = replace(self, period="own", span=span)
        return there.query()


def read(args: Mapping[str, str], today: date) -> Filters:
    """The filters of an address; what it does not say, or cannot mean, is the default."""
    period = args.get("period", PERIODS[0])
    period = period if period in PERIODS else PERIODS[0]
    typed = args.get("from", "").strip(), args.get("to", "").strip()
    span, error = _span(period, typed, today)
    return Filters(
        period=period,
        scope=_scope(args),
        span=span,
        compares=args.get("compare") != "no",
        from_typed=typed[0],
        to_typed=typed[1],
        error=error,
    )


def _scope(args: Mapping[str, str]) -> Scope:
    values = {name: args.get(name, "")[:_LONGEST_VALUE].replace("\0", "") for name in DIMENSIONS}
    return Scope(**{name: value or ANY for name, value in values.items()})


def _span(period: str, typed: tuple[str, str], today: date) -> tuple[Span, str]:
    if period == "12w":
        return last_days(today, 84), ""
    if period == "12m":
        return last_months(today, 12), ""
    if period == "30d":
        return last_days(today, 30), ""
    return _own(typed, today)


def _own(typed: tuple[str, str], today: date) -> tuple[Span, str]:
    usual = last_days(today, 30)
    try:
        first, last = (date.fromisoformat(text) for text in typed)
    except ValueError:
        return usual, _("Choose both days, such as 2026-11-01 and 2026-11-30.")
    if last < first:
        return usual, _("The first day must not come after the last.")
    if first.year < 2000 or last > today:
        return usual, _("Choose days from the year 2000 up to today.")
    span = Span(first, last)
    if span.length > LONGEST:
        return usual, _("Choose ten years at most.")
    return span, ""
