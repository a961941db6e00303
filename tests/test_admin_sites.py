"""/admin/sites: the places where people sign up, changed by an editor, each change in the log."""

import html
import re
from datetime import timedelta
from io import BytesIO

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from prefcenter import clock
from prefcenter.consent import breaker, sites
from prefcenter.database import db, writing
from prefcenter.models import Breaker, BreakerScope, Site
from prefcenter.models_staff import Role
from prefcenter.web import snippets
from prefcenter.web.admin import site_form
from prefcenter.web.preview import HOSTS
from tests.cast import BOB, Town
from tests.conftest import Browser, Clock
from tests.settings_room import HOSTILE, calm, errors, kept, refuses, said, save, value_of
from tests.staff_room import eve_editor, log, press, sign_in, stranger, vic_viewer

SITES, ADD, SHOP = "/admin/sites", "/admin/add-site", "/admin/sites/web-shop"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
FORM: dict[str, object] = {
    "slug": "web-shop",
    "name": "Web shop",
    "origins": "https://shop.example\nhttps://www.shop.example\n",
    "about_en": "news about books",
    "about_es": "novedades de libros",
    "categories": ["offers", "events"],
    "language": "en",
    "country": "US",
    "color": "#1F5C48",
    "daily_budget": "200",
}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def eve(town: Town) -> Browser:
    return eve_editor(town)


@pytest.fixture
def shop(eve: Browser) -> Browser:
    """Eve's browser, after she has opened the web shop."""
    assert press(eve, ADD, dict(FORM)).status_code == 303
    return eve


def the_shop(slug: str = "web-shop") -> Site:
    db.session.rollback()
    db.session.expire_all()
    return sites.by_slug(slug)


def trip(now: Clock, scope: BreakerScope = BreakerScope.SITE, key: str = "web-shop") -> int:
    """As if hardly anybody had confirmed there."""
    with writing():
        until = now.now() + timedelta(hours=1)
        row = Breaker(
            scope=scope, key=key, label=f"{scope} {key}"[:80], tripped_at=now.now(), until=until
        )
        db.session.add(row)
        db.session.commit()
    return row.id


# --- add and change


def test_eve_opens_a_site_and_its_form_works(eve: Browser, town: Town) -> None:
    page = said(press(eve, ADD, dict(FORM)), eve)
    assert "Web shop was added." in page
    site = the_shop()
    assert site.origins == ["https://shop.example", "https://www.shop.example"]
    assert site.about == {"en": "news about books", "es": "novedades de libros"}
    assert (site.categories, site.color, site.daily_budget) == (
        ["offers", "events"],
        "#1f5c48",
        200,
    )
    assert town.browser.get("/w/web-shop").status_code == 200
    [entry] = log("site_added")
    assert (entry.staff_name, entry.subject) == ("eve", "web-shop")
    assert entry.details["about in es"] == [None, "novedades de libros"]
    assert entry.details["daily_budget"] == [None, 200]


@pytest.mark.parametrize(
    ("field", "typed", "word"),
    [
        ("slug", "Shop", "lower-case"),
        ("slug", "prefs.test", "lower-case"),
        ("slug", "", "lower-case"),
        ("name", " ", "1 to 80"),
        ("name", "x" * 81, "1 to 80"),
        ("origins", "", "at least one"),
        ("origins", "https://shop.example/path", "without a path"),
        ("origins", "https://ok.example\nftp://x.example", "ftp://x.example cannot"),
        ("origins", "https://*.example", "without *"),
        ("origins", "javascript:alert(1)", "exactly as the browser"),
        ("about_en", "x" * 121, "120"),
        ("about_es", "a <b> c", "without < and >"),
        ("categories", ["nobody"], "not offered"),
        ("language", "xx", "language"),
        ("country", "FR", "country"),
        ("color", "red", "#1f5c48"),
        ("color_dark", "#12345", "#1f5c48"),
        ("daily_budget", "-1", "number"),
        ("daily_budget", "many", "number"),
    ],
)
def test_what_cannot_be_saved_is_said_beside_its_field_and_stays(
    eve: Browser, field: str, typed: object, word: str
) -> None:
    before = kept()
    form = FORM | {field: typed}
    answer = press(eve, ADD, form)
    [sentence] = errors(answer)
    assert word in sentence
    for name in ("slug", "name", "origins", "about_en", "about_es", "daily_budget", "color_dark"):
        typed_before = str(form.get(name, ""))
        assert value_of(answer, name) == (
            typed_before if name == "origins" else typed_before.strip()
        )
    assert 'value="events" checked' in answer.text or field == "categories"
    assert kept() == before
    calm(answer)


