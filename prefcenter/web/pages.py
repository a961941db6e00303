"""What the customer pages show, read straight from the database.

These reads are the hot path: two prepared Core statements, no ORM (PERFORMANCE: 0.58 of a
bare page against 0.24 with the ORM).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from flask_babel import get_locale

from prefcenter import config, links
from prefcenter.consent import limits
from prefcenter.consent.ledger import wording_sha256
from prefcenter.consent.preferences import may_undo
from prefcenter.consent_texts import Kind, consent_text
from prefcenter.database import db
from prefcenter.links import BadLink, Link, Purpose
from prefcenter.models import Category, Person, PersonCategory, Source, Status
from prefcenter.phone import last4
from prefcenter.web.errors import TooMany
from prefcenter.web.filters import frequency_label

LANGUAGE_NAMES = {"en": "English", "es": "Español"}
_CONFIRMED_NOTE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class CategoryRow:
    slug: str
    name: str
    description: str
    ticked: bool
    age_gate: int | None


@dataclass(frozen=True, slots=True)
class Choice:
    value: str
    label: str
    ticked: bool


@dataclass(frozen=True, slots=True)
class Urls:
    """Where each button of a link's page posts; plain paths."""

    preferences: str
    save: str
    stop: str
    pause: str
    resume: str
    start: str
    not_mine: str
    unsubscribe: str


@dataclass(frozen=True, slots=True)
class PreferencesPage:
    """`state`: on, paused, off_button (undo is open), off (text START), off_stop (STOP by text)."""

    state: str
    last4: str
    since: datetime | None
    paused_until: date | None
    categories: list[CategoryRow]
    frequencies: list[Choice]
    languages: list[Choice]
    version: int
    note: str | None
    error: str | None
    consent_text: str
    text_version: str
    summary_frequency: str
    urls: Urls


@dataclass(frozen=True, slots=True)
class Seen:
    """A person as their link's page needs them: the row, their categories, the link."""

    row: Any
    categories: list[CategoryRow]
    link: Link


_PERSON = sa.select(
    Person.id,
    Person.link_id,
    Person.number,
    Person.language,
    Person.zone,
    Person.status,
    Person.frequency,
    Person.paused_until,
    Person.requested,
    Person.request_expires_at,
    Person.confirmed_at,
    Person.opted_out_at,
    Person.opt_out_source,
    Person.undo_link,
    Person.reassigned_at,
    Person.ledger_seq,
).where(Person.link_id == sa.bindparam("link_id"))
_OFFERED = (
    sa.select(
        Category.slug,
        Category.name,
        Category.description,
        Category.translations,
        Category.age_gate,
        PersonCategory.person_id.label("taken_by"),
    )
    .outerjoin(
        PersonCategory,
        (PersonCategory.category_id == Category.id)
        & (PersonCategory.person_id == sa.bindparam("person_id")),
    )
    .where(Category.public, Category.retired_at.is_(None))
    .order_by(Category.position, Category.id)
)


def find(link: Link) -> Any:
    """The person that a genuine link names. Raises BadLink for unknown and erased."""
    row = db.session.execute(_PERSON, {"link_id": link.link_id}).one_or_none()
    if row is None or row.status is Status.REDACTED:
        raise BadLink
    return row


def see(row: Any, link: Link) -> Seen:
    return Seen(row, offered(person_id=row.id), link)


def offered(*, person_id: int = 0, ticked: set[str] | None = None) -> list[CategoryRow]:
    """The public categories, ticked as a person takes them or as `ticked` says."""
    language = str(get_locale())
    found = []
    for row in db.session.execute(_OFFERED, {"person_id": person_id}):
        words = row.translations.get(language, {})
        found.append(
            CategoryRow(
                slug=row.slug,
                name=words.get("name") or row.name,
                description=words.get("description") or row.description,
                ticked=row.slug in ticked if ticked is not None else row.taken_by is not None,
                age_gate=row.age_gate,
            )
        )
    return found


