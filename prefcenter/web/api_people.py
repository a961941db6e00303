"""`POST /api/v1/opt-outs` and `POST /api/v1/people/lookup`: one number, named in the body alone.

An opt-out is answered alike whoever the number belongs to: a key that may write learns nothing of
who is a customer (SEC-24). A lookup tells what is so, to a key that may read.
"""

from typing import Annotated, Any, Literal

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from prefcenter import clock, config, phone
from prefcenter.consent import api_keys, passed_on
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.database import begin_write, db, is_public_id
from prefcenter.models import (
    Action,
    Deliverability,
    EventKind,
    OptInLevel,
    Person,
    Source,
    Status,
)
from prefcenter.sms import alarms
from prefcenter.upkeep import lookup
from prefcenter.web import (
    api_body,
    api_examples,
    api_fields,
    api_limits,
    api_spec,
    guards,
    idempotency,
)
from prefcenter.web.api_fields import Moment, Slugs, Typed, Words, iso

bp = Blueprint("api_people", __name__, url_prefix="/api/v1")
_USUAL = 20


def _of(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


def _event(text: str) -> str:
    if is_public_id(text):
        return text
    raise ValueError("Send the `next` of an earlier answer.")


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class OptOut(BaseModel):
    """A refusal that reached you: on the phone, by letter, in your shop's account page."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: Annotated[Typed, _of("As it was typed, or in E.164; any number, known or not.")]
    channel: Annotated[Channel, _of("How it reached you.", strict=False)]
    received_at: Annotated[Moment, _of("When it reached you.")]
    note: Annotated[Words, _of("In their words, or in yours.", max_length=1000)]
    categories: Annotated[
        Slugs | None, _of("Refuses these alone; left out, it refuses all texts.")
    ] = None


class Recorded(BaseModel):
    """It is on record."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[Literal["recorded"], _of("Whoever the number belongs to.")]
    event: Annotated[str, _of("The event that proves it; there is one for each call.")]


class Lookup(BaseModel):
    """Whose state is asked for, and which part of their history."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: Annotated[Typed, _of("As it was typed, or in E.164.")]
    limit: Annotated[int, _of("So many events at most.", ge=1, le=lookup.MOST)] = _USUAL
    before: Annotated[
        str | None,
        AfterValidator(lambda text: text if text is None else _event(text)),
        _of("`next` of an answer: events older than that one."),
    ] = None


class PastEvent(BaseModel):
    """One entry of the ledger, without anything that people typed."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, _of("Its id, as decisions and the events feed name it.")]
    at: Annotated[Time, _of("When it was recorded.")]
    kind: Annotated[EventKind, _of("What it did.")]
    action: Annotated[Action | None, _of("Whether it raised or lowered the consent.")]
    source: Annotated[Source, _of("Through which door it came.")]
    source_detail: Annotated[str | None, _of("The site, key or keyword; not who of the staff.")]
    language: Annotated[str, _of("In which language it was.")]
    wording_sha256: Annotated[str | None, _of("SHA-256 of the text that was shown.")]
    refers_to: Annotated[str | None, _of("The request that it answers.")]
    changes: Annotated[dict[str, Any], _of("What it changed.")]


class LookedUp(BaseModel):
    """Where a number stands."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[Status | Literal["unknown"], _of("`unknown`: nobody has this number.")]
    person: Annotated[str | None, _of("Their id, as in the events feed.")]
    opt_in_level: Annotated[OptInLevel | None, _of("How sure their consent is.")]
    categories: Annotated[list[str], _of("What they take now.")]
    requested: Annotated[list[str], _of("What they asked for, while pending.")]
    frequency: Annotated[str | None, _of("`all`, or at most `N/week` or `N/month`.")]
    paused_until: Annotated[Time | None, _of("No texts before that.")]
    language: Annotated[str | None, _of("In which they are texted.")]
    zone: Annotated[str | None, _of("IANA name, where they said one.")]
    country: Annotated[str | None, _of("ISO code of the number's country.")]
    deliverability: Annotated[Deliverability | None, _of("Whether texts arrive.")]
    suppressed: Annotated[bool, _of("On the list of those that get nothing.")]
    confirmed_at: Annotated[Time | None, _of("When the consent was given.")]
    opted_out_at: Annotated[Time | None, _of("When they last stopped.")]
    opt_out_source: Annotated[Source | None, _of("Through which door they last stopped.")]
    history: Annotated[list[PastEvent], _of("The newest events, newest first.")]
    next: Annotated[str | None, _of("Send it as `before` for older events; none: that is all.")]
    as_of: Annotated[Time, _of("When this was so.")]
    degraded: Annotated[bool, _of("STOPs may have been missed; see `prefcenter alarm`.")]


@bp.post("/opt-outs")
@guards.scope("write")
@api_spec.call(
    "Record a refusal that came another way",
    body=OptOut,
    answer=Recorded,
    asks=api_examples.OPT_OUTS,
    answers=api_examples.RECORDED,
    idempotent=True,
)
def opt_out() -> ResponseReturnValue:
    """It counts at once and each time, for every number; one that nobody knows cannot be signed
    up by a form afterwards. One text acknowledges it, to a subscriber within five minutes."""
    now, asked = clock.now(), api_body.read(OptOut)
    number = api_fields.any_number(asked.number)
    refused = api_fields.known_categories(asked.categories or ())
    key = guards.api_key()
    countries = config.current().countries
    wish = Wish(
        channel=asked.channel,
        received_at=asked.received_at,
        note=phone.mask_numbers(asked.note, countries, number.e164),
        by=key.name,
        source=Source.API,
    )
    try:
        wish.check(now=now)
    except ValueError:
        sentence = "Send when it reached you; that has not come yet."
        raise api_body.problem([(("received_at",), sentence)]) from None
    db.session.rollback()  # what was read until here
    begin_write()
    if (again := idempotency.earlier()) is not None:
        return again
    event = passed_on.record(number, wish, refused, now=now)
    api_keys.touch(key, now=now)
    response = jsonify(status="recorded", event=event)
    idempotency.keep(response)
    db.session.commit()
    return response


@bp.post("/people/lookup")
@guards.scope("read")
@api_spec.call(
    "Look up where one number stands",
    body=Lookup,
    answer=LookedUp,
    asks=api_examples.LOOKUPS,
    answers=api_examples.LOOKED_UP,
)
def look_up() -> ResponseReturnValue:
    """For people at a help desk and programs that compare; before you text, ask for a decision
    instead. A number that nobody knows is 200, too: `unknown`, perhaps `suppressed`."""
    now, asked = clock.now(), api_body.read(Lookup)
    number, key = api_fields.any_number(asked.number), guards.api_key()
    try:
        found = lookup.find(number.e164, most=asked.limit, before=asked.before)
    except lookup.NoSuchEvent:
        sentence = "Send the `next` of an answer about this number."
        raise api_body.problem([(("before",), sentence)]) from None
    answer = _standing(found) | {
        "history": [_told(row) for row in found.history],
        "next": found.older,
        "as_of": iso(now),
        "degraded": alarms.texts_missed(),
    }
    if found.person is None and not found.suppressed:
        api_limits.count_unknown(key, 1)
    if api_keys.is_due(key, now=now):
        db.session.rollback()
        begin_write()
        api_keys.touch(key, now=now)
        db.session.commit()
    return jsonify(answer)


def _standing(found: lookup.Found) -> dict[str, Any]:
    person = found.person or Person()
    return {
        "status": person.status.value if found.person else "unknown",
        "person": person.public_id,
        "opt_in_level": person.opt_in_level,
        "categories": list(found.categories),
        "requested": person.requested or [],
        "frequency": person.frequency,
        "paused_until": iso(person.paused_until),
        "language": person.language,
        "zone": person.zone,
        "country": person.country,
        "deliverability": person.deliverability,
        "suppressed": found.suppressed,
        "confirmed_at": iso(person.confirmed_at),
        "opted_out_at": iso(person.opted_out_at),
        "opt_out_source": person.opt_out_source,
    }


def _told(row: Any) -> dict[str, Any]:
    return {
        "id": row.public_id,
        "at": iso(row.at),
        "kind": row.kind,
        "action": row.action,
        "source": row.source,
        "source_detail": lookup.detail(row),
        "language": row.language,
        "wording_sha256": row.wording_sha256,
        "refers_to": row.refers_to,
        "changes": lookup.changes(row),
    }
