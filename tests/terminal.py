"""Typing `prefcenter ...` against the database of a test."""

import contextvars
import os
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from prefcenter import cli
from prefcenter.database import db

Run = Callable[..., Result]


def of(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    """For a fixture: gives what types a command and its input, and has its output."""
    for name in [name for name in os.environ if name.startswith("PREFCENTER_")]:
        monkeypatch.delenv(name)

    def type_(*words: str, stdin: str | bytes = "") -> Result:
        db.session.rollback()
        info = ScriptInfo(create_app=lambda: app)
        # As in a shell there is no app but the one that the command makes for itself.
        result = contextvars.Context().run(
            CliRunner().invoke, cli.cli, words, input=stdin, obj=info, prog_name="prefcenter"
        )
        db.session.rollback()
        db.session.expire_all()
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return type_
