"""Alarms that are noticed where nothing may be written: remembered, then written down once."""

from datetime import timedelta

import pytest
from flask import Flask

from prefcenter.database import db, writing
from prefcenter.models import Alarm, Unreadable
from prefcenter.sms import alarms, watch
from tests.cast import rows
from tests.conftest import Clock
from tests.watching import listening


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests made this process remember is not ours."""
    monkeypatch.setattr(alarms, "_noticed", {})
    monkeypatch.setattr(alarms, "_logged", {})


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
    assert heard.getvalue().count('"alarm": "unsigned_webhooks"') == 1
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
    assert heard.getvalue().count("unsigned_webhooks") == 2
    assert len(alarms._noticed) == 1
    with listening() as heard:
        now.forward(hours=-5)
        notice(now)
    assert heard.getvalue().count("unsigned_webhooks") == 1, "a clock put back does not mute it"


def test_memory_holds_no_names_but_ours(now: Clock) -> None:
    with pytest.raises(ValueError, match="no alarm"):
        alarms.remember("made_up", "x", now=now.now())
    assert alarms._noticed == {}


def test_every_sentence_fits_and_nothing_is_cut() -> None:
    assert all(len(sentence) <= 300 for sentence in alarms.SENTENCES.values())
    assert alarms.SENTENCES.keys() < alarms.NAMES


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
    assert alarm is not None and alarm.since == now.now()


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
