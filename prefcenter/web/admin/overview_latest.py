"""The newest changes, for the overview."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from prefcenter.consent import catalog, sites
from prefcenter.models import ConsentEvent, Person
from prefcenter.upkeep import event_words
from prefcenter.upkeep.event_words import Words

_MOST = 10
_e, _p = ConsentEvent.__table__.c, Person.__table__.c
_NEWEST = (
    sa.select(
        *(_e.at, _e.kind, _e.action, _e.source, _e.source_detail, _e.changes),
        *(_e.language, _p.public_id, _p.number),
    )
    .join(Person.__table__, _p.id == _e.person_id)
    .order_by(_e.id.desc())
    .limit(_MOST)
)


@dataclass(frozen=True, slots=True)
class Latest:
    """One change, as a line of the table."""

    at: datetime
    public_id: str
    number: str | None
    words: Words
    through: str


def newest(connection: sa.Connection) -> list[Latest]:
    """The ten newest events, newest first."""
    kinds = {kind.slug: kind.name for kind in catalog.every()}
    places = {site.slug: site.name for site in sites.every()}
    return [
        Latest(
            at=row.at,
            public_id=row.public_id,
            number=row.number,
            words=event_words.describe(row, kinds),
            through=event_words.through(row, places),
        )
        for row in connection.execute(_NEWEST)
    ]
