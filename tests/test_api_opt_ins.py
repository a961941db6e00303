"""`POST /api/v1/opt-ins`: a shop's server hands a form in, and everybody is treated alike.

Bob runs the shop and has a key; Mallory would like one. What a person typed is in none of our
answers and logs. What is refused in a body is in test_api_bodies.py.
"""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import api_keys, ledger, sites
from prefcenter.database import db, writing
from prefcenter.models import (
    ApiKey,
    Category,
    ConsentEvent,
    EventKind,
    Evidence,
    Signup,
    Source,
    Status,
    TextKind,
    WordingVersion,
)
from prefcenter.web import guards, pages
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.watching import listening
from tests.web_shop import (
    ABOUT,
    DAVE,
    FIREFOX,
    LEFT_OUT,
    OPT_INS,
    PAGE,
    PROBLEM,
    Changes,
    Shop,
    on_sqlite,
    open_shop,
    refused,
    tells_a_number,
)


@pytest.fixture
def shop(town: Town) -> Shop:
    return open_shop(town)


# --- what it does


def test_daves_tick_at_the_checkout_becomes_one_text_and_full_proof(town: Town, shop: Shop) -> None:
    """RULE-11, RULE-14: who, where, which words, which button, whose word."""
    answer = shop.hand_in("(202) 555-0146")
    assert (answer.status_code, answer.get_json()) == (202, {"status": "accepted"})
    assert answer.mimetype == "application/json"
    [text] = town.work()
    assert (text.to, text.kind) == (DAVE, TextKind.CONFIRM_REQUEST)
    for typed in ("checkout", "Pay now", "shop.example"):
        assert typed not in text.body, "SEC-25"

    dave = town.person(DAVE)
    assert (dave.status, dave.requested) == (Status.PENDING, ["offers"])
    event = db.session.scalars(
        sa.select(ConsentEvent).where(ConsentEvent.person_id == dave.id)
    ).one()
    assert (event.kind, event.source, event.source_detail) == (
        EventKind.REQUESTED,
        Source.API,
        "web-shop",
    )
    assert event.wording_sha256 == ledger.wording_sha256(shop.text)
    wording = db.session.scalars(sa.select(WordingVersion)).one()
    assert (wording.kind, wording.language, wording.text) == ("signup", "en", shop.text)
    body = json.loads(db.session.scalars(sa.select(Evidence.body)).one())
    assert body["answer"] == {
        "box": "ticked",
        "button": "Pay now",
        "source": "checkout",
        "key": "bobs-shop",
    }
    assert (body["page_url"], body["ip"], body["user_agent"]) == (PAGE, "198.51.100.7", FIREFOX)
    db.session.rollback()

    town.browser.post(town.last_link(DAVE))
    assert town.person(DAVE).status is Status.SUBSCRIBED
    assert [t.kind for t in town.work()] == [TextKind.WELCOME]


def test_only_what_must_be_said_is_enough(town: Town, shop: Shop) -> None:
    """Without `categories` the form had no boxes: all that the site offers, but no age gate."""
    with writing():
        db.session.execute(sa.update(Category).where(Category.slug == "events").values(age_gate=18))
        db.session.commit()
    optional = ("ip", "user_agent", "categories", "shown", "source")
    left_out: Changes = dict.fromkeys(optional, LEFT_OUT)
    assert shop.hand_in(**left_out).status_code == 202
    town.work()
    assert town.person(DAVE).requested == ["in-stock", "new-books", "offers"]
    body = json.loads(db.session.scalars(sa.select(Evidence.body)).one())
    assert body["answer"]["box"] == "ticked" and body["answer"]["key"] == "bobs-shop"
    assert body["ip"] == "127.0.0.1", "the caller's own"


def test_what_a_page_was_asked_for_is_not_kept(town: Town, shop: Shop) -> None:
    """A query may hold anything, such as a name or a number."""
    shop.hand_in(page_url=f"{PAGE}?phone=2025550146#pay")
    town.work()
    assert json.loads(db.session.scalars(sa.select(Evidence.body)).one())["page_url"] == PAGE


def test_a_spanish_text_makes_a_spanish_person(town: Town, shop: Shop) -> None:
    text = pages.shown_text("signup", "es", about=ABOUT["es"])
    assert shop.hand_in(text_version=pages.text_version(text)).status_code == 202
    [text_out] = town.work()
    assert town.person(DAVE).language == "es"
    assert "Responda" in text_out.body or "STOP" in text_out.body


def test_the_sites_own_country_reads_a_national_number(town: Town) -> None:
    shop = open_shop(town, country="GB")
    assert shop.hand_in("07400 123456").status_code == 202
    assert [text.to for text in town.work()] == ["+447400123456"]


