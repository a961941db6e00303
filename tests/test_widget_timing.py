"""Known, new and stopped numbers at a served product: the same bytes, whoever it is (SEC-24).

How long the answers take is measured by `python -m benchmarks signups`: no test here may
depend on how busy the machine is.
"""

import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock, config, create_app, demo_data
from prefcenter.consent import people
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, Person, Signup, Status, TextKind
from tests import strangers
from tests.conftest import BASE
from tests.watching import until

EACH = 60


class Product:
    """`prefcenter serve` on SQLite, its sender beside it, and what it logs."""

    def __init__(self, folder: Path, file: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port: int = found.getsockname()[1]
        more = strangers.NO_LIMITS | {
            "DATABASE_URL": f"sqlite:///{file}",
            "DATA_DIR": str(folder),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
        }
        env = BASE | {f"PREFCENTER_{name}": value for name, value in more.items()}
        self.app: Flask = create_app(config.read(env))
        self.env, self.log = os.environ | env, folder / "log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "prefcenter", "serve", "--port", str(self.port)],
                env=self.env,
                stdout=log,
                stderr=log,
            )
        until(self._is_up, "the server does not come up", seconds=40)

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(40)
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def product(tmp_path: Path, sqlite_template: Path) -> Iterator[Product]:
    file = tmp_path / "prefcenter.sqlite3"
    shutil.copy(sqlite_template, file)
    product = Product(tmp_path, file)
    yield product
    product.stop()


def numbers_of(kind: int) -> list[str]:
    return [f"+1202{2 + kind}{n:06d}" for n in range(EACH)]


def enrol(app: Flask, numbers: list[str], status: Status) -> None:
    """As bulk, so without the proof of it."""
    now = clock.now()
    with app.app_context(), writing():
        for number in numbers:
            people.enrol(number, "US", "en", now=now)
        there = Person.number.in_(numbers)
        db.session.execute(sa.update(Person).where(there).values(status=status))
        db.session.commit()


def test_the_same_bytes_whoever_it_is(product: Product) -> None:
    """Subscribed, stopped, asked before and new: one answer; each gets its own text or none.

    Of the stopped, every other was erased since: only the keyed entry is left (SEC-48).
    """
    known, stopped, new = (numbers_of(kind) for kind in range(3))
    with product.app.app_context(), writing():
        demo_data.add()
        db.session.commit()
    enrol(product.app, known, Status.SUBSCRIBED)
    enrol(product.app, stopped[::2], Status.SUBSCRIBED)
    now = clock.now()
    strangers.stop(product.app, stopped, now=now)
    strangers.open_shop(product.app, now=now)
    who = dict.fromkeys(known, "known") | dict.fromkeys(stopped, "stopped")
    everybody = [(who.get(number, "new"), number) for number in known + stopped + new]
    random.Random(24).shuffle(everybody)
    product.start()

    for accept, status in (("application/json", "200"), ("text/html", "303")):
        forms = strangers.tries(product.app, everybody, now=clock.now())
        heard = strangers.post_all(product.port, forms, accept=accept)
        assert len({one.answer for one in heard}) == 1, accept
        assert Counter(one.kind for one in heard) == {"known": EACH, "new": EACH, "stopped": EACH}
        assert heard[0].answer.startswith(status)
        assert "sent" in heard[0].answer
        with product.app.app_context():
            until(nobody_waits, "forms still wait", seconds=60)

    with product.app.app_context():
        texts = Counter(
            (who.get(to, "new"), kind)
            for to, kind in db.session.execute(sa.select(OutboxMessage.to, OutboxMessage.kind))
        )
        db.session.rollback()
    assert texts == {
        ("known", TextKind.ALREADY_SUBSCRIBED): EACH,
        ("new", TextKind.CONFIRM_REQUEST): EACH,
    }
    logged = product.log.read_text()
    assert '"text sent to the console"' in logged
    assert not [number for number in who if number.removeprefix("+1") in logged]
    assert ".script." not in logged


def nobody_waits() -> bool:
    db.session.rollback()
    return not db.session.scalar(sa.select(sa.func.count(Signup.id)))


@pytest.mark.parametrize(
    ("these", "those", "told"),
    [
        ([1, 2, 3], [4, 5, 6], 0.0),
        ([4, 5, 6], [1, 2, 3], 1.0),
        ([1, 1, 1], [1, 1], 0.5),
        ([1, 3], [2, 2], 0.5),
        ([1, 2, 3, 4], [2.5, 3.5], 0.25 + 0.125),
    ],
)
def test_the_classifier_itself(these: list[float], those: list[float], told: float) -> None:
    """Of `python -m benchmarks signups`: it finds a difference where there is one."""
    assert strangers.auc(these, those) == told
    assert strangers.auc(those, these) == 1 - told
