"""One text as the rules see it: who sent it, what it was read as, and its proof."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefcenter import config, phone
from prefcenter.config import LANGUAGES
from prefcenter.consent import ledger, order, people
from prefcenter.consent.keywords import Reading, Refusal
from prefcenter.consent.ledger import Proof
from prefcenter.consent.replies import Reply
from prefcenter.models import EventKind, Person, Source
from prefcenter.sms.inbox import Incoming


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a text: `outcome` is a short word for the row in the inbox."""

    outcome: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Heard:
    """A text and what it says."""

    text: Incoming
    reading: Reading

    @property
    def label(self) -> str:
        """What it was taken for, in one word: a keyword, or how much of a refusal it is."""
        if self.reading.word:
            return self.reading.word.value
        if self.reading.refusal is not Refusal.NOT:
            return self.reading.refusal.value
        return "flagged" if self.reading.flagged else "other"

    @property
    def language(self) -> str:
        """The keyword's language where we write it, else our own."""
        found = self.reading.language
        return found if found in LANGUAGES else config.current().default_language

    def said(self, word: str, reply: Reply, **more: Any) -> dict[str, Any]:
        """What the event says beside its proof: the word, who answers, the provider's time and
        whether it could be believed when it came."""
        at = self.text.said_at
        return {
            "word": word,
            "said_at": at.astimezone(UTC).isoformat() if at else None,
            "sure": order.sure(at, heard_at=self.text.received_at),
            "reply": reply.by.value,
            **more,
        }

    def proof(self, person: Person, *, wording_sha256: str | None = None) -> Proof:
        """The text itself, its message id and times, and the site it names (RULE-11, RULE-30)."""
        text = self.text
        return Proof(
            source=Source.SMS,
            detail=(self.reading.site or self.reading.matched or self.label)[:200],
            language=person.language,
            wording_sha256=wording_sha256,
            answer={
                "text": text.text,
                "message_id": text.message_id,
                "said_at": text.said_at.isoformat() if text.said_at else "",
                "received_at": text.received_at.isoformat(),
                "to": text.ours,
            },
        )


def someone(person: Person | None, heard: Heard, *, now: datetime) -> Person:
    """The person who texted, enrolled if they never were: their word needs a ledger."""
    if person is not None:
        return person
    number = heard.text.number
    return people.enrol(number, phone.country_of(number) or "ZZ", heard.language, now=now)


def note(
    person: Person, heard: Heard, word: str, reply: Reply, *, now: datetime, **more: Any
) -> None:
    """Keep what was said in the ledger although it turns nothing on or off (REL-12)."""
    changes = heard.said(word, reply, **more)
    ledger.record(person, EventKind.NOTED, heard.proof(person), now=now, changes=changes)
