"""`prefcenter alarm`: what an operator must look at, and saying that it was."""

import json

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.database import db, writing
from prefcenter.sms import alarms
from prefcenter.staff import activity

group = AppGroup("alarm", help="What an operator must look at.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter alarm list")
def list_alarms(as_json: bool) -> None:
    """Show the alarms that have not ended, the oldest first."""
    need_tables()
    found = alarms.current()
    if as_json:
        rows = [
            {
                "name": alarm.name,
                "message": alarm.message,
                "since": alarm.since.isoformat(),
                "last_at": alarm.last_at.isoformat(),
                "count": alarm.count,
            }
            for alarm in found
        ]
        click.echo(json.dumps(rows))
        return
    for alarm in found:
        click.echo(f"{alarm.name}: {alarm.message}")
        click.echo(
            f"    since {alarm.since:%Y-%m-%d %H:%M} UTC, last {alarm.last_at:%Y-%m-%d %H:%M} UTC,"
            f" seen {alarm.count} times"
        )
    if not found:
        click.echo("There is no alarm.")


@group.command("acknowledge")
@click.argument("name")
@example("prefcenter alarm acknowledge missed_texts")
def acknowledge(name: str) -> None:
    """End an alarm after you have looked at it. It comes back when its cause does."""
    need_tables()
    with writing():
        ended = alarms.acknowledge(name, now=clock.now())
        if ended:
            activity.record(caller(), "alarm_acknowledged", subject=name, now=clock.now())
        db.session.commit()
    if not ended:
        known = "" if name in alarms.NAMES else f" Names are {', '.join(sorted(alarms.NAMES))}."
        raise click.ClickException(f"There is no alarm {name} now.{known}")
    click.echo(f"Ended {name}.")
