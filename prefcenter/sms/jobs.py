"""Waking the senders: on PostgreSQL a Procrastinate job in the same transaction as its row.

The rows are the truth; a job says only "look at row N" and carries no number. SQLite's one
sender looks at the rows by itself, so nothing is deferred there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from prefcenter.database import db, is_postgresql

if TYPE_CHECKING:
    from procrastinate import App

QUEUE = "texts"
ADMIT = "prefcenter.admit"
DELIVER = "prefcenter.deliver"
_HELD_BACK = "prefcenter_no_jobs"


@lru_cache(maxsize=1)
def deferrer() -> "App":
    """A Procrastinate app that only adds jobs, on whatever connection it is handed."""
    from procrastinate import App, SyncPsycopgConnector  # not needed on SQLite

    return App(connector=SyncPsycopgConnector())


def defer(task: str, row_id: int, *, due_at: datetime | None = None) -> None:
    """Have a worker look at this row, once our transaction commits. Never commits."""
    if not is_postgresql() or db.session().info.get(_HELD_BACK):
        return
    connection = db.session.connection().connection.driver_connection
    options: dict[str, Any] = {"queue": QUEUE, "connection": connection}
    if due_at is not None:
        options["schedule_at"] = due_at
    deferrer().configure_task(task, **options).defer(id=row_id)


@contextmanager
def held_back() -> Iterator[None]:
    """Wake nobody for this session's rows: each is over before it is committed."""
    info = db.session().info
    info[_HELD_BACK] = True
    try:
        yield
    finally:
        del info[_HELD_BACK]


def waiting(task: str, row_ids: list[int]) -> set[int]:
    """Which of these rows have a job that nobody has begun."""
    query = sa.text(
        "SELECT (args->>'id')::bigint FROM procrastinate_jobs"
        " WHERE task_name = :task AND status = 'todo' AND (args->>'id')::bigint = ANY(:ids)"
    )
    return set(db.session.scalars(query, {"task": task, "ids": row_ids}))
