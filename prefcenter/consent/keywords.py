"""What somebody texted, read into an answer: a keyword, a refusal in free words, or neither.

The words are data in words/*.toml. Settings add words and never take one away (RULE-17).
Pure: no database and no settings.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from prefcenter.consent import refusals
from prefcenter.consent.plain_text import normalise, without_pictures
from prefcenter.consent.refusals import Refusal

__all__ = ["Reading", "Refusal", "Word", "clashes", "normalise", "read"]

_FILE = Path(__file__).parent / "words" / "keywords.toml"


class Word(StrEnum):
    """What a keyword asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    YES = "yes"
    NO = "no"
    JOIN = "join"
    LESS = "less"
    PAUSE = "pause"
    RESUME = "resume"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    MENU = "menu"


# Sections of keywords.toml that are no command of their own name.
_STOP_FIRST, _STOP_ALONE, _POLITE, _BESIDE = "stop_first", "stop_alone", "polite", "beside_stop"
_LENIENT = (Word.YES, Word.HELP)  # these may have "please" beside them


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message says.

    `word` is the keyword that the whole message is; STOP also when it only begins with one
    (SEC-35). `refusal` says whether the texts must stop, `flagged` that a stop word stands
    in a message that is none. `matched` is the keyword or the pattern that decided. `site` is
    the one that JOIN named, and `asks` what it offers, where that is not everything.
    """

    word: Word | None = None
    refusal: Refusal = Refusal.NOT
    flagged: bool = False
    language: str = ""
    matched: str = ""
    campaign: str = ""
    site: str = ""
    asks: tuple[str, ...] = ()

    @property
    def is_neutral(self) -> bool:
        """True for a message that asks for nothing and refuses nothing."""
        return self.word is None and self.refusal is Refusal.NOT and not self.flagged


@dataclass(frozen=True, slots=True)
class _Keywords:
    """keywords.toml, normalised: each word or phrase with the language it is of."""

    commands: dict[Word, dict[str, str]]
    stop_first: dict[str, str]
    stop_alone: dict[str, str]
    polite: frozenset[str]
    beside_stop: frozenset[str]  # politeness, "now", and all other keywords


def read(
    text: str,
    *,
    own: Collection[str] = (),
    more_stop: Collection[str] = (),
    more_help: Collection[str] = (),
) -> Reading:
    """Read a message. Never raises, and takes no longer for 200 KB than for one text.

    `own` are the owner's keywords for JOIN; `campaign` is then the one that fits, as it is
    spelt there. `more_stop` and `more_help` are the owner's additions. A stop word always
    wins: no setting makes it mean something else.
    """
    said = normalise(text)
    extra = dict.fromkeys(filter(None, map(normalise, more_stop)), "")
    spoken = without_pictures(said)
    return (
        _stop(spoken, extra)
        or _command(spoken, own, {normalise(word) for word in more_help})
        or _free_text(said, extra)
    )


def behind_join(text: str) -> tuple[str, str] | None:
    """What a message says behind a word for JOIN, in one piece, and the language of that word.

    None where nothing does. JOIN itself stands on posters in all languages, so it has none.
    """
    said = without_pictures(normalise(text))
    first, _space, rest = said.partition(" ")
    words = _keywords().commands[Word.JOIN]
    if first not in words or not rest:
        return None
    return rest.replace(" ", ""), "" if first == Word.JOIN else words[first]


def clashes(words: Iterable[str]) -> list[str]:
    """Those of an owner's keywords that mean something already, or nothing at all.

    An own keyword must not catch what a person wrote to stop, to start or to get help.
    JOIN itself may be taken: it means nothing else.
    """
    return [word for word in words if not _is_free(word)]


def _is_free(word: str) -> bool:
    reading = read(word)
    taken = reading.word not in (None, Word.JOIN) or reading.refusal is not Refusal.NOT
    return bool(normalise(word)) and not taken


def _stop(said: str, extra: dict[str, str]) -> Reading | None:
    """STOP as first word, or any stop word with nothing but politeness beside it."""
    known = _keywords()
    word = _first(said, known.stop_first)
    if word is None:
        word = _alone(said, known.stop_first | known.stop_alone | extra)
    if word is None:
        return None
    language = (known.stop_first | known.stop_alone | extra)[word]
    return Reading(Word.STOP, Refusal.SURELY, language=language, matched=word.upper())


def _first(said: str, words: dict[str, str]) -> str | None:
    """The longest of the words that the message begins with."""
    found = [word for word in words if said == word or said.startswith(f"{word} ")]
    return max(found, key=len, default=None)


def _alone(said: str, stops: dict[str, str]) -> str | None:
    """The stop word, when the rest is politeness, numbers or other keywords.

    So "please end", "cancel 12345" and "STOP START" stop; "the sale will end" does not.
    """
    if said in stops:
        return said
    beside, found = _keywords().beside_stop, None
    for word in said.split():
        if word in stops:
            found = found or word
        elif word not in beside and not word.isdigit():
            return None
    return found


def _command(said: str, own: Collection[str], more_help: Collection[str]) -> Reading | None:
    """Any other keyword, as the whole message."""
    for word in own:
        if said and said == normalise(word):
            return Reading(Word.JOIN, matched=said.upper(), campaign=word)
    if said and said in more_help:
        return Reading(Word.HELP, matched=said.upper())
    for command, words in _keywords().commands.items():
        asked = _without_politeness(said) if command in _LENIENT else said
        if asked in words:
            return Reading(command, language=words[asked], matched=asked.upper())
    return None


def _without_politeness(said: str) -> str:
    polite = _keywords().polite
    return " ".join(word for word in said.split() if word not in polite)


def _free_text(said: str, extra: dict[str, str]) -> Reading:
    """A refusal in the person's own words; else a note whether a stop word stands in it."""
    verdict = refusals.judge(said)
    if verdict.refusal is not Refusal.NOT:
        return Reading(None, verdict.refusal, False, verdict.language, verdict.pattern)
    known = _keywords()
    stops = known.stop_first | known.stop_alone | extra
    padded = f" {said} "
    for word, language in stops.items():
        if f" {word} " in padded:
            return Reading(flagged=True, language=language, matched=word.upper())
    return Reading()


@lru_cache(maxsize=1)
def _keywords() -> _Keywords:
    tree = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    sections = {name: dict(_by_word(section)) for name, section in tree.items()}
    commands: dict[Word, dict[str, str]] = {
        word: sections[word] for word in Word if word is not Word.STOP
    }
    return _Keywords(
        commands=commands,
        stop_first=sections[_STOP_FIRST],
        stop_alone=sections[_STOP_ALONE],
        polite=frozenset(sections[_POLITE]),
        beside_stop=frozenset().union(sections[_POLITE], sections[_BESIDE], *commands.values()),
    )


def _by_word(section: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Each word and its language; a word of two languages is of the first that lists it."""
    seen: set[str] = set()
    for language, words in section.items():
        for word in map(normalise, words):
            if word not in seen:
                seen.add(word)
                yield word, "" if language == "other" else language
