"""`prefcenter review` and `prefcenter unreadable`: what came in and waits for a person.

What strangers wrote is shown without characters that could steer a terminal.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import click
import sqlalchemy as sa
from flask.cli import AppGroup

from prefcenter import clock, config
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.consent import reviews
from prefcenter.database import db, writing
from prefcenter.models import Inbound, Review, ReviewReason, Unreadable
from prefcenter.phone import mask, mask_numbers
from prefcenter.sms import alarms
from prefcenter.staff import activity

review_group = AppGroup("review", help="Texts that a person should read.")
unreadable_group = AppGroup("unreadable", help="Webhooks that were kept because they say nothing.")

REASONS: Mapping[ReviewReason, str] = MappingProxyType(
    {
        ReviewReason.LIKELY_REFUSAL: "likely a refusal, so all texts stopped; was it meant so?",
        ReviewReason.MENTIONS_STOP: "nothing stopped, though a stop word stands in it",
        ReviewReason.DOUBTFUL_START: "a START whose time cannot be believed, so nothing started",
    }
)
_LONGEST = 500
_LONGEST_ID = 2**63 - 1
_ODD_ID = {"ignore_unknown_options": True}  # an id may begin with a dash, and is no option then


@review_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter review list")
def list_reviews(as_json: bool) -> None:
    """Show the texts that wait for a person, the first due first."""
    need_tables()
    rows = [
        {
            "id": review.public_id,
            "due_on": review.due_on.isoformat(),
            "reason": review.reason.value,
            "reason_in_words": REASONS[review.reason],
            "number": mask(text.number),
            "received_at": text.received_at.isoformat(timespec="minutes"),
            "text": _safe(text.text),
        }
        for review, text in reviews.waiting(reviews.open_count())
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['id']}: due {row['due_on']}, {row['reason_in_words']}")
        click.echo(f"    {row['received_at']} from {row['number']}: {row['text']}")
    if not rows:
        click.echo("There is no text to read.")


@review_group.command("close", context_settings=_ODD_ID)
@click.argument("public_id", metavar="ID")
@click.option("--by", required=True, help="Who has read it.")
@click.option("--note", required=True, help="What was done.")
@example(
    'prefcenter review close 5vJq0hT3xW9bYc2LmKe7Rg --by Dana --note "She was stopped before."'
)
def close_review(public_id: str, by: str, note: str) -> None:
    """Say who has read a text and what was done; kept with it. It stops nobody and brings nobody
    back: for that, decide at /admin/review."""
    need_tables()
    with writing():
        now, why = clock.now(), mask_numbers(note, config.current().countries, _number(public_id))
        try:
            closed = reviews.close(public_id, by, why, now)
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        if closed:
            details = {"decision": "read", "by": by}
            activity.record(caller(), "review_closed", subject=public_id, details=details, now=now)
        db.session.commit()
    if not closed:
        raise click.ClickException(f"There is no open review {public_id}.")
    click.echo(f"Closed {public_id}.")


@unreadable_group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter unreadable list")
def list_unreadable(as_json: bool) -> None:
    """Show what nobody has seen yet: first what means a fault, then the oldest."""
    need_tables()
    rows = [
        {
            "id": row.id,
            "door": row.door,
            "reason": row.reason,
            "received_at": row.received_at.isoformat(timespec="minutes"),
            "body": _cut(_safe(row.start.decode("utf-8", "replace"))),
        }
        for row in db.session.execute(_unseen())
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['id']}: {row['door']}, {row['received_at']}, {row['reason']}")
        click.echo(f"    {row['body']}")
    if not rows:
        click.echo("There is no webhook that nobody has seen.")


@unreadable_group.command("seen")
@click.argument("unreadable_id", metavar="ID", type=click.IntRange(1, _LONGEST_ID))
@example("prefcenter unreadable seen 12")
def see_unreadable(unreadable_id: int) -> None:
    """Say that somebody has read one; with the last that means a fault the alarm ends."""
    need_tables()
    with writing():
        marked = alarms.seen(unreadable_id, now=clock.now())
        db.session.commit()
    if not marked:
        raise click.ClickException(f"There is no webhook {unreadable_id} that nobody has seen.")
    click.echo(f"Seen {unreadable_id}.")


def _number(public_id: str) -> str | None:
    """Whose text it is, to be masked in what is noted about it."""
    query = sa.select(Inbound.number).join(Review, Review.inbound_id == Inbound.id)
    return db.session.scalar(query.where(Review.public_id == public_id))


def _unseen() -> sa.Select[int, str, str, datetime, bytes]:
    """Of each only the start: there may be thousands, with 64 KiB each."""
    start = sa.func.substr(Unreadable.body, 1, 4 * _LONGEST + 4, type_=sa.LargeBinary)
    faults_first = sa.case((Unreadable.reason.in_(alarms.FAULTY), 0), else_=1)
    columns = (Unreadable.id, Unreadable.door, Unreadable.reason, Unreadable.received_at)
    query = sa.select(*columns, start.label("start")).where(Unreadable.seen_at.is_(None))
    return query.order_by(faults_first, Unreadable.id)


def _safe(text: str) -> str:
    """Text on one line, as it may stand in a terminal: what cannot be seen is spelt out."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
