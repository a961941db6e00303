"""The shared rate, the pause, and what the outbox makes of each answer, on both databases."""

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import doctor, sending
from prefcenter.database import db, writing
from prefcenter.models import Gate, OutboxMessage, OutboxStatus, TextKind
from prefcenter.sms import alarms, delivery, gate
from prefcenter.sms.gate import Slots
from prefcenter.sms.outbox import POLICY
from prefcenter.sms.sender import Outcome, Verdict
from tests.cast import ALICE, BOB, Town
from tests.conftest import Clock
from tests.watching import listening

NO_CREDIT = Verdict(Outcome.PAUSE, "402")
BAD_KEY = Verdict(Outcome.PAUSE, "401")
RETRY = Verdict(Outcome.RETRY, "503")

# REL-4, written out here once more: what may be sent a second time when nobody knows.
SENT_ONCE_MORE = {
    TextKind.CONFIRM_REQUEST: True,
    TextKind.WELCOME: True,
    TextKind.CHANGED: True,
    TextKind.NEW_LINK: True,
    TextKind.UNSUBSCRIBED: False,
    TextKind.RESUBSCRIBED: False,
    TextKind.ALREADY_SUBSCRIBED: False,
    TextKind.HELP: False,
    TextKind.WHICH: False,
    TextKind.PREFERENCES: False,
    TextKind.PAUSED: False,
    TextKind.RESUMED: False,
    TextKind.MENU: False,
}


@pytest.fixture(autouse=True)
def _in_the_app(app: Flask) -> None:
    """Every test here speaks to the database."""


def take(now: Clock, wanted: int = 1, *, rate: float = 20, horizon: float = 0.05) -> Slots | None:
    with writing():
        slots = gate.take(gate.PROVIDER, wanted, rate, horizon=horizon, now=now.now())
        db.session.commit()
    return slots


def close(now: Clock, seconds: float = 300) -> None:
    with writing():
        gate.close(gate.PROVIDER, seconds, now=now.now())
        db.session.commit()


def is_closed(now: Clock) -> bool:
    db.session.rollback()
    return delivery.paused(now=now.now())


def pass_time(seconds: float) -> None:
    """So much later by the gate's own clock, which on PostgreSQL is the server's."""
    shut = sa.case((Gate.closed_until > 0, Gate.closed_until - seconds), else_=0.0)
    with writing():
        values = {"next_free": Gate.next_free - seconds, "closed_until": shut}
        db.session.execute(sa.update(Gate).values(values))
        db.session.commit()


def next_free() -> float:
    db.session.rollback()
    return float(db.session.scalars(sa.select(Gate.next_free)).one())


def settle() -> None:
    with writing():
        db.session.commit()
    sending.rescue()


def names() -> list[str]:
    db.session.rollback()
    return [alarm.name for alarm in alarms.current()]


def alarms_of_doctor() -> list[str]:
    db.session.rollback()
    return [finding.detail for finding in doctor.examine() if finding.what == "alarm"]


def test_no_second_has_more_than_the_rate(now: Clock) -> None:
    """By the slots that were given, however many are asked for at once."""
    rate, chance, slots = 20, Random(7), []
    while len(slots) < 300:
        given = take(now, chance.randint(1, 9), rate=rate, horizon=chance.choice([90.0, 60.0]))
        assert given and not given.probing
        end = next_free()
        slots += [end - (given.count - n) * given.step for n in range(given.count)]
    assert slots == sorted(slots)
    assert min(b - a for a, b in pairwise(slots)) > 1 / rate
    assert all(late - early > 1 for early, late in zip(slots, slots[rate:], strict=False))
    assert slots[-1] - slots[0] < 300 / rate * 1.02, "nor is it much slower than asked"


def test_nothing_is_given_that_starts_later_than_the_horizon(now: Clock) -> None:
    given = take(now, 100, rate=10, horizon=0.5)
    assert given and given.count == 1 + int(0.5 / given.step)
    assert given.wait_of(given.count - 1) <= 0.5 + 0.001
    if db.engine.dialect.name == "sqlite":
        assert given.wait == pytest.approx(0.0, abs=0.001)
    assert take(now, rate=10, horizon=0.1) is None
    pass_time(10)
    again = take(now, 1, rate=10, horizon=0.1)
    assert again and again.wait_of(0) < 0.05


def test_a_pause_closes_for_all_then_one_tries(now: Clock, town: Town) -> None:
    town.sign_up(ALICE)
    town.sign_up(BOB)
    town.network.answers = [NO_CREDIT, NO_CREDIT]
    town.work()
    assert is_closed(now)
    assert take(now, 5) is None
    assert take(now, 1, horizon=1000) is None
    taken = len(town.network.texts)
    assert town.work() == []
    assert names() == ["sending_paused"]

    pass_time(301)
    assert not is_closed(now)
    assert len(town.work()) == 1, "one text tries whether the provider takes them again"
    assert names() == []
    pass_time(5)
    town.work()
    assert {parcel.to for parcel in town.network.texts[taken:]} == {ALICE, BOB}
    after = take(now, 3, horizon=1)
    assert after and after.count == 3 and not after.probing


def test_who_tries_and_fails_closes_again(now: Clock, town: Town) -> None:
    town.sign_up(ALICE)
    town.network.answers = [NO_CREDIT, NO_CREDIT]
    town.work()
    pass_time(301)
    assert len(town.work()) == 1
    assert is_closed(now)
    [alarm] = alarms.current()
    assert alarm.count == 2


