"""The words of a text for one person: template, brand, their link, what is set."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from prefcenter import config, links
from prefcenter.database import db, execute
from prefcenter.links import Purpose
from prefcenter.models import Category, Person, PersonCategory, TextKind
from prefcenter.sms import own_texts, wording

_LINKS = {
    TextKind.CONFIRM_REQUEST: Purpose.CONFIRM,
    TextKind.WELCOME: Purpose.MANAGE,
    TextKind.CHANGED: Purpose.MANAGE,
    TextKind.ALREADY_SUBSCRIBED: Purpose.MANAGE,
    TextKind.NEW_LINK: Purpose.MANAGE,
}

_TOKEN = "k3v7q2mxw5bzt4hy6rjd2fcp7ngs5la"  # looks like one, and opens nothing
_PAUSE = timedelta(days=30)
_NAMES_CATEGORIES = (TextKind.WELCOME, TextKind.CHANGED, TextKind.PREFERENCES)
_kinds, _taken = Category.__table__, PersonCategory.__table__
_NAMES = (
    sa.select(_kinds.c.name, _kinds.c.translations)
    .join(_taken, _taken.c.category_id == _kinds.c.id)
    .where(
        _taken.c.person_id == sa.bindparam("person"), _kinds.c.public, _kinds.c.retired_at.is_(None)
    )
    .order_by(_kinds.c.position)
)
_OFFERED = (
    sa.select(Category)
    .where(Category.public, Category.retired_at.is_(None))
    .order_by(Category.position, Category.id)
    .limit(2)
)


def _names(person: Person) -> list[str]:
    """What the person takes, by name, in their language."""
    rows = execute(_NAMES, {"person": person.id})
    return [row.translations.get(person.language, {}).get("name") or row.name for row in rows]


def body(
    kind: TextKind,
    person: Person,
    *,
    now: datetime,
    options: Sequence[str] = (),
    frequency: str | None = None,
) -> str:
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
        frequency=frequency or person.frequency,
        texts_per_month=settings.texts_per_month,
        categories=_names(person) if kind in _NAMES_CATEGORIES else (),
        until=_day(person),
        options=options,
        commands=[word.lower() for word in settings.text_commands],
        template=own_texts.template(kind, person.language),
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
        template=own_texts.template(kind, language),
    )


def example(kind: TextKind, language: str, template: str, *, now: datetime) -> str:
    """A template as somebody would get it: our brand, a link as long as all are, and what a
    person with no limit of their own takes who ticked the first two kinds of text."""
    settings = config.current()
    names = [row.text("name", language) for row in db.session.scalars(_OFFERED)]
    return wording.render(
        kind,
        locale=language,
        brand=settings.brand,
        link=settings.public_url + links.PATHS[_LINKS.get(kind, Purpose.MANAGE)] + _TOKEN,
        support=settings.support,
        texts_per_month=settings.texts_per_month,
        categories=names if kind in _NAMES_CATEGORIES else (),
        until=(now + _PAUSE).date(),
        options=names,
        commands=[word.lower() for word in settings.text_commands],
        template=template,
    )


def _day(person: Person) -> date | None:
    """The day on which a pause ends, as the person's own calendar has it."""
    if person.paused_until is None:
        return None
    return person.paused_until.astimezone(ZoneInfo(person.zone) if person.zone else UTC).date()
