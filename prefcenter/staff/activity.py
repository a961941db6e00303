"""The admin log: what the people who work here did, readable by them and editable by nobody.

Written in the transaction of what it tells, so that neither is kept without the other
(SEC-44). Neither subject nor details ever hold a number or a secret; in a reason it is masked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.database import db, read
from prefcenter.models_staff import StaffAction
from prefcenter.staff.sessions import Worker

PAGE = 50
_LONGEST_SUBJECT = 120
_LONGEST_REASON = 300
_LONGEST_NAME = 80

_actions = StaffAction.__table__.c


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    id: int
    at: datetime
    staff_name: str
    role: str
    action: str
    subject: str
    reason: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first; `older` is the id to read on from, None at the end."""

    entries: list[Entry]
    older: int | None


def record(
    who: Worker | str,
    action: str,
    *,
    subject: str = "",
    reason: str = "",
    details: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Add one entry in the caller's write. Never commits. A str names who called a command."""
    staff_id, name, role = (
        (who.id, who.name, who.role.value) if isinstance(who, Worker) else (None, who, "")
    )
    db.session.add(
        StaffAction(
            at=now,
            staff_id=staff_id,
            staff_name=name[:_LONGEST_NAME],
            role=role,
            action=action,
            subject=subject[:_LONGEST_SUBJECT],
            reason=phone.mask_numbers(reason, config.current().countries)[:_LONGEST_REASON],
            details=dict(details or {}),
        )
    )
    db.session.flush()


def newest(
    *,
    before: int | None = None,
    action: str = "",
    staff_name: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    subject: str = "",
    limit: int = PAGE,
) -> Page:
    """Entries older than the one named `before`, newest first. Only reads; costs the same at
    any depth, because it looks from an id on and counts nothing."""
    query = sa.select(
        *(_actions.id, _actions.at, _actions.staff_name, _actions.role, _actions.action),
        *(_actions.subject, _actions.reason, _actions.details),
    )
    wanted = {
        _actions.action: action,
        _actions.staff_name: staff_name,
        _actions.subject: subject,
    }
    for column, value in wanted.items():
        if value:
            query = query.where(column == value)
    if before is not None:
        query = query.where(_actions.id < before)
    if since is not None:
        query = query.where(_actions.at >= since)
    if until is not None:
        query = query.where(_actions.at < until)
    rows = read(query.order_by(_actions.id.desc()).limit(limit + 1), {})
    entries = [Entry(**row._mapping) for row in rows[:limit]]
    return Page(entries, entries[-1].id if len(rows) > limit else None)


def actions() -> list[str]:
    """The kinds of entries that there are, for a filter."""
    return [row.action for row in read(sa.select(_actions.action).distinct(), {})]
