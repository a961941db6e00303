"""How a file leaves: noted and committed first, then sent piece by piece with nothing open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import Response, request, stream_with_context
from flask_babel import gettext as _

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_exports import ExportKind
from prefcenter.upkeep import exports
from prefcenter.upkeep.export_files import Format
from prefcenter.upkeep.exporting import Content, NotNow
from prefcenter.web import guards
from prefcenter.web.admin import shell, typed


@dataclass(frozen=True, slots=True)
class Wish:
    """Why a file is wanted and in which form; `error` says what is missing."""

    reason: str
    format: Format
    error: str = ""


def wish() -> Wish:
    """What the form says."""
    reason = typed.text("reason")[:300]
    format_ = Format.NDJSON if request.form.get("format") == Format.NDJSON else Format.CSV
    error = "" if reason else _("Say why; it is kept in the admin log.")
    return Wish(reason, format_, error)


def send(
    kind: ExportKind, wanted: Wish, content: Callable[[], Content], filters: Mapping[str, str]
) -> Response:
    """The file as an attachment, or a page that says why not now."""
    now = clock.now()
    try:
        found = content()
    except NotNow:
        return _later(_("The ledger is being written to without a break. Try again in a minute."))
    order = exports.Order(kind, wanted.format, guards.staff(), wanted.reason, filters)
    guards.begin_staff_write()
    if exports.running(now=now) >= exports.MOST_AT_ONCE:
        db.session.rollback()
        return _later(_("Other exports are going out now. Try again when one of them is done."))
    export_id = exports.start(order, found.total, now=now)
    db.session.commit()
    db.session.remove()  # nothing stays open while somebody reads
    pieces = exports.write(export_id, wanted.format, found, clock.now)
    response = Response(stream_with_context(pieces), mimetype=wanted.format.mimetype)
    name = f"{kind.value}-{now:%Y-%m-%d-%H%M}.{wanted.format.value}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _later(sentence: str) -> Response:
    response = shell.render("admin/export_later.html", status=503, sentence=sentence)
    response.headers["Retry-After"] = "60"
    return response
