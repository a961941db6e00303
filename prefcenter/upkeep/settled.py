"""Up to which id nothing can appear any more in a table that only grows.

SQLite has one writer at a time, so ids are committed in their order. PostgreSQL gives an id
when a row is written and shows the row when its transaction commits, so 7 may be seen while 6
is still open; whoever then counted "up to 7" would never see 6.

A transaction that has been given an id of a table holds the table's ROW EXCLUSIVE lock until it
is over. So: first read the highest id that can be seen, then who holds that lock. Every lower
id was given before, so it is seen by now or belongs to one of those; once they are gone, a
transaction that begins afterwards sees all of them. Nobody is kept waiting by this: to take a
lock of our own, such as SHARE, would stop every STOP behind it while it waits.
"""

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from prefcenter.database import db, is_postgresql
from prefcenter.models import ConsentEvent, OutboxMessage

_WAIT_SECONDS = 0.5
_events, _texts = ConsentEvent.__table__, OutboxMessage.__table__
_TOPS = sa.select(
    sa.select(sa.func.max(_events.c.id)).scalar_subquery().label("event"),
    sa.select(sa.func.max(_texts.c.id)).scalar_subquery().label("text"),
)
_WRITERS = sa.text(
    """SELECT virtualtransaction, pid FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND relation IN ('consent_event'::regclass, 'outbox'::regclass)
      AND pid <> pg_backend_pid()"""
)


def tops() -> tuple[int, int] | None:
    """The highest settled ids of events and of texts; None while a writer takes too long.

    What is read after this, in a new transaction, has all rows up to them.
    """
    with db.engine.connect() as connection:
        row = connection.execute(_TOPS).one()
        found = row.event or 0, row.text or 0
        if not is_postgresql():
            return found
        open_ones = _writers(connection)
        deadline = time.monotonic() + _WAIT_SECONDS
        while open_ones:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.005)  # nothing tells when a transaction ends
            open_ones &= _writers(connection)
    return found


def _writers(connection: sa.Connection) -> set[tuple[Any, ...]]:
    rows: Sequence[sa.Row[Any]] = connection.execute(_WRITERS).all()
    return {tuple(row) for row in rows}
