"""`prefcenter category`: the kinds of texts that people choose from."""

import json

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import catalog, offering
from prefcenter.database import db, writing
from prefcenter.staff import activity

group = AppGroup("category", help="The kinds of texts that people choose from.")


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
        activity.record(caller(), "category_added", subject=slug, details=said, now=clock.now())
        db.session.commit()
    click.echo(f"Added {slug}.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter category list")
def list_categories(as_json: bool) -> None:
    """Show the kinds of texts."""
    need_tables()
    rows = [
        {"slug": c.slug, "name": c.name, "public": c.public, "age_gate": c.age_gate}
        for c in catalog.every()
    ]
    if as_json:
        click.echo(json.dumps(rows))
    for row in [] if as_json else rows:
        click.echo(f"{row['slug']}: {row['name']}" + ("" if row["public"] else " (private)"))
