"""What the people who work here do for somebody: always less, never more (SEC-44, RULE-20).

Whoever asks by phone, letter, e-mail or in person to get no more texts is stopped at once, and
who took it, when and in which words is kept as proof; other programs pass such wishes on by the
same rule (passed_on.py). Nothing here turns texts on: a text with
a link is sent only to those who are subscribed. None of it commits; the caller holds the
person's lock.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from prefcenter import config
from prefcenter.consent import breaker, ledger, limits, people, preferences, replies
from prefcenter.consent.ledger import Proof
from prefcenter.consent.preferences import Result
from prefcenter.models import (
    Deliverability,
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms import outbox
from prefcenter.sms.outbox import Answer

_SKEW = timedelta(minutes=5)  # between the clock of whoever typed the time and ours


class Channel(StrEnum):
    """How somebody asked to get no more texts, other than by text or on a page (RULE-20)."""

    PHONE = "phone"
    LETTER = "letter"
    EMAIL = "email"
    IN_PERSON = "in_person"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Wish:
    """A revocation as it reached somebody who works here, or a program: `by` is the name of
    either. Raises ValueError with a word that says what is wrong: `future` or `note`."""

    channel: Channel
    received_at: datetime
    note: str
    by: str
    source: Source = Source.ADMIN

    def check(self, *, now: datetime) -> None:
        if self.received_at > now + _SKEW:
            raise ValueError("future")
        if not self.note.strip():
            raise ValueError("note")

    def said(self, word: str, **more: object) -> dict[str, object]:
        """The part of it that its event says."""
        received = self.received_at.astimezone(UTC).isoformat()
        return {"word": word, "channel": self.channel.value, "received_at": received, **more}

    def proof(self, language: str) -> Proof:
        received = self.received_at.astimezone(UTC).isoformat()
        return Proof(
            source=self.source,
            detail=self.by,
            language=language,
            answer={
                "channel": self.channel.value,
                "received_at": received,
                "note": self.note.strip(),
                "recorded_by": self.by,
            },
        )


def revoke(person: Person, wish: Wish, *, now: datetime) -> None:
    """Stop all texts, at once and each time it is asked (RULE-21, RULE-31).

    One text says so only within the minutes that RULE-22 gives from when it was received.
    """
    wish.check(now=now)
    subscribed = person.status is Status.SUBSCRIBED
    said = wish.said("stop", scope="all")
    proof, reason = wish.proof(person.language), SuppressionReason.ADMIN
    preferences.revoke(person, proof, reason=reason, now=now, said=said)
    if subscribed:
        acknowledge(person, wish.received_at, now=now)


def acknowledge(
    person: Person,
    asked_at: datetime,
    *,
    now: datetime,
    kind: TextKind = TextKind.UNSUBSCRIBED,
) -> None:
    """Say once by text what was done, while that is still in time (RULE-22)."""
    number = person.number
    until = asked_at + timedelta(minutes=config.current().stop_reply_minutes)
    if number is None or until <= now or not replies.textable(number):
        return
    if limits.may_acknowledge(number, kind, now=now):
        answer = Answer(config.current().senders[0], until)
        outbox.queue(person, kind, now=now, answer=answer)


class Sent(StrEnum):
    """What came of sending a link; only DONE has queued a text."""

    DONE = "done"
    OFF = "off"  # not subscribed: whoever stopped or never said yes gets no link (RULE-43)
    LAPSED = "lapsed"  # the number may have a new owner, who must say yes anew (SEC-20)
    LIMITED = "limited"  # as many texts as this number, or all of its kind, may get (SEC-28)


def link_state(person: Person) -> Sent:
    """Whether this person may be sent a link at all; DONE where they may."""
    if person.number is None or person.status is not Status.SUBSCRIBED:
        return Sent.OFF
    return Sent.LAPSED if people.is_lapsed(person) else Sent.DONE


def send_link(person: Person, *, now: datetime) -> Sent:
    """Text the link to their preferences, within the limits that hold for everybody."""
    state, site = link_state(person), config.current().site
    if state is not Sent.DONE or person.number is None:
        return state
    number, country = person.number, person.country
    if not breaker.lets_pass(number, country, site, now=now):
        return Sent.LIMITED
    if not limits.may_be_texted(number, country, site, now=now):
        return Sent.LIMITED
    outbox.queue(person, TextKind.NEW_LINK, now=now)
    return Sent.DONE


def corrections(person: Person) -> tuple[Deliverability, ...]:
    """What a person's deliverability may be corrected to, other than what it is.

    Nothing while it is "out of service": somebody else may hold the number now, so only a yes
    from the phone itself leads back from there (SEC-20). A new owner is new_owner's to note.
    """
    if person.number is None or person.deliverability is Deliverability.DEACTIVATED:
        return ()
    possible = (Deliverability.OK, Deliverability.INVALID, Deliverability.DEACTIVATED)
    return tuple(one for one in possible if one is not person.deliverability)


def correct(person: Person, to: Deliverability) -> bool:
    """Say whether texts arrive; never touches the consent (RULE-51). False where it may not."""
    if to not in corrections(person):
        return False
    person.deliverability = to
    ledger.save(person)
    return True


def new_owner(person: Person, by: str, reason: str, *, now: datetime) -> Result:
    """Somebody told us that the number belongs to another person now (RULE-51)."""
    proof = Proof(
        source=Source.ADMIN,
        detail=by,
        language=person.language,
        answer={"note": reason, "recorded_by": by},
    )
    return preferences.reassign(person, proof, now=now)
