"""The files that were taken out: who took what, and how far each got (SEC-44).

A file is noted, in its own row and in the admin log, before its first byte leaves. While it goes
out no transaction stays open; how far it is gets written every few seconds.
"""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter import config, phone
from prefcenter.database import db, execute, hold, read, write_connection
from prefcenter.models_exports import Export, ExportKind, ExportState
from prefcenter.staff import activity
from prefcenter.staff.sessions import Worker
from prefcenter.upkeep import export_files
from prefcenter.upkeep.export_files import Format
from prefcenter.upkeep.exporting import Content

log = logging.getLogger(__name__)

MOST_AT_ONCE = 3  # each holds a thread of a web process until its reader has it all
_NOTED_EVERY = timedelta(seconds=1)
_SILENT = timedelta(minutes=2)  # longer than any piece takes: its process is gone
_SHOWN = 50
_x = Export.__table__.c
_NEWEST = sa.select(Export.__table__).order_by(_x.id.desc()).limit(_SHOWN)
_RUNNING = sa.select(sa.func.count(_x.id)).where(
    _x.state == ExportState.RUNNING, _x.seen_at > sa.bindparam("since")
)
_NOTE = (
    sa.update(Export)
    .where(_x.id == sa.bindparam("export"), _x.state == ExportState.RUNNING)
    .values(
        rows_done=sa.bindparam("done"), state=sa.bindparam("now_is"), seen_at=sa.bindparam("at")
    )
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is taken out, how, by whom and why. `filters` never holds a number; in `reason` it is
    masked."""

    kind: ExportKind
    format: Format
    by: Worker | str
    reason: str
    filters: Mapping[str, Any]


def start(order: Order, total: int | None, *, now: datetime) -> int:
    """Note a file that begins now; gives the id of its row. Never commits."""
    reason = phone.mask_numbers(order.reason, config.current().countries)
    export = Export(
        kind=order.kind,
        format=order.format.value,
        by=order.by.name if isinstance(order.by, Worker) else order.by[:80],
        reason=reason[:300],
        filters=dict(order.filters),
        state=ExportState.RUNNING,
        rows_done=0,
        rows_total=total,
        started_at=now,
        seen_at=now,
    )
    db.session.add(export)
    db.session.flush()
    details = {**order.filters, "format": order.format.value, "rows": total}
    activity.record(
        order.by,
        f"{order.kind.value}_exported",
        subject=export.public_id,
        reason=order.reason,
        details=details,
        now=now,
    )
    return export.id


def write(
    export_id: int, format_: Format, content: Content, now: Callable[[], datetime]
) -> Generator[bytes, None, int]:
    """The file, piece by piece, keeping its row up to date; gives how many rows it has."""
    return send(export_id, _written(format_, content), now)


def send(
    export_id: int, pieces: Iterable[tuple[bytes, int]], now: Callable[[], datetime]
) -> Generator[bytes, None, int]:
    """Pieces of a file, each with how many rows are in it, as `write` gives them.

    Whoever stops reading leaves it BROKEN_OFF; what goes wrong leaves it FAILED, and goes on.
    """
    done, state, noted = 0, ExportState.FAILED, now()
    try:
        for data, rows in pieces:
            yield data
            done += rows
            if now() - noted >= _NOTED_EVERY:
                noted = now()
                _note(export_id, done, ExportState.RUNNING, noted)
        state = ExportState.DONE
    except GeneratorExit:
        state = ExportState.BROKEN_OFF
        raise
    finally:
        _note(export_id, done, state, now())
    return done


def newest() -> Sequence[Any]:
    """The last files that were taken out, newest first."""
    return read(_NEWEST, {})


def running(*, now: datetime) -> int:
    """How many go out now; in a write, nobody else starts one before it ends."""
    hold("exports")
    return int(execute(_RUNNING, {"since": now - _SILENT}).scalar_one())


def state_of(row: Any, *, now: datetime) -> ExportState:
    """The state of a row of `newest`; one whose process died says RUNNING no longer."""
    silent = row.state is ExportState.RUNNING and now - row.seen_at > _SILENT
    return ExportState.BROKEN_OFF if silent else row.state


def _written(format_: Format, content: Content) -> Iterator[tuple[bytes, int]]:
    yield export_files.head(format_, content.columns), 0
    for rows in content.pieces:
        yield export_files.body(format_, content.columns, rows), len(rows)


def _note(export_id: int, done: int, state: ExportState, at: datetime) -> None:
    """A file does not fail because a busy database could not note how far it is."""
    values = {"export": export_id, "done": done, "now_is": state, "at": at}
    try:
        with write_connection() as connection:
            connection.execute(_NOTE, values)
            connection.commit()
    except (DBAPIError, PoolTimeout):
        log.warning("the progress of an export was not noted", extra={"export": export_id})
