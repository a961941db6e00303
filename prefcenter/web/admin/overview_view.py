"""The overview in words: figures with their change, charts with their sentence, lists."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from prefcenter import config
from prefcenter.models import Status
from prefcenter.upkeep import standing
from prefcenter.upkeep.figures import Figures
from prefcenter.upkeep.spans import DIMENSIONS, Span
from prefcenter.web.admin import charts, overview_lists, shell
from prefcenter.web.admin.charts import Bars, Line, Point
from prefcenter.web.admin.filters_of_overview import Filters
from prefcenter.web.admin.overview_lists import Row
from prefcenter.web.admin.overview_names import Names


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the figures on top."""

    label: str
    value: str
    change: str
    better: bool | None
    below: str
    what: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar and its line in the table."""

    name: str
    link: str
    on: int
    off: int
    at_end: int


class View:
    """What the templates draw."""

    def __init__(self, found: Figures, filters: Filters, now: datetime) -> None:
        self.found, self.filters, self.now = found, filters, now
        self.names = Names()
        self.lists = overview_lists.Lists(found, self.names)
        self.span, self.before = found.span, found.span.before()
        ends = found.on_by_bar()
        cut = zip(self.span.cut(), ends, strict=True)
        self.rows = [self._bar(bar, end) for bar, end in cut]

    @property
    def is_new(self) -> bool:
        """Nobody has ever asked for a text."""
        return self.found.scope.is_all and not any(self.found.now.values())

    @property
    def is_quiet(self) -> bool:
        flows = (standing.ON, standing.OFF, standing.ASKED)
        return not any(self.found.total(what) for what in flows)

    @property
    def days(self) -> str:
        """From when to when, in words."""
        return f"{shell.day(self.span.first, 'd MMMM yyyy')} – {shell.day(self.span.last, 'd MMMM yyyy')}"

    @property
    def earlier(self) -> str:
        return self.filters.moved(self.before)

    @property
    def later(self) -> str:
        """The days after these, as far as there are any; empty when there are none."""
        if self.span.last >= self.found.today:
            return ""
        after = self.span.after()
        return self.filters.moved(Span(after.first, min(after.last, self.found.today)))

    # --- figures ---

    def figures(self) -> list[Figure]:
        return [self._on(), self._confirmed(), self._yes(), self._stopped(), self._paused()]

    def _on(self) -> Figure:
        end, start = self.found.on_at_end(), self.found.on_at_end(self.before)
        what = _(
            "Distinct numbers that said yes and have not stopped, those on a break too. Always:"
            " numbers at the start, plus confirmed, less opt-outs. Pending numbers are not in it."
        )
        return self._figure(_("Numbers with texts on"), end, start, up_is_good=True, what=what)

    def _confirmed(self) -> Figure:
        what = _(
            "Numbers whose texts were turned on in these days: by saying yes to our text, or by"
            " undoing a stop."
        )
        on, before = self.found.total(standing.ON), self.found.total(standing.ON, self.before)
        return self._figure(_("Confirmed opt-ins"), on, before, up_is_good=True, what=what)

    def _stopped(self) -> Figure:
        off, before = self.found.total(standing.OFF), self.found.total(standing.OFF, self.before)
        what = _(
            "Numbers whose texts were on and were turned off in these days, by whichever way."
            " With every place and category shown, also how many that is for each 1,000 texts"
            " that left in these days."
        )
        texts = self.found.texts_in() if self.found.scope.is_all else 0
        extra = ""
        if texts:
            extra = _("%(rate)s per 1,000 texts", rate=shell.count(round(1000 * off / texts, 1)))
        figure = self._figure(_("Opt-outs"), off, before, up_is_good=False, what=what)
        below = " · ".join(part for part in (figure.below, extra) if part)
        return Figure(figure.label, figure.value, figure.change, figure.better, below, what)

    def _yes(self) -> Figure:
        yes, asked = self.found.yes_rate(self.span, self.now)
        yes_before, asked_before = self.found.yes_rate(self.before, self.now)
        value, change, better = "–", "", None
        if asked:
            value = f"{100 * yes / asked:.0f}%"
        if asked and asked_before and self.filters.compares:
            points = round(100 * yes / asked) - round(100 * yes_before / asked_before)
            change = _("%(points)s pts", points=_signed(points)) if points else _("no change")
            better = points > 0 if points else None
        settled = self.found.settled(self.span, self.now)
        below = _("of %(num)s asked", num=shell.count(asked))
        if settled and settled.last < self.span.last:
            below = _(
                "of %(num)s asked up to %(day)s",
                num=shell.count(asked),
                day=shell.day(settled.last, "d MMM"),
            )
        what = _(
            "Of the numbers that were asked on days that ended 72 hours ago or more, how many said"
            " yes. Whoever was asked later may still be thinking."
        )
        return Figure(_("Said yes to our text"), value, change, better, below, what)

    def _paused(self) -> Figure:
        what = _("Numbers with texts on that chose a break which has not ended yet.")
        soon = self.found.paused_soon
        below = ngettext(
            "%(num)s starts again within a week", "%(num)s start again within a week", soon
        )
        return Figure(_("Paused now"), shell.count(self.found.paused), "", None, below, what)

    def _figure(
        self, label: str, value: int, before: int, *, up_is_good: bool, what: str
    ) -> Figure:
        change, better, below = "", None, ""
        if self.filters.compares:
            change = _change(value, before)
            better = (value > before) is up_is_good if value != before else None
            below = _("%(num)s before", num=shell.count(before))
        return Figure(label, shell.count(value), change, better, below, what)

    # --- charts ---

    def bars(self) -> Bars:
        return charts.bars([Point(r.name, r.on, r.off, self._words(r)) for r in self.rows])

    def line(self) -> Line:
        said = [_("%(day)s: %(num)s on", day=r.name, num=shell.count(r.at_end)) for r in self.rows]
        rows = zip(self.rows, said, strict=True)
        return charts.line([Point(r.name, r.at_end, 0, words) for r, words in rows])

    def _words(self, row: Bar) -> str:
        on, off = shell.count(row.on), shell.count(row.off)
        words = _("%(day)s: %(on)s confirmed, %(off)s stopped", day=row.name, on=on, off=off)
        return str(words)

    @property
    def bars_title(self) -> str:
        titles: dict[str, str] = {
            "day": _("Confirmed and stopped, each day"),
            "week": _("Confirmed and stopped, each week"),
            "month": _("Confirmed and stopped, each month"),
        }
        return titles[self.span.unit]

    @property
    def bars_sentence(self) -> str:
        if self.is_quiet:
            return str(_("Nothing happened in these days."))
        on, off = shell.count(self.found.total("on")), shell.count(self.found.total("off"))
        sums = str(_("%(on)s confirmed and %(off)s stopped in all.", on=on, off=off))
        peak = max(self.rows, key=lambda row: row.on)
        if not peak.on:
            return sums
        most = _("Most confirmed: %(num)s, %(day)s.", num=shell.count(peak.on), day=peak.name)
        return f"{sums} {most}"

    @property
    def line_sentence(self) -> str:
        start = shell.count(self.found.on_at_end(self.before))
        end = shell.count(self.found.on_at_end())
        return str(_("From %(start)s to %(end)s in these days.", start=start, end=end))

    def _bar(self, bar: Span, end: int) -> Bar:
        days: dict[str, Any] = {"from": bar.first, "to": bar.last}
        link = url_for("admin_history.history", **days)
        on, off = self.found.total(standing.ON, bar), self.found.total(standing.OFF, bar)
        return Bar(self._name(bar), link, on, off, end)

    def _name(self, bar: Span) -> str:
        if self.span.unit == "month":
            return shell.day(bar.first, "MMM yyyy")
        name = shell.day(bar.first, "d MMM")
        week = self.span.unit == "week" and bar.length > 1
        return f"{name} – {shell.day(bar.last, 'd MMM')}" if week else name

    # --- filters ---

    def options(self, dimension: str) -> list[tuple[str, str]]:
        """The values that a filter offers, with its name for all of them first."""
        found = {value for value, sums in self.found.by.get(dimension, {}).items() if sums}
        known: dict[str, Iterable[str]] = {
            "place": self.names.sites,
            "kind": self.names.kinds,
            "country": config.current().countries,
            "language": config.LANGUAGES,
        }
        chosen = getattr(self.found.scope, dimension)
        values = (found | set(known[dimension]) | {chosen}) - {"", "*"}
        named = sorted((self.names.of(dimension, value), value) for value in values)
        return [("", _ALL[dimension]()), *((value, name) for name, value in named)]

    @property
    def chosen(self) -> dict[str, str]:
        values = {name: getattr(self.found.scope, name) for name in DIMENSIONS}
        return {name: "" if value == "*" else value for name, value in values.items()}

    # --- export ---

    def table(self) -> list[list[object]]:
        """All that is shown, as rows: the filters, the figures, the bars, the lists."""
        lines: list[list[object]] = [
            [_("From"), self.span.first, _("To"), self.span.last, _("Zone"), self.found.zone]
        ]
        lines += [[_FILTER_NAMES[name](), value] for name, value in self.chosen.items() if value]
        lines.append([])
        lines += [[figure.label, figure.value, figure.below] for figure in self.figures()]
        head = (_("Day"), _("Confirmed opt-ins"), _("Opt-outs"), _("Numbers with texts on"))
        lines += [[], list(head)]
        for bar, row in zip(self.span.cut(), self.rows, strict=True):
            days = bar.first if bar.length == 1 else f"{bar.first}/{bar.last}"
            lines.append([days, row.on, row.off, row.at_end])
        for title, rows in self.lists.every():
            lines += [[], [title], *([row.label, row.count] for row in rows)]
        return lines

    @property
    def everybody(self) -> list[Row]:
        return self.lists.everybody()

    @property
    def pending(self) -> int:
        return self.found.now[standing.STANDING, Status.PENDING]


_FILTER_NAMES: dict[str, Callable[[], str]] = {
    "place": lambda: str(_("Sign-up place")),
    "kind": lambda: str(_("Category")),
    "country": lambda: str(_("Country")),
    "language": lambda: str(_("Language")),
}
_ALL: dict[str, Callable[[], str]] = {
    "place": lambda: str(_("All places")),
    "kind": lambda: str(_("All categories")),
    "country": lambda: str(_("All countries")),
    "language": lambda: str(_("All languages")),
}


def _signed(number: int) -> str:
    return f"{'+' if number > 0 else '−'}{abs(number)}"


def _change(value: int, before: int) -> str:
    """The change in percent, with its sign; in words where there is none to give."""
    if not before and value:
        return str(_("new"))
    percent = round(100 * (value - before) / abs(before), 1) if before else 0
    if not percent:
        return str(_("no change"))
    shown = shell.count(round(abs(percent)) if abs(percent) >= 10 else abs(percent))
    return f"{'+' if percent > 0 else '−'}{shown}%"
