"""The breaker: hardly anybody confirms, so something else than people signs up (SEC-30).

Each confirm request that a form caused is a row until the phone answers. Where, of the newest
requests of a block of numbers, a site or a country, too few were confirmed, nothing more is
sent there until an operator closes the breaker or its time is over; then counting begins anew.
Nothing here commits.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.database import db, execute, hold
from prefcenter.models import Ask, Breaker, BreakerScope, Person
from prefcenter.sms import alarms

_LOOKED_AT = timedelta(hours=24)
_KEPT = timedelta(days=2)
_NEWEST = 1000  # of a scope; enough to judge, and a bound to what a look costs
_LABEL = 80  # characters
_ALARM = "breaker alarm"  # held, so that nobody ends it for a breaker that trips meanwhile
_NEAR = 0.6  # of the sends that trip it: from here on a form costs more work
_asks, _trips = Ask.__table__.c, Breaker.__table__.c
_COLUMNS = {
    BreakerScope.PREFIX: _asks.prefix,
    BreakerScope.SITE: _asks.site,
    BreakerScope.COUNTRY: _asks.country,
}


def _recent(scope: BreakerScope) -> sa.Select[int, int]:
    """How many of the newest requests of a scope there are, and how many were confirmed."""
    newest = (
        sa.select(_asks.confirmed_at)
        .where(_COLUMNS[scope] == sa.bindparam("key"), _asks.at > sa.bindparam("since"))
        .order_by(_asks.at.desc())
        .limit(_NEWEST)
        .subquery()
    )
    sent, answered = sa.func.count(), sa.func.count(newest.c.confirmed_at)
    return sa.select(sent.label("sent"), answered.label("answered")).select_from(newest)


_RECENT = {scope: _recent(scope) for scope in BreakerScope}
_LAST = sa.select(sa.func.max(_trips.until)).where(
    _trips.scope == sa.bindparam("scope"), _trips.key == sa.bindparam("key")
)
_ADD = sa.insert(Ask)
_CONFIRMED = (
    sa.update(Ask)
    .where(_asks.person_id == sa.bindparam("person"), _asks.confirmed_at.is_(None))
    .values(confirmed_at=sa.bindparam("now"))
)
_FORGET = sa.delete(Ask).where(_asks.at < sa.bindparam("before"))


def lets_pass(number: str, country: str, site: str, *, now: datetime) -> bool:
    """False where a breaker is open, or trips now; nothing may be sent then."""
    keys = {
        BreakerScope.PREFIX: _hidden(number),
        BreakerScope.SITE: site,
        BreakerScope.COUNTRY: country,
    }
    return all([_passes(scope, key, number, country, now) for scope, key in keys.items()])


def note(person: Person, site: str, *, now: datetime) -> None:
    """One more request that a form caused."""
    number = person.number or ""
    values = {
        "person_id": person.id,
        "prefix": _hidden(number),
        "site": site,
        "country": person.country,
        "at": now,
    }
    execute(_ADD, values)


def confirmed(person: Person, *, now: datetime) -> None:
    """The phone answered."""
    execute(_CONFIRMED, {"person": person.id, "now": now})


def find(breaker_id: int, *, now: datetime) -> Breaker | None:
    """An open breaker."""
    return next((row for row in open_now(now=now) if row.id == breaker_id), None)


def strained(site: str, *, now: datetime) -> bool:
    """True when a site's breaker is open or may soon trip: forms from it cost more then."""
    settings = config.current()
    until = _last(BreakerScope.SITE, site)
    if _is_open(until, now):
        return True
    sent, answered = _count(BreakerScope.SITE, site, until, now)
    return sent >= settings.breaker_sends * _NEAR and _share(sent, answered) < _floor()


def open_now(*, now: datetime) -> list[Breaker]:
    """Every open breaker, newest first."""
    query = sa.select(Breaker).where(Breaker.until > now).order_by(Breaker.id.desc())
    return list(db.session.scalars(query))


def close(breaker: Breaker, by: str, *, now: datetime) -> None:
    """Let texts go there again; counting begins anew from this moment."""
    breaker.until, breaker.closed_by = now, by[:80]
    db.session.flush()
    _end_alarm(now)


def forget(*, now: datetime) -> None:
    """Drop the requests that count no more, and the alarm of breakers whose time is over."""
    execute(_FORGET, {"before": now - _KEPT})
    _end_alarm(now)


def _end_alarm(now: datetime) -> None:
    hold(_ALARM)
    if not open_now(now=now):
        alarms.end(alarms.BREAKER)


def _passes(scope: BreakerScope, key: str, number: str, country: str, now: datetime) -> bool:
    until = _last(scope, key)
    if _is_open(until, now):
        return False
    sent, answered = _count(scope, key, until, now)
    if sent < config.current().breaker_sends or _share(sent, answered) >= _floor():
        return True
    _trip(scope, key, _label(scope, key, number, country), now)
    return False


def _trip(scope: BreakerScope, key: str, label: str, now: datetime) -> None:
    hold(_ALARM)
    if _is_open(_last(scope, key), now):
        return  # another request tripped it meanwhile
    rest = timedelta(minutes=config.current().breaker_rest_minutes)
    db.session.add(Breaker(scope=scope, key=key, label=label, tripped_at=now, until=now + rest))
    db.session.flush()
    alarms.start(
        alarms.BREAKER,
        f"Hardly anybody confirms the texts to {label}, so no more are sent there for"
        f" {config.current().breaker_rest_minutes} minutes. Look at who signs up, then"
        " `prefcenter breaker list`.",
        now=now,
    )


def _last(scope: BreakerScope, key: str) -> datetime | None:
    found: datetime | None = execute(_LAST, {"scope": scope, "key": key}).scalar_one()
    return found


def _is_open(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def _count(scope: BreakerScope, key: str, until: datetime | None, now: datetime) -> tuple[int, int]:
    since = max(now - _LOOKED_AT, until or now - _LOOKED_AT)
    row = execute(_RECENT[scope], {"key": key, "since": since}).one()
    return row.sent, row.answered


def _share(sent: int, answered: int) -> float:
    return answered / sent if sent else 1.0


def _floor() -> float:
    return config.current().breaker_percent / 100


def _hidden(number: str) -> str:
    block = phone.prefix(number)
    return phone.pseudonym(f"prefix:{block}", config.current().pseudonym_keys[-1])


def _label(scope: BreakerScope, key: str, number: str, country: str) -> str:
    if scope is BreakerScope.PREFIX:
        # Masked (SEC-7): with the last four digits of a page it would be a whole number.
        return f"one block of 10,000 numbers in {country}, {number[:-7]}…"
    return f"site {key}"[:_LABEL] if scope is BreakerScope.SITE else f"country {key}"
