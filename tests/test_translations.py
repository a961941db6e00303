"""Every sentence is there in every language, and the compiled files are the current ones."""

import re

import pytest

from tools import translations

CURE = "run tools/translations.py, translate what it names, run it again"
CATALOGS = translations.catalogs()
by_language = pytest.mark.parametrize(
    "file", CATALOGS, ids=[str(catalog.locale) for catalog in CATALOGS.values()]
)


def keys(catalog):
    return {message.id for message in catalog if message.id}


def test_spanish_is_there():
    assert [str(catalog.locale) for catalog in CATALOGS.values()] == ["es"]


@by_language
def test_every_sentence_of_templates_and_code_is_listed(file):
    assert keys(translations.collect()) == keys(CATALOGS[file]), CURE


@by_language
def test_nothing_is_untranslated_or_doubtful(file):
    assert translations.unfinished(CATALOGS[file]) == [], CURE


@by_language
def test_placeholders_are_the_same(file):
    """A missing %(stop)s would lose the word that networks act on."""
    for message in CATALOGS[file]:
        if message.id:
            wanted = set(re.findall(r"%\(\w+\)s", str(message.id)))
            for form in [message.string] if isinstance(message.string, str) else message.string:
                assert set(re.findall(r"%\(\w+\)s", form)) == wanted, message.id


@by_language
def test_keywords_keep_their_english_form(file):
    for message in CATALOGS[file]:
        for word in re.findall(r"\b(?:STOP|START|HELP)\b", str(message.id)):
            assert word in str(message.string), message.id


@by_language
def test_the_compiled_file_is_current(file):
    assert file.with_suffix(".mo").read_bytes() == translations.compiled(CATALOGS[file]), CURE
