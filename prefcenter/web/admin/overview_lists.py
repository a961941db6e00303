"""The overview's ranked lists: where people sign up, how they answer and stop, what they take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from prefcenter.models import EventKind, Source, Status
from prefcenter.upkeep import standing
from prefcenter.upkeep.figures import Figures
from prefcenter.web.admin import charts, overview_names
from prefcenter.web.admin.overview_names import Names

_MOST = 8
_ANSWERS = (
    *(standing.YES, standing.NO, standing.SILENT),
    *(standing.STOPPED, standing.GONE),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its words, its figure, its share of the longest in percent, where it leads."""

    label: str
    count: int
    share: float = 0.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One category: how many take it now, and who took or left it in these days."""

    name: str
    now: int
    on: int
    off: int


class Lists:
    """The lists of one scope and span."""

    def __init__(self, found: Figures, names: Names) -> None:
        self._found, self._names = found, names
        span = found.span
        self._days: dict[str, Any] = {"from": span.first.isoformat(), "to": span.last.isoformat()}

    def places(self) -> list[Row]:
        """Where the numbers that were turned on had asked for texts."""
        return self._by("place", standing.ON, self._names.place, self._place_link)

    def answers(self) -> list[Row]:
        """From request to yes, for those asked in these days."""
        asked = self._found.total(standing.ASKED)
        ended = {label: self._found.labels[standing.ANSWER, label] for label in _ANSWERS}
        rows = [Row(_("Asked for texts"), asked)]
        rows += [Row(overview_names.answer(label), count) for label, count in ended.items()]
        rows.append(Row(_("Not answered yet"), asked - sum(ended.values())))
        return _with_shares([row for row in rows if row.count or row is rows[0]])

    def stops(self) -> list[Row]:
        """How the numbers that were turned off did it."""
        pairs = [
            (label, count) for (what, label), count in self._found.labels.items() if what == "off"
        ]
        rows = [
            Row(overview_names.way_to_stop(label), count, link=self._stop_link(label))
            for label, count in pairs
        ]
        return _ranked(rows)

    def kinds(self) -> list[Kind]:
        """Categories in their order: taken now, and taken up and dropped in these days."""
        sums = self._found.by.get("kind", {})
        order = [*self._names.kinds, *sorted(set(sums) - set(self._names.kinds))]
        found = [
            Kind(self._names.of("kind", slug), s["now"], s["on"], s["off"])
            for slug in order
            if (s := sums.get(slug)) is not None and any(s.values())
        ]
        return found

    def frequencies(self) -> list[Row]:
        """How often, at most, the numbers that are on want texts now."""
        pairs = [
            (label, count)
            for (what, label), count in self._found.now.items()
            if what == standing.FREQUENCY
        ]
        return _ranked([Row(overview_names.frequency(label), count) for label, count in pairs])

    def countries(self) -> list[Row]:
        return self._by("country", "now", self._names.country)

    def languages(self) -> list[Row]:
        return self._by("language", "now", self._names.language)

    def doors(self) -> list[Row]:
        """By which kind of door the numbers that were turned on came."""
        words = {
            Source.WIDGET: _("Form in a website"),
            Source.FORM: _("Page of our own"),
            Source.SMS: _("Text to our number"),
            Source.API: _("Another program"),
            Source.PREFERENCE_PAGE: _("An old link"),
            Source.IMPORT: _("Import"),
            Source.ADMIN: _("Entered by staff"),
            standing.UNDONE: _("Undid a stop"),
            standing.CHOSEN: _("Chose this category later"),
        }
        return _ranked(
            [
                Row(words.get(label, label), count)
                for (what, label), count in self._found.labels.items()
                if what == standing.ON
            ]
        )

    def everybody(self) -> list[Row]:
        """How all numbers stand now."""
        now = self._found.now
        words = [
            (Status.SUBSCRIBED, _("Texts on")),
            (Status.PENDING, _("Asked, not yet confirmed")),
            (Status.UNSUBSCRIBED, _("Stopped")),
            (Status.NOT_SUBSCRIBED, _("Never confirmed")),
            (Status.REDACTED, _("Erased")),
        ]
        return _with_shares(
            [Row(name, now[standing.STANDING, status.value]) for status, name in words]
        )

    def every(self) -> list[tuple[str, list[Row]]]:
        """All lists with their titles, for the export."""
        kinds = [Row(kind.name, kind.now) for kind in self.kinds()]
        return [
            (_("How everybody stands now"), [*self.everybody(), *self.apart()]),
            (_("Where people sign up"), self.places()),
            (_("By which door"), self.doors()),
            (_("From request to yes"), self.answers()),
            (_("How people stop"), self.stops()),
            (_("Categories"), kinds),
            (_("How often, at most"), self.frequencies()),
            (_("Countries"), self.countries()),
            (_("Languages"), self.languages()),
        ]

    def apart(self) -> list[Row]:
        """What is counted for the whole shop, whatever the filters say."""
        return [
            Row(_("Suppressed"), self._found.suppressed),
            Row(_("Unreachable"), self._found.unreachable),
        ]

    def _by(
        self,
        dimension: str,
        what: str,
        name: Callable[[str], str],
        link: Callable[[str], str] = lambda _value: "",
    ) -> list[Row]:
        sums = self._found.by.get(dimension, {})
        return _ranked([Row(name(value), s[what], link=link(value)) for value, s in sums.items()])

    def _place_link(self, place: str) -> str:
        if place not in self._names.sites:
            return ""
        return url_for("admin_history.history", site=place, what=EventKind.REQUESTED, **self._days)

    def _stop_link(self, label: str) -> str:
        if label not in set(Source):
            return ""
        return url_for("admin_history.history", what=EventKind.REVOKED, through=label, **self._days)


def _ranked(rows: list[Row]) -> list[Row]:
    """The largest first; what is beyond the eighth together, last."""
    rows = sorted((row for row in rows if row.count > 0), key=lambda row: (-row.count, row.label))
    if len(rows) > _MOST:
        rest = sum(row.count for row in rows[_MOST - 1 :])
        rows = [*rows[: _MOST - 1], Row(_("Others"), rest)]
    return _with_shares(rows)


def _with_shares(rows: list[Row]) -> list[Row]:
    shares = charts.shares([row.count for row in rows])
    return [
        Row(row.label, row.count, share, row.link) for row, share in zip(rows, shares, strict=True)
    ]