@on_sqlite
@pytest.mark.settings(
    ENV="production",
    PUBLIC_URL="https://prefs.test",
    SMS_BACKEND="vonage",
    VONAGE_PRIVATE_KEY="a key that signs nothing here",
)
def test_where_numbers_are_typed_it_is_https(app: Flask) -> None:
    with app.test_request_context("/", method="POST", data=FORM | {"origins": "http://a.example"}):
        assert "must be https://" in site_form.read().errors["origins"]


def test_a_key_that_a_site_had_is_not_given_again(shop: Browser) -> None:
    answer = press(shop, ADD, dict(FORM))
    assert "no name that a site has or had" in errors(answer)[0]


def test_a_change_is_in_the_log_with_before_and_after(shop: Browser) -> None:
    page = shop.get(f"{SHOP}/change")
    assert value_of(page, "origins") == "https://shop.example\nhttps://www.shop.example"
    assert value_of(page, "slug") is None
    form = FORM | {"name": "Book shop", "categories": [], "daily_budget": "", "about_es": ""}
    assert "Book shop was changed." in said(save(shop, f"{SHOP}/change", form), shop)
    [entry] = log("site_changed")
    assert entry.details == {
        "name": ["Web shop", "Book shop"],
        "categories": [["offers", "events"], []],
        "daily_budget": [200, None],
        "about in es": ["novedades de libros", None],
    }
    past = html.unescape(shop.get(SHOP).text)
    assert "<del>Web shop</del>" in past and "<ins>Book shop</ins>" in past
    assert "Nothing was changed." in said(save(shop, f"{SHOP}/change", form), shop)
    assert len(log("site_changed")) == 1


def test_0_is_a_budget_too(shop: Browser) -> None:
    save(shop, f"{SHOP}/change", FORM | {"daily_budget": "0"})
    assert the_shop().daily_budget == 0
    assert value_of(shop.get(f"{SHOP}/change"), "daily_budget") == "0"


def test_a_retired_category_is_marked_and_may_stay(shop: Browser) -> None:
    press(shop, "/admin/categories/events/retire")
    assert "Retired: it is offered nowhere." in shop.get(f"{SHOP}/change").text
    assert "Events near you (not on offer)" in shop.get(SHOP).text
    save(shop, f"{SHOP}/change", FORM | {"name": "Book shop"})
    assert the_shop().categories == ["offers", "events"]


# --- colours


def test_the_colours_can_be_looked_at_without_saving(shop: Browser) -> None:
    before = kept()
    answer = save(shop, f"{SHOP}/change", FORM | {"color": "#aa2211", "look": "yes"})
    assert answer.status_code == 200
    assert value_of(answer, "color") == "#aa2211"
    assert 'fill="#aa2211"' in answer.text
    assert kept() == before
    assert press(shop, ADD, FORM | {"slug": "till", "look": "yes"}).status_code == 200
    assert kept() == before


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("color=%23aa2211", 'fill="#aa2211"'),
        ("color=&color_dark=%23ffffff", 'fill="#ffffff"'),
        ("", 'fill="#1f5c48"'),
        ("color=%23aa", "Write a colour like"),
        ("color=%22%3E%3Cscript%3E", "Write a colour like"),
    ],
)
def test_while_it_is_typed_the_theme_is_drawn(eve: Browser, query: str, word: str) -> None:
    answer = eve.get(f"/admin/site-theme?{query}", headers={"HX-Request": "true"})
    assert answer.status_code == 200 and word in answer.text
    assert answer.text.lstrip().startswith('<div id="theme"') and "<script" not in answer.text


