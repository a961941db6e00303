"""`prefcenter webhook`: programs of yours that are told when somebody's consent changes."""

import json
from datetime import datetime
from typing import Any

import click
from flask.cli import AppGroup

from prefcenter import clock
from prefcenter.cli_common import caller, example, need_tables
from prefcenter.database import db, writing
from prefcenter.models_webhooks import EndpointEnd, WebhookEndpoint
from prefcenter.staff import activity
from prefcenter.upkeep import endpoints, notice_outcomes, notice_standing, webhook_keys
from prefcenter.upkeep.endpoints import EndpointError
from prefcenter.upkeep.notice_standing import Standing

group = AppGroup("webhook", help="Programs that are told when somebody's consent changes.")


@group.command("add")
@click.argument("url")
@example("umask 077; prefcenter webhook add https://crm.example.com/hooks/consent > crm.secret")
def add(url: str) -> None:
    """Tell this address of every change from now on; print its secret, this once.

    The secret goes to standard output and everything else to standard error. What is told and
    how to check it is in docs/webhooks.md.
    """
    need_tables()
    try:
        endpoints.check(url)
        after = endpoints.newest_event()
        with writing():
            endpoint, secret = endpoints.add(url, after=after, now=clock.now())
            _log("webhook_added", endpoint)
            db.session.commit()
    except EndpointError as error:
        raise click.ClickException(str(error)) from error
    click.echo(secret)
    click.echo(f"Its id is {endpoint.public_id}. Keep the secret: it is not shown again.", err=True)


@group.command("list")
@click.option("--json", "as_json", is_flag=True)
@example("prefcenter webhook list")
def list_endpoints(as_json: bool) -> None:
    """Show the addresses, how far each is behind and what it never took."""
    need_tables()
    found = notice_standing.every()
    if as_json:
        click.echo(json.dumps([_row(one) for one in found]))
        return
    for one in found:
        click.echo(f"{one.endpoint.public_id} {one.endpoint.url}: {_state(one)}")
    if not found:
        click.echo("There is no webhook.")


@group.command("disable")
@click.argument("id_", metavar="ID")
@example("prefcenter webhook disable 0aH-Xn2V4mTzq8yKc1LrWg")
def disable(id_: str) -> None:
    """Tell an address nothing more. What it was not told is kept, for when it is enabled."""
    need_tables()
    with writing():
        endpoint = _found(id_)
        ended = endpoints.disable(endpoint, EndpointEnd.OWNER, now=clock.now())
        if ended:
            _log("webhook_disabled", endpoint)
        db.session.commit()
    click.echo(f"Disabled {id_}." if ended else f"{id_} was disabled before.")


@group.command("enable")
@click.argument("id_", metavar="ID")
@example("prefcenter webhook enable 0aH-Xn2V4mTzq8yKc1LrWg")
def enable(id_: str) -> None:
    """Tell an address again, from where it stopped, in the order in which things happened."""
    need_tables()
    try:
        with writing():
            endpoint = _found(id_)
            begun = endpoints.enable(endpoint, now=clock.now())
            if begun:
                _log("webhook_enabled", endpoint)
            db.session.commit()
    except EndpointError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Enabled {id_}." if begun else f"{id_} is enabled already.")


@group.command("rotate")
@click.argument("id_", metavar="ID")
@example("umask 077; prefcenter webhook rotate 0aH-Xn2V4mTzq8yKc1LrWg > crm.secret")
def rotate(id_: str) -> None:
    """Make a new secret and print it, this once. For 24 hours the old one signs beside it."""
    need_tables()
    with writing():
        endpoint = _found(id_)
        secret = endpoints.rotate(endpoint, now=clock.now())
        _log("webhook_rotated", endpoint)
        db.session.commit()
    click.echo(secret)
    click.echo("Both secrets sign for 24 hours; give the program this one meanwhile.", err=True)


