"""What a doubtful text did to a person, and what of it may be put back. Only reads.

Only what that one text took away, only where the rules themselves were in doubt, and never
past a stop that anything else has caused (INV-1, SEC-44). second_look.py acts on it.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import ledger, order, suppression
from prefcenter.consent import state as states
from prefcenter.consent.keywords import Refusal
from prefcenter.consent.state import State
from prefcenter.database import db
from prefcenter.models import (
    ConsentEvent,
    Deliverability,
    EventKind,
    Evidence,
    Inbound,
    Person,
    Review,
    ReviewReason,
    Source,
    Status,
)

REFUSAL, NO_REFUSAL = "refusal", "no refusal"  # the words of a decision in its event
ON = (Status.SUBSCRIBED, Status.PENDING)
# Words of a text that moved nothing and asked for nothing less, or for a cap, which is kept.
_HARMLESS = frozenset({"start", "join", "yes", "doubtful", REFUSAL, NO_REFUSAL})
_HARMLESS |= order.WISHES - {"pause"}


class Outlook(StrEnum):
    """What "it was not" would do; only the first two put anything back."""

    PUT_BACK = "put_back"
    PUT_BACK_KINDS = "put_back_kinds"
    NOTHING = "nothing"  # that text took nothing away
    BACK_ALREADY = "back_already"  # they came back by themselves
    NOT_CONFIRMED = "not_confirmed"  # it ended a request that nobody had confirmed
    STOPPED_SINCE = "stopped_since"  # something else stopped them
    NEW_OWNER = "new_owner"  # the number may be somebody else's
    OTHER_FIRST = "other_first"  # another text of theirs must be read first
    ASKED = "asked"  # they may still answer which texts to keep (RULE-23)


NOT_YET = (Outlook.OTHER_FIRST, Outlook.ASKED)  # "it was not" is decided later


@dataclass(frozen=True, slots=True)
class Case:
    """A review with its text, what that did to the person, and what may be put back."""

    review: Review
    inbound: Inbound
    person: Person | None
    outlook: Outlook
    event: ConsentEvent | None = None  # what the text did
    before: State | None = None


def look(review: Review, inbound: Inbound, person: Person | None, *, now: datetime) -> Case:
    """What this text did to this person, and what could be put back. Only reads."""
    nothing = Case(review, inbound, person, Outlook.NOTHING)
    if review.reason is not ReviewReason.LIKELY_REFUSAL or inbound.reading != Refusal.LIKELY:
        return nothing
    if person is None:
        outlook = Outlook.NOTHING if review.person_id is None else Outlook.NEW_OWNER
        return Case(review, inbound, person, outlook)
    events = ledger.events_of(person.id)
    index = _made_by(inbound, events)
    if index is None:
        return nothing
    event, before = events[index], ledger.rebuilt(events[:index])
    outlook = _outlook(person, event, before, events[index + 1 :], review)
    if outlook is Outlook.PUT_BACK and _is_asked(event, now):
        outlook = Outlook.ASKED
    return Case(review, inbound, person, outlook, event, before)


def is_founded(event: ConsentEvent, last_stop: ConsentEvent | None) -> bool:
    """False for a return by hand that takes back anything but a doubtful reading (SEC-44)."""
    if not states.is_put_back(event):
        return True
    return (
        last_stop is not None
        and event.refers_to == last_stop.public_id
        and last_stop.source is Source.SMS
        and json.loads(last_stop.changes).get("reading") == Refusal.LIKELY
    )


def _made_by(inbound: Inbound, events: Sequence[ConsentEvent]) -> int | None:
    """The place of the event that this text made: same moment, and its id in the evidence."""
    for index, event in enumerate(events):
        if event.source is Source.SMS and event.at == inbound.handled_at:
            evidence = db.session.get(Evidence, event.id)
            answer = json.loads(evidence.body)["answer"] if evidence else {}
            if answer.get("message_id") == inbound.message_id:
                return index
    return None


def _outlook(
    person: Person,
    event: ConsentEvent,
    before: State,
    later: Sequence[ConsentEvent],
    review: Review,
) -> Outlook:
    changes = json.loads(event.changes)
    if event.kind is EventKind.CHANGED and changes.get("scope") == "programme":
        return _kinds_outlook(person, set(changes["dropped"]), later, review)
    if event.kind is not EventKind.REVOKED or before.status not in ON:
        return Outlook.NOTHING
    if person.status in ON:
        return Outlook.BACK_ALREADY
    if person.deliverability in (Deliverability.DEACTIVATED, Deliverability.REASSIGNED):
        return Outlook.NEW_OWNER
    if _others_wait(person, review):
        return Outlook.OTHER_FIRST
    if _stopped_since(person, event, later):
        return Outlook.STOPPED_SINCE
    return Outlook.PUT_BACK if before.status is Status.SUBSCRIBED else Outlook.NOT_CONFIRMED


def _is_asked(event: ConsentEvent, now: datetime) -> bool:
    """True while the reply's "which ones?" can be answered: their own word comes first."""
    hours = timedelta(hours=config.current().which_hours)
    return bool(json.loads(event.changes).get("asked")) and now - event.at <= hours


def _kinds_outlook(
    person: Person, dropped: set[str], later: Sequence[ConsentEvent], review: Review
) -> Outlook:
    """Of a STOP that ended one programme: what it dropped, if nothing else touched that and
    they saved no choice of their own on a page, which showed it as off."""
    if person.status is not Status.SUBSCRIBED:
        return Outlook.STOPPED_SINCE
    if _others_wait(person, review):
        return Outlook.OTHER_FIRST
    if any(event.kind is EventKind.REVOKED for event in later) or _unanswered(later):
        return Outlook.STOPPED_SINCE
    for event in later:
        changes = json.loads(event.changes)
        saved = event.kind is EventKind.CHANGED and event.source is Source.PREFERENCE_PAGE
        if saved or dropped & {*changes.get("dropped", ()), *changes.get("added", ())}:
            return Outlook.BACK_ALREADY
    return Outlook.PUT_BACK_KINDS


def _stopped_since(person: Person, event: ConsentEvent, later: Sequence[ConsentEvent]) -> bool:
    """True where anything but this text wants them stopped, by our books or the provider's."""
    assert person.number is not None
    if any(one.kind is not EventKind.NOTED for one in later) or _unanswered(later):
        return True
    # Else the number was suppressed before, for a reason of its own.
    return suppression.since(person.number) != event.at


def _unanswered(later: Iterable[ConsentEvent]) -> bool:
    """True where something was noted since that asks for less and was not judged otherwise."""
    noted = [one for one in later if one.kind is EventKind.NOTED]
    judged = {
        one.refers_to
        for one in noted
        if one.source is Source.ADMIN and json.loads(one.changes).get("word") == NO_REFUSAL
    }
    return any(
        one.public_id not in judged and json.loads(one.changes).get("word") not in _HARMLESS
        for one in noted
    )


def _others_wait(person: Person, review: Review) -> bool:
    """True while another text of theirs may be a refusal, read by nobody yet."""
    open_reviews = sa.select(Review.id).where(
        Review.person_id == person.id,
        Review.id != review.id,
        Review.closed_at.is_(None),
        Review.reason != ReviewReason.DOUBTFUL_START,
    )
    unheard = sa.select(Inbound.id).where(
        Inbound.number == person.number, Inbound.handled_at.is_(None)
    )
    found = (db.session.scalar(query.limit(1)) for query in (open_reviews, unheard))
    return any(one is not None for one in found)
