"""The append-only proof: the only writer of `consent_event` and `evidence`.

Each event names what changed, through which door, with which text shown, and carries the
hash of the one before it (RULE-11 to RULE-14, REL-22). What is personal stands in the
evidence row; the event keeps its salted hash, so that erasing it leaves the chain whole.
Recording an event also moves the person's row, by the same `state.apply` that rebuilds it.
A little long, because nobody else may write what is read back here.
"""

import hashlib
import json
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from flask import current_app

from prefcenter import config
from prefcenter.consent import state as states
from prefcenter.consent.state import State
from prefcenter.database import db, execute, insert, insert_row, new_public_id, per_dialect
from prefcenter.models import (
    Action,
    Category,
    ConsentEvent,
    EventKind,
    Evidence,
    Person,
    PersonCategory,
    Source,
    WordingVersion,
)
from prefcenter.models_exports import EventNote

_KNOWN = "prefcenter.wordings"
WISHED_CAP = "requested_frequency"  # of a request: how often at most, once it is confirmed
FIRST = "0" * 64  # the hash before the first event
Said = Mapping[str, Any]  # what a text adds to its event: word, provider's time, who answers
NOT_SAID: Said = MappingProxyType({})
_ADD_EVENT = sa.insert(ConsentEvent)
_CHANGES = sa.select(ConsentEvent.__table__.c.changes).where(
    ConsentEvent.__table__.c.public_id == sa.bindparam("ref")
)
_ADD_EVIDENCE = sa.insert(Evidence)
_ADD_NOTE = sa.insert(EventNote)
_PERSON_COLUMNS = [column.name for column in Person.__table__.c]
_SAVE = (
    sa.update(Person)
    .where(Person.__table__.c.id == sa.bindparam("new_id"))
    .values({name: sa.bindparam(f"new_{name}") for name in _PERSON_COLUMNS if name != "id"})
)
_taken, _kinds = PersonCategory.__table__, Category.__table__
_TAKE = sa.insert(PersonCategory).from_select(
    ["person_id", "category_id"],
    sa.select(sa.bindparam("person", type_=sa.BigInteger), _kinds.c.id).where(
        _kinds.c.slug.in_(sa.bindparam("slugs", expanding=True))
    ),
)
_DROP_ALL = sa.delete(PersonCategory).where(_taken.c.person_id == sa.bindparam("person"))
_DROP = _DROP_ALL.where(
    _taken.c.category_id.in_(
        sa.select(_kinds.c.id).where(_kinds.c.slug.in_(sa.bindparam("slugs", expanding=True)))
    )
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen when somebody acted (RULE-11). `answer` holds tick, button or text."""

    source: Source
    detail: str = ""
    language: str = "en"
    wording_sha256: str | None = None
    answer: Mapping[str, str] = field(default_factory=dict)
    page_url: str = ""
    ip: str = ""
    user_agent: str = ""

    def evidence(self, number: str | None) -> dict[str, Any]:
        return {
            "number": number,
            "ip": self.ip,
            "user_agent": self.user_agent,
            "page_url": self.page_url,
            "answer": dict(self.answer),
            "privacy_version": config.current().privacy_version,
        }


@dataclass
class Draft:
    """An event on its way into the ledger, with the fields of ConsentEvent."""

    public_id: str
    person_id: int
    seq: int
    at: datetime
    kind: EventKind
    action: Action | None
    source: Source
    source_detail: str
    language: str
    wording_sha256: str | None
    refers_to: str | None
    changes: str
    prev_hash: str
    evidence_hash: str = ""
    hash: str = ""


def canonical(value: Any) -> str:
    """JSON with one spelling, so that equal content has equal hashes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def publish(kind: str, language: str, text: str, *, now: datetime) -> str:
    """Keep a consent text as shown, once; gives its SHA-256 (RULE-14)."""
    sha256 = wording_sha256(text)
    known: set[str] = current_app.extensions.setdefault(_KNOWN, set())
    if sha256 not in known:
        values = {"kind": kind, "language": language, "text": text, "sha256": sha256}
        if not execute(_publish(), values | {"created_at": now}).rowcount:
            known.add(sha256)  # it was there before, so it is committed
    return sha256


@per_dialect
def _publish() -> sa.Insert:
    return insert(WordingVersion).on_conflict_do_nothing(index_elements=["sha256"])


def searchable(note: str) -> str:
    """Free text as it is kept to be searched, and as what is searched for: in any case, width
    and spacing."""
    return " ".join(unicodedata.normalize("NFKC", note).casefold().split())


def wording_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def record(
    person: Person,
    kind: EventKind,
    proof: Proof,
    *,
    now: datetime,
    action: Action | None = None,
    changes: Mapping[str, Any] | None = None,
    refers_to: str | None = None,
) -> None:
    """Append one event and move the person's row with it. Never commits.

    The caller holds the person's lock. Raises state.MoveError for a move that is not
    allowed; nothing is written then.
    """
    changes = dict(changes or {})
    event = Draft(
        public_id=new_public_id(),
        person_id=person.id,
        seq=person.ledger_seq + 1,
        at=now,
        kind=kind,
        action=action,
        source=proof.source,
        source_detail=proof.detail[:200],
        language=proof.language,
        wording_sha256=proof.wording_sha256,
        refers_to=refers_to,
        changes=canonical(changes),
        prev_hash=person.ledger_head,
    )
    after = states.apply(state_of(person, frozenset()), event, changes, _iso(now))
    salt, body = secrets.token_hex(32), canonical(proof.evidence(person.number))
    event.evidence_hash = evidence_hash(salt, body)
    event.hash = event_hash(event, person.public_id)
    event_id = insert_row(_ADD_EVENT, vars(event))
    execute(_ADD_EVIDENCE, {"event_id": event_id, "salt": salt, "body": body})
    if note := proof.answer.get("note"):
        execute(_ADD_NOTE, {"at": now, "event_id": event_id, "note": searchable(note)})
    person.ledger_seq, person.ledger_head = event.seq, event.hash
    _move(person, kind, changes, after)


def evidence_hash(salt: str, body: str) -> str:
    return hashlib.sha256(f"{salt}\n{body}".encode()).hexdigest()


def event_hash(event: ConsentEvent | Draft, person_public_id: str) -> str:
    """SHA-256 over everything that the event says, and the event before it."""
    content = {
        "format": 1,
        "person": person_public_id,
        "id": event.public_id,
        "seq": event.seq,
        "at": _iso(event.at),
        "kind": event.kind,
        "action": event.action,
        "source": event.source,
        "source_detail": event.source_detail,
        "language": event.language,
        "wording_sha256": event.wording_sha256,
        "refers_to": event.refers_to,
        "changes": event.changes,
        "evidence_hash": event.evidence_hash,
        "prev_hash": event.prev_hash,
    }
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def state_of(person: Person, categories: frozenset[str]) -> State:
    """The state as the person's row has it, with the categories they take."""
    return State(
        status=person.status,
        opt_in_level=person.opt_in_level,
        categories=categories,
        requested=frozenset(person.requested),
        frequency=person.frequency,
        paused_until=_iso(person.paused_until),
        language=person.language,
        request_ref=person.request_ref,
        request_expires_at=_iso(person.request_expires_at),
        confirmed_at=_iso(person.confirmed_at),
        opted_out_at=_iso(person.opted_out_at),
        opt_out_source=person.opt_out_source,
        reassigned_at=_iso(person.reassigned_at),
    )


def rebuilt(events: Iterable[ConsentEvent]) -> State:
    """The state that the ledger says, oldest event first. Raises state.MoveError."""
    return states.fold((event, json.loads(event.changes), _iso(event.at)) for event in events)


def restore(person: Person) -> None:
    """Make a held person's row say again what their ledger says. Never commits."""
    after = rebuilt(events_of(person.id))
    _set(person, after)
    save(person)
    execute(_DROP_ALL, {"person": person.id})
    execute(_TAKE, {"person": person.id, "slugs": list(after.categories)})


def events_of(person_id: int) -> list[ConsentEvent]:
    query = sa.select(ConsentEvent).where(ConsentEvent.person_id == person_id)
    return list(db.session.scalars(query.order_by(ConsentEvent.seq)))


def answer_of(event_id: int) -> dict[str, str]:
    """The tick, button or text that an event's evidence holds; nothing once it is erased."""
    evidence = db.session.get(Evidence, event_id)
    body: dict[str, Any] = json.loads(evidence.body or "{}") if evidence else {}
    return dict(body.get("answer", {}))


def wished_cap(request_ref: str | None) -> str | None:
    """How often at most, as an open request says it; None where it does not."""
    row = execute(_CHANGES, {"ref": request_ref}).first() if request_ref else None
    wished: str | None = json.loads(row.changes).get(WISHED_CAP) if row else None
    return wished


def save(person: Person) -> None:
    """Write a held person's row back."""
    execute(_SAVE, {f"new_{name}": getattr(person, name) for name in _PERSON_COLUMNS})


def _move(person: Person, kind: EventKind, changes: Mapping[str, Any], after: State) -> None:
    """Make the person's row, and the categories they take, say what is so after an event."""
    _set(person, after)
    save(person)
    if kind in (EventKind.REASSIGNED, EventKind.ERASED):
        execute(_DROP_ALL, {"person": person.id})
    if added := changes.get("added"):
        execute(_TAKE, {"person": person.id, "slugs": list(added)})
    if dropped := changes.get("dropped"):
        execute(_DROP, {"person": person.id, "slugs": list(dropped)})


def _set(person: Person, after: State) -> None:
    person.status, person.opt_in_level = after.status, after.opt_in_level
    person.frequency, person.language = after.frequency, after.language
    person.requested = sorted(after.requested)
    person.request_ref, person.opt_out_source = after.request_ref, after.opt_out_source
    person.paused_until = _moment(after.paused_until)
    person.request_expires_at = _moment(after.request_expires_at)
    person.confirmed_at = _moment(after.confirmed_at)
    person.opted_out_at = _moment(after.opted_out_at)
    person.reassigned_at = _moment(after.reassigned_at)


def _iso(moment: datetime | None) -> Any:
    return moment.astimezone(UTC).isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
