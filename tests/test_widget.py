"""The widget's addresses: whoever asks from wherever, one honest press is one text."""

import base64
import html
import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import altcha
import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from prefcenter import phone
from prefcenter.consent import breaker, sites
from prefcenter.consent.sites import Place
from prefcenter.database import db, writing
from prefcenter.models import (
    Category,
    ConsentEvent,
    EventKind,
    Evidence,
    Signup,
    Site,
    Source,
    TextKind,
    WordingVersion,
)
from prefcenter.web import form_token, origins, pages
from prefcenter.web.form_token import Way
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock, settings_for

ROOT = Path(__file__).resolve().parent.parent
SHOP = "https://shop.example"
OWN = "'self' http://prefs.test http://localhost"  # the last only while developing
MALLORYS = "https://shop.example.mallory.example"
JSON = {"Accept": "application/json", "Origin": SHOP}
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_TEXT = "I agree to get recurring automated marketing texts from Marlow Books"


class Shop:
    """A website whose pages carry our widget, and the people who fill it in."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self.town, self.clock, self.browser = town, clock, town.browser
        with writing():
            for slug, origin in (("shop", SHOP), ("blog", "https://blog.example")):
                about = {"en": "new books", "es": "libros nuevos"} if slug == "shop" else {}
                sites.add(slug, slug.title(), origins=[origin], about=about, now=clock.now())
            sites.change(sites.by_slug("shop"), logo=(PNG, "image/png"))
            db.session.commit()

    def place(self, key: str = "shop") -> Place:
        found = sites.find(key, now=self.clock.now())
        assert found is not None
        return found

    def version(self, language: str = "en") -> str:
        about = self.place().about[language]
        return pages.text_version(pages.shown_text("signup", language, about=about))

    def fields(self, number: Any = ALICE, **more: Any) -> dict[str, Any]:
        """What somebody fills in, without a token."""
        filled = {"number": number, "consent": "yes", "text_version": self.version()}
        return {name: value for name, value in (filled | more).items() if value is not None}

    def prepared(self, **headers: str) -> dict[str, str]:
        """What our script adds: a token that is old enough, and the work that belongs to it."""
        got = self.browser.get("/o/shop/challenge", headers={"Origin": SHOP} | headers).json
        assert got is not None
        self.clock.forward(seconds=got["ready_in"])
        challenge = altcha.Challenge.from_dict(got["work"])
        solution = altcha.solve_challenge(challenge)
        assert solution is not None
        work = altcha.Payload(challenge, solution).to_base64()
        return {"form_token": got["token"], "work": work}

    def token(
        self, way: Way, site: str = "shop", *, seconds: float = 5, language: str = "en"
    ) -> str:
        """A genuine token that is so old."""
        made = self.clock.now() - timedelta(seconds=seconds)
        return form_token.make(site, self.version(language), way, now=made)

    def post(self, data: dict[str, Any], **headers: str) -> TestResponse:
        return self.browser.post("/o/shop", data=data, headers=headers)

    def signups(self) -> list[Signup]:
        db.session.rollback()
        return list(db.session.scalars(sa.select(Signup).order_by(Signup.id)))


def hidden(page: TestResponse) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(page.text)}


@pytest.fixture
def shop(town: Town, now: Clock) -> Shop:
    return Shop(town, now)


# Who signs up, and what is kept of it


def test_alice_signs_up_through_the_script(shop: Shop) -> None:
    """One text, and the proof names the site, the page, the words and the button."""
    more = {"button": "Text me a link", "source": "footer", "page": f"{SHOP}/book?id=7#buy"}
    answer = shop.post(shop.fields("(202) 555-0143", **more) | shop.prepared(), **JSON)
    assert (answer.status_code, answer.json) == (
        200,
        {
            "status": "sent",
            "last4": "0143",
            "number": "+1 202-555-0143",
            "help": "No text after a few minutes? Text JOIN SHOP to +1 202-555-0100, or START if"
            " you stopped our texts before.",
        },
    )
    shop.town.work()
    assert shop.town.kinds(ALICE) == [TextKind.CONFIRM_REQUEST]
    shop.browser.post(shop.town.last_link(ALICE))
    assert shop.town.events(ALICE) == [EventKind.REQUESTED, EventKind.CONFIRMED]
    event = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.seq)).first()
    assert event is not None
    assert (event.source, event.source_detail) == (Source.WIDGET, "shop")
    body = db.session.scalars(sa.select(Evidence.body).where(Evidence.event_id == event.id)).one()
    seen = json.loads(body)
    assert seen["page_url"] == f"{SHOP}/book"
    assert seen["answer"] == {
        **{"box": "ticked", "button": "Text me a link", "way": "script", "source": "footer"}
    }
    words = db.session.scalar(
        sa.select(WordingVersion).where(WordingVersion.sha256 == event.wording_sha256)
    )
    assert words is not None and "Marlow Books (new books)" in words.text


def test_bob_signs_up_in_the_frame_without_scripts(shop: Shop) -> None:
    """The form, "One more step", a press, and one text."""
    frame = shop.browser.get("/w/shop?source=side", headers={"Referer": f"{SHOP}/a?b=c"})
    assert "<prefcenter-optin" in frame.text and frame.text.count("<h1>") == 1
    shop.clock.forward(seconds=3)
    filled = hidden(frame) | {"number": "202 555 0144", "consent": "yes", "button": "Go"}
    step = shop.post(filled, Origin="null")
    assert step.status_code == 200
    assert "One more step" in step.text and "+1 202-555-0144" in step.text
    assert _TEXT in step.text and "Text me the link" in step.text
    assert shop.signups() == []
    shop.clock.forward(seconds=3)
    answer = shop.post(hidden(step), Origin="null")
    assert (answer.status_code, answer.headers["Location"]) == (
        *(303, f"/o/shop/sent?source=side&page={SHOP}/a&to=0144"),
    )
    [row] = shop.signups()
    assert row.evidence["answer"] == {
        **{"box": "ticked", "button": "Text me the link", "way": "step", "source": "side"}
    }
    assert (row.evidence["source"], row.evidence["plain"]) == (Source.FORM, True)
    assert row.evidence["page_url"] == f"{SHOP}/a"
    sent = shop.browser.get(answer.headers["Location"])
    assert "Look at your phone" in sent.text and "0144" in sent.text and "JOIN SHOP" in sent.text
    shop.town.work()
    assert shop.town.kinds(BOB) == [TextKind.CONFIRM_REQUEST]


def test_the_shops_label_stays_in_another_language_and_for_another_number(shop: Shop) -> None:
    page = shop.browser.get("/w/shop?source=footer")
    assert 'href="/w/shop?source=footer&amp;lang=es"' in page.text
    spanish = shop.browser.get("/w/shop?source=footer&lang=es")
    assert hidden(spanish)["source"] == "footer"
    step = shop.post(shop.fields(source="footer"), Origin=SHOP)
    assert 'href="/w/shop?source=footer">Use another number' in step.text
    assert 'href="/w/shop?lang=es"' in shop.browser.get("/w/shop?source=<b>").text


def test_the_shops_page_stays_in_another_language_and_for_another_number(shop: Shop) -> None:
    """The browser then names our own page as the one before; the proof names the shop's."""
    ours = {"Referer": "http://prefs.test/w/shop"}
    page = shop.browser.get("/w/shop?source=footer", headers={"Referer": f"{SHOP}/a?b=c"})
    assert f'data-prefcenter-frame="{SHOP}/a"' in page.text
    spanish = shop.browser.get(_link(page, "Español"), headers=ours)
    assert f'data-prefcenter-frame="{SHOP}/a"' in spanish.text
    assert hidden(spanish) | {"page": f"{SHOP}/a", "source": "footer"} == hidden(spanish)
    wrong = shop.post(hidden(spanish) | {"number": "1", "consent": "yes"}, Origin="null")
    step = shop.post(shop.fields(page=f"{SHOP}/a", source="footer"), Origin="null")
    shop.clock.forward(seconds=3)
    sent = shop.browser.get(shop.post(hidden(step)).headers["Location"], headers=ours)
    again = "Use another number"
    for answer, words in ((wrong, "English"), (step, again), (sent, again)):
        form = shop.browser.get(_link(answer, words), headers=ours)
        assert hidden(form) | {"page": f"{SHOP}/a", "source": "footer"} == hidden(form)


