"""Admin pages: the overview, its export and its health strip."""

from typing import Any

from babel.numbers import format_compact_decimal
from flask import Blueprint, Response, request, url_for
from flask_babel import get_locale

from prefcenter import clock
from prefcenter.consent import sites
from prefcenter.models_staff import Role
from prefcenter.upkeep import counted, export_files
from prefcenter.upkeep.export_files import Format
from prefcenter.web import guards, htmx, snippets
from prefcenter.web.admin import filters_of_overview, health, overview_latest, shell
from prefcenter.web.admin.filters_of_overview import Filters
from prefcenter.web.admin.overview_view import View

bp = Blueprint("admin_overview", __name__, url_prefix="/admin")

_WHOLE = 10_000


@bp.get("/")
@guards.role(Role.VIEWER)
def overview() -> Response:
    """How consent is doing. Everything that chooses what is shown stands in the address."""
    filters, view, latest = _look()
    partial = htmx.wanted()
    return shell.render(
        "admin/overview.html",
        "admin/_overview_results.html",
        status=422 if filters.error else 200,
        filters=filters,
        view=view,
        latest=latest,
        signs=[] if partial else health.look(clock.now()),
        partial=partial,
        snippet=_snippet() if view.is_new else "",
        here=url_for("admin_overview.overview"),
    )


@bp.get("/overview.csv")
@guards.role(Role.VIEWER)
def download() -> Response:
    """The figures that the page shows with the same filters; no number of a person."""
    filters, view, _latest = _look()
    rows = [[cell if isinstance(cell, int) else str(cell) for cell in row] for row in view.table()]
    table = "\ufeff".encode() + export_files.body(Format.CSV, (), rows)
    days = f"{filters.span.first}_{filters.span.last}"
    name = f'attachment; filename="overview_{days}.csv"'
    response = Response(table, mimetype="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = name
    return response


@bp.get("/health")
@guards.role(Role.VIEWER, quiet=True)
def health_strip() -> Response:
    """The strip alone, which the page asks for again and again; a whole page without htmx."""
    return shell.render("admin/health.html", "admin/_health.html", signs=health.look(clock.now()))


@bp.app_template_filter("short_count")
def short_count(number: int) -> str:
    """A figure beside a chart: whole, or as 120K where there is no room for it."""
    if number < _WHOLE:
        return shell.count(number)
    return format_compact_decimal(number, locale=str(get_locale() or "en"), fraction_digits=1)


def _snippet() -> str:
    """What to paste for the first site that takes sign-ups; empty where there is none."""
    for site in sites.every():
        place = sites.find(site.key, now=clock.now())
        if place is not None:
            return snippets.html(place, "element", str(get_locale() or "en"))
    return ""


def _look() -> tuple[Filters, View, list[Any]]:
    """What the address asks for, all as of one moment."""
    now = clock.now()
    with counted.one_moment() as connection:
        filters = filters_of_overview.read(request.args, counted.today(connection, now))
        found = counted.read(connection, filters.scope, filters.span, now=now)
        latest = overview_latest.newest(connection)
    return filters, View(found, filters, now), latest
