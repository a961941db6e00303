"""From a name and a password to a session: the rules behind the sign-in page (SEC-41).

A try goes in three parts, because a password takes long to check: it is counted and committed,
then looked at outside of any transaction, then let in or written down as failed.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from prefcenter.database import db, read
from prefcenter.models_staff import Staff
from prefcenter.staff import activity, passwords, second_factor, sessions, throttle
from prefcenter.staff.sessions import Session, Worker
from prefcenter.staff.throttle import Visitor

_NOBODY = "?"  # who failed is not known; a typed name may be a password in the wrong field
_staff = Staff.__table__.c
_BY_NAME = sa.select(_staff.id, _staff.password_hash).where(
    _staff.name == sa.bindparam("name"),
    _staff.disabled_at.is_(None),
    sa.or_(_staff.one_time_until.is_(None), _staff.one_time_until > sa.bindparam("now")),
)
_BY_ID = sa.select(_staff.password_hash).where(_staff.id == sa.bindparam("staff_id"))


@dataclass(frozen=True, slots=True)
class Right:
    """A password that was right, and what it was compared with."""

    staff_id: int
    hidden: str


def look(name: str, password: str, *, now: datetime) -> Right | None:
    """Whether that is the password of that name, and good now. Nobody's takes as long.

    Raises Busy.
    """
    rows = read(_BY_NAME, {"name": name, "now": now})
    known = rows[0] if rows else None
    right = passwords.fits(password, known.password_hash if known else None)
    return Right(known.id, known.password_hash) if right and known else None


def knows_password(worker: Worker, password: str) -> bool:
    """Asked again of somebody who is signed in, before what cannot be undone. Raises Busy."""
    rows = read(_BY_ID, {"staff_id": worker.id})
    return passwords.fits(password, rows[0].password_hash if rows else None)


def admit(right: Right, name: str, visitor: Visitor, *, now: datetime) -> str | None:
    """The token of a new session; a half one where a second factor is to come. Never commits.

    None where the password or the account changed meanwhile.
    """
    staff = db.session.get(Staff, right.staff_id)
    if staff is None or staff.disabled_at or staff.password_hash != right.hidden:
        return None
    throttle.give_back_password(name, visitor, now=now)
    sessions.forget(now=now)
    whole = staff.totp_secret is None
    if whole:
        _entered(staff, visitor, "password", now)
    return sessions.start(staff, whole=whole, now=now)


def complete(half: Session, typed: str, visitor: Visitor, *, now: datetime) -> str | None:
    """The token of a whole session for the code of the second factor. Never commits.

    None where the code is wrong or was used; that try is counted. None also where the half
    session has ended, say by a new password. Raises TooManyTries.
    """
    throttle.count_code(half.worker.name, visitor, now=now)
    staff = db.session.get_one(Staff, half.worker.id)
    if not second_factor.is_right(staff, typed, now=now):
        failed(half.worker.name, "code", visitor, now=now)
        return None
    if not sessions.end(half.token):
        return None
    throttle.give_back_code(half.worker.name, visitor, now=now)
    _entered(staff, visitor, "password and code", now)
    return sessions.start(staff, whole=True, now=now)


def failed(name: str, what: str, visitor: Visitor, *, now: datetime) -> None:
    """Write a failure down, within reason: strangers must not fill the log. Never commits."""
    if not throttle.may_log(now=now):
        return
    known = db.session.scalar(sa.select(Staff.public_id).where(Staff.name == name))
    activity.record(
        _NOBODY,
        "sign_in_failed",
        subject=known or "",
        details={"what": what, "known_browser": bool(visitor.device)},
        now=now,
    )


def _entered(staff: Staff, visitor: Visitor, by: str, now: datetime) -> None:
    details = {"with": by, "known_browser": bool(visitor.device)}
    activity.record(sessions.worker_of(staff), "signed_in", details=details, now=now)
