"""The words that people here wrote, which take the place of those that we ship.

A version never changes, and the newest of a kind and language is in force. Each process asks
for new ones once in FOLLOWS seconds, not once a text, and keeps what it has where they cannot
be read: the words that we ship always stand behind it.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from prefcenter.database import db, execute, hold, is_writing, read
from prefcenter.models_texts import TextVersion

log = logging.getLogger(__name__)

FOLLOWS = 5.0  # seconds after a save in which every process has the new words
_AGAIN = 0.02  # seconds; fifty questions a second at most
CAMPAIGN = "campaign"  # what was registered with the carriers: kept here, but never sent
_KEY = "prefcenter.text_versions"
_SAVED = "prefcenter.text_saved"  # in which transaction a session saved words last
_table = TextVersion.__table__.c
# Rows are only ever added, so these two say whether there are new ones.
_STAMP = sa.select(
    *[sa.func.count(_table.id).label("rows"), sa.func.max(_table.id).label("newest")]
)
_COLUMNS = (
    *(_table.kind, _table.language, _table.number, _table.body),
    *(_table.created_at, _table.created_by),
)
_ALL = sa.select(*_COLUMNS).where(_table.kind != CAMPAIGN).order_by(_table.number.desc())
_ONE_KIND = (
    sa.select(*_COLUMNS)
    .where(
        _table.kind == sa.bindparam("kind"),
        _table.language == sa.bindparam("language"),
        _table.number < sa.bindparam("before"),
    )
    .order_by(_table.number.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(_table.number), 0)).where(
    _table.kind == sa.bindparam("kind"), _table.language == sa.bindparam("language")
)
_ADD = sa.insert(TextVersion)
_LAST = 2**31 - 1


class Overtaken(Exception):
    """Somebody else saved other words meanwhile."""


@dataclass(frozen=True, slots=True)
class Version:
    """Words as they were saved."""

    kind: str
    language: str
    number: int
    body: str
    created_at: datetime
    created_by: str


_Kept = dict[tuple[str, str], tuple[Version, ...]]


@dataclass
class _Held:
    """What one process knows."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    asked: float | None = None
    stamp: tuple[int, int | None] = (0, None)
    kept: _Kept = field(default_factory=dict)


def of(kind: str, language: str) -> tuple[Version, ...]:
    """Every version, newest first, as this process knows them. Needs an app context."""
    held = _held()
    if held.asked is None:
        with held.lock:
            if held.asked is None:
                _ask(held)
    elif monotonic() - held.asked >= FOLLOWS and held.lock.acquire(blocking=False):
        try:
            _ask(held)
        finally:
            held.lock.release()
    return held.kept.get((kind, language), ())


def refresh() -> None:
    """Ask now, after a save here. Before its commit nothing is in force."""
    if is_writing():
        return
    held = _held()
    with held.lock:
        _ask(held)


def look_again() -> None:
    """Ask now, where a page shows words that we do not know; not without end, because
    anybody can send a page."""
    held = _held()
    with held.lock:
        if held.asked is None or monotonic() - held.asked >= _AGAIN:
            _ask(held)


def history(kind: str, language: str, *, before: int = _LAST, most: int = 20) -> list[Version]:
    """Versions with lower numbers than `before`, newest first, from the database."""
    named = {"kind": kind, "language": language, "before": before, "most": most}
    return [_version(row) for row in read(_ONE_KIND, named)]


def save(kind: str, language: str, body: str, *, after: int, by: str, now: datetime) -> int:
    """Add a version, whose number it gives. Never commits; call refresh() when it is committed.

    Raises Overtaken unless `after` is the number of the newest one, 0 for none.
    """
    named = {"kind": kind, "language": language}
    hold(f"text {kind} {language}")
    newest = int(execute(_NEWEST, named).scalar_one())
    if newest != after:
        raise Overtaken
    row = {"number": newest + 1, "body": body, "created_at": now, "created_by": by[:80]}
    execute(_ADD, named | row)
    session = db.session()
    session.info[_SAVED] = session.get_transaction()
    return newest + 1


def _held() -> _Held:
    held: _Held | None = current_app.extensions.get(_KEY)
    if held is None:
        held = current_app.extensions.setdefault(_KEY, _Held())
    return held


def _version(row: sa.Row[Any]) -> Version:
    return Version(**row._mapping)


def _rows(statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
    """Of a text's transaction only a savepoint can fail by this. A second connection would let
    all writers of a process wait for connections that they themselves hold."""
    if not is_writing():
        return read(statement, {})
    with db.session.begin_nested():
        return execute(statement, {}).all()


def _has_uncommitted() -> bool:
    """True where this session's transaction would read words of its own, perhaps never kept."""
    session = db.session()
    saved = session.info.get(_SAVED)
    return saved is not None and saved is session.get_transaction()


def _ask(held: _Held) -> None:
    """Read what is new."""
    if _has_uncommitted():
        return
    held.asked = monotonic()
    try:
        seen = _rows(_STAMP)[0]
        stamp = (seen.rows, seen.newest)
        if stamp == held.stamp:
            return
        found: defaultdict[tuple[str, str], list[Version]] = defaultdict(list)
        for row in _rows(_ALL):
            found[row.kind, row.language].append(_version(row))
    except SQLAlchemyError as error:
        log.warning("texts written here cannot be read", extra={"error": type(error).__name__})
        return
    held.kept = {key: tuple(versions) for key, versions in found.items()}
    held.stamp = stamp
