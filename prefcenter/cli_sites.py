"""`prefcenter site`: the places where people sign up, and what to paste there (SEC-21)."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from flask.cli import AppGroup

from prefcenter import clock, config
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import offering, sites
from prefcenter.database import db, writing
from prefcenter.models import Site
from prefcenter.staff import activity
from prefcenter.web import assets, snippets

group = AppGroup("site", help="The places where people sign up.")
NONE = "none"  # takes away what may be absent
_OPTIONS = (
    click.option(
        "--origin", "origins", multiple=True, metavar="URL",
        help="A site that may show the form, like https://shop.example.com. Repeat for more.",
    ),
    click.option(
        "--about", multiple=True, metavar="TEXT",
        help="What is texted, a few words for the agreement; es=TEXT says it in Spanish.",
    ),
    click.option(
        "--category", "categories", multiple=True, metavar="SLUG",
        help="A category to offer, repeat for more. By default, or with none: all public ones.",
    ),
    click.option("--language", type=click.Choice(config.LANGUAGES), help="Of the form."),
    click.option("--country", metavar="CODE", help="Whose national numbers people type."),
    click.option("--color", metavar="#RRGGBB", help="The site's colour; none for the brand's."),
    click.option("--color-dark", metavar="#RRGGBB", help="The same for dark pages."),
    click.option("--logo", metavar="FILE", help="SVG or PNG, at most 20 KB; none for no logo."),
    click.option(
        "--daily-budget", metavar="N",
        help="Texts that its forms may cause a day, UTC; none for the limit of all sites.",
    ),
)  # fmt: skip


def _with_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@group.command("add")
@click.argument("key")
@click.option("--name", required=True, help="How you call it.")
@_with_options
@example('prefcenter site add web-shop --name "Web shop" --origin https://shop.example.com')
def add_site(key: str, name: str, **given: Any) -> None:
    """Open a site. Its key stands in the addresses of its form; anybody may read it."""
    need_tables()
    with writing():
        try:
            values = {"origins": (), **_values(given, config.current().default_language)}
            site = sites.add(key, name, now=clock.now(), **values)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        _log("site_added", site, {name: [None, value] for name, value in sites.said(site).items()})
        db.session.commit()
    click.echo(f"Added {key}. What to paste: `prefcenter site snippet {key}`.")


@group.command("change")
@click.argument("key")
@click.option("--name", help="How you call it.")
@_with_options
@example("prefcenter site change web-shop --daily-budget 200 --color none")
def change_site(key: str, name: str | None, **given: Any) -> None:
    """Change a site; what is not named stays. Origins and categories replace the former ones."""
    need_tables()
    with writing():
        site = _site(key)
        try:
            values = _values(given, given["language"] or site.language)
            if "about" in values:
                values["about"] = site.about | values["about"]
            if name is not None:
                values["name"] = name
            if not values:
                raise ValueError("Say what to change; see `prefcenter site change --help`.")
            before = sites.said(site)
            sites.change(site, **values)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        _log("site_changed", site, offering.differences(before, sites.said(site)))
        db.session.commit()
    click.echo(f"Changed {key}.")


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter site list")
def list_sites(as_json: bool) -> None:
    """Show the sites."""
    need_tables()
    found = sites.every()
    if as_json:
        click.echo(json.dumps([_row(site) for site in found]))
        return
    for site in found:
        off = ", disabled" if site.disabled_at else ""
        click.echo(f"{site.slug}: {site.name}{off}")
        click.echo(f"    key {site.key}, {' '.join(site.origins)}")
    if not found:
        click.echo("There is no site.")


@group.command("disable")
@click.argument("key")
@example("prefcenter site disable web-shop")
def disable_site(key: str) -> None:
    """Shut a site: its addresses are unknown at once, and nothing is sent for it."""
    need_tables()
    with writing():
        site = _site(key)
        sites.disable(site, now=clock.now())
        _log("site_disabled", site)
        db.session.commit()
    click.echo(f"Disabled {key}.")


@group.command("enable")
@click.argument("key")
@example("prefcenter site enable web-shop")
def enable_site(key: str) -> None:
    """Open a disabled site again."""
    need_tables()
    with writing():
        site = _site(key)
        sites.enable(site)
        _log("site_enabled", site)
        db.session.commit()
    click.echo(f"Enabled {key}.")


@group.command("rotate")
@click.argument("key")
@click.option("--keep-days", required=True, type=click.IntRange(0, 3650), metavar="N")
@example("prefcenter site rotate web-shop --keep-days 30")
def rotate_site(key: str, keep_days: int) -> None:
    """Print a new key for a site's addresses. The old one works for so many days; 0 ends it now."""
    need_tables()
    with writing():
        site = _site(key)
        before = site.key
        new = sites.rotate(site, keep=timedelta(days=keep_days), now=clock.now())
        _log("site_rotated", site, {"key": [before, new]})
        db.session.commit()
    click.echo(new)
    click.echo(f"Paste the snippet again: `prefcenter site snippet {key}`.", err=True)


