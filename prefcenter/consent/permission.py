"""May this number be texted about this now? One pure function over what is known (RULE-25,
RULE-32 to RULE-38, SEC-40).

Whatever is unknown, doubtful or missing is denied. What time alone forbids is delayed, to the
first moment when it would be allowed if nothing else happened. Nothing is allowed without an
event that grants it (INV-6); snapshots.py finds that event.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prefcenter.consent import send_windows
from prefcenter.consent.send_windows import Book, Home
from prefcenter.models import Deliverability, OptInLevel, Status

_DAY = timedelta(days=1)
SPANS = {"week": timedelta(days=7), "month": timedelta(days=30)}


class Kind(StrEnum):
    """What a text is for; the sender says it."""

    MARKETING = "marketing"
    TRANSACTIONAL = "transactional"


class Decision(StrEnum):
    ALLOW = "allow"
    DENY = "deny"
    DELAY = "delay"


class Reason(StrEnum):
    """Why; a promise to programs, so a word is added here and never renamed."""

    SUBSCRIBED = "subscribed"
    UNKNOWN_NUMBER = "unknown_number"
    UNKNOWN_CATEGORY = "unknown_category"
    CATEGORY_RETIRED = "category_retired"
    NOT_SUBSCRIBED = "not_subscribed"
    PENDING = "pending"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    ERASED = "erased"
    UNREACHABLE = "unreachable"
    NOT_THIS_CATEGORY = "not_this_category"
    NOT_TRANSACTIONAL = "not_transactional"
    NO_EVIDENCE = "no_evidence"
    STOP_WAITING = "stop_waiting"  # a text came in whose effect is still to come
    STOP_UNRECORDED = "stop_unrecorded"  # somebody's text could not be stored (REL-16)
    PAUSED = "paused"
    FREQUENCY = "frequency"  # the person's own cap (RULE-37)
    BRAND_CAP = "brand_cap"
    STATE_CAP = "state_cap"  # RULE-34
    QUIET_HOURS = "quiet_hours"


@dataclass(frozen=True, slots=True)
class Asked:
    """A category as it is offered now."""

    slug: str
    transactional: bool
    retired: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of one person and one category at one moment. `sent` are the marketing texts
    of 30 days, `granted` is True where the ledger has the event that the consent rests on."""

    status: Status
    level: OptInLevel
    deliverability: Deliverability
    suppressed: bool
    stop_waiting: bool
    takes: bool
    granted: bool
    frequency: str
    paused_until: datetime | None
    home: Home
    sent: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment has set; and whether a STOP may be lost to it just now."""

    book: Book
    brand_cap: str = "all"  # as a person's frequency is written
    stop_unrecorded: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    decision: Decision
    reason: Reason
    not_before: datetime | None = None


_OFF = {
    Status.NOT_SUBSCRIBED: Reason.NOT_SUBSCRIBED,
    Status.PENDING: Reason.PENDING,
    Status.UNSUBSCRIBED: Reason.UNSUBSCRIBED,
    Status.REDACTED: Reason.ERASED,
}
# A phone that was off, or without credit, is none of these: that passes, and says nothing of who
# holds the number (RULE-51). The next text is how anybody learns that it works again.
_GONE = (Deliverability.INVALID, Deliverability.DEACTIVATED, Deliverability.REASSIGNED)


def decide(
    person: Snapshot | None, asked: Asked | None, kind: Kind, rules: Rules, *, at: datetime
) -> Verdict:
    """The answer for a text that would leave at this moment."""
    refusal = _refusal(person, asked, kind, rules)
    if refusal:
        return Verdict(Decision.DENY, refusal)
    assert person is not None
    moment, reason = _first_moment(person, kind, rules, at)
    if moment is None:
        return Verdict(Decision.DENY, reason)
    if moment > at:
        return Verdict(Decision.DELAY, reason, not_before=moment)
    return Verdict(Decision.ALLOW, Reason.SUBSCRIBED)


def _refusal(
    person: Snapshot | None, asked: Asked | None, kind: Kind, rules: Rules
) -> Reason | None:
    """What no waiting would change; None where nothing forbids."""
    if asked is None:
        return Reason.UNKNOWN_CATEGORY
    if person is None:
        return Reason.UNKNOWN_NUMBER
    proven = person.granted and person.level is not OptInLevel.UNKNOWN
    checks = (
        (person.stop_waiting, Reason.STOP_WAITING),
        (person.status in _OFF, _OFF.get(person.status, Reason.NOT_SUBSCRIBED)),
        (person.suppressed, Reason.SUPPRESSED),
        (person.deliverability in _GONE, Reason.UNREACHABLE),
        (asked.retired, Reason.CATEGORY_RETIRED),
        (not person.takes, Reason.NOT_THIS_CATEGORY),
        (kind is Kind.TRANSACTIONAL and not asked.transactional, Reason.NOT_TRANSACTIONAL),
        (not proven, Reason.NO_EVIDENCE),
        (rules.stop_unrecorded, Reason.STOP_UNRECORDED),
    )
    return next((reason for found, reason in checks if found), None)


def _first_moment(
    person: Snapshot, kind: Kind, rules: Rules, at: datetime
) -> tuple[datetime | None, Reason]:
    """From when on nothing of time forbids, and what forbids it first now.

    Each bound can only move the moment on, and a later moment may fall into another quiet hour,
    so they are asked in turn until none moves it.
    """
    moment, reason = at, Reason.SUBSCRIBED
    while True:
        for bound, why in _bounds(person, kind, rules, moment):
            if bound is None:
                return None, why
            if bound > moment:
                moment, reason = bound, why if moment == at else reason
                break
        else:
            return moment, reason


def _bounds(
    person: Snapshot, kind: Kind, rules: Rules, at: datetime
) -> Iterator[tuple[datetime | None, Reason]]:
    """A pause holds for every kind, because we said "no texts until"; caps and quiet hours only
    for marketing, also about a category that is flagged transactional (RULE-32, RULE-37)."""
    yield person.paused_until or at, Reason.PAUSED
    if kind is Kind.TRANSACTIONAL:
        return
    yield _below(person.sent, person.frequency, at), Reason.FREQUENCY
    yield _below(person.sent, rules.brand_cap, at), Reason.BRAND_CAP
    state_cap = send_windows.daily_cap(person.home, rules.book)
    yield _under(person.sent, state_cap, _DAY, at), Reason.STATE_CAP
    yield send_windows.next_allowed(person.home, at, rules.book), Reason.QUIET_HOURS


def is_capped(frequency: str) -> bool:
    """False for "all"; True also for what cannot be read, so that it is looked at."""
    return frequency != "all"


def _below(sent: Sequence[datetime], frequency: str, at: datetime) -> datetime:
    """From when on one text more stays within "all", "N/week" or "N/month".

    Raises ValueError or KeyError for anything else: an error allows nothing.
    """
    if not is_capped(frequency):
        return at
    count, _, unit = frequency.partition("/")
    return _under(sent, int(count), SPANS[unit], at)


def _under(sent: Sequence[datetime], cap: int | None, span: timedelta, at: datetime) -> datetime:
    """From when on fewer than `cap` texts lie in the span that ends then (RULE-37).

    A text is out of the span when it is exactly as old as the span is long.
    """
    if cap is None or len(sent) < cap:
        return at
    return max(at, sorted(sent, reverse=True)[cap - 1] + span)
