"""The server of tests/postgres.py is PostgreSQL 18, makes copies of databases and leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests import postgres

KILLED_TEST_RUN = """
import os, signal
from tests import postgres
print(postgres.start().url("postgres"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def server():
    try:
        with postgres.start() as server:
            yield server
    except postgres.Unavailable as reason:
        if os.environ.get("REQUIRE_POSTGRES") == "1":
            pytest.fail(str(reason))
        pytest.skip(str(reason))


def ask(address, question):
    engine = create_engine(address)
    try:
        with engine.connect() as connection:
            return connection.scalar(text(question))
    finally:
        engine.dispose()


def socket_folder(address):
    return Path(str(make_url(address).query["host"]))


def test_it_is_postgresql_18(server):
    if server.origin == "PREFCENTER_TEST_POSTGRES_URL":
        pytest.skip("the person's own server may be of any version")

    assert ask(server.url("postgres"), "SELECT version()").startswith("PostgreSQL 18")
    assert ask(server.url("postgres"), "SHOW fsync") == "off"


def test_a_database_is_copied_with_its_rows_and_dropped_while_in_use(server):
    first, second = f"first_{os.getpid()}", f"second_{os.getpid()}"
    engine = create_engine(server.create(first))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE people AS SELECT 'Alice' AS name"))
    engine.dispose()

    copy = create_engine(server.create(second, template=first))
    with copy.connect() as connection:
        assert connection.scalar(text("SELECT name FROM people")) == "Alice"
        server.drop(second)
        with pytest.raises(OperationalError):  # cut off
            connection.scalar(text("SELECT 1"))
    copy.dispose()
    server.drop(first)

    left = "SELECT count(*) FROM pg_database WHERE datname IN ('{}', '{}')"
    assert ask(server.url("postgres"), left.format(first, second)) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs the kernel's parent death signal")
def test_stop_leaves_no_files_and_durable_mode_is_durable(monkeypatch):
    monkeypatch.delenv("PREFCENTER_TEST_POSTGRES_URL", raising=False)
    try:
        server = postgres.start(fsync=True)
    except postgres.Unavailable as reason:
        pytest.skip(str(reason))
    home = socket_folder(server.url("postgres")).parent
    assert ask(server.url("postgres"), "SHOW fsync") == "on"

    server.stop()
    server.stop()  # twice is harmless

    assert not home.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's parent death signal")
def test_the_server_ends_when_the_test_run_is_killed(server, monkeypatch, request):
    monkeypatch.delenv("PREFCENTER_TEST_POSTGRES_URL", raising=False)
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED_TEST_RUN],
        cwd=request.config.rootpath,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        address = run.stdout.readline().strip()
    home = socket_folder(address).parent
    request.addfinalizer(lambda: shutil.rmtree(home))

    assert run.returncode == -signal.SIGKILL
    wait_until_gone(home / "data" / "postmaster.pid")  # removed as the server's last act


def wait_until_gone(path):
    deadline = time.monotonic() + 20
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is still there"
        os.sched_yield()
