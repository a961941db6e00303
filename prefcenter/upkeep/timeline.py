"""Where a person stood at any moment: "was this number subscribed on 10 April?"

Answered from the ledger alone, by the same fold that rebuilds the state (RULE-13), with the
event that decides. Two things end without an event, and are taken into account: a break is
over on its day, and a request that nobody answered lapses. Pure: no database, no clock.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Protocol
from zoneinfo import ZoneInfo

from prefcenter.consent import state as states
from prefcenter.consent.state import Entry, State
from prefcenter.models import Status


class Standing(StrEnum):
    """What a number could be texted, in one word."""

    UNKNOWN = "unknown"  # nothing had happened yet
    ASKED = "asked"  # and had not answered
    UNANSWERED = "unanswered"  # asked, and let it lapse
    ON = "on"
    PAUSED = "paused"  # subscribed, with a break
    OFF = "off"  # stopped
    NOT_ON = "not_on"  # said no to the request
    NEW_OWNER = "new_owner"
    ERASED = "erased"


class Event(Entry, Protocol):
    """The part of a ledger event that this needs."""

    at: datetime
    changes: str


@dataclass(frozen=True, slots=True)
class Point:
    """From this moment on, until the next point, it was so.

    `event` is the one that decides: since it the standing is what it is. `by_time` is True
    where no event but the calendar changed it.
    """

    at: datetime
    standing: Standing
    state: State
    event: Event
    by_time: bool = False

    @property
    def subscribed(self) -> bool:
        return self.standing in (Standing.ON, Standing.PAUSED)


def points(events: Iterable[Event]) -> Iterator[Point]:
    """Every event and every quiet end, oldest first. Raises state.MoveError for a ledger that
    does not add up."""
    last: Point | None = None
    state = State()
    for event in events:
        if last is not None:
            ended = _quiet_end(last, event.at)
            if ended is not None:
                yield (last := ended)
        state = states.apply(state, event, json.loads(event.changes), event.at.isoformat())
        standing = _standing(state, event.at)
        same = last is not None and last.standing is standing
        decides = last.event if same and last is not None else event
        last = Point(event.at, standing, state, decides, last.by_time if same and last else False)
        yield last
    if last is not None and (ended := _quiet_end(last, None)) is not None:
        yield ended


def state_at(events: Sequence[Event], moment: datetime) -> Point | None:
    """Where the person stood at this moment, what happened in it included; None before the
    first event."""
    before = takewhile(lambda event: event.at <= moment, events)
    found = None
    for point in points(before):
        if point.at <= moment:
            found = point
    return found


def between(events: Sequence[Event], start: datetime, end: datetime) -> list[Point | None]:
    """How it stood at `start`, and each change of the standing before `end`."""
    found: list[Point | None] = [state_at(events, start)]
    for point in points(takewhile(lambda event: event.at < end, events)):
        last = found[-1]
        changed = last is None or point.standing is not last.standing
        if start < point.at < end and changed:
            found.append(point)
    return found


def moment_of(day: date, clock: time, zone: str) -> datetime:
    """A time on somebody's clock as a moment. One that the clock showed twice, when summer time
    ended, is the first; one that it left out is so much later."""
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)


def bounds_of(day: date, zone: str) -> tuple[datetime, datetime]:
    """When a day began and ended on somebody's clock: 23 to 25 hours."""
    midnight = time()
    return moment_of(day, midnight, zone), moment_of(day + timedelta(days=1), midnight, zone)


def states_before(events: Sequence[Event]) -> list[State]:
    """For each event the state that it met, for "before → after"; where the ledger does not
    add up, the last one that did."""
    found, state = [], State()
    for event in events:
        found.append(state)
        try:
            state = states.apply(state, event, json.loads(event.changes), event.at.isoformat())
        except states.MoveError:
            continue
    return found


def _standing(state: State, moment: datetime) -> Standing:
    match state.status:
        case Status.SUBSCRIBED:
            return Standing.PAUSED if _is_after(state.paused_until, moment) else Standing.ON
        case Status.PENDING:
            waits = _is_after(state.request_expires_at, moment)
            return Standing.ASKED if waits else Standing.UNANSWERED
        case Status.UNSUBSCRIBED:
            return Standing.OFF
        case Status.REDACTED:
            return Standing.ERASED
    return Standing.NEW_OWNER if state.reassigned_at else Standing.NOT_ON


def _quiet_end(point: Point, before: datetime | None) -> Point | None:
    """Where a break or a request ended on its own, before the next event."""
    if point.standing is Standing.PAUSED:
        until, after = point.state.paused_until, Standing.ON
    elif point.standing is Standing.ASKED:
        until, after = point.state.request_expires_at, Standing.UNANSWERED
    else:
        return None
    assert until is not None
    moment = datetime.fromisoformat(until)
    if before is not None and moment >= before:
        return None
    return Point(moment, after, point.state, point.event, by_time=True)


def _is_after(text: str | None, moment: datetime) -> bool:
    return text is not None and datetime.fromisoformat(text) > moment
