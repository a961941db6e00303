"""How a decision is said: a sentence for each reason, the answer's bytes, and what describes both.

The bytes are put together by hand, because ten thousand dicts cost several times what finding the
answers does. Nothing in them needs escaping: our own words, ids, moments and hashes.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from prefcenter.consent.deciding import Answer
from prefcenter.consent.granting import Grant
from prefcenter.consent.permission import Decision, Reason, Verdict
from prefcenter.models import Source
from prefcenter.web.api_fields import iso

SENTENCES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.SUBSCRIBED: "This number may be texted about this now.",
        Reason.UNKNOWN_NUMBER: "Nobody with this number has signed up.",
        Reason.UNKNOWN_CATEGORY: "There is no such category.",
        Reason.CATEGORY_RETIRED: "This category is no longer offered.",
        Reason.NOT_SUBSCRIBED: "This number has no subscription.",
        Reason.PENDING: "This number was asked to confirm and has not answered.",
        Reason.UNSUBSCRIBED: "This number has stopped all texts.",
        Reason.SUPPRESSED: "This number is on the list of those that get nothing.",
        Reason.ERASED: "Whoever had this number was erased.",
        Reason.UNREACHABLE: "Texts to this number do not arrive.",
        Reason.NOT_THIS_CATEGORY: "This person does not take this category.",
        Reason.NOT_TRANSACTIONAL: "This category is not for transactional texts.",
        Reason.NO_EVIDENCE: "No event grants this.",
        Reason.STOP_WAITING: "This number sent a text that is not worked yet; it may be a STOP.",
        Reason.STOP_UNRECORDED: "A text that came in could not be stored; it may be a STOP.",
        Reason.PAUSED: "This person has paused texts.",
        Reason.FREQUENCY: "This person gets as many texts as they chose already.",
        Reason.BRAND_CAP: "This person gets as many texts as the brand allows already.",
        Reason.STATE_CAP: "This person got as many texts in 24 hours as their state allows.",
        Reason.QUIET_HOURS: "It is too early or too late where this person is.",
    }
)


def _of(words: str, **more: Any) -> Any:
    return Field(description=words, **more)


class Evidence(BaseModel):
    """The event of the ledger that a consent rests on."""

    model_config = ConfigDict(extra="forbid")

    event: Annotated[str, _of("Its id, as in the events feed and in a lookup's history.")]
    at: Annotated[datetime, _of("When it was recorded.")]
    source: Annotated[Source, _of("Through which door it came.")]
    wording_sha256: Annotated[str | None, _of("SHA-256 of the text that was agreed to.")]


class Held(BaseModel):
    """A text that counts already, though it is not sent yet."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, _of("For `/reservations/ID/sent` or `/release`.")]
    expires_at: Annotated[datetime, _of("From then on it no longer counts, unless it was sent.")]


class Decided(BaseModel):
    """May this number be texted about this?"""

    model_config = ConfigDict(extra="forbid")

    decision: Annotated[
        Literal["allow", "deny", "delay"],
        _of("`allow`: text now. `delay`: ask again at `not_before`. `deny`: do not text."),
    ]
    reason: Annotated[Reason, _of("Why; a word that never changes its meaning.")]
    detail: Annotated[str, _of("Why, as a sentence.")]
    not_before: Annotated[
        datetime | None, _of("Of a delay: when it would be allowed, if nothing changed.")
    ] = None
    evidence: Annotated[Evidence | None, _of("What the consent rests on; not with `deny`.")] = None
    as_of: Annotated[datetime, _of("What was known then decided this.")]
    degraded: Annotated[bool, _of("STOPs may have been missed; see `prefcenter alarm`.")]
    reservation: Annotated[Held | None, _of("Of an `allow` that was asked for with `reserve`.")] = (
        None
    )


class Decisions(RootModel[Decided | list[Decided]]):
    """One answer; of `numbers` one for each, in the same order."""


class Closed(BaseModel):
    """What a reservation is now."""

    model_config = ConfigDict(extra="forbid")

    status: Annotated[Literal["sent", "released"], _of("`sent` counts for good.")]


class Pen:
    """Writes the answers of one call, which share a moment."""

    def __init__(self, as_of: datetime) -> None:
        said = f',"as_of":"{iso(as_of)}","degraded":'
        self._tails = (f"{said}false", f"{said}true")
        self._heads: dict[int, tuple[Verdict, str]] = {}  # by identity: equal ones are shared

    def one(self, answer: Answer, *, held: tuple[str, datetime] | None = None) -> str:
        """An object; `held` is a reservation and when it ends."""
        verdict, grant, missed = answer
        known = self._heads.get(id(verdict))
        if known is None:
            known = self._heads[id(verdict)] = verdict, _head(verdict)
        evidence = _evidence(grant) if grant else ""
        return f"{known[1]}{evidence}{self._tails[missed]}{_held(*held) if held else ''}}}"

    def many(self, answers: Iterable[Answer]) -> str:
        return f"[{','.join(map(self.one, answers))}]"


def _head(verdict: Verdict) -> str:
    said, moment = _why(verdict.decision, verdict.reason), verdict.not_before
    if moment is None:
        return said
    rounded = moment + timedelta(microseconds=-moment.microsecond % 1000)  # never too early
    return f'{said},"not_before":"{iso(rounded)}"'


@cache
def _why(decision: Decision, reason: Reason) -> str:
    said = {"decision": decision.value, "reason": reason.value, "detail": SENTENCES[reason]}
    return json.dumps(said, separators=(",", ":"))[:-1]


def _evidence(grant: Grant) -> str:
    wording = f'"{grant.wording_sha256}"' if grant.wording_sha256 else "null"
    return (
        f',"evidence":{{"event":"{grant.event}","at":"{grant.at}","source":"{grant.source}"'
        f',"wording_sha256":{wording}}}'
    )


def _held(ref: str, until: datetime) -> str:
    return f',"reservation":{{"id":"{ref}","expires_at":"{iso(until)}"}}'
