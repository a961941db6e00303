"""The overview's figures counted the plainest way: a loop over everybody's events.

Written without a look at prefcenter/upkeep, from docs/counts.md alone, so that the two agree
only where both are right.
"""

import json
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter.database import db
from prefcenter.models import ConsentEvent, Person

WEB = ("widget", "form", "api", "preference_page")
ENDS = {"revoked", "reassigned", "erased"}
ANSWERS = {
    "confirmed": "yes",
    "declined": "no",
    "expired": "no_answer",
    "revoked": "stopped",
    "reassigned": "gone",
    "erased": "gone",
}


class Tale:
    """One person's story so far."""

    def __init__(self, country: str) -> None:
        self.country, self.place, self.language, self.door = country, "", "", ""
        self.status, self.takes, self.wanted = "not_subscribed", set[str](), set[str]()
        self.asked_on: date | None = None
        self.frequency, self.paused_until = "all", None

    def is_in(self, scope: dict[str, str]) -> bool:
        return all(scope[n] in ("*", getattr(self, n)) for n in ("place", "country", "language"))


class ByHand:
    """The counts of a scope, by day and label, and how everybody stands at the end."""

    def __init__(self, scope: dict[str, str], zone: str) -> None:
        self.scope, self.kind, self.zone = scope, scope["kind"], ZoneInfo(zone)
        self.days: Counter[tuple[str, date, str]] = Counter()
        self.now: Counter[tuple[str, str]] = Counter()
        self.pauses: list[datetime] = []
        people = {p.id: p for p in db.session.scalars(sa.select(Person))}
        stories: dict[int, list[ConsentEvent]] = {}
        query = sa.select(ConsentEvent).order_by(ConsentEvent.person_id, ConsentEvent.seq)
        for event in db.session.scalars(query):
            stories.setdefault(event.person_id, []).append(event)
        for person_id, events in stories.items():
            tale = Tale(people[person_id].country)
            for event in events:
                self._tell(tale, event)
            self._stands(tale)
        db.session.rollback()

    def _add(self, tale: Tale, what: str, day: date | None, label: str, n: int = 1) -> None:
        if tale.is_in(self.scope):
            assert day is not None
            self.days[what, day, label] += n

    def _gets(self, tale: Tale) -> bool:
        """On, and for one category: takes it."""
        on = tale.status == "subscribed"
        return on and (self.kind == "*" or self.kind in tale.takes)

    def _waits(self, tale: Tale) -> bool:
        asked = tale.asked_on is not None
        return asked and (self.kind == "*" or self.kind in tale.wanted)

    def _tell(self, tale: Tale, event: ConsentEvent) -> None:
        day, changes = event.at.astimezone(self.zone).date(), json.loads(event.changes)
        kind, was = str(event.kind), self._gets(tale)
        was_on = tale.status == "subscribed"
        self._wait(tale, event, changes, day)
        how_off = self._how_off(event, changes)
        if kind in ENDS and was:
            self._add(tale, "off", day, how_off)
        self._change(tale, kind, changes)
        if kind in ENDS:
            return
        if self._gets(tale) and not was:
            first = "undone" if kind == "restarted" else tale.door
            self._add(tale, "on", day, "chosen" if was_on else first)
        elif was and not self._gets(tale):
            self._add(tale, "off", day, "dropped")

    def _wait(self, tale: Tale, event: ConsentEvent, changes: dict[str, Any], day: date) -> None:
        kind = str(event.kind)
        if kind == "requested":
            if self._waits(tale):
                self._add(tale, "asked", tale.asked_on, tale.door, -1)
            self._ask(tale, event, changes, day)
            if self._waits(tale):
                self._add(tale, "asked", tale.asked_on, tale.door)
        elif tale.asked_on is not None and kind in ANSWERS:
            if self._waits(tale):
                self._add(tale, "answer", tale.asked_on, ANSWERS[kind])
            tale.asked_on, tale.wanted = None, set()

    def _ask(self, tale: Tale, event: ConsentEvent, changes: dict[str, Any], day: date) -> None:
        source = str(event.source)
        detail = event.source_detail if source in (*WEB, "sms") else ""
        tale.place = detail if source in WEB else f"{source}:{detail}"
        tale.language, tale.door = event.language, source
        tale.asked_on, tale.wanted = tale.asked_on or day, set(changes["requested"])
        tale.status = "pending"

    def _how_off(self, event: ConsentEvent, changes: dict[str, Any]) -> str:
        by_kind = {"reassigned": "new_owner", "erased": "erased"}
        if str(event.kind) in by_kind:
            return by_kind[str(event.kind)]
        own = str(event.source) == "sms" and changes.get("reading") in ("surely", "likely")
        return "own_words" if own else str(event.source)

    def _change(self, tale: Tale, kind: str, changes: dict[str, Any]) -> None:
        tale.takes = (tale.takes | set(changes.get("added", ()))) - set(changes.get("dropped", ()))
        tale.frequency = changes.get("frequency", tale.frequency)
        if "paused_until" in changes:
            tale.paused_until = changes["paused_until"]
        after = {"confirmed": "subscribed", "restarted": "subscribed", "revoked": "unsubscribed"}
        after |= {"declined": "not_subscribed", "expired": "not_subscribed"}
        after |= {"reassigned": "not_subscribed", "erased": "redacted"}
        tale.status = after.get(kind, tale.status)
        if kind in ENDS:
            tale.paused_until = None
        if kind in ("reassigned", "erased"):
            tale.takes = set()

    def _stands(self, tale: Tale) -> None:
        if not tale.is_in(self.scope):
            return
        counted = self._gets(tale) if tale.status == "subscribed" else self.kind == "*"
        if tale.status == "pending":
            counted = self._waits(tale)
        if not counted:
            return
        self.now["standing", tale.status] += 1
        if tale.status == "subscribed":
            self.now["frequency", tale.frequency] += 1
            if tale.paused_until:
                self.pauses.append(datetime.fromisoformat(tale.paused_until))

    def labels(self, what: str, first: date, last: date) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (one, day, label), count in self.days.items():
            if one == what and first <= day <= last:
                found[label] += count
        return {label: count for label, count in found.items() if count}

    def paused(self, now: datetime) -> int:
        return sum(until > now for until in self.pauses)

    def total(self, what: str, last: date, first: date = date.min) -> int:
        return sum(self.labels(what, first, last).values())

    def on_at_end(self, last: date) -> int:
        return self.total("on", last) - self.total("off", last)

    def yes_rate(self, first: date, last: date, now: datetime) -> tuple[int, int]:
        """Of those asked on days that ended three days ago or more."""
        while first <= last and self._midnight_after(last) + timedelta(hours=72) > now:
            last -= timedelta(days=1)
        if last < first:
            return 0, 0
        yes = self.labels("answer", first, last).get("yes", 0)
        return yes, self.total("asked", last, first)

    def _midnight_after(self, day: date) -> datetime:
        next_day = day + timedelta(days=1)
        return datetime(next_day.year, next_day.month, next_day.day, tzinfo=self.zone)
