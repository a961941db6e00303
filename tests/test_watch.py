"""REL-14: after a gap an operator hears that texts may be missing, whatever the clocks say."""

import threading
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from prefcenter import serve
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Heartbeat
from prefcenter.serve import Pulse
from prefcenter.sms import alarms, watch
from tests.conftest import Clock
from tests.watching import listening

MINUTE = timedelta(minutes=1)


def beat(now: Clock, awake: timedelta | None = None) -> None:
    with writing():
        watch.beat(now=now.now(), awake=awake)
        db.session.commit()


def raised() -> Alarm | None:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get(Alarm, alarms.MISSED_TEXTS)


def spans() -> str:
    alarm = raised()
    return alarm.message.split(" (UTC)")[0].partition("missed ")[2] if alarm else ""


def last_beat() -> datetime | None:
    db.session.rollback()
    return watch.last_beat()


def test_the_first_start_ever_raises_nothing(app: Flask, now: Clock) -> None:
    assert last_beat() is None
    beat(now)
    assert last_beat() == now.now()
    assert raised() is None


def test_a_gap_is_told_with_its_span(app: Flask, now: Clock) -> None:
    beat(now)
    now.forward(hours=26, minutes=5)
    beat(now)
    alarm = raised()
    assert alarm is not None and alarm.since == now.now()
    assert alarm.message == (
        "Texts may have been missed from 2026-11-24 15:00 to 2026-11-25 17:05 (UTC): Vonage gives"
        " up after 24 hours. Ask for them in the dashboard's logs, then run `prefcenter alarm"
        " acknowledge missed_texts`."
    )
    beat(now)
    alarm = raised()
    assert alarm is not None and alarm.count == 1, "it is told once"


def test_a_day_without_a_beat_is_no_gap_and_a_second_more_is(app: Flask, now: Clock) -> None:
    beat(now)
    now.forward(hours=24)
    beat(now)
    assert raised() is None
    now.forward(hours=24, seconds=1)
    beat(now)
    assert raised()


@pytest.mark.settings(GAP_HOURS="2")
def test_the_length_of_a_gap_is_a_setting(app: Flask, now: Clock) -> None:
    beat(now)
    now.forward(hours=2, seconds=1)
    beat(now)
    assert spans() == "from 2026-11-24 15:00 to 2026-11-24 17:00"


def test_later_gaps_are_added_and_the_sentence_still_fits(app: Flask, now: Clock) -> None:
    """Nothing that was missed is lost from sight: too many spans become wider ones."""
    gaps = []
    for _ in range(3):
        beat(now)
        begin = now.now()
        now.forward(days=2)
        gaps.append(f"from {begin:%Y-%m-%d %H:%M} to {now.now():%Y-%m-%d %H:%M}")
        beat(now)
        now.forward(hours=1)
        beat(now)
    assert spans() == " and ".join(gaps)
    for _ in range(20):
        now.forward(days=2)
        beat(now)
    alarm = raised()
    assert alarm is not None and alarm.count == 23
    assert len(alarm.message) <= 300
    assert alarm.message.endswith("missed_texts`.")
    assert spans().count("from") == 3
    assert spans().startswith("from 2026-11-24 15:00 to ")
    assert spans().endswith(f"to {now.now():%Y-%m-%d %H:%M}")


def test_an_acknowledged_gap_does_not_come_back_with_the_next(app: Flask, now: Clock) -> None:
    beat(now)
    now.forward(days=2)
    beat(now)
    with writing():
        assert alarms.acknowledge(alarms.MISSED_TEXTS, now=now.now())
        db.session.commit()
    now.forward(days=3)
    beat(now)
    assert spans() == "from 2026-11-26 15:00 to 2026-11-29 15:00"


# --- clocks (REL-15)


def test_a_clock_put_back_raises_nothing_and_moves_nothing_back(app: Flask, now: Clock) -> None:
    beat(now)
    first = now.now()
    now.forward(minutes=-59)
    beat(now, MINUTE)
    assert (raised(), last_beat()) == (None, first)
    now.forward(minutes=60)
    beat(now, MINUTE)
    assert (raised(), last_beat()) == (None, now.now())


def test_a_beat_left_far_ahead_does_not_hide_the_next_gap(app: Flask, now: Clock) -> None:
    now.forward(days=3650)
    beat(now)
    now.forward(days=-3650)
    with listening() as heard:
        beat(now, MINUTE)
    assert (raised(), last_beat()) == (None, now.now())
    assert "was the clock wrong?" in heard.getvalue()
    now.forward(hours=25)
    beat(now)
    assert raised()


