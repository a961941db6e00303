"""`prefcenter poster`: a keyword and a QR code for paper."""

from pathlib import Path

import click
from flask.cli import with_appcontext

from prefcenter import clock, config
from prefcenter.cli_common import example, need_tables
from prefcenter.consent import inbound, sites
from prefcenter.web import poster

KINDS = ("svg", "png", "html")


@click.command("poster")
@click.option("--site", "slug", metavar="KEY", required=True, help="Whose poster it is.")
@click.option("--keyword", help="The word to text, by default JOIN and the site's key.")
@click.option("--format", "kind", type=click.Choice(KINDS), help="By default that of the file.")
@click.option("--language", type=click.Choice(config.LANGUAGES), help="By default the site's.")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path))
@example("prefcenter poster --site web-shop --output poster.html")
@with_appcontext
def command(
    slug: str, keyword: str | None, kind: str | None, language: str | None, output: Path
) -> None:
    """Write a QR code that opens a phone's message app with a keyword to our number.

    svg and png hold the code alone; print beside it what the html page says. The html page is
    one file to print, and the same as /w/KEY/poster.
    """
    need_tables()
    kind = kind or output.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise click.ClickException(f"Say --format {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    place = _place(slug)
    try:
        word = poster.word(keyword, place)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    match kind:
        case "svg":
            made = poster.svg(word)
        case "png":
            made = poster.png(word)
        case _:
            made = poster.html(place, word, language or place.language)
    try:
        output.write_bytes(made)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
    _say(place, word, output)


def _place(slug: str) -> sites.Place:
    try:
        site = sites.by_slug(slug)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    place = sites.find(site.key, now=clock.now())
    if place is None:
        raise click.ClickException(
            f"The site {slug} is disabled. Run `prefcenter site enable {slug}` first."
        )
    return place


def _say(place: sites.Place, word: str, output: Path) -> None:
    click.echo(f"Wrote {output}: text {word} to {config.current().senders[0]}.")
    own = inbound.word_of(place.slug)
    if own == word == inbound.JOIN:
        click.echo(
            f"A text with {place.slug} in it means something already, so the proof of whoever"
            " texts this word names no site.",
            err=True,
        )
    asked = {kind.slug for kind in poster.kinds(word)}
    if asked != set(sites.offered(place)):
        slugs = "+".join(sites.offered(place))
        better = f"{config.PREFIX}KEYWORDS=WORD={slugs}, then --keyword WORD, does"
        click.echo(
            f"{word} asks for {', '.join(sorted(asked))}, which is not what the site offers."
            f" {better if own == inbound.JOIN else f'{own} does'}.",
            err=True,
        )
