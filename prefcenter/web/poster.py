"""A page to print: a keyword and a QR code that opens the phone's message app with it.

Whoever sends the word is asked to confirm by text, as after every form; the page says
beside the code what a form must say beside the number (RULE-1, RULE-2).
"""

import base64
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import flask_babel
import segno
from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    g,
    make_response,
    render_template,
    request,
)
from markupsafe import Markup

from prefcenter import clock, config, phone
from prefcenter.config import PREFIX
from prefcenter.consent import inbound, keywords, sites, starting
from prefcenter.consent.keywords import Word
from prefcenter.consent.sites import Place
from prefcenter.web import assets, brand, pages
from prefcenter.web.pages import CategoryRow

bp = Blueprint("poster", __name__)

_SIGNS_UP = (Word.JOIN, Word.START)
_QUIET = 4  # light modules around the code, without which scanners miss it
_PNG_SCALE = 32  # a code of 33 modules is then 9 cm wide at 300 dots an inch


@dataclass(frozen=True, slots=True)
class Document:
    """A legal page as paper needs it: its whole address to read, and where it leads."""

    href: str
    text: str


@bp.get("/w/<key>/poster")
def page(key: str) -> Response:
    """A site's poster; `?keyword=` takes another word than the site's own that signs people up."""
    place = sites.find(key, now=clock.now())
    if place is None:
        abort(404)
    try:
        asked = word(request.args.get("keyword"), place)
    except ValueError:
        abort(404)  # nobody but the owner says what stands on their posters
    g.person_language = place.language
    flask_babel.refresh()
    css = _css(place)
    answer = make_response(_html(place, asked, css, f"/w/{key}/logo" if place.has_logo else None))
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {assets.source_of(css)}; img-src 'self' data:;"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return answer


def word(asked: str | None, place: Place) -> str:
    """The keyword as it is printed, by default the site's own.

    Raises ValueError, as a sentence, unless it signs people up, and for no other site.
    """
    own = inbound.word_of(place.slug)
    if asked is None:
        return own
    reading = inbound.read(asked)
    if reading.site == place.slug:
        return own
    another = not reading.campaign and keywords.behind_join(asked) is not None
    if reading.word not in _SIGNS_UP or another:
        known = ", ".join(dict.fromkeys((own, inbound.JOIN, *config.current().keywords)))
        raise ValueError(
            f"Nobody signs up by texting {asked[:40]!r}. Choose one of {known}, or add the word to"
            f" {PREFIX}KEYWORDS."
        )
    return reading.campaign or reading.matched


def kinds(keyword: str) -> list[CategoryRow]:
    """What a text with this word asks for, which is what its poster must name (RULE-1)."""
    slugs = starting.asks_for(inbound.read(keyword))
    return [kind for kind in pages.offered() if kind.slug in slugs]


@lru_cache(maxsize=64)
def code(number: str, keyword: str) -> segno.QRCode:
    """The code that writes this word to this number of ours."""
    text = f"SMSTO:{number}:{keyword}"
    return segno.make_qr(text, error="m", encoding=None if text.isascii() else "utf-8")


def svg(keyword: str) -> bytes:
    """The code alone, to place in a design of one's own. Dark on light also on a dark page."""
    return _image(keyword, "svg", scale=10)


def png(keyword: str) -> bytes:
    return _image(keyword, "png", scale=_PNG_SCALE)


def html(place: Place, keyword: str, language: str) -> bytes:
    """The page as one file that needs nothing beside it."""
    here = config.current().public_url
    with current_app.test_request_context(base_url=here), flask_babel.force_locale(language):
        logo = sites.logo(place)
        source = f"data:{logo[1]};base64,{base64.b64encode(logo[0]).decode()}" if logo else None
        return _html(place, keyword, _css(place), source, here).encode()


def _image(keyword: str, kind: str, scale: int) -> bytes:
    file = BytesIO()
    drawn = code(config.current().senders[0], keyword)
    drawn.save(file, kind=kind, scale=scale, border=_QUIET, dark="#000", light="#fff")
    return file.getvalue()


def _html(place: Place, keyword: str, css: str, logo: str | None, base: str = "") -> str:
    settings = config.current()
    language = str(flask_babel.get_locale())
    drawn = code(settings.senders[0], keyword)
    return render_template(
        "widget/poster.html",
        css=Markup(css),
        logo=logo,
        about=place.about.get(language, ""),
        kinds=kinds(keyword),
        keyword=keyword,
        number=phone.international(settings.senders[0]),
        code=Markup(
            drawn.svg_inline(
                border=_QUIET,
                dark="#000",
                light="#fff",
                omitsize=True,
                svgclass=None,
                lineclass=None,
            )
        ),
        terms=_document(settings.terms_url, "/terms", base),
        privacy=_document(settings.privacy_url, "/privacy", base),
    )


def _document(elsewhere: str | None, path: str, base: str) -> Document:
    """Our own path leads on to the owner's page, but paper must name the page itself."""
    return Document(base + path, elsewhere or config.current().public_url + path)


def _css(place: Place) -> str:
    return _sheet(current_app.static_folder or "static", *sites.colours(place))


@lru_cache(maxsize=64)
def _sheet(static: str, colour: str, dark: str | None) -> str:
    """The pages' style sheet in a site's colours, and what a poster needs besides."""
    names = ("site.css", "poster.css")
    source = "\n".join((Path(static) / name).read_text(encoding="utf-8") for name in names)
    return assets.style_sheet(source, brand.theme(colour, dark))
