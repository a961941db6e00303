"""What an operator must look at: raised and ended in the transaction that saw it."""

import logging
from datetime import datetime

import sqlalchemy as sa

from prefcenter.database import db, insert
from prefcenter.models import Alarm

log = logging.getLogger(__name__)

SENDING_PAUSED = "sending_paused"


def start(name: str, message: str, *, now: datetime) -> None:
    """Raise an alarm, or count it once more. Never commits."""
    log.error("alarm", extra={"alarm": name, "alarm_message": message})
    statement = insert(Alarm).values(
        name=name, message=message[:300], since=now, last_at=now, count=1
    )
    db.session.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"message": message[:300], "last_at": now, "count": Alarm.count + 1},
        )
    )


def end(name: str) -> None:
    """The trouble is over. Never commits."""
    ended = db.session.execute(sa.delete(Alarm).where(Alarm.name == name).returning(Alarm.name))
    if ended.first():
        log.warning("alarm ended", extra={"alarm": name})


def current() -> list[Alarm]:
    return list(db.session.scalars(sa.select(Alarm).order_by(Alarm.since)))
