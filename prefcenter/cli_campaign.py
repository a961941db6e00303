"""`prefcenter campaign`: what to register with the carriers, and whether it is so."""

import json
from pathlib import Path

import click
from flask.cli import AppGroup

from prefcenter.cli_common import example, report
from prefcenter.consent import campaign

group = AppGroup("campaign", help="The 10DLC campaign that carriers compare our texts with.")


@group.command("export")
@example("prefcenter campaign export > campaign.json")
def export() -> None:
    """Print keywords, messages and samples as JSON, by the names of the registration form."""
    click.echo(json.dumps(campaign.fields(), indent=2, ensure_ascii=False))


@group.command("check")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter campaign check campaign.json")
def check(file: Path | None, as_json: bool) -> None:
    """Compare what was registered with what is sent now: FILE as JSON, or what was noted on the
    page 10DLC. Exit 1 when it differs."""
    if file is None and campaign.newest_note() is None:
        raise click.ClickException("Name a file, or note what is registered at /admin/campaign.")
    registered = _read(file) if file else campaign.registered()
    report(campaign.differences(registered), as_json, "The campaign is registered as we use it.")


def _read(file: Path) -> dict[str, object]:
    try:
        registered = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file} is not JSON in UTF-8 ({error}).") from error
    if not isinstance(registered, dict):
        raise click.ClickException(f"{file} must hold one JSON object.")
    return registered
