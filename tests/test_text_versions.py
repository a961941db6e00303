"""Texts that people here write: kept for ever, in force everywhere soon, never worse than ours."""

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from prefcenter import create_app
from prefcenter.config import LANGUAGES
from prefcenter.database import db, execute, writing
from prefcenter.models import TextKind
from prefcenter.models_texts import TextVersion
from prefcenter.sms import compose, own_texts, versions, wording
from prefcenter.sms.encoding import measure
from tests.cast import ALICE, Town
from tests.conftest import Clock

HELP = "{brand}: ask us at {support}. {frequency}. Msg & data rates may apply. STOP ends all texts"
EVERY = [(kind, language) for kind in TextKind for language in LANGUAGES]


def save(kind: str, language: str, body: str, *, now: Clock, after: int = 0) -> None:
    """Save a version as Eve, past the page, so that also what it refuses can be stored."""
    with writing():
        versions.save(kind, language, body, after=after, by="eve", now=now.now())
        db.session.commit()
    versions.refresh()


# --- rows that nobody edits


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE text_version SET body = 'other'",
        "UPDATE text_version SET created_by = 'mallory'",
        "DELETE FROM text_version",
    ],
)
def test_a_version_cannot_be_edited_or_deleted_with_plain_sql(
    app: Flask, now: Clock, statement: str
) -> None:
    """RULE-14."""
    save("help", "en", HELP, now=now)
    with pytest.raises(DBAPIError, match="append-only"), writing():
        execute(sa.text(statement), {})
    [kept] = versions.history("help", "en")
    assert (kept.body, kept.created_by, kept.number) == (HELP, "eve", 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_version_cannot_be_replaced_either(app: Flask, now: Clock) -> None:
    save("help", "en", HELP, now=now)
    again = (
        "INSERT OR REPLACE INTO text_version"
        " (id, kind, language, number, body, created_at, created_by)"
        " SELECT {id}, kind, language, number, 'other', created_at, created_by FROM text_version"
    )
    for other in ("id", "id + 1"):
        with pytest.raises(DBAPIError, match="append-only"), writing():
            execute(sa.text(again.format(id=other)), {})
    assert [one.body for one in versions.history("help", "en")] == [HELP]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_all_versions_cannot_be_emptied_at_once(app: Flask, now: Clock) -> None:
    save("help", "en", HELP, now=now)
    with pytest.raises(DBAPIError, match="append-only"), writing():
        execute(sa.text("TRUNCATE text_version"), {})
    assert versions.history("help", "en")


def test_who_opened_an_older_version_does_not_overwrite_a_newer(app: Flask, now: Clock) -> None:
    save("help", "en", HELP, now=now)
    with pytest.raises(versions.Overtaken):
        save("help", "en", HELP + " now", now=now)
    save("help", "en", HELP + " now", now=now, after=1)
    assert [one.number for one in versions.history("help", "en")] == [2, 1]
    save("help", "es", HELP, now=now)  # each language counts for itself


def test_versions_are_read_page_by_page(app: Flask, now: Clock) -> None:
    for number in range(5):
        save("help", "en", f"{HELP} {number}", now=now, after=number)
    first = versions.history("help", "en", most=2)
    assert [one.number for one in first] == [5, 4]
    rest = versions.history("help", "en", before=4, most=9)
    assert [one.number for one in rest] == [3, 2, 1]


# --- what is sent


def test_the_newest_version_is_what_alice_gets(town: Town, now: Clock) -> None:
    save(
        "welcome",
        "en",
        "{brand}: old {categories} {frequency} {link} rates apply HELP STOP",
        now=now,
    )
    body = (
        "{brand}: hello, {categories}, {frequency}: {link} Msg & data rates may apply. HELP, STOP"
    )
    save("welcome", "en", body, now=now, after=1)
    town.alice()
    welcome = town.network.texts[-1].body
    assert welcome.startswith("Marlow Books: hello, Sales and offers, about 4 a month: http")


def test_a_text_in_the_outbox_keeps_its_words(town: Town, now: Clock) -> None:
    town.sign_up(ALICE)
    town.work()
    [ask] = town.outbox(ALICE)
    shipped = wording.shipped(TextKind.CONFIRM_REQUEST, "en")
    save("confirm_request", "en", shipped.replace("confirm our", "confirm OUR"), now=now)
    [still] = town.outbox(ALICE)
    assert still.body == ask.body and "confirm our" in still.body


def test_back_to_the_shipped_words_is_one_more_version(app: Flask, now: Clock) -> None:
    save("help", "en", HELP, now=now)
    save("help", "en", wording.shipped(TextKind.HELP, "en"), now=now, after=1)
    assert own_texts.in_force(TextKind.HELP, "en") == wording.shipped(TextKind.HELP, "en")
    assert len(versions.history("help", "en")) == 2


@pytest.mark.parametrize(
    ("locale", "owns"), [("en", True), ("en-GB", True), ("fr", True), ("es", False), ("", True)]
)
def test_a_region_follows_its_language_and_unknown_ones_english(
    app: Flask, now: Clock, locale: str, owns: bool
) -> None:
    save("help", "en", HELP, now=now)
    assert (own_texts.template(TextKind.HELP, locale) == HELP) is owns


def test_a_version_that_breaks_a_rule_is_never_sent(
    app: Flask, now: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """On any doubt the shipped words, also for what a stricter rule finds later."""
    own_texts._may_be_sent.cache_clear()
    for number, body in enumerate(
        ["{brand}: hi", "hi STOP", "{brand} {x} STOP", "", "{brand} STOP"]
    ):
        save("help", "en", body, now=now, after=number)
        assert own_texts.in_force(TextKind.HELP, "en") == wording.shipped(TextKind.HELP, "en")
    assert "may not be sent" in caplog.text
    text = compose.to_stranger(TextKind.HELP, "en")
    assert text.startswith("Marlow Books: for help contact")


# --- every process, soon, and for nothing


def count_reads(app: Flask) -> list[str]:
    asked: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *a: asked.append(a[2]))
    return asked


def about_texts(asked: list[str]) -> int:
    return sum("text_version" in statement for statement in asked)


def test_a_thousand_texts_cost_one_look(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("help", "en", HELP, now=now)
    clock = 100.0
    monkeypatch.setattr(versions, "monotonic", lambda: clock)
    versions.refresh()
    asked = count_reads(app)
    for _ in range(1000):
        compose.to_stranger(TextKind.HELP, "en")
    assert about_texts(asked) == 0
    clock += versions.FOLLOWS
    for _ in range(1000):
        compose.to_stranger(TextKind.HELP, "en")
    assert about_texts(asked) == 1  # and nothing new, so nothing more was read


def test_another_process_follows_within_the_promised_seconds(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second app on the same database, which heard of nothing."""
    clock = 100.0
    monkeypatch.setattr(versions, "monotonic", lambda: clock)
    other = create_app(app.extensions["prefcenter"])
    with other.app_context():
        assert compose.to_stranger(TextKind.HELP, "en").startswith("Marlow Books: for help")
        db.session.remove()
    save("help", "en", HELP, now=now)
    for passed, words in ((versions.FOLLOWS - 0.1, "for help"), (0.2, "ask us")):
        clock += passed
        with other.app_context():
            assert compose.to_stranger(TextKind.HELP, "en").startswith(f"Marlow Books: {words}")
            db.session.remove()
    with other.app_context():
        db.engine.dispose()


def test_texts_go_on_while_versions_cannot_be_read(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing known: the shipped words. Something known: that stays."""

    def broken(*_args: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    save("help", "en", HELP, now=now)
    known = compose.to_stranger(TextKind.HELP, "en")
    monkeypatch.setattr(versions, "read", broken)
    versions.refresh()
    assert compose.to_stranger(TextKind.HELP, "en") == known
    app.extensions.pop("prefcenter.text_versions")
    assert compose.to_stranger(TextKind.HELP, "en").startswith("Marlow Books: for help")
    assert "cannot be read" in caplog.text


def test_the_text_of_a_rolled_back_save_is_not_in_force(app: Flask, now: Clock) -> None:
    with writing():
        versions.save("help", "en", HELP, after=0, by="eve", now=now.now())
        versions.refresh()
    assert own_texts.template(TextKind.HELP, "en") is None
    assert db.session.scalar(sa.select(sa.func.count(TextVersion.id))) == 0


def test_a_text_written_before_the_save_is_committed_has_the_words_in_force(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eve's save is taken back; Dana's has the same number, and on SQLite the same id."""
    clock = 100.0
    monkeypatch.setattr(versions, "monotonic", lambda: clock)
    assert versions.of("help", "en") == ()
    with writing():
        versions.save("help", "en", HELP, after=0, by="eve", now=now.now())
        clock += versions.FOLLOWS
        assert versions.of("help", "en") == ()
    assert versions.of("help", "en") == ()
    save("help", "en", f"{HELP} now", now=now)
    assert [one.body for one in versions.of("help", "en")] == [f"{HELP} now"]
    with writing():
        clock += versions.FOLLOWS
        assert versions.of("help", "en"), "a transaction that saved nothing asks"


# --- the check


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_every_shipped_text_passes(kind: TextKind, language: str) -> None:
    assert list(own_texts.faults(kind, language, wording.shipped(kind, language))) == []


OTHERS = {
    "unknown": HELP + " {number}",
    "brace": HELP + " {",
    "brand": HELP.replace("{brand}", "Us"),
    "stop": HELP.replace("STOP", "Stop"),
    "not_here": HELP + " {link}",
    "missing": HELP.replace("{support}", "us"),
    "rates": HELP.replace("rates", "prices"),
    "address": HELP + " bit.ly/x",
    "long": HELP + " so" * 200,
    "empty": "",
}


@pytest.mark.parametrize("code", OTHERS)
def test_each_fault_is_found_alone(code: str) -> None:
    found = [fault.code for fault in own_texts.faults(TextKind.HELP, "en", OTHERS[code])]
    assert found == [code]


def test_what_the_shipped_text_has_is_needed_in_every_language() -> None:
    """RULES, "Texts we send": HELP, rates, the link, by kind."""
    for kind, language in EVERY:
        shipped = wording.shipped(kind, language)
        for slot in wording.slots(shipped):
            found = [f.code for f in own_texts.faults(kind, language, shipped.replace(slot, "it"))]
            assert found == ["brand" if slot == "{brand}" else "missing"], (kind, slot)
        for word in ("STOP", "HELP"):
            if word in shipped:
                found = [
                    f.code for f in own_texts.faults(kind, language, shipped.replace(word, "x"))
                ]
                assert found == [word.lower()], (kind, language, word)


def test_the_stop_reply_cannot_persuade_back_by_a_link() -> None:
    """RULE-22, RULE-61."""
    shipped = wording.shipped(TextKind.UNSUBSCRIBED, "en")
    for more in (" {link}", " https://marlow.example/sale", " www.marlow.example"):
        assert [f.code for f in own_texts.faults(TextKind.UNSUBSCRIBED, "en", shipped + more)]


def test_a_dear_character_is_found_with_place_and_replacement() -> None:
    one, other, third = own_texts.dear("it’s, it’s “ok” 📚")[:3]
    assert (one.char, one.positions, one.instead) == ("’", (3, 9), "'")
    assert (other.char, third.char) == ("“", "”")
    assert own_texts.dear("📚")[0].instead == ""
    assert own_texts.cheaper("it’s “ok” 📚", "’") == "it's “ok” 📚"
    assert own_texts.cheaper("it’s “ok” 📚", "") == 'it\'s "ok" 📚'
    assert own_texts.cheaper("it’s", "x") == "it’s"


# --- whatever somebody writes

PIECES = st.sampled_from(
    [
        *("{brand}", "{support}", "{frequency}", "{link}", "{x}", "{", "}", "STOP", "HELP", "stop"),
        *("Msg & data rates may apply", "’", "€", "ç", "á", "📚", "\u202e", "\x00", "<script>"),
        *("&amp;", "%(brand)s", "{{ 7*7 }}", "{brand.__class__}", "bit.ly/x", " ", "a" * 40),
    ]
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=12), st.sampled_from(["", HELP]))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_passes_the_check_is_a_text_that_may_be_sent(
    app: Flask, now: Clock, pieces: list[str], base: str
) -> None:
    typed = own_texts.clean(base + " " + " ".join(pieces))
    if any(own_texts.faults(TextKind.HELP, "en", typed)):
        return
    sent = wording.render(
        TextKind.HELP,
        locale="en",
        brand="Marlow Books",
        support="help@marlow.example",
        texts_per_month=4,
        template=typed,
    )
    shown = compose.example(TextKind.HELP, "en", typed, now=now.now())
    assert "Marlow Books" in sent and "STOP" in sent and "help@marlow.example" in sent
    assert sent == shown and measure(sent).parts == measure(shown).parts
    assert "{" not in sent and "\n" not in sent and "\x00" not in sent
    assert len(sent) <= 1000  # RULE-55


def test_the_longest_text_that_is_taken_fits_the_providers_limit() -> None:
    """RULE-55: at most 1000 characters, whatever the placeholders bring."""
    kind = TextKind.WELCOME
    shipped = wording.shipped(kind, "en")
    long = shipped + " " + "x" * (own_texts.LONGEST - len(shipped) - 1)
    assert list(own_texts.faults(kind, "en", long)) == []
    text = wording.render(
        kind,
        locale="en",
        brand="Marlow Books",
        link="https://prefs.marlowbooks.example/p/" + "a" * 31,
        categories=["Sales and offers"] * 20,
        template=long,
    )
    assert len(text) <= 1000


def test_alices_text_has_the_parts_that_the_page_showed(town: Town, now: Clock) -> None:
    """The example takes two kinds of text, and so does she."""
    shipped = wording.shipped(TextKind.WELCOME, "en")
    for number, more in enumerate(["", " Thank you for reading" * 4, " ¡Ándale!"]):
        body = shipped + more
        save("welcome", "en", body, now=now, after=number)
        with writing():
            shown = measure(compose.example(TextKind.WELCOME, "en", body, now=now.now()))
        person = f"+1202555015{number}"
        town.alice(person, ("offers", "new-books"))
        sent = measure(town.network.texts[-1].body)
        assert town.network.texts[-1].to == person
        assert (sent.parts, sent.encoding) == (shown.parts, shown.encoding)
        now.forward(hours=2)
