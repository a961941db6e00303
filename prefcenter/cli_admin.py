"""`prefcenter admin`: who may sign in to the admin pages (SEC-41, SEC-46).

The first account can only be made here. A one-time password goes to standard output, this once,
and everything else to standard error.
"""

import json
from collections.abc import Callable

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff
from prefcenter.staff import accounts, passwords
from prefcenter.staff.accounts import AccountError
from prefcenter.staff.passwords import OneTime

group = AppGroup("admin", help="Who may sign in to the admin pages.")
FIRST = "owner"
_ROLES = click.Choice([role.value for role in Role])


@group.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="What they may do.")
@example("prefcenter admin add dana --role owner")
def add_account(name: str, role: str) -> None:
    """Let somebody sign in, and print their one-time password, which they change first."""
    need_tables()
    password = passwords.one_time()
    _do(lambda: accounts.add(name, Role(role), password, by=caller(), now=clock.now()))
    _tell(name, password)


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter admin list")
def list_accounts(as_json: bool) -> None:
    """Show who may sign in, and who could once."""
    need_tables()
    found = accounts.every()
    if as_json:
        click.echo(json.dumps([_facts(staff) for staff in found]))
        return
    for staff in found:
        factor = "with" if staff.totp_secret else "without"
        waiting = ", one-time password not changed yet" if staff.one_time else ""
        ended = (
            f", disabled {staff.disabled_at:%Y-%m-%d %H:%M} UTC" if staff.disabled_at else waiting
        )
        click.echo(f"{staff.name}: {staff.role}, {factor} second factor{ended}")
    if not found:
        click.echo("Nobody may sign in; `prefcenter admin add NAME --role owner` lets somebody.")


@group.command("role")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True)
@example("prefcenter admin role eve --role viewer")
def change_role(name: str, role: str) -> None:
    """Change what somebody may do. They are signed out everywhere."""
    need_tables()
    _do(lambda: accounts.change_role(_known(name), Role(role), by=caller(), now=clock.now()))
    click.echo(f"{accounts.as_stored(name)} is {role} now.")


@group.command("disable")
@click.argument("name")
@example("prefcenter admin disable eve")
def disable(name: str) -> None:
    """Let somebody in no more, from this moment on. `admin enable` undoes it."""
    need_tables()
    _do(lambda: accounts.disable(_known(name), by=caller(), now=clock.now()))
    click.echo(f"{accounts.as_stored(name)} cannot sign in any more.")


@group.command("enable")
@click.argument("name")
@example("prefcenter admin enable eve")
def enable(name: str) -> None:
    """Let somebody in again who was disabled, and print a one-time password."""
    need_tables()
    password = passwords.one_time()
    _do(lambda: accounts.enable(_known(name), password, by=caller(), now=clock.now()))
    _tell(name, password)


@group.command("reset")
@click.argument("name")
@click.option("--second-factor", is_flag=True, help="Take their second factor off, too.")
@example("prefcenter admin reset dana")
def reset(name: str, second_factor: bool) -> None:
    """Print a new one-time password for somebody. Their second factor stays and is asked for."""
    need_tables()
    password = passwords.one_time()

    def change() -> None:
        staff, now = _known(name), clock.now()
        accounts.reset(staff, password, by=caller(), now=now)
        if second_factor:
            accounts.drop_second_factor(staff, by=caller(), now=now)

    _do(change)
    _tell(name, password)


def first_owner() -> str | None:
    """For a first look: the one-time password of an owner and until when it works, made where
    nobody works here."""
    if accounts.every():
        return None
    password = passwords.one_time()
    _do(lambda: accounts.add(FIRST, Role.OWNER, password, by=caller(), now=clock.now()))
    return f"{password.text} until {_until(FIRST)}"


def _do(change: Callable[[], object]) -> None:
    with writing():
        try:
            change()
        except AccountError as error:
            raise click.ClickException(str(error)) from error
        db.session.commit()


def _known(name: str) -> Staff:
    staff = accounts.find(name)
    if staff is None:
        raise click.ClickException(f"There is nobody called {name!r}; see `prefcenter admin list`.")
    return staff


def _tell(name: str, password: OneTime) -> None:
    click.echo(password.text)
    click.echo(
        f"It is shown this once and works until {_until(name)}; they sign in with it at /admin/ and"
        " choose their own.",
        err=True,
    )


def _until(name: str) -> str:
    return f"{_known(name).one_time_until:%Y-%m-%d %H:%M} UTC"


def _facts(staff: Staff) -> dict[str, object]:
    return {
        "name": staff.name,
        "role": staff.role.value,
        "second_factor": staff.totp_secret is not None,
        "one_time_password": staff.one_time,
        "one_time_until": staff.one_time_until.isoformat() if staff.one_time_until else None,
        "created_at": staff.created_at.isoformat(),
        "disabled_at": staff.disabled_at.isoformat() if staff.disabled_at else None,
    }
