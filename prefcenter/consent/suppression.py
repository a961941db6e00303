"""Numbers that must get nothing, by keyed hash (RULE-42, RULE-44, SEC-48).

Kept apart from people: it outlives erasure, and an old key keeps matching after rotation.
"""

from datetime import datetime

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.database import execute, insert, per_dialect
from prefcenter.models import Suppression, SuppressionReason

_found = Suppression.__table__.c.pseudonym.in_(sa.bindparam("pseudonyms", expanding=True))
_FIND = sa.select(Suppression.__table__.c.id).where(_found)
_SINCE = sa.select(Suppression.__table__.c.since).where(_found)
_RENEW = sa.update(Suppression).where(_found).values(since=sa.bindparam("moment"))
_LIFT = sa.delete(Suppression).where(_found)


def _pseudonyms(number: str) -> list[str]:
    return [phone.pseudonym(number, key) for key in config.current().pseudonym_keys]


def contains(number: str) -> bool:
    """True when this number must not be texted."""
    return execute(_FIND, {"pseudonyms": _pseudonyms(number)}).first() is not None


def since(number: str) -> datetime | None:
    """When this number was suppressed; None where it is not. With several keys the oldest."""
    found = [row.since for row in execute(_SINCE, {"pseudonyms": _pseudonyms(number)})]
    return min(found) if found else None


def add(number: str, reason: SuppressionReason, *, now: datetime) -> None:
    """Suppress a number; the first reason and date stay. Never commits."""
    newest, *older = _pseudonyms(number)
    if older and contains(number):
        return
    execute(_add(), {"pseudonym": newest, "reason": reason, "since": now})


@per_dialect
def _add() -> sa.Insert:
    return insert(Suppression).on_conflict_do_nothing(index_elements=["pseudonym"])


def renew(number: str, *, now: datetime) -> None:
    """The number changed hands or was erased: what was said before counts for nothing, also
    where it was suppressed before. Nothing where it is not. Never commits."""
    execute(_RENEW, {"pseudonyms": _pseudonyms(number), "moment": now})


def lift(number: str) -> None:
    """Let a number be texted again. Only a rule that may raise consent calls this."""
    execute(_LIFT, {"pseudonyms": _pseudonyms(number)})
