"""The page for texts: look, check, save, go back; who may, and what it says when it cannot."""

import html
import re
from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prefcenter.config import LANGUAGES
from prefcenter.consent import wordings
from prefcenter.database import db, writing
from prefcenter.models import TextKind
from prefcenter.models_staff import Role
from prefcenter.sms import encoding, own_texts, versions, wording
from prefcenter.web.admin import text_check, text_names
from tests import staff_room
from tests.cast import Town, rows
from tests.conftest import Browser, Clock

HELP = "/admin/texts/help/en"
SIGNUP = "/admin/texts/consent_signup/en"
CHECK = "/admin/texts/check"
GOOD = "{brand}: ask us at {support}. {frequency}. Msg & data rates may apply. STOP ends all texts"
HTMX = {"HX-Request": "true"}
EVIL = '</textarea><script>alert(1)</script>{brand} "onload="x'


def save(browser: Browser, path: str, body: str, *, after: int = 0, **more: object) -> object:
    return staff_room.press(browser, path, {"body": body, "after": after}, **more)


def look(
    browser: Browser, body: str, *, kind: str = "help", language: str = "en", **more: object
) -> str:
    """What the page says of words, by htmx."""
    data = {"kind": kind, "language": language, "body": body, **more}
    page = staff_room.press(browser, CHECK, data, headers=HTMX)
    assert page.status_code == 200
    return page.text


def sample(page: str) -> str:
    found = re.search(r'id="sample"[^>]*>(.*?)</p>', page, re.DOTALL)
    assert found
    return html.unescape(found[1])


def body(page: str) -> str:
    """What stands in the box, read as browsers read it: a first line break is not part of it."""
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert found
    return html.unescape(found[1])


# --- the list


def test_vic_sees_every_text_in_every_language(app: Flask) -> None:
    page = staff_room.vic_viewer(app).get("/admin/texts")
    assert page.status_code == 200
    for kind in (*TextKind, *(wordings.stored_as(kind) for kind in wordings.KINDS)):
        for language in LANGUAGES:
            assert f'href="/admin/texts/{kind}/{language}"' in page.text
    assert "within 5 seconds" in page.text
    # The names of two kinds of text make one of them longer, and the page says so.
    assert page.text.count(">1 part<") == len(TextKind) * len(LANGUAGES) - 1
    assert page.text.count(">2 parts<") == 1
    assert "as shipped" in page.text


def test_each_text_has_a_name_and_each_fault_a_sentence() -> None:
    assert set(text_names.TEXTS) == set(TextKind)
    assert set(text_names.CONSENT) == {wordings.stored_as(kind) for kind in wordings.KINDS}
    assert set(text_names.PLACEHOLDERS) == {*wording.PLACEHOLDERS, "{terms}", "{privacy}"}


@pytest.mark.parametrize(
    "path", ["/admin/texts/none/en", "/admin/texts/help/xx", "/admin/texts/check"]
)
def test_what_we_have_no_words_for_is_not_there(app: Flask, path: str) -> None:
    assert staff_room.eve_editor(app).get(path).status_code in (404, 405)


@pytest.mark.parametrize(
    "query", ["from=99", "from=x", "from=-1", "from=99999999999999999999", "before=0"]
)
def test_an_address_that_was_typed_wrong_shows_what_is_in_force(app: Flask, query: str) -> None:
    page = staff_room.eve_editor(app).get(f"{HELP}?{query}")
    assert page.status_code == 200 and body(page.text).startswith("{brand}: for help contact")


# --- who may


@pytest.mark.parametrize("path", [HELP, f"{HELP}/shipped", CHECK, SIGNUP])
def test_vic_may_look_and_change_nothing(app: Flask, path: str) -> None:
    vic = staff_room.vic_viewer(app)
    page = vic.get(HELP)
    assert page.status_code == 200 and "<textarea" not in page.text
    assert "Your role may read texts" in page.text
    before = rows()
    data = {"kind": "help", "language": "en", "body": GOOD, "after": 0}
    assert staff_room.press(vic, path, data).status_code == 403
    assert rows()["text_version"] == before["text_version"] == []