@pytest.mark.parametrize(
    "said",
    [
        *("https://mallory.example/a", "https://shop.example.mallory.example/", "//shop.example/"),
        *("javascript:alert(1)", "https://shop.example@mallory.example/", "http://prefs.test/w/x"),
    ],
)
def test_nobody_else_is_taken_for_the_page_around_the_frame(shop: Shop, said: str) -> None:
    page = shop.browser.get("/w/shop", query_string={"page": said})
    assert 'data-prefcenter-frame=""' in page.text
    assert hidden(page)["page"] == "http://prefs.test/w/shop"
    assert "page=" not in _link(page, "Español")


def _link(page: TestResponse, words: str) -> str:
    """Where the link with these words leads."""
    found = re.search(rf'href="([^"]*)"[^>]*>{words}<', page.text)
    assert found is not None
    return html.unescape(found[1])


def test_a_plain_form_of_the_shop_leads_back_to_it(shop: Shop) -> None:
    back = f"{SHOP}/thanks?a=1#top"
    step = shop.post(shop.fields(return_to=back), Origin=SHOP, Referer=f"{SHOP}/cart?x=1")
    assert f"form-action {OWN} {SHOP};" in policy(step)
    shop.clock.forward(seconds=3)
    answer = shop.post(hidden(step), Origin="http://prefs.test")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"{SHOP}/thanks?a=1&prefcenter=sent#top"
    [row] = shop.signups()
    assert row.evidence["page_url"] == f"{SHOP}/cart"
    assert row.site == "shop"


