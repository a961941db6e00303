"""SQLite's sender at work: all is sent once, at the rate, whatever happens meanwhile."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock, pacing, sending, write_lock
from prefcenter.consent import signup
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, OutboxStatus, Signup, TextKind
from prefcenter.sms import delivery
from prefcenter.sms.delivery import Claim
from prefcenter.sms.sender import Outcome, Parcel, Verdict
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.watching import listening, until

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class RunningClock(Clock):
    """Starts where the tests' clock stands, and runs on."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()

    def now(self):
        return self.moment + timedelta(seconds=time.monotonic() - self.began)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = RunningClock()
    monkeypatch.setattr(clock, "now", fake.now)
    monkeypatch.setattr(write_lock, "WAIT_SECONDS", 0.2)
    return fake


class Provider:
    """Takes a text, after `seconds` or when `gate` is opened, and counts calls at once."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.gate = threading.Event()
        self.gate.set()
        self.began: list[float] = []
        self.taken: list[Parcel] = []
        self.in_air = self.most_in_air = 0
        self._lock = threading.Lock()

    def send(self, parcel: Parcel) -> Verdict:
        with self._lock:
            self.began.append(time.monotonic())
            self.in_air += 1
            self.most_in_air = max(self.most_in_air, self.in_air)
        threading.Event().wait(self.seconds)
        self.gate.wait(30)
        with self._lock:
            self.in_air -= 1
            self.taken.append(parcel)
        return Verdict(Outcome.SENT, "", message_id=f"m-{parcel.ref}")

    @property
    def copies(self) -> set[int]:
        return set(Counter(parcel.ref for parcel in self.taken).values())


class Broken:
    """Raises, which no sender may."""

    def send(self, parcel: Parcel) -> Verdict:
        raise ConnectionError("the wire was cut")


@contextmanager
def at_work(app: Flask, sender: object) -> Iterator[sending.Drain]:
    """The sender, running beside the test; stopped with it."""
    drain = sending.Drain(app, sender)  # type: ignore[arg-type]  # a sender of the test's
    thread = threading.Thread(target=drain.run)
    thread.start()
    try:
        yield drain
    finally:
        drain.stopping.set()
        thread.join(30)
        assert not thread.is_alive(), "the sender does not stop"


def queue_texts(count: int) -> None:
    """So many texts that are due now, to nobody in particular."""
    moment = clock.now()
    with writing():
        for n in range(count):
            text = OutboxMessage(
                to=f"+1202555{1000 + n}",
                sender="+12025550100",
                kind=TextKind.HELP,
                language="en",
                body=f"Marlow Books: text {n}. Reply STOP to stop.",
                status=OutboxStatus.QUEUED,
                created_at=moment,
                due_at=moment,
                expires_at=moment + timedelta(minutes=10),
            )
            db.session.add(text)
        db.session.commit()


def statuses() -> Counter[str]:
    db.session.rollback()
    query = sa.select(OutboxMessage.status, sa.func.count()).group_by(OutboxMessage.status)
    return Counter({str(status): count for status, count in db.session.execute(query)})


def sent() -> int:
    return statuses()["sent"]


def test_texts_and_forms_all_leave_once_with_several_in_the_air(app: Flask, town: Town) -> None:
    queue_texts(30)
    numbers = [f"+12025552{n:03}" for n in range(5)]
    for number in numbers:
        town.sign_up(number)
    provider = Provider(seconds=0.05)
    with at_work(app, provider) as drain:
        until(lambda: sent() == 35, "not all left")
        assert drain._pace.width(8) > 1, "a slow provider is worth more threads"
    assert provider.copies == {1}
    assert provider.most_in_air > 1
    assert {parcel.to for parcel in provider.taken} >= set(numbers)
    assert statuses() == {"sent": 35}
    assert signup.waiting(10) == []


def test_a_quick_provider_is_called_by_one_thread(app: Flask) -> None:
    queue_texts(30)
    provider = Provider()
    provider.send = lambda parcel: (  # type: ignore[method-assign]  # the test's answer
        provider.taken.append(parcel) or Verdict(Outcome.SENT, "", message_id="m")
    )
    with at_work(app, provider) as drain:
        until(lambda: sent() == 30, "not all left")
        assert drain._pace.width(8) < 4
    assert provider.copies == {1}


@pytest.mark.settings(SENDS_PER_SECOND="60")
def test_the_rate_is_kept_however_many_threads_call(app: Flask) -> None:
    queue_texts(30)
    provider = Provider(seconds=0.05)
    with at_work(app, provider):
        until(lambda: sent() == 30, "not all left")
    began = sorted(provider.began)
    assert began[-1] - began[0] >= 29 / 60 - 0.02
    in_a_tenth = max(sum(x <= at < x + 0.1 for at in began) for x in began)
    assert in_a_tenth <= 60 / 10 + 3  # a thread that woke late is not what we look for


class StillTime:
    """Stands in for the module `time`: moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