def test_the_later_of_two_editors_does_not_undo_the_first(shop: Browser, town: Town) -> None:
    """She sees what the other changed, keeps what she typed, and may save it then."""
    vera = sign_in(town, Role.EDITOR, "vera")
    opened = value_of(vera.get(f"{SHOP}/change"), "opened")
    save(shop, f"{SHOP}/change", FORM | {"name": "Book shop"})
    form = FORM | {"about_en": "news about films", "opened": opened}
    late = press(vera, f"{SHOP}/change", form)
    assert (late.status_code, "Somebody saved something else" in late.text) == (409, True)
    assert "<ins>Book shop</ins>" in late.text and "eve" in late.text
    assert value_of(late, "about_en") == "news about films"
    assert the_shop().name == "Book shop" and the_shop().about["en"] == "news about books"
    unsure = press(vera, f"{SHOP}/change", form | {"country": "??"})
    assert value_of(unsure, "opened") == opened, "a mistake is no look at the newer values"
    assert press(vera, f"{SHOP}/change", dict(FORM)).status_code == 409, "nothing said of it"
    form["opened"] = value_of(late, "opened")
    assert "was changed." in said(press(vera, f"{SHOP}/change", form), vera)
    assert (the_shop().name, the_shop().about["en"]) == ("Web shop", "news about films")
    assert value_of(vera.get(ADD), "opened") is None


# --- logo


def upload(browser: Browser, body: bytes, file: str, **more: object) -> TestResponse:
    data = FORM | {"logo": (BytesIO(body), file)} | more
    return save(browser, f"{SHOP}/change", data, content_type="multipart/form-data")


@pytest.mark.parametrize(
    ("body", "name", "kind"), [(PNG, "logo.png", "image/png"), (SVG, "a.SVG", "image/svg+xml")]
)
def test_a_logo_is_taken_and_taken_away(
    shop: Browser, town: Town, body: bytes, name: str, kind: str
) -> None:
    assert upload(shop, body, name).status_code == 303
    assert (the_shop().logo, the_shop().logo_type) == (body, kind)
    [entry] = log("site_changed")
    assert entry.details["logo"][0] is None and kind in entry.details["logo"][1]
    answer = town.browser.get("/w/web-shop/logo")
    assert answer.data == body and "sandbox" in answer.headers["Content-Security-Policy"]
    assert '<img src="/w/web-shop/logo" alt="Web shop"' in shop.get(SHOP).text
    save(shop, f"{SHOP}/change", dict(FORM))
    assert the_shop().logo == body, "a form without a file keeps it"
    save(shop, f"{SHOP}/change", FORM | {"without_logo": "yes"})
    assert the_shop().logo is None


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (PNG + b"x" * 20_480, "big.png"),
        (PNG, "logo.gif"),
        (PNG, "logo.svg"),
        (SVG, "logo.png"),
        (b"", "empty.png"),
        (b"<html><script>alert(1)</script>", "page.svg"),
        (PNG, "../../etc/passwd"),
    ],
)
def test_what_is_no_small_image_is_refused(shop: Browser, body: bytes, name: str) -> None:
    before = kept()
    answer = upload(shop, body, name, name="Book shop")
    assert errors(answer) == ["Choose an SVG or PNG image of at most 20 KB."]
    assert value_of(answer, "name") == "Book shop"
    assert kept() == before


# --- off and on, keys


def test_turning_off_asks_first_and_takes_back_what_waits(shop: Browser, town: Town) -> None:
    before = kept()
    assert "lead nowhere" in shop.get(f"{SHOP}/disable").text
    assert kept() == before
    assert "Web shop is off." in said(press(shop, f"{SHOP}/disable"), shop)
    assert town.browser.get("/w/web-shop").status_code == 404
    assert "Turn it on to see the lines." in shop.get(SHOP).text
    assert "Web shop is off." in said(shop.get(f"{SHOP}/disable"), shop)
    press(shop, f"{SHOP}/disable")
    assert "Web shop is on." in said(press(shop, f"{SHOP}/enable"), shop)
    press(shop, f"{SHOP}/enable")
    assert town.browser.get("/w/web-shop").status_code == 200
    assert [len(log(f"site_{way}")) for way in ("disabled", "enabled")] == [1, 1]


