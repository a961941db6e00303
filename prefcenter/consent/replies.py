"""Who answers a text, and whether at all: exactly one answer, in time, never without end.

The networks answer some words themselves (RULE-29); a STOP's reply is of use for five
minutes (RULE-22); nobody is answered so often that two robots could talk for ever (SEC-36).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.consent import limits
from prefcenter.consent.keywords import Reading, Refusal, normalise
from prefcenter.database import execute
from prefcenter.models import OutboxMessage, OutboxStatus, Person, TextKind
from prefcenter.sms import outbox
from prefcenter.sms.inbox import Incoming
from prefcenter.sms.outbox import Answer


class Replier(StrEnum):
    """Who answers, or why nobody does; kept with the text and in its event."""

    APP = "app"
    NETWORK = "network"
    NOBODY = "nobody"  # there is nothing to say
    TOO_LATE = "too_late"
    CAPPED = "capped"
    NOT_TEXTABLE = "not_textable"  # not a number that we may text (SEC-29)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is decided before the event is written, because the event says it too."""

    by: Replier
    answer: Answer

    def __bool__(self) -> bool:
        return self.by is Replier.APP


class Asked(Protocol):
    """The part of a text that was read which decides who answers it."""

    @property
    def text(self) -> Incoming: ...

    @property
    def reading(self) -> Reading: ...


# Whatever a person can make us send by texting.
AUTOMATIC = (
    *(TextKind.UNSUBSCRIBED, TextKind.WHICH, TextKind.RESUBSCRIBED, TextKind.HELP),
    *(TextKind.ALREADY_SUBSCRIBED, TextKind.CONFIRM_REQUEST, TextKind.WELCOME, TextKind.MENU),
    *(TextKind.PREFERENCES, TextKind.PAUSED, TextKind.RESUMED),
)
_OF_A_STOP = (TextKind.UNSUBSCRIBED, TextKind.WHICH)
_RARE = (*_OF_A_STOP, TextKind.RESUBSCRIBED, TextKind.ALREADY_SUBSCRIBED)
# The words that networks know. A refusal in other words, or in another language, is ours.
_BY_CARRIERS = frozenset(
    ("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "START", "UNSTOP")
)
_BY_NETWORKS = _BY_CARRIERS | {"HELP", "INFO"}
_messages = OutboxMessage.__table__.c
_SENT_LATELY = sa.select(sa.func.count()).where(
    _messages.to_number == sa.bindparam("number"),
    _messages.created_at > sa.bindparam("since"),
    _messages.kind.in_(sa.bindparam("kinds", expanding=True)),
    _messages.status.not_in([OutboxStatus.CANCELLED, OutboxStatus.EXPIRED]),
)


def network_answers(heard: Asked) -> bool:
    """True when this sender's network has answered this text already (RULE-29).

    It looks at how a text begins: "please stop" is left to us.
    """
    text, settings = heard.text, config.current()
    words: frozenset[str] = frozenset()
    if text.ours in settings.network_senders:
        words = _BY_NETWORKS
    elif text.ours in settings.toll_free_senders:
        words = _BY_CARRIERS
    word = heard.reading.matched
    return word in words and normalise(text.text).startswith(word.lower())


def decide(heard: Asked, kind: TextKind, *, now: datetime) -> Reply:
    """Who answers this text with a text of this kind."""
    text, until = heard.text, None
    if kind in _OF_A_STOP or heard.reading.refusal is not Refusal.NOT:
        said = min(text.said_at or text.received_at, text.received_at)
        until = said + timedelta(minutes=config.current().stop_reply_minutes)
    return Reply(_by(heard, kind, until, now), Answer(text.ours, until))


def send(person: Person, kind: TextKind, reply: Reply, *, now: datetime) -> None:
    """Queue the answer, where we are the ones who give it. Never commits."""
    if reply:
        outbox.queue(person, kind, now=now, answer=reply.answer)


def certainly(heard: Asked) -> Reply:
    """We answer, whatever was texted before: the welcome follows every yes (RULE-9)."""
    return Reply(Replier.APP, Answer(heard.text.ours))


def nobody(heard: Asked) -> Reply:
    return Reply(Replier.NOBODY, Answer(heard.text.ours))


def _by(heard: Asked, kind: TextKind, until: datetime | None, now: datetime) -> Replier:
    text = heard.text
    if kind in _NEVER_BY_NETWORKS or not network_answers(heard):
        if until is not None and until <= now:
            return Replier.TOO_LATE
        if not textable(text.number):
            return Replier.NOT_TEXTABLE
        return Replier.APP if _may(text.number, kind, now) else Replier.CAPPED
    return Replier.NETWORK


# What no network says for us.
_NEVER_BY_NETWORKS = (TextKind.CONFIRM_REQUEST, TextKind.WELCOME)


def textable(number: str) -> bool:
    """False for premium lines and countries where we send nothing: it would cost (SEC-29)."""
    try:
        phone.parse(number, countries=config.current().countries)
    except phone.NumberError:
        return False
    return True


def _may(number: str, kind: TextKind, now: datetime) -> bool:
    """The reply to a STOP has its own cap: no other text may use it up (RULE-29)."""
    settings = config.current()
    if kind in _RARE and not limits.may_acknowledge(number, kind, now=now):
        return False
    if kind in _OF_A_STOP:
        return True
    if kind is TextKind.HELP:
        gap = timedelta(minutes=settings.help_gap_minutes)
        if _count(number, (kind,), now - gap):
            return False
    return _count(number, AUTOMATIC, now - timedelta(days=1)) < settings.replies_per_day


def _count(number: str, kinds: tuple[TextKind, ...], since: datetime) -> int:
    values = {"number": number, "since": since, "kinds": list(kinds)}
    return int(execute(_SENT_LATELY, values).scalar_one())