def test_a_spanish_form_keeps_the_spanish_words(shop: Shop) -> None:
    data = shop.fields(lang="es", text_version=shop.version("es")) | shop.prepared()
    answer = shop.post(data, **JSON)
    assert answer.status_code == 200 and answer.json is not None
    assert "JOIN SHOP" in answer.json["help"] and "No text" not in answer.json["help"]
    [row] = shop.signups()
    assert row.language == "es" and "libros nuevos" in row.wording_text
    spanish = shop.post(shop.fields("12", lang="es"), Origin=SHOP)
    assert '<html lang="es"' in spanish.text
    assert '<html lang="es"' in shop.browser.get("/w/shop?lang=es").text
    english = shop.browser.get("/w/shop", headers={"Accept-Language": "es"})
    assert '<html lang="en"' in english.text  # the site's own language, not the browser's


def test_a_british_number_in_a_form_for_britain(shop: Shop) -> None:
    data = shop.fields("07400 123456", country="gb") | shop.prepared()
    answer = shop.post(data, **JSON)
    assert answer.json is not None and answer.json["number"] == "+44 7400 123456"


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ({}, {"offers", "events"}),
        ({"categories": ["offers"]}, {"offers"}),
        ({"categories": ["offers"], "shown": ["offers", "events"]}, {"offers"}),
        ({"categories": ["offers", "events"], "shown": ["offers"]}, {"offers"}),
    ],
    ids=["none named", "named", "shown", "not shown"],
)
def test_what_is_asked_for(shop: Shop, more: dict[str, list[str]], kept: set[str]) -> None:
    shop.post(shop.fields(**more) | shop.prepared(), **JSON)
    [row] = shop.signups()
    assert kept <= set(row.categories) and (not more or set(row.categories) == kept)


@pytest.mark.parametrize("more", [{"shown": ["offers"]}, {"categories": ["nonsense"]}])
def test_a_form_with_nothing_ticked_is_shown_again(shop: Shop, more: dict[str, list[str]]) -> None:
    page = shop.post(shop.fields(**more), Origin=SHOP)
    assert page.status_code == 422
    assert "Tick at least one kind of text" in page.text
    assert 'name="categories" value="offers"' in page.text


# What is missing


def test_errors_stand_beside_the_fields_and_what_was_typed_stays(shop: Shop) -> None:
    page = shop.post({"number": "202 <b>", "source": "x", "return_to": SHOP}, Origin=SHOP)
    assert page.status_code == 422
    assert "<title>Error: " in page.text and 'role="alert"' in page.text
    assert 'href="#number"' in page.text and 'href="#consent"' in page.text
    assert 'aria-describedby="number-hint number-error" aria-invalid="true" autofocus' in page.text
    assert 'value="202 &lt;b&gt;"' in page.text
    assert (hidden(page)["source"], hidden(page)["return_to"]) == ("x", SHOP)
    assert "<script" not in page.text  # it would draw an empty form over this one
    assert shop.signups() == []


def test_a_number_is_never_cut_to_another_one(shop: Shop) -> None:
    """What is longer than the rule reads is refused, and said to be."""
    pasted = "." * 190 + "2025550143 99"
    page = shop.post(shop.fields(pasted), Origin=SHOP)
    assert page.status_code == 422 and "We cannot text that number" in page.text
    assert shop.signups() == []


def test_every_number_field_takes_more_than_the_rule_reads(shop: Shop) -> None:
    """A browser cuts what is pasted without a word: of a number another one may be left."""
    found = [shop.browser.get(path).text for path in ("/", "/w/shop")]
    for folder, kind in (("templates/widget", "html"), ("examples", "html"), ("docs", "md")):
        found += [file.read_text("utf-8") for file in (ROOT / folder).rglob(f"*.{kind}")]
    fields = re.findall(r'<input type="tel"[^>]*>', "".join(found))
    lengths = [int(size) for field in fields for size in re.findall(r'maxlength="(\d+)"', field)]
    assert len(lengths) >= 9 and min(lengths) > phone.LONGEST_TYPED


