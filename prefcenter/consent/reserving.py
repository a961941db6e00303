"""Counting a text before it is sent, so that two programs cannot both get the last slot
(RULE-37). Nothing here commits."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import deciding, people
from prefcenter.consent.deciding import Answer
from prefcenter.consent.permission import Decision, Kind, Rules
from prefcenter.database import db, execute, insert_row, is_public_id, new_public_id
from prefcenter.models_sending import Reservation

HELD_FOR = timedelta(hours=1)  # until a reservation that nobody confirmed stops to count

_rows = Reservation.__table__.c
_ADD = sa.insert(Reservation)
_OPEN = sa.and_(
    _rows.public_id == sa.bindparam("ref"),
    _rows.api_key == sa.bindparam("key"),
    _rows.sent_at.is_(None),
    _rows.released_at.is_(None),
)
_SENT, _RELEASED = (
    sa.update(Reservation).where(_OPEN).values({column: sa.bindparam("moment")})
    for column in ("sent_at", "released_at")
)
_UNCOUNTED = (
    sa.update(Reservation)
    .where(_rows.public_id == sa.bindparam("ref"), _rows.api_key == sa.bindparam("key"))
    .values(released_at=sa.bindparam("moment"))
)
_FIND: sa.Select[Any] = sa.select(_rows.sent_at, _rows.released_at).where(
    _rows.public_id == sa.bindparam("ref"), _rows.api_key == sa.bindparam("key")
)


def reserve(
    number: str, slug: str, rules: Rules, *, key: str, now: datetime
) -> tuple[Answer, str | None]:
    """Decide under the person's lock about a marketing text of now, and count it if allowed.

    Gives the answer and the reservation's public id, None where the answer is not allow.
    """
    person = people.by_number(number)
    answer = _decide(number, slug, rules, now)
    if person is None or answer.verdict.decision is not Decision.ALLOW:
        return answer, None
    ref = new_public_id()
    values = {
        "public_id": ref,
        "person_id": person.id,
        "category": slug,
        "api_key": key,
        "at": now,
        "expires_at": now + HELD_FOR,
    }
    insert_row(_ADD, values)
    return answer, ref


def judge_anew(
    ref: str, number: str, slug: str, rules: Rules, *, key: str, now: datetime
) -> Answer:
    """What is so by now of a text that was reserved before (INV-1), which itself does not count
    against it. The caller rolls back."""
    people.by_number(number)
    execute(_UNCOUNTED, {"ref": ref, "key": key, "moment": now})
    return _decide(number, slug, rules, now)


def _decide(number: str, slug: str, rules: Rules, now: datetime) -> Answer:
    """In the transaction that is open, which holds the person."""
    within = db.session.connection().connection
    return deciding.one(number, slug, Kind.MARKETING, rules, at=now, now=now, within=within)


def sent(ref: str, *, key: str, now: datetime) -> bool | None:
    """The text left: it counts for good, also where that is said late. See `_close`."""
    return _close(_SENT, "sent_at", ref, key, now)


def release(ref: str, *, key: str, now: datetime) -> bool | None:
    """The text will not be sent: it no longer counts. See `_close` for the answers."""
    return _close(_RELEASED, "released_at", ref, key, now)


def _close(statement: sa.Update, column: str, ref: str, key: str, now: datetime) -> bool | None:
    """True when it is so now, or was already; False when the other was said before; None for a
    reservation that this key does not have."""
    if not is_public_id(ref):
        return None
    if execute(statement, {"ref": ref, "key": key, "moment": now}).rowcount:
        return True
    row = execute(_FIND, {"ref": ref, "key": key}).first()
    return None if row is None else getattr(row, column) is not None
