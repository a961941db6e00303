"""Alarms that are noticed where nothing may be written: remembered, then written down once."""

import threading
from datetime import datetime, timedelta

import pytest
from flask import Flask

from prefcenter import serve
from prefcenter.consent import inbound
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Unreadable
from prefcenter.sms import alarms, watch
from tests.cast import rows
from tests.conftest import Clock
from tests.watching import listening

MENDED = [alarms.REFUSED_WEBHOOKS, alarms.UNSIGNED_WEBHOOKS, alarms.WEBHOOK_CLOCK]
MINUTE = timedelta(minutes=1)
LOGGED = '"alarm": "unsigned_webhooks"'


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests made this process remember is not ours."""
    monkeypatch.setattr(alarms, "_noticed", {})
    monkeypatch.setattr(alarms, "_logged", {})
    monkeypatch.setattr(alarms, "_came", {})


def beat(now: Clock) -> None:
    with writing():
        watch.beat(now=now.now())
        db.session.commit()


def acknowledge(name: str, now: Clock) -> bool:
    with writing():
        ended = alarms.acknowledge(name, now=now.now())
        db.session.commit()
    return ended


def raised() -> Alarm | None:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get(Alarm, alarms.UNSIGNED_WEBHOOKS)


def notice(now: Clock, times: int = 1, message: str = "") -> None:
    for _ in range(times):
        alarms.remember(alarms.UNSIGNED_WEBHOOKS, message, now=now.now())


def test_what_is_remembered_touches_no_row_until_the_next_beat(app: Flask, now: Clock) -> None:
    """INV-9: a post that nobody signed changes nothing."""
    beat(now)
    before = rows()
    with listening() as heard:
        notice(now)
    assert rows() == before
    assert heard.getvalue().count(LOGGED) == 1
    first = now.now()
    now.forward(seconds=30)
    notice(now, 2)
    now.forward(seconds=30)
    beat(now)
    alarm = raised()
    assert alarm is not None
    assert (alarm.count, alarm.since) == (3, first)
    assert alarm.last_at == first + timedelta(seconds=30)
    assert alarm.message == alarms.SENTENCES[alarms.UNSIGNED_WEBHOOKS]
    for word in ("API settings", "Messages API", "signed webhooks", "link the number"):
        assert word in alarm.message, "it names the cure"


def test_it_is_written_once(app: Flask, now: Clock) -> None:
    notice(now)
    for _ in range(3):
        now.forward(minutes=1)
        beat(now)
    alarm = raised()
    assert alarm is not None and alarm.count == 1
    with writing():
        assert alarms.acknowledge(alarms.UNSIGNED_WEBHOOKS, now=now.now())
        db.session.commit()
    beat(now)
    assert raised() is None


def test_a_flood_is_logged_once_a_minute_and_kept_once(now: Clock) -> None:
    with listening() as heard:
        for _ in range(100):
            notice(now, 10)
            now.forward(seconds=1)
    assert heard.getvalue().count(LOGGED) == 2
    assert len(alarms._noticed) == 1
    with listening() as heard:
        now.forward(hours=-5)
        notice(now)
    assert heard.getvalue().count(LOGGED) == 1, "a clock put back does not mute it"


def test_memory_holds_no_names_but_ours(now: Clock) -> None:
    with pytest.raises(ValueError, match="no alarm"):
        alarms.remember("made_up", "x", now=now.now())
    assert alarms._noticed == {}


def test_every_sentence_fits_and_nothing_is_cut() -> None:
    assert all(len(sentence) <= 300 for sentence in alarms.SENTENCES.values())
    assert alarms.SENTENCES.keys() < alarms.NAMES


@pytest.mark.parametrize("name", sorted(alarms.SENTENCES))
def test_a_sentence_names_the_command_that_ends_the_alarm(name: str) -> None:
    assert f"`prefcenter alarm acknowledge {name}`" in alarms.SENTENCES[name]


def test_the_sentence_about_refused_webhooks_names_what_to_check() -> None:
    for setting in ("SIGNATURE_SECRETS", "API_KEY", "APPLICATION_ID", "WEBHOOKS"):
        assert f"VONAGE_{setting}" in alarms.SENTENCES[alarms.REFUSED_WEBHOOKS]


def test_what_could_not_be_committed_is_remembered(app: Flask, now: Clock) -> None:
    notice(now)
    with writing():
        alarms.flush(now=now.now())
    assert raised() is None
    beat(now)
    assert raised()


def test_what_is_noticed_during_a_flush_comes_with_the_next(app: Flask, now: Clock) -> None:
    notice(now, 2)
    with writing():
        alarms.flush(now=now.now())
        now.forward(seconds=1)
        notice(now, 3)
        db.session.commit()
    alarm = raised()
    assert alarm is not None and alarm.count == 2
    beat(now)
    alarm = raised()
    assert alarm is not None and alarm.count == 5


def test_a_clock_put_back_leaves_no_alarm_from_the_future(app: Flask, now: Clock) -> None:
    notice(now)
    now.forward(hours=-1)
    beat(now)
    alarm = raised()
    assert alarm is not None and alarm.since == alarm.last_at == now.now()


def test_two_threads_that_flush_the_same_forget_it_once(app: Flask, now: Clock) -> None:
    """The second finds it gone already, or finds what came since."""
    notice(now, 2)
    written = dict(alarms._noticed)
    with writing():
        alarms.flush(now=now.now())
        alarms._noticed.clear()  # the other was quicker
        db.session.commit()
    assert alarms._noticed == {}
    notice(now)
    with writing():
        db.session().info[alarms._FLUSHED] = written
        db.session.commit()
    assert alarms._noticed == {}


def test_an_acknowledged_alarm_is_over_and_said_so(app: Flask, now: Clock) -> None:
    notice(now)
    beat(now)
    with listening() as heard:
        assert acknowledge(alarms.UNSIGNED_WEBHOOKS, now)
        assert not acknowledge(alarms.UNSIGNED_WEBHOOKS, now)
    assert raised() is None
    [line] = heard.getvalue().splitlines()
    assert '"level": "warning"' in line and '"message": "alarm acknowledged"' in line


def test_unreadable_webhooks_are_seen_with_their_alarm(app: Flask, now: Clock) -> None:
    post = {"door": "inbound", "body": b"{", "reason": "not JSON", "received_at": now.now()}
    with writing():
        db.session.add(Unreadable(body_sha256="0" * 64, **post))
        alarms.start(alarms.UNREADABLE, now=now.now())
        db.session.commit()
    now.forward(hours=1)
    assert not acknowledge(alarms.MISSED_TEXTS, now)
    db.session.expire_all()
    assert db.session.scalars(db.select(Unreadable.seen_at)).all() == [None]
    assert acknowledge(alarms.UNREADABLE, now)
    assert db.session.scalars(db.select(Unreadable.seen_at)).all() == [now.now()]


# --- what a genuine webhook ends


def names() -> list[str]:
    db.session.rollback()
    return sorted(db.session.scalars(db.select(Alarm.name)))


def last_genuine() -> datetime | None:
    db.session.rollback()
    return alarms.last_genuine()


def another_process() -> None:
    """One that has just begun: it remembers nothing."""
    for memory in (alarms._noticed, alarms._logged, alarms._came):
        memory.clear()


def test_the_last_genuine_webhook_is_written_by_the_beat_alone(app: Flask, now: Clock) -> None:
    before = rows()
    alarms.genuine(now=now.now())
    first = now.now()
    assert rows() == before
    assert last_genuine() is None
    now.forward(seconds=30)
    beat(now)
    assert last_genuine() == first, "when it came, not when it was written"
    another_process()
    now.forward(hours=1)
    beat(now)
    assert last_genuine() == first
    alarms.genuine(now=now.now())
    beat(now)
    assert last_genuine() == now.now()


def test_an_older_one_of_another_process_moves_nothing_back(app: Flask, now: Clock) -> None:
    alarms.genuine(now=now.now() + 3 * MINUTE)  # a host whose clock is ahead
    now.forward(minutes=3)
    beat(now)
    newest = now.now()
    now.forward(minutes=-2)
    alarms.genuine(now=now.now())
    beat(now)
    assert last_genuine() == newest


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "one after another"])
def test_a_genuine_webhook_ends_what_was_wrong_with_them(
    app: Flask, now: Clock, restart: bool
) -> None:
    for name in (*MENDED, alarms.TEXT_NOT_WORKED):
        alarms.remember(name, now=now.now())
    now.forward(minutes=1)
    beat(now)
    assert names() == sorted([*MENDED, alarms.TEXT_NOT_WORKED])
    if restart:
        another_process()
    now.forward(minutes=4)
    alarms.genuine(now=now.now())
    beat(now)
    assert len(names()) == 4, "five minutes to the second are too few"
    now.forward(seconds=1)
    alarms.genuine(now=now.now())
    assert len(names()) == 4, "nothing ends before the beat"
    with listening() as heard:
        now.forward(minutes=1)
        beat(now)
    assert names() == [alarms.TEXT_NOT_WORKED], "it says nothing about that one"
    assert heard.getvalue().count('"message": "alarm ended"') == 3


def test_one_before_the_trouble_or_in_the_midst_of_it_ends_nothing(app: Flask, now: Clock) -> None:
    alarms.genuine(now=now.now())
    now.forward(minutes=6)
    notice(now)
    beat(now)
    assert names() == [alarms.UNSIGNED_WEBHOOKS]
    for _ in range(5):  # some are signed and some are not
        now.forward(minutes=4)
        alarms.genuine(now=now.now())
        notice(now)
        beat(now)
    assert names() == [alarms.UNSIGNED_WEBHOOKS]
    now.forward(minutes=4)
    alarms.genuine(now=now.now())
    notice(now)  # not written down yet when that one came
    now.forward(minutes=1)
    beat(now)
    now.forward(hours=9)
    beat(now)
    assert names() == [alarms.UNSIGNED_WEBHOOKS], "hours alone prove nothing"
    alarms.genuine(now=now.now())
    beat(now)
    assert names() == []


def test_it_is_raised_again_after_it_ended(app: Flask, now: Clock) -> None:
    notice(now, 3)
    now.forward(minutes=6)
    alarms.genuine(now=now.now())
    beat(now)
    assert names() == []
    now.forward(minutes=1)
    notice(now)
    beat(now)
    alarm = raised()
    assert alarm is not None and (alarm.count, alarm.since) == (1, now.now())


@pytest.mark.parametrize("written", [False, True], ids=["remembered", "written"])
def test_one_from_the_future_ends_no_alarm(app: Flask, now: Clock, written: bool) -> None:
    """REL-15: the clock was ahead when it came, and is put back."""
    now.forward(days=365)
    alarms.genuine(now=now.now())
    if written:
        beat(now)
        another_process()
    now.forward(days=-365)
    beat(now)
    if not written:
        assert last_genuine() == now.now(), "no later than it is"
    notice(now)
    for _ in range(3):
        now.forward(minutes=10)
        beat(now)
    assert names() == [alarms.UNSIGNED_WEBHOOKS]
    alarms.genuine(now=now.now())
    beat(now)
    assert last_genuine() == now.now(), "and it hides no later one"
    assert names() == []


def test_one_minute_of_log_for_each_reason(now: Clock) -> None:
    said = [alarms.once_a_minute(key, now=now.now()) for key in ("a", "b", "a")]
    assert said == [True, True, False]
    now.forward(seconds=60)
    assert alarms.once_a_minute("a", now=now.now())


def test_a_pulse_that_cannot_read_beats_all_the_same(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or alarms would never be written down, and only a thread's end in a log would tell."""

    def broken(_text: str) -> None:
        raise RuntimeError("no words")

    monkeypatch.setattr(inbound, "read", broken)
    pulse = serve.Pulse(app)
    pulse.stopping.set()  # after the first beat
    notice(now)
    db.session.remove()
    with listening() as heard:
        thread = threading.Thread(target=pulse._run)
        thread.start()
        thread.join(20)
    assert heard.getvalue().count("no text could be read to begin with") == 1
    assert names() == [alarms.UNSIGNED_WEBHOOKS]