def test_a_corrected_form_is_taken(shop: Shop) -> None:
    page = shop.post(shop.fields("12"), Origin=SHOP)
    assert 'name="consent" value="yes" checked' in page.text
    shop.clock.forward(seconds=3)
    corrected = hidden(page) | {"number": ALICE, "consent": "yes"}
    step = shop.post(corrected, Origin="http://prefs.test")
    shop.clock.forward(seconds=3)
    assert shop.post(hidden(step), Origin="http://prefs.test").status_code == 303
    assert len(shop.signups()) == 1


@pytest.mark.parametrize("version", ["0" * 16, "", None, "x" * 500])
def test_a_form_with_other_words_is_shown_again_unticked(shop: Shop, version: str | None) -> None:
    """RULE-11: nobody agrees to words that they did not see."""
    page = shop.post(shop.fields(text_version=version), Origin=SHOP)
    assert page.status_code == 422
    assert "This text has changed. Read it again and tick the box" in page.text
    assert "Marlow Books (new books)" in page.text and " checked" not in page.text
    assert hidden(page)["text_version"] == shop.version()
    answer = shop.post(shop.fields(text_version=version) | shop.prepared(), **JSON)
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["errors"].keys() == {"consent"}
    assert shop.signups() == []


def test_the_script_is_told_what_is_wrong_and_keeps_its_token(shop: Shop) -> None:
    pass_ = shop.prepared()
    answer = shop.post({"number": "12"} | pass_, **JSON)
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["status"] == "invalid"
    assert answer.json["errors"].keys() == {"number", "consent"}
    assert shop.post(shop.fields() | pass_, **JSON).status_code == 200


# Tokens


def _forged(shop: Shop) -> str:
    return shop.token(Way.STEP)[:-1] + "="


BAD_TOKENS: dict[str, Callable[[Shop], str]] = {
    "forged": _forged,
    "nonsense": lambda _shop: "x",
    "old": lambda shop: shop.token(Way.STEP, seconds=61 * 60),
    "too fast": lambda shop: shop.token(Way.STEP, seconds=0.1),
    "of another site": lambda shop: shop.token(Way.STEP, "blog"),
    "of another text": lambda shop: shop.token(Way.STEP, language="es"),
    "of the future": lambda shop: shop.token(Way.STEP, seconds=-3600),
}


@pytest.mark.parametrize("bad", BAD_TOKENS)
def test_a_bad_token_gets_a_fresh_form_and_no_text(shop: Shop, bad: str) -> None:
    """SEC-22."""
    data = shop.fields(form_token=BAD_TOKENS[bad](shop))
    before = rows()
    for origin in (SHOP, "null", "http://prefs.test"):
        page = shop.post(data, Origin=origin)
        assert page.status_code == 400
        assert f'value="{ALICE}"' in page.text and " checked" not in page.text
        assert "Nothing was sent yet" in page.text
        assert "press the button again" in page.text
        assert ("Please tick the box" in page.text) is ("One more step" not in page.text)
        answer = shop.post(data, Origin=origin, Accept="application/json")
        assert answer.status_code == 400 and answer.json is not None
        assert answer.json["status"] == "stale" and answer.json["message"]
    assert rows() == before
    fresh = hidden(page)
    assert form_token.nonce_of(fresh["form_token"])
    shop.clock.forward(seconds=3)
    step = shop.post(fresh | {"number": ALICE, "consent": "yes"}, Origin=SHOP)
    if step.status_code == 200:
        shop.clock.forward(seconds=3)
        step = shop.post(hidden(step), Origin=SHOP)
    assert step.status_code == 303


def test_a_quick_finger_on_one_more_step_gets_the_same_step_again(shop: Shop) -> None:
    """All was said before: nothing has to be ticked or typed anew."""
    step = shop.post(shop.fields(), Origin=SHOP)
    again = shop.post(hidden(step), Origin=SHOP)
    assert again.status_code == 400
    assert "One more step" in again.text and "That was too quick" in again.text
    assert shop.signups() == []
    shop.clock.forward(seconds=3)
    assert shop.post(hidden(again), Origin=SHOP).status_code == 303
    assert len(shop.signups()) == 1


@pytest.mark.parametrize("way", ["step", "script"])
def test_a_token_is_good_once(shop: Shop, way: str) -> None:
    if way == "script":
        data = shop.fields() | shop.prepared()
    else:
        data = shop.fields(form_token=shop.token(Way.STEP))
    assert shop.post(data, Origin=SHOP).status_code == 303
    before = rows()
    for number in (ALICE, BOB):
        again = shop.post(data | {"number": number}, Origin=SHOP)
        assert again.status_code == 400 and "This form was sent before" in again.text
        assert "Nothing was sent" not in again.text  # two quick presses, and the first counted
        assert "If no text comes, please tick the box and press the button again" in again.text
        assert shop.post(data | {"number": number}, **JSON).status_code == 400
    assert rows() == before
    assert len(shop.signups()) == 1


