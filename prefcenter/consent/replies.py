"""Who answers a text, and whether at all: exactly one answer, in time, never without end.

The networks answer some words themselves (RULE-29); a STOP's reply is of use for five
minutes (RULE-22); nobody is answered so often that two robots could talk for ever (SEC-36).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.consent import limits
from prefcenter.consent.keywords import Word
from prefcenter.database import execute
from prefcenter.models import OutboxMessage, TextKind
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


# Whatever a person can make us send by texting.
AUTOMATIC = (
    *(TextKind.UNSUBSCRIBED, TextKind.WHICH, TextKind.RESUBSCRIBED, TextKind.HELP),
    *(TextKind.ALREADY_SUBSCRIBED, TextKind.CONFIRM_REQUEST, TextKind.WELCOME, TextKind.MENU),
    *(TextKind.PREFERENCES, TextKind.PAUSED, TextKind.RESUMED),
)
_RARE = (*AUTOMATIC[:3], TextKind.ALREADY_SUBSCRIBED)
_DONE_BY_CARRIER = (Word.STOP, Word.START)
_DONE_BY_NETWORK = (*_DONE_BY_CARRIER, Word.HELP)
_messages = OutboxMessage.__table__.c
_SENT_LATELY = sa.select(sa.func.count()).where(
    _messages.to_number == sa.bindparam("number"),
    _messages.created_at > sa.bindparam("since"),
    _messages.kind.in_(sa.bindparam("kinds", expanding=True)),
)


def network_answers(ours: str, word: Word | None) -> bool:
    """True when this sender's network has answered this word already."""
    settings = config.current()
    if ours in settings.network_senders:
        return word in _DONE_BY_NETWORK
    return ours in settings.toll_free_senders and word in _DONE_BY_CARRIER


def decide(text: Incoming, kind: TextKind, word: Word | None, *, now: datetime) -> Reply:
    """Who answers this text with a text of this kind."""
    settings = config.current()
    until = None
    if kind in (TextKind.UNSUBSCRIBED, TextKind.WHICH):
        said = min(text.said_at or text.received_at, text.received_at)
        until = said + timedelta(minutes=settings.stop_reply_minutes)
    return Reply(_by(text, kind, word, until, now), Answer(text.ours, until))


def nobody(text: Incoming) -> Reply:
    return Reply(Replier.NOBODY, Answer(text.ours))


def _by(
    text: Incoming, kind: TextKind, word: Word | None, until: datetime | None, now: datetime
) -> Replier:
    if network_answers(text.ours, word):
        return Replier.NETWORK
    if until is not None and until <= now:
        return Replier.TOO_LATE
    if not _textable(text.number):
        return Replier.NOT_TEXTABLE
    return Replier.APP if _may(text.number, kind, now) else Replier.CAPPED


def _textable(number: str) -> bool:
    """False for premium lines and countries where we send nothing: it would cost (SEC-29)."""
    try:
        phone.parse(number, countries=config.current().countries)
    except phone.NumberError:
        return False
    return True


def _may(number: str, kind: TextKind, now: datetime) -> bool:
    settings = config.current()
    if kind is TextKind.HELP:
        gap = timedelta(minutes=settings.help_gap_minutes)
        if _count(number, (kind,), now - gap):
            return False
    elif kind in _RARE and not limits.may_acknowledge(number, kind, now=now):
        return False
    return _count(number, AUTOMATIC, now - timedelta(days=1)) < settings.replies_per_day


def _count(number: str, kinds: tuple[TextKind, ...], since: datetime) -> int:
    values = {"number": number, "since": since, "kinds": list(kinds)}
    return int(execute(_SENT_LATELY, values).scalar_one())
