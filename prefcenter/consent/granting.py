"""Which event a person's consent to one category rests on (INV-6).

That is the newest one with which the person took it: they confirmed, came back, or added it. What
somebody here puts back because a text was read wrongly (second_look.py) is no new consent; then it
rests again on what it rested on before that text.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from prefcenter.driver import Query, Within, iso, listed
from prefcenter.models import EventKind, Source

_BY_PERSON = frozenset({EventKind.CONFIRMED, EventKind.RESTARTED})
_OVER = frozenset({EventKind.REASSIGNED, EventKind.ERASED})
_LEDGER = Query("""
    SELECT person_id, public_id, at, kind, source, wording_sha256, changes
      FROM consent_event WHERE person_id IN ({each id}) ORDER BY person_id, seq
""")


class Grant(NamedTuple):
    """The event, as an answer cites it: who is known by the id, when, and which wording."""

    event: str  # public id
    at: str  # ISO 8601, UTC
    source: str
    wording_sha256: str | None


class Entry(NamedTuple):
    """What of a ledger event matters here. `at` is as the driver gives it."""

    public_id: str
    at: str | datetime
    kind: str
    source: str
    wording_sha256: str | None
    changes: str

    def grant(self) -> Grant:
        return Grant(self.public_id, iso(self.at), self.source, self.wording_sha256)


def is_plain(entry: Entry, slug: str) -> bool:
    """True where this one event decides: the newest that has to do with the category, and with
    it the person took the category themselves. For the rest the whole ledger is asked."""
    if entry.source == Source.ADMIN:
        return False
    if entry.kind == EventKind.CHANGED:
        return slug in json.loads(entry.changes).get("added", ())
    return entry.kind in _BY_PERSON


@dataclass(slots=True)
class _Consent:
    """What has been found so far, oldest event first."""

    takes: bool = False
    now: Entry | None = None
    before: Entry | None = None  # what the newest refusal ended

    def apply(self, entry: Entry, slug: str) -> None:
        changes = json.loads(entry.changes)
        added, dropped = slug in changes.get("added", ()), slug in changes.get("dropped", ())
        self.takes = (self.takes or added) and not dropped and entry.kind not in _OVER
        put_back = entry.source == Source.ADMIN and (added or entry.kind == EventKind.RESTARTED)
        if entry.kind in _OVER:
            self.now = self.before = None
        elif entry.kind == EventKind.REVOKED or dropped:
            self.now, self.before = None, self.now
        elif put_back:
            self.now = self.now or self.before
        elif added or (entry.kind in _BY_PERSON and self.takes):
            self.now = entry


def rests_on(entries: Iterable[Entry], slug: str) -> Grant | None:
    """The same from a person's whole ledger, oldest first; None where they do not take it."""
    consent = _Consent()
    for entry in entries:
        consent.apply(entry, slug)
    return consent.now.grant() if consent.takes and consent.now else None


def of_ledgers(
    person_ids: Iterable[int], slug: str, *, within: Within = None
) -> Mapping[int, Grant | None]:
    """The same for some people, in one query."""
    ledgers: dict[int, list[Entry]] = {person: [] for person in person_ids}
    if ledgers:
        for person, *rest in _LEDGER.rows({"list": listed(sorted(ledgers))}, within=within):
            ledgers[person].append(Entry(*rest))
    return {person: rests_on(entries, slug) for person, entries in ledgers.items()}
