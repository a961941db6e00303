"""Phone numbers: text to E.164, country, masks for pages and logs, keyed pseudonyms."""

import contextlib
import functools
import hmac
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

LONGEST_TYPED = 200
_SEPARATORS = "./~_\u00b7\u2022\u2027\u2212\u30fc"  # besides all spaces, dashes and brackets
_SEPARATING = {"Zs", "Pd", "Ps", "Pe"}
_REVERSED = "\u202e"  # what follows is shown from right to left: whose digits are meant?
_E164 = re.compile(r"\+[1-9][0-9]{6,14}\Z", re.ASCII)
_PLUS = re.compile(r"\+[\s(\[]*\Z")
# O202 and 1-202-FLOWERS; other scripts write 電話 without a space.
_WORD = re.compile(r"(?=[^\W\d_])[A-\u052f]\Z")
_WORD_GOES_ON = re.compile(r"[-.\u2010-\u2015]?(?=[^\W\d_])[A-\u052f]")
_DAY = re.compile(r"[12]\d{3}-[01]\d-[0-3]\d")  # which is a number in Denmark
_GAP = r"[\s()./\-\u2010-\u2015]{0,3}"
_LAST_SLASH = re.compile(r"(\d+)\D*/\D*(\d+)\Z")
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
    `unusable` (not a real number, a landline, a kind that SEC-29 refuses, or doubtful).
    """
    found = _read(_dialled(typed), countries[0])
    if phonenumbers.region_code_for_country_code(found.country_code or 0) in ("ZZ", "001"):
        raise NumberError("country")
    if phonenumbers.is_possible_number_with_reason(found) in _TOO_SHORT:
        raise NumberError("short")
    if not phonenumbers.is_valid_number(found):
        raise NumberError("unusable")
    country = phonenumbers.region_code_for_number(found) or ""
    if country not in countries:
        raise NumberError("country")
    if phonenumbers.number_type(found) in _REFUSED_TYPES:
        raise NumberError("unusable")
    return Number(phonenumbers.format_number(found, PhoneNumberFormat.E164), country)


def _dialled(typed: str) -> str:
    """The digits of the one number in a text, with the plus before them, if there is one.

    What stands around it is dropped. Anything but separators between its digits would be
    another number, an extension or a word: we do not guess.
    """
    typed = typed.strip()
    text = "".join(char for char in unicodedata.normalize("NFKC", typed) if not _is_unseen(char))
    places = [place for place, char in enumerate(text) if char.isdecimal()]
    if not places:
        raise NumberError("missing")
    first, last = places[0], places[-1] + 1
    before, core, after = text[:first], text[first:last], text[last:]
    if (
        len(typed) > LONGEST_TYPED
        or _REVERSED in typed
        or len(places) != sum(char.isdecimal() for char in typed)  # ² and ① are no digits
        or not all(char.isdecimal() or _separates(char) for char in core)
        or _WORD.search(before)
        or _WORD_GOES_ON.match(after)
        or _is_two(core)
    ):
        raise NumberError("unusable")
    digits = (str(unicodedata.decimal(text[place])) for place in places)
    return ("+" if _PLUS.search(before) else "") + "".join(digits)


def _is_unseen(char: str) -> bool:
    """Zero-width signs, marks of direction, and what makes an emoji of a digit."""
    return unicodedata.category(char) == "Cf" or char in "\ufe0e\ufe0f\u20e3"


def _separates(char: str) -> bool:
    return char.isspace() or char in _SEPARATORS or unicodedata.category(char) in _SEPARATING


def _is_two(core: str) -> bool:
    """`0151 2345678/9` means two numbers; `0151/2345678` and `06/12/34/56/78` mean one."""
    found = _LAST_SLASH.search(core)
    return found is not None and len(found[2]) < len(found[1])


def _read(digits: str, country: str) -> phonenumbers.PhoneNumber:
    """As a phone of that country dials it, or after the 00 of most of the world."""
    if not digits.startswith("00"):
        return _parsed(digits, country)
    abroad = _parsed("+" + digits[2:], country)
    try:
        own = _parsed(digits, country)
    except NumberError:
        return abroad
    if not phonenumbers.is_valid_number(own):
        return abroad
    if phonenumbers.is_valid_number(abroad) and own != abroad:
        raise NumberError("unusable")
    return own


def _parsed(digits: str, country: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException as error:
        short = phonenumbers.NumberParseException.TOO_SHORT_NSN
        raise NumberError("short" if error.error_type == short else "unusable") from error


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
    found = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
    return phonenumbers.format_number(found, PhoneNumberFormat.NATIONAL) if found else "+…"


def international(e164: str) -> str:
    """`+1 202-555-0100`, for people to read."""
    try:
        found = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(found, PhoneNumberFormat.INTERNATIONAL)


def is_e164(text: str) -> bool:
    """True for a plus and 7 to 15 digits, and nothing else."""
    return _E164.match(text) is not None


def mask(e164: str | None) -> str:
    """`…0143`: all that pages and logs may show (SEC-7, SEC-17)."""
    return f"…{last4(e164)}" if e164 else "…"


_BETWEEN = r"[\s().\-/_,\u2010-\u2015\u2212\u200b-\u200d\u2060\ufeff]{0,5}"
_ALONE = rf"(?!{_BETWEEN}\d(?!\d?:\d))"  # no more digits follow, but for a time of day
_WITHIN = re.compile(
    r"(?P<known>\b(?:19|20)\d\d-[01]\d-[0-3]\d\b"  # a day, also 10.04.2026 and 4/10/2026
    rf"|\b[0-3]?\d(?P<sign>[./])[0-3]?\d(?P=sign)(?:19|20)\d\d\b{_ALONE}"
    rf"|[$€£]\s?\d{{1,3}}(?:[.,]\d{{3}}){{0,2}}(?:[.,]\d\d)?{_ALONE})"  # a sum
    rf"|\+?\d(?:{_BETWEEN}\d){{6,17}}"
)


def mask_within(text: str) -> str:
    """Free text without whole numbers: only the last four digits of any are left (SEC-44).

    Days and sums of money stay.
    """

    def last(found: re.Match[str]) -> str:
        return found[0] if found["known"] else "…" + re.sub(r"\D", "", found[0])[-4:]

    return _WITHIN.sub(last, text)


def mask_abroad(e164: str | None) -> str:
    """`+1 ••• 0143`: the country and the last digits, for people who work here (SEC-44)."""
    if not e164:
        return "••• ••••"
    try:
        country = phonenumbers.parse(e164).country_code
    except phonenumbers.NumberParseException:  # texts come from whatever a network lets through
        return f"+••• {last4(e164)}"
    return f"+{country} ••• {last4(e164)}"


def last4(e164: str | None) -> str:
    return (e164 or "")[-4:]


def prefix(e164: str) -> str:
    """The number less its last four digits: one block of lines (SEC-28)."""
    return e164[:-4]


def mask_numbers(text: str, countries: Iterable[str], own: str | None = None) -> str:
    """What staff wrote, with each number in it masked: it may be kept for good (SEC-7, SEC-48).

    A number is found as people of one of these countries write it; `own` in any spelling.
    """
    if own:
        text = _spellings(own).sub(mask(own), text)
    for country in countries:
        for found in reversed(list(phonenumbers.PhoneNumberMatcher(text, country))):
            if not _DAY.fullmatch(found.raw_string):
                e164 = phonenumbers.format_number(found.number, PhoneNumberFormat.E164)
                text = text[: found.start] + mask(e164) + text[found.end :]
    return text


def _spellings(e164: str) -> re.Pattern[str]:
    code, national = "", e164.lstrip("+")
    with contextlib.suppress(phonenumbers.NumberParseException):
        found = phonenumbers.parse(e164)
        code, national = str(found.country_code), phonenumbers.national_significant_number(found)
    before, rest = _GAP.join(code), _GAP.join(national)
    return re.compile(rf"[+(]{{0,3}}(?:(?:(?:00|011){_GAP})?{before}{_GAP})?{rest}")


def pseudonym(e164: str, key: str) -> str:
    """Keyed hash of a number, so that a stolen table cannot be guessed (RULE-42, SEC-48)."""
    return hmac.digest(_pseudonym_key(key), e164.encode(), "sha256").hex()


@functools.lru_cache(maxsize=8)  # bulk decisions hash thousands of numbers
def _pseudonym_key(key: str) -> bytes:
    return hmac.digest(key.encode(), b"prefcenter pseudonym", "sha256")
