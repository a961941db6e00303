"""What START, JOIN, YES and NO do by text (RULE-5, RULE-7, RULE-30, REL-12)."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import asking, catalog, ledger, order, pausing, preferences, replies
from prefcenter.consent.heard import Heard, Result, note, someone
from prefcenter.consent.keywords import Word
from prefcenter.consent.order import SKEW, History
from prefcenter.consent.replies import Replier
from prefcenter.database import db
from prefcenter.links import TOKEN_LENGTH
from prefcenter.models import OutboxMessage, Person, Status, TextKind
from prefcenter.sms import outbox

DOUBTFUL = "doubtful"


def start(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Subscribe again whoever had confirmed before (RULE-30); ask everybody else to confirm."""
    person = someone(person, heard, now=now)
    past = order.history(person)
    if person.status is Status.SUBSCRIBED:
        return _already(person, heard, now)
    if refused := _overtaken(person, heard, past, now):
        return refused
    if person.status is Status.UNSUBSCRIBED and person.confirmed_at and _surely_after(heard, past):
        return _restore(person, heard, now)
    return _ask(person, heard, catalog.taken(person.id) or everything(), now)


def join(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Ask to confirm what the keyword stands for; a subscriber gets it added at once."""
    person = someone(person, heard, now=now)
    wanted = _campaign(heard)
    if person.status is Status.SUBSCRIBED:
        return _add(person, heard, wanted, now) if wanted else _already(person, heard, now)
    if refused := _overtaken(person, heard, order.history(person), now):
        return refused
    return _ask(person, heard, wanted or everything(), now)


def yes(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Confirm an open request, and only that; the text is the proof (RULE-11, RULE-12)."""
    nobody = replies.nobody(heard.text)
    if person is None or not _is_open(person, now):
        return Result("nothing_open", nobody)
    asked_at = order.request_said_at(person)
    said_at = heard.text.said_at
    if (
        said_at is None
        or not order.sure(said_at, heard_at=heard.text.received_at)
        or said_at < asked_at
    ):
        note(person, heard, DOUBTFUL, nobody, now=now)
        return Result(DOUBTFUL, nobody)
    reply = replies.decide(heard.text, TextKind.WELCOME, Word.YES, now=now)
    sha256 = _request_as_sent(person, now)
    proof = heard.proof(person, wording_sha256=sha256)
    # The welcome follows every confirmation, whatever was texted before (RULE-9).
    preferences.turn_on(person, proof, now=now, said=heard.said("yes", reply), answer=reply.answer)
    return Result("confirmed", reply)


def no(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Decline an open request; it says nothing where none is open."""
    nobody = replies.nobody(heard.text)
    if person is None or not _is_open(person, now):
        return Result("nothing_open", nobody)
    preferences.decline(person, heard.proof(person), now=now, said=heard.said("no", nobody))
    return Result("declined", nobody)


def everything() -> frozenset[str]:
    """What somebody gets who asks by text for our texts, and names none: all that anybody
    may choose, except what needs a statement of age (RULE-10)."""
    return frozenset(
        kind.slug
        for kind in catalog.every()
        if kind.public and kind.retired_at is None and kind.age_gate is None
    )


def _campaign(heard: Heard) -> frozenset[str]:
    """The categories of an owner's own keyword that are still offered."""
    slugs = config.current().keywords.get(heard.reading.campaign.upper(), ())
    offered = {kind.slug for kind in catalog.every() if kind.public and kind.retired_at is None}
    return frozenset(slugs) & offered


def _is_open(person: Person, now: datetime) -> bool:
    return (
        person.status is Status.PENDING
        and person.request_expires_at is not None
        and now < person.request_expires_at
    )


def _overtaken(person: Person, heard: Heard, past: History, now: datetime) -> Result | None:
    """A stop that is newer, or may be, wins (REL-12): kept as proof, nothing more."""
    if past.stop is None:
        return None
    nobody = replies.nobody(heard.text)
    said_at = heard.text.said_at
    if said_at is None or not order.sure(said_at, heard_at=heard.text.received_at):
        note(person, heard, DOUBTFUL, nobody, now=now)
        return Result(DOUBTFUL, nobody)
    newest = past.stop if past.stop_by_text else past.stop - SKEW
    if said_at > newest:
        return None
    note(person, heard, heard.label, nobody, now=now)
    return Result("overtaken", nobody)


def _surely_after(heard: Heard, past: History) -> bool:
    """False within five minutes of a stop on a page: two clocks, so a confirmation is asked."""
    said_at, stop = heard.text.said_at, past.stop
    if said_at is None or stop is None:
        return False
    return past.stop_by_text or said_at > stop + SKEW


def _restore(person: Person, heard: Heard, now: datetime) -> Result:
    reply = replies.decide(heard.text, TextKind.RESUBSCRIBED, Word.START, now=now)
    said = heard.said("start", reply)
    preferences.start_again(person, heard.proof(person), now=now, said=said)
    if reply:
        outbox.queue(person, TextKind.RESUBSCRIBED, now=now, answer=reply.answer)
    return Result("started_again", reply)


def _already(person: Person, heard: Heard, now: datetime) -> Result:
    """Nothing to turn on, but it was said: an older STOP that comes later must not win."""
    kind = TextKind.ALREADY_SUBSCRIBED
    paused = person.paused_until is not None and person.paused_until > now
    if paused:
        kind = TextKind.RESUMED
    reply = replies.decide(heard.text, kind, heard.reading.word, now=now)
    sure = order.sure(heard.text.said_at, heard_at=heard.text.received_at)
    note(person, heard, heard.label if sure else DOUBTFUL, reply, now=now)
    if paused:
        said = heard.said(heard.label, reply)
        pausing.resume(person, proof=heard.proof(person), now=now, said=said)
    if reply:
        outbox.queue(person, kind, now=now, answer=reply.answer)
    return Result("resumed" if paused else "already_subscribed", reply)


def _add(person: Person, heard: Heard, wanted: Collection[str], now: datetime) -> Result:
    """A keyword of a campaign from a subscriber's own phone."""
    reply = replies.decide(heard.text, TextKind.PREFERENCES, Word.JOIN, now=now)
    result = preferences.choose(
        person,
        chosen=wanted,
        offered=wanted,
        frequency=None,
        language=None,
        version=None,
        proof=heard.proof(person),
        now=now,
        said=heard.said("join", reply),
    )
    if result is not preferences.Result.DONE:
        return _already(person, heard, now)
    if reply:
        outbox.queue(person, TextKind.PREFERENCES, now=now, answer=reply.answer)
    return Result("added", reply)


def _ask(person: Person, heard: Heard, wanted: Collection[str], now: datetime) -> Result:
    reply = replies.decide(heard.text, TextKind.CONFIRM_REQUEST, None, now=now)
    if reply.by is Replier.NOT_TEXTABLE:
        note(person, heard, heard.label, reply, now=now)
        return Result("not_textable", reply)
    site, said = config.current().site, heard.said(heard.label, reply)
    proof = heard.proof(person)
    asked = asking.ask(person, wanted, proof, site=site, now=now, said=said, answer=reply.answer)
    return Result("asked" if asked else "asked_before", reply)


def _request_as_sent(person: Person, now: datetime) -> str | None:
    """The words that a YES answers, without the link in them (RULE-11)."""
    newest = (
        sa.select(OutboxMessage.body, OutboxMessage.language)
        .where(OutboxMessage.to == person.number, OutboxMessage.kind == TextKind.CONFIRM_REQUEST)
        .order_by(OutboxMessage.id.desc())
    )
    row = db.session.execute(newest.limit(1)).one_or_none()
    if row is None:
        return None
    head, mark, tail = row.body.partition(f"{config.current().public_url}/c/")
    text = f"{head}{mark}…{tail[TOKEN_LENGTH:]}" if mark else row.body
    return ledger.publish("confirm_sms", row.language, text, now=now)
