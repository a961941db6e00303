"""Sites, the collection points: where people may sign up, and what is theirs (SEC-21).

A site is known by the key in its address. A key that was replaced works for a set time, so
that pages out there can follow; a disabled site's keys are unknown at once. A little long, because
a site's keys, state and waiting forms change together.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import catalog, site_values
from prefcenter.database import db, execute, hold, read
from prefcenter.models import (
    Ask,
    ConsentEvent,
    OutboxMessage,
    OutboxStatus,
    Person,
    Site,
    SiteKey,
    TextKind,
)
from prefcenter.sms import outbox

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,29}\Z")
_LONGEST_SLUG = 30
_KEY = re.compile(r"[a-z0-9-]{1,40}\Z")
_site, _former = Site.__table__.c, SiteKey.__table__.c
_FIND = sa.select(
    _site.slug,
    _site.key,
    _site.name,
    _site.origins,
    _site.about,
    _site.categories,
    _site.language,
    _site.country,
    _site.color,
    _site.color_dark,
    _site.logo_type,
).where(
    _site.disabled_at.is_(None),
    (_site.key == sa.bindparam("key"))
    | _site.id.in_(
        sa.select(_former.site_id).where(
            _former.key == sa.bindparam("key"), _former.until > sa.bindparam("now")
        )
    ),
)
_events = ConsentEvent.__table__.c
# By the newest request of each: what another site asked for since is that site's.
_WAITING = (
    sa.select(Person.number)
    .join(Ask, Ask.person_id == Person.id)
    .join(ConsentEvent.__table__, _events.public_id == Person.request_ref)
    .where(
        Ask.site == sa.bindparam("slug"),
        Ask.confirmed_at.is_(None),
        _events.source_detail == sa.bindparam("slug"),
        Person.number.is_not(None),
    )
)
_REMINDED = sa.select(OutboxMessage.to).where(
    OutboxMessage.status == OutboxStatus.QUEUED,
    OutboxMessage.kind == TextKind.ALREADY_SUBSCRIBED,
)
_ASKED_ON = (
    sa.select(_site.name)
    .join(ConsentEvent.__table__, _events.source_detail == _site.slug)
    .where(_events.public_id == sa.bindparam("ref"))
)
_NAMED = (
    sa.select(_site.slug, _site.language, _site.categories, _site.disabled_at)
    .where(sa.func.replace(_site.slug, "-", "") == sa.bindparam("word"))
    .limit(1)
)
_LOGO = sa.select(_site.logo, _site.logo_type).where(_site.slug == sa.bindparam("slug"))
_BUDGET = sa.select(_site.daily_budget, _site.disabled_at).where(_site.slug == sa.bindparam("slug"))


@dataclass(frozen=True, slots=True)
class Place:
    """An enabled site as its pages need it; `about` is what is texted, by language."""

    slug: str
    key: str
    name: str
    origins: tuple[str, ...]
    about: Mapping[str, str]
    categories: tuple[str, ...]
    language: str
    country: str
    color: str | None
    color_dark: str | None
    has_logo: bool

    def offers(self, slug: str) -> bool:
        """True for a category that people may sign up for there, where it is on offer at all."""
        return not self.categories or slug in self.categories


@dataclass(frozen=True, slots=True)
class Named:
    """A site that a text names."""

    slug: str
    language: str
    categories: tuple[str, ...]
    is_open: bool


def find(key: str, *, now: datetime) -> Place | None:
    """The enabled site that this key opens, also a former key while it lasts."""
    if not _KEY.match(key):
        return None  # no key of ours; PostgreSQL would not even take a NUL
    rows = read(_FIND, {"key": key, "now": now})
    if not rows:
        return None
    row = rows[0]
    return Place(
        slug=row.slug,
        key=row.key,
        name=row.name,
        origins=tuple(row.origins),
        about=row.about,
        categories=tuple(row.categories),
        language=row.language,
        country=row.country,
        color=row.color,
        color_dark=row.color_dark,
        has_logo=row.logo_type is not None,
    )


def named(word: str) -> Named | None:
    """The site whose slug this is without its dashes, be it open or disabled."""
    row = execute(_NAMED, {"word": word}).first() if len(word) <= _LONGEST_SLUG else None
    if row is None:
        return None
    return Named(row.slug, row.language, tuple(row.categories), row.disabled_at is None)


def name_asked_on(request_ref: str | None) -> str:
    """Where a request was made, as people know it: a site's name, or our own address."""
    rows = read(_ASKED_ON, {"ref": request_ref})
    return str(rows[0].name) if rows else config.current().site


def countries(place: Place) -> tuple[str, ...]:
    """The countries that we text, the site's own first: its national numbers are read."""
    return (place.country, *(c for c in config.current().countries if c != place.country))


def colours(place: Place) -> tuple[str, str | None]:
    """A site's own colour and the one for dark pages, or the brand's."""
    settings = config.current()
    if place.color:
        return place.color, place.color_dark
    return settings.brand_color, place.color_dark or settings.brand_color_dark


def logo(place: Place) -> tuple[bytes, str] | None:
    """The site's logo and its media type."""
    rows = read(_LOGO, {"slug": place.slug})
    return (rows[0].logo, rows[0].logo_type) if rows and rows[0].logo else None


