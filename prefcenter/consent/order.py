"""What was said after what, by the provider's clock and not by arrival (REL-12).

A text can arrive a day late and behind a newer one. Its event keeps `said_at`, the
provider's time, and these questions are answered from the ledger itself. What was done on
a page has our own time, which the provider's can miss by SKEW: there the stop wins.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import ledger
from prefcenter.consent import state as states
from prefcenter.database import execute
from prefcenter.models import ConsentEvent, EventKind, Person, Source, Status

SKEW = timedelta(minutes=5)
_LONGEST = timedelta(hours=26)
_events = ConsentEvent.__table__.c
_LATER = (
    sa.select(_events.id)
    .where(_events.person_id == sa.bindparam("person"), _events.at > sa.bindparam("moment"))
    .limit(1)
)

_NEWEST = sa.select(_events.public_id).where(
    _events.person_id == sa.bindparam("person"), _events.seq == sa.bindparam("seq")
)


@dataclass(frozen=True, slots=True)
class History:
    """The newest of each kind that the ledger knows; None where there is none."""

    stop: datetime | None = None
    stop_by_text: bool = False  # then `stop` is the provider's time, exact to the second
    yes: datetime | None = None
    frequency: datetime | None = None  # when a cap was named; each LESS is in `lesses`
    lesses: tuple[datetime, ...] = ()
    pause: datetime | None = None  # or its end
    paused_until: str | None = None  # what that pause asked for; None after its end
    join: datetime | None = None  # with nothing to confirm, or no more
    join_event: int = 0
    no: datetime | None = None
    no_event: int = 0


# Words by which nobody stops or comes back.
WISHES = frozenset({"less", "weekly", "monthly", "pause", "resume", "no"})
# What an event of a word that was heard while texts were off keeps, until they are on.
WISHED_PAUSE = "wished_pause"


@dataclass(frozen=True, slots=True)
class Programme:
    """One STOP that ended the programme of one of our numbers; `at` is our time."""

    ours: str
    slugs: frozenset[str]
    at: datetime
    said_at: datetime


def sure(said_at: datetime | None, *, heard_at: datetime) -> bool:
    """False for a time that is missing, or that cannot be: ahead of us, or from before the
    day for which the provider repeats what it could not deliver."""
    return said_at is not None and heard_at - _LONGEST <= said_at <= heard_at + SKEW


def of_stop(said_at: datetime | None, *, heard_at: datetime) -> datetime:
    """When a STOP was said; a doubtful time is taken for the latest that it can be by
    the provider's clock, so that it wins."""
    return said_at if said_at and sure(said_at, heard_at=heard_at) else heard_at + SKEW


def opted_in_after(person: Person, moment: datetime) -> bool:
    """True when there is an explicit opt-in that is surely newer than this moment."""
    if execute(_LATER, {"person": person.id, "moment": moment - SKEW}).first() is None:
        return False
    yes = history(person).yes
    return yes is not None and moment < yes


def history(person: Person) -> History:
    """Read a person's ledger for what was said last."""
    found: dict[str, Any] = {}
    lesses: list[datetime] = []
    requests: dict[str, datetime] = {}
    is_open = person.status is Status.PENDING
    for event in ledger.events_of(person.id):
        changes = json.loads(event.changes)
        said = when(event, changes)
        if event.kind is EventKind.REQUESTED:
            requests[event.public_id] = said
        for name in _names(event, changes):
            if event.kind is EventKind.REQUESTED and name == "join" and is_open:
                name = "yes"  # the newest of them waits to be confirmed
            of_request = event.kind is EventKind.CONFIRMED
            at = requests.get(event.refers_to or "", said) if of_request else said
            if name == "less":
                lesses.append(at)
            elif name not in found or at >= found[name]:
                found |= {name: at, **_details(name, event, changes)}
    return History(**found, lesses=tuple(lesses))