@pytest.mark.usefixtures("database_url")
def test_slots_that_were_missed_are_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls are never closer than the rate allows, to the microsecond."""
    time_ = StillTime()
    monkeypatch.setattr(pacing, "time", time_)
    began: list[float] = []

    class Notes:
        def send(self, parcel: Parcel) -> Verdict:
            began.append(time_.at)
            return Verdict(Outcome.SENT, "")

    caller = pacing.Caller(Notes(), 50)
    parcel = Parcel("r", ALICE, BOB, "x", TextKind.WELCOME)
    claim = Claim(1, "t", parcel, wait=0, lapses=1e9, probing=False)
    for slot in range(20):  # all due long ago: the process was asleep for two seconds
        caller.call(claim, 98.0 + slot * 0.02)
    assert len(began) == 20
    assert all(b - a >= 1 / 50 for a, b in zip(began, began[1:], strict=False))


def test_an_unreadable_form_keeps_nobody_else_waiting(app: Flask, town: Town) -> None:
    town.sign_up(CAROL)
    [unreadable] = signup.waiting(10)
    with writing():
        db.session.execute(sa.update(Signup).values(evidence={}))
        db.session.commit()
    town.sign_up(BOB)
    queue_texts(1)
    provider = Provider()
    with listening() as heard, at_work(app, provider):
        until(lambda: sent() == 2, "one bad form stops the others")
        town.sign_up(ALICE)
        until(lambda: sent() == 3, "one bad form stops what comes after it")
    assert signup.waiting(10) == [unreadable]
    assert heard.getvalue().count("a form cannot be read") == 1


def test_a_locked_database_loses_and_doubles_nothing(app: Flask, database_url: str) -> None:
    """REL-16: locked while calls are in the air, and for longer than we wait."""
    queue_texts(12)
    provider = Provider()
    provider.gate.clear()
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        with listening() as heard, at_work(app, provider):
            until(lambda: provider.in_air, "nothing is called")
            other.execute("BEGIN IMMEDIATE")
            provider.gate.set()
            until(lambda: "cannot reach the database" in heard.getvalue(), "no word of the lock")
            other.execute("ROLLBACK")
            until(lambda: sent() == 12, "it does not heal")
    finally:
        other.close()
    assert provider.copies == {1}
    assert len(provider.taken) == 12


@pytest.mark.parametrize("wide", [False, True], ids=["one caller", "many callers"])
def test_stop_lets_calls_in_the_air_finish_and_records_them(app: Flask, wide: bool) -> None:
    queue_texts(40)
    provider = Provider(seconds=0.02)
    with at_work(app, provider) as drain:
        if wide:
            until(lambda: provider.most_in_air > 1, "it stays with one caller")
        provider.gate.clear()
        until(lambda: provider.in_air, "nothing is called")
        before = len(provider.taken)
        drain.stopping.set()
        provider.gate.set()
    assert len(provider.taken) > before
    assert provider.copies == {1}
    found = statuses()
    assert found["sent"] == len(provider.taken)
    assert found["sending"] == 0, "what was claimed is called or given back"


def test_a_sender_that_raises_makes_the_text_unknown_not_lost(app: Flask, now: Clock) -> None:
    """REL-4: it may have left, so it is neither repeated at once nor forgotten."""
    queue_texts(1)
    with listening() as heard, at_work(app, Broken()):
        until(lambda: statuses() == {"unknown": 1}, "it was not recorded")
        until(lambda: "text not sent" in heard.getvalue(), "nobody is told")
    [message] = db.session.scalars(sa.select(OutboxMessage))
    assert (message.copies, message.reason) == (1, "the sender failed")
    assert "+1202555" not in heard.getvalue()


class WithoutCredit(Provider):
    """Refuses every text for a reason that befalls the next one too."""

    def send(self, parcel: Parcel) -> Verdict:
        super().send(parcel)
        return Verdict(Outcome.PAUSE, "no credit")


def test_a_pause_leaves_the_writer_alone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are due all the while: it looks as seldom as if there were none."""
    looks: list[float] = []
    claim_due = delivery.claim_due

    def counted(*args: Any, **more: Any) -> list[Claim] | None:
        looks.append(time.monotonic())
        return claim_due(*args, **more)

    monkeypatch.setattr(delivery, "claim_due", counted)
    queue_texts(30)
    with at_work(app, WithoutCredit()):
        until(lambda: len(looks) > 1, "it does not look")
        threading.Event().wait(0.5)  # by then it has been refused
        looks.clear()
        until(lambda: len(looks) > 5, "it does not look")
    assert min(after - before for before, after in pairwise(looks)) >= sending.POLL_SECONDS * 0.9
    assert statuses()["sent"] == 0
