"""How far each endpoint is behind, and what it never took. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter.database import db
from prefcenter.models import ConsentEvent, EventKind
from prefcenter.models_webhooks import EndpointEnd, ParkedNotice, WebhookEndpoint
from prefcenter.upkeep import endpoints
from prefcenter.upkeep.notice_bodies import TYPES

LATE = timedelta(minutes=15)
MOST_COUNTED = 10_000
SHOWN = 50
_e, _w, _n = (t.__table__.c for t in (ConsentEvent, WebhookEndpoint, ParkedNotice))


@dataclass(frozen=True, slots=True)
class Standing:
    """One endpoint and what waits for it. `waiting` is counted up to MOST_COUNTED."""

    endpoint: WebhookEndpoint
    waiting: int
    oldest: datetime | None  # of those that wait: when it happened
    dead: int

    @property
    def stopped(self) -> bool:
        """By itself, so that somebody should look."""
        return self.endpoint.disabled_why in (EndpointEnd.GONE, EndpointEnd.FAILING)

    @property
    def told(self) -> bool:
        return self.endpoint.disabled_at is None

    def late(self, now: datetime) -> bool:
        return self.told and self.oldest is not None and now - self.oldest > LATE


@dataclass(frozen=True, slots=True)
class Dead:
    """A notice that was given up."""

    event_id: int
    webhook_id: str
    kind: EventKind
    at: datetime
    attempts: int
    last_error: str
    dead_at: datetime


def every() -> list[Standing]:
    """Of all endpoints, the oldest first."""
    return [of(endpoint) for endpoint in endpoints.every()]


def of(endpoint: WebhookEndpoint) -> Standing:
    here = _n.endpoint_id == endpoint.id
    alive, dead = db.session.execute(
        sa.select(
            sa.func.count().filter(_n.dead_at.is_(None)),
            sa.func.count().filter(_n.dead_at.is_not(None)),
        ).where(here)
    ).one()
    behind = _behind(endpoint).with_only_columns(_e.id).limit(MOST_COUNTED).subquery()
    count = db.session.scalar(sa.select(sa.func.count()).select_from(behind)) or 0
    parked = (
        sa.select(_e.at)
        .join(ParkedNotice.__table__, _n.event_id == _e.id)
        .where(here, _n.dead_at.is_(None))
        .order_by(_n.event_id)
        .limit(1)
    )
    first = db.session.scalar(parked) if alive else None
    if first is None and count:
        first = db.session.scalar(_behind(endpoint).order_by(_e.id).limit(1))
    return Standing(endpoint, min(alive + count, MOST_COUNTED), first, dead)


def dead(endpoint: WebhookEndpoint) -> Sequence[Dead]:
    """What it never took, the newest first; at most SHOWN."""
    query = (
        sa.select(
            *(_n.event_id, _e.public_id.label("webhook_id"), _e.kind, _e.at),
            *(_n.attempts, _n.last_error, _n.dead_at),
        )
        .join(ConsentEvent.__table__, _e.id == _n.event_id)
        .where(_n.endpoint_id == endpoint.id, _n.dead_at.is_not(None))
        .order_by(_n.event_id.desc())
        .limit(SHOWN)
    )
    return [Dead(**row._mapping) for row in db.session.execute(query)]


def _behind(endpoint: WebhookEndpoint) -> sa.Select[Any]:
    return sa.select(_e.at).where(_e.id > endpoint.told_event_id, _e.kind.in_(list(TYPES)))
