"""`GET /api/v1/audience` and `GET /api/v1/events`: what other programs take out of here.

The audience leaves as a stream, in pieces that hold no lock and little memory; that it was
taken is noted first, like every file that people take out (SEC-44). The feed is a page of the
ledger at a time. Numbers stand in bodies only, and no answer is kept by anything on its way.
A little long, because the models of what is sent stand beside the views that send it.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request, stream_with_context
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from prefcenter import clock
from prefcenter.consent import api_keys
from prefcenter.database import begin_write, db, is_public_id
from prefcenter.models_exports import ExportKind
from prefcenter.sms import alarms
from prefcenter.upkeep import audience_feed, event_feed, exports
from prefcenter.upkeep.audience_feed import Wanted
from prefcenter.upkeep.export_files import Format, iso
from prefcenter.web import api_body, api_query, api_spec, guards
from prefcenter.web.api_query import Whole
from prefcenter.web.errors import Problem

bp = Blueprint("api_exports", __name__, url_prefix="/api/v1")
RESUMABLE_FOR = timedelta(hours=24)  # who reads on later would text people who left since
AS_OF, EVENTS_AFTER, DEGRADED = "Prefcenter-As-Of", "Prefcenter-Events-After", "Prefcenter-Degraded"
MOST_EVENTS, _USUAL_EVENTS = 1_000, 100
_SKEW = timedelta(minutes=5)  # between two hosts of ours (REL-15)
_RETRY_SECONDS = 60
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
_FORMATS = {one.mimetype: one for one in (Format.NDJSON, Format.CSV)}


def _slug(text: str) -> str:
    if _SLUG.match(text):
        return text
    raise ValueError("Send a slug, like new-books; `prefcenter category list` shows them.")


def _person(text: str) -> str:
    if is_public_id(text):
        return text
    raise ValueError("Send what stands under person in the last whole line that you have.")


def _moment(text: str) -> str:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError(f"Send the {AS_OF} of the first answer, as it was.")
    return text


def _place(text: str) -> str:
    if text == event_feed.START or is_public_id(text):
        return text
    raise ValueError("Send the next of an earlier answer, or leave it out to begin.")


class AudienceQuery(BaseModel):
    """Which category, and where to read on from when a download broke off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Annotated[str, AfterValidator(_slug), Field(description="The slug of a category.")]
    cursor: Annotated[
        Annotated[str, AfterValidator(_person)] | None,
        Field(description="To read on: `person` in the last whole line that you have."),
    ] = None
    as_of: Annotated[
        Annotated[str, AfterValidator(_moment)] | None,
        Field(
            description=f"With `cursor`: the `{AS_OF}` of the first answer, at most 24 hours old.",
            json_schema_extra={"format": "date-time"},
        ),
    ] = None


class Texted(BaseModel):
    """Somebody who may be texted."""

    number: Annotated[str, Field(description="E.164; in CSV it begins with `tel:`.")]
    person: Annotated[str, Field(description="Their id, as in the events; also the cursor.")]
    country: Annotated[str, Field(description="ISO code of the number's country.")]
    zone: Annotated[str | None, Field(description="IANA name, where it is known.")]
    language: Annotated[str, Field(description="In which they are texted.")]
    frequency: Annotated[str, Field(description="`all`, or at most `N/week` or `N/month`.")]
    confirmed_at: Annotated[
        str,
        Field(description="When the consent was given.", json_schema_extra={"format": "date-time"}),
    ]


