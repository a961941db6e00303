"""`prefcenter category`: the kinds of texts that people choose from."""

import json
from collections.abc import Mapping
from typing import Any

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import catalog, offering
from prefcenter.consent.category_values import OLDEST
from prefcenter.consent.offering import StillNeeded
from prefcenter.database import db, writing
from prefcenter.models import Category
from prefcenter.staff import activity

group = AppGroup("category", help="The kinds of texts that people choose from.")
_NO_AGE = "none"


@group.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="As people read it.")
@click.option("--description", default="", help="How often, in a few words.")
@click.option("--private", is_flag=True, help="Never shown or changed by a page.")
@click.option("--age-gate", type=click.IntRange(1, 99), help="Only for people this old.")
@example('prefcenter category add offers --name "Sales and offers"')
def add_category(
    slug: str, name: str, description: str, private: bool, age_gate: int | None
) -> None:
    """Add a kind of text that people may choose."""
    need_tables()
    with writing():
        try:
            kind = catalog.add(
                slug, name, description=description, public=not private, age_gate=age_gate
            )
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        said = {field: [None, value] for field, value in offering.said(kind).items()}
        _log("category_added", kind, said)
        db.session.commit()
    click.echo(f"Added {slug}.")


@group.command("change")
@click.argument("slug")
@click.option("--name", help="As people read it.")
@click.option("--description", help="How often, in a few words.")
@click.option("--public/--private", default=None, help="Whether pages show and change it.")
@click.option("--age-gate", metavar="N", help="Only for people this old; none for everybody.")
@example('prefcenter category change offers --description "About 2 texts a month"')
def change_category(slug: str, age_gate: str | None, **given: Any) -> None:
    """Change a kind of text; what is not named stays. Translations: on its admin page."""
    need_tables()
    values = {name: value for name, value in given.items() if value is not None}
    with writing():
        kind = _known(slug)
        try:
            if age_gate is not None:
                values["age_gate"] = _age(age_gate)
            if not values:
                raise ValueError("Say what to change; see `prefcenter category change --help`.")
            changes = offering.change(kind, **values)
        except (ValueError, StillNeeded) as error:
            raise click.ClickException(str(error)) from error
        if changes:
            _log("category_changed", kind, changes)
            db.session.commit()
    click.echo(f"Changed {slug}." if changes else "Nothing was changed.")


@group.command("retire")
@click.argument("slug")
@example("prefcenter category retire offers")
def retire_category(slug: str) -> None:
    """Offer a kind of text nowhere; records keep it. `category restore` undoes it."""
    need_tables()
    with writing():
        kind = _known(slug)
        try:
            ended = offering.retire(kind, now=clock.now())
        except StillNeeded as error:
            raise click.ClickException(str(error)) from error
        people = offering.takers().get(slug, 0)
        if ended:
            _log("category_retired", kind, {"people": people})
            db.session.commit()
    click.echo(f"Retired {slug}. Subscribers who take it: {people}.")


@group.command("restore")
@click.argument("slug")
@example("prefcenter category restore offers")
def restore_category(slug: str) -> None:
    """Offer a retired kind of text again, also to those who took it."""
    need_tables()
    with writing():
        kind = _known(slug)
        if offering.restore(kind):
            _log("category_restored", kind)
            db.session.commit()
    click.echo(f"Restored {slug}.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter category list")
def list_categories(as_json: bool) -> None:
    """Show the kinds of texts, also the retired ones."""
    need_tables()
    rows = [
        {
            "slug": c.slug,
            "name": c.name,
            "public": c.public,
            "age_gate": c.age_gate,
            "retired_at": c.retired_at.isoformat() if c.retired_at else None,
        }
        for c in catalog.every()
    ]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        marks = ("" if row["public"] else " (private)") + (" (retired)" * bool(row["retired_at"]))
        click.echo(f"{row['slug']}: {row['name']}{marks}")


def _known(slug: str) -> Category:
    kind = catalog.find(slug)
    if kind is None:
        raise click.ClickException(f"There is no category {slug}; see `prefcenter category list`.")
    return kind


def _age(text: str) -> int | None:
    if text == _NO_AGE:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > len(str(OLDEST)):
        raise ValueError(f"An age is a number from 1 to {OLDEST}, or {_NO_AGE}.")
    return int(text)


def _log(action: str, kind: Category, details: Mapping[str, Any] | None = None) -> None:
    activity.record(caller(), action, subject=kind.slug, details=details, now=clock.now())