def _details(name: str, event: ConsentEvent, changes: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the newest of a kind beside its time."""
    if name == "stop":
        return {"stop_by_text": event.source is Source.SMS}
    if name == "pause":
        return {"paused_until": changes.get(WISHED_PAUSE) or changes.get("paused_until")}
    return {f"{name}_event": event.id} if name in ("join", "no") else {}


def pause_after(person: Person, moment: datetime, *, now: datetime) -> str | None:
    """Until when a pause lasts that was asked for after this moment, when texts turn on."""
    past = history(person)
    until = past.paused_until
    wished = until is not None and past.pause is not None and past.pause > moment
    return until if until and wished and datetime.fromisoformat(until) > now else None


def overtaken(newest: datetime | None, said_at: datetime | None, *, heard_at: datetime) -> bool:
    """True when this may have been said before the newest of its kind, or nobody knows."""
    if newest is None:
        return False
    return said_at is None or not sure(said_at, heard_at=heard_at) or said_at < newest


def pressed_stop_lately(person: Person, *, now: datetime) -> bool:
    """True when the newest stop came from a page a moment ago: a press that was sent twice."""
    stops = [one for one in ledger.events_of(person.id) if _stops(one, json.loads(one.changes))]
    by_page = bool(stops) and stops[-1].source is Source.PREFERENCE_PAGE
    return by_page and now - stops[-1].at < SKEW


def dropped_at(person: Person, slugs: Collection[str]) -> datetime | None:
    """When one of these categories, or everything, was last stopped or unticked; what was
    unticked on a page has the stop's side of two clocks."""
    found = None
    for event in ledger.events_of(person.id):
        changes = json.loads(event.changes)
        ends = event.kind is EventKind.REVOKED or not set(slugs).isdisjoint(
            changes.get("dropped", ())
        )
        if ends:
            said = when(event, changes) + (0 if event.source is Source.SMS else 1) * SKEW
            found = said if found is None else max(found, said)
    return found


def stopped_programmes(person: Person) -> list[Programme]:
    """The STOPs that ended one programme alone, oldest first (RULE-25)."""
    found = []
    for event in ledger.events_of(person.id):
        changes = json.loads(event.changes)
        if changes.get("scope") == "programme":
            slugs = frozenset(changes["dropped"])
            found.append(Programme(changes["ours"], slugs, event.at, when(event, changes)))
    return found


def newest(person: Person) -> str:
    """The public id of the last event of a person whose row is held."""
    values = {"person": person.id, "seq": person.ledger_seq}
    return str(execute(_NEWEST, values).scalar_one())


def request_said_at(person: Person) -> datetime:
    """When the open request was made; on the side of a stop where a page made it."""
    for event in ledger.events_of(person.id):
        if event.public_id == person.request_ref:
            return when(event, json.loads(event.changes))
    raise LookupError(person.request_ref)


def is_reopened(person: Person) -> bool:
    """True when the open request followed a stop, and nothing but texts from the handset."""
    kinds = (EventKind.REVOKED, EventKind.REQUESTED)
    for event in reversed(ledger.events_of(person.id)):
        if event.kind is EventKind.REVOKED:
            return True
        if event.kind is EventKind.NOTED:
            continue
        if event.kind not in kinds or event.source is not Source.SMS:
            return False
    return False


def when(event: ConsentEvent, changes: dict[str, Any]) -> datetime:
    """The provider's time; for what was done elsewhere ours, on the side of a stop."""
    at = event.at.astimezone(UTC)
    if event.source is Source.SMS:
        return datetime.fromisoformat(changes["said_at"]) if changes.get("sure") else at
    if given := changes.get("given_at"):  # on paper or to another program, by clocks we never saw
        return datetime.fromisoformat(given) - SKEW
    return at if _stops(event, changes) or event.kind is EventKind.CHANGED else at - SKEW


def _stops(event: ConsentEvent, changes: dict[str, Any]) -> bool:
    """True for a stop of everything, also where all was stopped already."""
    return event.kind is EventKind.REVOKED or changes.get("word") == "stop"


def _names(event: ConsentEvent, changes: dict[str, Any]) -> list[str]:
    """Which of History's questions an event answers; of a doubtful time only a stop or a NO."""
    by_text = event.source is Source.SMS
    if changes.get("sure") is False and event.kind is not EventKind.REVOKED:
        return [changes["word"]] if changes["word"] in ("stop", "no") else []
    if event.kind is EventKind.NOTED:
        return _NOTED.get(changes.get("word", ""), [])
    if event.kind is EventKind.REQUESTED:
        return ["join", "pause"] if by_text else []
    if states.is_put_back(event):
        return []  # put back by hand, which is no word of the person's: a late STOP still wins
    if event.kind is EventKind.CHANGED:
        if changes.get("word") == "join":
            return ["join"]  # it added something, and ended no pause
        named = "frequency" in changes and not by_text
        return ["frequency"] if named else _NOTED.get(changes.get("word", ""), [])
    if event.kind is EventKind.DECLINED:
        return ["no"] if by_text else []
    more = ["frequency"] if "frequency" in changes else []  # of a request that was confirmed
    return (
        _BY_KIND.get(event.kind, [])
        + more
        + (["pause"] if changes.get("word") in ("start", "keep") else [])
    )


_NOTED = {
    "stop": ["stop"],
    "start": ["yes", "pause"],  # START also ends a pause
    "join": ["join", "pause"],  # no yes: in order, whoever had stopped would be asked first
    "no": ["no"],
    "pause": ["pause"],
    "resume": ["pause"],
    "weekly": ["frequency"],
    "monthly": ["frequency"],
    "less": ["less"],
}
_BY_KIND = {
    EventKind.REVOKED: ["stop"],
    EventKind.CONFIRMED: ["yes", "pause"],
    EventKind.RESTARTED: ["yes"],
    EventKind.PAUSED: ["pause"],
    EventKind.RESUMED: ["pause"],
}