class End(BaseModel):
    """The last line: without it the file is not whole."""

    end: Annotated[bool, Field(description="Always true.")]
    rows: Annotated[int, Field(description="How many people this answer had.")]
    as_of: Annotated[
        str,
        Field(
            description="The moment that the file counts for.",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    events_after: Annotated[
        str | None,
        Field(description="Where the events go on from this file; none where it was read on."),
    ]
    degraded: Annotated[bool, Field(description="STOPs may have been missed.")] = False


class AudienceLine(RootModel[Texted | End]):
    """Somebody who may be texted; the last line says that the file is whole."""


class EventsQuery(BaseModel):
    """Where to read on from, and how many at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Annotated[
        str,
        AfterValidator(_place),
        Field(description="The `next` of the answer before; left out, the feed begins."),
    ] = event_feed.START
    limit: Annotated[Whole, Field(ge=1, le=MOST_EVENTS, description="So many events at most.")] = (
        _USUAL_EVENTS
    )


class Event(BaseModel):
    """One entry of the ledger. Its hash is over all of it but `number`, and `"format": 1`; where
    the source is `admin` also over who of the staff it was, which is not told."""

    id: Annotated[str, Field(description="Its own id.")]
    person: Annotated[str, Field(description="Whose it is; the same id for ever.")]
    number: Annotated[str | None, Field(description="None once that person was erased.")]
    seq: Annotated[int, Field(description="1, 2, 3 and so on for each person.")]
    at: Annotated[
        str, Field(description="When it was recorded.", json_schema_extra={"format": "date-time"})
    ]
    kind: Annotated[str, Field(description="What it did, like confirmed or revoked.")]
    action: Annotated[str | None, Field(description="opt-in, opt-out or re-opt-in.")]
    source: Annotated[str, Field(description="Through which door it came.")]
    source_detail: Annotated[
        str, Field(description="The site, key or keyword; empty of the staff.")
    ]
    language: Annotated[str, Field(description="In which language it was.")]
    wording_sha256: Annotated[str | None, Field(description="Of the text that was shown.")]
    refers_to: Annotated[str | None, Field(description="The id of the request it answers.")]
    changes: Annotated[dict[str, Any], Field(description="What it changed.")]
    evidence_hash: Annotated[str, Field(description="Of the sealed proof, which stays here.")]
    prev_hash: Annotated[str, Field(description="`hash` of the same person's event before.")]
    hash: Annotated[str, Field(description="SHA-256 over this event and `prev_hash`.")]


class Events(BaseModel):
    """Some events, oldest first."""

    events: Annotated[list[Event], Field(description="Oldest first.")]
    next: Annotated[str, Field(description="Send it as `after` for what comes next; keep it.")]
    more: Annotated[bool, Field(description="True when there are more already.")]


_LINE = {
    "number": "+12025550143",
    "person": "k3Jq0nVgS1yXw7Zb2dFh9A",
    "country": "US",
    "zone": None,
    "language": "en",
    "frequency": "4/month",
    "confirmed_at": "2026-11-24T15:00:00.000000Z",
}
_EVENT = {
    "id": "Zr8uP2sLq4TnYk6WvXc1Eg",
    "person": "k3Jq0nVgS1yXw7Zb2dFh9A",
    "number": "+12025550143",
    "seq": 3,
    "at": "2026-11-25T09:30:00.000000Z",
    "kind": "revoked",
    "action": "opt-out",
    "source": "sms",
    "source_detail": "STOP",
    "language": "en",
    "wording_sha256": None,
    "refers_to": None,
    "changes": {"scope": "all", "word": "stop"},
    "evidence_hash": "2f" * 32,
    "prev_hash": "9c" * 32,
    "hash": "b1" * 32,
}


@bp.get("/audience")
@guards.scope("export")
@api_spec.call(
    "Take out all numbers that may be texted about a category",
    query=AudienceQuery,
    answer=AudienceLine,
    media=tuple(_FORMATS),
    problems=(404, 406),
    asks={"offers": {"category": "offers"}},
    answers={"offers": _LINE},
)
def audience() -> ResponseReturnValue:
    """Streamed as NDJSON or CSV. It counts for the moment that the header Prefcenter-As-Of names;
    whoever leaves while it goes out is not in the rest. Quiet hours and caps are not in it: ask
    for a decision before each text. A file that breaks off is read on with cursor and as_of."""
    now, asked = clock.now(), api_query.read(AudienceQuery)
    wanted = _wanted(asked, _format(), now)
    if not audience_feed.is_live(wanted.category):
        sentence = "Send the slug of a category that is not retired."
        raise Problem(404, "There is no such category", sentence)
    head, kind = _head(wanted), f"{wanted.format.mimetype}; charset=utf-8"
    if request.method == "HEAD":
        return Response(iter(()), headers=head, content_type=kind)  # no length: nobody knows it
    export_id = _noted(wanted, now)
    pieces = exports.send(export_id, audience_feed.file(wanted), clock.now)
    return Response(stream_with_context(pieces), headers=head, content_type=kind)


@bp.get("/events")
@guards.scope("read")
@api_spec.call(
    "Follow the ledger",
    query=EventsQuery,
    answer=Events,
    asks={"begin": {"limit": 2}},
    answers={"begin": {"events": [_EVENT], "next": _EVENT["id"], "more": False}},
)
def events() -> ResponseReturnValue:
    """Every event, oldest first: none is left out and none comes twice, however many are written
    meanwhile. Keep next with what you made of the events, and ask again with it."""
    asked = api_query.read(EventsQuery)
    try:
        page = event_feed.page(asked.after, asked.limit)
    except event_feed.UnknownPlace:
        sentence = "No event has this id; leave it out to read from the beginning."
        raise api_body.problem([(("after",), sentence)]) from None
    return jsonify(events=page.events, next=page.next, more=page.more)


def _format() -> Format:
    """What `Accept` likes best; NDJSON where it does not say."""
    if not request.accept_mimetypes:
        return Format.NDJSON
    best = request.accept_mimetypes.best_match(_FORMATS)
    if best is None:
        names = " or ".join(_FORMATS)
        raise Problem(406, "We have it in other forms", f"Send Accept: {names}.")
    return _FORMATS[best]


def _wanted(asked: AudienceQuery, format_: Format, now: datetime) -> Wanted:
    as_of, after = _resumed(asked, now) if asked.cursor or asked.as_of else (now, 0)
    return Wanted(
        category=asked.category,
        format=format_,
        as_of=as_of,
        after=after,
        # Of a file that is read on, the first part's place counts: it may hold who left since.
        events_after=None if asked.cursor else event_feed.newest(),
        degraded=_degraded(),
    )


def _resumed(asked: AudienceQuery, now: datetime) -> tuple[datetime, int]:
    """The moment that the first part was of, and the row to read on behind."""
    for name, other in (("cursor", "as_of"), ("as_of", "cursor")):
        if getattr(asked, name) is None:
            raise api_body.problem([((name,), f"Send {other} and {name} together.")])
    as_of = datetime.fromisoformat(asked.as_of or "")
    if not now - RESUMABLE_FOR <= as_of <= now + _SKEW:
        sentence = "Begin anew: that is longer ago than a day, or still to come."
        raise api_body.problem([(("as_of",), sentence)])
    after = audience_feed.place_of(asked.cursor or "")
    if after is None:
        raise api_body.problem([(("cursor",), "Begin anew: nobody is known by that.")])
    return as_of, after


def _degraded() -> bool:
    """STOPs may have been missed, and nobody has settled that yet (REL-14)."""
    found = any(alarm.name == alarms.MISSED_TEXTS for alarm in alarms.current())
    db.session.rollback()  # what is written next begins anew
    return found


def _head(wanted: Wanted) -> Mapping[str, str]:
    found = {AS_OF: iso(wanted.as_of)}
    if wanted.events_after:
        found[EVENTS_AFTER] = wanted.events_after
    return found | ({DEGRADED: "true"} if wanted.degraded else {})


def _noted(wanted: Wanted, now: datetime) -> int:
    """Note the file, as one of the few that may go out at a time; commits."""
    key = guards.api_key()
    resumed = {"resumed": "yes"} if wanted.after else {}
    filters = {"category": wanted.category, **resumed}
    order = exports.Order(ExportKind.AUDIENCE, wanted.format, f"API key {key.name}", "", filters)
    begin_write()
    if exports.running(now=now) >= exports.MOST_AT_ONCE:
        db.session.rollback()
        sentence = f"Come again in {_RETRY_SECONDS} seconds; other exports are going out now."
        raise Problem(
            429, "Too many exports at once", sentence, headers={"Retry-After": str(_RETRY_SECONDS)}
        )
    export_id = exports.start(order, None, now=now)
    api_keys.touch(key, now=now)
    db.session.commit()
    db.session.remove()  # nothing stays open while somebody reads
    return export_id
