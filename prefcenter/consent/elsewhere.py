"""Consent that somebody gave elsewhere: on paper, on the phone, to another program (RULE-11).

It counts only with its whole proof, and it can only turn on what nothing stands against: no stop,
no suppression, no new owner of the number, no refusal that may be newer (SEC-47). Then nothing is
written at all. It is written as a request and its confirmation, like every other consent, both
with that proof and with the level that it has. None of it commits.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import (
    breaker,
    catalog,
    ledger,
    limits,
    objections,
    order,
    people,
    send_windows,
)
from prefcenter.consent.ledger import Proof
from prefcenter.consent.objections import Reason
from prefcenter.consent.send_windows import Book
from prefcenter.database import db, execute
from prefcenter.models import (
    Action,
    ConsentEvent,
    EventKind,
    Evidence,
    OptInLevel,
    Person,
    Source,
    Status,
    TextKind,
)
from prefcenter.phone import Number
from prefcenter.sms import outbox

_JUST = timedelta(minutes=15)  # whoever agreed so lately is awake and expects the text
_events, _evidence = ConsentEvent.__table__.c, Evidence.__table__.c
_HANDED_IN = (
    sa.select(_events.public_id, _events.changes, _events.wording_sha256, _evidence.body)
    .join(Evidence.__table__, _events.id == _evidence.event_id)
    .where(
        _events.person_id == sa.bindparam("person"),
        _events.source == Source.API,
        _events.kind.in_((EventKind.CONFIRMED, EventKind.CHANGED, EventKind.NOTED)),
    )
    .order_by(_events.seq.desc())
)


class Method(StrEnum):
    """How somebody agreed."""

    PAPER_FORM = "paper_form"
    WEB_FORM = "web_form"
    IN_PERSON = "in_person"
    PHONE = "phone"
    KEYWORD = "keyword"


class Refused(Exception):
    """This consent turns nothing on."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Limited(Exception):
    """No more texts may be caused now, and without its welcome no consent counts (RULE-9)."""