def test_two_sites_share_no_work(shop: Shop) -> None:
    """Mallory solves one challenge and sends its answer with other tokens."""
    got = shop.prepared()
    for token in (shop.token(Way.SCRIPT), shop.token(Way.FRAME)):
        data = shop.fields(form_token=token, work=got["work"])
        assert shop.post(data, **JSON).status_code == 400
        assert "One more step" in shop.post(data, Origin=SHOP).text
    assert shop.signups() == []


@pytest.mark.parametrize("work", ["", "x", "e30=", "A" * 5_000])
def test_no_work_is_no_sign_up(shop: Shop, work: str) -> None:
    data = shop.fields(form_token=shop.token(Way.SCRIPT), work=work)
    assert shop.post(data, **JSON).status_code == 400
    assert "One more step" in shop.post(data, Origin=SHOP).text
    assert shop.signups() == []


def test_no_token_is_no_sign_up(shop: Shop) -> None:
    assert shop.post(shop.fields(), **JSON).status_code == 400
    for origin in ({"Origin": SHOP}, {"Origin": "null"}, {}):
        assert "One more step" in shop.post(shop.fields(), **origin).text
    assert shop.signups() == []


def test_a_program_that_fills_in_everything_hears_what_people_hear(shop: Shop) -> None:
    """The trap: the same answer, the token spent, nothing stored."""
    honest = shop.post(shop.fields() | shop.prepared(), **JSON)
    data = shop.fields(leave_empty="http://mallory.example") | shop.prepared()
    answer = shop.post(data, **JSON)
    assert (answer.status_code, answer.data) == (honest.status_code, honest.data)
    assert len(shop.signups()) == 1
    assert shop.post(data | {"leave_empty": ""}, **JSON).status_code == 400
    step = shop.post(shop.fields(leave_empty="x"), Origin=SHOP)
    shop.clock.forward(seconds=3)
    assert shop.post(hidden(step), Origin=SHOP).status_code == 303
    assert len(shop.signups()) == 1


# Origins and keys


@pytest.mark.parametrize(
    "origin",
    [
        *(MALLORYS, "https://mallory.example", "http://shop.example", "https://SHOP.example"),
        *("https://shop.example:8443", "https://shop.example/", "https://www.shop.example"),
        *("", "*", "null null", "https://blog.example", "https://shop.example.", "file://"),
        "https://shop.example, https://mallory.example",
    ],
)
def test_another_website_is_refused(shop: Shop, origin: str) -> None:
    """SEC-23: whatever else is good about the form."""
    data = shop.fields() | shop.prepared()
    before = rows()
    for accept in ("text/html", "application/json"):
        answer = shop.post(data, Origin=origin, Accept=accept)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    challenge = shop.browser.get("/o/shop/challenge", headers={"Origin": origin})
    assert challenge.status_code == 403
    assert "Access-Control-Allow-Origin" not in challenge.headers
    assert rows() == before


@pytest.mark.parametrize("origin", [SHOP, "http://prefs.test", "null"])
def test_exactly_the_origin_that_asks_may_read(shop: Shop, origin: str) -> None:
    data = shop.fields() | shop.prepared()
    for answer in (
        shop.browser.get("/o/shop/challenge", headers={"Origin": origin}),
        shop.browser.get("/w/shop.js", headers={"Origin": origin}),
        shop.post(data, Origin=origin, Accept="application/json"),
        shop.post(data, Origin=origin, Accept="application/json"),  # 400 is readable too
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Origin" in answer.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", [SHOP, "null"])
def test_no_other_page_may_read_ours(shop: Shop, origin: str) -> None:
    """They hold tokens."""
    for answer in (
        shop.post(shop.fields(), Origin=origin),
        shop.post({}, Origin=origin),
        shop.browser.get("/w/shop", headers={"Origin": origin}),
    ):
        assert "form_token" in answer.text
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_allows_nothing(shop: Shop) -> None:
    headers = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    answer = shop.browser.options("/o/shop", headers=headers)
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_unknown_disabled_and_replaced_keys(shop: Shop) -> None:
    """SEC-21: 404 and nothing stored; a replaced key works until its time is over."""
    with writing():
        new = sites.rotate(sites.by_slug("shop"), keep=timedelta(days=7), now=shop.clock.now())
        db.session.commit()
    data = shop.fields() | shop.prepared()
    assert shop.browser.post(f"/o/{new}", data=data, headers=JSON).status_code == 200
    assert f"/o/{new}" in shop.browser.get("/w/shop").text
    shop.clock.forward(days=7, seconds=1)
    data = {"number": ALICE}

    def statuses(key: str) -> set[int]:
        paths = (f"/w/{key}", f"/w/{key}.js", f"/w/{key}/logo", f"/o/{key}/challenge")
        found = {shop.browser.get(path).status_code for path in (*paths, f"/o/{key}/sent")}
        return found | {shop.browser.post(f"/o/{key}", data=data, headers=JSON).status_code}

    assert statuses("shop") == statuses("nobody") == statuses("%00") == {404}
    with writing():
        sites.disable(sites.by_slug("shop"), now=shop.clock.now())
        db.session.commit()
    before = rows()
    assert statuses(new) == {404}
    assert rows() == before


