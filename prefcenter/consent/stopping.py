"""What a STOP by text does, and the answer to "which ones?" (RULE-21 to RULE-25)."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import catalog, ledger, order, preferences, replies, suppression
from prefcenter.consent.heard import Heard, Result, note, someone
from prefcenter.consent.keywords import normalise
from prefcenter.consent.replies import Reply
from prefcenter.database import execute
from prefcenter.models import (
    Action,
    ConsentEvent,
    EventKind,
    OutboxMessage,
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms import compose, outbox
from prefcenter.sms.encoding import measure
from prefcenter.sms.outbox import LEFT

_messages = OutboxMessage.__table__.c
_QUESTION = sa.select(_messages.id).where(
    _messages.to_number == sa.bindparam("number"),
    _messages.kind == TextKind.WHICH,
    _messages.created_at >= sa.bindparam("since"),
    _messages.status.in_(LEFT),
)
_ON = (Status.SUBSCRIBED, Status.PENDING)


@dataclass(frozen=True, slots=True)
class _Question:
    """The categories that a STOP's reply may ask about; empty where it does not ask."""

    slugs: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def stop(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """End all texts at once, also for a number we never saw; one text says so, in time."""
    person = someone(person, heard, now=now)
    moment = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    if person.status in _ON and order.opted_in_after(person, moment):
        return _too_old(person, heard, now)
    if person.status is Status.UNSUBSCRIBED:
        return _again(person, heard, now)
    if _stopped_before(person, heard.text.ours):
        nobody = replies.nobody(heard)
        note(person, heard, "stop programme", nobody, now=now)
        return Result("again", nobody)
    ended = _programme(person, heard.text.ours)
    if ended:
        return _stop_programme(person, heard, ended, now)
    question = _question(person, now)
    kind = TextKind.WHICH if question.slugs else TextKind.UNSUBSCRIBED
    reply = replies.decide(heard, kind, now=now)
    asked = {"asked": list(question.slugs)} if question.slugs and reply else {}
    _revoke(person, heard, reply, now, **asked)
    if reply:
        answer = replace(reply.answer, options=question.names)
        outbox.queue(person, kind, now=now, answer=answer)
    return Result("stopped", reply)


def _revoke(
    person: Person, heard: Heard, reply: Reply, now: datetime, **more: Any
) -> preferences.Result:
    said = heard.said("stop", reply, scope="all", reading=heard.label, **more)
    reason = SuppressionReason.KEYWORD
    return preferences.revoke(person, heard.proof(person), reason=reason, now=now, said=said)


def _too_old(person: Person, heard: Heard, now: datetime) -> Result:
    """A late STOP that a newer opt-in has overtaken: kept as proof, nothing more (REL-12)."""
    nobody = replies.nobody(heard)
    note(person, heard, "stop", nobody, now=now)
    if person.status is Status.PENDING:  # as if it had come first; the confirmation lifts it
        suppression.add(heard.text.number, SuppressionReason.KEYWORD, now=now)
    return Result("overtaken", nobody)


def _again(person: Person, heard: Heard, now: datetime) -> Result:
    """A STOP from a stopped number: no second text (RULE-24), but it is on record (RULE-31).

    After a stop on a page it counts for more: no link undoes it any longer (SEC-16).
    """
    nobody = replies.nobody(heard)
    if _revoke(person, heard, nobody, now) is not preferences.Result.DONE:
        note(person, heard, "stop", nobody, now=now)
    return Result("again", nobody)


def _programme(person: Person, ours: str) -> frozenset[str]:
    """What alone this STOP ends where each sender is a programme of its own (RULE-25)."""
    if not _is_programme(person):
        return frozenset()
    here = _programme_of(ours)
    # What was retired is no reason to stay, and must not come back with it.
    return catalog.taken(person.id) & here if catalog.live(person.id) - here else frozenset()


def _programme_of(ours: str) -> frozenset[str]:
    """What is sent from this number of ours; nothing once it is a number of ours no longer, and
    a STOP to it that still waited then ends everything."""
    return frozenset(config.current().programmes.get(ours, ()))


def _is_programme(person: Person) -> bool:
    by_programme = config.current().revocation_scope == "programme"
    return by_programme and person.status is Status.SUBSCRIBED


def _stopped_before(person: Person, ours: str) -> bool:
    """True when this programme was stopped, nothing of it is taken, and something else is."""
    if not _is_programme(person):
        return False
    here = catalog.taken(person.id) & _programme_of(ours)
    known = ours in config.current().programmes
    before = known and any(stop.ours == ours for stop in order.stopped_programmes(person))
    return before and not here and bool(catalog.live(person.id))


def _stop_programme(person: Person, heard: Heard, ended: frozenset[str], now: datetime) -> Result:
    reply = replies.decide(heard, TextKind.PREFERENCES, now=now)
    changes = heard.said(
        "stop programme", reply, scope="programme", ours=heard.text.ours, dropped=sorted(ended)
    )
    ledger.record(
        person,
        EventKind.CHANGED,
        heard.proof(person),
        now=now,
        action=Action.OPT_OUT,
        changes=changes,
    )
    replies.send(person, TextKind.PREFERENCES, reply, now=now)
    return Result("programme_stopped", reply)


def _question(person: Person, now: datetime) -> _Question:
    """What to ask about, if the owner wants that, there is a choice, and it fits two parts."""
    if not config.current().ask_which or person.status is not Status.SUBSCRIBED:
        return _Question()
    taken = catalog.taken(person.id)
    kinds = [kind for kind in catalog.on_offer() if kind.slug in taken]
    names = tuple(kind.text("name", person.language) for kind in kinds)
    body = compose.body(TextKind.WHICH, person, now=now, options=names)
    if len(kinds) < 2 or measure(body).parts > 2:
        return _Question()
    return _Question(tuple(kind.slug for kind in kinds), names)


def keep_some(person: Person | None, heard: Heard, *, now: datetime) -> Result | None:
    """The answer to "which ones?": only these start again (RULE-23); None if it is none.

    All had stopped already: whoever does not answer stays stopped.
    """
    if person is None or person.status is not Status.UNSUBSCRIBED:
        return None
    kept = _numbered(heard.text.text, _asked(person, heard, now))
    if not kept:
        return None
    reply = replies.decide(heard, TextKind.PREFERENCES, now=now)
    said_at = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    until = order.pause_after(person, said_at, now=now)
    dropped = sorted(catalog.taken(person.id) - kept)
    said = heard.said("keep", reply, dropped=dropped, paused_until=until)
    preferences.start_again(person, heard.proof(person), now=now, said=said)
    replies.send(person, TextKind.PREFERENCES, reply, now=now)
    return Result("kept_some", reply)


def _asked(person: Person, heard: Heard, now: datetime) -> list[str]:
    """The question that is open: the last event asked it, not long ago, before this text.

    What we, the provider or another program, surely before this text, noted closes no question of
    theirs, nor does a wish for later.
    """
    events, said_at = reversed(ledger.events_of(person.id)), heard.text.said_at
    last = next(one for one in events if not _is_noted(one, said_at))
    if last.kind is not EventKind.REVOKED or last.source is not Source.SMS:
        return []
    changes = json.loads(last.changes)
    hours = timedelta(hours=config.current().which_hours)
    if (
        said_at is None
        or not order.sure(said_at, heard_at=heard.text.received_at)
        or now - last.at > hours
    ):
        return []
    stop = order.history(person).stop
    asked: list[str] = changes.get("asked", [])
    seen = stop is not None and said_at > stop and _question_left(heard.text.number, last.at)
    return asked if seen else []


def _is_noted(event: ConsentEvent, said_at: datetime | None) -> bool:
    if event.kind is not EventKind.NOTED:
        return False
    if event.source is Source.API:  # a refusal of some kinds, which may be newer than the text
        return said_at is not None and event.at + order.SKEW < said_at
    if event.source is Source.SMS:
        return json.loads(event.changes).get("word") in order.WISHES
    return event.source in (Source.ADMIN, Source.PROVIDER)


def _question_left(number: str, since: datetime) -> bool:
    """A bare digit answers only a question that may have been read."""
    return execute(_QUESTION, {"number": number, "since": since}).first() is not None


def _numbered(text: str, asked: list[str]) -> frozenset[str]:
    """What "1 and 3" picks from the list; nothing where anything else stands in it."""
    parts = [part for part in normalise(text).split() if part not in ("and", "y", "et")]
    picks = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 3]
    if not parts or len(picks) < len(parts) or any(not 1 <= pick <= len(asked) for pick in picks):
        return frozenset()
    return frozenset(asked[pick - 1] for pick in picks)
