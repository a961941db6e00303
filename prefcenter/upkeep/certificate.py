"""A certificate: all that proves what one number agreed to, in a file that can be checked.

The head has the fields of a Kantara consent receipt; below it stands every event of the ledger
with all that is hashed, the evidence with its salt, and the texts that were shown. Whoever has
the file can work out each hash anew without us, with the few lines that the file itself holds.

The file has one spelling only: canonical JSON, and the SHA-256 of its content. So a changed
byte shows, whichever it is. No hash has a key, though: who works all of them out anew can make
up a file that fits. That it is ours, only the SHA-256 in our admin log says.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import ledger
from prefcenter.consent.ledger import canonical
from prefcenter.consent.state import State
from prefcenter.database import read
from prefcenter.models import (
    Category,
    ConsentEvent,
    EventKind,
    Evidence,
    Person,
    Source,
    Status,
    WordingVersion,
)
from prefcenter.upkeep import belongings, story

FORMAT = "prefcenter certificate 1"
RECEIPT_VERSION = "KI-CR-v1.1.0"
HASHED = (
    *("id", "seq", "at", "kind", "action", "source", "source_detail", "language"),
    *("wording_sha256", "refers_to", "changes", "evidence_hash", "prev_hash", "hash"),
)
SNIPPET = """\
import hashlib, json, sys