def test_the_alarm_ends_when_nothing_is_left_to_try_with(now: Clock, town: Town) -> None:
    link = town.bob()
    town.browser.post(link)
    town.network.answers = [NO_CREDIT]
    town.work()
    town.browser.post(f"{link}/stop")  # takes the welcome back
    settle()
    assert names() == ["sending_paused"], "not before the pause is over"
    now.forward(minutes=6)  # and the STOP reply is too late to be of use
    pass_time(361)
    town.work()
    settle()
    assert names() == []
    free = take(now, 3, horizon=1)
    assert free and not free.probing


def test_the_alarm_stays_while_a_text_waits_to_try(now: Clock, town: Town) -> None:
    town.sign_up(ALICE)
    town.network.answers = [NO_CREDIT]
    town.work()
    pass_time(301)
    settle()
    assert names() == ["sending_paused"]
    [probe] = [take(now, 3, horizon=1)]
    assert probe and probe.probing and probe.count == 1


@pytest.mark.parametrize("paused", [False, True], ids=["open", "paused"])
def test_a_clock_put_back_an_hour_does_not_halt_sending(now: Clock, paused: bool) -> None:
    """REL-15: both times in the gate are then an hour ahead."""
    take(now, 3)
    if paused:
        close(now)
    pass_time(-3600)
    given = take(now)
    assert given is not None
    assert given.wait_of(0) < 0.1
    assert given.probing is paused


def test_a_refused_key_burns_no_attempt_and_is_told(town: Town) -> None:
    """401 means that no text will leave: the text waits, and an operator hears of it."""
    town.sign_up(ALICE)
    town.network.answers = [BAD_KEY]
    with listening() as heard:
        town.work()
    [message] = town.outbox(ALICE)
    assert (message.status, message.attempts, message.copies) == (OutboxStatus.QUEUED, 0, 0)
    [detail] = alarms_of_doctor()
    assert detail.startswith("Sending is paused: 401. Since 2026-11-24")
    ready = {"status": "ready", "alarms": ["sending_paused"], "detail": []}
    assert town.browser.get("/readyz").json == ready, "why is the account's business"
    assert '"alarm": "sending_paused"' in heard.getvalue()
    assert ALICE not in heard.getvalue()
    pass_time(301)
    assert len(town.work()) == 1
    assert alarms_of_doctor() == []


def test_retries_come_ever_later(town: Town, now: Clock) -> None:
    town.sign_up(ALICE)
    delays = []
    for turn in range(1, 12):
        town.network.answers = [RETRY]
        assert len(town.work()) == 1
        [message] = town.outbox(ALICE)
        assert (message.status, message.attempts) == (OutboxStatus.QUEUED, turn)
        delays.append((message.due_at - now.now()).total_seconds())
        assert town.work() == [], "not before its time"
        now.moment = message.due_at
    rungs = [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    for delay, rung in zip(delays, rungs, strict=True):
        assert 0.75 * rung <= delay <= 1.25 * rung
    assert len(town.work()) == 1
    assert town.outbox(ALICE)[0].status is OutboxStatus.SENT


def test_a_provider_that_says_when_is_obeyed(town: Town, now: Clock) -> None:
    town.sign_up(ALICE)
    town.network.answers = [Verdict(Outcome.RETRY, "429", retry_after=77.0)]
    town.work()
    assert town.outbox(ALICE)[0].due_at == now.now() + timedelta(seconds=77)


def test_retries_end_when_the_text_is_of_no_more_use(town: Town, now: Clock) -> None:
    town.sign_up(ALICE)
    town.network.answers = [RETRY]
    town.work()
    now.forward(hours=24)
    assert town.work() == []
    assert [m.status for m in town.outbox(ALICE)] == [OutboxStatus.EXPIRED]


def _claimed(kind: TextKind, now: Clock) -> int:
    """A text whose sender died during the call."""
    with writing():
        text = OutboxMessage(
            to=ALICE,
            sender="+12025550100",
            kind=kind,
            language="en",
            body="Marlow Books: x. Reply STOP to stop.",
            status=OutboxStatus.SENDING,
            claim="t",
            created_at=now.now(),
            claimed_at=now.now(),
            due_at=now.now(),
            expires_at=now.now() + timedelta(days=1),
        )
        db.session.add(text)
        db.session.commit()
        return text.id


def _what_becomes(ids: dict[TextKind, int], now: Clock) -> dict[TextKind, bool]:
    """Let the lease and the wait for a receipt run out; True for what is queued again."""
    now.forward(seconds=46)
    settle()
    now.forward(seconds=121)
    settle()
    db.session.rollback()
    db.session.expire_all()
    rows = {kind: db.session.get(OutboxMessage, id_) for kind, id_ in ids.items()}
    for row in rows.values():
        assert row and row.status in (OutboxStatus.QUEUED, OutboxStatus.UNKNOWN)
        assert (row.finished_at is None) is (row.status is OutboxStatus.QUEUED)
    return {kind: bool(row and row.status is OutboxStatus.QUEUED) for kind, row in rows.items()}


def test_which_texts_are_sent_once_more_when_nobody_knows(app: Flask, now: Clock) -> None:
    """REL-4: a link or the welcome once, a reply never; nothing a third time (INV-7)."""
    assert {kind: POLICY[kind].resend for kind in TextKind} == SENT_ONCE_MORE
    ids = {kind: _claimed(kind, now) for kind in TextKind}
    assert _what_becomes(ids, now) == SENT_ONCE_MORE
    with writing():
        again = sa.update(OutboxMessage).where(OutboxMessage.status == OutboxStatus.QUEUED)
        db.session.execute(again.values(status=OutboxStatus.SENDING, claimed_at=now.now()))
        db.session.commit()
    assert not any(_what_becomes(ids, now).values())
