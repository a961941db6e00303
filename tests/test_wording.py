"""Our texts: what the law wants in each, in one part, in every language."""

import shutil
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.assets_path import ASSETS
from prefcenter.config import LANGUAGES
from prefcenter.models import TextKind
from prefcenter.sms import wording
from prefcenter.sms.encoding import measure

BRAND = "Marlow Books"
LINK = "https://t.marlowbk.us/c/" + "a" * 30
SUPPORT = "help@marlowbooks.example"
CATEGORIES = [(), ("Sales and offers",), ("Sales and offers", "Novedades editoriales únicas") * 3]
FREQUENCIES = ["all", "1/week", "99/week", "1/month", "99/month"]
EVERY = [(kind, language) for kind in TextKind for language in LANGUAGES]


def text_of(kind: TextKind, language: str, **more: object) -> str:
    values = {"brand": BRAND, "link": LINK, "support": SUPPORT} | more
    return wording.render(kind, locale=language, **values)  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(("kind", "language"), EVERY)
@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("categories", CATEGORIES)
def test_every_text_is_one_gsm_part(
    kind: TextKind, language: str, frequency: str, categories: tuple[str, ...]
) -> None:
    """A 12-letter brand and a 54-character link."""
    assert (len(BRAND), len(LINK)) == (12, 54)
    text = text_of(kind, language, frequency=frequency, categories=categories, texts_per_month=60)
    size = measure(text)
    assert (size.encoding, size.parts) == ("GSM-7", 1), (size, text)


RATES = {"en": "Msg & data rates may apply", "es": "Puede haber cargos de SMS y datos"}
OFTEN = {"en": "about 4 a month", "es": "unos 4 al mes"}


