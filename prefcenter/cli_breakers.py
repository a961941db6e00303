"""`prefcenter breaker`: where sending stopped because hardly anybody confirmed (SEC-30)."""

import json

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import breaker
from prefcenter.database import db, writing
from prefcenter.staff import activity

group = AppGroup("breaker", help="Where sending stopped because hardly anybody confirmed.")
_LONGEST_NAME = 80


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter breaker list")
def list_breakers(as_json: bool) -> None:
    """Show the open breakers: nothing is sent there until their time is over."""
    need_tables()
    found = breaker.open_now(now=clock.now())
    if as_json:
        rows = [
            {
                "id": row.id,
                "scope": row.scope.value,
                "label": row.label,
                "tripped_at": row.tripped_at.isoformat(),
                "until": row.until.isoformat(),
            }
            for row in found
        ]
        click.echo(json.dumps(rows))
        return
    for row in found:
        click.echo(
            f"{row.id}: {row.label}, since {row.tripped_at:%Y-%m-%d %H:%M} UTC,"
            f" until {row.until:%Y-%m-%d %H:%M} UTC"
        )
    if not found:
        click.echo("No breaker is open.")


@group.command("close")
@click.argument("breaker_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@click.option("--by", required=True, help="Who has looked at it.")
@example("prefcenter breaker close 3 --by Dana")
def close_breaker(breaker_id: int, by: str) -> None:
    """Let texts go there again, after you have looked at who signs up. Counting begins anew."""
    need_tables()
    by = by.strip()
    if not 1 <= len(by) <= _LONGEST_NAME or not by.isprintable():
        raise click.ClickException(f"--by is a name of 1 to {_LONGEST_NAME} characters.")
    now = clock.now()
    with writing():
        found = breaker.find(breaker_id, now=now)
        if found is None:
            raise click.ClickException(
                f"No breaker {breaker_id} is open; see `prefcenter breaker list`."
            )
        label = found.label
        breaker.close(found, by, now=now)
        activity.record(
            *(caller(), "breaker_closed"),
            subject=str(breaker_id),
            details={"where": label, "by": by},
            now=now,
        )
        db.session.commit()
    click.echo(f"Closed {breaker_id}: {label}.")
