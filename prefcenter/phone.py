"""Phone numbers: text to E.164, country, masks for pages and logs, keyed pseudonyms."""

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

_MAX_TYPED = 64
# SEC-29: these are never texted, whatever they cost or whoever they reach.
_REFUSED_TYPES = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.UAN,
    PhoneNumberType.PAGER,
    PhoneNumberType.VOICEMAIL,
    PhoneNumberType.PERSONAL_NUMBER,  # +44 70 looks like a mobile and costs like premium
    PhoneNumberType.FIXED_LINE,
}
_TOO_SHORT = {
    phonenumbers.ValidationResult.TOO_SHORT,
    phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY,  # without its area code
}
_EXAMPLE_TYPE = PhoneNumberType.MOBILE


class NumberError(ValueError):
    """What was typed is no number that we may text. `reason` picks the sentence shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Number:
    """A number that can be texted: E.164 with plus, and its ISO country."""

    e164: str
    country: str


def parse(typed: str, *, countries: tuple[str, ...]) -> Number:
    """Read a number as people type it; a national form is of the first country listed.

    Raises NumberError with reason `missing`, `short`, `country` (not one of ours) or
    `unusable` (not a real number, a landline, or a kind that SEC-29 refuses).
    """
    text = unicodedata.normalize("NFKC", typed[:_MAX_TYPED]).strip()
    text = "".join(char for char in text if unicodedata.category(char) != "Cf")
    if not any(char.isdigit() for char in text):
        raise NumberError("missing")
    if text.startswith("00"):
        text = "+" + text[2:]
    try:
        found = phonenumbers.parse(text, countries[0])
    except phonenumbers.NumberParseException as error:
        short = phonenumbers.NumberParseException.TOO_SHORT_NSN
        raise NumberError("short" if error.error_type == short else "unusable") from error
    _refuse_unusable(found, text)
    country = phonenumbers.region_code_for_number(found) or ""
    if country not in countries:
        raise NumberError("country")
    if phonenumbers.number_type(found) in _REFUSED_TYPES:
        raise NumberError("unusable")
    return Number(phonenumbers.format_number(found, PhoneNumberFormat.E164), country)


def _refuse_unusable(found: phonenumbers.PhoneNumber, text: str) -> None:
    if phonenumbers.is_possible_number_with_reason(found) in _TOO_SHORT:
        raise NumberError("short")
    if found.extension or any(char.isalpha() for char in text):
        raise NumberError("unusable")
    if not phonenumbers.is_valid_number(found):
        known = phonenumbers.region_code_for_country_code(found.country_code or 0)
        raise NumberError("country" if known in ("ZZ", "001") else "unusable")


def country_of(e164: str) -> str:
    """The ISO country of one of our own numbers, or "" where the plan does not tell."""
    try:
        found = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return ""
    region = phonenumbers.region_code_for_number(found)
    if not region:  # numbers kept for fiction and tests are valid nowhere
        region = phonenumbers.region_code_for_country_code(found.country_code or 0)
    return region if region and len(region) == 2 and region.isalpha() and region != "ZZ" else ""


def is_toll_free(e164: str) -> bool:
    """True for one of our own numbers that is free to call, such as +1 888."""
    try:
        found = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.number_type(found) == PhoneNumberType.TOLL_FREE)


def is_country(code: str) -> bool:
    """True for an ISO code whose numbering plan is known."""
    return code in phonenumbers.SUPPORTED_REGIONS


def example(country: str) -> str:
    """A mobile number of the country as its people write it, for hints and errors."""
    found = phonenumbers.example_number_for_type(country, _EXAMPLE_TYPE)
    return phonenumbers.format_number(found, PhoneNumberFormat.NATIONAL) if found else "+…"


def international(e164: str) -> str:
    """`+1 202-555-0100`, for people to read."""
    try:
        found = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(found, PhoneNumberFormat.INTERNATIONAL)


def mask(e164: str | None) -> str:
    """`…0143`: all that pages and logs may show (SEC-7, SEC-17)."""
    return f"…{last4(e164)}" if e164 else "…"


def last4(e164: str | None) -> str:
    return (e164 or "")[-4:]


def prefix(e164: str) -> str:
    """The number less its last four digits: one block of lines (SEC-28)."""
    return e164[:-4]


def pseudonym(e164: str, key: str) -> str:
    """Keyed hash of a number, so that a stolen table cannot be guessed (RULE-42, SEC-48)."""
    derived = hmac.digest(key.encode(), b"prefcenter pseudonym", hashlib.sha256)
    return hmac.new(derived, e164.encode(), hashlib.sha256).hexdigest()
