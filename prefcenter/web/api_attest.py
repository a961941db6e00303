"""The part of `POST /api/v1/opt-ins` that takes consent given elsewhere, on its whole proof.

A key needs the scope `attest` for it, too: whoever has it can turn texts on for any number that
nothing stands against, so it is no scope for a shop's server.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any

from flask import current_app
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefcenter import config
from prefcenter.config import LANGUAGES
from prefcenter.consent import elsewhere
from prefcenter.consent.elsewhere import Given, Limited, Method, Recorded, Refused, Wanted
from prefcenter.consent.objections import Reason
from prefcenter.consent.order import SKEW
from prefcenter.consent.send_windows import Book
from prefcenter.consent.sites import Place
from prefcenter.database import db
from prefcenter.phone import Number
from prefcenter.web import api_body, api_fields, guards, pages
from prefcenter.web.api_fields import Address, Frequency, Moment, Page, Slugs, Typed, Words
from prefcenter.web.errors import Problem

SCOPE = "attest"
_BOOK = "prefcenter.quiet_hours"
_AGAIN = "600"  # seconds
SENTENCES = {
    Reason.STOPPED: "This number has stopped all texts; only START from the phone reopens it.",
    Reason.SUPPRESSED: "This number is on the list of those that get nothing; only START from the"
    " phone reopens it.",
    Reason.REASSIGNED: "This number had another owner. Hand the form in without proof, and the"
    " phone is asked.",
    Reason.UNREACHABLE: "Texts to this number do not arrive, so it may have a new owner. Hand the"
    " form in without proof, and the phone is asked.",
    Reason.NEWER_REFUSAL: "This number has refused such texts since. Hand the form in without"
    " proof, and the phone is asked.",
    Reason.TEXT_WAITING: "This number has texted something that is not worked yet; send this again"
    " in a minute.",
    Reason.REFERENCE_USED: "This reference came with another proof before; send a reference of its"
    " own for each consent.",
}


def _of(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


class Elsewhere(BaseModel):
    """How somebody agreed, and everything that proves it (RULE-11)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    given_at: Annotated[Moment, _of("When they agreed.")]
    method: Annotated[Method, _of("How they agreed.", strict=False)]
    wording: Annotated[Words, _of("The exact text that they agreed to.", max_length=4000)]
    wording_language: Annotated[
        str, _of("Like `en` or `fr-CA`.", pattern=r"^[a-z]{2}(-[A-Z]{2})?$")
    ]
    answer: Annotated[Words, _of("What they ticked, signed, said or texted.", max_length=300)]
    collected_by: Annotated[Words, _of("Who took it: a person, a team, a program.", max_length=120)]
    reference: Annotated[
        Words, _of("Your own id of this consent; sent twice it counts once.", max_length=120)
    ]
    page_url: Annotated[Page | None, _of("The page with the form; needed for a web form.")] = None
    place: Annotated[
        Annotated[Words, Field(max_length=200)] | None, _of("Where it was; this or page_url.")
    ] = None
    ip: Annotated[Address | None, _of("The person's own; needed for a web form.")] = None
    user_agent: Annotated[str, _of("The person's browser.", max_length=1000)] = ""
    confirmed_at: Annotated[Moment | None, _of("When the phone itself said yes.")] = None
    confirmation: Annotated[
        Annotated[Words, Field(max_length=300)] | None,
        _of("By what it did: the text it sent, or the link it opened; needed for a web form."),
    ] = None

    @model_validator(mode="after")
    def _whole(self) -> "Elsewhere":
        """What a method must say besides. A typed number is no proof of the phone (RULE-5)."""
        if (self.confirmed_at is None) != (self.confirmation is None):
            raise ValueError("Send confirmed_at and confirmation, or neither.")
        if self.confirmed_at is not None and self.confirmed_at < self.given_at:
            raise ValueError("Send a confirmed_at that is not before given_at.")
        if self.method is not Method.WEB_FORM:
            if self.place is None and self.page_url is None:
                raise ValueError("Send the place where it was given.")
            return self
        if self.page_url is None or self.ip is None:
            raise ValueError("Send page_url and ip of the web form.")
        if self.confirmed_at is None:
            raise ValueError(
                "Send confirmed_at and confirmation, by which the phone itself said yes; without"
                " them hand the form in without proof, and it is asked."
            )
        return self


