"""`prefcenter site`: what Bob, who runs a shop, types, and what he pastes (SEC-21, SEC-27)."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import site_values, sites
from prefcenter.database import db
from prefcenter.models import ConsentEvent, Site, Status, WordingVersion
from prefcenter.web import embed, proof, snippets
from tests import terminal
from tests.cast import ALICE, Town, rows
from tests.conftest import Browser, Clock
from tests.terminal import Run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HERE = "http://prefs.test"
ADD = ("site", "add", "web-shop", "--name", "Web shop", "--origin", "https://shop.example")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


@pytest.fixture
def shop(run: Run) -> str:
    assert run(*ADD).exit_code == 0
    return "web-shop"


def site(run: Run, key: str = "web-shop") -> dict[str, object]:
    [row] = [row for row in json.loads(run("site", "list", "--json").output) if row["slug"] == key]
    assert isinstance(row, dict)
    return row


# --- add, change, list


def test_bob_adds_a_site_with_one_line(run: Run, now: Clock) -> None:
    assert run("site", "list").output == "There is no site.\n"
    result = run(*ADD)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.output == "Added web-shop. What to paste: `prefcenter site snippet web-shop`.\n"
    assert run("site", "list").output == (
        "web-shop: Web shop\n    key web-shop, https://shop.example\n"
    )
    assert site(run) == {
        "slug": "web-shop",
        "key": "web-shop",
        "name": "Web shop",
        "origins": ["https://shop.example"],
        "about": {},
        "categories": [],
        "language": "en",
        "country": "US",
        "color": None,
        "color_dark": None,
        "logo": None,
        "daily_budget": None,
        "created_at": "2026-11-24T15:00:00+00:00",
        "disabled_at": None,
    }
    assert sites.find("web-shop", now=now.now()) is not None


def test_everything_that_a_site_may_be_told(run: Run, tmp_path: Path, now: Clock) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(PNG)
    result = run(
        *ADD, "--origin", "https://WWW.Shop.example:443/", "--about", "deals = fun",
        "--about", "es=ofertas", "--category", "offers", "--category", "events",
        "--language", "en", "--country", "gb", "--color", "#AA3300", "--color-dark", "#ff8866",
        "--logo", str(logo), "--daily-budget", "200",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    told = site(run)
    assert told["origins"] == ["https://shop.example", "https://www.shop.example"]
    assert told["about"] == {"en": "deals = fun", "es": "ofertas"}
    assert told["categories"] == ["offers", "events"]
    assert (told["country"], told["color"], told["color_dark"]) == ("GB", "#aa3300", "#ff8866")
    assert (told["logo"], told["daily_budget"]) == ("image/png", 200)
    place = sites.find("web-shop", now=now.now())
    assert place is not None
    assert sites.logo(place) == (PNG, "image/png")


def test_a_change_leaves_what_it_does_not_name(run: Run, shop: str, now: Clock) -> None:
    run("site", "change", shop, "--color", "#aa3300", "--about", "deals", "--daily-budget", "9")
    before = site(run)
    result = run("site", "change", shop, "--name", "Shop", "--about", "es=ofertas")
    assert (result.exit_code, result.output) == (0, "Changed web-shop.\n")
    after = site(run)
    assert after == before | {"name": "Shop", "about": {"en": "deals", "es": "ofertas"}}


def test_none_takes_away_what_may_be_absent(run: Run, shop: str, tmp_path: Path) -> None:
    fresh = site(run)
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg/>")
    run(
        *("site", "change", shop, "--color", "#aa3300", "--color-dark", "#ff8866"),
        *("--logo", str(logo), "--daily-budget", "0", "--category", "offers", "--about", "deals"),
    )
    given = site(run)
    assert (given["daily_budget"], given["logo"]) == (0, "image/svg+xml"), "0 is a budget too"
    result = run(
        *("site", "change", shop, "--color", "none", "--color-dark", "none", "--logo", "none"),
        *("--daily-budget", "none", "--category", "none", "--about", ""),
    )
    assert result.exit_code == 0, result.output
    assert site(run) == fresh


@on_sqlite
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--about", "<b>deals</b>"), "without < and >"),
        (("--about", "x" * 121), "at most 120 characters"),
        (("--category", "nothing-such"), "There is no public category nothing-such."),
        (("--country", "FR"), "A site's country is one that COUNTRIES names: US, GB, ES."),
        (("--color", "red"), "is no colour: write it like #1f5c48"),
        (("--color-dark", "#12345"), "is no colour: write it like #1f5c48"),
        (("--logo", "/nowhere/logo.png"), "must be an existing .svg or .png file"),
        (("--daily-budget", "-1"), "--daily-budget is a number of texts such as 200, or none."),
        (("--daily-budget", "1e3"), "--daily-budget is a number of texts such as 200, or none."),
        (("--name", " "), "A site's name has 1 to 80 characters."),
        ((), "Say what to change"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    run: Run, shop: str, words: tuple[str, ...], sentence: str
) -> None:
    before = rows()
    result = run("site", "change", shop, *words)
    assert (result.exit_code, result.output[:7]) == (1, "Error: ")
    assert sentence in result.output
    if words:
        adding = [word for word in ADD if word != "web-shop"]
        result = run(*adding[:2], "other", *adding[2:], *words)
        assert (result.exit_code, sentence in result.output) == (1, True)
    assert rows() == before


@on_sqlite
@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("web-shop", "There is a site web-shop already."),
        ("Web Shop", "A key is lower-case letters, digits and dashes, like web-shop."),
        ("../x", "A key is lower-case letters"),
        ("x" * 31, "A key is lower-case letters"),
    ],
)
def test_a_key_that_is_taken_or_no_key_is_refused(
    run: Run, shop: str, key: str, sentence: str
) -> None:
    result = run("site", "add", key, "--name", "x", "--origin", "https://x.example")
    assert result.exit_code == 1
    assert sentence in result.output
    assert len(sites.every()) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "words",
    [
        *(("site", name, "nobody") for name in ("disable", "enable", "snippet")),
        ("site", "change", "nobody", "--name", "x"),
        ("site", "rotate", "nobody", "--keep-days", "1"),
    ],
)
def test_an_unknown_site_is_said_to_be_unknown(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert "There is no site nobody. `prefcenter site list` shows them all." in result.output


# --- origins


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1", "http://127.0.0.1"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://192.0.2.7", "https://192.0.2.7"),
    ],
)
def test_an_origin_is_kept_as_browsers_say_it(typed: str, stored: str) -> None:
    assert site_values.origin(typed) == stored


WRONG_ORIGINS = [
    "", "*", "null", "shop.example", "//shop.example", "https://", "https://*", "https:///x",
    "https://*.shop.example", "https://shop.example/checkout", "https://shop.example?x=1",
    "https://shop.example#x", "https://bob@shop.example", "https://bob:pw@shop.example",
    "https://shop.example:99999", "https://shop.example:x", "ftp://shop.example",
    "javascript:alert(1)", "https://shop example", "https://shop.example https://evil.example",
    "https://shop.example,https://evil.example", "https://shop.example; script-src *",
    "https://[::1", "https://straße.example", "https://ｓhop.example", "https://" + "x" * 3000 + "!", "https://shop.example'", "file:///etc",
]  # fmt: skip


@on_sqlite
@pytest.mark.parametrize("typed", WRONG_ORIGINS)
def test_a_wrong_origin_is_refused_with_the_cure(run: Run, typed: str) -> None:
    """What is stored goes word for word into frame-ancestors and CORS headers."""
    result = run("site", "add", "web-shop", "--name", "x", "--origin", typed)
    assert (result.exit_code, result.output[:7]) == (1, "Error: ")
    assert "like https://shop.example.com" in result.output
    assert len(result.output) < 300
    assert db.session.scalar(sa.select(Site.id)) is None


@on_sqlite
def test_plain_http_is_for_this_machine_and_for_development(run: Run) -> None:
    for typed in ("http://shop.example", "http://127.0.0.1.evil.example", "http://localhosts"):
        with pytest.raises(ValueError, match="so make it https://"):
            site_values.origin(typed)
        assert site_values.origin(typed, development=True) == typed
    assert run(*ADD[:-1], "http://shop.example").exit_code == 0, "these tests are development"


@on_sqlite
def test_a_site_needs_an_origin(run: Run) -> None:
    result = run("site", "add", "web-shop", "--name", "x")
    assert result.exit_code == 1
    assert "Name at least one origin, like https://shop.example.com." in result.output


# --- disable, enable, rotate


def test_a_disabled_site_is_unknown_until_it_is_enabled(run: Run, shop: str, now: Clock) -> None:
    result = run("site", "disable", shop)
    assert (result.exit_code, result.output) == (0, "Disabled web-shop.\n")
    assert sites.find(shop, now=now.now()) is None
    assert run("site", "list").output.startswith("web-shop: Web shop, disabled\n")
    result = run("site", "snippet", shop)
    assert result.exit_code == 1
    assert "Run `prefcenter site enable web-shop` first." in result.output
    first = site(run)["disabled_at"]
    now.forward(hours=1)
    run("site", "disable", shop)
    assert site(run)["disabled_at"] == first, "since when is kept"
    assert run("site", "enable", shop).output == "Enabled web-shop.\n"
    assert sites.find(shop, now=now.now()) is not None


def test_a_rotated_key_works_beside_the_old_one_for_a_while(
    run: Run, shop: str, now: Clock
) -> None:
    result = run("site", "rotate", shop, "--keep-days", "30")
    new = result.stdout.strip()
    assert result.exit_code == 0
    assert re.fullmatch(r"web-shop-[0-9a-f]{8}", new), "the key alone on standard output"
    assert "prefcenter site snippet web-shop" in result.stderr
    now.forward(days=29)
    assert sites.find(shop, now=now.now()) == sites.find(new, now=now.now()) is not None
    assert f'action="{HERE}/o/{new}"' in run("site", "snippet", shop).output
    now.forward(days=1)
    for _ in range(2):
        assert sites.find(shop, now=now.now()) is None
        assert sites.find(new, now=now.now()) is not None
        now.forward(days=400)
    result = run("site", "add", new, "--name", "x", "--origin", "https://evil.example")
    assert "There is a site" in result.output, "an old page must not reach another site"


def test_a_leaked_key_can_end_at_once(run: Run, shop: str, now: Clock) -> None:
    new = run("site", "rotate", shop, "--keep-days", "0").stdout.strip()
    now.forward(seconds=1)
    assert sites.find(shop, now=now.now()) is None
    assert sites.find(new, now=now.now()) is not None
    for wrong in ("-1", "x", "99999"):
        assert run("site", "rotate", shop, "--keep-days", wrong).exit_code == 2
    assert run("site", "rotate", shop).exit_code == 2, "how long is said, not assumed"


# --- snippet


class Pasted(HTMLParser):
    """The tags of a snippet; comments are apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.comments: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.strip())

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def pasted(run: Run, *words: str) -> Pasted:
    result = run("site", "snippet", "web-shop", *words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return Pasted(result.output)


@pytest.mark.parametrize("kind", snippets.KINDS)
def test_nothing_inline_that_a_strict_policy_would_block(run: Run, shop: str, kind: str) -> None:
    """SEC-27."""
    found = pasted(run, "--kind", kind)
    for tag, attributes in found.tags:
        assert tag != "style" and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    for script in found.all("script"):
        assert script["src"] == f"{HERE}/w/web-shop.js" and "async" in script


@on_sqlite
@pytest.mark.parametrize(
    ("kind", "policy"),
    [
        ("element", f"script-src {HERE}; connect-src {HERE}; form-action {HERE}"),
        ("frame", f"frame-src {HERE}"),
        ("form", f"form-action {HERE}"),
        ("field", f"script-src {HERE}"),
    ],
)
def test_the_policy_that_the_page_needs_is_said(
    run: Run, shop: str, kind: str, policy: str
) -> None:
    [line] = [line for line in pasted(run, "--kind", kind).comments if "Policy" in line]
    assert line.endswith(f": {policy}")


@pytest.mark.parametrize(("kind", "prefix"), [("element", ""), ("form", ""), ("field", "sms_")])
def test_without_a_script_the_form_has_and_says_all_that_it_must(
    run: Run, shop: str, app: Flask, kind: str, prefix: str
) -> None:
    """RULE-1, RULE-2, RULE-4; the stored text is the one that was shown."""
    run("site", "change", shop, "--about", "deals & more", "--about", "es=ofertas")
    for language, about in (("en", "deals & more"), ("es", "ofertas")):
        found = pasted(run, "--kind", kind, "--language", language)
        fields = {one["name"]: one for one in found.all("input")}
        assert fields[f"{prefix}number"]["type"] == "tel"
        box = fields[f"{prefix}consent"]
        assert (box["type"], box["value"], "checked" in box) == ("checkbox", "yes", False)
        shown = proof.shown(
            "signup",
            fields[f"{prefix}text_version"]["value"],
            about={"en": "deals & more", "es": "ofertas"},
        )
        assert shown is not None and shown[0] == language
        assert " ".join(shown[1].split()) in " ".join(found.words.split())
        assert f"Marlow Books ({about})" in found.words
        links = {one["href"] for one in found.all("a")}
        assert links == {f"{HERE}/terms", f"{HERE}/privacy"}, "whole addresses, on another host"
    if kind != "field":
        [form] = found.all("form")
        assert (form["method"], form["action"]) == ("post", f"{HERE}/o/web-shop")
        assert "hidden" in fields["leave_empty"] and "value" not in fields["leave_empty"]
        assert fields["lang"]["value"] == "es"
    else:
        assert not found.all("form"), "a form within the shop's own would be closed by it"


def filled(found: Pasted, **typed: str) -> dict[str, str]:
    """What a browser posts of a form: all that has a name, boxes only when ticked."""
    boxes = {one["name"] for one in found.all("input") if one.get("type") == "checkbox"}
    named = {one["name"]: one.get("value", "") for one in found.all("input") if "name" in one}
    return {name: value for name, value in named.items() if name not in boxes} | typed


def test_alice_signs_up_with_the_pasted_form_and_no_script(
    run: Run, shop: str, town: Town, now: Clock
) -> None:
    """The whole way: from the shop's page over "One more step" to one text that confirms."""
    run("site", "change", shop, "--about", "deals & more", "--category", "offers")
    posted = filled(pasted(run, "--kind", "form"), number=ALICE, consent="yes")
    from_shop = {"Origin": "https://shop.example"}
    answer = town.browser.post("/o/web-shop", data=posted, headers=from_shop)
    assert "One more step" in answer.text and town.work() == []
    now.forward(seconds=3)
    page = Pasted(answer.text)
    answer = town.browser.post(page.all("form")[0]["action"], data=filled(page))
    assert answer.status_code == 303
    assert [text.to for text in town.work()] == [ALICE]
    town.browser.post(town.last_link(ALICE))
    person = town.person(ALICE)
    assert person.status is Status.SUBSCRIBED
    assert [kind.slug for kind in person.categories] == ["offers"]
    requested = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.seq)).first()
    assert requested is not None and requested.source_detail == shop
    shown = sa.select(WordingVersion.text).where(WordingVersion.sha256 == requested.wording_sha256)
    assert "Marlow Books (deals & more)" in db.session.scalars(shown).one()


