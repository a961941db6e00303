"""The files that were taken out, how far each got, and the ones that can be taken here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, phone
from prefcenter.models_exports import ExportKind, ExportState
from prefcenter.models_staff import Role
from prefcenter.upkeep import audience, exporting, exports
from prefcenter.upkeep.exporting import Content
from prefcenter.upkeep.history import Filters
from prefcenter.web import guards, htmx
from prefcenter.web.admin import export_answer, history_filters, shell, typed
from prefcenter.web.admin.export_answer import Wish

bp = Blueprint("admin_exports", __name__, url_prefix="/admin")

KINDS: dict[ExportKind, Any] = {
    ExportKind.HISTORY: _l("History"),
    ExportKind.LEDGER: _l("Whole ledger"),
    ExportKind.AUDIENCE: _l("Audience"),
    ExportKind.SUPPRESSIONS: _l("Numbers that get nothing"),
}
STATES: dict[ExportState, tuple[Any, str]] = {
    ExportState.RUNNING: (_l("Going out"), "accent"),
    ExportState.DONE: (_l("Done"), "ok"),
    ExportState.BROKEN_OFF: (_l("Broken off"), "warn"),
    ExportState.FAILED: (_l("Failed"), "bad"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A file as a row shows it. Everybody reads the reason, so no number stands in it."""

    row: Any
    reason: str
    kind: str
    state: str
    tag: str
    running: bool
    filters: dict[str, str]


@bp.get("/exports", endpoint="exports")
@guards.role(Role.VIEWER)
def show() -> Response:
    return _page()


@bp.get("/exports/list")
@guards.role(Role.VIEWER, quiet=True)
def listed() -> BaseResponse:
    """The list alone, which asks for itself again while a file goes out; else its page."""
    if not htmx.wanted():
        return htmx.see_other(url_for(".exports"))
    return shell.render("admin/_exports.html", **_list())


@bp.post("/exports/audience")
@guards.role(Role.OWNER)
def take_audience() -> BaseResponse:
    """Whoever may be texted now."""
    now, category = clock.now(), typed.text("category")[:40]
    if category and not audience.is_category(category):
        abort(404)
    filters = {"category": category} if category else {}
    return _take(ExportKind.AUDIENCE, lambda: audience.audience(category, now=now), filters)


@bp.post("/exports/suppressions")
@guards.role(Role.OWNER)
def take_suppressions() -> BaseResponse:
    """Whoever must get nothing, by keyed hash alone."""
    return _take(ExportKind.SUPPRESSIONS, audience.suppressions, {})


@bp.post("/exports/ledger")
@guards.role(Role.OWNER)
def take_ledger() -> BaseResponse:
    """Every event, oldest first."""
    return _take(ExportKind.LEDGER, lambda: exporting.events(Filters(), oldest_first=True), {})


def _take(
    kind: ExportKind, content: Callable[[], Content], filters: dict[str, str]
) -> BaseResponse:
    taken = export_answer.wish()
    if taken.error:
        return _page(kind, taken, filters.get("category", ""))
    return export_answer.send(kind, taken, content, filters)


def _page(
    kind: ExportKind | None = None, taken: Wish | None = None, category: str = ""
) -> Response:
    names = history_filters.category_names()
    return shell.render(
        "admin/exports.html",
        status=422 if taken else 200,
        wrong=kind.value if kind else "",
        taken=taken,
        category=category,
        categories=[("", _("Every category")), *names.items()],
        most=exports.MOST_AT_ONCE,
        **_list(),
    )


def _list() -> dict[str, Any]:
    now = clock.now()
    found = []
    for row in exports.newest():
        state = exports.state_of(row, now=now)
        words, tag = STATES[state]
        running = state is ExportState.RUNNING
        reason, kind = phone.mask_within(row.reason), str(KINDS[row.kind])
        found.append(Line(row, reason, kind, str(words), tag, running, row.filters))
    return {"files": found, "going": any(line.running for line in found)}
