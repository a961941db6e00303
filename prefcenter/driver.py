"""SELECTs of the hottest paths, run by the database's driver itself.

SQLAlchemy's own way of running a ready-made statement and making rows of its answer costs several
times what SQLite does for it. Here a statement is text with :names, the same for both databases
but for what `{each}` and the like stand for; rows are tuples of what the driver gives.
"""

import contextlib
import json
import re
import sqlite3
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import PoolProxiedConnection

from prefcenter.database import db, is_postgresql

_NAME = re.compile(r"(?<!:):(\w+)")
_SQLITE = {
    "{each}": "SELECT value FROM json_each(:list)",
    "{each id}": "SELECT value FROM json_each(:list)",
    "{place}": "instr",
}
_POSTGRESQL = {
    "{each}": "SELECT unnest(string_to_array(:list, ','))",
    "{each id}": "SELECT unnest(string_to_array(:list, ',')::bigint[])",
    "{place}": "strpos",
}
Within = PoolProxiedConnection | None


class Query:
    """One SELECT. `{each}` stands for the values of the list `:list` (see listed), `{each id}` for
    ids in it, and `{place}(text, part)` for where a part stands, 0 for nowhere: SQLite compiles a
    LIKE with a value anew each time."""

    def __init__(self, text: str) -> None:
        self._sqlite = _filled(text, _SQLITE)
        self._postgresql = _NAME.sub(r"%(\1)s", _filled(text, _POSTGRESQL))

    def rows(self, values: dict[str, Any], *, within: Within = None) -> list[tuple[Any, ...]]:
        """What it finds: in a connection of its own, or within one that is open.

        Raises OperationalError, also where the driver has another word for it.
        """
        if within is not None:
            return self._run(within, values)
        with reading() as taken:
            return self._run(taken, values)

    def _run(self, within: PoolProxiedConnection, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        driver: Any = within.driver_connection
        text = self._sqlite if isinstance(driver, sqlite3.Connection) else self._postgresql
        try:
            found: list[tuple[Any, ...]] = driver.execute(text, values).fetchall()
            return found
        except _trouble() as error:
            raise OperationalError("SELECT", None, error) from error


def _trouble() -> type[Exception]:
    """What the driver raises; asked for when it has, because psycopg is not there for SQLite."""
    found: type[Exception] = db.engine.dialect.loaded_dbapi.Error
    return found


def take() -> PoolProxiedConnection:
    """A connection for some SELECTs, each of which sees what is so when it runs. To be closed.

    Raises OperationalError.
    """
    try:
        taken = db.engine.raw_connection()
        driver: Any = taken.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            driver.autocommit = True  # no BEGIN and ROLLBACK to wait for around each
    except _trouble() as error:
        raise OperationalError("connect", None, error) from error
    return taken


@contextlib.contextmanager
def reading() -> Iterator[PoolProxiedConnection]:
    """The same for a block of code."""
    taken = take()
    try:
        yield taken
    finally:
        taken.close()


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def listed(values: Collection[str | int]) -> str:
    """Values for `{each}`: numbers, hashes or ids, none of which holds a comma or a quote."""
    if is_postgresql():
        return ",".join(map(str, values))
    return json.dumps(list(values), separators=(",", ":"))


def stored(moment: datetime) -> str | datetime:
    """A moment as a value for a query, as UtcDateTime would keep it."""
    if is_postgresql():
        return moment
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def moment(found: str | datetime) -> datetime:
    """A moment as the driver gave it, aware and in UTC."""
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def iso(found: str | datetime) -> str:
    """A moment as the driver gave it, as programs read it: to the millisecond, with a Z."""
    if isinstance(found, str) and len(found) == 26:
        return f"{found[:10]}T{found[11:23]}Z"
    return moment(found).isoformat(timespec="milliseconds").replace("+00:00", "Z")
