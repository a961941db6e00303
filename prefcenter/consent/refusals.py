"""Is this free text a refusal? A small grammar per language, in words/refusals_*.toml.

A reasonable person's refusal counts in any wording, misspelt or in another language
(RULE-19). Where the texts themselves are meant and it is in doubt, it is a refusal;
where plainly something else is to stop (an order, a bus), it is none. Pure.

A pattern is a row of items, each for the next words of the message:

    stop            this word; `text*` and `*ing` leave the rest open
    stop|quit       one of several; `right_now` is two words
    <texts>         any entry of that class, which is a row of items again
    please?         may be missing
    !this =me       is not, or is, what follows; nothing is taken up
    -dont           is not the word before
    ..3 >>3         up to three words of any kind, as few or as many as will do
    ^ $             beginning and end of the message
"""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from prefcenter.consent import spelling
from prefcenter.consent.plain_text import normalise

_FOLDER = Path(__file__).parent / "words"
# A joined text has at most about 1,600 letters; each of the patterns looks through them all.
_LONGEST = 1600
_AROUND_BAR = re.compile(r"\s*\|\s*")  # a long choice may go on in the next line
_BLANK = "~ "  # stands where harmless words stood; no message has this character


class Refusal(StrEnum):
    """Does this person refuse our texts? Both SURELY and LIKELY stop them."""

    SURELY = "surely"
    LIKELY = "likely"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, with the language and the pattern that gave it."""

    refusal: Refusal = Refusal.NOT
    language: str = ""
    pattern: str = ""  # its table and its place there: "wrong number 3"


@dataclass(frozen=True, slots=True)
class _Pattern:
    language: str
    name: str
    regex: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Grammar:
    """All languages together, since nobody says in which one they write."""

    beyond_doubt: list[_Pattern]
    harmless: list[_Pattern]
    surely: list[_Pattern]
    likely: list[_Pattern]
    words: frozenset[str]


def judge(said: str) -> Verdict:
    """Judge normalised text, mended first.

    What is beyond doubt decides; then harmless stretches ("don't stop", "bus stop", "cancel
    my order") are blanked out, and what is left is looked through for a refusal.
    """
    grammar = _grammar()
    text = spelling.mend(said[:_LONGEST], grammar.words) + " "
    if found := _search(grammar.beyond_doubt, text):
        return Verdict(Refusal.SURELY, found.language, found.name)
    for pattern in grammar.harmless:
        text = pattern.regex.sub(_BLANK, text)
    if found := _search(grammar.surely, text):
        return Verdict(Refusal.SURELY, found.language, found.name)
    if found := _search(grammar.likely, text):
        return Verdict(Refusal.LIKELY, found.language, found.name)
    return Verdict()


def _search(patterns: list[_Pattern], text: str) -> _Pattern | None:
    return next((pattern for pattern in patterns if pattern.regex.search(text)), None)


@lru_cache(maxsize=1)
def _grammar() -> _Grammar:
    stages: dict[str, list[_Pattern]] = {
        name: [] for name in ("beyond_doubt", "harmless", "surely", "likely")
    }
    words: set[str] = set()
    for path in sorted(_FOLDER.glob("refusals_*.toml")):
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        compiler = _Compiler(tree["language"], tree["classes"])
        for stage in stages:
            for topic, sources in tree[stage].items():
                stages[stage] += [
                    compiler.pattern(f"{topic.replace('_', ' ')} {number}", source)
                    for number, source in enumerate(sources, 1)
                ]
        words |= compiler.words
    return _Grammar(**stages, words=frozenset(words))


class _Compiler:
    """Patterns of one language into regular expressions, each word with a space behind it.

    Gaps are bounded, so that no message takes more than linear time.
    """

    def __init__(self, language: str, classes: dict[str, list[str]]) -> None:
        self.words: set[str] = set()
        self._language = language
        self._entries = classes
        self._classes: dict[str, str] = {}

    def pattern(self, name: str, source: str) -> _Pattern:
        regex = re.compile(r"(?<!\S)" + self._row(source))
        return _Pattern(self._language, name, regex)

    def _row(self, source: str) -> str:
        return "".join(map(self._item, _AROUND_BAR.sub("|", source).split()))

    def _item(self, item: str) -> str:
        if item in "^$":
            return item
        if item.startswith(("..", ">>")):
            return rf"(?:\S+ ){{0,{int(item[2:])}}}" + ("?" if item[0] == "." else "")
        if item[0] == "-":
            return f"(?<!{re.escape(item[1:])} )"
        if item[0] in "!=":
            return f"(?{item[0]}{self._choice(item[1:])})"
        if item.endswith("?"):
            return f"(?:{self._choice(item[:-1])})?"
        return self._choice(item)

    def _choice(self, item: str) -> str:
        return f"(?:{'|'.join(map(self._word, item.split('|')))})"

    def _word(self, word: str) -> str:
        if word.startswith("<"):
            return self._class(word.strip("<>"))
        if word in ("^", "$"):
            return word
        parts = [normalise(part.replace("_", " ")) for part in word.split("*")]
        self.words |= set(" ".join(parts).split())
        return r"\S*".join(map(re.escape, parts)) + " "

    def _class(self, name: str) -> str:
        if name not in self._classes:
            self._classes[name] = f"(?:{'|'.join(map(self._row, self._entries[name]))})"
        return self._classes[name]
