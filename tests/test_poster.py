"""The poster: a code that phones read as a text to us, and beside it what a form must say.

Nothing here reads a code as a camera does. The symbol that is drawn is compared, module by
module, with the one that the text itself makes.
"""

import re
import struct
import threading
import zlib
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import segno
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from prefcenter import cli
from prefcenter.consent import catalog, sites
from prefcenter.database import db, writing
from prefcenter.web import assets, brand, poster
from tests import phones, terminal
from tests.cast import ALICE, Town, rows
from tests.conftest import Browser, Clock
from tests.terminal import Run
from tests.test_every_route import audit, audit_headers

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
OWN = "JOIN WEB-SHOP"
READ_BY_PHONES = f"SMSTO:+12025550100:{OWN}"
QUIET = 4
SIZE = 25 + 2 * QUIET  # a version 2 symbol
_MOVES = re.compile(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?")


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


@pytest.fixture
def shop(app: Flask, now: Clock) -> str:
    """The web shop that Bob runs."""
    open_site(now)
    return "web-shop"


def open_site(now: Clock, slug: str = "web-shop", **more: object) -> None:
    with writing():
        origins = ["https://shop.example"]
        sites.add(slug, "Web shop", origins=origins, now=now.now(), **more)
        db.session.commit()


def close_site(now: Clock, slug: str) -> None:
    with writing():
        sites.disable(sites.by_slug(slug), now=now.now())
        db.session.commit()


def place_of(slug: str, now: Clock) -> sites.Place:
    place = sites.find(slug, now=now.now())
    assert place is not None
    return place


def expected(text: str = READ_BY_PHONES) -> list[list[bool]]:
    """The modules that this text makes, with the light ones around it."""
    matrix = segno.make_qr(text, error="m").matrix_iter(border=QUIET)
    return [[bool(module) for module in row] for row in matrix]


def drawn(svg: str) -> list[list[bool]]:
    """The modules that an SVG path of segno's paints, by following its pen."""
    size = len(expected())
    grid = [[False] * size for _ in range(size)]
    [dark] = re.findall(r'<path [^>]*stroke="#000" d="([^"]+)"', svg)
    x = y = 0.0
    for move, first, second in _MOVES.findall(dark):
        if move == "h":
            for column in range(int(x), int(x + float(first))):
                grid[int(y)][column] = True
            x += float(first)
        elif move == "M":
            x, y = float(first), float(second)
        else:
            x, y = x + float(first), y + float(second)
    return grid


def pixels(png: bytes) -> list[list[bool]]:
    """Dark and light of a one-bit grey PNG, without a library for images."""
    width, height, depth, colour_type = struct.unpack(">IIBB", png[16:26])
    assert (depth, colour_type) == (1, 0), "one bit, grey"
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        data += png[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    lines, stride = zlib.decompress(data), (width + 7) // 8 + 1
    found, above = [], bytes(stride - 1)
    for y in range(height):
        how, *packed = lines[y * stride : (y + 1) * stride]
        assert how in (0, 2), "as it is, or as it differs from the line above"
        above = bytes((one + how // 2 * up) % 256 for one, up in zip(packed, above, strict=True))
        found.append([not above[x // 8] >> (7 - x % 8) & 1 for x in range(width)])
    return found


# --- the code


@on_sqlite
def test_the_code_is_a_text_with_the_word_to_our_number(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    make = segno.make_qr

    def noting(content: str, **options: Any) -> segno.QRCode:
        encoded.append(content)
        return make(content, **options)

    monkeypatch.setattr(segno, "make_qr", noting)
    poster.code.cache_clear()
    poster.svg(OWN)
    assert encoded == [READ_BY_PHONES]


@on_sqlite
def test_svg_and_png_draw_exactly_that_symbol(app: Flask) -> None:
    svg = poster.svg(OWN).decode()
    assert drawn(svg) == expected()
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height")) == (str(SIZE * 10),) * 2
    assert 'fill="#fff"' in svg, "dark on light also where the page is dark"

    picture = pixels(poster.png(OWN))
    scale = len(picture) // SIZE
    assert len(picture) == len(picture[0]) == SIZE * scale >= 1000
    assert [row[::scale] for row in picture[::scale]] == expected()
    assert [row[scale - 1 :: scale] for row in picture[scale - 1 :: scale]] == expected()


@on_sqlite
def test_another_word_is_another_symbol(app: Flask) -> None:
    """So that the comparison above would see a wrong word or number."""
    assert drawn(poster.svg(OWN).decode()) != expected("SMSTO:+12025550100:STOP")
    assert drawn(poster.svg(OWN).decode()) != expected("SMSTO:+12025550101:JOIN WEB-SHOP")


# --- the word


@on_sqlite
@pytest.mark.settings(KEYWORDS="BOOKS=new-books,SUMMER SALE=offers+events", STOP_WORDS="basta ya")
@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        (None, OWN),
        ("join web shop", OWN),
        ("unirme web-shop", OWN),
        ("JOIN", "JOIN"),
        ("join!", "JOIN"),
        ("books", "BOOKS"),
        (" Summer  sale ", "SUMMER SALE"),
        ("subscribe", "SUBSCRIBE"),
        ("START", "START"),
    ],
)
def test_a_word_that_signs_people_up_may_be_printed(
    shop: str, now: Clock, typed: str | None, printed: str
) -> None:
    assert poster.word(typed, place_of(shop, now)) == printed


@on_sqlite
@pytest.mark.settings(KEYWORDS="BOOKS=new-books", STOP_WORDS="basta ya")
@pytest.mark.parametrize(
    "typed",
    [
        "", " ", "STOP", "stop please", "basta ya", "HELP", "YES", "NO", "PAUSE", "FREE MONEY",
        "JOIN now", "JOIN blog", "JOIN closed", "BOOK", "x" * 5000, "JOIN\nSTOP", "<b>JOIN</b>x",
    ],
)  # fmt: skip
def test_any_other_word_is_refused_in_a_sentence(shop: str, now: Clock, typed: str) -> None:
    """Also that of another site, open or disabled."""
    open_site(now, "blog")
    open_site(now, "closed")
    close_site(now, "closed")
    listed = "Choose one of JOIN WEB-SHOP, JOIN, BOOKS, or add the word"
    with pytest.raises(ValueError, match=listed) as refused:
        poster.word(typed, place_of(shop, now))
    assert len(str(refused.value)) < 200


@pytest.mark.settings(KEYWORDS="BOOKS=new-books+nothing-such,GONE=nothing-such")
@pytest.mark.parametrize("word", ["JOIN", "BOOKS", "GONE", "START", OWN, "JOIN BLOG", "JOIN LEFT"])
def test_the_poster_names_what_alice_is_asked_about_when_she_texts_its_word(
    town: Town, now: Clock, word: str
) -> None:
    """RULE-1: the same categories on paper and in her request."""
    open_site(now)
    open_site(now, "blog", categories=["events", "new-books"])
    open_site(now, "left", categories=["in-stock"])
    with writing():
        catalog.add("wine", "Wine", age_gate=21)
        catalog.add("staff", "Staff", public=False)
        db.session.commit()
    named = [kind.slug for kind in poster.kinds(word)]
    db.session.rollback()
    phones.say(town, word)
    assert sorted(town.person(ALICE).requested) == sorted(named)
    assert "wine" not in named and "staff" not in named


# --- the page


def test_the_page_says_what_a_form_must_say(client: Browser, shop: str, app: Flask) -> None:
    """RULE-1, RULE-2: brand, what, how often, cost, HELP, STOP, terms, privacy, no condition."""
    answer = client.get(f"/w/{shop}/poster")
    assert answer.status_code == 200
    audit(answer, app, "/w/web-shop/poster")
    audit_headers(answer, "/w/web-shop/poster")
    words = " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", answer.text)).split())
    for sentence in (
        "Get texts from Marlow Books",
        "Text JOIN WEB-SHOP to +1 202-555-0100",
        "Sales and offers",
        "recurring automated marketing texts from Marlow Books",
        "You do not have to agree to buy anything.",
        "About 4 texts a month.",
        "Message and data rates may apply.",
        "Reply STOP to end, HELP for help.",
        "help@marlow.example",
        "Terms: http://prefs.test/terms",
        "Privacy: http://prefs.test/privacy",
    ):
        assert sentence in words, sentence


def test_the_page_draws_the_symbol_and_obeys_its_own_policy(client: Browser, shop: str) -> None:
    """No script, no style attribute; the one style sheet is named by its hash."""
    answer = client.get(f"/w/{shop}/poster")
    assert drawn(answer.text) == expected()
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src" not in policy and "unsafe" not in policy
    [css] = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert assets.source_of(css) in policy
    assert "<script" not in answer.text and " style=" not in answer.text
    assert "@media print" in css


@pytest.mark.settings(
    TERMS_URL="https://marlow.example/terms", PRIVACY_URL="https://marlow.example/privacy"
)
def test_paper_names_the_owners_own_terms(client: Browser, shop: str, app: Flask) -> None:
    answer = client.get(f"/w/{shop}/poster")
    assert ">https://marlow.example/terms</a>" in answer.text
    assert ">https://marlow.example/privacy</a>" in answer.text
    audit(answer, app, "the links themselves lead through our own page")


def test_the_page_is_in_the_sites_language_and_colours(
    client: Browser, now: Clock, app: Flask
) -> None:
    about = {"es": "<ofertas & libros", "en": "deals & books"}
    with pytest.raises(ValueError, match="without <"):
        open_site(now, "tienda", about=about)
    about["es"] = "ofertas & libros"
    open_site(now, "tienda", language="es", color="#aa0055", about=about)
    answer = client.get("/w/tienda/poster", headers={"Accept-Language": "en"})
    assert '<html lang="es"' in answer.text
    assert "Rebajas y ofertas" in answer.text and "ofertas &amp; libros" in answer.text
    theme = brand.theme("#aa0055")
    assert f"--brand:{theme.light.brand}" in answer.text
    assert f"--brand:{theme.dark.brand}" in answer.text
    english = client.get("/w/tienda/poster?lang=en")
    assert '<html lang="en"' in english.text and "deals &amp; books" in english.text
    audit(answer, app, "/w/tienda/poster")


@pytest.mark.settings(KEYWORDS="BOOKS=new-books")
def test_mallory_cannot_put_her_words_on_the_poster(client: Browser, shop: str) -> None:
    assert "Text <b" in client.get(f"/w/{shop}/poster?keyword=books").text
    for word in ("FREE MONEY", "STOP", "", "x" * 3000, "JOIN<script>"):
        answer = client.get(f"/w/{shop}/poster", query_string={"keyword": word})
        assert answer.status_code == 404, word
        assert "MONEY" not in answer.text


def test_an_unknown_or_disabled_site_has_no_poster(client: Browser, shop: str, now: Clock) -> None:
    """SEC-21; a former key works while it lasts."""
    with writing():
        new = sites.rotate(sites.by_slug(shop), keep=timedelta(days=1), now=now.now())
        db.session.commit()
    assert client.get(f"/w/{shop}/poster").status_code == 200
    assert client.get(f"/w/{new}/poster").status_code == 200
    now.forward(days=1)
    assert client.get(f"/w/{shop}/poster").status_code == 404
    with writing():
        sites.disable(sites.by_slug(shop), now=now.now())
        db.session.commit()
    assert client.get(f"/w/{new}/poster").status_code == 404
    assert client.get("/w/nobody/poster").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_looking_at_it_changes_nothing(client: Browser, shop: str, method: str) -> None:
    """INV-8."""
    before = rows()
    assert client.open(f"/w/{shop}/poster", method=method).status_code == 200
    assert client.post(f"/w/{shop}/poster").status_code == 405
    assert rows() == before


# --- the command


def test_the_command_writes_each_kind(run: Run, shop: str, tmp_path: Path) -> None:
    for name in ("a.svg", "a.png", "a.html"):
        result = run("poster", "--site", shop, "--output", str(tmp_path / name))
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        assert result.stdout == f"Wrote {tmp_path / name}: text JOIN WEB-SHOP to +12025550100.\n"
    assert drawn((tmp_path / "a.svg").read_text()) == expected()
    assert (tmp_path / "a.png").read_bytes() == poster.png(OWN)
    page = (tmp_path / "a.html").read_text()
    assert drawn(page) == expected()
    assert 'href="http://prefs.test/terms"' in page, "the file stands alone"
    result = run("poster", "--site", shop, "--format", "png", "--output", str(tmp_path / "b"))
    assert result.exit_code == 0
    assert (tmp_path / "b").read_bytes() == poster.png(OWN)


@on_sqlite
def test_the_command_opens_the_app_itself(app: Flask, shop: str, tmp_path: Path) -> None:
    """A test has an app at work already; a thread begins without one, as a terminal does."""
    done = []

    def type_() -> None:
        words = ["poster", "--site", shop, "--output", str(tmp_path / "a.html")]
        done.append(CliRunner().invoke(cli.cli, words, obj=ScriptInfo(create_app=lambda: app)))

    thread = threading.Thread(target=type_)
    thread.start()
    thread.join()
    assert done[0].exit_code == 0, done[0].exception
    assert drawn((tmp_path / "a.html").read_text()) == expected()


@on_sqlite
def test_the_file_carries_the_logo_and_speaks_the_language_asked_for(
    run: Run, now: Clock, tmp_path: Path
) -> None:
    open_site(now, "tienda", logo=(b"<svg/>", "image/svg+xml"))
    file = tmp_path / "a.html"
    run("poster", "--site", "tienda", "--language", "es", "--output", str(file))
    assert '<html lang="es"' in file.read_text()
    assert 'src="data:image/svg+xml;base64,PHN2Zy8+"' in file.read_text()


@on_sqlite
@pytest.mark.settings(KEYWORDS="BOOKS=new-books")
def test_a_word_that_asks_for_more_than_the_site_offers_is_pointed_out(
    run: Run, now: Clock, tmp_path: Path
) -> None:
    """RULE-6: the paper names what the word asks for; here is how to ask for less."""
    open_site(now, categories=["new-books"])
    words = ("poster", "--site", "web-shop", "--output", str(tmp_path / "a.svg"))
    assert run(*words).stderr == ""
    result = run(*words, "--keyword", "join")
    assert result.exit_code == 0
    asks = "JOIN asks for events, in-stock, new-books, offers, which is not what the site offers."
    assert result.stderr == f"{asks} JOIN WEB-SHOP does.\n"
    assert run(*words, "--keyword", "books").stderr == ""


@on_sqlite
def test_a_key_that_holds_a_stop_word_has_no_word_of_its_own(
    run: Run, now: Clock, tmp_path: Path
) -> None:
    """A stop word always wins, so nobody may be told to text one (RULE-17)."""
    open_site(now, "end-of-season", categories=["new-books"])
    file = tmp_path / "a.html"
    result = run("poster", "--site", "end-of-season", "--output", str(file))
    assert result.exit_code == 0 and "text JOIN to" in result.stdout
    assert "A text with end-of-season in it means something already" in result.stderr
    assert "PREFCENTER_KEYWORDS=WORD=new-books, then --keyword WORD, does." in result.stderr
    assert drawn(file.read_text()) == expected("SMSTO:+12025550100:JOIN")


@on_sqlite
def test_what_cannot_be_is_refused_and_leaves_no_file(
    run: Run, shop: str, now: Clock, tmp_path: Path
) -> None:
    file = tmp_path / "a.svg"
    for words, sentence in (
        (("--site", "nobody"), "There is no site nobody."),
        (("--site", shop, "--keyword", "STOP"), "Nobody signs up by texting 'STOP'."),
        (("--site", shop, "--output", str(tmp_path / "a.doc")), "Say --format svg, png or html."),
        (("--site", shop, "--output", str(tmp_path / "no" / "a.svg")), "cannot be written"),
    ):
        result = run("poster", "--output", str(file), *words)
        assert result.exit_code == 1, words
        assert result.output.startswith("Error: ") and sentence in result.output, result.output
    with writing():
        sites.disable(sites.by_slug(shop), now=now.now())
        db.session.commit()
    result = run("poster", "--site", shop, "--output", str(file))
    assert "The site web-shop is disabled. Run `prefcenter site enable web-shop`" in result.output
    assert list(tmp_path.glob("a.*")) == []