def test_the_frame_has_a_title_and_tells_us_no_more_than_its_origin(run: Run, shop: str) -> None:
    [frame] = pasted(run, "--kind", "frame", "--language", "es").all("iframe")
    assert frame["src"] == f"{HERE}/w/web-shop?lang=es"
    assert frame["title"] == "Reciba mensajes de Marlow Books"
    assert frame["referrerpolicy"] == "strict-origin"
    assert int(frame["height"]) >= 540


@pytest.mark.parametrize("kind", ["element", "field"])
def test_the_integrity_value_is_that_of_the_script_at_its_address(
    run: Run, shop: str, client: Browser, kind: str, now: Clock
) -> None:
    """SEC-27: what is pasted must be what is served, or the browser refuses it."""
    [line] = [line for line in pasted(run, "--kind", kind).comments if "integrity=" in line]
    [script] = Pasted(line).all("script")
    assert script["crossorigin"] == "anonymous", "without it the browser cannot check"
    served = client.get(script["src"].removeprefix(HERE))
    assert served.status_code == 200
    digest = base64.b64encode(hashlib.sha384(served.data).digest()).decode()
    assert script["integrity"] == f"sha384-{digest}"
    assert "immutable" in served.headers["Cache-Control"]
    place = sites.find(shop, now=now.now())
    assert place is not None
    assert embed.made(place).body == served.data


@on_sqlite
def test_the_snippet_is_in_the_sites_language_unless_told(run: Run, shop: str) -> None:
    run("site", "change", shop, "--language", "es")
    assert pasted(run).all("prefcenter-optin") == [{"lang": "es"}]
    assert "Quiero" in pasted(run).words or "Acepto" in pasted(run).words
    assert pasted(run, "--language", "en").all("prefcenter-optin") == [{"lang": "en"}]


@on_sqlite
@pytest.mark.settings(BRAND='A<b> & "B"', PUBLIC_URL="http://127.0.0.1:8000")
def test_hostile_words_stay_words(run: Run, shop: str) -> None:
    for kind in snippets.KINDS:
        found = pasted(run, "--kind", kind)
        assert not [attributes for attributes in found.all("b") if not attributes]
        assert "http://127.0.0.1:8000" in found.comments[0]


def test_printing_writes_nothing(run: Run, shop: str) -> None:
    before = rows()
    for kind in snippets.KINDS:
        run("site", "snippet", shop, "--kind", kind)
    run("site", "list")
    assert rows() == before
