"""A break from texts, and its early end; choices stay as they are meanwhile."""

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from prefcenter.consent import ledger
from prefcenter.consent.ledger import NOT_SAID, Proof, Said
from prefcenter.consent.preferences import Result
from prefcenter.models import EventKind, Person, Status

PAUSES = {"1w": (0, 7), "1m": (1, 0), "3m": (3, 0)}  # months and days


def pause(
    person: Person, length: str, *, proof: Proof, now: datetime, said: Said = NOT_SAID
) -> Result:
    """No texts until a date, 00:00 in the person's zone (UTC where unknown); choices stay."""
    if person.status is not Status.SUBSCRIBED:
        return Result.OFF
    until = end_of(person, length, now=now)
    if person.paused_until == until:
        return Result.ALREADY
    changes = {"paused_until": until.isoformat(), **said}
    ledger.record(person, EventKind.PAUSED, proof, now=now, changes=changes)
    return Result.DONE


def end_of(person: Person, length: str, *, now: datetime) -> datetime:
    """When a pause would end that begins now."""
    zone = ZoneInfo(person.zone) if person.zone else UTC
    day = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return _later(day, *PAUSES[length]).astimezone(UTC)


def _later(day: datetime, months: int, days: int) -> datetime:
    """So many months and days on; the 31st becomes the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last)) + timedelta(days=days)


def resume(person: Person, *, proof: Proof, now: datetime, said: Said = NOT_SAID) -> Result:
    """End a pause early."""
    if person.status is not Status.SUBSCRIBED:
        return Result.OFF
    if person.paused_until is None or person.paused_until <= now:
        return Result.ALREADY
    changes = {"paused_until": None, **said}
    ledger.record(person, EventKind.RESUMED, proof, now=now, changes=changes)
    return Result.DONE
