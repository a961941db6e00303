"""Was this number subscribed on DATE? Ten histories against a table made by hand."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from prefcenter.consent import ledger
from prefcenter.consent.state import MoveError
from prefcenter.models import EventKind as K
from prefcenter.models import Source as S
from prefcenter.models import Status
from prefcenter.upkeep import timeline
from prefcenter.upkeep.timeline import Standing
from tests.cast import ALICE, Town
from tests.conftest import Clock

NEW_YORK = "America/New_York"


@dataclass
class Event:
    """An entry of a ledger; its public id is its place, from 1."""

    public_id: str
    kind: K
    source: S
    at: datetime
    changes: str


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


Step = tuple[str, K, S, dict[str, object]]


def history(*steps: Step) -> list[Event]:
    return [
        Event(str(place), kind, source, at(when), json.dumps(changes))
        for place, (when, kind, source, changes) in enumerate(steps, 1)
    ]


def asked(when: str, until: str = "2026-04-04T10:00") -> Step:
    changes = {"requested": ["offers"], "request_expires_at": f"{until}:00+00:00"}
    return (when, K.REQUESTED, S.WIDGET, changes)


def yes(when: str) -> Step:
    return (when, K.CONFIRMED, S.PREFERENCE_PAGE, {"added": ["offers"], "paused_until": None})


def stop(when: str, source: S = S.SMS) -> Step:
    return (when, K.REVOKED, source, {"word": "stop"})


PENDING_ONLY = history(asked("2026-04-01T10:00"))
CONFIRMED = history(asked("2026-04-01T10:00"), yes("2026-04-01T10:05:30"))
STOPPED = history(
    asked("2026-04-01T10:00"), yes("2026-04-01T10:05:30"), stop("2026-04-10T12:00:01")
)
RESTARTED = history(
    asked("2026-04-01T10:00"),
    yes("2026-04-01T10:05:30"),
    stop("2026-04-10T12:00:01"),
    ("2026-04-20T08:00", K.RESTARTED, S.SMS, {"word": "start"}),
)
PAUSED = history(
    asked("2026-04-01T10:00"),
    yes("2026-04-01T10:05:30"),
    (
        "2026-04-10T09:00",
        K.PAUSED,
        S.PREFERENCE_PAGE,
        {"paused_until": "2026-04-17T04:00:00+00:00"},
    ),
    ("2026-04-20T09:00", K.CHANGED, S.PREFERENCE_PAGE, {"frequency": "1/week"}),
)
REASSIGNED = history(
    asked("2026-04-01T10:00"),
    yes("2026-04-01T10:05:30"),
    ("2026-04-12T00:00", K.REASSIGNED, S.PREFERENCE_PAGE, {}),
)
EXPIRED = history(asked("2026-04-01T10:00"), ("2026-04-05T03:00", K.EXPIRED, S.MAINTENANCE, {}))
DECLINED = history(
    asked("2026-04-01T10:00"), ("2026-04-01T11:00", K.DECLINED, S.PREFERENCE_PAGE, {})
)
ERASED = history(
    asked("2026-04-01T10:00"),
    yes("2026-04-01T10:05:30"),
    ("2026-04-15T16:00", K.ERASED, S.ADMIN, {}),
)
TWO_STOPS = history(
    asked("2026-04-01T10:00"),
    yes("2026-04-01T10:05:30"),
    stop("2026-04-10T12:00:01.100000", S.PREFERENCE_PAGE),
    stop("2026-04-10T12:00:01.900000"),
)

# History, moment, how it stood, and by which event (its place): worked out by hand.
TABLE = [
    (PENDING_ONLY, "2026-04-01T09:59:59", None, 0),
    (PENDING_ONLY, "2026-04-01T10:00", Standing.ASKED, 1),
    (PENDING_ONLY, "2026-04-04T09:59:59", Standing.ASKED, 1),
    (PENDING_ONLY, "2026-04-04T10:00", Standing.UNANSWERED, 1),
    (PENDING_ONLY, "2027-01-01T00:00", Standing.UNANSWERED, 1),
    (CONFIRMED, "2026-04-01T10:05:29", Standing.ASKED, 1),
    (CONFIRMED, "2026-04-01T10:05:30", Standing.ON, 2),
    (CONFIRMED, "2026-04-10T00:00", Standing.ON, 2),
    (CONFIRMED, "2036-04-10T00:00", Standing.ON, 2),
    (STOPPED, "2026-04-10T12:00", Standing.ON, 2),
    (STOPPED, "2026-04-10T12:00:01", Standing.OFF, 3),
    (STOPPED, "2026-04-11T00:00", Standing.OFF, 3),
    (RESTARTED, "2026-04-10T12:00", Standing.ON, 2),
    (RESTARTED, "2026-04-15T00:00", Standing.OFF, 3),
    (RESTARTED, "2026-04-20T08:00", Standing.ON, 4),
    (PAUSED, "2026-04-10T08:59:59", Standing.ON, 2),
    (PAUSED, "2026-04-10T09:00", Standing.PAUSED, 3),
    (PAUSED, "2026-04-17T03:59:59", Standing.PAUSED, 3),
    (PAUSED, "2026-04-17T04:00", Standing.ON, 3),
    (PAUSED, "2026-04-21T00:00", Standing.ON, 3),
    (REASSIGNED, "2026-04-11T23:59:59", Standing.ON, 2),
    (REASSIGNED, "2026-04-12T00:00", Standing.NEW_OWNER, 3),
    (EXPIRED, "2026-04-04T09:00", Standing.ASKED, 1),
    (EXPIRED, "2026-04-04T12:00", Standing.UNANSWERED, 1),
    (EXPIRED, "2026-04-05T03:00", Standing.NOT_ON, 2),
    (DECLINED, "2026-04-01T10:30", Standing.ASKED, 1),
    (DECLINED, "2026-04-01T11:00", Standing.NOT_ON, 2),
    (DECLINED, "2026-04-30T00:00", Standing.NOT_ON, 2),
    (ERASED, "2026-04-15T15:59:59", Standing.ON, 2),
    (ERASED, "2026-04-15T16:00", Standing.ERASED, 3),
    (TWO_STOPS, "2026-04-10T12:00:01", Standing.ON, 2),
    (TWO_STOPS, "2026-04-10T12:00:01.500000", Standing.OFF, 3),
    (TWO_STOPS, "2026-04-10T12:00:02", Standing.OFF, 3),
]


@pytest.mark.parametrize(("events", "when", "standing", "by"), TABLE)
def test_ten_histories(events: list[Event], when: str, standing: Standing | None, by: int) -> None:
    found = timeline.state_at(events, at(when))
    assert (found.standing if found else None) is standing
    assert (int(found.event.public_id) if found else 0) == by


def test_subscribed_means_confirmed_and_not_stopped() -> None:
    """INV-5: pending, lapsed, stopped, erased and unknown never count; a break does."""
    for events, when, standing, _by in TABLE:
        found = timeline.state_at(events, at(when))
        subscribed = found is not None and found.subscribed
        assert subscribed is (standing in (Standing.ON, Standing.PAUSED))


def test_what_the_calendar_did_is_told_from_what_an_event_did() -> None:
    over = timeline.state_at(PAUSED, at("2026-04-18T00:00"))
    begun = timeline.state_at(PAUSED, at("2026-04-11T00:00"))
    changed = timeline.state_at(PAUSED, at("2026-04-21T00:00"))
    assert over and begun and changed
    assert (begun.by_time, over.by_time, changed.by_time) == (False, True, True)
    assert changed.state.frequency == "1/week", "with the choices of that moment"


DAY = [
    # History, day in New York, each standing in turn with its time there.
    (STOPPED, "2026-04-10", [(None, Standing.ON), ("08:00:01", Standing.OFF)]),
    (STOPPED, "2026-04-09", [(None, Standing.ON)]),
    (STOPPED, "2026-03-31", [(None, None)]),
    (
        CONFIRMED,
        "2026-04-01",
        [(None, None), ("06:00:00", Standing.ASKED), ("06:05:30", Standing.ON)],
    ),
    (PAUSED, "2026-04-17", [(None, Standing.ON)]),  # the break ended at midnight there
    (PAUSED, "2026-04-16", [(None, Standing.PAUSED)]),
    (TWO_STOPS, "2026-04-10", [(None, Standing.ON), ("08:00:01", Standing.OFF)]),
    (REASSIGNED, "2026-04-11", [(None, Standing.ON), ("20:00:00", Standing.NEW_OWNER)]),
    (PENDING_ONLY, "2026-04-04", [(None, Standing.ASKED), ("06:00:00", Standing.UNANSWERED)]),
]


@pytest.mark.parametrize(("events", "day", "expected"), DAY)
def test_a_whole_day_on_the_readers_clock(
    events: list[Event], day: str, expected: list[tuple[str | None, Standing | None]]
) -> None:
    start, end = timeline.bounds_of(date.fromisoformat(day), NEW_YORK)
    first, *rest = timeline.between(events, start, end)
    found = [(None, first.standing if first else None)]
    zone = timeline.ZoneInfo(NEW_YORK)
    found += [
        (p.at.astimezone(zone).replace(microsecond=0).time().isoformat(), p.standing)
        for p in rest
        if p
    ]
    assert found == expected


def test_the_days_on_which_clocks_change() -> None:
    """The tenth: 8 March 2026 has 23 hours in New York, 1 November 25."""
    spring, autumn = (timeline.bounds_of(date(2026, *d), NEW_YORK) for d in ((3, 8), (11, 1)))
    assert spring[1] - spring[0] == timedelta(hours=23)
    assert autumn[1] - autumn[0] == timedelta(hours=25)
    # 02:30 did not exist, 01:30 came twice; the stop fell between the two.
    assert timeline.moment_of(date(2026, 3, 8), time(2, 30), NEW_YORK) == at("2026-03-08T07:30")
    assert timeline.moment_of(date(2026, 11, 1), time(1, 30), NEW_YORK) == at("2026-11-01T05:30")
    events = history(
        asked("2026-03-01T10:00", until="2026-03-04T10:00"),
        yes("2026-03-01T10:05:30"),
        stop("2026-11-01T05:45"),
    )
    asking = [
        (date(2026, 11, 1), time(1, 30), Standing.ON),
        (date(2026, 11, 1), time(1, 44), Standing.ON),
        (date(2026, 11, 1), time(1, 45), Standing.OFF),
        (date(2026, 11, 1), time(2, 0), Standing.OFF),
        (date(2026, 3, 8), time(2, 30), Standing.ON),
    ]
    for day, clock, standing in asking:
        point = timeline.state_at(events, timeline.moment_of(day, clock, NEW_YORK))
        assert point and point.standing is standing
    start, end = timeline.bounds_of(date(2026, 11, 1), NEW_YORK)
    assert [p.standing for p in timeline.between(events, start, end) if p] == [
        Standing.ON,
        Standing.OFF,
    ]


def test_a_ledger_that_does_not_add_up_is_no_answer() -> None:
    broken = history(yes("2026-04-01T10:00"), stop("2026-04-02T10:00"))
    with pytest.raises(MoveError):
        timeline.state_at(broken, at("2026-05-01T10:00"))
    assert len(timeline.states_before(broken)) == 2


def test_alices_own_ledger_answers(town: Town, now: Clock) -> None:
    """The same on a real history, on each database."""
    begun = now.now()
    link = town.alice()
    now.forward(days=3)
    town.browser.post(f"{link}/stop")
    events = ledger.events_of(town.person(ALICE).id)
    standing = [
        point.standing if (point := timeline.state_at(events, begun + timedelta(days=days))) else ""
        for days in (-1, 0, 2.99, 3, 30)
    ]
    assert standing == ["", Standing.ON, Standing.ON, Standing.OFF, Standing.OFF]
    before = [state.status for state in timeline.states_before(events)]
    assert before == [Status.NOT_SUBSCRIBED, Status.PENDING, Status.SUBSCRIBED]
