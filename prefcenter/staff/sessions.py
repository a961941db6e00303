"""Who is signed in: the cookie holds a random token, the database its SHA-256 (SEC-42).

A session is a row, so it ends the moment the row is gone: at log-out, and for all browsers of
somebody whose password or role changed or who was disabled. Reading one writes nothing. That
it was used is noted by `touch`, at most once a minute, in a short transaction of its own: the
one row that a GET may change, as an access log would (INV-8).
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter import config
from prefcenter.database import db, execute, read, write_connection
from prefcenter.models_staff import Role, Staff, StaffSession

_TOKEN_BYTES = 32
_HALF = timedelta(minutes=10)  # to type the code of the second factor
_NOTED_EVERY = timedelta(minutes=1)
_RANKS = {role: rank for rank, role in enumerate(Role)}

_staff, _session = Staff.__table__.c, StaffSession.__table__.c
_BY_TOKEN = (
    sa.select(
        *(_staff.id, _staff.public_id, _staff.name, _staff.role, _staff.one_time),
        *(_staff.totp_secret, _staff.language, _staff.zone, _staff.shortcuts),
        *(_session.whole, _session.seen_at, _session.expires_at),
    )
    .join(Staff.__table__, _staff.id == _session.staff_id)
    .where(_session.token_sha256 == sa.bindparam("hash"), _staff.disabled_at.is_(None))
)
_HELD = _BY_TOKEN.with_for_update(key_share=True, of=StaffSession)  # no effect in SQLite
_SEEN = (
    sa.update(StaffSession)
    .where(_session.token_sha256 == sa.bindparam("hash"))
    .where(_session.seen_at <= sa.bindparam("before"))
    .values(seen_at=sa.bindparam("at"))
)


class Step(StrEnum):
    """What is still to be done after the password was right, before anything else may be."""

    NONE = ""
    CODE = "code"  # of the second factor
    PASSWORD = "password"  # a new one instead of the one-time password
    FACTOR = "factor"  # set up the second factor that the role needs


@dataclass(frozen=True, slots=True)
class Worker:
    """Somebody who is signed in, as pages and rules need them."""

    id: int
    public_id: str
    name: str
    role: Role
    language: str
    zone: str
    shortcuts: bool
    step: Step = Step.NONE

    def may(self, role: Role) -> bool:
        """True where their role is that one or a higher one."""
        return _RANKS[self.role] >= _RANKS[role]


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is good now."""

    worker: Worker
    token: str
    seen_at: datetime


def start(staff: Staff, *, whole: bool, now: datetime) -> str:
    """Open a session and give the token for its cookie, which is nowhere else. Never commits.

    `whole` is False while the second factor is still to come; such a session opens one page.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    lasts = timedelta(hours=config.current().admin_session_hours) if whole else _HALF
    db.session.add(
        StaffSession(
            token_sha256=_hidden(token),
            staff_id=staff.id,
            whole=whole,
            created_at=now,
            seen_at=now,
            expires_at=now + lasts,
        )
    )
    db.session.flush()
    return token


def find(token: str, *, now: datetime) -> Session | None:
    """The session of this token unless it ended, idled or aged out. Only reads."""
    return _good(read(_BY_TOKEN, {"hash": _hidden(token)}), token, now)


def hold(token: str, *, now: datetime) -> Session | None:
    """The same, in the caller's write; it does not end before that does."""
    return _good(execute(_HELD, {"hash": _hidden(token)}).all(), token, now)


def _good(rows: Sequence[sa.Row[Any]], token: str, now: datetime) -> Session | None:
    idle = timedelta(minutes=config.current().admin_idle_minutes)
    if not rows or now >= rows[0].expires_at or now - rows[0].seen_at >= idle:
        return None
    return Session(_worker(rows[0], _step(rows[0])), token, rows[0].seen_at)


def touch(session: Session, *, now: datetime) -> None:
    """Note that it was used, at most once a minute and past the request's own transaction.

    A database that cannot take the note now does not keep anybody from reading a page.
    """
    if now - session.seen_at < _NOTED_EVERY:
        return
    values = {"hash": _hidden(session.token), "at": now, "before": now - _NOTED_EVERY}
    try:
        with write_connection() as connection:
            connection.execute(_SEEN, values)
            connection.commit()
    except (DBAPIError, PoolTimeout):
        return


def end(token: str) -> bool:
    """Log-out: whoever shows this token from the commit on is nobody. Never commits.

    False where it had ended before.
    """
    ended = sa.delete(StaffSession).where(_session.token_sha256 == _hidden(token))
    return execute(ended, {}).rowcount == 1


def end_all(staff_id: int) -> None:
    """Sign somebody out everywhere. Never commits."""
    execute(sa.delete(StaffSession).where(_session.staff_id == staff_id), {})


def forget(*, now: datetime) -> None:
    """Drop sessions that are over. Never commits."""
    idle = timedelta(minutes=config.current().admin_idle_minutes)
    over = sa.or_(_session.expires_at <= now, _session.seen_at <= now - idle)
    execute(sa.delete(StaffSession).where(over), {})


def worker_of(staff: Staff) -> Worker:
    """Somebody as rules and the log name them."""
    return _worker(staff, Step.NONE)


def _worker(row: Any, step: Step) -> Worker:
    """Of a row, or of a mapped one."""
    return Worker(
        id=row.id,
        public_id=row.public_id,
        name=row.name,
        role=row.role,
        language=row.language,
        zone=row.zone or config.current().time_zone,
        shortcuts=row.shortcuts,
        step=step,
    )


def _step(row: sa.Row[Any]) -> Step:
    if not row.whole:
        return Step.CODE
    if row.one_time:
        return Step.PASSWORD
    if row.totp_secret is None and row.role in config.current().admin_totp_for:
        return Step.FACTOR
    return Step.NONE


def _hidden(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