# Nobody learns whose number it is


@pytest.mark.settings(NUMBER_TEXTS_PER_DAY="10", NUMBER_GAP_MINUTES="1")
def test_known_new_and_stopped_numbers_get_the_same_bytes(shop: Shop) -> None:
    """SEC-24, SEC-26: in both forms of the answer."""

    def answers() -> list[tuple[int, bytes, str]]:
        found = []
        for accept in ("application/json", "text/html"):
            data = shop.fields(CAROL) | shop.prepared()
            answer = shop.post(data, Origin=SHOP, Accept=accept)
            headers = [pair for pair in answer.headers if pair[0] != "Date"]
            found.append((answer.status_code, answer.data, str(sorted(headers))))
        shop.clock.forward(minutes=5)
        return found

    new = answers()
    pending = answers()
    shop.town.work()
    shop.browser.post(shop.town.last_link(CAROL))
    shop.town.work()
    link = shop.town.last_link(CAROL)
    subscribed = answers()
    shop.town.work()
    shop.browser.post(f"{link}/stop")
    shop.town.work()
    texts = len(shop.town.network.texts)
    stopped = answers()
    shop.town.work()
    assert new == pending == subscribed == stopped
    assert len(shop.town.network.texts) == texts


def test_no_number_in_an_address_or_a_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """SEC-7."""
    caplog.set_level(logging.DEBUG)
    seen = []
    for data, headers in (
        (shop.fields() | shop.prepared(), JSON),
        (shop.fields() | shop.prepared(), {"Origin": SHOP}),
        (shop.fields(), {"Origin": SHOP}),
        (shop.fields(), {"Origin": MALLORYS}),
        (shop.fields(form_token="x"), {"Origin": SHOP}),
    ):
        answer = shop.post(data, **headers)
        seen += [answer.headers.get("Location", ""), str(answer.headers)]
    digits = ALICE.removeprefix("+1")
    assert not [text for text in seen if digits in text]
    logged = [str(record.__dict__) for record in caplog.records if "prefcenter" in record.name]
    assert not [text for text in logged if digits in text or "form_token" in text]


# Abuse


def _strain(shop: Shop) -> None:
    """Thirty requests from the shop's form, and nobody confirms."""
    shop.town.bob()
    person = shop.town.person(BOB)
    with writing():
        for _ in range(30):
            breaker.note(person, "shop", now=shop.clock.now())
        db.session.commit()


def test_under_attack_work_is_harder_and_the_press_is_closed(shop: Shop) -> None:
    """Issue 4, part 3: then the phone itself must ask, or the browser works five times longer."""
    before = shop.browser.get("/o/shop/challenge").json
    _strain(shop)
    after = shop.browser.get("/o/shop/challenge").json
    assert before and after
    costs = [got["work"]["parameters"]["cost"] for got in (before, after)]
    assert costs == [1_000, 5_000]
    for data in (shop.fields(), shop.fields(form_token=shop.token(Way.STEP))):
        step = shop.post(data, Origin=SHOP)
        assert step.status_code == 200
        assert "<form" not in step.text and "JOIN SHOP" in step.text
    assert shop.signups() == []
    assert shop.post(shop.fields() | shop.prepared(), **JSON).status_code == 200


@pytest.mark.settings(PLAIN_TEXTS_PER_HOUR="2")
def test_plain_forms_have_a_limit_of_their_own(shop: Shop) -> None:
    for number in (ALICE, BOB, CAROL):
        data = shop.fields(number, form_token=shop.token(Way.STEP))
        assert shop.post(data, Origin=SHOP).status_code == 303
    assert len(shop.town.work()) == 2
    shop.post(shop.fields(CAROL) | shop.prepared(), **JSON)
    assert len(shop.town.work()) == 1


# The page for a frame, the script, the logo


def policy(answer: TestResponse) -> str:
    return answer.headers["Content-Security-Policy"]


