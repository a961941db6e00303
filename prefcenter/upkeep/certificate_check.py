"""Is a certificate whole? Worked out from the file alone, which may hold anything.

Every fault is a sentence that names its place. A file that is whole fits together: whoever
changed a part of it did not work out anew all that follows. It does not prove who made it, since
no hash has a key, and names, addresses and the country are the issuer's word. Whether it is
ours, as we issued it, and what the ledger says today, `against` tells, with the database.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prefcenter.consent import state as states
from prefcenter.consent.ledger import FIRST, canonical, wording_sha256
from prefcenter.consent.state import MoveError, State
from prefcenter.models import EventKind, Person, Source
from prefcenter.upkeep.certificate import FORMAT, HASHED, following, purposes, services

_LARGEST = 256 * 1024 * 1024
_CONTENT = frozenset(
    {
        *("version", "jurisdiction", "consentTimestamp", "collectionMethod", "consentReceiptID"),
        *("publicKey", "language", "piiPrincipalId", "piiControllers", "policyUrl", "services"),
        *("sensitive", "spiCat", "format", "person", "issuedAt", "issuedBy", "issuedFor"),
        *("state", "events", "wordings", "head", "howToCheck", "snippet"),
    }
)
_TEXTS = frozenset(HASHED) - {"seq", "action", "wording_sha256", "refers_to"}
_MAYBE = ("action", "wording_sha256", "refers_to")
# Whatever a forger's values make of the fold.
_ODD = (MoveError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)


@dataclass(frozen=True, slots=True)
class Told:
    """What a whole certificate says, for whoever compares it."""

    person: str
    seq: int
    head: str
    sha256: str


@dataclass(slots=True)
class _Entry:
    public_id: str
    kind: EventKind
    source: Source


class Broken(Exception):
    """The file is no certificate that could be looked into; the sentence says where it ends."""


def examine(data: bytes) -> tuple[list[str], Told | None]:
    """Every fault of a file, and what it says; the second is None where it cannot be read."""
    try:
        content = _content(data)
        faults = [*_spelling(data), *_events(content), *_wordings(content), *_receipt(content)]
        sha256 = _sha(canonical(content))
    except Broken as error:
        return [str(error)], None
    head = content["head"]
    return faults, Told(content["person"], head["seq"], head["hash"], sha256)


def against(
    told: Told, person: Person | None, head_then: str | None, issued: Collection[str]
) -> list[str]:
    """What the database says otherwise. `head_then` is the ledger's hash at the certificate's
    last event, `issued` the SHA-256 of each certificate that was taken of this person."""
    if person is None:
        return [f"person {told.person}: this database has no such person"]
    if head_then != told.head:
        return [f"event {told.seq}: the ledger has another one in its place, or none"]
    if told.sha256 not in issued:
        return ["sha256: the admin log knows no such certificate; it was changed, or made up"]
    return []


def _content(data: bytes) -> dict[str, Any]:
    """The part that is hashed, with every field that the rest relies on."""
    if len(data) > _LARGEST:
        raise Broken("The file is too large to be a certificate.")
    try:
        whole = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise Broken("The file is not JSON; it was cut off or changed.") from error
    if not isinstance(whole, dict) or set(whole) != {"certificate", "sha256"}:
        raise Broken("The file is no certificate of prefcenter.")
    content = whole["certificate"]
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Broken(f"certificate.format: this version reads only {FORMAT!r}.")
    if set(content) != _CONTENT:
        odd = ", ".join(sorted(map(str, set(content) ^ _CONTENT)))
        raise Broken(f"certificate: missing or unknown: {odd}")
    _check_shapes(content)
    return content


def _check_shapes(content: Mapping[str, Any]) -> None:
    shapes = {"events": list, "wordings": list, "head": dict, "state": dict, "person": str}
    for name, kind in shapes.items():
        if not isinstance(content[name], kind):
            raise Broken(f"certificate.{name}: not as we write it")
    head = content["head"]
    if type(head.get("seq")) is not int or not isinstance(head.get("hash"), str):
        raise Broken("certificate.head: not as we write it")
    for name, rows, fits in (
        ("event", content["events"], _is_event),
        ("wording", content["wordings"], _is_wording),
    ):
        for place, row in enumerate(rows, 1):
            if not fits(row):
                raise Broken(f"{name} {place}: not as we write it")


def _is_wording(wording: Any) -> bool:
    keys = {"sha256", "kind", "language", "text", "first_shown_at"}
    fits = isinstance(wording, dict) and set(wording) == keys
    return fits and all(isinstance(value, str) for value in wording.values())


def _is_event(event: Any) -> bool:
    if not isinstance(event, dict) or set(event) != {*HASHED, "evidence"}:
        return False
    texts = all(isinstance(event[name], str) for name in _TEXTS)
    maybe = all(isinstance(event[name], str | None) for name in _MAYBE)
    return texts and maybe and type(event["seq"]) is int and _is_evidence(event["evidence"])


def _is_evidence(evidence: Any) -> bool:
    if evidence is None:
        return True
    keys = isinstance(evidence, dict) and set(evidence) == {"salt", "body"}
    return keys and all(isinstance(value, str) for value in evidence.values())


def _spelling(data: bytes) -> Iterator[str]:
    """One spelling only, so that no byte can change unseen."""
    whole = json.loads(data)
    try:
        if canonical(whole).encode() + b"\n" != data:
            yield "The file was spelt anew: spaces, order or line ends are not as we write them."
        if wording_sha256(canonical(whole["certificate"])) != whole["sha256"]:
            yield "sha256: the content was changed after the certificate was made"
    except UnicodeEncodeError:
        yield "The file holds characters that we never write."


def _events(content: Mapping[str, Any]) -> Iterator[str]:
    head = FIRST
    erased = bool(content["events"]) and content["events"][-1]["kind"] == EventKind.ERASED
    for place, event in enumerate(content["events"], 1):
        yield from _event(place, event, content["person"], head)
        if event["evidence"] is None and not erased:
            yield f"event {place}: its evidence is missing, and nothing was erased"
        head = event["hash"]
    if (content["head"]["seq"], content["head"]["hash"]) != (len(content["events"]), head):
        yield "certificate.head: it is not the last event; one is missing at the end"


def _event(place: int, event: Mapping[str, Any], person: str, head: str) -> Iterator[str]:
    name = f"event {place} ({event['id'][:22]})"
    if event["seq"] != place:
        yield f"{name}: event {place} is missing before it"
    if event["prev_hash"] != head:
        yield f"{name}: prev_hash is not the hash of the event before it"
    if _hash(event, person) != event["hash"]:
        yield f"{name}: hash: the event was changed after it was written"
    evidence = event["evidence"]
    if evidence and _sha(f"{evidence['salt']}\n{evidence['body']}") != event["evidence_hash"]:
        yield f"{name}: evidence_hash: the evidence was changed"


def _hash(event: Mapping[str, Any], person: str) -> str:
    said = {name: event[name] for name in HASHED if name != "hash"}
    return _sha(canonical(said | {"format": 1, "person": person}))


def _sha(text: str) -> str:
    """Also of what no database could hold: then no hash fits."""
    try:
        return wording_sha256(text)
    except UnicodeEncodeError:
        return ""


def _wordings(content: Mapping[str, Any]) -> Iterator[str]:
    known = set()
    for place, wording in enumerate(content["wordings"], 1):
        known.add(wording["sha256"])
        if _sha(wording["text"]) != wording["sha256"]:
            yield f"wording {place}: sha256: the text was changed"
    for place, event in enumerate(content["events"], 1):
        if event["wording_sha256"] and event["wording_sha256"] not in known:
            yield f"event {place}: the text that was shown is not in wordings"


def _receipt(content: Mapping[str, Any]) -> Iterator[str]:
    """Whoever makes up a receipt for a genuine chain is found out: the head must say what the
    events add up to."""
    events = content["events"]
    try:
        state = _fold(events)
        expected = following(events, state)
        slugs = purposes(events, state)
        numbers = [number for number in map(_number, events) if number]
    except _ODD as error:
        yield f"certificate.events: they do not add up ({type(error).__name__})"
        return
    for name, value in expected.items():
        if canonical(content[name]) != canonical(value):
            yield f"certificate.{name}: the events add up to something else"
    if events and content["piiPrincipalId"] != (numbers[-1] if numbers else None):
        yield "certificate.piiPrincipalId: the evidence names another number, or none"
    if not _has_services(content, len(slugs), state):
        yield "certificate.services: not what the events add up to"


def _has_services(content: Mapping[str, Any], count: int, state: State) -> bool:
    """The names of the kinds are the issuer's word; how many there are, and all else, is not."""
    try:
        brand = content["piiControllers"][0]["piiController"]
        names = [purpose["purpose"] for purpose in content["services"][0]["purposes"]]
    except (LookupError, TypeError):
        return False
    texts = all(isinstance(text, str) for text in (brand, *names))
    expected = services(brand, names, state.status)
    same = canonical(content["services"]) == canonical(expected)
    return texts and len(names) == count and same


def _fold(events: list[dict[str, Any]]) -> State:
    return states.fold(
        (
            _Entry(event["id"], EventKind(event["kind"]), Source(event["source"])),
            json.loads(event["changes"]),
            event["at"],
        )
        for event in events
    )


def _number(event: Mapping[str, Any]) -> str | None:
    if event["evidence"] is None:
        return None
    found = json.loads(event["evidence"]["body"]).get("number")
    return found if isinstance(found, str) else None
