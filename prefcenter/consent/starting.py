"""What START, JOIN, YES and NO do by text (RULE-5, RULE-7, RULE-30, REL-12).

They end the same in whatever order they arrive, except where the order decides which text of
ours there was to answer: a YES counts only behind the confirm text that it answers, so a START
or JOIN that asks anew overtakes an older text's YES; a NO behind a YES ends nothing, because the
welcome has gone, and a YES behind a NO finds no request.

One file, though a long one: each of the four words looks at what became of the others.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import (
    asking,
    catalog,
    ledger,
    order,
    pausing,
    preferences,
    replies,
    suppression,
)
from prefcenter.consent.heard import Heard, Result, note, someone
from prefcenter.consent.keywords import Reading
from prefcenter.consent.limits import Cause
from prefcenter.consent.order import SKEW, History
from prefcenter.consent.replies import Replier
from prefcenter.database import db
from prefcenter.links import TOKEN_LENGTH
from prefcenter.models import (
    ConsentEvent,
    Deliverability,
    OutboxMessage,
    OutboxStatus,
    Person,
    Status,
    TextKind,
)
from prefcenter.sms import outbox

DOUBTFUL = "doubtful"


def start(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Subscribe again whoever had confirmed before (RULE-30); ask everybody else to confirm."""
    person = someone(person, heard, now=now)
    past = order.history(person)
    if person.status is Status.SUBSCRIBED:
        back = _stopped_here(person, heard)
        return _add(person, heard, back, now) if back else _already(person, heard, past, now)
    if refused := _overtaken(person, heard, past, now):
        return refused
    if _may_restore(person, past) and _surely_after(heard, past):
        return _restore(person, heard, now)
    return _ask(person, heard, (catalog.taken(person.id) & _offered()) or _offered(), now)


