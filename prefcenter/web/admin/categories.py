"""The kinds of text that people choose from: their words, their order, and their end."""

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.consent import catalog, offering
from prefcenter.consent.offering import StillNeeded
from prefcenter.database import db
from prefcenter.models import Category
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.web import guards, htmx, pages
from prefcenter.web.admin import category_form, log_words, shell, typed

bp = Blueprint("admin_categories", __name__, url_prefix="/admin")


@bp.get("/categories")
@guards.role(Role.VIEWER)
def categories() -> Response:
    """All of them, in the order in which people see them; the retired ones below."""
    return _list()


@bp.route("/categories/add", methods=["GET", "POST"])
@guards.role(Role.EDITOR)
def add() -> BaseResponse:
    """One more, behind the others."""
    if request.method == "GET":
        return _form(None, category_form.of(None), {})
    form = category_form.read()
    guards.begin_staff_write()
    catalog.hold_all()
    errors = category_form.errors(form) or category_form.slug_errors(form.values["slug"])
    if errors:
        return _form(None, form, errors)
    now, values = clock.now(), category_form.values(form, None)
    kind = catalog.add(form.values["slug"], **values)
    said = {name: [None, value] for name, value in offering.said(kind).items()}
    activity.record(guards.staff(), "category_added", subject=kind.slug, details=said, now=now)
    db.session.commit()
    return shell.done(url_for(".categories"), _("%(name)s was added.", name=kind.name))


@bp.get("/categories/<slug>/change")
@guards.role(Role.EDITOR)
def show(slug: str) -> Response:
    kind = _known(slug)
    return _form(kind, category_form.of(kind), {})


@bp.post("/categories/<slug>/change")
@guards.role(Role.EDITOR)
def change(slug: str) -> BaseResponse:
    """Other words or rules, unless somebody saved since the form was opened.

    The slug stays, because the ledger names it.
    """
    guards.begin_staff_write()
    catalog.hold_all()
    kind, form = _known(slug), category_form.read()
    if errors := category_form.errors(form):
        return _form(kind, form, errors)
    if typed.text("opened") != typed.opened(offering.said(kind)):
        return _form(kind, form, {}, overtaken=True)
    try:
        changes = offering.change(kind, **category_form.values(form, kind))
    except StillNeeded as error:
        return _form(kind, form, {"public": _needed(error)})
    if not changes:
        return shell.done(url_for(".categories"), _("Nothing was changed."))
    activity.record(
        guards.staff(), "category_changed", subject=slug, details=changes, now=clock.now()
    )
    db.session.commit()
    return shell.done(url_for(".categories"), _("%(name)s was changed.", name=kind.name))


@bp.post("/categories/<slug>/move")
@guards.role(Role.EDITOR)
def move(slug: str) -> BaseResponse:
    """One place up or down on the pages where people choose."""
    guards.begin_staff_write()
    kind, way = _known(slug), "up" if request.form.get("way") == "up" else "down"
    before = _place(kind)
    if offering.move(kind, up=way == "up"):
        details = {"position": [before, _place(kind)]}
        activity.record(
            guards.staff(), "category_moved", subject=slug, details=details, now=clock.now()
        )
        db.session.commit()
    sentence = _("%(name)s is in place %(number)s.", name=kind.name, number=_place(kind))
    if htmx.wanted():
        return _list(note=sentence, focus=(slug, way))
    return shell.done(url_for(".categories"), sentence)


@bp.get("/categories/<slug>/retire")
@guards.role(Role.EDITOR)
def before_retiring(slug: str) -> BaseResponse:
    """What it means, before the button that does it."""
    kind = _known(slug)
    if kind.retired_at is not None:
        return shell.done(url_for(".categories"), _("%(name)s is retired already.", name=kind.name))
    return _confirm(kind)


@bp.post("/categories/<slug>/retire")
@guards.role(Role.EDITOR)
def retire(slug: str) -> BaseResponse:
    """Offer it nowhere from now on; records keep it."""
    guards.begin_staff_write()
    kind, now = _known(slug), clock.now()
    try:
        ended = offering.retire(kind, now=now)
    except StillNeeded as error:
        return _confirm(kind, _needed(error))
    if ended:
        people = offering.takers().get(slug, 0)
        activity.record(
            guards.staff(), "category_retired", subject=slug, details={"people": people}, now=now
        )
        db.session.commit()
    return shell.done(url_for(".categories"), _("%(name)s is retired.", name=kind.name))


@bp.post("/categories/<slug>/restore")
@guards.role(Role.EDITOR)
def restore(slug: str) -> BaseResponse:
    """Offer it again, also to those who took it."""
    guards.begin_staff_write()
    kind, now = _known(slug), clock.now()
    if offering.restore(kind):
        activity.record(guards.staff(), "category_restored", subject=slug, now=now)
        db.session.commit()
    sentence = _("%(name)s is offered again.", name=kind.name)
    return _list(note=sentence) if htmx.wanted() else shell.done(url_for(".categories"), sentence)


def _list(*, note: str = "", focus: tuple[str, str] = ("", "")) -> Response:
    """`focus` names the category that was moved and its button that was pressed."""
    every = catalog.every()
    return shell.render(
        "admin/categories.html",
        "admin/_categories.html",
        offered=[kind for kind in every if kind.retired_at is None],
        retired=[kind for kind in every if kind.retired_at is not None],
        takers=offering.takers(),
        language_names=pages.LANGUAGE_NAMES,
        news=note,
        focus=focus,
    )


def _form(
    kind: Category | None,
    form: category_form.Filled,
    errors: dict[str, str],
    *,
    overtaken: bool = False,
) -> Response:
    """The form as it was filled in; of a category also how it was changed before.

    `overtaken`: somebody else has saved since it was opened.
    """
    as_now = overtaken or request.method == "GET"
    return shell.render(
        "admin/category.html",
        status=409 if overtaken else 422 if errors else 200,
        kind=kind,
        form=form,
        opened=typed.opened(offering.said(kind)) if kind and as_now else typed.text("opened"),
        overtaken=overtaken,
        errors=errors,
        languages=category_form.languages(kind),
        language_names=pages.LANGUAGE_NAMES,
        lines=log_words.about(kind.slug, "category_") if kind else [],
    )


def _confirm(kind: Category, fault: str = "") -> Response:
    count = offering.takers().get(kind.slug, 0)
    return shell.render(
        "admin/category_retire.html",
        status=409 if fault else 200,
        kind=kind,
        fault=fault,
        people=ngettext("%(num)s person takes it.", "%(num)s people take it.", count),
        keywords=offering.keywords_for(kind.slug),
        sites=[site.name for site in offering.sites_naming(kind)],
    )


def _known(slug: str) -> Category:
    return catalog.find(slug) or abort(404)


def _place(kind: Category) -> int:
    kinds = [one for one in catalog.every() if one.retired_at is None]
    return kinds.index(kind) + 1 if kind in kinds else 0


def _needed(error: StillNeeded) -> str:
    words: str = _(
        "The form of %(sites)s offers nothing else. Give it another category first.",
        sites=", ".join(error.sites),
    )
    return words
