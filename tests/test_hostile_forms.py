"""Bodies that no form of ours sends: refused or ignored, never a 500, and nobody is signed up."""

import json
import re
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import audit
from prefcenter.database import db, writing
from prefcenter.models import Category, Status
from prefcenter.web import pages
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Browser
from tests.test_every_route import FOR_VONAGE, addresses, open_shop

FORM = "application/x-www-form-urlencoded"
FIELDS = (
    *("number", "consent", "text_version", "categories", "shown", "frequency", "language"),
    *("version", "pause", "request", "form_token", "work", "lang", "country", "page", "source"),
    *("button", "return_to", "leave_empty"),
)
EVERYTHING = {
    **{"number": "+12025550199", "consent": "yes", "categories": ["events"], "shown": ["events"]},
    **{"frequency": "1/week", "language": "es", "version": 1, "pause": "1m"},
}
EDGE = "----x"


def _multipart(*parts: tuple[str, str]) -> bytes:
    """Every field of ours as a file."""
    body = "".join(
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.txt"\r\n'
        f"Content-Type: text/plain\r\n\r\n{value}\r\n"
        for name, value in parts
    )
    return f"{body}--{EDGE}--\r\n".encode()


def _all(value: str) -> bytes:
    return "&".join(f"{name}={value}" for name in FIELDS).encode()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


BODIES: dict[str, tuple[str, bytes]] = {
    "JSON object": ("application/json", _json(EVERYTHING)),
    "JSON list": ("application/json", _json([1, "a", None])),
    "JSON list of pairs": ("application/json", _json([["categories", ["events"]]])),
    "JSON string": ("application/json", _json("number=+12025550199&consent=yes")),
    "JSON number": ("application/json", b"17"),
    "JSON NaN": ("application/json", b'{"number": NaN, "version": Infinity, "shown": NaN}'),
    "JSON null": ("application/json", b"null"),
    "JSON of other types": ("application/json", _json(dict.fromkeys(FIELDS, {"a": [1, {}]}))),
    "JSON numbers": ("application/json", _json(dict.fromkeys(FIELDS, 10**400))),
    "JSON surrogates": ("application/json", b'{"number": "\\ud800", "consent": "\\udfff"}'),
    "deep JSON": ("application/json", b"[" * 30_000 + b"]" * 30_000),
    "broken JSON": ("application/json", b'{"number": '),
    "JSON with a suffix": ("application/vnd.x+json", _json(EVERYTHING)),
    "files": (
        f"multipart/form-data; boundary={EDGE}",
        _multipart(*((name, "events") for name in FIELDS)),
    ),
    "a form that is cut short": (
        f"multipart/form-data; boundary={EDGE}",
        _multipart(("number", "+12025550199"))[:-60],
    ),
    "no boundary": ("multipart/form-data", b"--x\r\n\r\n"),
    "fields a thousand times": (FORM, b"&".join(_all("events") for _ in range(300))),
    "huge fields": (FORM, _all("9" * 5_000)),
    "a huge body": (FORM, _all("9" * 10_000)),
    "NUL": (FORM, _all("%00events%00")),
    "lone surrogates": (FORM, _all("%ED%A0%80")),
    "not UTF-8": (FORM, _all("%FF%FE")),
    "directions and lines": (FORM, _all(quote("\u202e1/week\r\n\u2028"))),
    "Unicode digits": (FORM, _all(quote("\u0661\u0662"))),
    "no name": (FORM, b"=x&&;&=%"),
    "XML": ("text/xml", b"<a/>"),
    "no kind": ("", b"number=%2B12025550199&consent=yes"),
}
settings = pytest.mark.settings(SAVES_PER_HOUR="1000000")


@pytest.fixture
def everybody(town: Town) -> Town:
    town.alice()
    town.bob()
    town.carol()
    open_shop(town)
    return town


def _post(browser: Browser, address: str, body: str, **more: object) -> int:
    kind, data = BODIES[body]
    with browser.post(address, data=data, content_type=kind or None, **more) as answer:
        if address.startswith(FOR_VONAGE):
            assert answer.status_code in (411, 413, 503), (address, body)
        else:
            assert answer.status_code < 500, (address, body)
        if answer.status_code >= 400 and "text/html" in answer.content_type:
            assert "<h1" in answer.text, (address, body)
        return answer.status_code


def _reads_fields(address: str) -> bool:
    if address.endswith(("/fewer", "/pause", "/start")):
        return True
    return (
        address == "/" or address[:3] == "/o/" or (address[:3] == "/p/" and address.count("/") == 2)
    )


def _kept() -> dict[str, list[tuple[object, ...]]]:
    """All that a refused form must leave alone; that it was pressed may be counted."""
    return {name: content for name, content in rows().items() if name != "tally"}