def test_a_new_key_and_how_long_the_old_one_works(shop: Browser, town: Town, now: Clock) -> None:
    assert value_of(shop.get(f"{SHOP}/rotate"), "days") == "30"
    page = said(press(shop, f"{SHOP}/rotate", {"days": "7"}), shop)
    new = the_shop().key
    assert new != "web-shop" and f"The new key is {new}." in page
    assert re.search(r"web-shop</span> <span[^>]*>works until", page)
    assert f"/w/{new}.js" in page, "the lines to paste have the new one"
    [entry] = log("site_rotated")
    assert entry.details == {"key": ["web-shop", new], "until": "2026-12-01T15:00:00Z"}
    for key in ("web-shop", new):
        assert town.browser.get(f"/w/{key}").status_code == 200
    now.forward(days=7)
    assert town.browser.get("/w/web-shop").status_code == 404
    assert "works until" not in eve_editor(town).get(SHOP).text


def test_the_old_key_can_end_at_once(shop: Browser, town: Town) -> None:
    press(shop, f"{SHOP}/rotate", {"days": "0"})
    assert town.browser.get("/w/web-shop").status_code == 404


@pytest.mark.parametrize("days", ["", "-1", "3651", "soon", "1.5", "99999"])
def test_no_key_without_a_number_of_days(shop: Browser, days: str) -> None:
    before = kept()
    answer = press(shop, f"{SHOP}/rotate", {"days": days})
    assert errors(answer) == ["Type a number of days from 0 to 3650."]
    assert value_of(answer, "days") == days
    assert kept() == before


# --- what to paste, previews


def test_each_way_in_can_be_copied(shop: Browser) -> None:
    place = sites.find("web-shop", now=clock.now())
    assert place is not None
    page = html.unescape(shop.get(SHOP).text)
    for kind in snippets.KINDS:
        assert snippets.html(place, kind, "en") in page
        assert snippets.policy(kind) in page
    assert snippets.twin(place) in page
    assert 'href="/w/web-shop/poster"' in page


def test_signed_in_staff_see_the_widget_in_five_hosts(shop: Browser, town: Town) -> None:
    vic = vic_viewer(town)
    page = vic.get(f"{SHOP}/preview")
    frames = [
        html.unescape(src) for src in re.findall(r'<iframe class="host" src="([^"]+)"', page.text)
    ]
    assert len(frames) == len(HOSTS) == 5
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    for address in frames:
        host = vic.get(address)
        assert (host.status_code, "/w/web-shop.js" in host.text) == (200, True)
        policy = host.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors http://prefs.test" in policy
        assert stranger(town).get(address).status_code == 303, "not for everybody"
    other = vic.get(f"{SHOP}/preview?kind=frame&lang=es").text
    assert "/preview/1?kind=frame&amp;lang=es" in other
    assert (
        'src="http://prefs.test/w/web-shop?lang=es"'
        in vic.get(f"{SHOP}/preview/1?kind=frame&lang=es").text
    )


@on_sqlite
@pytest.mark.settings(SMS_BACKEND="vonage", VONAGE_PRIVATE_KEY="a key that signs nothing here")
def test_staff_see_it_also_where_texts_really_leave(town: Town) -> None:
    """There is no /dev there."""
    eve = eve_editor(town)
    press(eve, ADD, dict(FORM))
    assert eve.get("/dev/widget").status_code == 404
    assert eve.get(f"{SHOP}/preview/1").status_code == 200


def test_a_site_that_is_off_has_no_preview(shop: Browser) -> None:
    press(shop, f"{SHOP}/disable")
    for path in ("preview", "preview/1"):
        assert shop.get(f"{SHOP}/{path}").status_code == 404
    press(shop, f"{SHOP}/enable")
    for number in ("0", "6", "x"):
        assert shop.get(f"{SHOP}/preview/{number}").status_code == 404


# --- breakers


