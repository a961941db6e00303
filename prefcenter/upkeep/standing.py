"""What one event adds to the counts, given where the person stood before. Pure: no database.

A number is *on* from its confirmation (or from a stop that was undone) until it stops, changes
hands or is erased, so the numbers that are on always are those turned on less those turned
off. The same holds for each category, where on means "on, and takes it".

A request *waits* from the day on which a number was first asked until it is answered; asked
again meanwhile, it still is one request, now from the newer place. Its answer is counted on
the day on which it began to wait, so that a rate never mixes two groups of people.

Place and language are those of the request that counts, because an opt-out belongs to where
the person came from.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol

from prefcenter.consent import state as states
from prefcenter.consent.refusals import Refusal
from prefcenter.consent.state import Entry, MoveError, State
from prefcenter.models import EventKind, Source, Status
from prefcenter.models_counts import ANY

# What a cell counts: `on`, `off`, `asked`, `answer` on a day; the rest is how it stands now.
ON, OFF, ASKED, ANSWER = "on", "off", "asked", "answer"
STANDING, FREQUENCY, PAUSED = "standing", "frequency", "paused"

YES, NO, SILENT, STOPPED, GONE = "yes", "no", "no_answer", "stopped", "gone"
_ANSWERS = {
    EventKind.CONFIRMED: YES,
    EventKind.RESTARTED: YES,  # of somebody who had stopped, and texted START behind a JOIN
    EventKind.DECLINED: NO,
    EventKind.EXPIRED: SILENT,
    EventKind.REVOKED: STOPPED,
    EventKind.REASSIGNED: GONE,
    EventKind.ERASED: GONE,
}
UNDONE, CHOSEN, DROPPED = "undone", "chosen", "dropped"
NEW_OWNER, ERASED, OWN_WORDS = "new_owner", "erased", "own_words"
_BY_SITES = frozenset({Source.WIDGET, Source.FORM, Source.API, Source.PREFERENCE_PAGE})
_REFUSED = frozenset({Refusal.SURELY, Refusal.LIKELY})  # in words that are no keyword
_LONGEST_PLACE = 220


class Cell(NamedTuple):
    """One count: of whom, of what, on which day (None for how it stands now), and which."""

    place: str
    kind: str
    country: str
    language: str
    what: str
    day: date | None
    label: str


Cells = Counter[Cell]


class Event(Entry, Protocol):
    """The part of a ledger event that is counted."""

    source_detail: str
    language: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands, with what the counts remember of their request."""

    state: State = State()
    country: str = ""
    place: str = ""
    language: str = ""
    door: str = ""  # how the request came: the source of its event
    asked_on: date | None = None  # the day on which an open request began to wait

    def kinds(self) -> frozenset[str]:
        """The categories they get texts of."""
        on = self.state.status is Status.SUBSCRIBED
        return self.state.categories if on else frozenset()

    def cell(self, what: str, label: str, day: date | None = None, kind: str = ANY) -> Cell:
        return Cell(self.place, kind, self.country, self.language, what, day, label)


def follow(
    before: Standing, event: Event, changes: dict[str, Any], at: str, day: date, cells: Cells
) -> Standing:
    """Where the person stands after an event; what happened is added to `cells`.

    How it stands now is not: `stand` says that, once the last event is known. An event that
    the ledger should not hold changes nothing; `prefcenter rebuild --check` names it.
    """
    try:
        state = states.apply(before.state, event, changes, at)
    except MoveError:
        return before
    after = _asked(before, state, event, day)
    if event.kind is EventKind.REQUESTED or before.asked_on is not None:
        _count_request(before, after, event, cells)
    if before.state.status is not state.status or before.state.categories != state.categories:
        _count_turns(before, after, event, changes, day, cells)
    return after


def stand(standing: Standing) -> Iterator[Cell]:
    """The cells that count this person as they stand now."""
    state = standing.state
    yield standing.cell(STANDING, state.status)
    if state.status is Status.PENDING:
        for kind in state.requested:
            yield standing.cell(STANDING, state.status, kind=kind)
    if state.status is not Status.SUBSCRIBED:
        return
    for kind in (ANY, *state.categories):
        if kind is not ANY:
            yield standing.cell(STANDING, state.status, kind=kind)
        yield standing.cell(FREQUENCY, state.frequency, kind=kind)
        if state.paused_until:
            yield standing.cell(PAUSED, paused_label(state.paused_until), kind=kind)


def paused_label(until: str) -> str:
    """The UTC day on which a pause ends."""
    return datetime.fromisoformat(until).date().isoformat()


def place_of(event: Event) -> str:
    """Where somebody asked for texts: a site, a keyword (`sms:JOIN`), or another door."""
    if event.source in _BY_SITES:
        return event.source_detail
    by_text = event.source is Source.SMS
    return f"{event.source}:{event.source_detail if by_text else ''}"[:_LONGEST_PLACE]


def _asked(before: Standing, state: State, event: Event, day: date) -> Standing:
    country = before.country
    if event.kind is EventKind.REQUESTED:
        asked_on = before.asked_on or day
        place, door = place_of(event), event.source.value
        return Standing(state, country, place, event.language, door, asked_on)
    still = before.asked_on if state.status is Status.PENDING else None  # noted meanwhile
    return Standing(state, country, before.place, before.language, before.door, still)


def _count_request(before: Standing, after: Standing, event: Event, cells: Cells) -> None:
    if event.kind is EventKind.REQUESTED:
        for standing, count in ((before, -1), (after, 1)):
            if standing.asked_on is not None:
                for kind in (ANY, *standing.state.requested):
                    cells[standing.cell(ASKED, standing.door, standing.asked_on, kind)] += count
    elif after.asked_on is None:
        for kind in (ANY, *before.state.requested):
            cells[before.cell(ANSWER, _ANSWERS[event.kind], before.asked_on, kind)] += 1


def _count_turns(
    before: Standing,
    after: Standing,
    event: Event,
    changes: dict[str, Any],
    day: date,
    cells: Cells,
) -> None:
    was = before.state.status is Status.SUBSCRIBED
    is_on = after.state.status is Status.SUBSCRIBED
    how_on = (UNDONE if event.kind is EventKind.RESTARTED else after.door) if not was else CHOSEN
    how_off = DROPPED if is_on else how_stopped(event, changes)
    if is_on and not was:
        cells[after.cell(ON, how_on, day)] += 1
    elif was and not is_on:
        cells[before.cell(OFF, how_off, day)] += 1
    for kind in after.kinds() - before.kinds():
        cells[after.cell(ON, how_on, day, kind)] += 1
    for kind in before.kinds() - after.kinds():
        cells[before.cell(OFF, how_off, day, kind)] += 1


def how_stopped(event: Event, changes: dict[str, Any]) -> str:
    """By which way a number was turned off: a source, or what the event itself says."""
    if event.kind is EventKind.REASSIGNED:
        return NEW_OWNER
    if event.kind is EventKind.ERASED:
        return ERASED
    if event.source is Source.SMS and changes.get("reading") in _REFUSED:
        return OWN_WORDS
    return event.source.value
