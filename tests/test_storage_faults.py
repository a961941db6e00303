"""A database that is locked, read-only, full, broken or gone: 503 and a plain page, then well."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from prefcenter import config
from prefcenter.database import db
from prefcenter.models import Status
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import BASE
from tests.watching import listening

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def is_sorry(answer: TestResponse) -> None:
    """A page that says it is our fault, tells when to come back and shows nothing of inside."""
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "<h1" in answer.text
    for word in ("Traceback", "sqlite", "psycopg", "SELECT", "INSERT", ALICE, CAROL):
        assert word not in answer.text


# --- locked


@contextmanager
def locked_by_sqlite(url: str) -> Iterator[None]:
    """Another program writes and does not finish."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


@contextmanager
def locked_by_file(_url: str) -> Iterator[None]:
    """One of our own writers hangs."""
    path = config.current().lock_file
    assert path is not None
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_by_row(url: str) -> Iterator[None]:
    """Somebody at a PostgreSQL prompt holds Alice's row."""
    address = url.replace("postgresql+psycopg", "postgresql", 1)
    with psycopg.connect(address) as other:
        other.execute("SELECT 1 FROM person FOR UPDATE")
        yield


@pytest.mark.parametrize(
    ("database_url", "lock"),
    [
        pytest.param("sqlite", locked_by_sqlite, id="by another program"),
        pytest.param("sqlite", locked_by_file, id="by a writer of ours"),
        pytest.param("postgresql", locked_by_row, id="by a prompt"),
    ],
    indirect=["database_url"],
)
def test_locked_for_longer_than_we_wait(
    town: Town, database_url: str, lock: Callable[[str], Iterator[None]]
) -> None:
    """REL-16: an answer within ten seconds, and the press works afterwards."""
    link = town.alice()
    with lock(database_url), listening() as heard:  # type: ignore[attr-defined]  # a context manager
        began = time.monotonic()
        is_sorry(town.browser.post(f"{link}/stop"))
        assert time.monotonic() - began < 10
        assert town.browser.get(link).status_code == 200, "reading goes on"
    assert heard.getvalue().count('"message": "database failed"') == 1
    assert ALICE not in heard.getvalue()
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert town.browser.post(f"{link}/stop").status_code == 303
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


# --- read-only, full, broken, gone


@contextmanager
def each_transaction(pragma: str) -> Iterator[None]:
    """SQLite itself refuses, as it does for a file or a disk like that."""

    def say(connection: sa.Connection) -> None:
        connection.connection.driver_connection.execute(pragma)  # type: ignore[union-attr]  # it is open

    db.session.remove()
    sa.event.listen(db.engine, "begin", say)
    try:
        yield
    finally:
        sa.event.remove(db.engine, "begin", say)
        db.session.remove()
        db.engine.dispose()


@contextmanager
def no_lock_file(_url: str) -> Iterator[None]:
    """A folder that is not ours to write in: as root no mode would stop us."""
    path = config.current().lock_file
    assert path is not None
    path.unlink(missing_ok=True)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()


@contextmanager
def rubbish(url: str) -> Iterator[None]:
    """The file is no database."""
    file = Path(url.removeprefix("sqlite:///"))
    with moved_away(file):
        file.write_bytes(b"not a database, " * 512)
        yield


@contextmanager
def folder_gone(url: str) -> Iterator[None]:
    """The disk was not mounted."""
    with moved_away(Path(url.removeprefix("sqlite:///")).parent):
        yield


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    db.session.remove()
    db.engine.dispose()
    aside = path.with_name(path.name + "-aside")
    path.rename(aside)
    try:
        yield
    finally:
        db.session.remove()
        db.engine.dispose()
        if path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)
        aside.rename(path)


