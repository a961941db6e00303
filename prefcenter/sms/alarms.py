"""What an operator must look at: raised and ended in the transaction that saw it.

A webhook that nobody has signed may change no row (INV-9), nor may a transaction that only
reads. What is noticed there is remembered in this process and written down by the next beat
of watch.py; so is when a genuine webhook came, which ends what was wrong with them.
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
from prefcenter.driver import Query
from prefcenter.models import Alarm, Heartbeat, Unreadable

log = logging.getLogger(__name__)

SENDING_PAUSED = "sending_paused"
MISSED_TEXTS = "missed_texts"
REFUSED_WEBHOOKS = "refused_webhooks"
UNSIGNED_WEBHOOKS = "unsigned_webhooks"
WEBHOOK_CLOCK = "webhook_clock"
UNREADABLE = "unreadable_webhooks"
TEXT_NOT_WORKED = "text_not_worked"
BREAKER = "breaker"
NOTICES = "notices"
WRONG_KEYS = "wrong_api_keys"
UNKNOWN_NUMBERS = "unknown_numbers"

# What to say where the alarm is raised without words of its own; each names the cure.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        UNSIGNED_WEBHOOKS: (
            "Webhooks without a signature are refused, perhaps STOPs too. In Vonage's API settings"
            " choose the Messages API (the SMS API signs nothing), switch signed webhooks on and"
            " link the number to the application. If somebody else posts them: `prefcenter alarm"
            " acknowledge unsigned_webhooks`."
        ),
        REFUSED_WEBHOOKS: (
            "Webhooks are refused because their signature, account or application is not ours (the"
            " log has the reason), perhaps STOPs too. Check VONAGE_SIGNATURE_SECRETS,"
            " VONAGE_API_KEY, VONAGE_APPLICATION_ID, VONAGE_WEBHOOKS. If somebody else posts them:"
            " `prefcenter alarm acknowledge refused_webhooks`."
        ),
        WEBHOOK_CLOCK: (
            "Webhooks are dated more than five minutes ahead of this machine's clock and wait."
            " Put the clock right: Vonage gives up after 24 hours. The alarm ends when one could be"
            " taken, or by `prefcenter alarm acknowledge webhook_clock`."
        ),
        UNREADABLE: (
            "Vonage sent something that could not be read. Look at it with `prefcenter unreadable"
            " list`, then run `prefcenter alarm acknowledge unreadable_webhooks`."
        ),
        TEXT_NOT_WORKED: (
            "A text that came in could not be worked; the log says why. It is tried again when the"
            " sender starts anew, and nothing is sent to its number meanwhile. Then run `prefcenter"
            " alarm acknowledge text_not_worked`."
        ),
        NOTICES: (
            "A program was not told of changes for days, or wants no more. `prefcenter webhook"
            " list` says why. `prefcenter webhook enable ID` or `prefcenter webhook replay --dead`"
            " ends the alarm; where it need not be told, `prefcenter alarm acknowledge notices`."
        ),
        WRONG_KEYS: (
            "Somebody shows many API keys that are none of ours, and waits for a while now. The"
            " proxy's log says who calls /api/; a program with a former key needs a new one. Then"
            " run `prefcenter alarm acknowledge wrong_api_keys`."
        ),
        UNKNOWN_NUMBERS: (
            "An API key asked about very many numbers that never signed up, like a search for"
            " customers, and waits for a while now. Ask who uses it, or revoke it. Then run"
            " `prefcenter alarm acknowledge unknown_numbers`."
        ),
    }
)
NAMES = frozenset({SENDING_PAUSED, MISSED_TEXTS, *SENTENCES})

# Why a webhook was kept unread, where that means that set-up or format is wrong. The rest is
# what anybody may text: a picture, or a text from a name.
NOT_WORKED = "not worked"
FAULTY = frozenset(
    {
        NOT_WORKED,
        *("not JSON", "a key twice", "not an object", "nested too deep"),
        *("not our number", "no message id", "no status"),
    }
)

_GENUINE = "genuine_webhook"
_BY_GENUINE = (REFUSED_WEBHOOKS, UNSIGNED_WEBHOOKS, WEBHOOK_CLOCK)  # what one of those ends
_CALM = timedelta(minutes=5)
_AHEAD = timedelta(hours=1)  # hosts differ by minutes (REL-15)
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
_came: dict[str, datetime] = {}


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
    if once_a_minute(name, now=now):
        log.error("alarm", extra={"alarm": name, "alarm_message": message})


def once_a_minute(key: str, *, now: datetime) -> bool:
    """Whether to log this now. A key is a word of ours: strangers must not fill memory."""
    with _lock:
        logged = _logged.get(key)
        silent = logged is not None and abs(now - logged) < _LOG_EVERY
        if not silent:
            _logged[key] = now
    return not silent


def genuine(*, now: datetime) -> None:
    """Remember that a webhook came which Vonage has signed for us; touches no database."""
    with _lock:
        _came[_GENUINE] = now


def flush(*, now: datetime) -> None:
    """Write down what was remembered, and end what a genuine webhook has shown to be over.

    Never commits. Alarms that were remembered are forgotten when the caller does.
    """
    with _lock:
        taken = dict(_noticed)
        came = _came.get(_GENUINE)
        if came is not None:  # the clock may have been put back meanwhile (REL-15)
            came = _came[_GENUINE] = min(came, now)
    for name in sorted(taken):  # in one order, so that two processes cannot lock each other
        noticed = taken[name]
        since, last_at = min(noticed.since, now), min(noticed.last_at, now)
        _write(name, replace(noticed, since=since, last_at=last_at))
    if came is not None:
        _write_genuine(came, now)
    _end_by_genuine(now)
    db.session().info[_FLUSHED] = taken


def _write_genuine(came: datetime, now: datetime) -> None:
    """Forward only, except from far ahead, where a clock left it that was put back since."""
    statement = insert(Heartbeat).values(name=_GENUINE, at=came)
    moves = sa.or_(Heartbeat.at < came, Heartbeat.at > now + _AHEAD)
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"at": came}, where=moves)
    )


def _end_by_genuine(now: datetime) -> None:
    """Five minutes without a refusal and then a genuine one: whatever it was is over."""
    came = last_genuine()
    if came is None or came > now:
        return
    for name in _BY_GENUINE:
        end(name, before=came - _CALM)


def last_genuine() -> datetime | None:
    """When Vonage's last genuine webhook came, as of the last beat; None where none ever did."""
    return db.session.scalar(sa.select(Heartbeat.at).where(Heartbeat.name == _GENUINE))


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


