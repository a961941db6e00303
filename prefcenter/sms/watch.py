"""When webhooks could last be taken, and which texts may have been missed since (REL-14).

Vonage repeats a post for 24 hours and then drops it, and with it perhaps a STOP. So every web
process says once a minute that it could take a webhook and write it down; when that was long
ago, an operator must ask Vonage for what came meanwhile.
"""

import logging
import re
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, insert
from prefcenter.models import Alarm, Heartbeat
from prefcenter.sms import alarms

log = logging.getLogger(__name__)

WEBHOOKS = "webhooks"
_LEAP = timedelta(hours=2)  # a clock put right; a longer one is a machine that slept
_AHEAD = timedelta(hours=1)  # hosts differ by minutes (REL-15)
_SPANS = 3  # as many as fit into an alarm's 300 characters
_SPAN = re.compile(r"from (\d{4}-\d\d-\d\d \d\d:\d\d) to (\d{4}-\d\d-\d\d \d\d:\d\d)")


def beat(*, now: datetime, awake: timedelta | None = None) -> None:
    """Note that a webhook could be taken now, and raise MISSED_TEXTS after a gap. Never commits.

    `awake` is how long ago this process last did so, by a clock that nobody sets: the wall
    clock may leap although nothing was missed (REL-15). None for a process that has just begun.
    """
    last = _last_locked()
    if last is None:
        db.session.execute(insert(Heartbeat).values(name=WEBHOOKS, at=now).on_conflict_do_nothing())
    else:
        if _gap(now - last, awake) > timedelta(hours=config.current().gap_hours):
            _raise_missed(last, now)
        _move(last, now)
    alarms.flush(now=now)


def last_beat() -> datetime | None:
    """When a web process last said so; None where none ever has."""
    return db.session.scalar(sa.select(Heartbeat.at).where(Heartbeat.name == WEBHOOKS))


def _last_locked() -> datetime | None:
    """As `last_beat`, with the row locked: of two processes only one sees the gap."""
    query = sa.select(Heartbeat.at).where(Heartbeat.name == WEBHOOKS)
    return db.session.scalar(query.with_for_update())


def _gap(by_wall: timedelta, awake: timedelta | None) -> timedelta:
    """How long nobody took webhooks.

    The beat of ours that was written `awake` ago is no later than the one in the row, so the
    gap is no longer than that, unless the machine slept and its clock with it.
    """
    if awake is not None and by_wall - awake <= _LEAP:
        return min(by_wall, awake)
    return by_wall


def _move(last: datetime, now: datetime) -> None:
    """Forward only: of two hosts, the one whose clock is behind says nothing.

    A beat far ahead is what a clock left behind that was put back since. It would hide the
    next gap, so counting begins anew.
    """
    if last - _AHEAD <= now < last:
        return
    if now < last:
        log.warning("the last heartbeat lies ahead and is put back: was the clock wrong?")
    db.session.execute(sa.update(Heartbeat).where(Heartbeat.name == WEBHOOKS).values(at=now))


def _raise_missed(last: datetime, now: datetime) -> None:
    """Raise the alarm, or add this gap to those that nobody has acknowledged yet."""
    raised = db.session.scalar(sa.select(Alarm.message).where(Alarm.name == alarms.MISSED_TEXTS))
    spans = [*_SPAN.findall(raised or ""), (_minute(last), _minute(now))]
    while len(spans) > _SPANS:  # the oldest two become one that has both
        spans[:2] = [(spans[0][0], spans[1][1])]
    alarms.start(alarms.MISSED_TEXTS, _missed(spans), now=now)


def _missed(spans: list[tuple[str, str]]) -> str:
    said = " and ".join(f"from {begin} to {end}" for begin, end in spans)
    return (
        f"Texts may have been missed {said} (UTC): Vonage gives up after 24 hours. Ask for them in"
        f" the dashboard's logs, then run `prefcenter alarm acknowledge {alarms.MISSED_TEXTS}`."
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
