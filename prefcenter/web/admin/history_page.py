"""The page of the history, made of a page of events: rows in words, where to read on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, request
from flask_babel import gettext as _
from flask_babel import ngettext

from prefcenter.consent import sites
from prefcenter.upkeep import event_words, history, history_aids
from prefcenter.upkeep.event_words import Words
from prefcenter.upkeep.finding import Found
from prefcenter.upkeep.history import Filters, Page
from prefcenter.web import guards, htmx, snippets
from prefcenter.web.admin import history_filters, shell
from prefcenter.web.admin.history_filters import Asked


@dataclass(frozen=True, slots=True)
class Line:
    """An event as a row shows it; `person` has the number, which is masked there."""

    id: int
    at: datetime
    person: Any
    words: Words
    through: str
    by: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose number it is, as parts.number needs it."""

    public_id: str
    number: str | None


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed into the two forms beside the filters, and what is wrong with it."""

    number: str = ""
    number_error: str = ""
    found: Sequence[Found] | None = None
    reason: str = ""
    format: str = "csv"
    export_error: str = ""

    @property
    def status(self) -> int:
        return 422 if self.number_error or self.export_error else 200


NOTHING_TYPED = Typed()


def render(asked: Asked, typed: Typed = NOTHING_TYPED, *, status: int = 0) -> Response:
    """The page, its results, or only further rows where htmx reads on."""
    before = history.place(request.args.get("before", ""))
    after = history.place(request.args.get("after", ""))
    found, counted = Page([], None, None), ""
    if not asked.errors:
        try:
            found = history.page(asked.filters, before=before, after=after)
            counted = "" if before and htmx.wanted() else _counted(asked.filters)
        except history.TooLong:
            asked.errors["from"] = _("That takes too long. Choose fewer days, or fewer filters.")
    reads_on = before is not None
    latest = before is None and after is None
    wrong = 404 if "person" in asked.errors else 422 if asked.errors else typed.status
    context: dict[str, Any] = {
        "asked": asked,
        "typed": typed,
        "lines": lines(found.events),
        "older": asked.address(before=str(found.older)) if found.older else "",
        "newer": asked.address(after=str(found.newer)) if found.newer else "",
        "latest": latest,
        "partial": htmx.wanted(),
        "news": asked.address(".news", seen=str(history.newest_id())) if latest else "",
        "counted": counted,
    }
    fragment = "admin/_history_rows.html" if reads_on else "admin/_history.html"
    response = shell.render(
        "admin/history.html",
        fragment,
        status=status or wrong,
        choices=history_filters.choices(asked),
        snippet=_snippet() if not found.events and not asked.named else "",
        **context,
    )
    if htmx.wanted() and not reads_on:
        response.headers["HX-Push-Url"] = asked.address()
    return response


def lines(events: Sequence[Any]) -> list[Line]:
    kinds, places = history_filters.category_names(), history_filters.site_names()
    before, zone = history_aids.states_before(events), guards.staff().zone
    return [
        Line(
            id=event.id,
            at=event.at,
            person=Owner(event.person, event.number),
            words=event_words.describe(event, kinds, before=before.get(event.id), zone=zone),
            through=event_words.through(event, places),
            by=event_words.actor(event),
        )
        for event in events
    ]


def _counted(filters: Filters) -> str:
    """How many there are; beyond a thousand only that there are more."""
    number = history.count(filters, most=history.FEW + 1)
    words: str
    if number > history.FEW:
        words = _("More than %(number)s changes", number=shell.count(history.FEW))
    else:
        words = ngettext("%(num)s change", "%(num)s changes", number)
    return words


def _snippet() -> str:
    """What to paste into a website, while nobody has signed up yet."""
    for site in sites.every():
        if site.disabled_at is None:
            place = sites.find(site.key, now=site.created_at)
            return snippets.html(place, "element", place.language) if place else ""
    return ""
