"""How many parts a text takes on the phone network, and which characters make it dear.

GSM 03.38: 160 septets in one part, 153 in each of several; a character outside the set
turns the whole text to UCS-2 with 70, or 67.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # an escape and a septet each
_REPLACEMENTS = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "`": "'", "\u00b4": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    "\u2026": "...", "\u2022": "-", "\u00b7": "-", "\u2122": "TM", "\u00ba": "o", "\u00aa": "a",
    "\t": " ", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i",
    "©": "(c)", "®": "(R)", "×": "x",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """`units` are septets in GSM-7 and 16-bit units in UCS-2."""

    encoding: str
    units: int
    parts: int
    offending: tuple[str, ...]  # what is outside GSM-7, each once, in order


def measure(text: str) -> Size:
    """How the text travels."""
    offending = tuple(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENDED))
    if offending:
        units = [2 if ord(char) > 0xFFFF else 1 for char in text]
        return Size("UCS-2", sum(units), _parts(units, 70, 67), offending)
    units = [_septets(char) for char in text]
    return Size("GSM-7", sum(units), _parts(units, 160, 153), ())


def to_gsm(text: str) -> str:
    """The text with look-alikes for what is outside GSM-7, where there are any.

    Quotes, dashes and accents are folded (`ú` to `u`); what has no look-alike, such as
    another alphabet, stays as it is and costs UCS-2.
    """
    return "".join(_fold(char) for char in unicodedata.normalize("NFC", text))


def _fold(char: str) -> str:
    if char in _BASIC or char in _EXTENDED:
        return char
    if char in _REPLACEMENTS:
        return _REPLACEMENTS[char]
    if unicodedata.category(char) == "Zs":
        return " "
    return _if_gsm(unicodedata.normalize("NFKD", char), _is_mark) or char


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) == "Mn"


def _if_gsm(text: str, drop: Callable[[str], bool]) -> str:
    """The text without what may be dropped, if all the rest is GSM-7; else nothing."""
    rest = [char for char in text if not drop(char)]
    return "".join(rest) if all(char in _BASIC for char in rest) else ""


def _septets(char: str) -> int:
    return 2 if char in _EXTENDED else 1


def _parts(units: Iterable[int], alone: int, joined: int) -> int:
    """Parts needed; an escape or a surrogate pair is never cut in two."""
    units = list(units)
    if sum(units) <= alone:
        return 1
    parts, room = 1, joined
    for unit in units:
        if unit > room:
            parts, room = parts + 1, joined
        room -= unit
    return parts
