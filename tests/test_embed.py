"""The widget's script: small, safe wherever it stands, and each site's own words and colours."""

import base64
import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import brotli
import pytest
from flask import Flask

from prefcenter import config, create_app
from prefcenter.assets_path import ASSETS
from prefcenter.consent.sites import Place
from prefcenter.web import brand, embed, pages
from tests.conftest import settings_for

PLACE = Place(
    slug="web-shop",
    key="web-shop-1f2e3d4c",
    name="Marlow Books shop",
    origins=("https://www.marlowbooks.example", "https://shop.marlowbooks.example"),
    about={
        "en": "new books, events and special offers",
        "es": "libros nuevos, actos y ofertas especiales",
    },
    categories=(),
    language="en",
    country="US",
    color="#7a1f5c",
    color_dark=None,
    has_logo=False,
)
# The most that a site's owner may say.
WORDY = replace(
    PLACE,
    about={
        "en": "new novels and picture books, signed first editions, readings and festivals in our"
        " four shops, and member offers, today",
        "es": "novelas y cuentos ilustrados nuevos, primeras ediciones firmadas, lecturas en"
        " nuestras cuatro tiendas y ofertas de socio",
    },
)
BUDGET = 4096


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """No database: the script is made of settings and a site."""
    url = f"sqlite:///{tmp_path / 'none.sqlite3'}"
    more = {"PUBLIC_URL": "https://prefs.marlowbooks.example"}
    app = create_app(settings_for(url, tmp_path, **more), serving=False)
    with app.app_context():
        yield app


def text_of(place: Place) -> str:
    return embed.made(place).body.decode()


@pytest.mark.parametrize("place", [PLACE, WORDY, replace(PLACE, about={}, color=None)])
def test_the_script_is_at_most_4_kb_with_every_language(app: Flask, place: Place) -> None:
    body = embed.made(place).body
    assert len(brotli.compress(body, quality=11)) <= BUDGET
    for language in config.LANGUAGES:
        assert embed.texts(place, language)["heading"] in body.decode()


def test_it_holds_nothing_that_a_strict_policy_or_trusted_types_would_stop(app: Flask) -> None:
    words = (
        r"eval\(|Function\(|innerHTML|outerHTML|insertAdjacent|document\.write|\.style\b|cssText"
    )
    assert re.findall(words, text_of(PLACE)) == []
    assert not re.search(r'setAttribute\("(style|on)', text_of(PLACE))


def test_it_keeps_nothing_and_listens_to_no_messages(app: Flask) -> None:
    """SEC-22 and SEC-27: no cookie, no storage, and foreign messages find no ear."""
    assert not re.search(r"cookie|Storage|indexedDB|onmessage|\"message\"", text_of(PLACE))
    (target,) = re.findall(r"postMessage\(\{[^}]*\},(\S+?)\)", text_of(PLACE))
    assert target.isidentifier()  # the page of the site that is around it, never "*"


def test_it_is_one_call_of_a_function_so_that_nothing_is_global(app: Flask) -> None:
    assert re.fullmatch(r"\(e=>\{.*\}\)\(\{.*\}\);\n", text_of(PLACE), flags=re.DOTALL)


def test_its_hashes_are_those_of_the_bytes(app: Flask) -> None:
    made = embed.made(PLACE)
    assert made.digest == hashlib.sha256(made.body).hexdigest()[:16]
    sha384 = base64.b64encode(hashlib.sha384(made.body).digest()).decode()
    assert made.integrity == f"sha384-{sha384}"
    assert gzip.decompress(made.packed) == made.body


def test_the_same_site_has_the_same_bytes_and_is_put_together_once(
    app: Flask, tmp_path: Path
) -> None:
    made = embed.made(PLACE)
    assert embed.made(replace(PLACE, about=dict(PLACE.about))) is made
    twin = create_app(config.current(), serving=False)
    with twin.app_context():
        assert embed.made(PLACE) == made
        assert embed.made(PLACE) is not made


