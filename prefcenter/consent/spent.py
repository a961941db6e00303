"""Form tokens that were redeemed: each is good for one form (SEC-22). Nothing here commits."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter.database import execute, insert, per_dialect, read
from prefcenter.models import Spent

_SKEW = timedelta(minutes=10)
_row = Spent.__table__.c
_USED = sa.select(_row.nonce).where(_row.nonce == sa.bindparam("nonce"))
_FORGET = sa.delete(Spent).where(_row.expires_at < sa.bindparam("now"))


@per_dialect
def _redeem() -> sa.Executable:
    statement = insert(Spent).on_conflict_do_nothing(index_elements=["nonce"])
    return statement.returning(_row.nonce)


def is_used(nonce: str) -> bool:
    """A look without the writers' lock: whoever repeats one token must not hold others up, nor
    feel by waiting what the senders do."""
    return bool(read(_USED, {"nonce": nonce}))


def redeem(nonce: str, *, until: datetime) -> bool:
    """Use a token up; False when it was used before. `until` it would be good otherwise."""
    return execute(_redeem(), {"nonce": nonce, "expires_at": until}).first() is not None


def forget(*, now: datetime) -> None:
    """Drop those that are refused by their age anyway, by every host's clock (REL-15)."""
    execute(_FORGET, {"now": now - _SKEW})