@settings
def test_a_form_that_is_not_ours_changes_nothing(app: Flask, everybody: Town) -> None:
    """SEC-5: on every route that reads fields, with the links of Alice, Bob and Carol."""
    before = _kept()
    found = [address for address in addresses(app, everybody, "POST") if _reads_fields(address)]
    assert len(found) > 20
    for body in BODIES:
        for address in found:
            _post(everybody.browser, address, body)
            _post(everybody.browser, address, body, headers={"HX-Request": "true"})
        assert _kept() == before, body


@settings
def test_no_body_makes_a_button_fail(app: Flask, everybody: Town) -> None:
    """What acts on the press alone acts once, whatever comes with it, and the proof holds."""
    found = [a for a in addresses(app, everybody, "POST") if not _reads_fields(a)]
    assert len(found) > 30
    for body in BODIES:
        for address in sorted(found, key=lambda a: not a.endswith(("/resume", "/decline"))):
            _post(everybody.browser, address, body)
    assert list(audit.faults()) == []
    assert [what for _person, what in audit.differences()] == []


@settings
def test_no_odd_body_starts_carols_texts(town: Town) -> None:
    """SEC-16, also when JSON holds the very words that the page shows."""
    link = town.carol()
    version = pages.text_version(pages.shown_text("restart", "en"))
    before = _kept()
    for address in (link, f"{link}/start"):
        for body in BODIES:
            _post(town.browser, address, body)
        answer = town.browser.post(address, json={"text_version": version, **EVERYTHING})
        assert answer.status_code == 409
    assert town.person(CAROL).status is Status.UNSUBSCRIBED
    assert _kept() == before


def _form(town: Town, **changed: object) -> dict[str, object]:
    page = town.browser.get("/").text
    version = page.split('name="text_version" value="')[1].split('"')[0]
    form = {"number": BOB, "consent": "yes", "text_version": version}
    return {k: v for k, v in (form | changed).items() if v is not None}


@pytest.mark.parametrize("consent", ["no", "", "0", "false", "off", "maybe", "\x00yes ", None])
def test_only_a_yes_is_a_yes(town: Town, consent: str | None) -> None:
    """RULE-3: a form that says "no", or says nothing, asks for nothing."""
    answer = town.browser.post("/", data=_form(town, consent=consent, categories=["offers"]))
    assert answer.status_code == 422
    assert "Tick the box if you agree" in answer.text
    assert rows()["signup"] == []


def test_a_plain_form_that_does_not_say_what_it_showed_is_taken(town: Town) -> None:
    data = _form(town, categories=["offers", "events"])
    assert town.browser.post("/", data=data).status_code == 303
    town.work()
    town.browser.post(town.last_link(BOB))
    assert [c.slug for c in town.person(BOB).categories] == ["offers", "events"]


@pytest.mark.parametrize("shown", [[], ["offers", "events"]], ids=["not shown", "shown"])
def test_a_form_without_a_kind_of_text_is_not_taken(town: Town, shown: list[str]) -> None:
    answer = town.browser.post("/", data=_form(town, shown=shown))
    assert answer.status_code == 422
    assert "Tick at least one kind of text" in answer.text
    assert rows()["signup"] == []


def test_json_signs_nobody_up(town: Town) -> None:
    form = _form(town, number=ALICE, categories=["offers"], shown=["offers"])
    assert town.browser.post("/", json=form).status_code == 422
    assert rows()["signup"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://prefs.test.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_other_website_signs_its_visitors_up(
    town: Town, client: Browser, headers: dict[str, str]
) -> None:
    """SEC-23: the hosted form is for our own page, as the visitor's browser tells."""
    version = re.search(r'name="text_version" value="(\w+)"', client.get("/").text)
    assert version is not None
    form = {"number": ALICE, "consent": "yes", "text_version": version[1], "categories": "offers"}
    before = rows()
    assert client.post("/", data=form, headers=headers).status_code == 403
    assert rows() == before
    for own in ({"Origin": "http://prefs.test"}, {"Sec-Fetch-Site": "same-origin"}, {}):
        assert client.post("/", data=form, headers=own).status_code == 303


def test_a_form_for_kinds_that_nobody_offers_is_not_taken(town: Town) -> None:
    """Somebody would confirm, and then get nothing."""
    answer = town.sign_up(ALICE, ("nonsense",))
    assert answer.status_code == 422
    assert "Tick at least one kind of text" in answer.text


def test_a_page_that_asks_to_confirm_states_the_age(town: Town) -> None:
    """RULE-10: what the proof says was stated stood on the page."""
    with writing():
        gated = sa.update(Category).where(Category.slug == "offers").values(age_gate=21)
        db.session.execute(gated)
        db.session.commit()
    page = town.browser.get(town.bob()).text
    assert "you are 21 or older" in page
