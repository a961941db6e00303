"""The owner's addresses that are told about changes: added, stopped, started again, tried.

What they are told and when is in notices.py.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import sqlalchemy as sa

from prefcenter import config
from prefcenter.database import db, hold, is_public_id, new_public_id
from prefcenter.models_webhooks import EndpointEnd, ParkedNotice, WebhookEndpoint
from prefcenter.sms import alarms, posting
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import settled, webhook_keys

MOST = 10  # that are told at the same time, each in a thread of its own
OLD_SECRET_FOR = timedelta(hours=24)
PING = "webhook.ping"
_NO_KEY = Answer(error="Its secret cannot be read, because its SECRET_KEY is gone: rotate it.")
_ENDPOINTS = "webhook endpoints"


class EndpointError(ValueError):
    """This cannot be done, as a sentence; `reason` is a word for pages in other languages."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


def local_allowed() -> bool:
    """This machine may be told in development, where no text leaves it either."""
    settings = config.current()
    return settings.development and settings.sms_backend == "console"


def check(url: str) -> None:
    """Raises EndpointError for an address that may not be told. Asks the name service, so do it
    before a write begins."""
    try:
        posting.target_of(url, local=local_allowed())
    except posting.RefusedAddress as error:
        raise EndpointError(error.reason, str(error)) from error


def newest_event() -> int:
    """Where a new endpoint begins: after this event. Ask before a write begins."""
    for _try in range(4):
        found = settled.tops()
        if found is not None:
            return found[0]
    raise EndpointError("busy", "The database is busy; try again in a moment.")


def add(url: str, *, after: int, now: datetime) -> tuple[WebhookEndpoint, str]:
    """Tell this address of every event after that one; gives its secret, which is shown once.

    Raises EndpointError. Never commits.
    """
    hold(_ENDPOINTS)  # of two who add the same at once, the second reads that it is there
    active = list(db.session.scalars(sa.select(WebhookEndpoint).where(_active())))
    if any(one.url == url for one in active):
        raise EndpointError("twice", "There is one for this address already.")
    if len(active) >= MOST:
        raise EndpointError("many", f"There are {MOST} already; disable one first.")
    secret = webhook_keys.new_secret()
    endpoint = WebhookEndpoint(
        public_id=new_public_id(),
        url=url,
        secret=webhook_keys.sealed(secret),
        told_event_id=after,
        created_at=now,
        failures=0,
        last_error="",
    )
    db.session.add(endpoint)
    db.session.flush()
    return endpoint, secret


def every() -> list[WebhookEndpoint]:
    """All of them, also disabled ones, the oldest first."""
    query = sa.select(WebhookEndpoint).order_by(WebhookEndpoint.created_at, WebhookEndpoint.id)
    return list(db.session.scalars(query))


def find(public_id: str) -> WebhookEndpoint | None:
    if not is_public_id(public_id):
        return None
    query = sa.select(WebhookEndpoint).where(WebhookEndpoint.public_id == public_id)
    return db.session.scalar(query)


def host_of(endpoint: WebhookEndpoint) -> str:
    """As logs may name it: the rest of an address may be a secret of the receiver's."""
    return urlsplit(endpoint.url).hostname or ""


def disable(endpoint: WebhookEndpoint, why: EndpointEnd, *, now: datetime) -> bool:
    """Tell it nothing more; False when that was so before. What waits is kept. Never commits."""
    if endpoint.disabled_at is not None:
        return False
    endpoint.disabled_at, endpoint.disabled_why = now, why
    db.session.flush()
    return True


def enable(endpoint: WebhookEndpoint, *, now: datetime) -> bool:
    """Tell it again all that it missed, also what was given up since it took nothing; False when
    it is told already.

    Raises EndpointError where there are too many. Never commits.
    """
    if endpoint.disabled_at is None:
        return False
    hold(_ENDPOINTS)
    active = db.session.scalar(
        sa.select(sa.func.count()).select_from(WebhookEndpoint).where(_active())
    )
    if (active or 0) >= MOST:
        raise EndpointError("many", f"There are {MOST} already; disable one first.")
    since = endpoint.failing_since or now
    endpoint.disabled_at = endpoint.disabled_why = endpoint.rests_until = None
    endpoint.failures, endpoint.failing_since, endpoint.last_error = 0, None, ""
    db.session.flush()  # the endpoint's row first, as whoever tells it does
    _begin_anew(endpoint, since, now)
    end_alarm()
    return True


def _begin_anew(endpoint: WebhookEndpoint, since: datetime, now: datetime) -> None:
    """What waits, and what was given up since then, gets all its days and tries once more."""
    tried = sa.and_(ParkedNotice.dead_at.is_(None), ParkedNotice.due_at.is_not(None))
    died = ParkedNotice.dead_at >= since
    again = sa.update(ParkedNotice).where(
        ParkedNotice.endpoint_id == endpoint.id, sa.or_(tried, died)
    )
    fresh = {"dead_at": None, "due_at": now, "parked_at": now, "attempts": 0}
    db.session.execute(again.values(fresh))


def rotate(endpoint: WebhookEndpoint, *, now: datetime) -> str:
    """A new secret; for a day the old one signs beside it, so that no notice is refused
    meanwhile. Never commits."""
    secret = webhook_keys.new_secret()
    endpoint.old_secret, endpoint.old_secret_until = endpoint.secret, now + OLD_SECRET_FOR
    endpoint.secret = webhook_keys.sealed(secret)
    db.session.flush()
    return secret


def end_alarm() -> None:
    """Once nothing is dead and nothing stopped by itself, there is nothing to look at.

    Never commits.
    """
    dead = sa.exists().where(ParkedNotice.dead_at.is_not(None))
    stopped = sa.exists().where(
        WebhookEndpoint.disabled_why.in_((EndpointEnd.GONE, EndpointEnd.FAILING))
    )
    if not db.session.scalar(sa.select(sa.or_(dead, stopped))):
        alarms.end(alarms.NOTICES)


def ping(url: str, keys: Sequence[bytes], *, now: datetime) -> Answer:
    """Tell it something that is no event, so that its owner sees whether it arrives."""
    moment = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = json.dumps({"type": PING, "timestamp": moment, "data": {}}).encode()
    return post(url, new_public_id(), body, keys, now=now)


def post(url: str, webhook_id: str, body: bytes, keys: Sequence[bytes], *, now: datetime) -> Answer:
    """One POST, signed at this moment; never one that is not signed."""
    if not keys:
        return _NO_KEY
    headers = webhook_keys.headers_of(webhook_id, body, keys, now=now)
    return posting.post(url, body, headers, local=local_allowed())


def reseal() -> None:
    """Close every secret with the newest SECRET_KEY, so that an older one can be taken away.

    Never commits.
    """
    locked = sa.select(WebhookEndpoint).order_by(WebhookEndpoint.id).with_for_update()
    for endpoint in db.session.scalars(locked):  # else it could put a rotated one back
        endpoint.secret = webhook_keys.resealed(endpoint.secret)
        if endpoint.old_secret:
            endpoint.old_secret = webhook_keys.resealed(endpoint.old_secret)
    db.session.flush()


def stale_seals() -> bool:
    """True where `reseal` has something to do. Only reads."""
    kept = [secret for one in every() for secret in (one.secret, one.old_secret) if secret]
    return not all(webhook_keys.is_newest(secret) for secret in kept)


def _active() -> sa.ColumnElement[bool]:
    return WebhookEndpoint.disabled_at.is_(None)
