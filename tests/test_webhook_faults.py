"""Webhooks while the database is locked, full, read-only or gone, and after the rules failed.

What was not stored is 503, so that it comes again; what was stored is worked later, once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from prefcenter import write_lock
from prefcenter.consent import inbound, provider, suppression
from prefcenter.database import db
from prefcenter.hearing import Listener
from prefcenter.models import Alarm, EventKind, Inbound, Status, TextKind, Unreadable
from prefcenter.sms import alarms
from tests import webhooks
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.phones import heard, say
from tests.test_storage_faults import (
    each_transaction,
    folder_gone,
    locked_by_file,
    locked_by_row,
    locked_by_sqlite,
    no_lock_file,
    rubbish,
)
from tests.test_webhooks import (
    Posted,
    all_worked,
    genuine,
    is_a_problem,
    refusing,
    replies,
    signed,
    sound,
    texts,
)
from tests.test_worker_outage import gone
from tests.watching import listening
from tests.webhooks import INBOUND

later = pytest.mark.settings(TEXTS_AT_ONCE="0")
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
Fault = Callable[[str], Iterator[None]]


def deliver(town: Town, posted: Posted) -> TestResponse:
    raw, pairs = posted
    return town.browser.post(INBOUND, data=raw, headers=pairs)


def stopped_once(town: Town, number: str = ALICE) -> None:
    """One text, one event, one reply, and the proof holds."""
    [row] = heard(number)
    assert (row.outcome, row.reply) == ("stopped", "app")
    assert row.handled_at is not None
    assert town.person(number).status is Status.UNSUBSCRIBED
    assert suppression.contains(number)
    assert town.events(number).count(EventKind.REVOKED) == 1
    assert replies(number)[TextKind.UNSUBSCRIBED] == 1
    sound()


# --- it cannot be stored


@contextmanager
def table_locked(url: str) -> Iterator[None]:
    """Somebody at a PostgreSQL prompt holds the whole inbox; we wait for a moment only."""
    address = url.replace("postgresql+psycopg", "postgresql", 1)
    with psycopg.connect(address) as other, each_transaction("SET LOCAL lock_timeout = '200ms'"):
        other.execute("LOCK TABLE inbound IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def full(url: str) -> Iterator[None]:
    """PostgreSQL's own error for a disk that is full, as the row is written."""
    with refusing("inbound", code="53100"):
        yield


@contextmanager
def read_only(url: str) -> Iterator[None]:
    """A standby that became no primary says so for every row."""
    with refusing("inbound", code="25006"):
        yield


@contextmanager
def full_at_commit(url: str) -> Iterator[None]:
    """Everything was taken, only the end is refused."""

    def refuse(_connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", None, OSError("no space left on device"))

    sa.event.listen(db.engine, "commit", refuse)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "commit", refuse)
        db.session.remove()


def file_read_only(_url: str) -> Iterator[None]:
    return each_transaction("PRAGMA query_only = ON")  # type: ignore[return-value]  # a generator is one


FAULTS = [
    pytest.param("sqlite", locked_by_sqlite, id="locked by another program"),
    pytest.param("sqlite", locked_by_file, id="locked by a writer of ours"),
    pytest.param("postgresql", table_locked, id="locked by a prompt"),
    pytest.param("sqlite", file_read_only, id="read-only file"),
    pytest.param("sqlite", no_lock_file, id="read-only folder"),
    pytest.param("postgresql", read_only, id="read-only server"),
    pytest.param("postgresql", full, id="full server"),
    pytest.param("sqlite", full_at_commit, id="full at the end, SQLite"),
    pytest.param("postgresql", full_at_commit, id="full at the end, PostgreSQL"),
    pytest.param("sqlite", rubbish, id="not a database"),
    pytest.param("sqlite", folder_gone, id="no folder"),
    pytest.param("postgresql", gone, id="no server"),
]

WHOLE = (file_read_only, no_lock_file, full_at_commit, rubbish, folder_gone, gone)  # every table