class GivenElsewhere(BaseModel):
    """Consent that somebody gave elsewhere, and what to text them about."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    site: Annotated[str, _of("The site's key: the collection point.", max_length=80)]
    number: Annotated[Typed, _of("As it was written; national ones are of the site's country.")]
    categories: Annotated[Slugs, _of("What they agreed to be texted about.")]
    proof: Annotated[Elsewhere, _of("Everything that proves it.")]
    frequency: Annotated[Frequency | None, _of("How often at most, where they said so.")] = None


def need_scope() -> None:
    """Raises Problem unless the key may attest."""
    if SCOPE not in guards.api_key().scopes:
        raise guards.lacks_scope(SCOPE)


def check(asked: GivenElsewhere, place: Place, *, now: datetime) -> Number:
    """What the rule must not even be asked about; gives the number. Raises Problem."""
    faults: list[tuple[api_body.Path, str]] = []
    oldest = timedelta(days=config.current().oldest_consent_days)
    for name in ("given_at", "confirmed_at"):
        moment: datetime | None = getattr(asked.proof, name)
        if moment is not None and moment > now + SKEW:
            faults.append((("proof", name), "Send when it was; that has not come yet."))
    if asked.proof.given_at < now - oldest:
        faults.append((("proof", "given_at"), "That is too long ago; ask the person anew."))
    # Nobody can say here that a person stated their age (RULE-10).
    offered = {row.slug for row in pages.offered() if row.age_gate is None}
    faults += [
        (("categories", at), "Send the slug of a category that this site offers to all ages.")
        for at, slug in enumerate(asked.categories)
        if slug not in offered or not place.offers(slug)
    ]
    if faults:
        raise api_body.problem(faults)
    return api_fields.number_of(asked.number, place)


def record(asked: GivenElsewhere, number: Number, place: Place, *, now: datetime) -> dict[str, Any]:
    """Write it, in the caller's transaction; gives the answer. Raises Problem, and keeps nothing
    then but a breaker that tripped."""
    language = asked.proof.wording_language[:2]
    wanted = Wanted(
        categories=frozenset(asked.categories),
        site=place.slug,
        language=language if language in LANGUAGES else place.language,
        frequency=asked.frequency,
    )
    book: Book = current_app.extensions[_BOOK]
    try:
        done = elsewhere.record(number, wanted, _given(asked.proof), book=book, now=now)
    except Refused as error:
        db.session.commit()
        reason, sentence = error.reason.value, SENTENCES[error.reason]
        raise Problem(409, "This turns no texts on", sentence, reason=reason) from None
    except Limited:
        db.session.commit()
        raise Problem(
            429,
            "Too many texts",
            "Nothing was recorded. Send it again later, and not all at once.",
            headers={"Retry-After": _AGAIN},
        ) from None
    return _answer(done)


def _given(seen: Elsewhere) -> Given:
    confirmed = api_fields.iso(seen.confirmed_at)
    answer = {
        "answer": seen.answer,
        "collected_by": seen.collected_by,
        "reference": seen.reference,
        "key": guards.api_key().name,
        "place": seen.place,
        "confirmed_at": confirmed,
        "confirmation": seen.confirmation,
    }
    return Given(
        given_at=seen.given_at,
        method=seen.method,
        wording=seen.wording,
        language=seen.wording_language,
        answer={name: said for name, said in answer.items() if said},
        page_url=seen.page_url or "",
        ip=seen.ip or "",
        user_agent=seen.user_agent[:400],
        proven=confirmed is not None,
    )


def _answer(done: Recorded) -> dict[str, Any]:
    level = {"opt_in_level": done.level.value} if done.level else {}
    return {"status": "recorded", "event": done.event, **level}
