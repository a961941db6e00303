"""The words that people agree to: those that we ship, or what people here wrote in their place.

Whoever writes them, they say what RULE-1 to RULE-3 ask for. What was shown is what is recorded:
a page that was open while new words were saved counts for GRACE longer, with its own words.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import get_args

from flask_babel import force_locale

from prefcenter import config, consent_texts
from prefcenter.config import LANGUAGES
from prefcenter.consent.ledger import wording_sha256
from prefcenter.consent_texts import PLACEHOLDERS, Kind
from prefcenter.sms import own_texts, versions
from prefcenter.sms.wording import Fault

KINDS: tuple[Kind, ...] = get_args(Kind)
GRACE = timedelta(minutes=60)  # as long as a form may be open (form_token.OLDEST)
LONGEST = 1000
_VERSION = re.compile(r"[0-9a-f]{16}\Z")
_NO_ABOUT: Mapping[str, str] = MappingProxyType({})


def _has(pattern: str) -> Callable[[str], bool]:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda text: found.search(text) is not None


def _denies(condition: str, denial: str) -> Callable[[str], bool]:
    """True where one sentence names the condition and denies it."""
    named, denied = _has(condition), _has(denial)
    return lambda text: any(named(one) and denied(one) for one in _sentences(text))


def _affirms(act: str, denial: str) -> Callable[[str], bool]:
    """True where one sentence names the act and no denial stands before it."""
    named, denied = re.compile(act, re.IGNORECASE), _has(denial)

    def found(text: str) -> bool:
        acts = [(one, named.search(one)) for one in _sentences(text)]
        return any(at is not None and not denied(one[: at.start()]) for one, at in acts)

    return found


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?;])\s", text)


_NOT = {"en": r"\b(?:not|no|never|without)\b|n[’']t\b", "es": r"\b(?:no|nunca|sin)\b"}


# What must be said, by rule and language. STOP and HELP stay as they are in every language.
_EVERY: dict[str, Callable[[str], bool]] = {
    "brand": lambda text: "{brand}" in text,
    "stop": lambda text: re.search(r"\bSTOP\b", text) is not None,
    "help": lambda text: re.search(r"\bHELP\b", text) is not None,
    "terms": lambda text: "{terms}" in text,
    "privacy": lambda text: "{privacy}" in text,
}
_SAID: dict[str, dict[str, Callable[[str], bool]]] = {
    "en": {
        "agree": _affirms(r"\b(?:agree|consent|accept)\b", _NOT["en"]),
        "recurring": _has(r"\brecurring\b"),
        "automated": _has(r"\bautomat(?:ed|ic)\b"),
        "marketing": _has(r"\b(?:marketing|promotional|advertising)\b"),
        "texts": _has(r"\b(?:texts?|text messages?|SMS)\b"),
        "number": _has(r"\b(?:number|phone)\b"),
        "purchase": _denies(r"\b(?:buy|buying|purchases?)\b", _NOT["en"]),
        "frequency": _has(r"\{frequency\}|\bfrequency varies\b"),
        "rates": _has(r"\brates\b[^.]*\bapply\b"),
    },
    "es": {
        "agree": _affirms(r"\b(?:acept|consient|autoriz)[oae]\b", _NOT["es"]),
        "recurring": _has(r"\b(?:periódic|recurrente)"),
        "automated": _has(r"\bautom(?:átic|atizad)"),
        "marketing": _has(r"\b(?:publicitari|promocional|comercial|marketing)"),
        "texts": _has(r"\b(?:mensajes?|SMS)\b"),
        "number": _has(r"\b(?:número|teléfono)\b"),
        "purchase": _denies(r"\bcompra(?:r|s)?\b", _NOT["es"]),
        "frequency": _has(r"\{frequency\}|\bfrecuencia (?:varía|variable)\b"),
        "rates": _has(r"\b(?:tarifas|cargos|costos|costes)\b"),
    },
}  # fmt: skip
# In the order of RULE-1 to RULE-3, as the page lists them.
ELEMENTS = (
    *("agree", "brand", "recurring", "automated", "marketing", "texts", "number", "purchase"),
    *("frequency", "rates", "stop", "help", "terms", "privacy"),
)


def stored_as(kind: Kind) -> str:
    """The kind of these words among the versions."""
    return f"consent_{kind}"


def text(kind: Kind, language: str, *, about: str = "") -> str:
    """The words in force, in full. `about` is a site's own part. Needs an app context."""
    return _filled(kind, language, in_force(kind, language), about)


