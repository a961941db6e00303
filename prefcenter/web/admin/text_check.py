"""Words looked at before they are saved: what is wrong, how they travel, how they will look.

The same for both sorts of words: texts that are sent, and what people agree to on a page.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from prefcenter.config import LANGUAGES
from prefcenter.consent import wordings
from prefcenter.consent_texts import PLACEHOLDERS, Kind
from prefcenter.models import TextKind
from prefcenter.sms import compose, own_texts, versions, wording
from prefcenter.sms.encoding import Size, measure
from prefcenter.sms.own_texts import Dear
from prefcenter.sms.versions import Version
from prefcenter.web.admin import text_names

_ROOM = {"GSM-7": (160, 153), "UCS-2": (70, 67)}  # alone, and in each of several
Changes = list[tuple[str, str]]  # "same", "gone" or "new", and the words
_CONSENT: dict[str, Kind] = {wordings.stored_as(kind): kind for kind in wordings.KINDS}


@dataclass(frozen=True, slots=True)
class Place:
    """Where words are used: a text that we send, or a consent text, in one language."""

    kind: str
    language: str

    @property
    def consent(self) -> Kind | None:
        return _CONSENT.get(self.kind)

    @property
    def name(self) -> str:
        names = text_names.CONSENT if self.consent else text_names.TEXTS
        return str(names[self.kind][0])

    @property
    def when(self) -> str:
        names = text_names.CONSENT if self.consent else text_names.TEXTS
        return str(names[self.kind][1])

    @property
    def longest(self) -> int:
        return wordings.LONGEST if self.consent else own_texts.LONGEST

    @property
    def shipped(self) -> str:
        if self.consent:
            return wordings.shipped(self.consent, self.language)
        return wording.shipped(TextKind(self.kind), self.language)

    @property
    def in_force(self) -> str:
        if self.consent:
            return wordings.in_force(self.consent, self.language)
        return own_texts.in_force(TextKind(self.kind), self.language)

    @property
    def newest(self) -> Version | None:
        """The last version, as this process knows it."""
        found = versions.of(self.kind, self.language)
        return found[0] if found else None

    @property
    def placeholders(self) -> list[str]:
        """What may be written here."""
        if self.consent:
            return list(PLACEHOLDERS)
        return list(dict.fromkeys([*wording.slots(self.shipped), "{support}", "{frequency}"]))


@dataclass(frozen=True, slots=True)
class Checked:
    """Words and all that is to be said of them."""

    body: str
    faults: list[str]
    sample: str
    needs: list[tuple[str, bool]]  # what consent must say, and whether it does
    size: Size | None = None  # of the sample; none for words that are not texted
    room: int = 0  # units that this many parts have
    dear: Sequence[Dear] = ()  # typed here
    brought: Sequence[str] = ()  # characters that a value brings, such as the brand


def find(kind: str, language: str) -> Place | None:
    """Raises nothing: None for what we have no words for."""
    known = kind in text_names.TEXTS or kind in text_names.CONSENT
    return Place(kind, language) if known and language in LANGUAGES else None


def every() -> tuple[list[list[Place]], list[list[Place]]]:
    """All texts and all consent texts, each in every language."""
    texts, consent = (
        [[Place(kind, language) for language in LANGUAGES] for kind in names]
        for names in (text_names.TEXTS, text_names.CONSENT)
    )
    return texts, consent


def check(place: Place, typed: str, *, now: datetime) -> Checked:
    """Look at what somebody typed. Reads only."""
    body = own_texts.clean(typed)
    return _consent(place, body) if place.consent else _text(place, body, now)


def _text(place: Place, body: str, now: datetime) -> Checked:
    kind = TextKind(place.kind)
    found = list(own_texts.faults(kind, place.language, body))
    # A template that cannot be filled is shown and measured as it stands.
    sample = compose.example(kind, place.language, body, now=now) if _fills(found) else body
    size = measure(sample)
    alone, joined = _ROOM[size.encoding]
    return Checked(
        body=body,
        faults=[text_names.of_text(fault) for fault in found],
        sample=sample,
        needs=[],
        size=size,
        room=alone if size.parts == 1 else size.parts * joined,
        dear=own_texts.dear(body),
        brought=[char for char in size.offending if char not in body],
    )


def _fills(found: list[wording.Fault]) -> bool:
    return not {fault.code for fault in found} & {"empty", "unknown", "brace"}


def _consent(place: Place, body: str) -> Checked:
    found = list(wordings.faults(place.language, body))
    return Checked(
        body=body,
        faults=[text_names.of_consent(fault, place.longest) for fault in found],
        sample=wordings.example(place.language, body),
        needs=[
            (str(words), wordings.says(name, place.language, body))
            for name, words in text_names.ELEMENTS.items()
        ],
    )


def difference(before: str, after: str) -> Changes:
    """Words that stayed, went and came, in reading order."""
    old, new = (re.findall(r"\s+|\S+", text) for text in (before, after))
    found: Changes = []
    for _code, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        gone, came = "".join(old[i1:i2]), "".join(new[j1:j2])
        found += [("same", came)] if gone == came else [("gone", gone), ("new", came)]
    return [(what, words) for what, words in found if words]