@group.command("snippet")
@click.argument("key")
@click.option("--kind", type=click.Choice(snippets.KINDS), default="element", show_default=True)
@click.option("--language", type=click.Choice(config.LANGUAGES), help="By default the site's.")
@click.option(
    "--column",
    type=click.IntRange(200, 2000),
    metavar="PX",
    help="Its width, where it stands in a column much narrower than the page.",
)
@example("prefcenter site snippet web-shop --kind frame")
def snippet(key: str, kind: str, language: str | None, column: int | None) -> None:
    """Print the HTML to paste, then what the page's Content-Security-Policy must allow, and
    rules for its style sheet."""
    need_tables()
    place = sites.find(_site(key).key, now=clock.now())
    if place is None:
        raise click.ClickException(
            f"The site {key} is disabled. Run `prefcenter site enable {key}` first."
        )
    db.session.rollback()
    language = language or place.language
    click.echo(snippets.html(place, kind, language))
    for line in snippets.notes(place, kind, language, column=column):
        click.echo(f"<!-- {line} -->")


def _log(action: str, site: Site, details: dict[str, Any] | None = None) -> None:
    activity.record(caller(), action, subject=site.slug, details=details, now=clock.now())


def _site(key: str) -> Site:
    try:
        return sites.by_slug(key)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _values(given: dict[str, Any], language: str) -> dict[str, Any]:
    """What was typed, as sites.change() takes it; what was not typed is left out.

    Raises ValueError, as a sentence, for what cannot be read.
    """
    typed = {name: value for name, value in given.items() if value not in (None, ())}
    for name in ("color", "color_dark"):
        if typed.get(name) == NONE:
            typed[name] = None
    if "about" in typed:
        typed["about"] = _about(typed["about"], language)
    if typed.get("categories") == (NONE,):
        typed["categories"] = ()
    if "country" in typed:
        typed["country"] = typed["country"].upper()
    if "daily_budget" in typed:
        typed["daily_budget"] = _budget(typed["daily_budget"])
    if "logo" in typed:
        typed["logo"] = None if typed["logo"] == NONE else _logo(Path(typed["logo"]))
    return typed


def _about(texts: Sequence[str], language: str) -> dict[str, str]:
    """`TEXT` is in the site's language, `es=TEXT` in that one; an empty one takes it away."""
    found = {}
    for text in texts:
        code, equals, words = text.partition("=")
        named = equals and code in config.LANGUAGES
        found[code if named else language] = words if named else text
    return found


def _budget(typed: str) -> int | None:
    if typed == NONE:
        return None
    if not typed.isascii() or not typed.isdigit() or len(typed) > 9:
        raise ValueError("--daily-budget is a number of texts such as 200, or none.")
    return int(typed)


def _logo(path: Path) -> tuple[bytes, str]:
    try:
        file = assets.logo_file(path)
    except OSError as error:
        raise ValueError(f"The logo {path} cannot be read: {error.strerror}.") from error
    return file.body, file.mimetype


def _row(site: Site) -> dict[str, object]:
    return {
        "slug": site.slug,
        "key": site.key,
        "name": site.name,
        "origins": site.origins,
        "about": site.about,
        "categories": site.categories,
        "language": site.language,
        "country": site.country,
        "color": site.color,
        "color_dark": site.color_dark,
        "logo": site.logo_type,
        "daily_budget": site.daily_budget,
        "created_at": site.created_at.isoformat(),
        "disabled_at": site.disabled_at.isoformat() if site.disabled_at else None,
    }
