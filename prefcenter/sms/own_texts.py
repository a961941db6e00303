"""Texts that people here write in place of the shipped templates, and what each must say.

They are kept to the rules of the files, and to what the shipped text of the same kind has: its
placeholders, HELP, and what a text may cost (RULES, "Texts we send"). So no edit can take away
what the law or the carriers want in it.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from prefcenter.models import TextKind
from prefcenter.sms import versions, wording
from prefcenter.sms.encoding import measure, to_gsm
from prefcenter.sms.wording import Fault

log = logging.getLogger(__name__)

LONGEST = 480  # three parts; what fills the placeholders comes on top
_EVERYWHERE = {"{brand}", "{support}", "{frequency}"}  # has a value in every text
_HELP = re.compile(r"\bHELP\b")
_RATES = {
    "en": re.compile(r"\brates\b.*\bapply\b", re.IGNORECASE),
    "es": re.compile(r"\b(?:cargos|tarifas|costos|costes)\b", re.IGNORECASE),
}
# Links are ours alone: on our own name, signed, never a shortener's (RULE-58).
ADDRESS = re.compile(r"https?:|www\.|\b[\w-]+\.(?:com|net|org|us|ly|me|co|io|link|info)\b", re.I)


@dataclass(frozen=True, slots=True)
class Dear:
    """A character outside GSM-7, which makes the whole text UCS-2."""

    char: str
    positions: tuple[int, ...]  # 1 is the first character of the text
    instead: str  # what looks alike and costs nothing more; empty where nothing does


def clean(typed: str) -> str:
    """What somebody typed, composed and on one line, without characters that nobody sees."""
    return wording.clean(typed)


def template(kind: TextKind, locale: str) -> str | None:
    """The words in force in place of the shipped ones, if there are any without a fault.

    Needs an app context.
    """
    found = versions.of(kind, wording.best(locale))
    if not found:
        return None
    body = found[0].body
    return body if _may_be_sent(kind, found[0].language, body) else None


def in_force(kind: TextKind, language: str) -> str:
    """The words in force, whoever wrote them."""
    return template(kind, language) or wording.shipped(kind, language)


def faults(kind: TextKind, language: str, text: str) -> Iterator[Fault]:
    """Why this text may not be used."""
    if not text:
        yield Fault("empty")
        return
    shipped = wording.shipped(kind, language)
    yield from wording.faults(text)
    yield from _slot_faults(shipped, text)
    if _HELP.search(shipped) and not _HELP.search(text):
        yield Fault("help")
    if _RATES[language].search(shipped) and not _RATES[language].search(text):
        yield Fault("rates")
    if address := ADDRESS.search(text):
        yield Fault("address", address[0])
    if len(text) > LONGEST:
        yield Fault("long", str(len(text)))


def _slot_faults(shipped: str, text: str) -> Iterator[Fault]:
    """A placeholder that the shipped text has is needed, one that it has not may be empty."""
    wanted, found = wording.slots(shipped), wording.slots(text)
    for slot in found:
        if slot in wording.PLACEHOLDERS and slot not in (*wanted, *_EVERYWHERE):
            yield Fault("not_here", slot)
    for slot in wanted:
        if slot not in found and slot != "{brand}":
            yield Fault("missing", slot)


def dear(text: str) -> list[Dear]:
    """The characters that make a text dear, and what could stand in their place."""
    found = []
    for char in measure(text).offending:
        positions = tuple(i for i, other in enumerate(text, 1) if other == char)
        instead = to_gsm(char)
        fits = instead != char and not measure(instead).offending
        found.append(Dear(char, positions, instead if fits else ""))
    return found


def cheaper(text: str, char: str) -> str:
    """The text with a dear character replaced everywhere; all that can be, for no character."""
    swaps = {one.char: one.instead for one in dear(text) if one.instead}
    if char:
        swaps = {char: swaps[char]} if char in swaps else {}
    return "".join(swaps.get(one, one) for one in text)


@lru_cache(maxsize=256)
def _may_be_sent(kind: TextKind, language: str, body: str) -> bool:
    """Asked once for each text: what was saved under an older rule is not sent."""
    found = [fault.code for fault in faults(kind, language, body)]
    if found:
        log.error("a text written here may not be sent", extra={"kind": kind, "faults": found})
    return not found
