"""Sites, the places where people sign up: what they say and offer, and what to paste there."""

from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config
from prefcenter.consent import breaker, catalog, offering
from prefcenter.consent import sites as rules
from prefcenter.consent.sites import Place
from prefcenter.database import db
from prefcenter.models import BreakerScope, Site
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.web import guards, htmx, pages, preview, snippets
from prefcenter.web.admin import breakers, log_words, shell, site_form, theme, typed
from prefcenter.web.admin.site_form import Filled

bp = Blueprint("admin_sites", __name__, url_prefix="/admin")

_KEEP_DAYS = 30
_LONGEST_KEEP = 3650


@bp.get("/sites")
@guards.role(Role.VIEWER)
def sites() -> Response:
    """All of them, also those that are off."""
    now = clock.now()
    open_keys = {one.key for one in breaker.open_now(now=now) if one.scope is BreakerScope.SITE}
    return shell.render(
        "admin/sites.html",
        sites=[
            pages.view(site=site, breaker=site.slug in open_keys, empty=_offers_nothing(site))
            for site in rules.every()
        ],
    )


@bp.get("/sites/<slug>")
@guards.role(Role.VIEWER)
def site(slug: str) -> Response:
    """One site: what it is, what to paste, its keys, and how it was changed."""
    found, now = _known(slug), clock.now()
    place = rules.find(found.key, now=now)
    return shell.render(
        "admin/site.html",
        site=found,
        place=place,
        snippets=_snippets(place) if place else [],
        former=rules.former_keys(found, now=now),
        breakers=breakers.open_ones(site=slug, now=now),
        empty=_offers_nothing(found),
        names={kind.slug: kind for kind in site_form.to_choose(found)},
        looks=theme.of(found.color, found.color_dark),
        lines=log_words.about(slug, "site_"),
        language_names=pages.LANGUAGE_NAMES,
        usual_budget=config.current().site_texts_per_day,
    )


@bp.route("/add-site", methods=["GET", "POST"])
@guards.role(Role.EDITOR)
def add() -> BaseResponse:
    """Open a site. Its short name stands in addresses and records and never changes."""
    if request.method == "GET":
        return _form(None, site_form.of(None))
    guards.begin_staff_write()
    form, now = site_form.read(), clock.now()
    if form.errors or _only_looks():
        return _form(None, form)
    try:
        values = site_form.values(form)
        found = rules.add(form.values["slug"], now=now, **values)
    except ValueError:
        form.errors["slug"] = _(
            "Use lower-case letters, digits and dashes, such as web-shop, and no name that a site"
            " has or had."
        )
        return _form(None, form)
    said = {name: [None, value] for name, value in rules.said(found).items()}
    activity.record(guards.staff(), "site_added", subject=found.slug, details=said, now=now)
    db.session.commit()
    return shell.done(url_for(".site", slug=found.slug), _("%(name)s was added.", name=found.name))


@bp.get("/sites/<slug>/change")
@guards.role(Role.EDITOR)
def show(slug: str) -> Response:
    found = _known(slug)
    return _form(found, site_form.of(found))


@bp.post("/sites/<slug>/change")
@guards.role(Role.EDITOR)
def change(slug: str) -> BaseResponse:
    """Other values, unless somebody saved since the form was opened; the short name stays."""
    guards.begin_staff_write()
    catalog.hold_all()  # its categories, and two editors of one site
    found, form = _known(slug), site_form.read()
    if form.errors or _only_looks():
        return _form(found, form)
    before = rules.said(found)
    if typed.text("opened") != typed.opened(before):
        return _form(found, form, overtaken=True)
    rules.change(found, **site_form.values(form))
    changes = offering.differences(before, rules.said(found))
    here = url_for(".site", slug=slug)
    if not changes:
        return shell.done(here, _("Nothing was changed."))
    activity.record(guards.staff(), "site_changed", subject=slug, details=changes, now=clock.now())
    db.session.commit()
    return shell.done(here, _("%(name)s was changed.", name=found.name))


@bp.get("/site-theme")
@guards.role(Role.VIEWER)
def colours() -> BaseResponse:
    """What is made of a colour, while it is typed; it is no page of its own."""
    if not htmx.wanted():
        return htmx.see_other(url_for(".sites"))
    one, other = (request.args.get(name, "")[:40] for name in ("color", "color_dark"))
    return shell.render("admin/_theme.html", looks=theme.of(one, other))


@bp.get("/sites/<slug>/disable")
@guards.role(Role.EDITOR)
def before_disabling(slug: str) -> BaseResponse:
    """What it means, before the button that does it."""
    found = _known(slug)
    if found.disabled_at is not None:
        return shell.done(url_for(".site", slug=slug), _("%(name)s is off.", name=found.name))
    return shell.render("admin/site_disable.html", site=found)


@bp.post("/sites/<slug>/disable")
@guards.role(Role.EDITOR)
def disable(slug: str) -> BaseResponse:
    guards.begin_staff_write()
    found, now = _known(slug), clock.now()
    if found.disabled_at is None:
        rules.disable(found, now=now)
        activity.record(guards.staff(), "site_disabled", subject=slug, now=now)
        db.session.commit()
    return shell.done(url_for(".site", slug=slug), _("%(name)s is off.", name=found.name))


