"""What people agree to: it says what it must, and what was shown is what is recorded."""

import json
import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from prefcenter import create_app
from prefcenter.config import LANGUAGES
from prefcenter.consent import audit, campaign, sites, wordings
from prefcenter.consent_texts import Kind, consent_text
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, EventKind, Evidence, WordingVersion
from prefcenter.sms import versions
from prefcenter.web import embed, form_token, pages
from prefcenter.web.admin import text_names
from tests.cast import ALICE, BOB, Town
from tests.conftest import Browser, Clock

EVERY = [(kind, language) for kind in wordings.KINDS for language in LANGUAGES]
OURS = (
    "Yes, I agree to recurring automated marketing texts from {brand} to this number. I do not have"
    " to buy anything. {frequency} Message and data rates may apply. Reply STOP to end or HELP for"
    " help. See {terms} and {privacy}."
)
SUYO = (
    "Sí, acepto mensajes publicitarios, automáticos y periódicos de {brand} en este número. No"
    " tengo que aceptar para comprar. {frequency} Pueden aplicarse tarifas. Responda STOP para"
    " terminar o HELP para ayuda. {terms} y {privacy}."
)
_VERSION = re.compile(r'name="text_version" value="(\w+)"')


def save(kind: Kind, language: str, body: str, *, now: Clock, after: int = 0) -> None:
    """Eve saves words of consent."""
    with writing():
        stored = wordings.stored_as(kind)
        versions.save(stored, language, body, after=after, by="eve", now=now.now())
        db.session.commit()
    versions.refresh()


def shown(page: str) -> str:
    found = _VERSION.search(page)
    assert found
    return found[1]


def fill(page: str, number: str = BOB) -> dict[str, object]:
    """The sign-up form as somebody sends it who read this page."""
    offered = re.findall(r'name="shown" value="([^"]+)"', page)
    return {
        "number": number,
        "consent": "yes",
        "categories": ["offers"],
        "shown": offered,
        "text_version": shown(page),
    }


def recorded(kind: EventKind) -> str:
    """The words that the newest event of a kind was recorded with."""
    db.session.rollback()
    query = (
        sa.select(WordingVersion.text)
        .join(ConsentEvent, ConsentEvent.wording_sha256 == WordingVersion.sha256)
        .where(ConsentEvent.kind == kind)
        .order_by(ConsentEvent.id.desc())
    )
    return str(db.session.scalars(query).first())


# --- what must be said


@pytest.mark.parametrize(("kind", "language"), EVERY)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_shipped_words_say_all_that_they_must(app: Flask, kind: Kind, language: str) -> None:
    """RULE-1, RULE-2, RULE-3."""
    assert list(wordings.faults(language, wordings.shipped(kind, language))) == []


LEFT_OUT = {
    "en": {
        "agree": ("I agree to", "I get"),
        "brand": ("{brand}", "us"),
        "recurring": ("recurring ", ""),
        "automated": ("automated ", ""),
        "marketing": ("marketing ", ""),
        "texts": ("texts", "things"),
        "number": ("number", "address"),
        "purchase": ("do not have to buy anything", "may buy something"),
        "frequency": ("{frequency} ", ""),
        "rates": ("rates may apply", "is free"),
        "stop": ("STOP", "stop"),
        "help": ("HELP", "more"),
        "terms": ("{terms}", "our rules"),
        "privacy": ("{privacy}", "more"),
    },
    "es": {
        "agree": ("acepto", "recibo"),
        "brand": ("{brand}", "nosotros"),
        "recurring": ("periódicos", "gratos"),
        "automated": (", automáticos", ""),
        "marketing": ("publicitarios", "gratos"),
        "texts": ("mensajes", "envíos"),
        "number": ("número", "lugar"),
        "purchase": ("No tengo que aceptar para comprar.", "Tengo que comprar."),
        "frequency": ("{frequency} ", ""),
        "rates": ("Pueden aplicarse tarifas.", "Es gratis."),
        "stop": ("STOP", "BASTA"),
        "help": ("HELP", "más"),
        "terms": ("{terms}", "reglas"),
        "privacy": ("{privacy}", "más"),
    },
}
CASES = [(code, element) for code, elements in LEFT_OUT.items() for element in elements]


def test_the_words_of_these_tests_pass() -> None:
    assert list(wordings.faults("en", OURS)) == []
    assert list(wordings.faults("es", SUYO)) == []
    assert set(LEFT_OUT["en"]) == set(LEFT_OUT["es"]) == set(wordings.ELEMENTS)
    assert set(text_names.ELEMENTS) == set(wordings.ELEMENTS)


@pytest.mark.parametrize(("language", "element"), CASES)
def test_what_is_left_out_is_named(language: str, element: str) -> None:
    """RULE-1: brand, what, how often, rates, HELP, STOP, terms, privacy. RULE-2: automated,
    marketing, no condition of buying. RULE-3: who agrees, and for which number."""
    old, new = LEFT_OUT[language][element]
    words = {"en": OURS, "es": SUYO}[language].replace(old, new)
    assert [fault.code for fault in wordings.faults(language, words)] == [element]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (" {link}", "unknown"),
        (" {brand.__class__}", "unknown"),
        (" {", "brace"),
        (" <b>now</b>", "markup"),
        (" www.marlow.example", "address"),
        (" so" * 400, "long"),
    ],
)
def test_words_are_plain_and_short(more: str, code: str) -> None:
    assert [fault.code for fault in wordings.faults("en", OURS + more)] == [code]


