"""`prefcenter counts`: the overview's figures, counted from the ledger alone."""

import json
from datetime import date, datetime
from typing import Any

import click
from flask.cli import with_appcontext

from prefcenter import clock
from prefcenter.cli_common import example, need_tables
from prefcenter.models_counts import ANY
from prefcenter.upkeep import counted, recount
from prefcenter.upkeep.figures import Figures
from prefcenter.upkeep.spans import Scope, Span, last_days

_USUAL_DAYS = 30
_EARLIEST = date(2000, 1, 1)
_EVERY = 2**31 - 1  # however many events are not added up yet


@click.command("counts")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, included.")
@click.option("--place", default=ANY, help="Only who asked there, such as a site's slug.")
@click.option("--category", "kind", default=ANY, help="Only who takes this category.")
@click.option("--country", default=ANY, help="Only numbers of this country, such as US.")
@click.option("--language", default=ANY, help="Only who signed up in this language.")
@click.option("--fast", is_flag=True, help="As the overview reads them, instead.")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter counts --from 2026-11-01 --to 2026-11-30")
@with_appcontext
def command(
    first: datetime | None, last: datetime | None, fast: bool, as_json: bool, **scope: str
) -> None:
    """Count the overview's figures from the ledger, event by event: slow, and the same."""
    need_tables()
    now = clock.now()
    with counted.one_moment() as connection:
        span = _span(first, last, counted.today(connection, now))
        found = counted.read(connection, Scope(**scope), span, now=now, slow=not fast)
    if as_json:
        click.echo(json.dumps(found.numbers(now)))
        return
    for line in _lines(found, now):
        click.echo(line)


def anew() -> None:
    """Make all counts anew, for `prefcenter rebuild`."""
    try:
        click.echo(f"Made {recount.recount()} counts.")
    except recount.Busy as error:
        raise click.ClickException(f"{error} Try again.") from error


def differences() -> list[str]:
    """What the ready counts say otherwise than the ledger: of everybody, and of each value."""
    now = clock.now()
    faults = []
    with counted.one_moment() as connection:
        whole = Span(_EARLIEST, counted.today(connection, now))
        slow, fast = (
            counted.read(connection, Scope(), whole, now=now, slow=is_slow, most=_EVERY)
            for is_slow in (True, False)
        )
    said, counts = (dict(flat(figures.numbers(now))) for figures in (slow, fast))
    for name in sorted({*said, *counts}):
        if said.get(name) != counts.get(name):
            faults.append(f"count of {name}: {counts.get(name)}, the ledger says {said.get(name)}")
    return faults


def _span(first: datetime | None, last: datetime | None, today: date) -> Span:
    end = last.date() if last else today
    begin = first.date() if first else last_days(end, _USUAL_DAYS).first
    if begin > end:
        raise click.ClickException("--from must not come after --to.")
    if begin < _EARLIEST:
        raise click.ClickException(f"--from must not come before {_EARLIEST}.")
    return Span(begin, end)


def _lines(found: Figures, now: datetime) -> list[str]:
    """A figure to a line, each with the name that it has in the JSON."""
    return [
        f"{name}: {value}"
        for name, value in flat(found.numbers(now))
        if not name.startswith("days")
    ]


def flat(value: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        here = f"{before}{name}"
        found += flat(inner, f"{here} ") if isinstance(inner, dict) else [(here, inner)]
    return found