def join(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Ask to confirm what the keyword stands for; a subscriber gets it added at once."""
    person = someone(person, heard, now=now)
    wanted = named(heard.reading)
    if person.status is Status.SUBSCRIBED:
        past = order.history(person)
        return _add(person, heard, wanted, now) if wanted else _already(person, heard, past, now)
    if refused := _overtaken(person, heard, order.history(person), now):
        return refused
    return _ask(person, heard, asks_for(heard.reading), now)


def yes(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Confirm an open request, and only that; the text is the proof (RULE-11, RULE-12)."""
    nobody = replies.nobody(heard)
    if person is None or not _is_open(person, now) or catalog.lapsed(person.requested):
        return Result("nothing_open", nobody)
    asked_at, said_at = order.request_said_at(person), heard.text.said_at
    request = _request_as_sent(person, now)
    sure = order.sure(said_at, heard_at=heard.text.received_at)
    if said_at is None or not sure:
        note(person, heard, DOUBTFUL, nobody, now=now)
        return Result(DOUBTFUL, nobody)
    if request is None or said_at < asked_at:
        note(person, heard, "yes", nobody, now=now)
        return Result("nothing_open", nobody)
    reply = replies.certainly(heard)
    sha256 = ledger.publish("confirm_sms", request.language, _without_link(request.body), now=now)
    proof = heard.proof(person, wording_sha256=sha256)
    preferences.turn_on(person, proof, now=now, said=heard.said("yes", reply), answer=reply.answer)
    return Result("confirmed", reply)


def no(person: Person | None, heard: Heard, *, now: datetime) -> Result:
    """Decline an open request; where none is open, keep it for one that arrives late."""
    nobody = replies.nobody(heard)
    person = someone(person, heard, now=now)
    said_at = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    yes = order.history(person).yes
    if not _is_open(person, now) or said_at < max(order.request_said_at(person), yes or said_at):
        note(person, heard, "no", nobody, now=now)
        return Result("nothing_open", nobody)
    preferences.decline(person, heard.proof(person), now=now, said=heard.said("no", nobody))
    return Result("declined", nobody)


def _offered() -> frozenset[str]:
    """What a text may ask for, and what it gets that names nothing: all on offer, except what
    needs a statement of age (RULE-10)."""
    return frozenset(kind.slug for kind in catalog.on_offer() if kind.age_gate is None)


def asks_for(reading: Reading) -> frozenset[str]:
    """What a stranger gets who texts a word that signs people up; its poster names the same."""
    return named(reading) or _offered()


def named(reading: Reading) -> frozenset[str]:
    """The categories of a site's word, or of an owner's own keyword, that are still offered."""
    slugs = reading.asks or config.current().keywords.get(reading.campaign.upper(), ())
    return frozenset(slugs) & _offered()


def _may_restore(person: Person, past: History) -> bool:
    """Who confirmed once, also when a JOIN since the stop asked them to confirm again; not a
    number that was out of service since, and may have a new owner (SEC-20)."""
    alive = person.deliverability is not Deliverability.DEACTIVATED
    joined = person.status is Status.PENDING and order.is_reopened(person)
    stopped = person.status is Status.UNSUBSCRIBED or joined
    return stopped and person.confirmed_at is not None and alive


def _is_open(person: Person, now: datetime) -> bool:
    return (
        person.status is Status.PENDING
        and person.request_expires_at is not None
        and now < person.request_expires_at
    )


def _overtaken(person: Person, heard: Heard, past: History, now: datetime) -> Result | None:
    """A stop that is newer, or may be, wins (REL-12): kept as proof, nothing more."""
    newest = _last_stop(heard.text.number, past)
    if newest is None:
        return None
    nobody = replies.nobody(heard)
    said_at = heard.text.said_at
    if said_at is None or not order.sure(said_at, heard_at=heard.text.received_at):
        note(person, heard, DOUBTFUL, nobody, now=now)
        return Result(DOUBTFUL, nobody)
    if said_at > newest:
        return None
    note(person, heard, heard.label, nobody, now=now)
    return Result("overtaken", nobody)


def _last_stop(number: str, past: History) -> datetime | None:
    """The stop that a START must be newer than. Where the ledger has none, the number may have
    one of a person who was erased, or who has it no more; that time is ours, as of a page's."""
    stop = past.stop or suppression.since(number)
    return stop if stop is None or past.stop_by_text else stop - SKEW


def _surely_after(heard: Heard, past: History) -> bool:
    """False within five minutes of a stop on a page: two clocks, so a confirmation is asked."""
    said_at, stop = heard.text.said_at, past.stop
    if said_at is None or stop is None:
        return False
    return past.stop_by_text or said_at > stop + SKEW


def _restore(person: Person, heard: Heard, now: datetime) -> Result:
    reply = replies.decide(heard, TextKind.RESUBSCRIBED, now=now)
    asked_at = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    until = order.pause_after(person, asked_at, now=now)
    said = heard.said("start", reply, paused_until=until)
    preferences.start_again(person, heard.proof(person), now=now, said=said)
    replies.send(person, TextKind.RESUBSCRIBED, reply, now=now)
    return Result("started_again", reply)


def _already(person: Person, heard: Heard, past: History, now: datetime) -> Result:
    """Nothing to turn on, but it was said: an older STOP that comes later must not win."""
    text = heard.text
    sure = order.sure(text.said_at, heard_at=text.received_at)
    paused = person.paused_until is not None and person.paused_until > now
    resumes = paused and not order.overtaken(past.pause, text.said_at, heard_at=text.received_at)
    kind = TextKind.RESUMED if resumes else TextKind.ALREADY_SUBSCRIBED
    reply = replies.decide(heard, kind, now=now)
    note(person, heard, heard.label if sure else DOUBTFUL, reply, now=now)
    if resumes:
        said = heard.said(heard.label, reply)
        pausing.resume(person, proof=heard.proof(person), now=now, said=said)
    replies.send(person, kind, reply, now=now)
    return Result("resumed" if resumes else "already_subscribed", reply)


def _stopped_here(person: Person, heard: Heard) -> frozenset[str]:
    """What a STOP to this number of ours ended alone: START brings it back (RULE-25)."""
    stops = order.stopped_programmes(person)
    ended = frozenset().union(*(stop.slugs for stop in stops if stop.ours == heard.text.ours))
    return (ended & _offered()) - catalog.taken(person.id)


def _add(person: Person, heard: Heard, wanted: frozenset[str], now: datetime) -> Result:
    """Categories that a subscriber's own phone asks for, unless they were ended since."""
    text, nobody = heard.text, replies.nobody(heard)
    if not order.sure(text.said_at, heard_at=text.received_at):
        note(person, heard, DOUBTFUL, nobody, now=now)
        return Result(DOUBTFUL, nobody)
    ended = order.dropped_at(person, wanted)
    if ended is not None and text.said_at is not None and text.said_at <= ended:
        note(person, heard, heard.label, nobody, now=now)
        return Result("overtaken", nobody)
    reply = replies.decide(heard, TextKind.PREFERENCES, now=now)
    result = preferences.choose(
        person,
        chosen=wanted,
        offered=wanted,
        proof=heard.proof(person),
        now=now,
        said=heard.said(heard.label, reply),
    )
    if result is not preferences.Result.DONE:
        return _already(person, heard, order.history(person), now)
    replies.send(person, TextKind.PREFERENCES, reply, now=now)
    return Result("added", reply)


def _ask(person: Person, heard: Heard, wanted: Collection[str], now: datetime) -> Result:
    """Open a request; its text leaves while the number may still get one (RULE-7, SEC-28)."""
    if declined := _declined_since(person, heard):
        return _open_and_decline(person, heard, wanted, declined, now)
    asked_at = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    if person.status is Status.PENDING and order.request_said_at(person) > asked_at:
        nobody = replies.nobody(heard)
        note(person, heard, heard.label, nobody, now=now)  # a newer request waits for its answer
        return Result("overtaken", nobody)
    reply = replies.decide(heard, TextKind.CONFIRM_REQUEST, now=now)
    if reply.by is Replier.NOT_TEXTABLE:
        note(person, heard, heard.label, reply, now=now)
        return Result("not_textable", reply)
    cause = Cause(heard.text.number, config.current().site)
    if reply and not asking.may_ask(person, cause, now=now):
        reply = replace(reply, by=Replier.CAPPED)
    asking.open_request(
        person,
        wanted,
        heard.proof(person),
        now=now,
        said=heard.said(heard.label, reply),
        answer=reply.answer,
        silent=not reply,
    )
    return Result("asked" if reply else "asked_before", reply)


def _declined_since(person: Person, heard: Heard) -> History | None:
    """A NO that was said after this request, and arrived before it."""
    past = order.history(person)
    asked_at = order.of_stop(heard.text.said_at, heard_at=heard.text.received_at)
    return past if past.no is not None and asked_at <= past.no else None


def _open_and_decline(
    person: Person, heard: Heard, wanted: Collection[str], past: History, now: datetime
) -> Result:
    """As if both had come in order, but nothing is texted, and what was asked since stays."""
    nobody, no = replies.nobody(heard), past.no
    assert no is not None
    if person.status is Status.PENDING and order.request_said_at(person) > no:
        note(person, heard, heard.label, nobody, now=now)
        return Result("overtaken", nobody)
    said = heard.said(heard.label, nobody)
    proof = heard.proof(person)
    asking.open_request(person, wanted, proof, now=now, said=said, silent=True)
    answer = ledger.answer_of(past.no_event)
    said = {"word": "no", "said_at": no.astimezone(UTC).isoformat(), "sure": True}
    preferences.decline(person, replace(proof, detail="NO", answer=answer), now=now, said=said)
    return Result("declined", nobody)


def _request_as_sent(person: Person, now: datetime) -> sa.Row[str, str] | None:
    """The text that a YES answers; None where none can have been read that still counts.

    A request that has its own text is confirmed by no older one, which asked for something else;
    a silent one (asking.open_request) by the text before it.
    """
    since = now - timedelta(hours=config.current().confirm_hours)
    asks = sa.and_(
        OutboxMessage.to == person.number, OutboxMessage.kind == TextKind.CONFIRM_REQUEST
    )
    opened = sa.select(ConsentEvent.at).where(ConsentEvent.public_id == person.request_ref)
    of_request = asks & (OutboxMessage.created_at >= opened.scalar_subquery())
    its_own = sa.select(sa.func.min(OutboxMessage.created_at)).where(of_request)
    newest = (
        sa.select(OutboxMessage.body, OutboxMessage.language)
        .where(
            asks,
            OutboxMessage.created_at
            >= sa.func.coalesce(
                its_own.correlate(None).scalar_subquery(), OutboxMessage.created_at
            ),
            OutboxMessage.status.in_(outbox.LEFT)
            # Waits to be sent once more, because nobody knows whether it arrived.
            | ((OutboxMessage.status == OutboxStatus.QUEUED) & (OutboxMessage.copies > 0)),
            OutboxMessage.created_at > max(since, person.opted_out_at or since),
        )
        .order_by(OutboxMessage.id.desc())
    )
    return db.session.execute(newest.limit(1)).one_or_none()


def _without_link(body: str) -> str:
    """The words without the link, which would be a key to the page (RULE-11)."""
    head, mark, tail = body.partition(f"{config.current().public_url}/c/")
    return f"{head}{mark}…{tail[TOKEN_LENGTH:]}" if mark else body