@pytest.mark.parametrize(
    ("words", "agrees"),
    [
        ("I agree to texts and I don’t have to buy anything.", True),
        ("I do not agree to texts.", False),
        ("Nobody agrees. You don't accept.", False),
        ("You do not have to read this. By pressing it you consent.", True),
    ],
)
def test_a_no_is_not_read_as_a_yes(words: str, agrees: bool) -> None:
    assert wordings.says("agree", "en", words) is agrees


def test_a_condition_of_buying_is_not_denied_by_another_sentence() -> None:
    words = OURS.replace("I do not have to buy anything.", "I must buy something. I do not mind.")
    assert [fault.code for fault in wordings.faults("en", words)] == ["purchase"]


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_the_shipped_words_are_the_same_as_ever(app: Flask, kind: Kind, language: str) -> None:
    """Proofs name words by their hash, so a template may not change them."""
    with force_locale(language):
        whole = consent_text(kind, "Marlow Books", 4)
    assert wordings.text(kind, language) == whole
    assert "{" not in whole


# --- where they are shown


def test_new_words_are_on_every_door(town: Town, now: Clock, app: Flask) -> None:
    save("signup", "en", OURS, now=now)
    save("signup", "es", SUYO, now=now)
    words = wordings.text("signup", "en")
    assert words.startswith("Yes, I agree to recurring automated marketing texts from Marlow Books")
    assert "About 4 texts a month." in words and words.endswith("See Terms and Privacy.")
    page = town.browser.get("/").text
    assert "Yes, I agree to recurring" in page and '<a href="/terms"' in page
    assert "Sí, acepto mensajes" in town.browser.get("/?lang=es").text
    assert words in campaign.fields()["messageFlow"]


@pytest.mark.settings(SMS_BACKEND="console")
def test_the_widgets_script_has_them_with_the_next_request(town: Town, now: Clock) -> None:
    place = open_shop(now)
    before = embed.made(place)
    save("signup", "en", OURS, now=now)
    after = embed.made(place)
    assert b"Yes, I agree to recurring" in after.body and before.digest != after.digest
    settings = embed.settings_of(place)["texts"]["en"]
    assert settings["version"] == wordings.version_of(wordings.text("signup", "en"))
    assert town.browser.get(f"/w/{place.key}.{after.digest}.js").status_code == 200


def open_shop(now: Clock) -> sites.Place:
    with writing():
        sites.add("shop", "Shop", origins=["https://shop.example"], now=now.now())
        db.session.commit()
    place = sites.find("shop", now=now.now())
    assert place is not None
    return place


def test_a_process_that_heard_nothing_knows_the_script_of_one_that_did(
    town: Town, now: Clock, app: Flask
) -> None:
    place = open_shop(now)
    old = embed.made(place).digest
    with writing():
        versions.save("consent_signup", "en", OURS, after=0, by="eve", now=now.now())
        db.session.commit()
    assert embed.made(place).digest == old  # not told yet
    other = create_app(app.extensions["prefcenter"])
    with other.app_context():
        digest = embed.made(place).digest
        db.session.remove()
        db.engine.dispose()
    assert digest != old
    assert town.browser.get(f"/w/{place.key}.{digest}.js").status_code == 200


# --- what was seen is what is recorded


def test_who_read_the_old_words_is_recorded_with_them(town: Town, now: Clock) -> None:
    """RULE-11: Bob has the form open while Eve saves other words."""
    open_form = town.browser.get("/").text
    old = wordings.text("signup", "en")
    now.forward(minutes=2)
    save("signup", "en", OURS, now=now)
    now.forward(minutes=50)
    assert town.browser.post("/", data=fill(open_form)).status_code == 303
    town.work()
    assert recorded(EventKind.REQUESTED) == old

    town.browser.post("/", data=fill(town.browser.get("/").text, ALICE))
    town.work()
    assert recorded(EventKind.REQUESTED) == wordings.text("signup", "en") != old
    assert list(audit.faults()) == []


def test_words_count_for_an_hour_after_they_were_replaced(town: Town, now: Clock) -> None:
    """Then the new ones are shown, and nothing is recorded before they were agreed to."""
    assert wordings.GRACE == form_token.OLDEST
    open_form = town.browser.get("/").text
    now.forward(days=3)  # however long they were in force
    save("signup", "en", OURS, now=now)
    now.forward(minutes=60)
    page = town.browser.post("/", data=fill(open_form))
    assert page.status_code == 422 and "This text has changed" in page.text
    assert "Yes, I agree to recurring" in page.text
    assert shown(page.text) == wordings.version_of(wordings.text("signup", "en"))
    assert town.work() == []


