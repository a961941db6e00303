"""What an operator must look at: raised and ended in the transaction that saw it.

A webhook that nobody has signed may change no row (INV-9), nor may a transaction that only
reads. What is noticed there is remembered in this process and written down by the next beat
of watch.py.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from prefcenter.database import db, insert
from prefcenter.models import Alarm, Unreadable

log = logging.getLogger(__name__)

SENDING_PAUSED = "sending_paused"
MISSED_TEXTS = "missed_texts"
UNSIGNED_WEBHOOKS = "unsigned_webhooks"
WEBHOOK_CLOCK = "webhook_clock"
UNREADABLE = "unreadable_webhooks"
TEXT_NOT_WORKED = "text_not_worked"

# What to say where the alarm is raised without words of its own; each names the cure.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        UNSIGNED_WEBHOOKS: (
            "Webhooks without a signature are refused, perhaps STOPs too. In the Vonage dashboard"
            " set API settings, Messaging API type, to Messages API (the SMS API signs nothing),"
            " switch signed webhooks on and link the number to the application, unless somebody"
            " else posts them."
        ),
        WEBHOOK_CLOCK: (
            "Webhooks are dated more than five minutes ahead of this machine's clock and wait."
            " Put the clock right: Vonage gives up after 24 hours."
        ),
        UNREADABLE: (
            "Vonage sent something that could not be read. It is kept in the table unreadable:"
            " look at it, then run `prefcenter alarm acknowledge unreadable_webhooks`."
        ),
        TEXT_NOT_WORKED: (
            "A text that came in could not be worked; the log says why. It is tried again when the"
            " sender starts anew, and nothing is sent to its number meanwhile."
        ),
    }
)
NAMES = frozenset({SENDING_PAUSED, MISSED_TEXTS, *SENTENCES})
_LONGEST = 300
_LOG_EVERY = timedelta(minutes=1)
_FLUSHED = "prefcenter_alarms"


@dataclass(frozen=True, slots=True)
class _Noticed:
    message: str
    since: datetime
    last_at: datetime
    count: int


_lock = threading.Lock()
_noticed: dict[str, _Noticed] = {}
_logged: dict[str, datetime] = {}


def start(name: str, message: str = "", *, now: datetime) -> None:
    """Raise an alarm, or count it once more. Never commits."""
    message = message or SENTENCES[name]
    log.error("alarm", extra={"alarm": name, "alarm_message": message})
    _write(name, _Noticed(message, now, now, 1))


def remember(name: str, message: str = "", *, now: datetime) -> None:
    """Raise an alarm without touching the database: log it, and keep it for `flush`.

    However often it happens, it is logged once a minute and kept once. Raises ValueError for
    a name that is not one of ours, because memory must not grow by what strangers send.
    """
    if name not in NAMES:
        raise ValueError(f"there is no alarm {name!r}")
    message = message or SENTENCES[name]
    with _lock:
        before = _noticed.get(name, _Noticed(message, now, now, 0))
        _noticed[name] = replace(before, message=message, last_at=now, count=before.count + 1)
        logged = _logged.get(name)
        silent = logged is not None and abs(now - logged) < _LOG_EVERY
        if not silent:
            _logged[name] = now
    if not silent:
        log.error("alarm", extra={"alarm": name, "alarm_message": message})


def flush(*, now: datetime) -> None:
    """Write down what was remembered. Never commits; forgotten when the caller does."""
    with _lock:
        taken = dict(_noticed)
    for name in sorted(taken):  # in one order, so that two processes cannot lock each other
        noticed = taken[name]
        # The clock may have been put back meanwhile (REL-15).
        _write(name, replace(noticed, since=min(noticed.since, now)))
    db.session().info[_FLUSHED] = taken


def _write(name: str, noticed: _Noticed) -> None:
    message = noticed.message[:_LONGEST]
    statement = insert(Alarm).values(
        name=name,
        message=message,
        since=noticed.since,
        last_at=noticed.last_at,
        count=noticed.count,
    )
    again = {
        "message": message,
        "last_at": noticed.last_at,
        "count": Alarm.count + noticed.count,
    }
    db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=again))


@event.listens_for(db.session, "after_commit")
def _forget(session: Session) -> None:
    """What was flushed is safe now; what was noticed since then is kept for the next time."""
    for name, written in session.info.pop(_FLUSHED, {}).items():
        with _lock:
            newest = _noticed.pop(name, written)
            more = newest.count - written.count
            if more > 0:
                _noticed[name] = replace(newest, since=newest.last_at, count=more)


@event.listens_for(db.session, "after_rollback")
def _keep(session: Session) -> None:
    session.info.pop(_FLUSHED, None)


def end(name: str) -> bool:
    """The trouble is over; False when there was no such alarm. Never commits."""
    ended = _delete(name)
    if ended:
        log.warning("alarm ended", extra={"alarm": name})
    return ended


def acknowledge(name: str, *, now: datetime) -> bool:
    """An operator has looked at it: end it. False when there is none. Never commits.

    With the alarm for unreadable webhooks, those that are kept count as seen.
    """
    if not _delete(name):
        return False
    log.warning("alarm acknowledged", extra={"alarm": name})
    if name == UNREADABLE:
        unseen = sa.update(Unreadable).where(Unreadable.seen_at.is_(None))
        db.session.execute(unseen.values(seen_at=now))
    return True


def _delete(name: str) -> bool:
    ended = db.session.execute(sa.delete(Alarm).where(Alarm.name == name).returning(Alarm.name))
    return ended.first() is not None


def current() -> list[Alarm]:
    return list(db.session.scalars(sa.select(Alarm).order_by(Alarm.since)))
