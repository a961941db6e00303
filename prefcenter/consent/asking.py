"""Asking a number to confirm, and texting a fresh link: what strangers can cause by typing.

Every text here is counted against the limits (SEC-28), and a pending number gets one
request and one resend (RULE-7). Nothing here commits.
"""

import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import breaker, catalog, ledger, limits, people
from prefcenter.consent.ledger import NOT_SAID, Proof, Said
from prefcenter.consent.limits import Cause
from prefcenter.database import db
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    OutboxMessage,
    Person,
    Status,
    TextKind,
)
from prefcenter.sms import outbox

_CONFIRM_TEXTS_PER_REQUEST = 2


def ask(
    person: Person,
    requested: Collection[str],
    proof: Proof,
    site: str,
    *,
    now: datetime,
    frequency: str | None = None,
) -> None:
    """Open a request that a form caused, and text its link.

    Whoever calls has asked may_ask_again (RULE-7), the limits (SEC-28) and the breaker (SEC-30),
    for which the request is counted here.
    """
    breaker.note(person, site, now=now)
    open_request(person, requested, proof, now=now, frequency=frequency)


def open_request(
    person: Person,
    requested: Collection[str],
    proof: Proof,
    *,
    now: datetime,
    said: Said = NOT_SAID,
    answer: outbox.Answer | None = None,
    silent: bool = False,
    frequency: str | None = None,
) -> None:
    """Record a request and text its link; whoever calls has asked `may_ask`.

    `frequency` is the cap that comes with it. Until the phone says yes it changes nothing, so it
    stands in the event alone.

    `silent` records what a handset said although no text may go any more: it counts by when it
    was said (REL-12), and a YES to the text before it still answers.
    """
    expires = now + timedelta(hours=config.current().confirm_hours)
    changes = {
        "requested": sorted(requested),
        "request_expires_at": expires.astimezone(UTC).isoformat(),
        "language": proof.language,
        **({ledger.WISHED_CAP: frequency} if frequency else {}),
        **said,
    }
    ledger.record(person, EventKind.REQUESTED, proof, now=now, changes=changes)
    if person.number and not silent:
        outbox.cancel(person.number, "superseded", now=now, kind=TextKind.CONFIRM_REQUEST)
        outbox.queue(person, TextKind.CONFIRM_REQUEST, now=now, answer=answer, frequency=frequency)


def may_ask(person: Person, cause: Cause, *, now: datetime) -> bool:
    """True, and counted, when this person may get one more confirm request."""
    assert person.number is not None
    again = may_ask_again(person, now=now)
    return again and limits.may_text(person.number, person.country, cause, now=now)


def may_ask_again(person: Person, *, now: datetime) -> bool:
    """A pending number gets one request and one resend (RULE-7)."""
    if person.status is not Status.PENDING:
        return True
    since = now - timedelta(hours=config.current().confirm_hours)
    asked = db.session.scalar(
        sa.select(sa.func.count(OutboxMessage.id)).where(
            OutboxMessage.to == person.number,
            OutboxMessage.kind == TextKind.CONFIRM_REQUEST,
            OutboxMessage.created_at > max(since, person.opted_out_at or since),
        )
    )
    return (asked or 0) < _CONFIRM_TEXTS_PER_REQUEST


def new_link(person: Person, proof: Proof, *, now: datetime) -> None:
    """Text a fresh link to whoever holds an old one, if this number may get one.

    A stopped number gets nothing (RULE-43); an old request is asked anew (RULE-7).
    """
    off = person.status is Status.UNSUBSCRIBED or people.is_lapsed(person)
    if person.number is None or off:
        return
    cause = Cause(proof.ip, config.current().site)
    if not breaker.lets_pass(person.number, person.country, cause.site, now=now):
        return
    if person.status is Status.SUBSCRIBED:
        if limits.may_text(person.number, person.country, cause, now=now):
            outbox.queue(person, TextKind.NEW_LINK, now=now)
        return
    last = _last_request(person)
    requested = catalog.still_offered(person.requested or last.get("requested", ()))
    if requested and may_ask(person, cause, now=now):
        cap = last.get(ledger.WISHED_CAP)
        ask(person, requested, proof, cause.site, now=now, frequency=cap)


def _last_request(person: Person) -> dict[str, Any]:
    """What the last request asked for, unless it was declined."""
    query = sa.select(ConsentEvent).where(ConsentEvent.person_id == person.id)
    for event in db.session.scalars(query.order_by(ConsentEvent.seq.desc()).limit(20)):
        if event.kind is EventKind.DECLINED:
            return {}
        if event.kind is EventKind.REQUESTED:
            found: dict[str, Any] = json.loads(event.changes)
            return found
    return {}