def seen(
    kind: Kind, version: str, *, about: Mapping[str, str] = _NO_ABOUT, now: datetime
) -> tuple[str, str] | None:
    """The language and text that a form's version names, or None for what may not count now.

    Another process may have shown words that this one has not heard of yet.
    """
    if not _VERSION.match(version):
        return None
    found = _seen(kind, version, about, now)
    if found is None:
        versions.look_again()
        found = _seen(kind, version, about, now)
    return found


def version_of(shown: str) -> str:
    """Names a shown text in a form: the first 16 digits of its SHA-256."""
    return wording_sha256(shown)[:16]


def in_force(kind: Kind, language: str) -> str:
    """The words in force, whoever wrote them, with their placeholders."""
    found = versions.of(stored_as(kind), language)
    return _usable(found[0].body, kind, language) if found else shipped(kind, language)


@lru_cache(maxsize=32)
def shipped(kind: Kind, language: str) -> str:
    """The words that we ship, with their placeholders."""
    with force_locale(language):
        return consent_texts.template(kind)


def example(language: str, words: str) -> str:
    """A template with our brand and how often we text, as a page would show it."""
    return _filled(KINDS[0], language, words, "")


def faults(language: str, words: str) -> Iterator[Fault]:
    """Why these words may not be used."""
    if not words:
        yield Fault("empty")
        return
    yield from (Fault(name) for name in ELEMENTS if not says(name, language, words))
    plain = words
    for slot in PLACEHOLDERS:
        plain = plain.replace(slot, "")
    if odd := re.search(r"\{[^{}]*\}", plain):
        yield Fault("unknown", odd[0])
    elif set("{}") & set(plain):
        yield Fault("brace")
    if set("<>") & set(plain):
        yield Fault("markup")
    if address := own_texts.ADDRESS.search(plain):
        yield Fault("address", address[0])
    if len(words) > LONGEST:
        yield Fault("long", str(len(words)))


def says(element: str, language: str, words: str) -> bool:
    """True where the words have this of ELEMENTS."""
    return (_EVERY.get(element) or _SAID[language][element])(words)


def _seen(
    kind: Kind, version: str, about: Mapping[str, str], now: datetime
) -> tuple[str, str] | None:
    for language in LANGUAGES:
        for words in _counting(kind, language, now):
            shown = _filled(kind, language, words, about.get(language, ""))
            if version_of(shown) == version:
                return language, shown
    return None


def _counting(kind: Kind, language: str, now: datetime) -> Iterator[str]:
    """The words in force, and those that were until a short while ago."""
    found = versions.of(stored_as(kind), language)
    yield in_force(kind, language)
    for newer, older in pairwise(found):
        if now - newer.created_at < GRACE:
            yield _usable(older.body, kind, language)
    if found and now - found[-1].created_at < GRACE:
        yield shipped(kind, language)


@lru_cache(maxsize=256)
def _usable(words: str, kind: Kind, language: str) -> str:
    """These words, or the shipped ones where a rule is stricter by now than when they were saved."""
    return shipped(kind, language) if any(faults(language, words)) else words


def _filled(kind: Kind, language: str, words: str, about: str) -> str:
    settings = config.current()
    about = about if kind == "signup" else ""
    return _fill(language, words, settings.brand, settings.texts_per_month, about)


@lru_cache(maxsize=512)
def _fill(language: str, words: str, brand: str, texts_per_month: int, about: str) -> str:
    """Put together once for each language: every page and every proof asks for it."""
    with force_locale(language):
        return consent_texts.fill(words, brand, texts_per_month, about)