def end(name: str, *, before: datetime | None = None) -> bool:
    """The trouble is over; False when there was no such alarm. Never commits.

    With a moment, only when it was last noticed before that.
    """
    ended = _delete(name, before)
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


def seen(unreadable_id: int, *, now: datetime) -> bool:
    """A person has read this webhook; with the last that means a fault, the alarm is over.

    False when it was seen before, or there is none. Never commits.
    """
    # Locked first: one that another process keeps meanwhile must keep its alarm.
    alarm = sa.select(Alarm.name).where(Alarm.name == UNREADABLE).with_for_update()
    raised = db.session.scalar(alarm) is not None
    mark = sa.update(Unreadable).where(Unreadable.id == unreadable_id, Unreadable.seen_at.is_(None))
    marked = db.session.execute(mark.values(seen_at=now).returning(Unreadable.id)).first()
    if marked is None:
        return False
    if raised and not unseen(faulty=True):
        end(UNREADABLE)
    return True


def unseen(*, faulty: bool) -> int:
    """How many webhooks were kept that nobody has seen: those that mean a fault, or the rest."""
    query = sa.select(sa.func.count()).select_from(Unreadable).where(Unreadable.seen_at.is_(None))
    is_faulty = Unreadable.reason.in_(FAULTY)
    return db.session.scalar(query.where(is_faulty if faulty else ~is_faulty)) or 0


def _delete(name: str, before: datetime | None = None) -> bool:
    statement = sa.delete(Alarm).where(Alarm.name == name)
    if before is not None:
        statement = statement.where(Alarm.last_at < before)
    return db.session.execute(statement.returning(Alarm.name)).first() is not None


def current() -> list[Alarm]:
    return list(db.session.scalars(sa.select(Alarm).order_by(Alarm.since)))


_MISSED = Query("SELECT 1 FROM alarm WHERE name = :name")


def texts_missed() -> bool:
    """STOPs may have been missed, and nobody has settled that yet (REL-14)."""
    return bool(_MISSED.rows({"name": MISSED_TEXTS}))
