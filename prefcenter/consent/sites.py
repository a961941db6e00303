"""Sites, the collection points: where people may sign up, and what is theirs (SEC-21).

A site is known by the key in its address. A key that was replaced works for a set time, so
that pages out there can follow; a disabled site's keys are unknown at once.
"""

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.config import LANGUAGES
from prefcenter.consent import catalog
from prefcenter.database import db, execute, read
from prefcenter.models import Ask, Category, Person, Site, SiteKey, TextKind
from prefcenter.sms import outbox

LOGO_BYTES = 20_480
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,29}\Z")
_KEY = re.compile(r"[a-z0-9-]{1,40}\Z")
_COLOR = re.compile(r"#[0-9a-f]{6}\Z")
_ABOUT = re.compile(r"[^<>\x00-\x1f\x7f]{1,120}\Z")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
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
_WAITING = (
    sa.select(Person.number)
    .join(Ask, Ask.person_id == Person.id)
    .where(Ask.site == sa.bindparam("slug"), Ask.confirmed_at.is_(None), Person.number.is_not(None))
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


def countries(place: Place) -> tuple[str, ...]:
    """The countries that we text, the site's own first: its national numbers are read."""
    return (place.country, *(c for c in config.current().countries if c != place.country))


def logo(place: Place) -> tuple[bytes, str] | None:
    """The site's logo and its media type."""
    rows = read(_LOGO, {"slug": place.slug})
    return (rows[0].logo, rows[0].logo_type) if rows and rows[0].logo else None


def offered(place: Place) -> list[str]:
    """What a form from there asks for that names nothing: all of the site's categories that
    are on offer and need no statement of age (RULE-10)."""
    return [
        kind.slug
        for kind in catalog.every()
        if kind.public
        and kind.retired_at is None
        and kind.age_gate is None
        and (not place.categories or kind.slug in place.categories)
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
    if _taken(slug):
        raise ValueError(f"There is a site {slug} already.")
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
    for name, value in values.items():
        if name == "logo":
            site.logo, site.logo_type = _logo(*value) if value else (None, None)
        else:
            setattr(site, name, _CHECKS[name](value))


def disable(site: Site, *, now: datetime) -> None:
    """From now on its addresses are unknown, and nothing is sent for it: also requests that wait
    are taken back. Never commits."""
    site.disabled_at = site.disabled_at or now
    for number in list(db.session.scalars(_WAITING, {"slug": site.slug})):
        assert number is not None
        outbox.cancel(number, "its site was disabled", now=now, kind=TextKind.CONFIRM_REQUEST)


def enable(site: Site) -> None:
    site.disabled_at = None


def rotate(site: Site, *, keep: timedelta, now: datetime) -> str:
    """Give a site a new key; the old one works for `keep` longer. Never commits."""
    db.session.add(SiteKey(key=site.key, site_id=site.id, until=now + keep))
    site.key = f"{site.slug}-{secrets.token_hex(4)}"
    db.session.flush()
    return site.key


@lru_cache(maxsize=1024)
def origin(text: str, *, development: bool = False) -> str:
    """An origin as browsers say it. Raises ValueError, as a sentence, for anything else.

    Plain http is for this machine alone, and for development.
    """
    shown = f"{text[:80]!r}"
    cure = "write it exactly as the browser shows it, like https://shop.example.com"
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else _punycode(host)
    except (ValueError, UnicodeError) as error:
        raise ValueError(f"{shown} is no origin: {cure}.") from error
    named = parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ("https", "http") or named or not _is_host(host):
        raise ValueError(f"{shown} is no origin: {cure}, without a path and without *.")
    if parts.scheme == "http" and host not in _LOOPBACK and not development:
        raise ValueError(f"{shown} is not safe: numbers are typed there, so make it https://.")
    host = f"[{host}]" if ":" in host else host
    usual = port is None or port == {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if usual else f":{port}")


def _punycode(host: str) -> str:
    """A name as browsers send it. Raises ValueError where Python's older rules would make
    another one of it, such as strasse of straße."""
    name = host.encode("idna").decode()
    if name.encode().decode("idna") != host:
        raise ValueError("its letters are not clear")
    return name


def _is_host(host: str) -> bool:
    plain = re.match(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z|[0-9a-f:]+\Z", host)
    return plain is not None and ".." not in host


def _taken(key: str) -> bool:
    """True for every key that some site has or had: an old page must not reach another site."""
    known = sa.select(_site.id).where((_site.slug == key) | (_site.key == key))
    former = sa.select(_former.site_id).where(_former.key == key)
    return db.session.execute(known.union(former)).first() is not None


def _name(name: str) -> str:
    if not name.strip() or len(name) > 80 or not name.isprintable():
        raise ValueError("A site's name has 1 to 80 characters.")
    return name.strip()


def _origins(origins: Collection[str]) -> list[str]:
    if not origins:
        raise ValueError("Name at least one origin, like https://shop.example.com.")
    development = config.current().development
    return list(dict.fromkeys(origin(text, development=development) for text in origins))


def _about(about: Mapping[str, str]) -> dict[str, str]:
    for language, text in about.items():
        if language not in LANGUAGES:
            raise ValueError(f"There are no texts in {language!r}, only in {', '.join(LANGUAGES)}.")
        if text and not (_ABOUT.match(text) and text.isprintable()):
            raise ValueError("What is texted is said in at most 120 characters, without < and >.")
    return {language: text.strip() for language, text in about.items() if text.strip()}


def _categories(slugs: Collection[str]) -> list[str]:
    public = db.session.scalars(sa.select(Category.slug).where(Category.public))
    if unknown := sorted(set(slugs) - set(public)):
        raise ValueError(f"There is no public category {unknown[0]}. `prefcenter category list`.")
    return list(dict.fromkeys(slugs))


def _language(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"A site's language is one of {', '.join(LANGUAGES)}.")
    return language


def _country(country: str) -> str:
    if country not in config.current().countries or not phone.is_country(country):
        listed = ", ".join(config.current().countries)
        raise ValueError(f"A site's country is one that COUNTRIES names: {listed}.")
    return country


def _color(color: str | None) -> str | None:
    if color and not _COLOR.match(color.lower()):
        raise ValueError(f"{color[:20]!r} is no colour: write it like #1f5c48.")
    return color.lower() if color else None


def _daily_budget(budget: int | None) -> int | None:
    if budget is not None and budget < 0:
        raise ValueError("A daily budget is a number of texts, 0 or more.")
    return budget


def _logo(body: bytes, media_type: str) -> tuple[bytes, str]:
    if media_type not in ("image/svg+xml", "image/png") or not 0 < len(body) <= LOGO_BYTES:
        raise ValueError(f"A logo is an SVG or PNG file of at most {LOGO_BYTES // 1024} KB.")
    return body, media_type


_CHECKS: dict[str, Callable[[Any], object]] = {
    "name": _name,
    "origins": _origins,
    "about": _about,
    "categories": _categories,
    "language": _language,
    "country": _country,
    "color": _color,
    "color_dark": _color,
    "daily_budget": _daily_budget,
}