def offered(place: Place) -> list[str]:
    """What a form from there asks for that names nothing: all of the site's categories that
    are on offer and need no statement of age (RULE-10)."""
    return [
        kind.slug
        for kind in catalog.on_offer()
        if kind.age_gate is None and place.offers(kind.slug)
    ]


def budget(slug: str) -> int:
    """How many texts a site may cause a day, UTC; none when it was disabled meanwhile."""
    row = execute(_BUDGET, {"slug": slug}).first()
    usual = config.current().site_texts_per_day
    if row is None:
        return usual  # the hosted form, and sign-ups by text
    if row.disabled_at is not None:
        return 0
    return min(usual, row.daily_budget) if row.daily_budget is not None else usual


def every() -> list[Site]:
    return list(db.session.scalars(sa.select(Site).order_by(Site.slug)))


def by_slug(slug: str) -> Site:
    """Raises ValueError, as a sentence, where there is none."""
    known = slug.isprintable() and len(slug) <= 40
    site = db.session.scalar(sa.select(Site).where(Site.slug == slug)) if known else None
    if site is None:
        shown = slug if known else ascii(slug)
        raise ValueError(f"There is no site {shown}. `prefcenter site list` shows them all.")
    return site


def add(slug: str, name: str, *, origins: Collection[str], now: datetime, **more: Any) -> Site:
    """Open a site; `more` is as in change(). Never commits.

    Raises ValueError, as a sentence, for what cannot be used or is taken.
    """
    if not _SLUG.match(slug):
        raise ValueError("A key is lower-case letters, digits and dashes, like web-shop.")
    hold("new site")  # of two who add the same at once, the second reads that it is taken
    if _taken(slug):
        raise ValueError(f"There is a site {slug} already.")
    if like := named(slug.replace("-", "")):
        raise ValueError(f"By text nobody could tell it from {like.slug}; choose another key.")
    settings = config.current()
    if slug == settings.site:
        raise ValueError("That is the name of the form on our own address; choose another key.")
    site = Site(
        slug=slug,
        key=slug,
        about={},
        categories=[],
        language=settings.default_language,
        country=settings.countries[0],
        created_at=now,
    )
    change(site, name=name, origins=origins, **more)
    db.session.add(site)
    db.session.flush()
    return site


def change(site: Site, **values: Any) -> None:
    """Give a site other values, each checked; what is not named stays. Never commits.

    Values: name, origins, about (by language), categories (slugs), language, country, color,
    color_dark, logo (bytes and media type, or None), daily_budget (texts a day, or None).
    Raises ValueError, as a sentence, for what cannot be used.
    """
    if "categories" in values:
        catalog.hold_all()  # nobody retires meanwhile what it is to offer
    for name, value in values.items():
        if name == "logo":
            site.logo, site.logo_type = site_values.logo(*value) if value else (None, None)
        else:
            setattr(site, name, site_values.CHECKS[name](value))


def hold_forms(slug: str) -> None:
    """Until the transaction ends, nobody else looks at a form of this site or disables it."""
    hold(f"site {slug}")


def disable(site: Site, *, now: datetime) -> None:
    """From now on its addresses are unknown, and nothing is sent for it: also requests that wait
    are taken back. Never commits."""
    hold_forms(site.slug)  # one that is looked at now is over first, and its text taken back
    site.disabled_at = site.disabled_at or now
    for number in list(db.session.scalars(_WAITING, {"slug": site.slug})):
        assert number is not None
        outbox.cancel(number, "its site was disabled", now=now, kind=TextKind.CONFIRM_REQUEST)
    # No row says which site a reminder is of, so all that wait go: one tells nobody anything new.
    for number in list(db.session.scalars(_REMINDED)):
        outbox.cancel(number, "a site was disabled", now=now, kind=TextKind.ALREADY_SUBSCRIBED)


def enable(site: Site) -> None:
    site.disabled_at = None


def rotate(site: Site, *, keep: timedelta, now: datetime) -> str:
    """Give a site a new key; the old one works for `keep` longer. Never commits."""
    db.session.add(SiteKey(key=site.key, site_id=site.id, until=now + keep))
    site.key = f"{site.slug}-{secrets.token_hex(4)}"
    db.session.flush()
    return site.key


def former_keys(site: Site, *, now: datetime) -> list[SiteKey]:
    """The keys that it had before and that still work, the one that ends last first."""
    query = sa.select(SiteKey).where(SiteKey.site_id == site.id, SiteKey.until > now)
    return list(db.session.scalars(query.order_by(SiteKey.until.desc())))


def said(site: Site) -> dict[str, Any]:
    """All that may change, flat: `about in es`; of the logo its size and what tells it apart."""
    fields = (
        *("name", "origins", "categories", "language", "country"),
        *("color", "color_dark", "daily_budget"),
    )
    found: dict[str, Any] = {field: getattr(site, field) for field in fields}
    found |= {f"about in {language}": text for language, text in site.about.items()}
    if site.logo is not None:
        digest = hashlib.sha256(site.logo).hexdigest()[:16]
        found["logo"] = f"{site.logo_type}, {len(site.logo)} bytes, {digest}"
    return found


def _taken(key: str) -> bool:
    """True for every key that some site has or had: an old page must not reach another site."""
    known = sa.select(_site.id).where((_site.slug == key) | (_site.key == key))
    former = sa.select(_former.site_id).where(_former.key == key)
    return db.session.execute(known.union(former)).first() is not None
