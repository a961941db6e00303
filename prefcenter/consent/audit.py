"""Does the proof hold, and do the rows say what it says? Reads only (REL-22, INV-2)."""

from collections.abc import Iterator

import sqlalchemy as sa

from prefcenter.consent import catalog, ledger, outlook, suppression
from prefcenter.consent.state import MoveError, State
from prefcenter.database import db, is_postgresql
from prefcenter.models import ConsentEvent, EventKind, Evidence, Person, Status, WordingVersion

_CHUNK = 500
# Not told by the status: a pending person may have reopened a stopped number from the handset,
# and only the confirmation lifts its suppression.
_SUPPRESSED = {Status.SUBSCRIBED: False, Status.UNSUBSCRIBED: True}


def differences() -> Iterator[tuple[Person, str]]:
    """Every person whose row or suppression is not what their ledger says, and how."""
    for person in _everybody():
        try:
            expected = ledger.rebuilt(ledger.events_of(person.id))
        except MoveError as error:
            yield person, str(error)
            continue
        found = ledger.state_of(person, catalog.taken(person.id))
        names = [n for n in State.__slots__ if getattr(found, n) != getattr(expected, n)]
        if names:
            yield person, "differs in " + ", ".join(names)
        wanted = _SUPPRESSED.get(expected.status)
        if person.number and wanted not in (None, suppression.contains(person.number)):
            yield person, f"is {expected.status}, which its suppression contradicts"


def faults() -> Iterator[str]:
    """Every break in the proof, each naming its row: edits, gaps, changed evidence."""
    for person in _everybody():
        yield from _chain_faults(person)
    for version in db.session.scalars(sa.select(WordingVersion)):
        if ledger.wording_sha256(version.text) != version.sha256:
            yield f"wording_version {version.id}: the text was changed"


def _chain_faults(person: Person) -> Iterator[str]:
    head, seq = ledger.FIRST, 0
    stop: ConsentEvent | None = None
    for event in ledger.events_of(person.id):
        row = f"consent_event {event.id} (person {person.public_id}, event {event.seq})"
        if event.seq != seq + 1:
            yield f"{row}: event {seq + 1} before it is missing"
        elif event.prev_hash != head:
            yield f"{row}: it does not follow the event before it"
        if ledger.event_hash(event, person.public_id) != event.hash:
            yield f"{row}: it was changed after it was written"
        evidence = db.session.get(Evidence, event.id)
        if evidence and ledger.evidence_hash(evidence.salt, evidence.body) != event.evidence_hash:
            yield f"{row}: its evidence was changed"
        if not outlook.is_founded(event, stop):
            yield f"{row}: it takes back a stop that nobody may take back"
        stop = event if event.kind is EventKind.REVOKED else stop
        head, seq = event.hash, event.seq
    if (head, seq) != (person.ledger_head, person.ledger_seq):
        yield f"person {person.public_id}: the ledger should end at event {person.ledger_seq}"


def hold_still() -> None:
    """Look at one moment of a database that others go on writing to."""
    if is_postgresql():
        db.session.rollback()
        db.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def _everybody() -> Iterator[Person]:
    last = 0
    while True:
        query = sa.select(Person).where(Person.id > last).order_by(Person.id).limit(_CHUNK)
        people = list(db.session.scalars(query))
        if not people:
            return
        last = people[-1].id
        yield from people
        db.session.expunge_all()
