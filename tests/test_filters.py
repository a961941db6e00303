"""Sentences made from data, in English and Spanish."""

from pathlib import Path

import pytest
from flask import Flask
from flask_babel import Babel, force_locale

from prefcenter.consent_texts import age_statement, consent_text
from prefcenter.web import filters

TRANSLATIONS = Path(__file__).parent.parent / "prefcenter" / "translations"


@pytest.fixture(autouse=True)
def words():
    app = Flask(__name__)
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(TRANSLATIONS)
    Babel(app)
    with app.test_request_context():
        yield


@pytest.mark.parametrize(
    ("language", "sentence"), [("en", "Sales, Events and News"), ("es", "Sales, Events y News")]
)
def test_lists_are_joined_as_the_language_does(language, sentence):
    with force_locale(language):
        assert filters.join_list(["Sales", "Events", "News"]) == sentence


@pytest.mark.parametrize(
    ("frequency", "english", "spanish"),
    [
        ("all", "whenever there is news", "siempre que haya novedades"),
        ("1/week", "once a week at most", "una vez por semana como máximo"),
        ("3/week", "3 times a week at most", "3 veces por semana como máximo"),
        ("1/month", "once a month at most", "una vez al mes como máximo"),
        ("2/month", "2 times a month at most", "2 veces al mes como máximo"),
    ],
)
def test_how_often_ends_a_sentence(frequency, english, spanish):
    with force_locale("en"):
        assert filters.how_often(frequency) == english
    with force_locale("es"):
        assert filters.how_often(frequency) == spanish


@pytest.mark.parametrize(
    ("frequency", "label"),
    [("all", "Whenever there is news"), ("1/week", "Once a week"), ("4/month", "4 times a month")],
)
def test_frequencies_have_a_label(frequency, label):
    with force_locale("en"):
        assert filters.frequency_label(frequency) == label


@pytest.mark.parametrize("frequency", ["", "weekly", "0/week", "1/day", "1/week\n", "-1/week"])
def test_an_unknown_frequency_is_an_error(frequency):
    for words_for in (filters.how_often, filters.frequency_label):
        with pytest.raises(ValueError, match="frequency"):
            words_for(frequency)


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("kind", ["signup", "confirm", "restart"])
def test_a_consent_text_is_complete_and_plain(kind, language):
    """RULE-1, RULE-2, RULE-3: who, how often, rates, STOP, HELP, both documents, no markup."""
    with force_locale(language):
        text = consent_text(kind, "Marlow Books", 4)
    documents = {"en": "Terms and Privacy.", "es": "Condiciones y Privacidad."}[language]
    for part in ("Marlow Books", " 4 ", "STOP", "HELP", documents):
        assert part in text
    assert "<" not in text and "%(" not in text


def test_the_english_consent_says_automated_marketing_and_no_condition():
    """RULE-2."""
    with force_locale("en"):
        text = consent_text("confirm", "Marlow Books", 1)
    assert "recurring automated marketing texts" in text
    assert "You do not have to agree to buy anything." in text
    assert "About 1 text a month." in text


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_links_both_documents_and_changes_no_word(language):
    with force_locale(language):
        text = consent_text("signup", "Terms & <Privacy>", 4)
        html = filters.consent_html(text, "/terms?a&b", "/privacy")
    assert html.striptags() == text
    assert html.count("<a href=") == 2
    assert '<a href="/terms?a&amp;b">' in html
    assert '<b dir="ltr" translate="no">STOP</b>' in html


def test_an_old_text_that_names_no_document_gets_the_links_behind_it():
    with force_locale("en"):
        html = filters.consent_html("I agree.", "/t", "/p")
    assert html == 'I agree. <a href="/t">Terms</a> <a href="/p">Privacy</a>'


def test_an_age_gate_is_a_statement():
    """RULE-10."""
    with force_locale("en"):
        assert age_statement(21) == "By ticking this you say that you are 21 or older."
