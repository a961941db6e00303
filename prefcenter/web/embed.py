"""The widget's script of one site: static/widget.min.js with that site's words and colours.

One request brings everything, because the page around the widget may allow no other. So it is
put together here, without spare bytes, and kept: the same site, words and colours give the same
bytes, which is what their published hash is for.
"""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import current_app
from flask_babel import force_locale, ngettext
from flask_babel import gettext as _

from prefcenter import config, phone
from prefcenter.assets_path import ASSETS
from prefcenter.consent import sites, wordings
from prefcenter.consent.sites import Place
from prefcenter.web import assets, brand, pages

_KEY = "prefcenter.embed"
_KEPT = 500
_HERE = "{}"  # where the script puts a value


@dataclass(frozen=True, slots=True)
class Script:
    """What is served. `digest` stands in the address of the twin that never changes."""

    body: bytes
    packed: bytes  # gzip
    digest: str
    integrity: str


def made(place: Place) -> Script:
    """The script of a site, put together once for all that it depends on. Needs an app context."""
    kept: dict[str, Script] = current_app.extensions.setdefault(_KEY, {})
    words = [wordings.in_force("signup", language) for language in config.LANGUAGES]
    depends_on = repr((place, words))
    if depends_on not in kept:
        if len(kept) >= _KEPT:
            kept.clear()
        kept[depends_on] = _made(place)
    return kept[depends_on]


def _made(place: Place) -> Script:
    body = f"({_code()})({_literal(settings_of(place))});\n".encode()
    return Script(
        body=body,
        packed=gzip.compress(body, 9, mtime=0),
        digest=hashlib.sha256(body).hexdigest()[:16],
        integrity="sha384-" + base64.b64encode(hashlib.sha384(body).digest()).decode(),
    )


def settings_of(place: Place) -> dict[str, Any]:
    """All that the script knows. Texts hold `{}` where it puts a value."""
    settings = config.current()
    return {
        "url": f"{settings.public_url}/o/{place.key}",
        "language": place.language,
        "country": place.country,
        "example": phone.example(place.country),
        # In this order they pack best.
        "texts": {language: texts(place, language) for language in config.LANGUAGES},
        "css": style_sheets(place),
    }


def texts(place: Place, language: str) -> dict[str, Any]:
    """What people read, in one language."""
    settings = config.current()
    about = place.about.get(language, "")
    consent = pages.shown_text("signup", language, about=about)
    with force_locale(language):
        count = settings.texts_per_month
        often = ngettext("About %(num)s text a month.", "About %(num)s texts a month.", count)
        found = {
            "lang": language,
            "heading": _("Get texts from %(brand)s", brand=settings.brand),
            "about": f"{_sentence(about)} {often}".strip(),
            "label": _("Mobile number"),
            "hint": _("%(region)s number, or start with + and the country code.", region=_HERE),
            "consent": pieces(consent, {_("Terms"): "/terms", _("Privacy"): "/privacy"}),
            "version": pages.text_version(consent),
            "button": _("Text me a link to confirm"),
            "busy": _("Sending…"),
            "number": _("Enter your mobile number, like %(example)s", example=_HERE),
            "tick": _("Tick the box if you agree to get texts"),
            "offline": _("You seem to be offline. Nothing was sent."),
            "failed": _("That did not work. Try again in a few minutes."),
            "look": _("Look at your phone"),
            "sent": around(
                _(
                    "If we can text the number ending %(last4)s, a text is on its way. Tap the"
                    " link in it to say yes.",
                    last4=_HERE,
                )
            ),
            "text": around(_("We will text %(number)s.", number=_HERE)),
            "again": _("Use another number"),
        }
    return found


def pieces(text: str, documents: dict[str, str]) -> list[str | list[str]]:
    """A consent text cut up for the page, not a character lost: plain words, `[keyword]` for
    what networks act on, and `[name, path]` for a document that it names at its end."""
    names = [name for name in documents if name in text]
    places = {text.rindex(name): name for name in names}
    places |= {found.start(): found[0] for found in re.finditer(r"\b(?:STOP|HELP)\b", text)}
    cut: list[str | list[str]] = []
    end = 0
    for start in sorted(places):
        name = places[start]
        cut += [text[end:start], [name, documents[name]] if name in documents else [name]]
        end = start + len(name)
    return [piece for piece in (*cut, text[end:]) if piece]


def around(text: str) -> list[str | list[str]]:
    """A text with a gap for digits, in pieces like those of a consent text."""
    before, after = text.split(_HERE)
    return [before, [""], after]


def style_sheets(place: Place) -> list[str]:
    """The two parts of widget.css, with the colours of site.css and those of the site."""
    theme = brand.theme(*sites.colours(place))
    light, dark = re.findall(r":root \{(.*?)\}", _source("site.css"), flags=re.DOTALL)
    css = _source("widget.css")
    for mode, block, palette in (("light", light, theme.light), ("dark", dark, theme.dark)):
        tokens = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) | palette.tokens()
        used = {name: tokens[name] for name in _used(css)}
        declared = "".join(f"--{name}:{colour};" for name, colour in used.items())
        css = css.replace("--tokens: " + mode, f"color-scheme:{mode};{declared[:-1]}")
    _comment, look, base = re.split(r"/\* --- (?:look|base) --- \*/", css)
    return [assets.squeeze(look), assets.squeeze(base)]


def _used(css: str) -> list[str]:
    """The colours that the style sheet names; a host's own begin with --pc-."""
    names = dict.fromkeys(re.findall(r"var\(--([\w-]+)", css))
    return [name for name in names if not name.startswith("pc-")]


def _sentence(text: str) -> str:
    """What is texted, as a sentence of its own: `New books and events.`"""
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def _literal(value: Any) -> str:
    """JavaScript that is safe wherever a script may stand, also between <script> and </script>.

    The keys are our own names, so they need no quotes.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_literal, value)) + "]"
    text = json.dumps(value, ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@lru_cache(maxsize=1)
def _code() -> str:
    """A function of a site's settings, the same for all; its first line names its source."""
    return _source("widget.min.js").partition("\n")[2].strip().rstrip(";")


@lru_cache(maxsize=8)
def _source(name: str) -> str:
    return (ASSETS / "static" / name).read_text(encoding="utf-8")
