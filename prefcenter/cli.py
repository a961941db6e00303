"""The console script: each command is one call and a few printed lines."""

import json
import os
import sys
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup, ScriptInfo, with_appcontext

from prefcenter import (
    cli_admin,
    cli_alarms,
    cli_breakers,
    cli_campaign,
    cli_categories,
    cli_certificate,
    cli_counts,
    cli_erase,
    cli_export,
    cli_keys,
    cli_keywords,
    cli_poster,
    cli_reviews,
    cli_sites,
    cli_webhooks,
    cli_windows,
    clock,
    config,
    counting,
    create_app,
    demo_data,
    demo_people,
    demo_year,
    doctor,
    logs,
    phone,
    schema,
    sending,
    serve,
)
from prefcenter.cli_common import example, need_tables, report
from prefcenter.config import ConfigError
from prefcenter.consent import audit, ledger, people
from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import TextKind
from prefcenter.sms import compose
from prefcenter.sms.sender import Outcome, Parcel, sender_for

_A_MINUTE = 60.0


def _app() -> Flask:
    try:
        return create_app(serving=False)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Entry point of the `prefcenter` command. What it makes is its owner's alone to read."""
    os.umask(0o077)
    sys.excepthook = logs.crash
    cli(obj=ScriptInfo(create_app=_app), prog_name="prefcenter")


cli = AppGroup(help="prefcenter: a preference centre for text messages.")
database_group = AppGroup("db", help="The database's tables.")
for _module in (
    *(cli_admin, cli_alarms, cli_breakers, cli_campaign, cli_categories),
    *(cli_export, cli_keys, cli_keywords, cli_sites, cli_webhooks),
):
    cli.add_command(_module.group)
for _group in (cli_reviews.review_group, cli_reviews.unreadable_group, database_group):
    cli.add_command(_group)
cli.add_command(cli_poster.command)
cli.add_command(cli_counts.command)
cli.add_command(cli_erase.command)
cli.add_command(cli_windows.command)


@cli.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--processes", type=click.IntRange(1, 64), help="Web processes [WEB_PROCESSES].")
@click.option("--no-sender", is_flag=True, help="SQLite only: run `prefcenter worker` apart.")
@example("prefcenter serve --port 8000")
def serve_command(host: str, port: int, processes: int | None, no_sender: bool) -> None:
    """Serve the pages; on SQLite the sender runs beside them."""
    need_tables()
    cli_windows.book_or_fault()
    db.engine.dispose()
    settings = config.current()
    try:
        code = serve.run(
            settings, host, port, processes or settings.web_processes, sender=not no_sender
        )
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    raise SystemExit(code)


@cli.command("web", hidden=True, with_appcontext=False)
@click.option("--host", required=True)
@click.option("--port", required=True, type=int)
@click.option("--processes", required=True, type=int)
def web_command(host: str, port: int, processes: int) -> None:
    """The web processes of `prefcenter serve`."""
    serve.run_web(host, port, processes)


@cli.command("worker")
@click.option("--lock-fd", type=int, hidden=True)
@example("prefcenter worker")
def worker_command(lock_fd: int | None) -> None:
    """Send the texts: any number of these on PostgreSQL, one on SQLite."""
    need_tables()
    app = current_app._get_current_object()  # type: ignore[attr-defined]  # Flask's documented way
    settings = config.current()
    try:
        sender = sender_for(settings)
        if is_postgresql():
            from prefcenter import worker  # Procrastinate is an extra

            db.engine.dispose()
            worker.run(app, sender)
        else:
            lock = None if lock_fd is not None else sending.hold_sender_lock(settings)
            serve.run_sender(app, sender, child=lock_fd is not None)
            if lock:
                lock.close()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


@database_group.command("upgrade")
@example("prefcenter db upgrade")
def upgrade() -> None:
    """Make or change the tables to what this version needs."""
    from flask_migrate import Migrate  # half a second to import, and only needed here
    from flask_migrate import upgrade as migrate

    Migrate(current_app, db, directory=str(schema.MIGRATIONS))
    migrate()
    click.echo(f"The database is at {schema.head()}.")