def test_nobody_gets_in_without_signing_in_or_from_another_site(app: Flask) -> None:
    assert staff_room.stranger(app).get("/admin/texts").status_code == 303
    assert staff_room.stranger(app).post(HELP, data={"body": GOOD}).status_code in (400, 401, 403)
    eve = staff_room.eve_editor(app)
    assert eve.post(HELP, data={"body": GOOD, "after": 0}).status_code in (400, 403)
    assert versions.history("help", "en") == []


# --- saving


def test_eve_writes_a_text_and_the_next_one_has_it(town: Town, now: Clock) -> None:
    eve = staff_room.eve_editor(town)
    words = (
        "{brand}: hello, {categories}, {frequency}: {link} Msg & data rates may apply. HELP, STOP"
    )
    answer = save(eve, "/admin/texts/welcome/en", words)
    assert (answer.status_code, answer.location) == (303, "/admin/texts/welcome/en")
    page = eve.get(answer.location).text
    assert "Version 1 is saved and in force." in page
    town.alice()
    assert town.network.texts[-1].body.startswith("Marlow Books: hello, Sales and offers")
    [entry] = staff_room.log("text_changed")
    assert (entry.staff_name, entry.subject) == ("eve", "welcome/en")
    assert entry.details == {"version": [0, 1]}


def test_the_history_says_who_when_and_what_changed(app: Flask, now: Clock) -> None:
    eve = staff_room.eve_editor(app)
    save(eve, HELP, GOOD)
    now.moment += timedelta(days=1)
    save(staff_room.dana_owner(app), HELP, GOOD.replace("ask us", "write to us"), after=1)
    page = staff_room.vic_viewer(app).get(HELP).text
    first, second = page.index("Version 2"), page.index("Version 1")
    assert first < second and "eve" in page[second:] and "dana" in page[first:second]
    assert "25 Nov 2026" in page[first:second]
    assert "<del>ask</del><ins>write to</ins>" in page
    older = staff_room.eve_editor(app).get(f"{HELP}?from=1").text
    assert body(older) == GOOD


def test_many_versions_are_shown_page_by_page(app: Flask, now: Clock) -> None:
    for number in range(12):
        with writing():
            versions.save("help", "en", f"{GOOD} {number}", after=number, by="eve", now=now.now())
            db.session.commit()
    eve = staff_room.eve_editor(app)
    page = eve.get(HELP).text
    assert "Version 12" in page and "Version 3<" in page and "Version 2<" not in page
    assert f"{HELP}?before=3" in page
    page = eve.get(f"{HELP}?before=3").text
    assert "Version 2<" in page and "Version 1<" in page and "Version 3<" not in page
    assert page.count("in force</span>") == 0


