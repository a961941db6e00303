"""Mallory's program: sign-up forms by the hundred, each with a good token and work that is done.

Only here the work is easy: its first try is the right one, so that hundreds cost a second.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import altcha
import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from prefcenter import phone
from prefcenter.consent.sites import Place
from prefcenter.phone import NumberError
from prefcenter.web import form_token, pages, work
from prefcenter.web.form_token import Way

AGE = timedelta(seconds=5)  # of her tokens: young ones are refused


@contextmanager
def easy_work() -> Iterator[None]:
    """Challenges of ours, signed as ever, that one try solves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "_FEWEST", 0)
        patch.setattr(work, "_MOST", 0)
        yield


def solved(challenge: dict[str, Any]) -> str:
    """What a browser makes of a challenge."""
    asked = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(asked)
    assert solution is not None
    return altcha.Payload(asked, solution).to_base64()


def form(
    place: Place, number: str, *, now: datetime, way: Way = Way.SCRIPT, **more: str
) -> dict[str, str]:
    """A form that lacks nothing, as our script or our page would send it."""
    text = pages.shown_text("signup", place.language, about=place.about.get(place.language, ""))
    version = pages.text_version(text)
    token = form_token.make(place.slug, version, way, now=now - AGE)
    filled = {"number": number, "consent": "yes", "text_version": version, "form_token": token}
    if way is not Way.STEP:
        filled["work"] = solved(work.challenge(form_token.nonce_of(token), hard=False))
    return filled | more


def mobiles(country: str, count: int, *, apart: bool = False) -> list[str]:
    """So many numbers of one country that may be texted: in one block, or `apart` each in its
    own."""
    example = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
    assert example is not None
    e164 = phonenumbers.format_number(example, PhoneNumberFormat.E164)
    found: list[str] = []
    for n in range(1_000):
        if len(found) == count:
            return found
        with suppress(NumberError):
            typed = f"{e164[:-7]}{n:03d}{e164[-4:]}" if apart else f"{e164[:-4]}{n:04d}"
            found.append(phone.parse(typed, countries=(country,)).e164)
    raise AssertionError(f"{country} has too few numbers like its example")