@dataclass(frozen=True, slots=True)
class Given:
    """The whole proof. `answer` has what was ticked, signed or texted, who collected it and where,
    the collector's own `reference`, and whose key brought it."""

    given_at: datetime
    method: Method
    wording: str
    language: str  # of the wording
    answer: Mapping[str, str]
    page_url: str = ""
    ip: str = ""
    user_agent: str = ""
    proven: bool = False  # the phone itself said yes to whoever collected this

    def said(self, now: datetime) -> dict[str, Any]:
        """The part of it that its events say; never later than now, by a clock that was fast."""
        given = min(self.given_at, now).astimezone(UTC).isoformat()
        return {"given_at": given, "method": self.method.value}

    def proof(self, site: str, *, now: datetime) -> Proof:
        return Proof(
            source=Source.API,
            detail=site,
            language=self.language,
            wording_sha256=ledger.publish("elsewhere", self.language, self.wording, now=now),
            answer={**self.answer, **self.said(self.given_at)},
            page_url=self.page_url,
            ip=self.ip,
            user_agent=self.user_agent,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was agreed to, and at which collection point."""

    categories: Collection[str]
    site: str  # its slug
    language: str  # in which they are texted
    frequency: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The event that says so; its level is None where they were subscribed before."""

    event: str
    level: OptInLevel | None


def record(number: Number, wanted: Wanted, given: Given, *, book: Book, now: datetime) -> Recorded:
    """Subscribe a number on this proof, or add to what it takes.

    The same reference again gives the first answer and does nothing. Raises Refused or Limited,
    and then has written nothing but a breaker that trips, which the caller commits.
    """
    people.by_number(number.e164)  # held first, as by all who count texts
    passes = breaker.lets_pass(number.e164, number.country, wanted.site, now=now)
    with db.session.begin_nested():
        return _record(number, wanted, given, passes=passes, book=book, now=now)


def _record(
    number: Number, wanted: Wanted, given: Given, *, passes: bool, book: Book, now: datetime
) -> Recorded:
    person = people.enrol(number.e164, number.country, wanted.language, now=now)
    proof = given.proof(wanted.site, now=now)
    if found := _before(person, proof):
        return found
    if reason := objections.found(person, wanted.categories, given.given_at):
        raise Refused(reason)
    if person.status is Status.SUBSCRIBED:
        return _add(person, wanted, given, proof, passes=passes, book=book, now=now)
    _may_text(person, wanted.site, passes=passes, now=now)
    return _turn_on(person, wanted, given, proof, book, now)


def _before(person: Person, proof: Proof) -> Recorded | None:
    """What came of this reference before. Raises Refused where the proof was another."""
    for row in execute(_HANDED_IN, {"person": person.id}):
        answer = json.loads(row.body)["answer"]
        if any(answer.get(name) != proof.answer[name] for name in ("reference", "key")):
            continue
        if answer != proof.answer or row.wording_sha256 != proof.wording_sha256:
            raise Refused(Reason.REFERENCE_USED)
        level = json.loads(row.changes).get("opt_in_level")
        return Recorded(row.public_id, OptInLevel(level) if level else None)
    return None


def _add(
    person: Person,
    wanted: Wanted,
    given: Given,
    proof: Proof,
    *,
    passes: bool,
    book: Book,
    now: datetime,
) -> Recorded:
    """A subscriber's further categories. Where they take them all it is kept as proof."""
    added = sorted(set(wanted.categories) - catalog.taken(person.id))
    if not added:
        said = {"word": "elsewhere", **given.said(now)}
        ledger.record(person, EventKind.NOTED, proof, now=now, changes=said)
        return Recorded(order.newest(person), None)
    _may_text(person, wanted.site, passes=passes, now=now)
    changes, action = {"added": added, **given.said(now)}, Action.OPT_IN
    ledger.record(person, EventKind.CHANGED, proof, now=now, action=action, changes=changes)
    _tell(person, TextKind.CHANGED, given, book, now)
    return Recorded(order.newest(person), None)


def _turn_on(
    person: Person, wanted: Wanted, given: Given, proof: Proof, book: Book, now: datetime
) -> Recorded:
    """A request and its confirmation at once: the two steps of RULE-12, taken elsewhere."""
    assert person.number is not None
    level = OptInLevel.CONFIRMED if given.proven else OptInLevel.SINGLE
    again = person.confirmed_at is not None
    current, asked = catalog.taken(person.id), set(wanted.categories)
    request = {
        "requested": sorted(asked),
        "request_expires_at": now.astimezone(UTC).isoformat(),
        "language": wanted.language,
        **given.said(now),
    }
    ledger.record(person, EventKind.REQUESTED, proof, now=now, changes=request)
    outbox.cancel(person.number, "superseded", now=now, kind=TextKind.CONFIRM_REQUEST)
    changes = {
        "added": sorted(asked - current),
        "dropped": sorted(current - asked),
        "paused_until": None,
        "opt_in_level": level.value,
        **({"frequency": wanted.frequency} if wanted.frequency else {}),
        **given.said(now),
    }
    ledger.record(
        person,
        EventKind.CONFIRMED,
        proof,
        now=now,
        action=Action.RE_OPT_IN if again else Action.OPT_IN,
        changes=changes,
        refers_to=person.request_ref,
    )
    _tell(person, TextKind.WELCOME, given, book, now)
    return Recorded(order.newest(person), level)


def _may_text(person: Person, site: str, *, passes: bool, now: datetime) -> None:
    """Count the one text that follows (RULE-9, SEC-28), or raise Limited; `passes` as the breaker
    says."""
    assert person.number is not None
    if not passes or not limits.may_be_texted(person.number, person.country, site, now=now):
        raise Limited


def _tell(person: Person, kind: TextKind, given: Given, book: Book, now: datetime) -> None:
    """Say what is set; by day, unless they agreed a moment ago (RULE-32, RULE-36)."""
    assert person.number is not None
    not_before = now
    if now - given.given_at > _JUST:
        home = send_windows.home_of(person.number, person.country, person.zone)
        not_before = send_windows.next_allowed(home, now, book) or now
    outbox.queue(person, kind, now=now, not_before=not_before)
