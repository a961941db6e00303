"""The words of a text for one person: template, brand, their link, what is set."""

from datetime import datetime

from prefcenter import config, links
from prefcenter.links import Purpose
from prefcenter.models import Person, TextKind
from prefcenter.sms import wording

_LINKS = {
    TextKind.CONFIRM_REQUEST: Purpose.CONFIRM,
    TextKind.WELCOME: Purpose.MANAGE,
    TextKind.CHANGED: Purpose.MANAGE,
    TextKind.ALREADY_SUBSCRIBED: Purpose.MANAGE,
    TextKind.NEW_LINK: Purpose.MANAGE,
}


def body(kind: TextKind, person: Person, *, now: datetime) -> str:
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
        categories=[c.text("name", person.language) for c in person.categories if c.public],
    )