@pytest.mark.parametrize(
    "change",
    [
        {"key": "web-shop-99999999"},
        {"about": {"en": "new records"}},
        {"language": "es"},
        {"country": "GB"},
        {"color": "#123456"},
        {"color_dark": "#abcdef"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_site_and_a_changed_site_have_other_bytes(
    app: Flask, change: dict[str, Any]
) -> None:
    assert embed.made(replace(PLACE, **change)).body != embed.made(PLACE).body


def test_mallory_cannot_end_the_script_with_a_sites_words(app: Flask) -> None:
    evil = "</script><script>alert(1)</script><!--\u2028\u2029\"'\\`${x}"
    body = text_of(replace(PLACE, about={"en": evil}, name=evil))
    assert not re.search(r"</|<!|<script|\u2028|\u2029", body)
    assert "\\u003c/script\\u003e\\u003cscript\\u003ealert(1)" in body
    assert "\\\"'\\\\`${x}" in body  # a quote and a backslash are escaped inside the string


@pytest.mark.parametrize("language", config.LANGUAGES)
@pytest.mark.parametrize("about", ["", "Terms and Privacy, STOP signs, Condiciones y Privacidad"])
def test_what_is_shown_is_the_stored_text_word_for_word(
    app: Flask, language: str, about: str
) -> None:
    place = replace(PLACE, about={language: about})
    texts = embed.texts(place, language)
    shown = "".join(piece if isinstance(piece, str) else piece[0] for piece in texts["consent"])
    stored = pages.shown_text("signup", language, about=about)
    assert shown == stored
    assert texts["version"] == pages.text_version(stored)
    links = [piece for piece in texts["consent"] if len(piece) == 2 and piece[1][:1] == "/"]
    assert [path for _name, path in links] == ["/terms", "/privacy"]
    assert texts["consent"][-1] == "."  # the documents at the end are the ones that are linked


def test_stop_and_help_stand_apart_so_that_no_translator_touches_them(app: Flask) -> None:
    consent = embed.texts(PLACE, "es")["consent"]
    assert ["STOP"] in consent
    assert ["HELP"] in consent


def test_the_line_below_the_heading_says_what_is_texted_and_how_often(app: Flask) -> None:
    about = "New books, events and special offers. About 4 texts a month."
    assert embed.texts(PLACE, "en")["about"] == about
    assert embed.texts(replace(PLACE, about={}), "en")["about"] == "About 4 texts a month."


def test_every_text_is_translated(app: Flask) -> None:
    english, spanish = (embed.texts(PLACE, language) for language in ("en", "es"))
    assert [key for key in english if english[key] == spanish[key]] == []


def test_the_colours_are_the_sites_and_each_has_a_value(app: Flask) -> None:
    css = "".join(embed.style_sheets(PLACE))
    theme = brand.theme("#7a1f5c")
    assert f"--brand:{theme.light.brand}" in css
    assert css.count(f"--brand:{theme.dark.brand}") == 2  # by the browser's wish and by `theme`
    named = set(re.findall(r"var\(--(?!pc-)([\w-]+)", css))
    assert named == set(re.findall(r"--([\w-]+):#", css))
    assert "--tokens" not in css


def test_a_site_without_a_colour_has_the_brands(app: Flask) -> None:
    css = "".join(embed.style_sheets(replace(PLACE, color=None)))
    assert f"--brand:{config.current().brand_color}" in css


def test_the_host_can_take_away_our_look_but_not_the_look_of_what_is_agreed_to(app: Flask) -> None:
    look, base = embed.style_sheets(PLACE)
    assert "--pc-bg" in look and "--pc-" not in base
    terms = re.search(r"\.terms\{([^}]*)\}", base)
    assert terms is not None
    for need in ("all:initial", "background:var(--card)", "color:var(--ink2)", "max(14px,"):
        assert need in terms[1]
    assert "terms" not in look
    assert 'class:"terms",part' not in text_of(PLACE)  # no ::part() reaches it


def test_the_short_script_is_made_of_the_script(app: Flask) -> None:
    """It is made by hand, once after each change."""
    source = (ASSETS / "static/widget.js").read_bytes()
    first = (ASSETS / "static/widget.min.js").read_text(encoding="utf-8").splitlines()[0]
    digest = hashlib.sha256(source).hexdigest()
    assert first == f"// widget.js {digest}", "run .venv/bin/python tools/widget.py"
