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
from functools import cache, cached_property, lru_cache
from itertools import chain
from pathlib import Path

from prefcenter.consent import spelling
from prefcenter.consent.plain_text import normalise

_FOLDER = Path(__file__).parent / "words"
# A joined text has at most about 1,600 letters; each of the patterns looks through them all.
_LONGEST = 1600
_AROUND_BAR = re.compile(r"\s*\|\s*")  # a long choice may go on in the next line
_SIGNS = re.compile(r"<\w+>|(?:\.\.|>>)\d+|[\s|!=?*^$_-]")
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


@dataclass(frozen=True)
class _Pattern:
    """One row, made into a regular expression when a message first has the words it needs."""

    language: str
    name: str
    row: str
    rows: "_Rows"
    needs: tuple[frozenset[str], ...]  # of each of these, one word must stand in the message

    def may_fit(self, words: set[str]) -> bool:
        return not any(need.isdisjoint(words) for need in self.needs)

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(r"(?<!\S)" + self.rows.expression(self.row))


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
    words = set(text.split())
    if found := _search(grammar.beyond_doubt, text, words):
        return Verdict(Refusal.SURELY, found.language, found.name)
    for pattern in grammar.harmless:
        if pattern.may_fit(words):
            text = pattern.regex.sub(_BLANK, text)
    if found := _search(grammar.surely, text, words):
        return Verdict(Refusal.SURELY, found.language, found.name)
    if found := _search(grammar.likely, text, words):
        return Verdict(Refusal.LIKELY, found.language, found.name)
    return Verdict()


def _search(patterns: list[_Pattern], text: str, words: set[str]) -> _Pattern | None:
    return next((one for one in patterns if one.may_fit(words) and one.regex.search(text)), None)


@lru_cache(maxsize=1)
def _grammar() -> _Grammar:
    stages: dict[str, list[_Pattern]] = {
        name: [] for name in ("beyond_doubt", "harmless", "surely", "likely")
    }
    words: set[str] = set()
    for path in sorted(_FOLDER.glob("refusals_*.toml")):
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = _Rows(tree["classes"])
        for stage, patterns in stages.items():
            for topic, sources in tree[stage].items():
                patterns += [
                    _pattern(tree["language"], f"{topic.replace('_', ' ')} {number}", row, rows)
                    for number, row in enumerate(sources, 1)
                ]
                words.update(*map(_words, sources))
        words.update(*map(_words, chain(*tree["classes"].values())))
    return _Grammar(**stages, words=frozenset(words))


def _pattern(language: str, name: str, row: str, rows: "_Rows") -> _Pattern:
    return _Pattern(language, name, row, rows, tuple(filter(None, map(rows.need, _items(row)))))


def _items(row: str) -> list[str]:
    return _AROUND_BAR.sub("|", row).split()


def _words(row: str) -> set[str]:
    """Every word that a row names."""
    return set(_plain(_SIGNS.sub(" ", row)).split())


@cache
def _plain(word: str) -> str:
    return normalise(word.replace("_", " "))


class _Rows:
    """Rows of one language, read with its classes of words.

    In an expression each word has a space behind it. Gaps are bounded, so that no message
    takes more than linear time.
    """

    def __init__(self, classes: dict[str, list[str]]) -> None:
        self._entries = classes
        self._expressions: dict[str, str] = {}
        self._needs: dict[str, frozenset[str]] = {}

    def expression(self, row: str) -> str:
        return "".join(map(self._item, _items(row)))

    def need(self, item: str) -> frozenset[str]:
        """Words of which one must be there for this item to fit; none where that is open."""
        if item.endswith("?") or item.startswith(("..", ">>", "!", "-")):
            return frozenset()
        each = [self._word_needs(word) for word in item.lstrip("=").split("|")]
        return frozenset().union(*each) if all(each) else frozenset()

    def _word_needs(self, word: str) -> frozenset[str]:
        if word.startswith("<"):
            return self._class_needs(word.strip("<>"))
        return frozenset() if "*" in word else frozenset(_plain(word).split()[:1])

    def _class_needs(self, name: str) -> frozenset[str]:
        if name not in self._needs:
            each = [self._row_needs(row) for row in self._entries[name]]
            self._needs[name] = frozenset().union(*each) if all(each) else frozenset()
        return self._needs[name]

    def _row_needs(self, row: str) -> frozenset[str]:
        return min(filter(None, map(self.need, _items(row))), key=len, default=frozenset())

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
        return r"\S*".join(re.escape(_plain(part)) for part in word.split("*")) + " "

    def _class(self, name: str) -> str:
        if name not in self._expressions:
            entries = "|".join(map(self.expression, self._entries[name]))
            self._expressions[name] = f"(?:{entries})"
        return self._expressions[name]
