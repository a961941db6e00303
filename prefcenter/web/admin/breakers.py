"""Open breakers as pages for staff show them (SEC-30)."""

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _

from prefcenter.consent import breaker, sites
from prefcenter.models import Breaker, BreakerScope
from prefcenter.web.admin import theme


@dataclass(frozen=True, slots=True)
class Stop:
    """A breaker that is open; `where` says in words what it stops."""

    id: int
    where: str
    tripped_at: datetime
    until: datetime


def open_ones(*, site: str = "", now: datetime) -> list[Stop]:
    """All of them, newest first, or those of one site."""
    names = {one.slug: one.name for one in sites.every()}
    return [
        Stop(row.id, _where(row, names), row.tripped_at, row.until)
        for row in breaker.open_now(now=now)
        if not site or (row.scope is BreakerScope.SITE and row.key == site)
    ]


def _where(row: Breaker, names: dict[str, str]) -> str:
    words = row.label  # a block of numbers, masked when it was written
    if row.scope is BreakerScope.SITE:
        words = _("people who sign up on %(site)s", site=names.get(row.key, row.key))
    if row.scope is BreakerScope.COUNTRY:
        words = _("numbers in %(country)s", country=theme.country(row.key))
    return words