def test_only_the_shop_may_frame_us_and_nothing_is_kept(shop: Shop) -> None:
    """SEC-21, SEC-22: every page that a frame may show."""
    pages_seen = [
        shop.browser.get("/w/shop"),
        shop.browser.get("/o/shop/sent?to=0143"),
        shop.post({}, Origin=SHOP),
        shop.post(shop.fields(), Origin=SHOP),
        shop.post(shop.fields(form_token="x"), Origin=SHOP),
    ]
    assert [page.status_code for page in pages_seen] == [200, 200, 422, 200, 400]
    for page in pages_seen:
        assert policy(page).endswith(f"frame-ancestors 'self' {SHOP}")
        for directive in ("script-src", "connect-src", "form-action"):
            assert f"{directive} {OWN};" in policy(page)
        assert "unsafe" not in policy(page) and "*" not in policy(page)
        assert "X-Frame-Options" not in page.headers and "Set-Cookie" not in page.headers
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert " style=" not in page.text and "<form" not in page.text.split("<main")[0]


def test_the_frame_loads_the_script_that_never_changes(shop: Shop) -> None:
    frame = shop.browser.get("/w/shop")
    [twin] = re.findall(r'<script src="([^"]+)" async></script>', frame.text)
    assert re.fullmatch(r"/w/shop\.[0-9a-f]{16}\.js", twin)
    with shop.browser.get(twin) as answer:
        assert answer.status_code == 200 and answer.mimetype == "text/javascript"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    plain = shop.browser.get("/w/shop.js")
    assert plain.data == answer.data
    assert plain.headers["Cache-Control"] == "public, max-age=300"
    packed = shop.browser.get("/w/shop.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip" and len(packed.data) < len(plain.data)
    tag = plain.headers["ETag"]
    assert shop.browser.get("/w/shop.js", headers={"If-None-Match": tag}).status_code == 304
    for other in (twin.replace("shop.", "blog."), re.sub(r"\.[0-9a-f]+\.", f".{'0' * 16}.", twin)):
        assert shop.browser.get(other).status_code == 404


def test_the_logo_is_an_image_and_nothing_more(shop: Shop) -> None:
    answer = shop.browser.get("/w/shop/logo")
    assert (answer.data, answer.mimetype) == (PNG, "image/png")
    assert "sandbox" in policy(answer) and "default-src 'none'" in policy(answer)
    assert '<img src="/w/shop/logo" alt="Shop"' in shop.browser.get("/w/shop").text
    assert shop.browser.get("/w/blog/logo").status_code == 404
    assert "<img" not in shop.browser.get("/w/blog").text


def test_a_site_has_its_own_colour(shop: Shop) -> None:
    with writing():
        sites.change(sites.by_slug("shop"), color="#7a1f5c")
        db.session.commit()
    assert "--brand:#7a1f5c" in shop.browser.get("/w/shop").text
    assert "--brand:#7a1f5c" not in shop.browser.get("/w/blog").text


# Addresses that we believe


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = Flask("origins")
    folder = tmp_path_factory.mktemp("origins")
    app.extensions["prefcenter"] = settings_for("sqlite:////tmp/none.sqlite3", folder)
    with app.test_request_context(base_url="http://prefs.test"):
        yield app


def place(*origins_: str) -> Place:
    return Place("shop", "shop", "Shop", origins_, {}, (), "en", "US", None, None, False)


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        (SHOP, f"{SHOP}/?prefcenter=sent"),
        (f"{SHOP}/a/b?c=d&e#f?g", f"{SHOP}/a/b?c=d&e&prefcenter=sent#f?g"),
        (f"{SHOP}:443/?", f"{SHOP}/?prefcenter=sent"),
        (f"{SHOP}//mallory.example", f"{SHOP}//mallory.example?prefcenter=sent"),
        ("HTTPS://Shop.Example/x", f"{SHOP}/x?prefcenter=sent"),
        ("http://prefs.test/", None),
        ("http://shop.example/", None),
        (f"{SHOP}:8443/", None),
        (MALLORYS, None),
        ("https://shop.example@mallory.example/", None),
        ("https://mallory.example\\@shop.example/", None),
        ("https://shop.example\\.mallory.example/", None),
        ("https://user:pw@shop.example/", None),
        ("//shop.example/", None),
        ("/x", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        (f" {SHOP}/", None),
        (f"{SHOP}/\r\nSet-Cookie: a=b", None),
        (f"{SHOP}/\tx", None),
        ("https://shop.example%2f.mallory.example/", None),
        ("https://shop.example%00.mallory.example/", None),
        ("https://ѕhop.example/", None),
        ("https:///shop.example/", None),
        ("https:shop.example/", None),
        (f"{SHOP}/{'x' * 2_000}", None),
    ],
)
def test_people_are_sent_back_to_the_shop_alone(
    alone: Flask, asked: str, leads_to: str | None
) -> None:
    """SEC-45."""
    found = origins.onward(asked, place(SHOP))
    assert (origins.with_news(found) if found else None) == leads_to


