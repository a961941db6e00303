"""Trouble with our account, told by receipts and answers: pause, slow down, go on."""

import pytest
import sqlalchemy as sa

from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import Alarm, Deliverability, Gate, OutboxStatus, Status
from prefcenter.sms import delivery, gate
from prefcenter.sms.sender import Outcome, Verdict
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock
from tests.receipts import Network, deliver, last_text, take, update
from tests.test_gate import close, is_closed, names, next_free, pass_time
from tests.test_gate import take as slots


def test_an_account_at_fault_pauses_all_until_one_text_gets_through(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=1)
    refused = update(last_text(town), "rejected", "1070")
    take(refused, now)
    assert is_closed(now) and names() == ["sending_paused"]
    alarm = db.session.scalars(sa.select(Alarm)).one()
    assert alarm.message == "Sending is paused: the Vonage quota is used up (1070)."
    assert last_text(town).status is OutboxStatus.FAILED
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert town.person(ALICE).deliverability is Deliverability.OK
    before = rows()
    take(refused, now)
    assert rows() == before, "a repeat makes the pause no longer"
    town.sign_up(BOB)
    assert town.work() == []
    pass_time(301)
    assert len(town.work()) == 1
    assert names() == [] and not is_closed(now)


def test_an_account_at_fault_yesterday_pauses_nothing(town: Town, now: Clock) -> None:
    town.alice()
    late = update(last_text(town), "rejected", "1070")
    now.forward(hours=20)
    take(late, now)
    assert not is_closed(now) and names() == []
    assert last_text(town).status is OutboxStatus.FAILED


def slow(now: Clock, seconds: float) -> None:
    with writing():
        gate.slow(gate.PROVIDER, seconds, now=now.now())
        db.session.commit()


def ahead(now: Clock) -> float:
    """Seconds until the next text may leave, by the gate's clock."""
    if not is_postgresql():
        return next_free() - now.now().timestamp()
    db.session.rollback()
    query = sa.select(Gate.next_free - sa.extract("epoch", sa.func.clock_timestamp()))
    return float(db.session.scalars(query).one())


def test_slowing_down_adds_up_and_has_an_end(town: Town, now: Clock) -> None:
    slow(now, 5)
    assert ahead(now) == pytest.approx(5, abs=0.5)
    assert slots(now, horizon=4) is None
    slow(now, 5)
    assert ahead(now) == pytest.approx(10, abs=0.5)
    for _ in range(9):
        slow(now, 5)
    assert ahead(now) == pytest.approx(gate.SLOWEST, abs=0.5)
    pass_time(100)
    slow(now, 5)
    assert ahead(now) == pytest.approx(5, abs=0.5), "it counts from now"
    slow(now, 3600)
    assert ahead(now) == pytest.approx(gate.SLOWEST, abs=0.5)
    pass_time(31)
    given = slots(now)
    assert given and not given.probing


def test_slowing_down_neither_opens_a_pause_nor_hurries(town: Town, now: Clock) -> None:
    close(now)
    slow(now, 5)
    assert is_closed(now)
    pass_time(-100)
    slow(now, 5)
    assert ahead(now) > 90


def test_a_clock_that_was_put_back_does_not_stop_it(town: Town, now: Clock) -> None:
    """REL-15."""
    slow(now, 5)
    pass_time(-7200)
    slow(now, 5)
    assert ahead(now) == pytest.approx(5, abs=0.5)


def test_too_fast_slows_every_process(town: Town, now: Clock) -> None:
    town.alice()
    pass_time(1000)
    take(update(last_text(town), "rejected", "1000"), now)
    assert ahead(now) == pytest.approx(delivery.SLOW_SECONDS, abs=0.5)
    assert not is_closed(now) and names() == []
    pass_time(1000)
    take(update(last_text(town), "rejected", "1000"), now)
    assert ahead(now) < 0, "a repeat says nothing new"
    town.browser.post(town.bob())
    pass_time(1000)
    late = Verdict(Outcome.RETRY, "too many requests", retry_after=20.0, code="throttled")
    deliver(last_text(town, BOB), Network(answer=late))
    assert ahead(now) == pytest.approx(20, abs=0.5)
    assert last_text(town, BOB).status is OutboxStatus.QUEUED
