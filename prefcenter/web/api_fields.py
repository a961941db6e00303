"""Fields that several calls of the API take: what each may hold, and how it is said when it may
not. A number is read here and goes no further than into the rule (SEC-7)."""

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from prefcenter import config, phone
from prefcenter.config import LANGUAGES
from prefcenter.consent import catalog, sites
from prefcenter.consent.sites import Place
from prefcenter.phone import Number, NumberError
from prefcenter.web import api_body, origins

_MOMENT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
_FIRST_YEAR = 1970  # far enough from year 1 for every zone
_SENTENCES = {
    "missing": "Send the number as it was typed, in digits.",
    "short": "That is too short; ask for all digits, with the area code.",
    "country": "We text no numbers in that country; ask for another number.",
    "unusable": "That is no mobile number that we can text; ask for one.",
}
_AS_E164 = "Send it as E.164: a plus, the country code and the number, in digits."


def _moment(said: Any) -> datetime:
    """RFC 3339 with its offset, so that nobody has to guess a zone (RULE-38)."""
    try:
        if not isinstance(said, str) or not _MOMENT.match(said):
            raise ValueError
        moment = datetime.fromisoformat(said.upper())
        if moment.year <= _FIRST_YEAR:
            raise ValueError
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("Send a moment with its offset, like 2026-11-23T15:00:00Z.") from None


def _address(ip: str) -> str:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise ValueError("Send the person's IPv4 or IPv6 address alone.") from None
    if "%" in ip:
        raise ValueError("Leave out the zone of the address.")
    return str(address)


def _page(url: str) -> str:
    """Without query and fragment, which may hold anything."""
    address = origins.read(url)
    if address is None:
        raise ValueError("Send the page's whole address, like https://shop.example.com/checkout.")
    return address.origin + address.path


def _frequency(frequency: str) -> str:
    offered = config.current().frequencies
    if frequency in offered:
        return frequency
    raise ValueError(f"Send one of {', '.join(offered)}.")


def _language(language: str) -> str:
    if language in LANGUAGES:
        return language
    raise ValueError(f"Send one of {', '.join(LANGUAGES)}.")


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("Send words, not only spaces.")
    return text.strip()


Moment = Annotated[datetime, BeforeValidator(_moment)]
Address = Annotated[str, Field(max_length=64), AfterValidator(_address)]
Page = Annotated[str, Field(max_length=2000), AfterValidator(_page)]
Frequency = Annotated[str, AfterValidator(_frequency)]
Language = Annotated[str, AfterValidator(_language)]
Slugs = Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=100)]
Typed = Annotated[str, Field(max_length=200, repr=False)]  # a number
Words = Annotated[str, AfterValidator(_said)]


def place(key: str, *, now: datetime) -> Place:
    """The enabled site of a key. Raises Problem."""
    found = sites.find(key, now=now)
    if found is None:
        sentence = "Send the key of an enabled site; `prefcenter site list` shows them."
        raise api_body.problem([(("site",), sentence)], status=404)
    return found


def number_of(typed: str, where: Place) -> Number:
    """A number that may be texted; a national one is of the site's country. Raises Problem."""
    try:
        return phone.parse(typed, countries=sites.countries(where))
    except NumberError as error:
        fault = (("number",), _SENTENCES[error.reason])
        raise api_body.problem([fault], reason=error.reason) from None


def any_number(typed: str) -> Number:
    """Any number at all, also one that we would never text: it may have texted us, or belong to
    somebody who refuses. Raises Problem."""
    try:
        return phone.parse(typed, countries=config.current().countries)
    except NumberError as error:
        if phone.is_e164(typed):
            return Number(typed, phone.country_of(typed) or "ZZ")
        raise api_body.problem([(("number",), _AS_E164)], reason=error.reason) from None


def known_categories(slugs: Iterable[str]) -> frozenset[str]:
    """Categories that there are or were, public or not. Raises Problem."""
    known, wanted = {kind.slug for kind in catalog.every()}, list(slugs)
    sentence = "Send the slug of a category; `prefcenter category list` shows them."
    faults: list[tuple[api_body.Path, str]] = [
        (("categories", at), sentence) for at, slug in enumerate(wanted) if slug not in known
    ]
    if faults:
        raise api_body.problem(faults[:20])
    return frozenset(wanted)


def iso(moment: datetime | None) -> str | None:
    """A moment as every call says it."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
