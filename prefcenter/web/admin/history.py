"""The history: every change of anybody's consent, newest first, and the way to take it along.

Filters stand in the address, so that it can be shared; a number is typed into a form that
posts and becomes the person's public id there (SEC-44).
"""

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_exports import ExportKind
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.upkeep import exporting, finding, history
from prefcenter.web import guards, htmx
from prefcenter.web.admin import export_answer, history_filters, history_page, shell, typed
from prefcenter.web.admin.history_page import Typed

bp = Blueprint("admin_history", __name__, url_prefix="/admin")

_LONGEST_ID = 18


@bp.get("/history", endpoint="history")
@guards.role(Role.VIEWER)
def show() -> Response:
    return history_page.render(history_filters.read(request.args))


@bp.get("/history/new")
@guards.role(Role.VIEWER, quiet=True)
def news() -> BaseResponse:
    """How many changes came since the page was opened; nothing where none did."""
    asked, seen = history_filters.read(request.args), request.args.get("seen", "")
    if not htmx.wanted():
        return htmx.see_other(asked.address())
    known = seen.isascii() and seen.isdigit() and len(seen) <= _LONGEST_ID
    number = history.newer(asked.filters, int(seen)) if known and not asked.errors else 0
    if not number:
        return Response(status=204)
    words = ngettext("%(num)s new change", "%(num)s new changes", number)
    return shell.render("admin/_history_new.html", number=words, address=asked.address())


@bp.post("/history/number")
@guards.role(Role.VIEWER)
def find() -> BaseResponse:
    """One person's changes, by their number or its last four digits; kept in the admin log."""
    asked, given = history_filters.read(request.form), typed.text("number")[:60]
    wanted = finding.read_typed(given)
    if wanted is None:
        error = _("Type a whole number, or its last four digits.")
        return history_page.render(asked, Typed(number=given, number_error=error))
    found = finding.find(wanted)  # may scan all numbers: before the lock
    guards.begin_staff_write()
    details = {"number": wanted.masked, "found": min(len(found), finding.MOST)}
    activity.record(guards.staff(), "number_searched", details=details, now=clock.now())
    db.session.commit()
    if len(found) == 1:
        return htmx.see_other(asked.address(person=found[0].public_id))
    return history_page.render(asked, Typed(number=given, found=found))


@bp.post("/history/export")
@guards.role(Role.OWNER)
def export() -> BaseResponse:
    """What the filters show, as a file with whole numbers; noted before it starts (SEC-44)."""
    asked = history_filters.read(request.form)
    taken = export_answer.wish()
    if asked.errors or taken.error:
        said = Typed(reason=taken.reason, format=taken.format.value, export_error=taken.error)
        return history_page.render(asked, said)
    return export_answer.send(
        ExportKind.HISTORY, taken, lambda: exporting.events(asked.filters), asked.named
    )
