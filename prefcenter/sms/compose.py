"""The words of a text for one person: template, brand, their link, what is set."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter import config, links
from prefcenter.database import execute
from prefcenter.links import Purpose
from prefcenter.models import Category, Person, PersonCategory, TextKind
from prefcenter.sms import wording

_LINKS = {
    TextKind.CONFIRM_REQUEST: Purpose.CONFIRM,
    TextKind.WELCOME: Purpose.MANAGE,
    TextKind.CHANGED: Purpose.MANAGE,
    TextKind.ALREADY_SUBSCRIBED: Purpose.MANAGE,
    TextKind.NEW_LINK: Purpose.MANAGE,
}


_NAMES_CATEGORIES = (TextKind.WELCOME, TextKind.CHANGED, TextKind.PREFERENCES)
_kinds, _taken = Category.__table__, PersonCategory.__table__
_NAMES = (
    sa.select(_kinds.c.name, _kinds.c.translations)
    .join(_taken, _taken.c.category_id == _kinds.c.id)
    .where(_taken.c.person_id == sa.bindparam("person"), _kinds.c.public)
    .order_by(_kinds.c.position)
)


def _names(person: Person) -> list[str]:
    """What the person takes, by name, in their language."""
    rows = execute(_NAMES, {"person": person.id})
    return [row.translations.get(person.language, {}).get("name") or row.name for row in rows]


def body(kind: TextKind, person: Person, *, now: datetime, options: Sequence[str] = ()) -> str:
    """The text, in the person's language, with a link made now where the kind has one."""
    settings = config.current()
    purpose = _LINKS.get(kind)
    link = None
    if purpose:
        link = links.url(purpose, person.link_id, now=now, opted_out_at=person.opted_out_at)
    return wording.render(
        kind,
        locale=person.language,
        brand=settings.brand,
        link=link,
        support=settings.support,
        frequency=person.frequency,
        texts_per_month=settings.texts_per_month,
        categories=_names(person) if kind in _NAMES_CATEGORIES else (),
        until=_day(person),
        options=options,
        commands=[word.lower() for word in settings.text_commands],
    )


def to_stranger(kind: TextKind, language: str) -> str:
    """The text for somebody whom we do not know: no link, nothing of theirs."""
    settings = config.current()
    return wording.render(
        kind,
        locale=language,
        brand=settings.brand,
        support=settings.support,
        texts_per_month=settings.texts_per_month,
    )


def _day(person: Person) -> date | None:
    """The day on which a pause ends, as the person's own calendar has it."""
    if person.paused_until is None:
        return None
    return person.paused_until.astimezone(ZoneInfo(person.zone) if person.zone else UTC).date()
