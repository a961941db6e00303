"""`prefcenter export`: the audience, the numbers that get nothing, or the ledger, as a file.

The same rows as the buttons on /admin/exports, and noted in the same places (SEC-44). A file is
its owner's alone to read, and is there whole or not at all (SEC-46).
"""

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.database import db, writing
from prefcenter.models_exports import ExportKind
from prefcenter.upkeep import audience, exporting, exports
from prefcenter.upkeep.export_files import Format
from prefcenter.upkeep.exporting import Content, NotNow
from prefcenter.upkeep.history import Filters

group = AppGroup("export", help="Files with what is in the database.")
_OPTIONS = (
    click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Else stdout."),
    click.option(
        "--format", "format_", type=click.Choice([one.value for one in Format]), default="csv"
    ),
    click.option("--force", is_flag=True, help="Put the file in place of one that is there."),
    click.option("--reason", default="", help="Why, for the admin log."),
)


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@group.command("audience")
@click.option("--category", default="", help="Only who takes this one (its slug).")
@_options
@example("prefcenter export audience --category offers --output offers.csv")
def export_audience(category: str, **how: Any) -> None:
    """Numbers that may be texted now: subscribed, reachable, not paused, not suppressed."""
    need_tables()
    if category and not audience.is_category(category):
        raise click.ClickException(f"There is no category {category}.")
    filters = {"category": category} if category else {}
    now = clock.now()
    _export(ExportKind.AUDIENCE, lambda: audience.audience(category, now=now), filters, **how)


@group.command("suppressions")
@click.option("--plain", is_flag=True, help="With the number, where somebody here still has it.")
@_options
@example("prefcenter export suppressions --format ndjson --output suppressions.ndjson")
def export_suppressions(plain: bool, **how: Any) -> None:
    """Numbers that must get nothing, as keyed hashes."""
    need_tables()
    filters = {"plain": "yes"} if plain else {}
    _export(ExportKind.SUPPRESSIONS, lambda: audience.suppressions(plain=plain), filters, **how)


@group.command("ledger")
@_options
@example("prefcenter export ledger --output ledger.csv")
def export_ledger(**how: Any) -> None:
    """Every event, oldest first, with its hashes."""
    need_tables()
    _export(ExportKind.LEDGER, lambda: exporting.events(Filters(), oldest_first=True), {}, **how)


def _export(
    kind: ExportKind,
    content: Callable[[], Content],
    filters: dict[str, str],
    *,
    output: Path | None,
    format_: str,
    force: bool,
    reason: str,
) -> None:
    with _opened(output, force=force) as file:
        try:
            found = content()
        except NotNow as error:
            raise click.ClickException("The ledger is being written to; try again.") from error
        order = exports.Order(kind, Format(format_), caller(), reason, filters)
        with writing():
            export_id = exports.start(order, found.total, now=clock.now())
            db.session.commit()
        db.session.remove()
        pieces = exports.write(export_id, order.format, found, clock.now)
        done = _copy(pieces, file, found.total if output else None)
    if output:
        click.echo(f"{done} rows in {output}.", err=True)


def _copy(pieces: Generator[bytes, None, int], file: BinaryIO, total: int | None) -> int:
    """Write the file; on a terminal with a bar that says how far it is."""
    if total is None or not sys.stderr.isatty():
        return _written(pieces, file, lambda rows: None)
    with click.progressbar(length=total, file=sys.stderr) as bar:
        return _written(pieces, file, bar.update)


def _written(
    pieces: Generator[bytes, None, int], file: BinaryIO, tell: Callable[[int], None]
) -> int:
    with contextlib.closing(pieces):  # so that one that breaks off is noted as such
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                return int(end.value)
            file.write(piece)
            tell(piece.count(b"\n"))


@contextlib.contextmanager
def _opened(output: Path | None, *, force: bool) -> Iterator[BinaryIO]:
    """Where the rows go: a file that takes its name only when it is whole, or stdout."""
    if output is None:
        with _no_reader_left():
            file = sys.stdout.buffer
            yield file
            file.flush()
        return
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    _claim(output, force=force)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        if not force:
            output.unlink(missing_ok=True)  # the name that was claimed above
        raise


def _claim(output: Path, *, force: bool) -> None:
    """Take the name, so that no other file can come there meanwhile."""
    if force:
        return
    try:
        os.close(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError as error:
        raise click.ClickException(f"{output} is there already; --force replaces it.") from error
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error


@contextlib.contextmanager
def _no_reader_left() -> Iterator[None]:
    """`prefcenter export ledger | head` is no fault, but it is no whole file either."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
