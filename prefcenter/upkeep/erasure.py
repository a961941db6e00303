"""Forgetting somebody who asks for it, and what is kept all the same (RULE-63, SEC-48).

Gone at once: the number, what they saw and sent, where from, every text to and from them, the
links, and forms that wait. Kept: the bare events, whose hashes still hold without what is gone
(ledger.py), and the number as a keyed pseudonym among those that are never texted, so that no
form and no import brings it back. Only the phone itself can, by texting START.
Whoever had the number before is another person, even where it was the same human: their page
is shown before the button, and they are erased there.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from prefcenter import config, links, phone
from prefcenter.consent import ledger, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, execute, is_postgresql, per_dialect
from prefcenter.models import (
    Action,
    ConsentEvent,
    EventKind,
    Evidence,
    Inbound,
    OutboxMessage,
    OutboxStatus,
    Person,
    Receipt,
    Review,
    Signup,
    Source,
    Status,
    SuppressionReason,
    Unreadable,
)
from prefcenter.sms import outbox
from prefcenter.upkeep import belongings
from prefcenter.upkeep.belongings import Reach

_events, _texts = ConsentEvent.__table__.c, OutboxMessage.__table__.c
_inbound, _reviews = Inbound.__table__.c, Review.__table__.c
_MINE = sa.select(_events.id).where(_events.person_id == sa.bindparam("person"))
_DROP_EVIDENCE = sa.delete(Evidence).where(Evidence.__table__.c.event_id.in_(_MINE))
_forms = Signup.__table__.c
# One that is being looked at right now is left to that: it goes, and finds the number suppressed.
_DROP_FORMS = sa.delete(Signup).where(
    _forms.id.in_(
        sa.select(_forms.id)
        .where(_forms.number == sa.bindparam("number"))
        .with_for_update(skip_locked=True)
    )
)


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each kind were deleted or emptied."""

    evidence: int
    texts_out: int
    texts_in: int
    forms: int


def erase(person: Person, *, by: str, reason: str, now: datetime) -> Erased | None:
    """Forget a person whose row the caller has locked; None where that was done before.

    Never commits: all of it is kept, or nothing. The number stays suppressed whoever they
    were, because somebody who wants to be forgotten wants no texts. What they text after this
    comes from a stranger, and so does a text that has come in and was not worked yet.
    """
    if person.status is Status.REDACTED:
        return None
    found = belongings.reach(person)
    own = found.number if found else None
    reason = phone.mask_numbers(reason, config.current().countries, own)
    if person.number is not None:
        suppression.add(person.number, SuppressionReason.ERASURE, now=now)
        suppression.renew(person.number, now=now)
        outbox.cancel(person.number, "erased", now=now)
    _close_reviews(person, found, by, now)
    evidence = execute(_DROP_EVIDENCE, {"person": person.id}).rowcount
    counts = _empty(found, person, now) if found else (0, 0, 0)
    _forget(person, by, reason, now)
    return Erased(evidence, *counts)


def _forget(person: Person, by: str, reason: str, now: datetime) -> None:
    """The last event, and a row that names nobody. Its evidence says who asked us and why."""
    person.number = person.zone = person.undo_link = None
    person.link_id = links.new_link_id()  # their links are nobody's now
    proof = Proof(
        source=Source.ADMIN,
        detail=by,
        language=person.language,
        answer={"note": reason, "recorded_by": by},
    )
    ledger.record(person, EventKind.ERASED, proof, now=now, action=Action.OPT_OUT)


def _close_reviews(person: Person, found: Reach | None, by: str, now: datetime) -> None:
    """Nobody reads their texts any more, nor those from before they were known by a row."""
    theirs: sa.ColumnElement[bool] = _reviews.person_id == person.id
    if found is not None:
        texts = sa.select(_inbound.id).where(_handled(found))
        theirs = sa.or_(theirs, _reviews.inbound_id.in_(texts))
    emptied = sa.update(Review).where(theirs)
    execute(emptied.where(_reviews.closed_at.is_(None)).values(closed_at=now, closed_by=by), {})
    execute(emptied.values(note=""), {})


def _handled(found: Reach) -> sa.ColumnElement[bool]:
    return sa.and_(belongings.texts_from(found), _inbound.handled_at.is_not(None))


def _empty(found: Reach, person: Person, now: datetime) -> tuple[int, int, int]:
    """Empty the texts' rows: they go on counting, and a provider's repeat is still known."""
    theirs = belongings.texts_to(found)
    receipts = sa.delete(Receipt).where(
        Receipt.__table__.c.provider_id.in_(sa.select(_texts.provider_id).where(theirs))
    )
    db.session.execute(receipts)
    unsent = sa.case(
        (_texts.status == OutboxStatus.QUEUED, OutboxStatus.CANCELLED), else_=_texts.status
    )
    out = sa.update(OutboxMessage).where(theirs)
    texts_out = execute(
        out.values(to_number="", body="", provider_id=None, expires_at=now, status=unsent),
        {},
    ).rowcount
    texts_in = execute(
        sa.update(Inbound).where(_handled(found)).values(number="", text=""), {}
    ).rowcount
    forms = 0
    if person.number is not None:
        execute(_blank_unreadable(), {"digits": found.number.lstrip("+").encode()})
        forms = execute(_DROP_FORMS, {"number": found.number}).rowcount
    return texts_out, texts_in, forms


@per_dialect
def _blank_unreadable() -> sa.Update:
    """Empty webhooks that were kept as they came and name the number."""
    body, digits = Unreadable.__table__.c.body, sa.bindparam("digits", type_=sa.LargeBinary)
    place = sa.func.instr(body, digits)
    if is_postgresql():
        place = sa.func.position(digits.op("IN")(body))
    return sa.update(Unreadable).where(place > 0).values(body=b"")