@pytest.mark.parametrize(("database_url", "fault"), FAULTS, indirect=["database_url"])
def test_a_stop_that_cannot_be_stored_comes_again(
    town: Town, database_url: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-11, REL-16: 503 and nothing half; the same post has its effect when all is well."""
    monkeypatch.setattr(write_lock, "WAIT_SECONDS", 0.2)
    town.alice()
    stop = signed(genuine(INBOUND, town), town)
    unusable = signed(b"STOP", town)
    before = rows()
    db.session.remove()
    with fault(database_url), listening() as said:  # type: ignore[attr-defined]  # a context manager
        is_a_problem(deliver(town, stop), 503)
        if fault in WHOLE:
            is_a_problem(deliver(town, unusable), 503)
    assert '"message": "database failed"' in said.getvalue()
    assert ALICE not in said.getvalue()
    assert rows() == before
    assert deliver(town, stop).status_code == 200
    assert deliver(town, unusable).status_code == 200
    all_worked()
    stopped_once(town)
    assert len(rows()["unreadable"]) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_full_disk_loses_no_stop_that_was_said_yes_to(town: Town) -> None:
    """INV-4: it fills up in the middle of a row, of an effect, or between the two."""
    pages = db.session.scalar(sa.text("PRAGMA page_count"))
    numbers = [f"+1202555{3000 + turn}" for turn in range(40)]
    posts = {n: signed(genuine(INBOUND, town, "STOP " + "x" * 900, n), town) for n in numbers}
    taken, refused = [], []
    with each_transaction(f"PRAGMA max_page_count = {pages + 8}"), listening() as said:
        for number, posted in posts.items():
            answer = deliver(town, posted)
            (taken if answer.status_code == 200 else refused).append(number)
            if answer.status_code != 200:
                is_a_problem(answer, 503)
        found = {row.number: row for number in numbers for row in heard(number)}
        assert sorted(found) == taken, "every 200 is there, and nothing else"
        assert any(row.handled_at for row in found.values())
    assert taken and refused
    assert "+1202555" not in said.getvalue()
    for number in refused:
        assert deliver(town, posts[number]).status_code == 200
    all_worked()
    for number in numbers:
        assert town.events(number) == [EventKind.REVOKED]
        assert len(heard(number)) == replies(number)[TextKind.UNSUBSCRIBED] == 1
    sound()


# --- it is stored, and its effect must wait


class Once:
    """The rules, which fail so many times first."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.works = inbound.handle

    def handle(self, row_id: int, *, now: datetime) -> bool:
        done = self.works(row_id, now=now)
        if self.times:
            self.times -= 1
            raise ValueError(f"after everything was done for {ALICE}")
        return done


def test_rules_that_fail_lose_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """REL-11: 200 because it is stored; half an effect is none; and later it is done once."""
    town.alice()
    monkeypatch.setattr(inbound, "handle", Once().handle)
    before = rows()
    stop = signed(genuine(INBOUND, town), town)
    with listening() as said:
        assert deliver(town, stop).status_code == 200
    assert "a text waits" in said.getvalue() and ALICE not in said.getvalue()
    after = rows()
    assert {name for name in after if after[name] != before[name]} == {"inbound"}
    assert heard()[0].handled_at is None
    assert deliver(town, stop).status_code == 200
    assert rows() == after, "a repeat leaves it waiting"
    Listener().turn()
    stopped_once(town)
    after = rows()
    assert deliver(town, stop).status_code == 200
    Listener().turn()
    assert rows() == after


def test_a_receipt_that_cannot_be_worked_is_kept_for_a_person(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEC-34, INV-11: never 500, and not lost."""

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(provider, "take", broken)
    raw = webhooks.status_body("delivered", message_id="m-1", at=town.now())
    sent = webhooks.headers(raw, now=town.now())
    answer = town.browser.post(webhooks.STATUS, data=raw, headers=sent)
    assert answer.status_code == 200
    kept = db.session.scalars(sa.select(Unreadable)).one()
    assert (kept.door, kept.reason, kept.body) == ("status", alarms.NOT_WORKED, raw)
    assert list(db.session.scalars(sa.select(Alarm.name))) == [alarms.UNREADABLE]


def test_a_database_that_refuses_a_part_gets_none(town: Town) -> None:
    """REL-2: state, proof, suppression and reply are there together or not at all."""
    parts = {ALICE: "consent_event", BOB: "suppression", CAROL: "outbox"}
    for number in parts:
        town.alice(number)
    for number, table in parts.items():
        before = rows()
        with refusing(table):
            say(town, "STOP", number)
        after = rows()
        assert {name for name in after if after[name] != before[name]} == {"inbound"}, table
    Listener().turn()
    for number in parts:
        stopped_once(town, number)


@on_postgresql
def test_a_text_about_somebody_who_is_held_waits(town: Town, database_url: str) -> None:
    """An import holds Alice's row: her STOP is stored at once and worked when she is free."""
    town.alice()
    with each_transaction("SET LOCAL lock_timeout = '200ms'"), locked_by_row(database_url):
        say(town, "STOP")
        assert heard()[0].handled_at is None
        with pytest.raises(sa.exc.OperationalError):
            Listener().turn()  # whose process begins anew a moment later
    Listener().turn()
    stopped_once(town)


@later
def test_in_a_rush_the_senders_process_works_them_once(town: Town) -> None:
    """The web only stores; what waits is worked in order, and nothing is worked twice."""
    town.alice()
    town.alice(BOB)
    stops = [signed(genuine(INBOUND, town, "STOP", number), town) for number in (ALICE, BOB)]
    for stop in stops + stops:
        assert deliver(town, stop).status_code == 200
    assert [row.handled_at for row in heard(ALICE) + heard(BOB)] == [None, None]
    assert town.person(ALICE).status is Status.SUBSCRIBED
    Listener().turn()
    for number in (ALICE, BOB):
        stopped_once(town, number)
    before = rows()
    Listener().turn()
    for stop in stops:
        deliver(town, stop)
    Listener().turn()
    assert rows() == before


class Poison:
    """The rules, which never get over one text."""

    def __init__(self, row: int) -> None:
        self.row = row
        self.works = inbound.handle

    def handle(self, row_id: int, *, now: datetime) -> bool:
        if row_id == self.row:
            raise ValueError(f"what {ALICE} said")
        return self.works(row_id, now=now)


@later
def test_a_text_that_cannot_be_worked_is_set_aside(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is alarmed, the others are worked, and a new process tries it again."""
    for number in (ALICE, BOB, CAROL):
        say(town, "STOP", number)
    works = inbound.handle
    monkeypatch.setattr(inbound, "handle", Poison(heard(ALICE)[0].id).handle)
    listener = Listener()
    with listening() as said:
        for _ in range(3):
            listener.turn()
    assert said.getvalue().count("a text cannot be worked") == 1
    assert ALICE not in said.getvalue()
    set_aside(town)
    monkeypatch.setattr(inbound, "handle", works)
    listener.turn()
    assert heard(ALICE)[0].handled_at is None, "this process has set it aside"
    Listener().turn()
    stopped_once(town, ALICE)


def set_aside(town: Town) -> None:
    """Alice's text waits and is alarmed; Bob's and Carol's are worked."""
    assert heard(ALICE)[0].handled_at is None
    for number in (BOB, CAROL):
        stopped_once(town, number)
    [alarm] = alarms.current()
    assert (alarm.name, alarm.count) == (alarms.TEXT_NOT_WORKED, 1)
    assert ALICE not in alarm.message


@later
def test_a_text_that_the_database_refuses_for_ever_is_set_aside(town: Town) -> None:
    """A row that breaks a rule of the database is no outage: the others must not wait for it."""
    for number in (ALICE, BOB, CAROL):
        say(town, "STOP", number)
    listener = Listener()
    with refusing("person", f"NEW.number = '{ALICE}'"):
        for _ in range(3):
            listener.turn()
        set_aside(town)
    Listener().turn()
    stopped_once(town, ALICE)


@later
@on_postgresql
def test_two_listeners_do_each_text_once(
    app: Flask, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers at once: each text is one's or the other's."""
    numbers = [f"+1202555{5000 + turn}" for turn in range(20)]
    posts = texts(town, ["STOP"] * 20 + ["START"] * 20 + ["HELP"] * 20, numbers)
    for _path, posted in posts:
        assert deliver(town, posted).status_code == 200
    works = inbound.handle
    worked: dict[int, list[int]] = {}

    def handle(row_id: int, *, now: datetime) -> bool:
        done = works(row_id, now=now)
        if done:
            worked.setdefault(threading.get_ident(), []).append(row_id)
        return done

    monkeypatch.setattr(inbound, "handle", handle)
    start = threading.Barrier(2)

    def work() -> None:
        with app.app_context():
            start.wait(20)
            all_worked()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(worked) == 2, "one of them did everything, so this shows nothing"
    assert sorted(sum(worked.values(), [])) == sorted(
        db.session.scalars(sa.select(Inbound.id).order_by(Inbound.id))
    )
    for number in numbers:
        assert town.person(number).status is Status.UNSUBSCRIBED
        assert town.events(number).count(EventKind.REVOKED) == 1
        assert replies(number)[TextKind.UNSUBSCRIBED] == replies(number)[TextKind.HELP] == 1
    sound()
