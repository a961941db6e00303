"""Accounts of the people who work here: made, changed and ended, each with its line in the log.

Nothing here commits, and no password is worked on here: that takes a fifth of a second, so it is
done before the transaction opens (`passwords.one_time`, `passwords.hide`). Whatever changes what somebody may do, or what opens their account, signs
them out of every browser at once (SEC-42). There is no account before `prefcenter admin add`
made one (SEC-41), and never none that owns.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask_babel import gettext as _

from prefcenter import config
from prefcenter.database import db, hold
from prefcenter.models_staff import Role, Staff
from prefcenter.staff import activity, sessions, throttle
from prefcenter.staff.passwords import OneTime
from prefcenter.staff.sessions import Worker

_LONGEST_NAME = 80
_ONE_TIME_LASTS = timedelta(days=7)  # it was read out or sent, and may lie about
_NAME = re.compile(r"[^\W_][\w.@+-]*")
_OWNERS, _NAMES = "staff: owners", "staff: names"


class AccountError(ValueError):
    """What was asked for cannot be; the message is a sentence for whoever asked."""


def add(name: str, role: Role, password: OneTime, *, by: Worker | str, now: datetime) -> Staff:
    """A new account; its one-time password is told to them by whoever made it.

    Raises AccountError for a name that cannot be, or that somebody has or had.
    """
    name = as_stored(name)
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise AccountError(
            _("A name has letters, digits and . _ @ + - and starts with a letter or a digit.")
        )
    hold(_NAMES)  # of two who add the same at once, the second reads that it is taken
    if find(name) is not None:
        raise AccountError(
            _("There is, or was, somebody called %(name)s; choose another name.", name=name)
        )
    staff = Staff(
        name=name,
        role=role,
        password_hash=password.hidden,
        one_time=True,
        one_time_until=now + _ONE_TIME_LASTS,
        recovery_hashes=[],
        language=config.current().default_language,
        shortcuts=True,
        created_at=now,
    )
    db.session.add(staff)
    db.session.flush()
    _log(by, "staff_added", staff, now, {"role": role.value})
    return staff


def change_role(staff: Staff, role: Role, *, by: Worker | str, now: datetime) -> None:
    """Raises AccountError for the last owner."""
    if role is staff.role:
        return
    if staff.role is Role.OWNER:
        _keep_an_owner(staff)
    details = {"role": role.value, "before": staff.role.value}
    staff.role = role
    sessions.end_all(staff.id)
    _log(by, "staff_changed", staff, now, details)


def disable(staff: Staff, *, by: Worker | str, now: datetime) -> None:
    """They cannot sign in any more; what they did stays under their name.

    Raises AccountError for the last owner.
    """
    if staff.disabled_at is not None:
        return
    if staff.role is Role.OWNER:
        _keep_an_owner(staff)
    staff.disabled_at = now
    sessions.end_all(staff.id)
    _log(by, "staff_disabled", staff, now)


def enable(staff: Staff, password: OneTime, *, by: Worker | str, now: datetime) -> None:
    """Let somebody in again, with a one-time password."""
    staff.disabled_at = None
    _give(staff, password, now)
    _log(by, "staff_enabled", staff, now)


def reset(staff: Staff, password: OneTime, *, by: Worker | str, now: datetime) -> None:
    """A new one-time password. Their second factor stays, and is asked for (SEC-41).

    Tries that strangers wasted with their name no longer count.
    """
    _give(staff, password, now)
    throttle.forgive(staff.name)
    _log(by, "password_reset", staff, now)


def drop_second_factor(staff: Staff, *, by: Worker | str, now: datetime) -> None:
    """For somebody who lost their phone and their recovery codes."""
    staff.totp_secret, staff.totp_last, staff.recovery_hashes = None, None, []
    sessions.end_all(staff.id)
    _log(by, "second_factor_off", staff, now)


def set_password(staff: Staff, hidden: str, *, by: Worker, now: datetime) -> None:
    """Keep what `passwords.hide` made of their new password."""
    staff.password_hash, staff.one_time, staff.one_time_until = hidden, False, None
    sessions.end_all(staff.id)
    _log(by, "password_changed", staff, now)


def set_manner(
    staff: Staff, *, language: str, zone: str | None, shortcuts: bool, by: Worker, now: datetime
) -> None:
    """How pages look to them; no zone is the deployment's."""
    changes = {}
    for field, value in (("language", language), ("zone", zone), ("shortcuts", shortcuts)):
        if (before := getattr(staff, field)) != value:
            changes[field] = [before, value]
            setattr(staff, field, value)
    if changes:
        _log(by, "account_changed", staff, now, changes)


def find(name: str) -> Staff | None:
    """Whoever signs in with this name; also somebody who was disabled."""
    return db.session.scalar(sa.select(Staff).where(Staff.name == as_stored(name)))


def by_public_id(public_id: str) -> Staff | None:
    return db.session.scalar(sa.select(Staff).where(Staff.public_id == public_id))


def by_id(staff_id: int) -> Staff:
    return db.session.get_one(Staff, staff_id)


def every() -> list[Staff]:
    """All accounts by name, also disabled ones."""
    return list(db.session.scalars(sa.select(Staff).order_by(Staff.name)))


def as_stored(name: str) -> str:
    """Names differ in more than their spelling: Dana and dana are one."""
    kept = unicodedata.normalize("NFKC", name).casefold().strip()
    return "".join(char for char in kept if char.isprintable())


def _give(staff: Staff, password: OneTime, now: datetime) -> None:
    staff.password_hash, staff.one_time = password.hidden, True
    staff.one_time_until = now + _ONE_TIME_LASTS
    sessions.end_all(staff.id)


def _keep_an_owner(staff: Staff) -> None:
    """Raises AccountError unless somebody else owns; two at once are asked one by one."""
    hold(_OWNERS)
    others = sa.select(Staff.id).where(
        Staff.role == Role.OWNER, Staff.disabled_at.is_(None), Staff.id != staff.id
    )
    if staff.disabled_at is None and db.session.scalar(others.limit(1)) is None:
        raise AccountError(_("This is the only owner. Make somebody else an owner first."))


def _log(
    by: Worker | str,
    action: str,
    staff: Staff,
    now: datetime,
    more: Mapping[str, object] | None = None,
) -> None:
    details = {"name": staff.name, **(more or {})}
    activity.record(by, action, subject=staff.public_id, details=details, now=now)
