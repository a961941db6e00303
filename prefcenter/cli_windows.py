"""`prefcenter windows`: when a number may be texted, and by which rules; whoever has it or nobody.

Only the end of the number is printed (SEC-7).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from prefcenter import clock, config, phone, schema
from prefcenter.cli_common import example, number_given
from prefcenter.consent import send_windows
from prefcenter.consent.homes import Home
from prefcenter.consent.hours_book import Book, Rule, WindowsError
from prefcenter.consent.send_windows import Explanation, Told, Watch
from prefcenter.database import db, read
from prefcenter.models import Person

_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_ZONE_OF = sa.select(Person.__table__.c.zone).where(
    Person.__table__.c.number == sa.bindparam("number")
)


@dataclass(frozen=True, slots=True)
class Answer:
    """All that is printed."""

    number: str  # masked
    said: str | None  # the zone that the person named
    home: Home
    at: datetime
    found: Explanation
    cap: int | None


@click.command("windows")
@click.option("--at", "moment", metavar="MOMENT", help="Instead of now, with its offset.")
@click.option("--zone", metavar="NAME", help="As if the person said that they live there.")
@click.option("--json", "as_json", is_flag=True)
@example("echo +13055550143 | prefcenter windows --at 2026-03-08T07:30:00-04:00")
@with_appcontext
def command(moment: str | None, zone: str | None, as_json: bool) -> None:
    """Say when the number on standard input may get marketing texts, and by which rules.

    The number may be anybody's or nobody's.
    """
    if zone is not None and not send_windows.is_zone(zone):
        raise click.ClickException(
            f"{zone!r} is not the name of a time zone; write one like America/New_York."
        )
    at = _moment(moment) if moment else clock.now()
    number = number_given()
    book, said = book_or_fault(), zone or _zone_of(number.e164)
    home = send_windows.home_of(number.e164, number.country, said)
    found = send_windows.explain(home, at, book)
    answer = Answer(
        phone.mask(number.e164), said, home, at, found, send_windows.daily_cap(home, book)
    )
    click.echo(json.dumps(_as_json(answer)) if as_json else "\n".join(_lines(answer)))


def book_or_fault() -> Book:
    """The rules, or one sentence with the cure and the end of the command."""
    try:
        return send_windows.read(config.current().quiet_hours)
    except WindowsError as error:
        raise click.ClickException(f"{config.PREFIX}QUIET_HOURS cannot be used: {error}") from error


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise click.ClickException(
        f"{text!r} is no moment; write one with its offset, like 2026-11-23T15:00:00-05:00."
    )


def _zone_of(number: str) -> str | None:
    """What the person of this number said, if there is one and there are tables."""
    reason = schema.fault()
    db.session.rollback()
    rows = [] if reason else read(_ZONE_OF, {"number": number})
    zone = rows[0].zone if rows else None
    return zone if zone and send_windows.is_zone(zone) else None


def _lines(answer: Answer) -> Iterator[str]:
    found, zones = answer.found, answer.home.zones
    yield f"{answer.number}: {_where(answer)}"
    yield (
        "  "
        + "; ".join(_clock(answer.at, zone) for zone in zones[:4])
        + (f" and {len(zones) - 4} zones more" if len(zones) > 4 else "")
    )
    if found.opens is None:
        yield "A marketing text may not arrive: no window opens within three weeks."
    else:
        yield (
            "A marketing text may arrive now."
            if found.allowed
            else "A marketing text must wait: " + _names(_closed(found)) + "."
        )
        opened = "Open; it opened by" if found.allowed else f"Opens {_when(found.opens, zones)} by"
        yield f"{opened} {_names(found.opened_by)}."
    if found.closes:
        yield f"Closes {_when(found.closes, zones)} by {_names(found.closed_by)}."
    if answer.cap is not None:
        yield f"At most {answer.cap} marketing texts in 24 hours, by the law of the state."
    yield "The rules that must all agree:"
    yield from _rules(found.rules)


def _where(answer: Answer) -> str:
    """Where it may be at home, in one sentence."""
    places, zones = answer.home.places, answer.home.zones
    if not zones:
        return "nobody knows where this number is at home."
    states = [place for place in places if "-" in place] or list(places) or ["no known place"]
    where = ", ".join(states) if len(states) < 9 else f"any of {len(states)} states"
    by = f"; the person said {answer.said}" if answer.said else ""
    unclear = " (unclear, so all of these must agree)" if len(states) + len(zones) > 2 else ""
    return f"{where}{by}{unclear}."


def _rules(rules: Iterable[Told]) -> Iterator[str]:
    """Each rule once, with the zones in which it says the same."""
    alike: dict[tuple[Rule, str], list[str]] = defaultdict(list)
    for told in rules:
        alike[told.rule, _says(told)].append(told.zone)
    for (rule, says), zones in alike.items():
        where = ", ".join(zones) if len(zones) < 4 else f"{len(zones)} zones"
        yield f"  {rule.place}: {says} in {where} ({rule.source})"


def _says(told: Told) -> str:
    today = told.day_off or (
        _hours(told.hours) if told.hours else "nothing on this day of the week"
    )
    return f"{today}, {'open' if told.open else 'closed'}"


def _hours(hours: tuple[time, time]) -> str:
    return f"{hours[0]:%H:%M}-{'24:00' if hours[1] == time.max else format(hours[1], '%H:%M')}"


def _closed(found: Explanation) -> Iterable[Watch]:
    return [(told.zone, told.rule) for told in found.rules if not told.open]


def _names(watches: Iterable[Watch]) -> str:
    """`US-FL in America/Chicago`; of many the first three."""
    names = [f"{rule.place} in {zone}" for zone, rule in watches]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _when(moment: datetime, zones: tuple[str, ...]) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC ({_clock(moment, zones[0])})"


def _clock(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} in {zone}"


def _as_json(answer: Answer) -> dict[str, Any]:
    found = answer.found
    return {
        "number": answer.number,
        "at": answer.at.isoformat(),
        "allowed": found.allowed,
        "opens": found.opens.isoformat() if found.opens else None,
        "closes": found.closes.isoformat() if found.closes else None,
        "zones": list(answer.home.zones),
        "places": list(answer.home.places),
        "said_zone": answer.said,
        "texts_per_24_hours": answer.cap,
        "opened_by": [_watch(watch) for watch in found.opened_by],
        "closed_by": [_watch(watch) for watch in found.closed_by],
        "rules": [_told(told, answer.at) for told in found.rules],
    }


def _watch(watch: Watch) -> dict[str, str]:
    return {"zone": watch[0], "place": watch[1].place}


def _told(told: Told, at: datetime) -> dict[str, Any]:
    return {
        "place": told.rule.place,
        "zone": told.zone,
        "local_time": at.astimezone(ZoneInfo(told.zone)).isoformat(),
        "hours": _hours(told.hours) if told.hours else None,
        "day_off": told.day_off,
        "open": told.open,
        "source": told.rule.source,
    }