@group.command("replay")
@click.argument("event", required=False, metavar="[EVENT]")
@click.option("--dead", is_flag=True, help="All that was given up.")
@click.option("--to", "id_", metavar="ID", help="Only to this webhook, not to all.")
@example("prefcenter webhook replay --dead")
def replay(event: str | None, dead: bool, id_: str | None) -> None:
    """Tell what was given up, or one event, once more. EVENT is a webhook-id.

    It comes late: a receiver compares `seq` with what it has of that person.
    """
    need_tables()
    if dead == bool(event):
        raise click.UsageError("Give the id of one event, or --dead.")
    now, count, off = clock.now(), 0, list[str]()
    with writing():
        for endpoint in [_found(id_)] if id_ else endpoints.every():
            again = _again(endpoint, event, now)
            if again:
                details = {"notices": again}
                _log("webhook_replayed", endpoint, details)
                if endpoint.disabled_at is not None:
                    off.append(endpoint.public_id)
            count += again
        endpoints.end_alarm()
        db.session.commit()
    if event and not count:
        raise click.ClickException(f"There is no event {event} that an enabled webhook is told.")
    click.echo(f"{count} are told again." if count != 1 else "1 is told again.")
    for public_id in off:
        click.echo(f"{public_id} is disabled: it is told its own once it is enabled.", err=True)


@group.command("test")
@click.argument("id_", metavar="ID")
@example("prefcenter webhook test 0aH-Xn2V4mTzq8yKc1LrWg")
def test(id_: str) -> None:
    """Send a `webhook.ping` now and say what came back. Exit 1 when it was not taken."""
    need_tables()
    endpoint = _found(id_)
    url, keys = endpoint.url, webhook_keys.keys_of(endpoint, now=clock.now())
    db.session.rollback()
    answer = endpoints.ping(url, keys, now=clock.now())
    if not answer.taken:
        raise click.ClickException(answer.error)
    click.echo(f"It answered {answer.status}.")


def _again(endpoint: WebhookEndpoint, event: str | None, now: datetime) -> int:
    if event is None:
        return notice_outcomes.replay(endpoint.id, None, now=now)
    if endpoint.disabled_at is not None:
        return 0
    return int(notice_outcomes.tell_again(endpoint.id, event, now=now))


def _found(id_: str) -> WebhookEndpoint:
    endpoint = endpoints.find(id_)
    if endpoint is None:
        raise click.ClickException(f"There is no webhook {id_}; see `prefcenter webhook list`.")
    return endpoint


def _log(action: str, endpoint: WebhookEndpoint, more: dict[str, Any] | None = None) -> None:
    details = {"host": endpoints.host_of(endpoint)} | (more or {})
    activity.record(
        *(caller(), action), subject=endpoint.public_id, details=details, now=clock.now()
    )


def _state(one: Standing) -> str:
    found = one.endpoint
    most = one.waiting >= notice_standing.MOST_COUNTED
    parts = [f"{one.waiting}{' or more' if most else ''} waiting", f"{one.dead} dead"]
    if found.disabled_at:
        why = {"owner": "by you", "gone": "it answered 410", "failing": "it failed for days"}
        parts.insert(
            0, f"disabled {found.disabled_at:%Y-%m-%d}, {why[found.disabled_why or 'owner']}"
        )
    if found.last_error:
        parts.append(found.last_error)
    return ", ".join(parts)


def _row(one: Standing) -> dict[str, object]:
    found = one.endpoint
    moments = {
        "created_at": found.created_at,
        "taken_at": found.taken_at,
        "oldest_waiting": one.oldest,
        "rests_until": found.rests_until,
        "disabled_at": found.disabled_at,
    }
    return {
        "id": found.public_id,
        "url": found.url,
        "waiting": one.waiting,
        "dead": one.dead,
        "failures": found.failures,
        "last_error": found.last_error,
        "disabled_why": found.disabled_why,
        **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
    }
