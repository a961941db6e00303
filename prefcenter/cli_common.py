"""What every command shares: its example, its first check, its way to report faults."""

import getpass
import json
from collections.abc import Callable
from typing import Any

import click

from prefcenter import schema
from prefcenter.database import db


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


def report(faults: list[str], as_json: bool, good: str) -> None:
    if as_json:
        click.echo(json.dumps({"ok": not faults, "faults": faults}))
    else:
        click.echo("\n".join(faults) if faults else good)
    if faults:
        raise SystemExit(1)
