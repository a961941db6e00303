"""One text that came in to the right rule, and exactly one answer.

handle() works a row of the inbox once, in one transaction with its effect: whoever calls it
twice, or from a hundred processes, changes nothing more (REL-11).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from prefcenter import config
from prefcenter.consent import (
    commands,
    keywords,
    ledger,
    order,
    people,
    preferences,
    replies,
    reviews,
    sites,
    starting,
    stopping,
)
from prefcenter.consent.heard import Heard, Result
from prefcenter.consent.keywords import Reading, Refusal, Word
from prefcenter.database import hold
from prefcenter.models import Deliverability, Person, ReviewReason, Status, TextKind
from prefcenter.sms import inbox, outbox

Rule = Callable[..., Result]
JOIN = "JOIN"  # the word that posters name in every language
# A deactivated number may have a new owner, who must confirm anew (SEC-20, RULE-51).
_OPENING = (Word.START, Word.JOIN)
_PASSING = (Deliverability.SOFT_FAILED, Deliverability.INVALID)
RULES: dict[Word, Rule] = {
    Word.STOP: stopping.stop,
    Word.START: starting.start,
    Word.JOIN: starting.join,
    Word.YES: starting.yes,
    Word.NO: starting.no,
    **dict.fromkeys(commands.WORDS, commands.obey),
}


def handle(row_id: int, *, now: datetime) -> bool:
    """Do what a stored text asks for. Never commits; False if it is done or being done."""
    text = inbox.take(row_id)
    if text is None:
        return False
    hold(text.number)
    heard = Heard(text, read(text.text))
    person = people.by_number(text.number)
    if person is not None and people.is_lapsed(person) and heard.reading.word in _OPENING:
        preferences.reassign(person, heard.proof(person), now=now)
        person = None  # enrolled anew below, and asked to confirm
    if person is not None and person.deliverability in _PASSING:
        person.deliverability = Deliverability.OK  # whoever texts has a phone that works
        ledger.save(person)
    result = _rule(heard)(person, heard, now=now)
    if person is not None and result.outcome in ("stopped", "programme_stopped"):
        _join_after(person, heard, now)
    _review(heard, person, result, now)
    inbox.done(text.id, reading=heard.label, outcome=result.outcome, reply=result.reply.by, now=now)
    return True


def read(text: str) -> Reading:
    """What a text says, with the owner's own words and sites."""
    reading = _read(text)
    behind = keywords.behind_join(text) if reading.is_neutral else None
    named = sites.named(behind[0]) if behind else None
    if behind is None or named is None:
        return reading
    return Reading(
        Word.JOIN,
        language=behind[1] or named.language,
        matched=keywords.normalise(text).upper(),
        site=named.slug if named.is_open else "",
        asks=named.categories,
    )


def word_of(slug: str) -> str:
    """What a site's visitors are told to text: JOIN and its key, so that their request names the
    site; or JOIN alone, where the key holds a word that means something already."""
    settings = config.current()
    word = f"{JOIN} {slug.upper()}"
    own = (tuple(settings.keywords), settings.stop_words, settings.help_words)
    return word if _is_free(word, *own) else JOIN


@lru_cache(maxsize=256)
def _is_free(
    word: str, own: tuple[str, ...], stop_words: tuple[str, ...], help_words: tuple[str, ...]
) -> bool:
    """Kept, because to read a text costs more than the rest of a page that names the word."""
    reading = keywords.read(word, own=own, more_stop=stop_words, more_help=help_words)
    return reading.is_neutral


def _read(text: str) -> Reading:
    settings = config.current()
    return keywords.read(
        text,
        own=settings.keywords,
        more_stop=settings.stop_words,
        more_help=settings.help_words,
    )


def _rule(heard: Heard) -> Rule:
    if heard.reading.refusal is not Refusal.NOT:
        return stopping.stop
    if heard.reading.word is Word.HELP:
        return _help
    return RULES.get(heard.reading.word, _keep) if heard.reading.word else _keep


def _join_after(person: Person, stop: Heard, now: datetime) -> None:
    """A JOIN that was said after this STOP and came before it is worked now, once (REL-12).

    It had nothing to confirm then. What it is answered now is the confirm request at most.
    """
    past = order.history(person)
    moment = order.of_stop(stop.text.said_at, heard_at=stop.text.received_at)
    answer = ledger.answer_of(past.join_event)
    if past.join is None or past.join <= moment or not answer:
        return
    received_at = datetime.fromisoformat(answer["received_at"])
    text = replace(
        stop.text,
        message_id=answer["message_id"],
        ours=answer["to"],
        text=answer["text"],
        said_at=past.join,
        received_at=received_at,
    )
    heard = Heard(text, read(text.text))
    if person.status is Status.UNSUBSCRIBED or starting.named(heard.reading):
        # A moment later: a YES or a link counts only where its text is newer than the stop.
        starting.join(person, heard, now=now + timedelta(microseconds=1))


def _help(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Answered for anyone, subscribed, stopped or unknown (RULE-29)."""
    reply = replies.decide(heard, TextKind.HELP, now=now)
    if reply and person is not None:
        outbox.queue(person, TextKind.HELP, now=now, answer=reply.answer)
    elif reply:
        outbox.queue_to_stranger(
            heard.text.number, heard.language, TextKind.HELP, now=now, answer=reply.answer
        )
    return Result("helped", reply)


def _keep(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Anything else is kept and changes nothing (SEC-35), unless it answers "which ones?"."""
    kept = stopping.keep_some(person, heard, now=now)
    return kept or Result("kept", replies.nobody(heard))


def _review(heard: Heard, person: Person | None, result: Result, now: datetime) -> None:
    """Let a person read what we were not sure of (RULE-19, RULE-21)."""
    reason = None
    if heard.reading.refusal is Refusal.LIKELY:
        reason = ReviewReason.LIKELY_REFUSAL
    elif heard.reading.flagged:
        reason = ReviewReason.MENTIONS_STOP
    elif result.outcome == starting.DOUBTFUL:
        reason = ReviewReason.DOUBTFUL_START
    if reason:
        person = person or people.by_number(heard.text.number)
        reviews.open_for(heard.text.id, person.id if person else None, reason, now=now)
