"""`prefcenter key`: what other programs show to use the API (SEC-39)."""

import json

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from prefcenter.staff import activity

group = AppGroup("key", help="Keys that other programs use the API with.")


@group.command("add")
@click.argument("name")
@click.option("--scope", required=True, help=f"Any of {','.join(api_keys.SCOPES)}, by commas.")
@example("umask 077; prefcenter key add web-shop --scope decide,write > web-shop.key")
def add_key(name: str, scope: str) -> None:
    """Make a key and print its secret, this once: it is stored as a hash only.

    The secret goes to standard output and everything else to standard error, so that it can be
    written to a file or piped to where it is kept.
    """
    need_tables()
    wanted = [part.strip() for part in scope.split(",") if part.strip()]
    with writing():
        try:
            secret = api_keys.make(name, wanted, now=clock.now())
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        details = {"scopes": [one for one in api_keys.SCOPES if one in wanted]}
        activity.record(
            *(caller(), "key_added"), subject=name.strip(), details=details, now=clock.now()
        )
        db.session.commit()
    click.echo(secret)
    click.echo("Keep it now: it is not shown again. Send it as Authorization: Bearer.", err=True)


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter key list")
def list_keys(as_json: bool) -> None:
    """Show the keys, never their secrets: what each may do and when it was last used."""
    need_tables()
    found = api_keys.every()
    if as_json:
        rows = [
            {
                "name": key.name,
                "scopes": key.scopes,
                "created_at": key.created_at.isoformat(),
                "last_used_at": key.last_used_at.isoformat() if key.last_used_at else None,
                "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
            }
            for key in found
        ]
        click.echo(json.dumps(rows))
        return
    for key in found:
        used = f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "unused"
        ended = f", revoked {key.revoked_at:%Y-%m-%d %H:%M} UTC" if key.revoked_at else ""
        click.echo(f"{key.name}: {','.join(key.scopes)}, {used}{ended}")
    if not found:
        click.echo("There is no key.")


@group.command("revoke")
@click.argument("name")
@example("prefcenter key revoke web-shop")
def revoke(name: str) -> None:
    """End a key. From now on whoever shows it is refused; its name is not given again."""
    need_tables()
    with writing():
        ended = api_keys.revoke(name, now=clock.now())
        if ended:
            activity.record(caller(), "key_revoked", subject=name, now=clock.now())
        db.session.commit()
    if not ended:
        raise click.ClickException(f"There is no key {name} that works; see `prefcenter key list`.")
    click.echo(f"Revoked {name}.")
