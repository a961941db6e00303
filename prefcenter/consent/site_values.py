"""What the owner of a site may say: each value checked, and put as we keep it.

Every refusal is a ValueError with a sentence that names the cure.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.config import LANGUAGES
from prefcenter.consent import catalog
from prefcenter.database import db
from prefcenter.models import Category

LOGO_BYTES = 20_480
_COLOR = re.compile(r"#[0-9a-f]{6}\Z")
_ABOUT = re.compile(r"[^<>\x00-\x1f\x7f]{1,120}\Z")
_PNG = b"\x89PNG\r\n\x1a\n"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
    if slugs and not catalog.still_offered(slugs):
        raise ValueError("All of these are retired: name one that is on offer, or none for all.")
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


def logo(body: bytes, media_type: str) -> tuple[bytes, str]:
    if media_type not in ("image/svg+xml", "image/png") or not 0 < len(body) <= LOGO_BYTES:
        raise ValueError(f"A logo is an SVG or PNG file of at most {LOGO_BYTES // 1024} KB.")
    if not (body.startswith(_PNG) if media_type == "image/png" else b"<svg" in body):
        raise ValueError("This file is no SVG or PNG image, whatever its name says.")
    return body, media_type


CHECKS: dict[str, Callable[[Any], object]] = {
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