def test_an_open_breaker_is_shown_and_closed_with_a_reason(
    shop: Browser, town: Town, now: Clock
) -> None:
    number = trip(now)
    other = trip(now, BreakerScope.COUNTRY, "US")
    page = shop.get(SHOP).text
    assert "Sending is stopped to people who sign up on Web shop" in page
    assert f'id="breaker-{other}"' not in page, "not this site's"
    assert "Stopped by a breaker" in shop.get(SITES).text
    form = {"back": "web-shop", "reason": ""}
    assert errors(press(shop, f"/admin/breakers/{number}/close", form))
    assert breaker.find(number, now=now.now()) is not None
    form["reason"] = "A sale; they are people."
    answer = press(shop, f"/admin/breakers/{number}/close", form)
    assert answer.headers["Location"] == SHOP
    assert "The breaker is closed." in said(answer, shop)
    assert breaker.find(number, now=now.now()) is None
    [entry] = log("breaker_closed")
    assert (entry.subject, entry.reason) == (str(number), "A sale; they are people.")
    assert "Stopped by a breaker" not in shop.get(SITES).text


# --- a form with nothing to offer


def test_a_site_that_offers_nothing_is_marked(shop: Browser, town: Town) -> None:
    with writing():
        sites.disable(sites.by_slug("web-shop"), now=clock.now())
        db.session.commit()
    for slug in ("offers", "events"):
        press(shop, f"/admin/categories/{slug}/retire")
    press(shop, f"{SHOP}/enable")
    assert "Offers nothing" in shop.get(SITES).text
    assert "It offers nothing" in shop.get(SHOP).text


# --- who may, and what is hostile


def test_vic_looks_and_changes_nothing(shop: Browser, town: Town, now: Clock) -> None:
    number = trip(now)
    vic = vic_viewer(town)
    for path in (SITES, SHOP):
        page = vic.get(path)
        assert page.status_code == 200 and "Web shop" in page.text
        forms = set(re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page.text))
        assert forms <= {"/admin/sign-out"}
        assert f"{SHOP}/change" not in page.text
    ways = ("change", "disable", "rotate")
    refuses(
        town,
        Role.VIEWER,
        gets=[ADD, *(f"{SHOP}/{way}" for way in ways)],
        posts=[
            ADD,
            *(f"{SHOP}/{way}" for way in (*ways, "enable")),
            f"/admin/breakers/{number}/close",
        ],
    )


def test_an_unknown_one_is_404(eve: Browser) -> None:
    for slug in ("nobody", "x" * 60, "a%00b", "%F0%9F%98%80"):
        for way in ("", "/change", "/disable", "/rotate", "/preview", "/preview/1"):
            assert eve.get(f"{SITES}/{slug}{way}").status_code == 404
        for way in ("/change", "/disable", "/enable", "/rotate"):
            assert press(eve, f"{SITES}/{slug}{way}").status_code == 404


def test_hostile_words_are_only_words(shop: Browser, town: Town) -> None:
    """SEC-38."""
    calm(press(shop, ADD, {name: HOSTILE for name in FORM} | {"look": "yes"}))
    words = HOSTILE[:80]
    calm(save(shop, f"{SHOP}/change", FORM | {"name": words}, follow_redirects=True))
    for path in (SITES, SHOP, f"{SHOP}/change", f"{SHOP}/disable", f"{SHOP}/rotate"):
        calm(shop.get(path), shows=words)
    calm(shop.get("/admin/activity"), shows=words)
    calm(shop.get(f"{SHOP}/preview"), shows=words)


def test_looking_changes_nothing(shop: Browser, town: Town) -> None:
    before = kept()
    ways = ("", "/change", "/disable", "/rotate", "/preview", "/preview/1")
    for path in (SITES, ADD, *(f"{SHOP}{way}" for way in ways)):
        assert shop.get(path).status_code == 200, path
    assert kept() == before


def test_without_a_site_the_page_says_what_to_do(eve: Browser) -> None:
    page = eve.get(SITES).text
    assert "No site yet" in page and f'href="{ADD}"' in page


def test_no_whole_number_is_on_the_pages(shop: Browser, town: Town) -> None:
    town.bob(BOB)
    for path in (SITES, SHOP):
        assert BOB not in shop.get(path).text