def test_a_former_key_of_the_site_works_while_it_lasts(town: Town, shop: Shop, now: Clock) -> None:
    with writing():
        key = sites.rotate(sites.by_slug("web-shop"), keep=timedelta(days=1), now=now.now())
        db.session.commit()
    assert shop.hand_in(site=key).status_code == 202
    assert shop.hand_in(BOB).status_code == 202
    assert {text.to for text in town.work()} == {DAVE, BOB}
    now.forward(days=1, seconds=1)
    refused(shop.hand_in(CAROL), 404, "#/site")


def test_the_answer_is_the_same_for_everybody(town: Town, shop: Shop) -> None:
    """SEC-24: known, pending, stopped, new and over every limit."""
    town.alice()
    town.bob()
    town.carol()
    before = len(town.network.texts)
    answers = [shop.hand_in(number) for number in (ALICE, BOB, CAROL, *[DAVE] * 12)]
    assert {(a.status_code, a.data) for a in answers} == {(202, answers[0].data)}
    assert {str(sorted(a.headers.items())) for a in answers} == {
        str(sorted(answers[0].headers.items()))
    }
    assert len(db.session.scalars(sa.select(Signup.id)).all()) == len(answers), "a row each"
    town.work()
    texts = [(text.to, text.kind) for text in town.network.texts[before:]]
    assert texts.count((DAVE, TextKind.CONFIRM_REQUEST)) == 1
    assert CAROL not in [number for number, _kind in texts], "SEC-26"


@pytest.mark.settings(IP_TEXTS_PER_HOUR="2")
def test_the_persons_address_counts_and_not_the_shops(town: Town, shop: Shop) -> None:
    """SEC-28: by the address in the body, and by the caller's where there is none."""
    for last in range(4):
        shop.hand_in(f"+1202555020{last}", ip="198.51.100.7")
    for last in range(4, 7):
        shop.hand_in(f"+1202555020{last}", ip=f"198.51.100.{last}")
    assert len(town.work()) == 2 + 3
    for last in range(4):
        shop.hand_in(f"+1202555030{last}", ip=LEFT_OUT)
    assert len(town.work()) == 2


def test_a_use_of_the_key_is_noted(town: Town, shop: Shop) -> None:
    shop.hand_in()
    assert db.session.scalar(sa.select(ApiKey.last_used_at)) == town.now()


# --- who may


def _kinds_of_wrong_keys(shop: Shop) -> list[tuple[str, ...]]:
    return [
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("Bearer pck_wrong",),
        (f"Bearer {shop.secret[:-1]}",),
        (f"Bearer  {shop.secret}",),
        (f"Bearer {shop.secret} ",),
        (f"Bearer {shop.secret},Bearer {shop.secret}",),
        (f"Basic {shop.secret}",),
        (shop.secret,),
        ("Bearer \udcff".encode("utf-8", "surrogateescape").decode("latin-1"),),
        ("Bearer " + "x" * 5000,),
    ]


def test_mallory_without_a_key_is_told_so_and_nothing_happens(town: Town, shop: Shop) -> None:
    """SEC-39. The answer to every wrong key is the same."""
    before, answers = rows(), set()
    raw = json.dumps(shop.body())
    for sent in _kinds_of_wrong_keys(shop):
        answer = shop.post(raw, *sent)
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer", sent
        answers.add(answer.data)
    assert len(answers) == 1
    for address in (f"{OPT_INS}?access_token={shop.secret}", f"{OPT_INS}?key={shop.secret}"):
        refused(town.browser.post(address, data=raw, content_type="application/json"), 401)
    assert rows() == before


def test_the_scheme_may_be_written_in_any_case(shop: Shop) -> None:
    assert shop.post(json.dumps(shop.body()), f"bearer {shop.secret}").status_code == 202


def test_two_headers_are_none(shop: Shop) -> None:
    """RFC 9110 allows one; which of two a proxy has read nobody knows."""
    good = f"Bearer {shop.secret}"
    refused(shop.post(json.dumps(shop.body()), good, good), 401)


def test_a_revoked_key_is_refused_at_once(town: Town, shop: Shop) -> None:
    assert shop.hand_in().status_code == 202
    with writing():
        api_keys.revoke("bobs-shop", now=town.now())
        db.session.commit()
    refused(shop.hand_in(), 401)


def test_a_key_for_something_else_is_403_and_nothing_happens(town: Town, shop: Shop) -> None:
    with writing():
        secret = api_keys.make("reader", ["read", "decide", "export"], now=town.now())
        db.session.commit()
    before = rows()
    answer = shop.post(json.dumps(shop.body()), f"Bearer {secret}")
    assert "write" in refused(answer, 403)["detail"]
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="write"'
    assert rows() == before