def urls(base: str, token: str) -> Urls:
    """`base` is /p/ or /u/."""
    own = f"{base}{token}"
    low = base == links.PATHS[Purpose.UNSUBSCRIBE]
    return Urls(
        preferences=own,
        save=f"{own}/fewer" if low else own,
        stop=f"{own}/stop",
        pause=f"{own}/pause",
        resume=f"{own}/resume",
        start=f"{own}/start",
        not_mine=f"{own}/not-mine",
        unsubscribe=own if low else f"{own}/stop",
    )


def preferences(
    seen: Seen, base: str, *, note: str | None = None, error: str | None = None, now: datetime
) -> PreferencesPage:
    """The page for a subscribed or unsubscribed person."""
    row, settings = seen.row, config.current()
    state = _state(row, seen.link, now)
    zone = ZoneInfo(row.zone) if row.zone else UTC
    since = row.confirmed_at if state in ("on", "paused") else row.opted_out_at
    text = shown_text("restart") if state == "off_button" else ""
    frequencies = list(settings.frequencies)
    if row.frequency not in frequencies:
        frequencies.append(row.frequency)
    return PreferencesPage(
        state=state,
        last4=last4(row.number),
        since=since.astimezone(zone) if since else None,
        paused_until=row.paused_until.astimezone(zone).date() if state == "paused" else None,
        categories=seen.categories if error is None else _unticked(seen.categories),
        frequencies=[Choice(f, frequency_label(f), f == row.frequency) for f in frequencies],
        languages=[
            Choice(code, LANGUAGE_NAMES[code], code == row.language) for code in config.LANGUAGES
        ],
        version=row.ledger_seq,
        note=_believable(note, state, row, now),
        error=error,
        consent_text=text,
        text_version=text_version(text) if text else "",
        summary_frequency=row.frequency,
        urls=urls(base, seen.link.token),
    )


def shown_text(kind: Kind) -> str:
    """A consent text in the page's language."""
    settings = config.current()
    return consent_text(kind, settings.brand, settings.texts_per_month)


def text_version(text: str) -> str:
    """Names a shown text in a form: the first 16 digits of its SHA-256."""
    return wording_sha256(text)[:16]


def _state(row: Any, link: Link, now: datetime) -> str:
    if row.status is Status.SUBSCRIBED:
        return "paused" if row.paused_until and row.paused_until > now else "on"
    if row.opt_out_source is not Source.PREFERENCE_PAGE:
        return "off_stop" if row.opt_out_source in (Source.SMS, Source.PROVIDER) else "off"
    return "off_button" if may_undo(row, link, now=now) else "off"


def _believable(note: str | None, state: str, row: Any, now: datetime) -> str | None:
    """A note asked for in the address, but only where it is true."""
    recently = row.confirmed_at is not None and now - row.confirmed_at < _CONFIRMED_NOTE
    true = {
        "saved": state in ("on", "paused"),
        "stale": state in ("on", "paused"),
        "paused": state == "paused",
        "resumed": state == "on",
        "stopped": state in ("off", "off_button"),
        "kept_stop": state not in ("on", "paused"),
        "confirmed": state == "on" and recently,
        "started": state == "on" and recently,
    }
    return note if note and true.get(note, False) else None


def _unticked(categories: list[CategoryRow]) -> list[CategoryRow]:
    return [CategoryRow(c.slug, c.name, c.description, False, c.age_gate) for c in categories]


def view(**values: object) -> SimpleNamespace:
    """Values for one template, read there with a dot."""
    return SimpleNamespace(**values)


def count_use(person_public_id: str, *, now: datetime) -> None:
    """Count a save or a new link; stop, pause and resume are never counted.

    Raises TooMany once one person's links were used SAVES_PER_HOUR times in this hour.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    if not limits.take("save/hour", person_public_id, hour, config.current().saves_per_hour):
        raise TooMany(60 - now.minute)