@on_sqlite
@pytest.mark.parametrize(
    "fault",
    [lambda _url: each_transaction("PRAGMA query_only = ON"), no_lock_file, rubbish, folder_gone],
    ids=["read-only file", "read-only folder", "not a database", "no folder"],
)
def test_a_write_that_cannot_be_is_sorry_and_heals(
    town: Town, database_url: str, fault: Callable[[str], Iterator[None]]
) -> None:
    """503, not 500: it is the disk's trouble, and it passes."""
    link = town.alice()
    page = town.browser.get("/").text
    version = page.split('name="text_version" value="')[1].split('"')[0]
    before = rows()
    form = {"number": BOB, "consent": "yes", "text_version": version, "categories": ["offers"]}
    with fault(database_url), listening() as heard:  # type: ignore[attr-defined]  # a context manager
        is_sorry(town.browser.post(f"{link}/stop"))
        is_sorry(town.browser.post(f"{link}/stop", headers={"HX-Request": "true"}))
        is_sorry(town.browser.post("/", data=form))
        with town.browser.get("/healthz") as alive:
            assert alive.status_code == 200
    for number in (ALICE, BOB):
        assert number not in heard.getvalue()
    assert rows() == before
    assert town.browser.post(f"{link}/stop").status_code == 303
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


@on_sqlite
@pytest.mark.parametrize("fault", [rubbish, folder_gone], ids=["not a database", "no folder"])
def test_a_page_that_cannot_be_read_is_sorry_and_so_is_readyz(
    town: Town, database_url: str, fault: Callable[[str], Iterator[None]]
) -> None:
    link = town.alice()
    with fault(database_url):  # type: ignore[attr-defined]  # a context manager
        is_sorry(town.browser.get(link))
        with town.browser.get("/readyz") as ready:
            assert ready.status_code == 503
    assert town.browser.get(link).status_code == 200
    assert town.browser.get("/readyz").status_code == 200


@on_sqlite
def test_a_full_disk_loses_nothing_that_was_said_yes_to(app: Flask, town: Town) -> None:
    """SQLITE_FULL comes in the middle of a write; what was answered 303 is there."""
    link = town.alice()
    pages = db.session.scalar(sa.text("PRAGMA page_count"))
    page = town.browser.get("/").text
    version = page.split('name="text_version" value="')[1].split('"')[0]
    taken = 0
    with each_transaction(f"PRAGMA max_page_count = {pages + 2}"), listening() as heard:
        for turn in range(200):
            number = f"+1202555{2000 + turn}"
            form = {"number": number, "consent": "yes", "text_version": version}
            answer = town.browser.post("/", data=form | {"categories": ["offers"]})
            if answer.status_code == 503:
                break
            assert answer.status_code == 303
            taken += 1
        is_sorry(answer)
        assert town.browser.get(link).status_code == 200
    assert "2025552" not in heard.getvalue()
    assert taken > 0
    assert len(rows()["signup"]) == taken
    again = town.browser.post("/", data=form | {"categories": ["offers"]})
    assert again.status_code == 303, "and when there is room again it goes on"


# --- what is said about it


CRASH = """
import sys
from datetime import timedelta
import sqlalchemy as sa
from prefcenter import clock, create_app, logs
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage
sys.excepthook = logs.crash
with create_app().app_context(), writing():
    db.session.execute(sa.insert(OutboxMessage).values(to_number="+12025550143", body="{}"))
"""


def test_no_number_is_told_when_an_insert_fails(database_url: str, tmp_path: Path) -> None:
    """SEC-7, INV-10: on standard error too, where a traceback would have the values."""
    env = os.environ | BASE
    env |= {"PREFCENTER_DATABASE_URL": database_url, "PREFCENTER_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format("call 12025550143")],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert '"message": "stopped by an error"' in done.stderr
    assert "IntegrityError" in done.stderr
    assert "2025550143" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_no_number_is_logged_when_a_form_cannot_be_kept(town: Town) -> None:
    """The same through a page, where the database refuses the row itself."""
    page = town.browser.get("/").text
    version = page.split('name="text_version" value="')[1].split('"')[0]
    form = {"number": BOB, "consent": "yes", "text_version": version, "categories": ["offers"]}

    def refuse(connection: sa.Connection, *_: object) -> None:
        connection.exec_driver_sql("INSERT INTO signup (number) VALUES ('+12025550144')")

    sa.event.listen(db.engine, "begin", refuse)
    try:
        with listening() as heard:
            is_sorry(town.browser.post("/", data=form))
    finally:
        sa.event.remove(db.engine, "begin", refuse)
    assert "database failed" in heard.getvalue()
    assert "2025550144" not in heard.getvalue()
