"""The admin log: who did what, and when. Everybody who works here may read it, nobody edits it."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from prefcenter.models_staff import Role
from prefcenter.staff import activity as log
from prefcenter.web import guards, htmx
from prefcenter.web.admin import log_words, shell

bp = Blueprint("admin_activity", __name__, url_prefix="/admin")

_FILTERS = ("who", "what", "about", "from", "to")
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters as they were typed, and as moments on the reader's clock."""

    typed: dict[str, str]
    since: datetime | None
    until: datetime | None
    errors: dict[str, str]


@bp.get("/activity")
@guards.role(Role.VIEWER)
def activity() -> Response:
    """Newest first, as the filters in the address say; `before` reads on from an entry."""
    wanted = _wanted()
    typed, before = wanted.typed, request.args.get("before", "")
    reads_on = before.isascii() and before.isdigit() and len(before) <= 18
    page = log.Page([], None)
    if not wanted.errors:
        page = log.newest(
            before=int(before) if reads_on else None,
            action=typed["what"],
            staff_name=typed["who"],
            subject=typed["about"],
            since=wanted.since,
            until=wanted.until,
        )
    return shell.render(
        "admin/activity.html",
        "admin/_activity_rows.html" if reads_on else "admin/_activity.html",
        status=422 if wanted.errors else 200,
        lines=log_words.told(page.entries),
        older=_address(typed | {"before": str(page.older)}) if page.older else "",
        newest=_address(typed) if reads_on else "",
        typed=typed,
        errors=wanted.errors,
        filtered=any(typed.values()),
        actions=[(action, words) for action, words in log_words.ACTIONS.items()],
    )


def _wanted() -> Wanted:
    typed = {name: _clean(request.args.get(name, "")) for name in _FILTERS}
    errors: dict[str, str] = {}
    first, last = _day(typed, "from", errors), _day(typed, "to", errors)
    if first and last and last < first:
        errors["to"] = _("This day is before the first one.")
    zone = ZoneInfo(guards.staff().zone)
    since = datetime.combine(first, time(), zone) if first else None
    until = datetime.combine(last + timedelta(days=1), time(), zone) if last else None
    return Wanted(typed, since, until, errors)


def _day(typed: dict[str, str], name: str, errors: dict[str, str]) -> date | None:
    if not typed[name]:
        return None
    try:
        found = date.fromisoformat(typed[name])
        if not 2000 <= found.year <= 2200:  # so that no zone carries it out of the calendar
            raise ValueError(typed[name])
    except ValueError:
        errors[name] = _("Write a day like 2026-11-24.")
        return None
    return found


def _clean(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:_LONGEST].strip()


def _address(typed: dict[str, str]) -> str:
    """This page with some of the filters; what is empty is left out."""
    query = urlencode({name: text for name, text in typed.items() if text})
    return htmx.in_language(url_for(".activity") + (f"?{query}" if query else ""))