@pytest.mark.parametrize(("kind", "language"), EVERY)
def test_every_text_has_what_it_must(kind: TextKind, language: str) -> None:
    """The table "Texts we send": brand and STOP in all, the rest by kind."""
    until = date(2026, 12, 24)
    text = text_of(kind, language, categories=["News"], until=until, options=["Offers", "News"])
    needs = {
        TextKind.CONFIRM_REQUEST: (LINK, RATES[language], OFTEN[language], "HELP"),
        TextKind.WELCOME: (LINK, RATES[language], OFTEN[language], "HELP"),
        TextKind.CHANGED: (LINK, "News", OFTEN[language]),
        TextKind.UNSUBSCRIBED: (SUPPORT, "START"),
        TextKind.RESUBSCRIBED: (RATES[language], OFTEN[language], "HELP"),
        TextKind.ALREADY_SUBSCRIBED: (LINK, RATES[language], "HELP"),
        TextKind.HELP: (SUPPORT, RATES[language], OFTEN[language]),
        TextKind.NEW_LINK: (LINK, "HELP"),
        TextKind.WHICH: (SUPPORT, "1 Offers, 2 News"),
        TextKind.PREFERENCES: ("News", OFTEN[language], "MENU"),
        TextKind.PAUSED: ("24 d" if language == "es" else "24 Dec",),
        TextKind.RESUMED: (OFTEN[language], "HELP"),
        TextKind.MENU: ("HELP", "SEMANAL" if language == "es" else "1 a week"),
    }[kind]
    assert text.startswith(f"{BRAND}: ")
    for part in (*needs, "STOP"):
        assert part in text
    assert "{" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_stop_reply_does_not_persuade_back(language: str) -> None:
    """RULE-61: naming START is information; no link, no offer."""
    assert "http" not in text_of(TextKind.UNSUBSCRIBED, language)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Reply STOP to end", "brand"),
        ("{brand}: hello", "STOP"),
        ("{brand} {number} STOP", "{number}"),
        ("{brand.__class__} STOP", "{brand.__class__}"),
        ("{brand STOP", "cannot be read"),
    ],
)
def test_a_template_that_may_not_be_used_is_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "welcome.txt"
    path.write_text(text)
    with pytest.raises(wording.WordingError) as error:
        wording.checked(path)
    assert "welcome.txt" in str(error.value) and word in str(error.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_value_stays_a_value(brand: str, support: str) -> None:
    """SEC-25, SEC-45: no placeholder, line break or control character comes in by a value."""
    text = wording.render(
        TextKind.HELP, locale="en", brand="{link}" + brand, support=support, link=LINK
    )
    assert "{link}" in text and LINK not in text
    assert "\n" not in text and "\r" not in text and "\x00" not in text


def test_names_are_counted_and_the_frequency_is_brief_only_where_space_is_short() -> None:
    few = text_of(TextKind.CHANGED, "en", categories=["News", "Offers"])
    assert "you now get News, Offers, about 4 a month." in few
    many = text_of(TextKind.CHANGED, "en", categories=["Sales and offers for you"] * 3)
    assert "you now get 3 topics, about 4 a month." in many
    tight = text_of(TextKind.WELCOME, "en", categories=["News"] * 12, texts_per_month=100)
    assert "you get 12 topics, 100/month:" in tight
    assert "you get our texts, about" in text_of(TextKind.WELCOME, "en", brand="Marlow")


def test_one_and_several_are_told_apart_by_the_rules_of_the_language() -> None:
    assert "unos 2 al mes" in text_of(TextKind.HELP, "es", texts_per_month=2)
    assert "uno al mes" in text_of(TextKind.HELP, "es", texts_per_month=1)
    assert "recibe 1 tema," in text_of(TextKind.WELCOME, "es", categories=["Novedades" * 9])


@pytest.mark.parametrize(
    ("brand", "shown"),
    [
        ("Marlow\r\nBooks\x00\u202e", "Marlow Books"),
        ("  Más “Café”  ", 'Mas "Café"'),
        ("Marlow 📚 Books", "Marlow Books"),
        ("Книги", "Книги"),
        ("Книги и Café", "Книги и Café"),
        ("📚\x00", "📚"),
    ],
)
def test_a_name_is_put_on_one_line_and_into_gsm(brand: str, shown: str) -> None:
    """What has no letters in GSM-7 stays: a text without its brand would be worse."""
    assert text_of(TextKind.HELP, "en", brand=brand).startswith(f"{shown}: ")


@pytest.mark.parametrize(
    ("locale", "word"), [("es", "ayuda"), ("es-MX", "ayuda"), ("es_AR", "ayuda"), ("fr", "help")]
)
def test_a_region_gets_its_language_and_the_rest_get_english(locale: str, word: str) -> None:
    assert word in text_of(TextKind.HELP, locale)


def test_a_text_without_the_link_it_needs_is_not_made() -> None:
    with pytest.raises(wording.WordingError, match="confirm_request needs a link"):
        text_of(TextKind.CONFIRM_REQUEST, "en", link=None)


@pytest.mark.parametrize("frequency", ["", "weekly", "0/week", "1/day", "1/week ", "-1/month"])
def test_a_frequency_that_we_do_not_offer_is_refused(frequency: str) -> None:
    with pytest.raises(wording.WordingError, match="is not a frequency"):
        text_of(TextKind.HELP, "en", frequency=frequency)


@pytest.mark.parametrize(
    ("file", "content", "cure"),
    [
        ("es/welcome.txt", None, "every text needs one"),
        ("es/welcome.txt", "{brand}: hola", "write STOP into it"),
        ("en/phrases.toml", "topics = ", "not valid TOML"),
        ("en/phrases.toml", "[topics]\none = '1 topic'", "[about.month]"),
    ],
)
def test_templates_are_checked_as_a_whole(
    tmp_path: Path, file: str, content: str | None, cure: str
) -> None:
    wording.check_templates()
    folder = tmp_path / "sms"
    shutil.copytree(ASSETS / "templates" / "sms", folder)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(wording.WordingError) as error:
        wording.check_templates(folder)
    assert file in str(error.value) and cure in str(error.value)
