"""Form tokens that were redeemed: each is good for one form (SEC-22). Nothing here commits."""

from datetime import datetime

import sqlalchemy as sa

from prefcenter.database import execute, insert, per_dialect
from prefcenter.models import Spent

_row = Spent.__table__.c
_FORGET = sa.delete(Spent).where(_row.expires_at < sa.bindparam("now"))


@per_dialect
def _redeem() -> sa.Executable:
    statement = insert(Spent).on_conflict_do_nothing(index_elements=["nonce"])
    return statement.returning(_row.nonce)


def redeem(nonce: str, *, until: datetime) -> bool:
    """Use a token up; False when it was used before. `until` it would be good otherwise."""
    return execute(_redeem(), {"nonce": nonce, "expires_at": until}).first() is not None


def forget(*, now: datetime) -> None:
    """Drop those that are refused by their age anyway."""
    execute(_FORGET, {"now": now})
