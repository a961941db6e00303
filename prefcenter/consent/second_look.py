"""What a person decides about a text that the rules were not sure of (RULE-19, RULE-21).

"It was a refusal" keeps it stopped, or stops now what was only flagged. "It was not" puts back
what that one text took away, where outlook.py says that it may. Either way the decision is an
event of the ledger, with the text, who decided and why. Nobody agreed anew by it, so a STOP
that was said before and comes late still wins (order.py). Nothing here commits; the caller
holds the review and the person.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.consent import by_hand, ledger, order, people, preferences, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.consent.outlook import NO_REFUSAL, NOT_YET, ON, REFUSAL, Case, Outlook, look
from prefcenter.consent.preferences import Result
from prefcenter.database import db, is_public_id
from prefcenter.models import (
    Action,
    EventKind,
    Inbound,
    Person,
    Review,
    ReviewReason,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms import outbox


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided, and why."""

    by: str
    why: str


def take(public_id: str, *, now: datetime) -> Case | None:
    """An open review, it and its person locked; None where it is closed or unknown.

    The person is locked first, as by everybody (REL-2); what was read before may be old then.
    """
    query = sa.select(Review).where(Review.public_id == public_id, Review.closed_at.is_(None))
    review = db.session.scalar(query) if is_public_id(public_id) else None
    if review is None:
        return None
    inbound = db.session.get_one(Inbound, review.inbound_id)
    person = people.by_number(inbound.number) if inbound.number else None
    locked = query.with_for_update().execution_options(populate_existing=True)
    review = db.session.scalar(locked)
    if review is None:
        return None  # closed meanwhile, or erased
    db.session.refresh(inbound)
    if person is not None and review.person_id not in (None, person.id):
        person = None  # the number has another owner by now
    return look(review, inbound, person, now=now)


def confirm_refusal(case: Case, decision: Decision, *, now: datetime) -> bool:
    """ "It was a refusal": True where that has stopped something now, False where it was so.

    What was only flagged stops now, unless a surely newer opt-in has overtaken it (REL-12).
    """
    inbound, person = case.inbound, case.person
    if not inbound.number or (person is None and case.review.person_id is not None):
        return False  # erased, or another owner's by now: nobody is left to stop
    acted = case.review.reason is ReviewReason.LIKELY_REFUSAL
    if person is None:
        country = phone.country_of(inbound.number) or "ZZ"
        language = config.current().default_language
        person = people.enrol(inbound.number, country, language, now=now)
        case.review.person_id = person.id
    moment = order.of_stop(inbound.said_at, heard_at=inbound.received_at)
    if acted or (person.status in ON and order.opted_in_after(person, moment)):
        _note(case, person, decision, REFUSAL, now)
        return False
    subscribed = person.status is Status.SUBSCRIBED
    said = {"word": "stop", "scope": "all", "review": case.review.public_id}
    proof, reason = _proof(case, person, decision, REFUSAL), SuppressionReason.KEYWORD
    done = preferences.revoke(person, proof, reason=reason, now=now, said=said)
    if subscribed:
        by_hand.acknowledge(person, min(moment, inbound.received_at), now=now)
    return done is Result.DONE


def deny_refusal(case: Case, decision: Decision, *, now: datetime) -> bool:
    """ "It was not": put back what the text took away; False where there was nothing to put
    back. Call it for no case that outlook.NOT_YET names."""
    if case.outlook in NOT_YET:
        raise ValueError(f"not yet: {case.outlook}")
    person = case.person
    if person is None:
        return False
    if case.outlook is Outlook.PUT_BACK:
        _put_back(case, person, decision, now)
    elif case.outlook is Outlook.PUT_BACK_KINDS:
        _put_back_kinds(case, person, decision, now)
    else:
        _note(case, person, decision, NO_REFUSAL, now)
        return False
    return True


def _put_back(case: Case, person: Person, decision: Decision, now: datetime) -> None:
    """Subscribed again as before, with a pause that is not over yet. No text says so."""
    assert case.event is not None and case.before is not None and person.number is not None
    until = case.before.paused_until
    still = until is not None and datetime.fromisoformat(until) > now
    changes: dict[str, Any] = {
        "word": NO_REFUSAL,
        "review": case.review.public_id,
        "paused_until": until if still else None,
    }
    person.undo_link = None
    ledger.record(
        person,
        EventKind.RESTARTED,
        _proof(case, person, decision, NO_REFUSAL),
        now=now,
        action=Action.RE_OPT_IN,
        changes=changes,
        refers_to=case.event.public_id,
    )
    suppression.lift(person.number)
    outbox.cancel(person.number, "texts were started again", now=now, spared=(TextKind.HELP,))


def _put_back_kinds(case: Case, person: Person, decision: Decision, now: datetime) -> None:
    assert case.event is not None
    dropped = json.loads(case.event.changes)["dropped"]
    ledger.record(
        person,
        EventKind.CHANGED,
        _proof(case, person, decision, NO_REFUSAL),
        now=now,
        action=Action.OPT_IN,
        changes={"word": NO_REFUSAL, "review": case.review.public_id, "added": dropped},
        refers_to=case.event.public_id,
    )


def _note(case: Case, person: Person, decision: Decision, word: str, now: datetime) -> None:
    """Keep the decision although it moves nothing."""
    if person.status is Status.REDACTED:
        return
    ledger.record(
        person,
        EventKind.NOTED,
        _proof(case, person, decision, word),
        now=now,
        changes={"word": word, "review": case.review.public_id},
        refers_to=case.event.public_id if case.event else None,
    )


def _proof(case: Case, person: Person, decision: Decision, word: str) -> Proof:
    text = case.inbound
    said = text.said_at.astimezone(UTC).isoformat() if text.said_at else ""
    return Proof(
        source=Source.ADMIN,
        detail=decision.by,
        language=person.language,
        answer={
            "decision": word,
            "note": decision.why,
            "recorded_by": decision.by,
            "text": text.text,
            "message_id": text.message_id,
            "said_at": said,
            "received_at": text.received_at.astimezone(UTC).isoformat(),
        },
    )