def plain(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()

raw = open(sys.argv[1], "rb").read().decode()
whole = json.loads(raw)
assert raw == plain(whole) + "\\n", "the file was changed"
content = whole["certificate"]
assert whole["sha256"] == sha(plain(content)), "the file was changed"
texts = {sha(wording["text"]) for wording in content["wordings"]}
before = "0" * 64
for number, event in enumerate(content["events"], 1):
    evidence = event.pop("evidence")
    said = {key: value for key, value in event.items() if key != "hash"}
    said.update(format=1, person=content["person"])
    assert event["seq"] == number and event["prev_hash"] == before, number
    assert event["hash"] == sha(plain(said)), number
    if evidence:
        found = sha(evidence["salt"] + "\\n" + evidence["body"])
        assert found == event["evidence_hash"], number
    else:
        assert content["events"][-1]["kind"] == "erased", number
    if event["wording_sha256"]:
        assert event["wording_sha256"] in texts, number
    before = event["hash"]
assert before == content["head"]["hash"], "an event is missing"
print("whole:", len(content["events"]), "events; ask the issuer for the SHA-256 of theirs,")
print(whole["sha256"])
"""
HOW_TO_CHECK = (
    "This file has one spelling: JSON with sorted keys, no spaces, one line feed at its end."
    " sha256 is the SHA-256 of certificate in that spelling.",
    "Each event's hash is the SHA-256 of its other fields but evidence, with format 1 and person"
    " added, in that spelling. prev_hash is the hash of the event before it, 64 zeros for the"
    " first; head is the last.",
    "evidence_hash is the SHA-256 of salt, a line feed and body. Where evidence was erased, it is"
    " null and the hash stays. wording_sha256 is the SHA-256 of a text in wordings.",
    "`prefcenter verify --certificate FILE` checks all of it without a database. So does this"
    " program for Python 3, which needs nothing else: save the lines of snippet as check.py and"
    " run `python3 check.py FILE`.",
    "This shows that the file fits together, not who made it: anybody can work out hashes. Ask"
    " the issuer for the SHA-256 of the certificate with this consentReceiptID; it is in their"
    " admin log, and `prefcenter verify --certificate FILE --against-database` looks there.",
)
_events, _wordings = ConsentEvent.__table__.c, WordingVersion.__table__.c
_EVIDENCE = sa.select(Evidence.__table__).join(
    ConsentEvent.__table__, _events.id == Evidence.__table__.c.event_id
).where(_events.person_id == sa.bindparam("person"))  # fmt: skip
_WORDINGS = sa.select(WordingVersion.__table__).where(
    _wordings.sha256.in_(
        sa.select(_events.wording_sha256).where(_events.person_id == sa.bindparam("person"))
    )
)
_NAMES = sa.select(Category.__table__.c.slug, Category.__table__.c.name)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, as data for a page and as the bytes of its file."""

    content: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(canonical(self.content).encode()).hexdigest()

    @property
    def file(self) -> bytes:
        whole = {"certificate": self.content, "sha256": self.sha256}
        return canonical(whole).encode() + b"\n"


def issue(person: Person, *, by: str, reason: str, now: datetime) -> Certificate:
    """Everything about one person, as of now. Only reads; whoever takes it is to be logged."""
    rows = story.events_of(person.id)
    evidence = {row.event_id: row for row in read(_EVIDENCE, {"person": person.id})}
    events = [_event(row, evidence.get(row.id)) for row in rows]
    state = ledger.rebuilt(rows)
    names = {row.slug: row.name for row in read(_NAMES, {})}
    found = belongings.reach(person)
    content = {
        **_given(found.number if found else None, person),
        **following(events, state),
        "services": services(
            config.current().brand,
            [names.get(slug, slug) for slug in purposes(events, state)],
            state.status,
        ),
        "format": FORMAT,
        "person": person.public_id,
        "issuedAt": now.astimezone(UTC).isoformat(),
        "issuedBy": by,
        "issuedFor": reason,
        "events": events,
        "wordings": [
            {
                "sha256": row.sha256,
                "kind": row.kind,
                "language": row.language,
                "text": row.text,
                "first_shown_at": row.created_at.astimezone(UTC).isoformat(),
            }
            for row in read(_WORDINGS, {"person": person.id})
        ],
        "head": {
            "seq": len(events),
            "hash": events[-1]["hash"] if events else ledger.FIRST,
        },
    }
    return Certificate(content)


def last_grant(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The event of the last consent; what was put back by hand is none (second_look.py)."""
    for event in reversed(events):
        kind, source = str(event["kind"]), str(event["source"])
        if kind == EventKind.CONFIRMED or (kind == EventKind.RESTARTED and source != Source.ADMIN):
            return dict(event)
    return None


def _event(row: Any, evidence: Any) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": row.public_id,
        "seq": row.seq,
        "at": row.at.astimezone(UTC).isoformat(),
        "kind": row.kind.value,
        "action": row.action.value if row.action else None,
        "source": row.source.value,
        "source_detail": row.source_detail,
        "language": row.language,
        "wording_sha256": row.wording_sha256,
        "refers_to": row.refers_to,
        "changes": row.changes,
        "evidence_hash": row.evidence_hash,
        "prev_hash": row.prev_hash,
        "hash": row.hash,
    }
    kept = {"salt": evidence.salt, "body": evidence.body} if evidence else None
    return shown | {"evidence": kept}


def _given(number: str | None, person: Person) -> dict[str, Any]:
    """The fields of the receipt that are our word; no event says them but the number."""
    settings = config.current()
    return {
        "jurisdiction": person.country,
        "consentReceiptID": str(uuid.uuid4()),
        "piiPrincipalId": number,
        "piiControllers": [
            {
                "piiController": settings.brand,
                "onBehalf": False,
                "contact": settings.support,
                "piiControllerUrl": settings.public_url,
            }
        ],
        "policyUrl": settings.privacy_url or f"{settings.public_url}/privacy",
    }


def following(events: Sequence[Mapping[str, Any]], state: State) -> dict[str, Any]:
    """All that follows from the events, or is the same in each certificate of this FORMAT;
    times of a receipt are Unix seconds (Kantara 1.1)."""
    last = last_grant(events)
    return {
        "version": RECEIPT_VERSION,
        "consentTimestamp": _seconds(last["at"]) if last else None,
        "collectionMethod": _method(events, last),
        "publicKey": None,  # nothing is signed
        "language": last["language"] if last else state.language,
        "sensitive": False,
        "spiCat": [],
        "state": {
            "status": state.status.value,
            "categories": sorted(state.categories),
            "frequency": state.frequency,
            "paused_until": state.paused_until,
        },
        "howToCheck": list(HOW_TO_CHECK),
        "snippet": SNIPPET.splitlines(),
    }


def purposes(events: Sequence[Mapping[str, Any]], state: State) -> list[str]:
    """The slugs of what was agreed to: now, or else by the last consent."""
    last = last_grant(events)
    return sorted(state.categories) or (_added(last) if last else [])


def services(brand: str, names: Sequence[str], status: Status) -> list[dict[str, Any]]:
    """The service of a receipt, with a purpose for each kind of text."""
    rows = [_purpose(name, status) for name in names]
    return [{"service": f"Text messages from {brand}", "purposes": rows}]


def _purpose(name: str, status: Status) -> dict[str, Any]:
    return {
        "purpose": name,
        "purposeCategory": ["Direct marketing"],
        "consentType": "EXPLICIT",
        "piiCategory": ["Telephone number"],
        "primaryPurpose": True,
        "termination": "Reply STOP to any text"
        if status is Status.SUBSCRIBED
        else "Ended or never given; see state",
        "thirdPartyDisclosure": True,
        "thirdPartyName": "Vonage, which carries the texts",
    }


def _added(event: Mapping[str, Any]) -> list[str]:
    found: list[str] = json.loads(event["changes"]).get("added", [])
    return found


def _method(events: Sequence[Mapping[str, Any]], granted: Mapping[str, Any] | None) -> str | None:
    """How consent was taken: where it was asked for, and where the yes came in."""
    if granted is None:
        return None
    asked = [event for event in events if event["id"] == granted["refers_to"]]
    where = [f"{event['source']} {event['source_detail']}".strip() for event in (*asked, granted)]
    return ", then ".join(where)


def _seconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