@cli.command("demo")
@click.option(
    "--people",
    default=demo_year.PEOPLE,
    show_default=True,
    type=click.IntRange(0, demo_people.MOST),
    help="Made-up people, with a year behind them.",
)
@example("prefcenter demo")
def demo(people: int) -> None:
    """Add categories, a site and a year of made-up people, each where there are none."""
    need_tables()
    if not config.current().development:
        raise click.ClickException("demo is for PREFCENTER_ENV=development only.")
    if people:
        click.echo("Making up a year of people, where there are none (some seconds).")
    with writing():
        added, opened = demo_data.add(), demo_data.add_site(now=clock.now())
        year = demo_year.add(people, now=clock.now())
        db.session.commit()
    if year:
        counting.catch_up(_A_MINUTE)  # so that the first look at the overview is a quick one
    click.echo(f"Added {added} categories." if added else "There are categories already.")
    if opened:
        click.echo(f"Added the site {demo_data.SITE}.")
    if year and not year.people:
        click.echo("Nobody made up: PREFCENTER_COUNTRIES names none of US, CA and GB.")
    elif year:
        click.echo(f"Added {year.people} made-up people and {year.events} events of a year.")
    if password := cli_admin.first_owner():
        click.echo(f"Added {cli_admin.FIRST}, who signs in with the one-time password {password}")


@cli.command("verify", with_appcontext=False)
@click.option("--certificate", type=click.Path(path_type=Path), help="Check this file instead.")
@click.option("--against-database", is_flag=True, help="Also whether we issued it so.")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter verify --certificate certificate.json")
def verify(certificate: Path | None, against_database: bool, as_json: bool) -> None:
    """Check the proof: every person's chain of events, their evidence, the texts shown.

    A certificate is checked without a database and without settings.
    """
    if certificate is not None:
        cli_certificate.verify(certificate, as_json, against_database=against_database)
    elif against_database:
        raise click.UsageError("--against-database goes with --certificate FILE.")
    else:
        _verify_ledger(as_json)


@with_appcontext
def _verify_ledger(as_json: bool) -> None:
    need_tables()
    audit.hold_still()
    faults = list(audit.faults())
    report(faults, as_json, "The proof is whole.")


@cli.command("rebuild")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 on any difference.")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter rebuild --check")
def rebuild(check: bool, as_json: bool) -> None:
    """Work out every person's state, and the overview's counts, from the ledger again."""
    need_tables()
    audit.hold_still()
    found = [
        (person.id, f"person {person.public_id} {what}") for person, what in audit.differences()
    ]
    if not check:
        db.session.rollback()
        for person_id, _what in found:
            with writing():
                ledger.restore(people.by_id(person_id))
                db.session.commit()
        click.echo(f"Rebuilt {len(found)} people.")
        cli_counts.anew()
        return
    faults = [what for _id, what in found] + cli_counts.differences()
    report(faults, as_json, "Every state and every count is what the ledger says.")


@cli.command("send-test")
@example("echo +12025550143 | prefcenter send-test")
def send_test() -> None:
    """Send one HELP text to your own number, read from standard input."""
    settings = config.current()
    try:
        number = phone.parse(sys.stdin.readline(), countries=settings.countries)
    except phone.NumberError as error:
        raise click.ClickException(f"That number cannot be texted ({error.reason}).") from error
    body = compose.to_stranger(TextKind.HELP, settings.default_language)
    try:
        sender = sender_for(settings)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    ref = f"test-{int(clock.now().timestamp())}"
    parcel = Parcel(ref, number.e164, settings.senders[0], body, TextKind.HELP)
    verdict = sender.send(parcel)
    click.echo(f"{verdict.outcome} {verdict.reason}".strip())
    if verdict.outcome is not Outcome.SENT:
        raise SystemExit(1)


@cli.command("doctor")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter doctor")
def doctor_command(as_json: bool) -> None:
    """Say what is set, what can be reached and what needs a look. Exit 1 when something does."""
    findings = doctor.examine()
    if as_json:
        click.echo(json.dumps([{"what": f.what, "ok": f.ok, "detail": f.detail} for f in findings]))
    for finding in [] if as_json else findings:
        click.echo(f"{'ok  ' if finding.ok else 'LOOK'}  {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)
