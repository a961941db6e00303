"""The API for other programs: bearer key, JSON in and out, problem+json where it fails.

`POST /api/v1/opt-ins` is the door for a form that somebody filled in on a page whose server
then calls us. It starts a confirmation by the same rule as the widget's form, and its answer
does not tell whose number that is (SEC-24). With a `proof` in the body it is consent that was
given elsewhere, which api_attest.py takes.
"""

from typing import Annotated, Any, Literal

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from prefcenter import clock
from prefcenter.consent import api_keys, signup, sites
from prefcenter.consent.sites import Place
from prefcenter.database import begin_write, db
from prefcenter.models import OptInLevel, Source
from prefcenter.web import (
    api_attest,
    api_body,
    api_examples,
    api_fields,
    api_spec,
    guards,
    idempotency,
    optin,
    origins,
    pages,
    proof,
)
from prefcenter.web.api_attest import GivenElsewhere
from prefcenter.web.api_fields import Address, Frequency, Language, Page, Slugs, Typed
from prefcenter.web.errors import Problem

bp = Blueprint("api", __name__, url_prefix="/api/v1")


def _ticked(consent: bool) -> bool:
    if consent:
        return True
    raise ValueError("Send true, and only once the person ticked the box.")


def _label(source: str) -> str:
    if source and not optin.label(source):
        raise ValueError("Send at most 40 letters, digits, dots, dashes and underscores.")
    return source


def _of(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


class OptIn(BaseModel):
    """A form that somebody filled in elsewhere; address, browser and page are that person's."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    site: Annotated[str, _of("The site's key, as in `prefcenter site list`.", max_length=80)]
    number: Annotated[
        Typed, _of("As the person typed it; national ones are of the site's country.")
    ]
    consent: Annotated[bool, AfterValidator(_ticked), _of("`true`: the person ticked the box.")]
    text_version: Annotated[str, _of("Names the text beside the box.", max_length=64)]
    page_url: Annotated[Page, _of("The page with the form, on one of the site's origins.")]
    ip: Annotated[Address, _of("The person's own; the limits count by it.")] = ""
    user_agent: Annotated[str, _of("The person's browser.", max_length=1000)] = ""
    language: Annotated[Language, _of("Of the text in a 409 answer.")] = ""
    categories: Annotated[Slugs, _of("What was ticked.")] = Field(default_factory=list)
    shown: Annotated[Slugs, _of("What the form offered.")] = Field(default_factory=list)
    frequency: Annotated[Frequency, _of("How often at most.")] = ""
    source: Annotated[str, AfterValidator(_label), _of("Your own label for the place.")] = ""
    button: Annotated[str, _of("What the button says.", min_length=1, max_length=120)]


class SignUp(RootModel[OptIn | GivenElsewhere]):
    """A form that was filled in; or, with a `proof`, consent that was given elsewhere."""


class TakenIn(BaseModel):
    """What became of a sign-up."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[
        Literal["accepted", "recorded"],
        _of("accepted: the phone is asked, if it may be. recorded: it is subscribed."),
    ]
    event: Annotated[str | None, _of("The event that says so.")] = None
    opt_in_level: Annotated[
        OptInLevel | None, _of("How sure it is; left out where they were subscribed before.")
    ] = None


@bp.post("/opt-ins")
@guards.scope("write")
@api_spec.call(
    "Hand in a sign-up form, or consent given elsewhere",
    body=SignUp,
    answer=TakenIn,
    status=202,
    problems=(404, 409),
    asks=api_examples.OPT_INS,
    answers=api_examples.TAKEN_IN,
    idempotent=True,
)
def opt_in() -> ResponseReturnValue:
    """A form starts a confirmation: 202 in the same bytes whoever the number belongs to. Consent
    with a `proof` is recorded at once, for which the key needs the scope `attest`, too."""
    asked = api_body.read_either(OptIn, "proof", GivenElsewhere)
    if isinstance(asked, GivenElsewhere):
        return _attested(asked)
    now = clock.now()
    place = api_fields.place(asked.site, now=now)
    language, text = _wording(asked, place)
    number = api_fields.number_of(asked.number, place)
    _check_page(asked.page_url, place)
    ticked = _categories(asked, place)
    begin_write()
    if (again := idempotency.earlier()) is not None:
        return again
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
    return _done({"status": "accepted"})


def _attested(asked: GivenElsewhere) -> ResponseReturnValue:
    api_attest.need_scope()
    now = clock.now()
    place = api_fields.place(asked.site, now=now)
    number = api_attest.check(asked, place, now=now)
    begin_write()
    if (again := idempotency.earlier()) is not None:
        return again
    return _done(api_attest.record(asked, number, place, now=now))


def _done(said: dict[str, str]) -> Response:
    """Answer, and keep all that was written."""
    api_keys.touch(guards.api_key(), now=clock.now())
    response = jsonify(said)
    response.status_code = 202
    idempotency.keep(response)
    db.session.commit()
    return response


def _answer(asked: OptIn) -> dict[str, str]:
    """What was ticked and pressed, and whose word we have for it."""
    said = {"button": asked.button, "source": asked.source, "key": guards.api_key().name}
    return {"box": "ticked"} | {name: value for name, value in said.items() if value}


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
