"""What stands against consent that somebody says was given elsewhere (SEC-47, SEC-20).

Any of it and nothing is turned on: only the phone itself can say yes then.
"""

import json
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa

from prefcenter.consent import ledger, order, suppression
from prefcenter.consent.order import SKEW
from prefcenter.database import execute
from prefcenter.models import (
    ConsentEvent,
    Deliverability,
    EventKind,
    Evidence,
    Inbound,
    OutboxMessage,
    Person,
    Status,
)

_GONE = (Deliverability.INVALID, Deliverability.DEACTIVATED, Deliverability.REASSIGNED)
_NO = (EventKind.REVOKED, EventKind.DECLINED)
_events, _evidence = ConsentEvent.__table__.c, Evidence.__table__.c
_inbound, _texts = Inbound.__table__.c, OutboxMessage.__table__.c
_WAITING = sa.select(_inbound.id).where(
    _inbound.number == sa.bindparam("number"), _inbound.handled_at.is_(None)
)
# Only a number that texts went to, or came from, can have had an owner before this one.
_EARLIER = sa.select(
    sa.or_(
        sa.exists().where(
            _inbound.number == sa.bindparam("number"),
            _inbound.received_at <= sa.bindparam("before"),
        ),
        sa.exists().where(
            _texts.to_number == sa.bindparam("number"), _texts.created_at <= sa.bindparam("before")
        ),
    )
)
_GIVEN_UP = (
    sa.select(_events.at)
    .join(Evidence.__table__, _events.id == _evidence.event_id)
    .where(_events.kind == EventKind.REASSIGNED, _evidence.body.like(sa.bindparam("named")))
    .order_by(_events.at.desc())
    .limit(1)
)


class Reason(StrEnum):
    """Why nothing was turned on; a promise to programs: a word is added and never renamed."""

    STOPPED = "stopped"
    SUPPRESSED = "suppressed"  # on the list of those that get nothing, also the erased
    REASSIGNED = "reassigned"  # the number had another owner
    UNREACHABLE = "unreachable"
    NEWER_REFUSAL = "newer_refusal"  # said no, or left such a category, since or about then
    TEXT_WAITING = "text_waiting"  # a text of theirs is not worked yet; it may be a STOP
    REFERENCE_USED = "reference_used"  # it came before, with another proof


def found(person: Person, categories: Collection[str], given_at: datetime) -> Reason | None:
    """The first thing that stands against it; asked under the person's lock."""
    assert person.number is not None
    if person.status is Status.UNSUBSCRIBED:
        return Reason.STOPPED
    if suppression.contains(person.number):
        return Reason.SUPPRESSED
    if person.deliverability in _GONE:
        return Reason.UNREACHABLE
    if execute(_WAITING, {"number": person.number}).first() is not None:
        return Reason.TEXT_WAITING
    if _had_owner(person, person.number, given_at):
        return Reason.REASSIGNED
    return Reason.NEWER_REFUSAL if _refused_since(person, categories, given_at) else None


def _had_owner(person: Person, number: str, given_at: datetime) -> bool:
    """True where the number changed hands, unless its new owner's own phone has said yes since,
    and the consent is newer than the change."""
    if not execute(_EARLIER, {"number": number, "before": person.created_at}).scalar_one():
        return False
    gone = execute(_GIVEN_UP, {"named": f'%"number":"{number}"%'}).scalar()
    return gone is not None and (person.status is not Status.SUBSCRIBED or given_at <= gone + SKEW)


def _refused_since(person: Person, categories: Collection[str], given_at: datetime) -> bool:
    """True where they stopped, declined or left such a category after that, or about then."""
    for event in ledger.events_of(person.id):
        changes = json.loads(event.changes)
        left = {*changes.get("dropped", ()), *changes.get("refused", ())}
        ends = event.kind in _NO or changes.get("word") == "stop" or left & set(categories)
        if ends and order.when(event, changes) + SKEW >= given_at:
            return True
    return False
