"""The widget in five typical pages of others, to look at and to try: in development at
/dev/widget, elsewhere for signed-in staff (web/admin/sites.py).

Where the site lists another name of this machine, those pages are on that origin, as in real
life. Each has a strict policy of its own, with what `prefcenter site snippet` says it needs.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, Response, abort, current_app, make_response, render_template, request
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from prefcenter import clock, config
from prefcenter.consent import sites
from prefcenter.consent.sites import Place
from prefcenter.web import assets, origins, pages, snippets

bp = Blueprint("preview", __name__)

PATH = "/dev/widget"
DEMO = "demo"  # the site to begin with, where it is there
KINDS = {"element": _l("Element"), "frame": _l("Frame"), "form": _l("Plain form")}
_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Host:
    """A page of somebody else. `look` names its template and its style sheet."""

    look: str
    name: str
    about: str
    attributes: str = ""  # what its owner wrote into the element
    column: int | None = None  # px, where it is not as wide as the page


HOSTS = (
    Host("light", _l("Light shop"), _l("Always light, so it says theme=light."), 'theme="light"'),
    Host("dark", _l("Dark page"), _l("Always dark, with theme=dark and a font of its own."),
         'theme="dark" source="tour"'),
    Host("rtl", _l("Right to left"), _l("An Arabic page. The widget has the site's language.")),
    Host("narrow", _l("Narrow column"), _l("280 px beside an article, under a heading of its own."),
         'heading="3"', column=280),
    Host("strict", _l("Hostile styles, strict policy"),
         _l("Everything is unset, and only what the guide names is allowed.")),
)  # fmt: skip


@bp.get("/dev/widget")
def index() -> Response:
    """All five, or what to do where there is no site to show."""
    keys = [site.key for site in sites.every() if site.disabled_at is None]
    asked = request.args.get("site", "")
    shown = asked or next((key for key in (DEMO, *keys) if key in keys), "")
    place = sites.find(shown, now=clock.now())
    css = assets.current().css + Markup(_css("index"))
    elsewhere = _elsewhere(place) if place else ""
    html = render_template(
        "dev/preview.html",
        inline_css=css,
        place=place,
        asked=asked,
        keys=keys,
        here=PATH,
        kinds=KINDS,
        kind=kind_asked(),
        with_=_with,
        hosts=[
            pages.view(host=host, at=f"{elsewhere}{PATH}/{number}{_with(site=shown)}")
            for number, host in enumerate(HOSTS, 1)
        ],
        origin=elsewhere or origins.ours()[0],
    )
    response = make_response(html, 404 if asked and place is None else 200)
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {assets.source_of(css)}; script-src 'self';"
        f" connect-src 'self'; img-src 'self' data:; frame-src 'self' {elsewhere};"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return response


@bp.get("/dev/widget/<int:number>")
def host(number: int) -> Response:
    """One of them, with the snippet as its owner pasted it."""
    place = sites.find(request.args.get("site", DEMO), now=clock.now())
    if place is None:
        abort(404)
    return page(place, number)


def page(place: Place, number: int) -> Response:
    """A page of somebody else with a site's widget, as the address says; 404 for one too many."""
    if not 1 <= number <= len(HOSTS):
        abort(404)
    shown, kind = HOSTS[number - 1], kind_asked()
    language = request.args.get("lang")
    language = language if language in config.LANGUAGES else place.language
    snippet = snippets.html(place, kind, language)
    element = "<prefcenter-optin"
    css = Markup(_css(shown.look) + snippets.style(place, kind, language, column=shown.column))
    html = render_template(
        f"dev/preview_{shown.look}.html",
        css=css,
        widget=Markup(snippet.replace(element, f"{element} {shown.attributes}".rstrip())),
    )
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _policy(kind, css)
    return response


def _policy(kind: str, css: str) -> str:
    """The strictest that a page with this snippet can have."""
    needs = [f"{directive} {origins.ours()[0]}" for directive in snippets.NEEDS[kind]]
    if "form-action" not in snippets.NEEDS[kind]:
        needs.append("form-action 'none'")
    return (
        f"default-src 'none'; style-src {assets.source_of(css)}; img-src data:; {'; '.join(needs)};"
        f" base-uri 'none'; frame-ancestors {' '.join(origins.ours())}"
    )


def _elsewhere(place: Place) -> str:
    """Another origin of the site that leads to this server as well, or "" where there is none."""
    ours = urlsplit(config.current().public_url)
    if ours.hostname not in _LOOPBACK:
        return ""
    here = [f"{ours.scheme}://{name}:{ours.port}" for name in _LOOPBACK if name != ours.hostname]
    return next((origin for origin in place.origins if origin in here), "")


def kind_asked() -> str:
    asked = request.args.get("kind", "")
    return asked if asked in KINDS else next(iter(KINDS))


def _with(**changed: str) -> str:
    """The choices of this page as a query, some of them changed."""
    names = ("site", "kind", "lang")
    chosen = {name: request.args[name] for name in names if name in request.args} | changed
    return f"?{urlencode(chosen)}" if chosen else ""


@lru_cache(maxsize=8)
def _css(name: str) -> str:
    folder = Path(current_app.static_folder or "static") / "preview"
    return (folder / f"{name}.css").read_text(encoding="utf-8")