def test_each_of_several_new_versions_counts(town: Town, now: Clock) -> None:
    pages_open = [town.browser.get("/").text]
    for number in range(3):
        now.forward(minutes=5)
        save("signup", "en", OURS.replace("Yes", f"Yes{number}"), now=now, after=number)
        pages_open.append(town.browser.get("/").text)
    for number, page in enumerate(pages_open):
        assert town.browser.post("/", data=fill(page, f"+1202555016{number}")).status_code == 303
    town.work()
    texts = {row.text for row in db.session.scalars(sa.select(WordingVersion))}
    assert {text[:5] for text in texts} == {"I agr", "Yes0,", "Yes1,", "Yes2,"}


def test_the_confirm_page_records_what_it_showed(town: Town, now: Clock) -> None:
    """RULE-12."""
    link = town.bob()
    page = town.browser.get(link).text
    asked = re.search(r'name="request" value="([^"]+)"', page)
    old = wordings.text("confirm", "en")
    save("confirm", "en", OURS, now=now)
    assert asked
    data = {"text_version": shown(page), "request": asked[1]}
    assert town.browser.post(link, data=data).status_code == 303
    assert recorded(EventKind.CONFIRMED) == old


def test_the_restart_page_records_what_it_showed(town: Town, now: Clock) -> None:
    link = town.carol()
    page = town.browser.get(link).text
    old = wordings.text("restart", "en")
    save("restart", "en", OURS, now=now)
    answer = town.browser.post(f"{link}/start", data={"text_version": shown(page)})
    assert answer.status_code == 303
    assert recorded(EventKind.RESTARTED) == old


def test_a_page_of_another_process_is_known_at_once(town: Town, now: Clock, app: Flask) -> None:
    """This process heard nothing of the words that the other one showed."""
    town.browser.get("/")
    with writing():
        versions.save("consent_signup", "en", OURS, after=0, by="eve", now=now.now())
        db.session.commit()
    other = create_app(app.extensions["prefcenter"])
    other.test_client_class = Browser
    with other.app_context():
        client = other.test_client()
        client.environ_base["HTTP_HOST"] = "prefs.test"
        page = client.get("/").text
        db.session.remove()
        db.engine.dispose()
    assert "Yes, I agree to recurring" in page
    assert town.browser.post("/", data=fill(page)).status_code == 303
    town.work()
    assert recorded(EventKind.REQUESTED).startswith("Yes, I agree to recurring")


def test_the_frame_binds_its_token_to_the_words_that_it_showed(town: Town, now: Clock) -> None:
    """SEC-22: old words with an old token count, a mix of both does not."""
    place = open_shop(now)
    page = town.browser.get(f"/w/{place.key}").text
    old = wordings.text("signup", "en")
    save("signup", "en", OURS, now=now)
    now.forward(seconds=5)
    fresh = shown(town.browser.get(f"/w/{place.key}").text)
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    data = fields | {"number": BOB, "consent": "yes"}
    mixed = town.browser.post(f"/o/{place.key}", data=data | {"text_version": fresh})
    assert mixed.status_code == 400

    step = town.browser.post(f"/o/{place.key}", data=data)  # no work done: one more step
    assert step.status_code == 200 and "One more step" in step.text
    again = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', step.text))
    assert again["text_version"] == fresh  # that page shows the new words, and says so
    now.forward(seconds=5)
    assert town.browser.post(f"/o/{place.key}", data=again).status_code == 303
    town.work()
    assert recorded(EventKind.REQUESTED) == wordings.text("signup", "en") != old


def test_a_sites_own_part_stays_in_the_words(town: Town, now: Clock) -> None:
    place = open_shop(now)
    with writing():
        sites.change(sites.by_slug("shop"), about={"en": "new books {frequency}"})
        db.session.commit()
    place = sites.find("shop", now=now.now()) or place
    save("signup", "en", OURS, now=now)
    text = wordings.text("signup", "en", about=place.about["en"])
    assert "Marlow Books (new books {frequency})" in text  # a value stays a value (SEC-25)
    version = wordings.version_of(text)
    assert wordings.seen("signup", version, about=place.about, now=now.now()) == ("en", text)
    assert wordings.seen("signup", version, now=now.now()) is None


@pytest.mark.parametrize("version", ["", "0" * 16, "x" * 16, "A" * 16, "0" * 15, "' OR 1=1 --"])
def test_an_unknown_version_is_nobodys_consent(app: Flask, now: Clock, version: str) -> None:
    assert wordings.seen("signup", version, now=now.now()) is None


def test_words_that_break_a_rule_are_never_shown(app: Flask, now: Clock) -> None:
    save("signup", "en", "I agree to everything.", now=now)
    assert wordings.text("signup", "en").startswith("I agree to get recurring automated")


def test_a_person_sees_in_the_proof_which_button_and_words_it_was(town: Town, now: Clock) -> None:
    save("signup", "en", OURS, now=now)
    town.bob()
    event = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
    assert event is not None and event.wording_sha256
    proof = db.session.get(Evidence, event.id)
    assert proof is not None and json.loads(proof.body)["answer"]["box"] == "ticked"
    assert pages.text_version(recorded(EventKind.REQUESTED)) == event.wording_sha256[:16]
