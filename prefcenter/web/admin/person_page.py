"""What one person's page shows: their story in lines, and where they stand now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask_babel import get_locale

from prefcenter.consent import by_hand, catalog
from prefcenter.consent.by_hand import Sent
from prefcenter.database import read
from prefcenter.frequency_words import frequency_label
from prefcenter.models import Category, Person, Site, Status
from prefcenter.upkeep import story
from prefcenter.upkeep.story import Place, Wording
from prefcenter.web.admin import standing_words, story_lines, theme
from prefcenter.web.admin.story_lines import Line, Names
from prefcenter.web.pages import LANGUAGE_NAMES

_CATEGORIES = sa.select(Category.__table__.c.slug, Category.__table__.c.name)
_SITES = sa.select(Site.__table__.c.slug, Site.__table__.c.name)


@dataclass(frozen=True, slots=True)
class PersonPage:
    """`paused_until` only while it lasts; `consent` is the text that they agreed to last."""

    person: Person
    status: str
    status_kind: str
    arrives: str
    arrives_kind: str
    kinds: list[str]
    at_most: str
    language: str
    country: str
    paused_until: datetime | None
    consent: Wording | None
    changed_at: datetime | None
    events: int
    head: str
    may_link: bool
    may_correct: bool
    lines: list[Line]
    older: Place | None
    first: bool  # the newest part of the story is shown

    @property
    def erased(self) -> bool:
        return self.person.status is Status.REDACTED


def build(
    person: Person, events: Sequence[Any], after: Place | None, *, now: datetime
) -> PersonPage:
    part = story.page(person, events, after)
    names = _names()
    status, status_kind = standing_words.STATUSES[person.status]
    arrives, arrives_kind = standing_words.ARRIVES[person.deliverability]
    paused = person.paused_until if person.status is Status.SUBSCRIBED else None
    taken = catalog.taken(person.id)
    return PersonPage(
        person=person,
        status=str(status),
        status_kind=status_kind,
        arrives=str(arrives),
        arrives_kind=arrives_kind,
        kinds=[name for slug, name in names.categories.items() if slug in taken],
        at_most=_at_most(person.frequency),
        language=LANGUAGE_NAMES.get(person.language, person.language),
        country=theme.country(person.country) if get_locale() else person.country,
        paused_until=paused if paused and paused > now else None,
        consent=_consent(events),
        changed_at=events[-1].at if events else None,
        events=len(events),
        head=person.ledger_head,
        may_link=by_hand.link_state(person) is Sent.DONE,
        may_correct=bool(by_hand.corrections(person)),
        lines=[story_lines.line(entry, names) for entry in part.entries],
        older=part.older,
        first=after is None,
    )


def _names() -> Names:
    categories = {row.slug: row.name for row in read(_CATEGORIES, {})}
    return Names(categories, {row.slug: row.name for row in read(_SITES, {})})


def _consent(events: Sequence[Any]) -> Wording | None:
    """The text under the last yes that had one."""
    shown = [event.wording_sha256 for event in events if event.wording_sha256 and event.action]
    return story.wordings(shown[-1:]).get(shown[-1]) if shown else None


def _at_most(frequency: str) -> str:
    try:
        return frequency_label(frequency)
    except ValueError:
        return frequency
