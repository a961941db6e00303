"""How many texts one number, network, site, prefix, country and day may cause (SEC-28).

Counted in the transaction that queues the text, so any number of processes counts as one,
and failing closed: no count, no text. Whoever counts holds the person first, where there is one,
so that two cannot wait for each other. A number's own limits look back from now to the
second; all others count by the clock's hour and day, UTC.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.consent import sites
from prefcenter.database import db, execute, insert
from prefcenter.models import OutboxMessage, OutboxStatus, Tally, TextKind

# What somebody else could make us send by typing a number.
CAUSED_BY_WEB = (TextKind.CONFIRM_REQUEST, TextKind.ALREADY_SUBSCRIBED, TextKind.NEW_LINK)
_messages = OutboxMessage.__table__.c
_SAME = sa.select(sa.func.count()).where(
    _messages.to_number == sa.bindparam("number"),
    _messages.kind == sa.bindparam("kind"),
    _messages.created_at > sa.bindparam("since"),
)
_FORGET = sa.delete(Tally).where(Tally.__table__.c.window_start < sa.bindparam("before"))
_GIVE_BACK = (
    sa.update(Tally)
    .where(
        Tally.__table__.c.scope == sa.bindparam("of"),
        Tally.__table__.c.key == sa.bindparam("hidden"),
        Tally.__table__.c.window_start == sa.bindparam("start"),
        Tally.__table__.c.count > 0,
    )
    .values(count=Tally.__table__.c.count - 1)
)
_CLEAR = sa.delete(Tally).where(
    Tally.__table__.c.scope == sa.bindparam("of"),
    Tally.__table__.c.key == sa.bindparam("hidden"),
)
_NEVER_LEFT = (OutboxStatus.CANCELLED, OutboxStatus.EXPIRED)


@dataclass(frozen=True, slots=True)
class Cause:
    """Who made us text: the address it came from, and the site. `plain` forms came over "One more
    step", without a proof of work, so they have an hourly limit of their own."""

    ip: str
    site: str
    plain: bool = False


def may_text(number: str, country: str, cause: Cause, *, now: datetime) -> bool:
    """Count one more text caused from the web, or say False and count nothing."""
    savepoint = db.session.begin_nested()
    if may_send_forms(cause, now=now) and may_be_texted(number, country, cause.site, now=now):
        savepoint.commit()
        return True
    savepoint.rollback()
    return False


def may_send_forms(cause: Cause, *, now: datetime) -> bool:
    """Count one more form of whoever sends it, or say False.

    Each form counts, whatever comes of it: who has some left must not learn from that whose
    number stopped (SEC-24).
    """
    settings = config.current()
    plain = settings.plain_texts_per_hour
    rows = [("ip", network(cause.ip), settings.ip_texts_per_hour, settings.ip_texts_per_day)]
    if cause.plain:
        rows.append(("plain", cause.site, plain, 24 * plain))
    return _take_all(rows, now)


def may_be_texted(number: str, country: str, site: str, *, now: datetime) -> bool:
    """Count one more text to a number and all that it belongs to, or say False and count
    nothing."""
    settings = config.current()
    if not _number_may(number, settings, now):
        return False
    rows = [
        (
            "prefix",
            phone.prefix(number),
            settings.prefix_texts_per_hour,
            settings.prefix_texts_per_day,
        ),
        ("site", site, settings.site_texts_per_hour, sites.budget(site)),
        ("country", country, settings.country_texts_per_hour, settings.country_texts_per_day),
        ("total", "", settings.total_texts_per_hour, settings.total_texts_per_day),
    ]
    return _take_all(rows, now)


def _take_all(rows: Iterable[tuple[str, str, int, int]], now: datetime) -> bool:
    """One of each hour and day, or none at all."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    savepoint = db.session.begin_nested()
    for scope, key, per_hour, per_day in rows:
        taken = take(f"{scope}/hour", key, hour, per_hour)
        if not (taken and take(f"{scope}/day", key, day, per_day)):
            savepoint.rollback()
            return False
    savepoint.commit()
    return True


def may_acknowledge(number: str, kind: TextKind, *, now: datetime) -> bool:
    """False once a number got this kind of reply as often as it may be texted in a day."""
    values = {"number": number, "kind": kind, "since": now - timedelta(days=1)}
    return int(execute(_SAME, values).scalar_one()) < config.current().number_texts_per_day


def take(scope: str, key: str, window: datetime, limit: int) -> bool:
    """Count one in this window unless `limit` is reached. Exact across processes."""
    if limit < 1:
        return False
    hidden = _hidden(scope, key)
    statement = insert(Tally).values(scope=scope, key=hidden, window=window, count=1)
    counted = db.session.scalar(
        statement.on_conflict_do_update(
            index_elements=["scope", "key", "window_start"],
            set_={"count": Tally.count + 1},
            where=Tally.count < limit,
        ).returning(Tally.count)
    )
    return counted is not None


def give_back(scope: str, key: str, window: datetime) -> None:
    """Uncount one that `take` has counted."""
    values = {"hidden": _hidden(scope, key), "of": scope, "start": window}
    execute(_GIVE_BACK, values)


def clear(scope: str, key: str) -> None:
    """Uncount all of this."""
    execute(_CLEAR, {"of": scope, "hidden": _hidden(scope, key)})


def forget(*, now: datetime) -> None:
    """Drop the counts of windows that are over."""
    execute(_FORGET, {"before": now - timedelta(days=2)})


def network(ip: str) -> str:
    """The address whose sender is one person: itself, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return hashlib.sha256(ip.encode()).hexdigest()[:16]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _hidden(scope: str, key: str) -> str:
    return phone.pseudonym(f"{scope}:{key}", config.current().pseudonym_keys[-1])


def _number_may(number: str, settings: config.Settings, now: datetime) -> bool:
    day_ago = now - timedelta(days=1)
    query = sa.select(OutboxMessage.created_at).where(
        OutboxMessage.to == number,
        OutboxMessage.kind.in_(CAUSED_BY_WEB),
        OutboxMessage.status.not_in(_NEVER_LEFT),
        OutboxMessage.created_at > day_ago,
    )
    recent = list(db.session.scalars(query))
    gap = timedelta(minutes=settings.number_gap_minutes)
    return len(recent) < settings.number_texts_per_day and all(at <= now - gap for at in recent)