@pytest.mark.settings(GAP_HOURS="1")
def test_a_clock_that_leaps_an_hour_ahead_raises_nothing(app: Flask, now: Clock) -> None:
    """Whoever was there all the time knows better than the wall clock."""
    beat(now)
    now.forward(hours=1, minutes=1)
    beat(now, MINUTE)
    assert (raised(), last_beat()) == (None, now.now())
    now.forward(hours=1, minutes=1)
    beat(now)
    assert raised(), "but who has just begun knows nothing"


@pytest.mark.parametrize("awake", [MINUTE, timedelta(hours=25)], ids=["asleep", "no database"])
def test_a_process_that_lived_through_a_gap_tells_it(
    app: Flask, now: Clock, awake: timedelta
) -> None:
    """Of a machine that slept the process's own count stood still as well: that is no leap."""
    beat(now)
    now.forward(hours=25)
    beat(now, awake)
    assert raised()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.integers(1, 90), st.integers(-60, 60)), max_size=12))
def test_no_clock_that_is_wrong_by_an_hour_raises_an_alarm(
    app: Flask, now: Clock, steps: list[tuple[int, int]]
) -> None:
    """Each step: so many minutes pass, and the wall clock is off by so many then."""
    with writing():
        db.session.execute(sa.delete(Heartbeat))
        db.session.commit()
    true = now.moment
    beat(now)
    for passed, wrong in steps:
        true += timedelta(minutes=passed)
        now.moment = true + timedelta(minutes=wrong)
        beat(now, timedelta(minutes=passed))
    now.moment = true
    assert raised() is None


def test_two_processes_that_start_at_once_tell_one_gap(app: Flask, now: Clock) -> None:
    """The row is locked: the second waits, and then sees a beat that is fresh."""
    beat(now)
    now.forward(days=2)
    db.session.remove()
    pulses = [Pulse(app) for _ in range(4)]
    threads = [threading.Thread(target=pulse.beat) for pulse in pulses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    alarm = raised()
    assert alarm is not None and alarm.count == 1
    assert spans().count("from") == 1


# --- the thread of `prefcenter serve`


class Rests(threading.Event):
    """Notes how long a thread rests, and ends it after the third time."""

    seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return len(self.seconds) == 3


def test_each_web_process_of_serve_beats_at_once_and_holds_up_nothing(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[threading.Thread] = []

    def thread(**facts: Any) -> threading.Thread:
        made.append(threading.Thread(**facts))
        return made[-1]

    monkeypatch.setattr(Rests, "seconds", [])
    monkeypatch.setattr(serve, "create_app", lambda: app)
    monkeypatch.setattr(serve, "_end_with_parent", lambda: None)
    monkeypatch.setattr(serve, "threading", SimpleNamespace(Thread=thread, Event=Rests))
    db.session.remove()
    assert serve.web_app() is app
    [pulse] = made
    assert pulse.daemon, "nothing waits for it at the end"
    pulse.join(20)
    assert last_beat() == now.now()
    assert len(Rests.seconds) == 3
    assert all(60 <= seconds < 65 for seconds in Rests.seconds)


def test_another_server_does_not_beat(app: Flask) -> None:
    """`create_app()` alone, which wsgi.py calls, starts nothing and promises nothing."""
    assert not [thread for thread in threading.enumerate() if thread.name == "pulse"]
    assert last_beat() is None


def test_an_outage_is_said_once_and_survived(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse, well = Pulse(app), watch.beat
    db.session.remove()

    def gone(**_facts: object) -> None:
        raise OperationalError("SELECT", None, OSError("gone"))

    with listening() as heard:
        pulse.beat()
        monkeypatch.setattr(watch, "beat", gone)
        for _ in range(5):
            now.forward(minutes=1)
            pulse.beat()
        assert last_beat() == now.now() - timedelta(minutes=5)
        monkeypatch.setattr(watch, "beat", well)
        pulse.beat()
        pulse.beat()
        assert last_beat() == now.now()
    assert heard.getvalue().count("the heartbeat cannot be written") == 1
    assert heard.getvalue().count("the heartbeat is written again") == 1


def test_a_process_that_lives_through_a_leap_says_so_to_the_watch(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counts from the last beat that was written, not from the last that was tried."""
    told: list[timedelta | None] = []
    well, own_count = watch.beat, [100.0]

    def hear(*, now: datetime, awake: timedelta | None) -> None:
        told.append(awake)
        if len(told) == 3:
            raise OperationalError("SELECT", None, OSError("gone"))
        well(now=now, awake=awake)

    monkeypatch.setattr(watch, "beat", hear)
    monkeypatch.setattr(serve, "time", SimpleNamespace(monotonic=lambda: own_count[0]))
    db.session.remove()
    pulse = Pulse(app)
    for _ in range(4):
        pulse.beat()
        own_count[0] += 60
    assert told == [None, MINUTE, MINUTE, 2 * MINUTE]