@bp.post("/sites/<slug>/enable")
@guards.role(Role.EDITOR)
def enable(slug: str) -> BaseResponse:
    guards.begin_staff_write()
    found = _known(slug)
    if found.disabled_at is not None:
        rules.enable(found)
        activity.record(guards.staff(), "site_enabled", subject=slug, now=clock.now())
        db.session.commit()
    return shell.done(url_for(".site", slug=slug), _("%(name)s is on.", name=found.name))


@bp.get("/sites/<slug>/rotate")
@guards.role(Role.EDITOR)
def before_rotating(slug: str) -> Response:
    """For how long the old key shall work, and what to do meanwhile."""
    return shell.render(
        "admin/site_rotate.html", site=_known(slug), days=str(_KEEP_DAYS), errors={}
    )


@bp.post("/sites/<slug>/rotate")
@guards.role(Role.EDITOR)
def rotate(slug: str) -> BaseResponse:
    """A new key for its addresses; the old one works for as many days as asked."""
    guards.begin_staff_write()
    found, now, days = _known(slug), clock.now(), typed.text("days")
    try:
        keep = typed.number(days, longest=4)
        if keep is None or keep > _LONGEST_KEEP:
            raise ValueError(days)
    except ValueError:
        errors = {"days": _("Type a number of days from 0 to 3650.")}
        return shell.render(
            "admin/site_rotate.html", status=422, site=found, days=days, errors=errors
        )
    before, until = found.key, now + timedelta(days=keep)
    after = rules.rotate(found, keep=timedelta(days=keep), now=now)
    details = {"key": [before, after], "until": shell.iso(until)}
    activity.record(guards.staff(), "site_rotated", subject=slug, details=details, now=now)
    db.session.commit()
    return shell.done(
        url_for(".site", slug=slug), _("The new key is %(key)s. Paste the lines again.", key=after)
    )


@bp.get("/sites/<slug>/preview")
@guards.role(Role.VIEWER)
def previews(slug: str) -> Response:
    """The widget in five typical pages of others."""
    place = _enabled(slug)
    chosen = {"kind": preview.kind_asked(), "lang": _language(place)}
    query = urlencode(chosen)
    return shell.render(
        "admin/site_preview.html",
        place=place,
        kinds=preview.KINDS,
        languages=[(code, pages.LANGUAGE_NAMES[code]) for code in config.LANGUAGES],
        chosen=chosen,
        hosts=[
            pages.view(host=one, at=f"{url_for('.host', slug=slug, number=number)}?{query}")
            for number, one in enumerate(preview.HOSTS, 1)
        ],
    )


@bp.get("/sites/<slug>/preview/<int:number>")
@guards.role(Role.VIEWER)
def host(slug: str, number: int) -> Response:
    """One of these pages, alone."""
    return preview.page(_enabled(slug), number)


def _form(site: Site | None, form: Filled, *, overtaken: bool = False) -> Response:
    """The form as it was filled in. `overtaken`: somebody else has saved since it was opened."""
    settings = config.current()
    as_now = overtaken or request.method == "GET"
    return shell.render(
        "admin/site_form.html",
        status=409 if overtaken else 422 if form.errors else 200,
        site=site,
        form=form,
        opened=typed.opened(rules.said(site)) if site and as_now else typed.text("opened"),
        overtaken=overtaken,
        lines=log_words.about(site.slug, "site_") if site and overtaken else [],
        errors=form.errors,
        kinds=site_form.to_choose(site),
        languages=[(code, pages.LANGUAGE_NAMES[code]) for code in config.LANGUAGES],
        countries=[(code, theme.country(code)) for code in settings.countries],
        looks=theme.of(form.values["color"], form.values["color_dark"]),
        usual_budget=settings.site_texts_per_day,
    )


def _only_looks() -> bool:
    """The button that shows the colours and saves nothing, for browsers without scripts."""
    return request.form.get("look") == "yes"


def _snippets(place: Place) -> list[SimpleNamespace]:
    """Each way in: its name, the lines to paste, and what the page around them needs."""
    names = {
        "element": _("Element: the form is drawn in your page"),
        "frame": _("Frame: our page inside yours"),
        "form": _("Plain form: no script at all"),
        "field": _("Field: a box in a form of yours"),
    }
    return [
        pages.view(
            name=names[kind],
            html=snippets.html(place, kind, place.language),
            style=snippets.style(place, kind, place.language),
            policy=snippets.policy(kind),
            twin=snippets.twin(place) if "script-src" in snippets.NEEDS[kind] else "",
        )
        for kind in snippets.KINDS
    ]


def _offers_nothing(site: Site) -> bool:
    """It names categories, and all of them were retired or made private."""
    return bool(site.categories) and not catalog.still_offered(site.categories)


def _known(slug: str) -> Site:
    try:
        return rules.by_slug(slug)
    except ValueError:
        abort(404)


def _enabled(slug: str) -> Place:
    return rules.find(_known(slug).key, now=clock.now()) or abort(404)


def _language(place: Place) -> str:
    asked = request.args.get("lang", "")
    return asked if asked in config.LANGUAGES else place.language