@on_sqlite
def test_a_view_that_names_no_scope_opens_to_no_key(town: Town, shop: Shop) -> None:
    """Who forgets the scope of a new call must notice at once."""
    view = town.browser.application.view_functions["api.opt_in"]
    found = vars(view).pop(guards._SCOPE)
    try:
        refused(shop.hand_in(), 403)
    finally:
        setattr(view, guards._SCOPE, found)


@on_sqlite
def test_the_key_is_looked_at_before_the_body(shop: Shop) -> None:
    """Mallory learns nothing of the sites by guessing."""
    for raw in (" ", "{", json.dumps(shop.body(site="nobody"))):
        refused(shop.post(raw, "Bearer pck_wrong"), 401)


# --- sites and their words


def test_an_unknown_and_a_disabled_site_are_404_and_nothing_is_sent(town: Town, shop: Shop) -> None:
    with writing():
        sites.add("old", "Old shop", origins=["https://old.example"], now=town.now())
        sites.disable(sites.by_slug("old"), now=town.now())
        db.session.commit()
    before = rows()
    answers = [shop.hand_in(site=key) for key in ("old", "nobody", "", "WEB-SHOP", "%")]
    for answer in answers:
        refused(answer, 404, "#/site")
    assert len({answer.data for answer in answers}) == 1
    assert rows() == before
    assert town.work() == []


@pytest.mark.parametrize("language", ["en", "es"])
def test_an_old_wording_is_409_with_the_one_to_show(town: Town, shop: Shop, language: str) -> None:
    """The words that Dave agreed to must be the words of now (RULE-14)."""
    with writing():
        about = {"en": "sales only", "es": "solo rebajas"}
        sites.change(sites.by_slug("web-shop"), about=about)
        db.session.commit()
    before = rows()
    found = refused(shop.hand_in(language=language), 409)
    assert rows() == before
    assert about[language] in found["text"] and found["language"] == language
    assert shop.hand_in(text_version=found["text_version"]).status_code == 202
    town.work()
    assert town.person(DAVE).language == language
    wording = db.session.scalars(sa.select(WordingVersion.text)).one()
    assert wording == found["text"]


@pytest.mark.parametrize("version", ["", "0" * 16, "hosted", "%", "x" * 64])
@on_sqlite
def test_no_other_text_will_do(town: Town, shop: Shop, version: str) -> None:
    """Not even the hosted form's, which says nothing of what this site texts about."""
    if version == "hosted":
        version = pages.text_version(pages.shown_text("signup", "en"))
    found = refused(shop.hand_in(text_version=version), 409)
    assert found["text"] == shop.text
    assert found["text_version"] == pages.text_version(shop.text)


def test_a_site_takes_only_what_it_offers(town: Town) -> None:
    shop = open_shop(town, categories=["offers", "events"])
    assert shop.hand_in(categories=["events", "events"], shown=LEFT_OUT).status_code == 202
    town.work()
    assert town.person(DAVE).requested == ["events"]
    refused(shop.hand_in(BOB, categories=["new-books"], shown=LEFT_OUT), 422, "#/categories/0")
    shop.hand_in(CAROL, categories=LEFT_OUT, shown=LEFT_OUT)
    town.work()
    assert town.person(CAROL).requested == ["events", "offers"]


@pytest.mark.parametrize("change", [{"public": False}, {"retired_at": sa.func.now()}])
@on_sqlite
def test_a_private_or_retired_category_is_not_for_sale(
    town: Town, shop: Shop, change: dict[str, Any]
) -> None:
    with writing():
        db.session.execute(sa.update(Category).where(Category.slug == "offers").values(change))
        db.session.commit()
    refused(shop.hand_in(), 422, "#/categories/0")


def test_a_disabled_site_after_the_call_still_sends_nothing(town: Town, shop: Shop) -> None:
    """Between the answer and the sender Bob turns the site off."""
    shop.hand_in()
    with writing():
        sites.disable(sites.by_slug("web-shop"), now=town.now())
        db.session.commit()
    assert town.work() == []


# --- when the house burns


def test_a_storage_fault_is_503_and_says_come_again(
    town: Town, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-16: never 202 for what was not stored."""

    def broken() -> None:
        raise sa.exc.OperationalError("INSERT", None, Exception("disk full +12025550146"))

    before = rows()
    monkeypatch.setattr("prefcenter.web.api.begin_write", broken)
    with listening() as heard:
        answer = shop.hand_in()
    assert (answer.status_code, answer.mimetype) == (503, PROBLEM)
    assert answer.headers["Retry-After"] == "30"
    assert not tells_a_number(answer.text + heard.getvalue())
    assert rows() == before


@on_sqlite
def test_the_blueprint_stands_behind_its_guard(app: Flask) -> None:
    assert guards.guard_of(app, "api.opt_in") == "API key"
