"""The words of our texts: one template for each language and kind, in templates/sms/.

A template is plain text with fixed placeholders, `{brand}` `{link}` `{support}`
`{frequency}` `{categories}` `{until}` `{options}` `{commands}`; nothing in it is ever
evaluated (SEC-45). phrases.toml beside the templates says how a language puts a frequency or
a number of topics. What people here write in place of a template is kept to the same rules
(own_texts.py).
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from babel import Locale
from babel.dates import format_date

from prefcenter.assets_path import ASSETS
from prefcenter.config import LANGUAGES
from prefcenter.models import TextKind
from prefcenter.sms.encoding import measure, to_gsm

_FOLDER = ASSETS / "templates" / "sms"
PLACEHOLDERS = (
    *("{brand}", "{link}", "{support}", "{frequency}", "{categories}"),
    *("{until}", "{options}", "{commands}"),
)
COMMANDS = ("less", "weekly", "monthly", "pause", "resume")  # what MENU can list, in order
_PHRASES = (
    *("about.month", "at_most.week", "at_most.month", "topics", "everything"),
    *(f"command.{name}" for name in COMMANDS),
)
_SLOT = re.compile(r"\{([^{}]*)\}")
_STOP = re.compile(r"\bSTOP\b")
_LIMIT = re.compile(r"([1-9][0-9]{0,3})/(week|month)\Z")
# How the text is made shorter, step by step, until it fits one part.
_LADDER = (
    {"named": True, "short": False},
    {"named": False, "short": False},
    {"named": False, "short": True},
)

Forms = Mapping[str, str]  # plural category ("one", "other", ...) to phrase


class Fault(NamedTuple):
    """Why words may not be used: a code, and the part that it is about."""

    code: str
    part: str = ""


# What to say of a file; the page for texts has sentences of its own.
_CURES = {
    "unknown": f"%s uses %s; use only {', '.join(PLACEHOLDERS)}.",
    "brace": "%s has a brace that cannot be read as a placeholder; remove it.%s",
    "brand": "%s does not name the brand; write {brand} into it.%s",
    "stop": "%s does not say how to end the texts; write STOP into it.%s",
}


class WordingError(Exception):
    """A template, or a value for it, is missing or wrong. The message says which, and the cure."""


@dataclass(frozen=True, slots=True)
class _Language:
    """What one folder of templates/sms/ holds, checked."""

    texts: Mapping[TextKind, str]
    phrases: Mapping[str, Forms]
    plural: Callable[[int], str]

    def phrase(self, name: str, n: int = 0, *, short: bool = False) -> str:
        """The phrase in the form that this language uses for `n`, or its short form."""
        forms = self.phrases[name]
        form = "short" if short and "short" in forms else self.plural(n)
        return forms.get(form, forms["other"]).replace("{n}", str(n))


def render(
    kind: TextKind,
    *,
    locale: str,
    brand: str,
    link: str | None = None,
    support: str = "",
    frequency: str = "all",
    texts_per_month: int = 4,
    categories: Sequence[str] = (),
    until: date | None = None,
    options: Sequence[str] = (),
    commands: Collection[str] = COMMANDS,
    template: str | None = None,
) -> str:
    """The text as it will be sent; English where we have no words in the language.

    `frequency` is "all", "N/week" or "N/month"; `until` is the person's own day; `options`
    are names that the text numbers from 1; `commands` is what MENU lists. Where the text would not fit one part, the
    number of categories stands for their names and the frequency is put briefly. Names are
    folded to GSM-7. `template` takes the place of the shipped words; it must have no fault.
    Raises WordingError for a text that needs a link and gets none.
    """
    language = _language(_FOLDER, best(locale))
    template = template or language.texts[kind]
    if "{link}" in template and not link:
        raise WordingError(f"The text {kind} needs a link; pass one.")
    text = ""
    for step in _LADDER:
        values = {
            "brand": _plain(brand),
            "link": clean(link or ""),
            "support": _plain(support),
            "frequency": _how_often(language, frequency, texts_per_month, short=step["short"]),
            "categories": _what(language, categories, named=step["named"]),
            "until": format_date(until, "d MMM", locale=best(locale)) if until else "",
            "options": ", ".join(f"{i} {_plain(name)}" for i, name in enumerate(options, 1)),
            "commands": _commands(language, commands, short=step["short"]),
        }
        text = _fill(template, values)
        if measure(text).parts == 1:
            break
    return text


def check_templates(folder: Path = _FOLDER) -> None:
    """Read every template. Raises WordingError naming the file that is wrong, and the cure."""
    for code in LANGUAGES:
        _language(folder, code)


def checked(path: Path) -> str:
    """A template on one line. Every text names the brand and STOP (RULE-7, RULE-47).

    Raises WordingError naming the file and the cure.
    """
    text = " ".join(_read(path).split())
    for fault in faults(text):
        raise WordingError(_CURES[fault.code] % (path, fault.part))
    return text


def faults(text: str) -> Iterator[Fault]:
    """What every text of ours is kept to, whoever wrote it."""
    for slot in slots(text):
        if slot not in PLACEHOLDERS:
            yield Fault("unknown", slot)
    if set("{}") & set(_SLOT.sub("", text)):
        yield Fault("brace")
    if "{brand}" not in text:
        yield Fault("brand")
    if not _STOP.search(text):
        yield Fault("stop")


def slots(text: str) -> list[str]:
    """The placeholders in a text, each once, in order."""
    return list(dict.fromkeys(found[0] for found in _SLOT.finditer(text)))


def shipped(kind: TextKind, language: str) -> str:
    """The template that we ship, in a language of ours."""
    return _language(_FOLDER, language).texts[kind]


def best(locale: str) -> str:
    """Our language for a locale: `es` for `es-MX`, English for one that we do not have."""
    language = re.split(r"[-_]", locale.lower(), maxsplit=1)[0]
    return language if language in LANGUAGES else "en"


@cache
def _language(folder: Path, code: str) -> _Language:
    return _Language(
        texts={kind: checked(folder / code / f"{kind}.txt") for kind in TextKind},
        phrases=_read_phrases(folder / code / "phrases.toml"),
        plural=Locale.parse(code).plural_form,
    )


def _read_phrases(path: Path) -> Mapping[str, Forms]:
    try:
        tree = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise WordingError(f"{path} is not valid TOML ({error}); correct it.") from error
    phrases: dict[str, Forms] = {}
    for name in _PHRASES:
        forms: object = tree
        for key in name.split("."):
            forms = forms.get(key) if isinstance(forms, dict) else None
        if not isinstance(forms, dict) or "other" not in forms:
            raise WordingError(f"{path} has no phrase [{name}] with the form other; add it.")
        phrases[name] = {str(form): str(words) for form, words in forms.items()}
    return phrases


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise WordingError(f"{path} cannot be read ({why}); every text needs one.") from error


def _fill(template: str, values: Mapping[str, str]) -> str:
    """One pass, so that a placeholder inside a value stays as it is (SEC-25)."""
    return _SLOT.sub(lambda slot: values[slot[1]], template)


def _how_often(language: _Language, frequency: str, texts_per_month: int, *, short: bool) -> str:
    if frequency == "all":
        return language.phrase("about.month", texts_per_month, short=short)
    limit = _LIMIT.match(frequency)
    if limit is None:
        raise WordingError(f"{frequency!r} is not a frequency; use all, N/week or N/month.")
    return language.phrase(f"at_most.{limit[2]}", int(limit[1]), short=short)


def _commands(language: _Language, on: Collection[str], *, short: bool) -> str:
    named = [name for name in COMMANDS if name in on]
    return ", ".join(language.phrase(f"command.{name}", short=short) for name in named)


def _what(language: _Language, categories: Sequence[str], *, named: bool) -> str:
    if not categories:
        return language.phrase("everything")
    if named:
        return ", ".join(_plain(name) for name in categories)
    return language.phrase("topics", len(categories))


@lru_cache(maxsize=256)
def _plain(value: str) -> str:
    """A name in GSM-7 as far as it has letters there; emoji and the like are left out."""
    folded = to_gsm(clean(value))
    kept = "".join(c for c in folded if c.isalnum() or measure(c).encoding == "GSM-7")
    return " ".join(kept.split()) or folded


@lru_cache(maxsize=256)
def clean(value: str) -> str:
    """Composed, without control, format and private characters, on one line."""
    composed = unicodedata.normalize("NFC", value)
    kept = (c for c in composed if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join("".join(kept).split())