def test_saving_the_same_words_makes_no_version(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    for words in (
        wording.shipped(TextKind.HELP, "en"),
        wording.shipped(TextKind.HELP, "en") + "  ",
    ):
        assert "Nothing was changed." in eve.get(save(eve, HELP, words).location).text
    assert versions.history("help", "en") == [] and staff_room.log("text_changed") == []


def test_back_to_the_shipped_words(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    save(eve, HELP, GOOD)
    answer = staff_room.press(eve, f"{HELP}/shipped", {"after": 1})
    assert answer.status_code == 303
    assert [one.number for one in versions.history("help", "en")] == [2, 1]
    page = eve.get(HELP).text
    assert body(page) == wording.shipped(TextKind.HELP, "en") and "Back to the shipped" not in page


def test_eve_does_not_overwrite_what_dana_saved_meanwhile(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    save(staff_room.dana_owner(app), HELP, GOOD)
    mine = GOOD.replace("ask us", "try")
    page = save(eve, HELP, mine)
    assert page.status_code == 409 and "Somebody saved other words meanwhile" in page.text
    assert body(page.text) == mine and 'name="after" value="1"' in page.text
    assert save(eve, HELP, mine, after=1).status_code == 303
    assert [one.created_by for one in versions.history("help", "en")] == ["eve", "dana"]


# --- refusals

REFUSED = {
    "": "Write something",
    "   ": "Write something",
    GOOD.replace("{brand}", "Us"): "Write {brand}.",
    GOOD.replace("STOP", "stop"): "Write STOP, in capitals.",
    GOOD.replace("{support}", "us"): "Write {support}.",
    GOOD + " {nothing}": "{nothing} is no placeholder",
    GOOD + " {link}": "{link} has no value",
    GOOD + " {": "A brace stands alone",
    GOOD.replace("rates", "prices"): "data rates may apply",
    GOOD + " bit.ly/sale": "Take bit.ly out",
    GOOD + " so" * 200: "Make it shorter",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_text_that_may_not_be_sent_is_refused_and_stays_in_the_box(
    app: Flask, words: str
) -> None:
    """RULE-7, RULE-47: brand and STOP."""
    page = save(staff_room.eve_editor(app), HELP, words)
    assert page.status_code == 422
    assert REFUSED[words] in html.unescape(page.text)
    assert body(page.text) == " ".join(words.split())
    assert "Error: Help" in page.text and 'role="alert"' in page.text
    assert versions.history("help", "en") == [] and staff_room.log("text_changed") == []


def test_a_consent_text_without_an_element_is_refused(app: Flask) -> None:
    """RULE-2."""
    eve = staff_room.eve_editor(app)
    words = body(eve.get(SIGNUP).text).replace("automated ", "")
    page = save(eve, SIGNUP, words)
    assert page.status_code == 422 and "Say that the texts are automated." in page.text
    assert body(page.text) == words
    whole = words.replace("recurring ", "recurring automated ") + " Thank you."
    assert save(eve, SIGNUP, whole).status_code == 303
    [entry] = staff_room.log("wording_changed")
    assert entry.subject == "consent_signup/en"
    assert wordings.text("signup", "en").endswith("Thank you.")


# --- the check


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", ("1 part", "GSM-7", "of 160 septets")),
        (" and so on" * 8, ("2 parts", "of 306 septets", "paid for like a text of its own")),
        (" ’", ("2 parts", "UCS-2", "of 134 UCS-2 units")),
    ],
)
def test_the_counter_counts_as_the_network_does(
    app: Flask, more: str, words: tuple[str, ...]
) -> None:
    page = look(staff_room.eve_editor(app), GOOD + more)
    size = encoding.measure(sample(page))
    for word in (*words, f"{size.units} of"):
        assert word in page
    assert "<html" not in page and 'hx-swap-oob="innerHTML:#live"' in page


def test_a_dear_character_is_named_with_its_place_and_replaced_by_one_press(app: Flask) -> None:
    """Also without scripts: the button posts the form, and the page comes back with the words."""
    eve = staff_room.eve_editor(app)
    words = GOOD.replace("ask us", "it’s “us” 📚")
    page = look(eve, words)
    assert "at characters 12" not in page and f"at character {words.index('’') + 1}" in page
    assert 'name="replace" value="’"' in page and "nothing looks like it" in page
    data = {"kind": "help", "language": "en", "body": words, "after": 0}
    whole = staff_room.press(eve, CHECK, data | {"replace": "’"})
    assert whole.status_code == 200 and "<html" in whole.text and "Not saved yet" in whole.text
    assert body(whole.text) == words.replace("’", "'")
    whole = staff_room.press(eve, CHECK, data | {"replace": "all"})
    assert body(whole.text) == GOOD.replace("ask us", 'it\'s "us" 📚')
    part = look(eve, words, replace="’")
    assert part.lstrip().startswith("<form") and body(part) == words.replace("’", "'")


def test_looking_writes_nothing(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    before = rows()
    look(eve, GOOD)
    look(eve, GOOD + "’", replace="all")
    look(eve, "", kind="consent_confirm", language="es")
    after = rows()
    before.pop("staff_session"), after.pop("staff_session")
    assert after == before


@pytest.mark.settings(BRAND="Книги")
def test_what_the_brand_brings_is_told_apart_from_what_was_typed(app: Flask) -> None:
    page = look(staff_room.eve_editor(app), GOOD)
    assert "Not typed here" in page and "К" in page and "These characters make" not in page


def test_consent_is_checked_by_its_elements(app: Flask) -> None:
    eve = staff_room.eve_editor(app)
    page = look(eve, "I agree.", kind="consent_signup")
    assert page.count(">missing</span>") == len(wordings.ELEMENTS) - 1
    assert page.count(">there</span>") == 1 and "septets" not in page
    whole = look(eve, wordings.shipped("signup", "es"), kind="consent_signup", language="es")
    assert page.count(">missing</span>") and ">missing</span>" not in whole
    assert "Marlow Books" in sample(whole)


@pytest.mark.parametrize("path", [HELP, SIGNUP])
def test_hostile_words_are_shown_as_words(app: Flask, path: str) -> None:
    """SEC-38; also characters that no database takes."""
    eve = staff_room.eve_editor(app)
    evil = EVIL + "\x00\ud800".encode("utf-8", "replace").decode() + "{{ 7*7 }}{% raw %}%s %(x)s"
    page = save(eve, path, evil)
    assert page.status_code == 422
    assert "<script>alert" not in page.text and "49" not in sample(page.text)
    kind = path.split("/")[3]
    assert "<script>alert" not in look(eve, evil, kind=kind)
    words = GOOD + " <b>&amp;</b> %(x)s"
    save(eve, HELP, words)
    text = eve.get("/admin/texts").text + eve.get(HELP).text
    assert "<b>&amp;</b>" not in text and "&lt;b&gt;&amp;amp;&lt;/b&gt; %(x)s" in text


def test_a_version_that_became_forbidden_is_said_to_be_unused(app: Flask, now: Clock) -> None:
    with writing():
        versions.save("help", "en", "{brand}: hi", after=0, by="eve", now=now.now())
        db.session.commit()
    eve = staff_room.eve_editor(app)
    assert "The newest version is not used" in eve.get(HELP).text
    assert "not usable" in eve.get("/admin/texts").text


WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            ["{brand}", "{support}", "{frequency}", "STOP", "rates may apply", "’", "<b>", "{x}"]
        ),
        st.text(max_size=10),
    ),
    max_size=10,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(WORDS, st.booleans())
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_is_typed_the_page_answers_and_counts_what_it_shows(
    app: Flask, now: Clock, words: list[str], good: bool
) -> None:
    place = text_check.find("help", "en")
    assert place is not None
    typed = " ".join([GOOD, *words] if good else words)
    with app.test_request_context("/admin/texts"):
        checked = text_check.check(place, typed, now=now.now())
    assert checked.size == encoding.measure(checked.sample)
    assert checked.size.units <= checked.room
    if not checked.faults:
        assert "Marlow Books" in checked.sample and "STOP" in checked.sample
        assert own_texts.clean(checked.body) == checked.body
    for one in checked.dear:
        assert [checked.body[at - 1] for at in one.positions] == [one.char] * len(one.positions)


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_difference_holds_both_texts_whole(before: str, after: str) -> None:
    found = text_check.difference(before, after)
    assert "".join(words for what, words in found if what != "gone") == after
    assert "".join(words for what, words in found if what != "new") == before


def test_the_page_speaks_spanish_and_marks_the_language_of_the_words(app: Flask) -> None:
    eve = staff_room.sign_in(app, Role.EDITOR, "eve")
    page = eve.get("/admin/texts/help/es").text
    assert '<textarea id="body" name="body" rows="6" lang="es"' in page
