"""`prefcenter keywords`: how texts that come in are read."""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from flask.cli import AppGroup

from prefcenter.cli_common import example, need_tables
from prefcenter.consent import inbound, scoring
from prefcenter.consent.keywords import Reading, Refusal
from prefcenter.sms.webhook import MAX_TEXT

group = AppGroup("keywords", help="How texts that come in are read.")
_COLUMNS = ("text", "language", "label")


@group.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter keywords check texts.csv")
def check(file: Path, as_json: bool) -> None:
    """Read the texts of a CSV file with the columns text, language and label.

    The label is what a person took the text for. Exit 1 when refusals are read as none, or
    too much else as a refusal. Words that the settings add do not count here.
    """
    rows = list(_rows(file))
    if not rows:
        raise click.ClickException("There are no texts in that file.")
    try:
        found = scoring.score(rows)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    lines = list(found.lines())
    click.echo(json.dumps({"ok": found.ok, "lines": lines}) if as_json else "\n".join(lines))
    if not found.ok:
        raise SystemExit(1)


@group.command("explain")
@example("echo Please stop | prefcenter keywords explain")
def explain() -> None:
    """Say what one text, on standard input, is read as, and by which word or pattern."""
    need_tables()
    text = sys.stdin.buffer.read(4 * MAX_TEXT).decode("utf-8", "replace").rstrip("\r\n")
    click.echo(_said(inbound.read(text[:MAX_TEXT])))


def _said(reading: Reading) -> str:
    refusal = f" ({reading.refusal})" if reading.refusal is not Refusal.NOT else ""
    if reading.word:
        label = reading.word.value
    elif refusal:
        label = "a refusal in free words"
    else:
        label = "no refusal, but a person should read it" if reading.flagged else "nothing we know"
    return f"{label}{refusal}" + (f": {reading.matched}" if reading.matched else "")


def _rows(file: Path) -> Iterator[tuple[str, str, str]]:
    """The rows of the file. Raises ClickException, with the line, for what cannot be read."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            table = csv.DictReader(lines)
            if not set(_COLUMNS) <= set(table.fieldnames or ()):
                raise click.ClickException(f"The first line must name {', '.join(_COLUMNS)}.")
            for row in table:
                if None in row.values():
                    raise click.ClickException(f"Line {table.line_num} has too few columns.")
                yield row["text"], row["language"], row["label"]
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"The file is not a CSV file in UTF-8 ({error}).") from error