_PIECES = st.lists(
    st.sampled_from(
        [
            *("https://", "http://", "https:", "//", "/", "\\", "@", ":", "443", "?", "#", "."),
            *("shop.example", "mallory.example", "%2f", "\t", "\n", "[", "]", "user", " "),
        ]
    )
    | st.characters(),
    max_size=8,
).map("".join)


def as_browsers_read(url: str) -> str:
    """The origin, as WHATWG reads an address: a backslash is a slash, tabs and line ends are none."""
    url = re.sub(r"[\t\n\r]", "", url).strip().replace("\\", "/")
    parts = urlsplit(re.sub(r"^(https?):/*", r"\1://", url, flags=re.IGNORECASE))
    host = parts.netloc.rpartition("@")[2].lower()
    usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    return f"{parts.scheme}://{host.removesuffix(usual)}"


@given(_PIECES | _PIECES.map(lambda rest: SHOP + rest) | st.text())
def test_no_odd_address_leads_anywhere_else(alone: Flask, asked: str) -> None:
    found = origins.onward(asked, place(SHOP))
    if found is not None:
        location = origins.with_news(found)
        assert location.startswith(f"{SHOP}/") and location.isascii() and location.isprintable()
        assert as_browsers_read(asked) == as_browsers_read(location) == SHOP
        assert "prefcenter=sent" in urlsplit(location).query


@pytest.mark.parametrize(
    ("said", "referer", "kept"),
    [
        (f"{SHOP}/a?n=%2B1202#x", "", f"{SHOP}/a"),
        (f"{SHOP}/{'a' * 500}", "", f"{SHOP}/{'a' * 500}"[:300]),
        ("http://prefs.test/w/shop", f"{SHOP}/b", "http://prefs.test/w/shop"),
        ("https://mallory.example/a", f"{SHOP}/b?c", f"{SHOP}/b"),
        ("nonsense", f"{SHOP}/b?c", f"{SHOP}/b"),
        ("", "http://prefs.test/w/shop", ""),
        ("", "https://mallory.example/", ""),
        ("https://user:pw@shop.example/", "", ""),
        ("", "", ""),
    ],
)
def test_the_page_of_the_proof(alone: Flask, said: str, referer: str, kept: str) -> None:
    headers = {"Referer": referer} if referer else {}
    with alone.test_request_context("/", base_url="http://prefs.test", headers=headers):
        assert origins.page(said, place(SHOP)) == kept


def test_what_is_noted_is_cut_and_cleaned(shop: Shop) -> None:
    """SEC-5, SEC-38: labels are a stranger's text."""
    more = {"button": "Go\x00\u202e" + "x" * 500, "source": "<b>", "page": "x" * 5_000}
    assert shop.post(shop.fields(**more) | shop.prepared(), **JSON).status_code == 200
    [row] = shop.signups()
    answer = row.evidence["answer"]
    assert answer["button"] == ("Go" + "x" * 500)[:80] and "source" not in answer
    assert row.evidence["page_url"] == ""
    assert json.dumps(answer).isascii()


def test_the_page_that_asks_to_confirm_names_the_shop(shop: Shop) -> None:
    """Alice never heard of our address; she typed her number at the shop."""
    data = shop.fields() | shop.prepared()
    assert shop.post(data, Origin=SHOP, Accept="application/json").status_code == 200
    shop.town.work()
    page = shop.browser.get(shop.town.last_link(ALICE)).text
    name = db.session.scalars(sa.select(Site.name).where(Site.slug == "shop")).one()
    assert f"on {name} today" in page


def test_our_script_asks_for_nothing_that_needs_a_stated_age(shop: Shop) -> None:
    """RULE-10: it shows no such statement, so a hidden field of the host's cannot make one."""
    with writing():
        gated = sa.update(Category).where(Category.slug == "events").values(age_gate=18)
        db.session.execute(gated)
        db.session.commit()
    data = shop.fields(categories=["offers", "events"]) | shop.prepared()
    assert shop.post(data, Origin=SHOP, Accept="application/json").status_code == 200
    [row] = shop.signups()
    assert row.categories == ["offers"]

    # Nobody asked for all the others by asking for this one alone.
    data = shop.fields(categories=["events"]) | shop.prepared()
    answer = shop.post(data, Origin=SHOP, Accept="application/json")
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["errors"].keys() == {"categories"}
    assert len(shop.signups()) == 1
