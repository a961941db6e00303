"""The database handle, its column types, and how each engine is opened and locked.

A transaction only reads unless it was opened with `begin_write`: SQLite is then in
query_only mode and PostgreSQL in READ ONLY mode, so a GET cannot write even by mistake
(SEC-1, INV-8). A writer on SQLite first takes the lock of write_lock.py and then BEGIN
IMMEDIATE: no lost update. A little long, so that all of an engine's habits stand in one place.
"""

import contextlib
import functools
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.dialects.postgresql import Insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as sqlite_insert
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.pool import ConnectionPoolEntry

from prefcenter.write_lock import WAIT_SECONDS, WriteLock

WRITE = "prefcenter_write"
MOST_THREADS = 16  # of a web process; each may hold a connection
_LOCK = "prefcenter_lock"
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,22}\Z")
Statement = TypeVar("Statement", bound=sa.Executable)


class Base(DeclarativeBase):
    """Every table of ours derives from this, so that mypy sees its columns."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware moment in UTC. Raises ValueError for a naive one."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def words(kind: type[Enum]) -> sa.Enum:
    """A column for a StrEnum: its values as text, checked by the database."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=24,
        values_callable=lambda enum: [member.value for member in enum],
        name=kind.__name__.lower(),
    )


def new_public_id() -> str:
    """An id that may be shown: says nothing, cannot be guessed (22 characters, almost 128 bits).

    It begins with no dash, which a command would take for an option of its own.
    """
    while (made := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return made


def is_public_id(text: str) -> bool:
    """False for what cannot be such an id, and perhaps cannot even be asked for (SEC-5)."""
    return _PUBLIC_ID.match(text) is not None


def engine_options(url: str) -> dict[str, Any]:
    """What `SQLALCHEMY_ENGINE_OPTIONS` must say for this database."""
    if url.startswith("sqlite"):
        return {
            "connect_args": {"timeout": WAIT_SECONDS, "check_same_thread": False},
            "hide_parameters": True,  # numbers and texts are among them (SEC-7)
            "pool_size": MOST_THREADS,
            "max_overflow": MOST_THREADS,
            "pool_timeout": 8,
        }
    settings = (
        "-c lock_timeout=4000 -c statement_timeout=5000 -c synchronous_commit=on"
        " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    )
    # A server that vanishes without a word is given up after seconds, not after TCP's hours.
    patience = {
        "tcp_user_timeout": 8000,  # milliseconds
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
    }
    return {
        "connect_args": {"options": settings, "connect_timeout": 5, **patience},
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": 4,
        "max_overflow": MOST_THREADS,
        "pool_timeout": 8,
    }


def begin_write() -> None:
    """Open this session's transaction as one that may write. Call it first, commit once.

    Raises RuntimeError when a transaction is already open, because what it has read may
    be old by now.
    """
    session = db.session()
    if session.in_transaction():
        raise RuntimeError("begin_write must be the first thing a writer does")
    # Kept at hand, because asking the session for it costs as much as a small statement.
    session.info[WRITE] = session.connection(execution_options={WRITE: True})


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """A transaction that may write, for commands and workers. Nothing is kept without commit."""
    db.session.rollback()
    begin_write()
    try:
        yield
    finally:
        db.session.rollback()


@contextlib.contextmanager
def write_connection() -> Iterator[Connection]:
    """A transaction that may write, past the session: for rows that stand alone.

    It costs half of the session's. Nothing is kept without commit.
    """
    with db.engine.connect() as connection:
        try:
            # Said to the connection: to say it to the engine makes a new one each time.
            yield connection.execution_options(**{WRITE: True})
        except BaseException:
            # SQLAlchemy takes a transaction whose commit failed for closed, and it may be open.
            with contextlib.suppress(Exception):  # a broken connection is dropped by the pool
                connection.connection.rollback()
            raise


def clear_log() -> None:
    """Empty SQLite's write-ahead log into the file, after something was erased for good.

    It waits for who reads meanwhile as long as any writer does, then leaves the log be: the
    pages in it are overwritten as it is written anew. PostgreSQL keeps its own (docs/admin.md).
    """
    if is_postgresql():
        return
    db.session.rollback()  # what this session reads would hold the log
    with contextlib.closing(db.engine.raw_connection()) as connection:
        driver = connection.driver_connection
        assert driver is not None
        with contextlib.suppress(sqlite3.OperationalError):  # what was erased is committed
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def is_outage(error: Exception) -> bool:
    """The database's own fault, over in a while; False where a row broke one of its rules."""
    outage = isinstance(error, (DBAPIError, PoolTimeout))
    return outage and not isinstance(error, (DataError, IntegrityError))


def is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def is_writing() -> bool:
    """True while this session's transaction is one that may write."""
    connection: Connection | None = db.session().info.get(WRITE)
    return connection is not None and not connection.closed


def read(statement: sa.Select[Any], values: dict[str, Any]) -> Sequence[sa.Row[Any]]:
    """Rows for a page, past the session: half the cost of the same through the ORM."""
    with db.engine.connect() as connection:
        return connection.execute(statement, values).all()


def execute(
    statement: sa.Executable, values: dict[str, Any] | list[dict[str, Any]]
) -> sa.CursorResult[Any]:
    """Run a ready-made statement in the session's transaction, past the ORM."""
    session = db.session()
    connection: Connection | None = session.info.get(WRITE)
    if connection is None or connection.closed:
        connection = session.connection()
    return connection.execute(statement, values)


_HOLD = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


def hold(key: str) -> None:
    """Until the transaction ends, let nobody else hold the same, where no row can be locked.

    SQLite has one writer at a time anyway.
    """
    if is_postgresql():
        execute(_HOLD, {"key": key})


def insert_row(statement: sa.Insert, values: dict[str, Any]) -> int:
    """Like `execute`, for one new row; gives its id."""
    key = execute(statement, values).inserted_primary_key
    assert key is not None
    return int(key[0])


def per_dialect(build: Callable[[], Statement]) -> Callable[[], Statement]:
    """Build a statement once for each dialect: building costs more than running it."""
    built: dict[bool, Statement] = {}

    @functools.wraps(build)
    def get() -> Statement:
        postgresql = is_postgresql()
        if postgresql not in built:
            built[postgresql] = build()
        return built[postgresql]

    return get


def insert(table: type[Base]) -> sqlite_insert | postgresql_insert:
    """An INSERT that can say ON CONFLICT, in the dialect of our database."""
    return postgresql_insert(table) if is_postgresql() else sqlite_insert(table)


def prepare(engine: Engine, lock_file: Path | None) -> None:
    """Hang our habits on an engine; `lock_file` is for SQLite writers."""
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine, lock_file)
    else:
        event.listen(engine, "begin", _begin_postgresql)
        event.listen(engine, "checkin", _checkin_postgresql)


def _begin_postgresql(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.read_only = not connection.get_execution_options().get(WRITE, False)


def _checkin_postgresql(driver: Any, _entry: ConnectionPoolEntry) -> None:
    """What driver.py turned on for its reads ends with them. None: the connection was lost."""
    if driver is not None and driver.autocommit:
        driver.autocommit = False


def _prepare_sqlite(engine: Engine, lock_file: Path | None) -> None:
    event.listen(engine, "connect", _connect_sqlite)
    lock = WriteLock(lock_file) if lock_file is not None else None
    event.listen(engine, "begin", functools.partial(_begin_sqlite, lock))
    event.listen(engine, "checkin", _checkin_sqlite)


def _connect_sqlite(driver: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    driver.isolation_level = None  # we say BEGIN ourselves
    driver.execute("PRAGMA journal_mode = WAL")
    driver.execute("PRAGMA synchronous = FULL")  # a STOP survives a power cut
    driver.execute("PRAGMA foreign_keys = ON")
    driver.execute("PRAGMA trusted_schema = OFF")
    driver.execute("PRAGMA secure_delete = ON")  # what is erased leaves no bytes (RULE-63)
    driver.execute("PRAGMA query_only = ON")


def _begin_sqlite(lock: WriteLock | None, connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    writes = bool(connection.get_execution_options().get(WRITE, False))
    if writes and lock is not None:
        connection.info[_LOCK] = lock.take()
    try:
        # Said only where it changes: SQLite then forgets every statement that it compiled.
        if writes is not connection.info.get(WRITE, False):
            driver.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}")
            connection.info[WRITE] = writes
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    except sqlite3.OperationalError as error:
        raise OperationalError("BEGIN", None, error) from error


def _checkin_sqlite(_driver: sqlite3.Connection | None, entry: ConnectionPoolEntry) -> None:
    """After COMMIT or ROLLBACK: the lock is given back. A BEGIN to read says query_only."""
    turn = entry.info.pop(_LOCK, None)
    if turn is not None:
        turn.close()
