"""What a developer pastes into a page, and what that page's policy must allow (DESIGN, widget).

Each kind works where scripts are blocked, and none needs an inline style or script.
"""

from urllib.parse import urlsplit

import flask_babel
from flask import current_app, render_template

from prefcenter import config
from prefcenter.consent.sites import Place
from prefcenter.web import embed, pages, room
from prefcenter.web.filters import consent_html

KINDS = ("element", "frame", "form", "field")
# What the host page's Content-Security-Policy must name with our origin, where it has one.
NEEDS = {
    "element": ("script-src", "connect-src", "form-action"),
    "frame": ("frame-src",),
    "form": ("form-action",),
    "field": ("script-src",),  # it sends nothing by itself
}
_DRAWN = ("element", "field")  # by the script, in place of a plain form that is lower


def html(place: Place, kind: str, language: str) -> str:
    """The lines to paste. Needs no request."""
    settings = config.current()
    here = settings.public_url
    about = place.about.get(language, "")
    with current_app.test_request_context(base_url=here), flask_babel.force_locale(language):
        text = pages.shown_text("signup", language, about=about)
        page: str = render_template(
            f"widget/snippets/{kind}.html",
            here=here,
            key=place.key,
            lang=language,
            text_version=pages.text_version(text),
            gaps=room.gaps(place, language, field=kind == "field") if kind in _DRAWN else (),
            tile=room.TILE,
            consent_html=consent_html(
                text,
                settings.terms_url or f"{here}/terms",
                settings.privacy_url or f"{here}/privacy",
                new_tab=True,
            ),
        )
    return page.strip()


def style(place: Place, kind: str, language: str, *, column: int | None = None) -> str:
    """Rules for the host's own style sheet, so that nothing moves when the script comes; "" for
    what no script draws. `column` is the width in px of the place where it stands."""
    if kind not in _DRAWN:
        return ""
    return room.css(place, language, field=kind == "field", column=column)


def policy(kind: str) -> str:
    """What the Content-Security-Policy of a page with this snippet must allow."""
    origin = f"{urlsplit(config.current().public_url).scheme}://{config.current().site}"
    return "; ".join(f"{directive} {origin}" for directive in NEEDS[kind])


def notes(
    place: Place, kind: str, language: str | None = None, *, column: int | None = None
) -> list[str]:
    """What to know beside the lines: the policy, the script that never changes, and the room to
    keep for it."""
    found = [f"Content-Security-Policy of your page, where it has one: {policy(kind)}"]
    if "script-src" in NEEDS[kind]:
        found.append(
            "The script that never changes, in place of the one above, where your rules ask for"
            " integrity; paste it anew after the words, colours or version change:"
            f" {twin(place)}"
        )
    if rules := style(place, kind, language or place.language, column=column):
        found.append(
            "In place of the svgs, which keep room so that nothing moves when the script comes,"
            f" rules for your style sheet can keep it exactly:\n{rules}\n"
        )
    return found


def twin(place: Place) -> str:
    """The script's element under its hash, as the browser checks it."""
    made = embed.made(place)
    address = f"{config.current().public_url}/w/{place.key}.{made.digest}.js"
    checked = f'integrity="{made.integrity}" crossorigin="anonymous"'
    return f'<script async src="{address}" {checked}></script>'
