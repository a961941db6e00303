"""Texts of one moment share a commit: each thread gets its own answer, whatever happens."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from prefcenter.database import db, writing
from prefcenter.models import Inbound
from prefcenter.sms import inbox, intake
from prefcenter.sms.intake import Intake
from prefcenter.sms.webhook import InboundText
from tests.cast import ALICE, BOB
from tests.conftest import Clock

OURS = "+12025550100"


def text(message_id: str, now: Clock, number: str = ALICE) -> InboundText:
    return InboundText(message_id, number, OURS, "STOP", now.now())


class Crowd:
    """Threads that all bring a text to the same door."""

    def __init__(self, app: Flask, door: Intake, now: Clock) -> None:
        self.app, self.door, self.now = app, door, now
        self.rows: dict[int, int | None] = {}
        self.errors: dict[int, BaseException] = {}

    def bring(self, ids: list[str]) -> None:
        """All at once; fails where one of them waits for ever."""
        gate = threading.Barrier(len(ids))

        def one(place: int, message_id: str) -> None:
            with self.app.app_context():
                gate.wait(10)
                try:
                    self.rows[place] = self.door.store(
                        text(message_id, self.now), now=self.now.now()
                    )
                except OperationalError as error:
                    self.errors[place] = error

        threads = [
            threading.Thread(target=one, args=(place, message_id), daemon=True)
            for place, message_id in enumerate(ids)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"


def stored() -> list[str]:
    db.session.rollback()
    return sorted(db.session.scalars(sa.select(Inbound.message_id)))


def test_every_thread_gets_the_row_of_its_own_text(app: Flask, now: Clock) -> None:
    crowd = Crowd(app, Intake(), now)
    for turn in range(5):
        ids = [f"m-{turn}-{n}" for n in range(12)]
        crowd.bring(ids)
        db.session.rollback()
        query = sa.select(Inbound.message_id, Inbound.id).where(Inbound.message_id.in_(ids))
        found = {row.message_id: row.id for row in db.session.execute(query)}
        assert {ids[place]: row for place, row in crowd.rows.items()} == found


def test_twenty_copies_of_one_text_are_one_row(app: Flask, now: Clock) -> None:
    """REL-11: also when several of them share a commit."""
    crowd = Crowd(app, Intake(), now)
    crowd.bring(["same"] * 20)
    assert stored() == ["same"]
    assert sum(row is not None for row in crowd.rows.values()) == 1


def test_two_copies_in_one_statement_are_one_row(app: Flask, now: Clock) -> None:
    first, second = text("same", now), text("same", now, number=BOB)
    later = now.now() + timedelta(seconds=1)
    other = text("other", now)
    with writing():
        rows = inbox.store([(first, now.now()), (second, later), (other, later)])
    assert [row is not None for row in rows] == [True, False, True]
    assert rows[0] != rows[2]


def test_when_the_commit_fails_everybody_hears_it_and_the_next_is_stored(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-16: a 503 for each, nothing half stored, and the door opens again by itself."""
    door = Intake()
    crowd = Crowd(app, door, now)

    def full(*args: object, **kwargs: object) -> list[int | None]:
        raise OperationalError("INSERT", None, OSError("disk full"))

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "store", full)
        crowd.bring([f"lost-{n}" for n in range(12)])
    assert len(crowd.errors) == 12
    assert crowd.rows == {}
    assert stored() == []
    crowd.bring([f"kept-{n}" for n in range(12)])
    assert stored() == sorted(f"kept-{n}" for n in range(12))


class Slow:
    """A first commit that is held up until all the others stand behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        real = inbox.store

        def store(texts: Any, **more: Any) -> list[int | None]:
            self.sizes.append(len(texts))
            if len(self.sizes) == 1:
                self.entered.set()
                assert self.go.wait(10)
                if fails:
                    raise OperationalError("INSERT", None, OSError("disk full"))
            return real(texts, **more)

        monkeypatch.setattr(inbox, "store", store)


@pytest.mark.parametrize("fails", [False, True])
def test_all_who_came_meanwhile_share_the_next_commit(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Also behind one that failed: whoever stood behind it is stored."""
    door, slow, outcome = Intake(), Slow(monkeypatch, fails=fails), {}

    def one(message_id: str) -> None:
        with app.app_context():
            try:
                outcome[message_id] = door.store(text(message_id, now), now=now.now())
            except OperationalError:
                outcome[message_id] = "failed"

    names = ["first", *(f"later-{n}" for n in range(8))]
    threads = [threading.Thread(target=one, args=(name,), daemon=True) for name in names]
    threads[0].start()
    assert slow.entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(door._waiting) == 8)
    slow.go.set()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    assert slow.sizes == [1, 8]
    assert (outcome["first"] == "failed") is fails
    assert stored() == sorted(names[1:] if fails else names)


def until(reached: Callable[[], bool]) -> None:
    deadline, pause = time.monotonic() + 10, threading.Event()
    while not reached():
        assert time.monotonic() < deadline, "it never came so far"
        pause.wait(0.01)


def test_when_the_database_cannot_be_opened_nobody_waits_for_ever(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Intake()
    crowd = Crowd(app, door, now)

    def gone() -> None:
        raise OperationalError("connect", None, OSError("no such host"))

    with monkeypatch.context() as patch:
        patch.setattr(intake, "write_connection", gone)
        crowd.bring([f"lost-{n}" for n in range(8)])
    assert len(crowd.errors) == 8
    assert door.store(text("after", now), now=now.now()) is not None
