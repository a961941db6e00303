"""What every command shares: its example, its first check, a number that is typed, faults."""

import getpass
import json
import sys
from collections.abc import Callable
from typing import Any

import click

from prefcenter import config, phone, schema
from prefcenter.database import db
from prefcenter.phone import Number


def example(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Put an example under a command's help."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__doc__ = f"{function.__doc__}\n\n    \b\n    Example: {text}\n    "
        return function

    return add


def need_tables() -> None:
    reason = schema.fault()
    db.session.rollback()
    if reason:
        raise click.ClickException(reason[0].upper() + reason[1:] + ".")


def caller() -> str:
    """Who is at the terminal, as the admin log names them."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user, as in some containers
        user = "unknown"
    return f"command ({user})"


def number_given() -> Number:
    """The number on standard input, so that it stands in no list of processes and no shell
    history: any in E.164, also one that could not sign up; else as people here write it."""
    typed = sys.stdin.readline().strip()
    if phone.is_e164(typed):
        return Number(typed, phone.country_of(typed))
    try:
        return phone.parse(typed, countries=config.current().countries)
    except phone.NumberError as error:
        raise click.ClickException(
            f"That is no number that can be looked up ({error.reason}); write it to standard"
            " input, like +13055550143."
        ) from error


def report(faults: list[str], as_json: bool, good: str) -> None:
    if as_json:
        click.echo(json.dumps({"ok": not faults, "faults": faults}))
    else:
        click.echo("\n".join(faults) if faults else good)
    if faults:
        raise SystemExit(1)
