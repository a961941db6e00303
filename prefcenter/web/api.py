"""The API for other programs: bearer key, JSON in and out, problem+json where it fails.

`POST /api/v1/opt-ins` is the door for a form that somebody filled in on a page whose server
then calls us. It starts a confirmation by the same rule as the widget's form, and its answer
does not tell whose number that is (SEC-24).
"""

import ipaddress
from datetime import datetime
from typing import Annotated

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prefcenter import clock, config, phone
from prefcenter.config import LANGUAGES
from prefcenter.consent import api_keys, signup, sites
from prefcenter.consent.sites import Place
from prefcenter.database import begin_write, db
from prefcenter.models import Source
from prefcenter.phone import Number, NumberError
from prefcenter.web import api_body, guards, optin, origins, pages, proof
from prefcenter.web.errors import Problem

bp = Blueprint("api", __name__, url_prefix="/api/v1")
_NUMBER = {
    "missing": "Send the number as it was typed, in digits.",
    "short": "That is too short; ask for all digits, with the area code.",
    "country": "We text no numbers in that country; ask for another number.",
    "unusable": "That is no mobile number that we can text; ask for one.",
}


def _ticked(consent: bool) -> bool:
    if consent:
        return True
    raise ValueError("Send true, and only once the person ticked the box.")


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


def _label(source: str) -> str:
    if source and not optin.label(source):
        raise ValueError("Send at most 40 letters, digits, dots, dashes and underscores.")
    return source


def _frequency(frequency: str) -> str:
    offered = config.current().frequencies
    if frequency in offered:
        return frequency
    raise ValueError(f"Send one of {', '.join(offered)}.")


def _language(language: str) -> str:
    if language in LANGUAGES:
        return language
    raise ValueError(f"Send one of {', '.join(LANGUAGES)}.")


Slugs = Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=100)]


class OptIn(BaseModel):
    """A form that somebody filled in elsewhere; address, browser and page are that person's."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    site: Annotated[str, Field(max_length=80)]
    number: Annotated[str, Field(max_length=200, repr=False)]
    consent: Annotated[bool, AfterValidator(_ticked)]
    text_version: Annotated[str, Field(max_length=64)]
    page_url: Annotated[str, Field(max_length=2000), AfterValidator(_page)]
    ip: Annotated[str, Field(max_length=64), AfterValidator(_address)] = ""
    user_agent: Annotated[str, Field(max_length=1000)] = ""
    language: Annotated[str, AfterValidator(_language)] = ""
    categories: Slugs = Field(default_factory=list)
    shown: Slugs = Field(default_factory=list)
    frequency: Annotated[str, AfterValidator(_frequency)] = ""
    source: Annotated[str, AfterValidator(_label)] = ""
    button: Annotated[str, Field(min_length=1, max_length=120)]


@bp.post("/opt-ins")
@guards.scope("write")
def opt_in() -> ResponseReturnValue:
    """Take a form in: 202 in the same bytes whoever the number belongs to."""
    now, asked = clock.now(), api_body.read(OptIn)
    place = _place(asked.site, now)
    language, text = _wording(asked, place)
    number = _number(asked.number, place)
    _check_page(asked.page_url, place)
    ticked = _categories(asked, place)
    begin_write()
    filled = signup.Filled(
        number=number,
        site=place.slug,
        source=Source.API,
        categories=ticked or sites.offered(place),
        language=language,
        consent_text=text,
        answer=_answer(asked),
        page_url=asked.page_url,
        ip=asked.ip or request.remote_addr or "",
        user_agent=asked.user_agent,
        frequency=asked.frequency or None,
    )
    signup.receive(filled, now=now)
    api_keys.touch(guards.api_key(), now=now)
    db.session.commit()
    return jsonify(status="accepted"), 202


def _answer(asked: OptIn) -> dict[str, str]:
    """What was ticked and pressed, and whose word we have for it."""
    said = {"button": asked.button, "source": asked.source, "key": guards.api_key().name}
    return {"box": "ticked"} | {name: value for name, value in said.items() if value}


def _place(key: str, now: datetime) -> Place:
    place = sites.find(key, now=now)
    if place is None:
        sentence = "Send the key of an enabled site; `prefcenter site list` shows them."
        raise api_body.problem([(("site",), sentence)], status=404)
    return place


def _wording(asked: OptIn, place: Place) -> tuple[str, str]:
    """The language and text that was agreed to; an old one is no consent to the one of now."""
    found = proof.shown("signup", asked.text_version, about=place.about)
    if found is not None:
        return found
    language = asked.language or place.language
    text = pages.shown_text("signup", language, about=place.about.get(language, ""))
    raise Problem(
        409,
        "This text is not the one of now",
        "Show the text of this answer with an unticked box, and send its text_version.",
        text_version=pages.text_version(text),
        text=text,
        language=language,
    )


def _number(typed: str, place: Place) -> Number:
    try:
        return phone.parse(typed, countries=sites.countries(place))
    except NumberError as error:
        fault = (("number",), _NUMBER[error.reason])
        raise api_body.problem([fault], reason=error.reason) from None


def _check_page(url: str, place: Place) -> None:
    address = origins.read(url)
    if address is None or address.origin not in (*place.origins, *origins.ours()):
        sentence = "Send the address of a page on one of the site's origins."
        raise api_body.problem([(("page_url",), sentence)])


def _categories(asked: OptIn, place: Place) -> list[str]:
    """What was ticked, all of it shown and offered by the site; none for a form without boxes."""
    ticked, shown = asked.categories, asked.shown
    # Nobody can say here that a person stated their age (RULE-10).
    offered = (row for row in pages.offered() if row.age_gate is None)
    ours = {row.slug for row in offered if place.offers(row.slug)}
    faults: list[tuple[api_body.Path, str]] = [
        ((name, at), "Send the slug of a category that this site offers to all ages.")
        for name, slugs in (("categories", ticked), ("shown", shown))
        for at, slug in enumerate(slugs)
        if slug not in ours
    ]
    if shown:
        faults += [
            (("categories", at), "Only what was shown can be ticked; name it in shown too.")
            for at, slug in enumerate(ticked)
            if slug not in shown
        ]
        if not ticked:
            faults.append((("categories",), "Send those that were ticked, of those shown."))
    if faults:
        raise api_body.problem(faults)
    return list(dict.fromkeys(ticked))
