"""PostgreSQL's worker: the database may go away and come back, and clocks may differ."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from prefcenter import clock, pacing, sending
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, OutboxStatus, TextKind
from prefcenter.sms import jobs
from prefcenter.sms.sender import Parcel
from tests.cast import Network, Town
from tests.conftest import BASE, Clock
from tests.standin import Standin, application_key
from tests.test_many_workers import Deployment
from tests.watching import until

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


class RealClock(Clock):
    """The worker in its own process has the real one, so this test has it too."""

    now = staticmethod(clock.now)


@pytest.fixture
def now() -> Clock:
    return RealClock()


@pytest.fixture
def vonage(tmp_path: Path) -> Iterator[Standin]:
    with Standin(tmp_path) as standin:
        yield standin


class Worker(Deployment):
    """`prefcenter worker`, and what it says."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        super().__init__(env, 0)
        self.log = log

    def begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "prefcenter", "worker"]
        with self.log.open("wb") as log:
            process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def said(self, words: str) -> int:
        return self.log.read_text().count(words) if self.log.exists() else 0


@pytest.fixture
def worker(database_url: str, tmp_path: Path, vonage: Standin) -> Iterator[Worker]:
    settings = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(tmp_path),
        "SMS_BACKEND": "vonage",
        "VONAGE_APPLICATION_ID": "app-1",
        "VONAGE_PRIVATE_KEY": application_key()[0],
        "VONAGE_API_HOST": vonage.host,
    }
    env = os.environ | BASE | {f"PREFCENTER_{key}": value for key, value in settings.items()}
    log = tmp_path / "worker.log"
    worker = Worker(env | {"REQUESTS_CA_BUNDLE": str(vonage.ca)}, log)
    yield worker
    worker.stop()


@contextmanager
def gone(database_url: str) -> Iterator[None]:
    """The database cuts everybody off and lets nobody in."""
    address = database_url.replace("postgresql+psycopg", "postgresql", 1)
    base, _, rest = address.rpartition("/")
    name, mark, options = rest.partition("?")
    with psycopg.connect(f"{base}/postgres{mark}{options}", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def queue_text(number: str, *, due_in: float = 0.0) -> int:
    """A text with a job that is there at once, whenever the row says that it is due."""
    moment = clock.now()
    due_at = moment + timedelta(seconds=due_in)
    with writing():
        text = OutboxMessage(
            to=number,
            sender="+12025550100",
            kind=TextKind.HELP,
            language="en",
            body="Marlow Books: hello. Reply STOP to stop.",
            status=OutboxStatus.QUEUED,
            created_at=moment,
            due_at=due_at,
            expires_at=due_at + timedelta(minutes=10),
        )
        db.session.add(text)
        db.session.flush()
        jobs.defer(jobs.DELIVER, text.id)
        db.session.commit()
        return text.id


def status(id_: int) -> OutboxStatus:
    db.session.rollback()
    db.session.expire_all()
    text = db.session.get(OutboxMessage, id_)
    assert text is not None
    return text.status


def test_the_worker_outlives_an_outage_and_doubles_nothing(
    app: Flask, worker: Worker, vonage: Standin, database_url: str
) -> None:
    """REL-16. One text is in the air when the database goes; its answer is not lost."""
    process = worker.begin()
    first = queue_text("+12025550143")
    until(lambda: status(first) is OutboxStatus.SENT, "the worker does not work", seconds=30)

    vonage.delay = 1.0
    in_the_air = queue_text("+12025550144")
    until(lambda: len(vonage.texts) == 2, "it was not called")
    answered = time.monotonic() + vonage.delay + 0.3
    db.session.remove()
    with gone(database_url):
        vonage.delay = 0.0
        until(lambda: worker.said('"level": "error"'), "no word of the outage")
        until(lambda: time.monotonic() > answered, "the answer comes while nobody can record it")
        assert process.poll() is None
    until(lambda: status(in_the_air) is OutboxStatus.SENT, "the answer was lost", seconds=30)

    between = queue_text("+12025550147")
    until(lambda: status(between) is OutboxStatus.SENT, "it stays with the dead one", seconds=30)
    db.session.remove()
    said = worker.said('"level": "error"')
    with gone(database_url):  # again, with nothing in the air
        until(lambda: worker.said('"level": "error"') > said, "no word of the outage")
        until(lambda: worker.said("not currently accepting"), "it does not try again")
    after = queue_text("+12025550145")
    until(lambda: status(after) is OutboxStatus.SENT, "it does not work again", seconds=30)
    assert Counter(text["to"] for text in vonage.texts) == {
        "12025550143": 1,
        "12025550144": 1,
        "12025550145": 1,
        "12025550147": 1,
    }
    soon = queue_text("+12025550146", due_in=60)
    until(lambda: status(soon) is OutboxStatus.SENT, "it waits for our clock", seconds=8)
    assert process.poll() is None
    process.terminate()
    assert process.wait(20) == 0
    assert "+1202555" not in worker.log.read_text()


def test_a_worker_whose_clock_is_behind_sends_when_its_job_comes(app: Flask, town: Town) -> None:
    """REL-15: else the text would wait for the sweep, half a minute and more."""
    network = Network()
    text = queue_text("+12025550143", due_in=4 * 60)
    sending.deliver(text, pacing.Caller(network, 1000))
    assert status(text) is OutboxStatus.SENT
    far = queue_text("+12025550144", due_in=6 * 60)
    sending.deliver(far, pacing.Caller(network, 1000))
    assert status(far) is OutboxStatus.QUEUED
    assert [parcel.to for parcel in network.texts] == ["+12025550143"]
    assert isinstance(network.texts[0], Parcel)
