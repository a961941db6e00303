"""Misspelt words as they were meant, before a refusal is looked for (RULE-19).

Thumbs swap letters, people spell words out, stretch them, glue them together or write
digits for letters. Pure; the tables are in words/spelling.toml.
"""

import re
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FILE = Path(__file__).parent / "words" / "spelling.toml"
_LOOKS_LIKE = {"o": "[o0]", "s": "[s5]", "t": "[t7]", "e": "[e3]", "i": "[i1]", "a": "[a4]"}
_DIGITS_FOR_LETTERS = str.maketrans("0134578", "oieastb")
_STRETCHED = re.compile(r"(\w)\1{2,}")
_DOUBLED = re.compile(r"(\w)\1+")
_S_ON_KEYBOARDS = "sadz"  # the key and its neighbours
_STARTS_MENDING_AT, _TWO_SLIPS_FROM = 5, 9


@dataclass(frozen=True, slots=True)
class _Tables:
    """spelling.toml, turned round: from what is written to what is meant."""

    spelled_out: re.Pattern[str]
    words: dict[str, str]
    phrases: re.Pattern[str]
    meant: dict[str, str]
    real: frozenset[str]
    near: dict[str, list[str]]


def mend(said: str, known: Collection[str]) -> str:
    """Normalised text with its words as meant; `known` are words that are right as they are."""
    tables = _tables()
    said = tables.spelled_out.sub(lambda found: found[0].replace(" ", ""), said)
    said = " ".join(_word(word, tables, known) for word in said.split())
    return tables.phrases.sub(lambda found: tables.meant[found[0]], said)


def _word(word: str, tables: _Tables, known: Collection[str]) -> str:
    for candidate in _dressed_down(word):
        if candidate in tables.words:
            return tables.words[candidate]
        if candidate in known or candidate in tables.real:
            return candidate
        if apart := _apart(candidate, known):
            return apart
    return _nearest(word, tables)


def _dressed_down(word: str) -> Iterator[str]:
    """The word, then without stretching ("stoooop"), then with letters for digits ("st0p")."""
    yield word
    if _STRETCHED.search(word):
        yield _STRETCHED.sub(r"\1", word)
        yield _STRETCHED.sub(r"\1\1", word)
    if len(once := _DOUBLED.sub(r"\1", word)) <= len(word) - 2:
        yield once
    if not word.isalpha() and not word.isdigit():
        yield word.translate(_DIGITS_FOR_LETTERS)


def _apart(word: str, known: Collection[str]) -> str:
    """Two words without a space, like "stopit" and "plsstop", or "". "STOP2END" is one stop."""
    rest = word[4:]
    if word.startswith("stop") and len(rest) > 1 and rest in known:
        return f"stop {rest}"
    if word.startswith("stop") and (rest[:1].isdigit() or rest.startswith("all")):
        return "stop"
    if word.endswith("stop") and word[:-4] in ("please", "pls", "plz", "just"):
        return "please stop"
    return ""


def _nearest(word: str, tables: _Tables) -> str:
    """The word of `mended` that this is a slip of, or the word itself."""
    if len(word) < _STARTS_MENDING_AT or len(word) > 20:
        return "stop" if word[0] in _S_ON_KEYBOARDS and _distance(word, "stop") == 1 else word
    for left in _shorter(word):
        for meant in tables.near.get(left, ()):
            slips = 2 if len(meant) >= _TWO_SLIPS_FROM else 1
            if word[0] == meant[0] and _distance(word, meant) <= slips:
                return meant
    return word


def _shorter(word: str) -> Iterator[str]:
    """The word, and each word that one or two missing letters leave of it."""
    yield word
    ones = [word[:i] + word[i + 1 :] for i in range(len(word))]
    yield from ones
    if len(word) >= _TWO_SLIPS_FROM - 2:
        yield from {one[:i] + one[i + 1 :] for one in ones for i in range(len(one))}


def _distance(a: str, b: str) -> int:
    """Damerau and Levenshtein's: letters added, lost, changed or swapped with a neighbour."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, older[j - 2] + 1)
            row.append(best)
    return row[-1]


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    tree = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    meant = {
        written.replace("_", " "): right.replace("_", " ")
        for right, writtens in tree["misspelt"].items()
        for written in writtens
    }
    near: dict[str, list[str]] = {}
    for word in tree["mended"]:
        for left in _shorter(word):
            near.setdefault(left, []).append(word)
    return _Tables(
        spelled_out=_spelled_out(tree["spelled_out"]),
        words={written: right for written, right in meant.items() if " " not in written},
        phrases=_any_of(written for written in meant if " " in written),
        meant=meant,
        real=frozenset(tree["real_words"]) | set(tree["mended"]),
        near=near,
    )


def _spelled_out(words: list[str]) -> re.Pattern[str]:
    """Each word with spaces between its letters, or digits that look like them."""
    letters = [" ".join(_LOOKS_LIKE.get(letter, letter) for letter in word) for word in words]
    return re.compile(rf"(?<!\S)(?:{'|'.join(letters)})(?!\S)")


def _any_of(phrases: Iterator[str]) -> re.Pattern[str]:
    longest_first = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<!\S)(?:{'|'.join(map(re.escape, longest_first))})(?!\S)")
