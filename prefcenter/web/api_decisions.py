"""`POST /api/v1/decisions`: may this number be texted about this now? (SEC-40)

Reads the database and answers; with `reserve` an allowed text counts at once. Numbers stand in
bodies only, and answers repeat none of them. docs/decisions-api.md is the page for callers.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Literal

from flask import Blueprint, Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, model_validator

from prefcenter import clock, config
from prefcenter.consent import api_keys, deciding, reserving
from prefcenter.consent.deciding import Answer
from prefcenter.consent.permission import Decision, Kind, Reason, Rules
from prefcenter.database import begin_write, db
from prefcenter.phone import is_e164
from prefcenter.sms import unstored
from prefcenter.web import (
    api_body,
    api_decision_examples,
    api_fields,
    api_limits,
    api_spec,
    guards,
    idempotency,
)
from prefcenter.web.api_decision_words import Closed, Decisions, Pen
from prefcenter.web.errors import Problem

bp = Blueprint("api_decisions", __name__, url_prefix="/api/v1")
MOST_NUMBERS = 10_000
MOST_BYTES = 512 * 1024
_EARLIEST = timedelta(minutes=5)  # clocks differ by so much
_LATEST = timedelta(days=366)  # longer than any delay that we answer
_BOOK = "prefcenter.quiet_hours"
_E164 = "Send it as E.164: a plus, the country code and the number, in digits."
_WHEN = "Send a moment from now on, within a year; for now leave it out."


def _of(words: str, **more: object) -> object:
    return Field(description=words, **more)  # type: ignore[call-overload]  # as Field takes them


Short = Annotated[str, Field(max_length=20)]


class Question(BaseModel):
    """One number, or many in one list."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: Annotated[str | None, _of("In E.164.", max_length=20, repr=False)] = None
    numbers: Annotated[
        list[Short] | None,
        _of("Up to 10,000 in E.164.", min_length=1, max_length=MOST_NUMBERS, repr=False),
    ] = None
    category: Annotated[str, _of("The slug of what the text is about.", max_length=40)]
    kind: Annotated[
        Literal["marketing", "transactional"],
        _of("What the text is for; `transactional` only in categories that are flagged so."),
    ]
    at: Annotated[
        api_fields.Moment | None, _of("When it would be sent; now, where it is left out.")
    ] = None
    reserve: Annotated[
        bool, _of("Count the text at once, if it is allowed: one marketing text of now.")
    ] = False

    @model_validator(mode="after")
    def _one_or_many(self) -> "Question":
        if (self.number is None) == (self.numbers is None):
            raise ValueError("Send either number or numbers.")
        if self.reserve and (self.numbers is not None or self.at or self.kind != "marketing"):
            raise ValueError("Reserve one marketing text of now: a number, without at.")
        return self


@bp.post("/decisions")
@guards.scope("decide")
@api_spec.call(
    "May this number be texted about this?",
    body=Question,
    answer=Decisions,
    asks=api_decision_examples.ASKS,
    answers=api_decision_examples.ANSWERS,
    idempotent=True,
    judged_anew=True,
)
def decide() -> ResponseReturnValue:
    """One answer for `number`, or a list with one for each of `numbers`, in the same order. Text
    only on `allow`. With `reserve` an `Idempotency-Key` keeps a repeated call from counting
    twice, in the hour for which it counts and while it is still allowed; other questions change
    nothing and need none."""
    request.max_content_length = MOST_BYTES
    now, asked = clock.now(), api_body.read(Question)
    if asked.reserve:
        return _reserved(asked, now)
    at, kind, rules = _moment(asked.at, now), Kind(asked.kind), _rules(now)
    if asked.numbers is None:
        number = asked.number or ""
        _check([number], single=True)
        within = guards.reading()
        answer = deciding.one(number, asked.category, kind, rules, at=at, now=now, within=within)
        _count([answer])
        return _json(Pen(now).one(answer))
    _check(asked.numbers, single=False)
    guards.done_reading()
    answers = deciding.many(asked.numbers, asked.category, kind, rules, at=at, now=now)
    _count(answers)
    return _json(Pen(now).many(answers))


@bp.post("/reservations/<ref>/sent")
@guards.scope("decide")
@api_spec.call(
    "A reserved text was sent",
    answer=Closed,
    problems=(404, 409),
    answers=api_decision_examples.SENT,
    path={"ref": "The reservation's id, from an answer to this key."},
    idempotent=True,
)
def sent(ref: str) -> ResponseReturnValue:
    """It counts for good, from now on, also where that is said after the reservation expired."""
    return _close(ref, reserving.sent, "sent", "It was released before; ask anew.")


@bp.post("/reservations/<ref>/release")
@guards.scope("decide")
@api_spec.call(
    "A reserved text will not be sent",
    answer=Closed,
    problems=(404, 409),
    answers=api_decision_examples.RELEASED,
    path={"ref": "The reservation's id, from an answer to this key."},
    idempotent=True,
)
def release(ref: str) -> ResponseReturnValue:
    """It no longer counts."""
    return _close(ref, reserving.release, "released", "It was sent before, so it counts.")


def _close(
    ref: str, rule: Callable[..., bool | None], word: str, too_late: str
) -> ResponseReturnValue:
    key, now = guards.api_key(), clock.now()
    guards.done_reading()
    begin_write()
    if (again := idempotency.earlier()) is not None:
        return again
    done = rule(ref, key=key.name, now=now)
    if done is None:
        raise Problem(404, "There is no such reservation", "Send the id of an answer to this key.")
    if not done:
        raise Problem(409, "This reservation is closed", too_late)
    api_keys.touch(key, now=now)
    answer = idempotency.keep(jsonify(status=word))
    db.session.commit()
    return answer


def _reserved(asked: Question, now: datetime) -> ResponseReturnValue:
    number, key = asked.number or "", guards.api_key()
    _check([number], single=True)
    rules, pen = _rules(now), Pen(now)
    guards.done_reading()
    begin_write()
    # Who waited for the lock may have waited with a STOP that gave up (REL-16).
    rules = replace(rules, stop_unrecorded=unstored.current().misses(now=now))
    if (again := idempotency.earlier(reserving.HELD_FOR)) is not None:
        return _repeated(again, asked, rules, pen, now)
    answer, ref = reserving.reserve(number, asked.category, rules, key=key.name, now=now)
    api_keys.touch(key, now=now)
    response = _json(pen.one(answer, held=(ref, now + reserving.HELD_FOR) if ref else None))
    if ref:  # anything else changed nothing, and may be so no longer when it is asked again
        idempotency.keep(response)
    db.session.commit()
    _count([answer])
    return response


def _repeated(
    first: Response, asked: Question, rules: Rules, pen: Pen, now: datetime
) -> ResponseReturnValue:
    """The first answer once more, while it is still allowed: a STOP since then counts (INV-1)."""
    ref = first.get_json().get("reservation", {}).get("id", "")
    asks = (asked.number or "", asked.category, rules)
    answer = reserving.judge_anew(ref, *asks, key=guards.api_key().name, now=now)
    db.session.rollback()
    return first if answer.verdict.decision is Decision.ALLOW else _json(pen.one(answer))


def _check(numbers: list[str], *, single: bool) -> None:
    if all(map(is_e164, numbers)):
        return
    faults: list[tuple[api_body.Path, str]] = [
        (("number",) if single else ("numbers", at), _E164)
        for at, number in enumerate(numbers)
        if not is_e164(number)
    ]
    raise api_body.problem(faults[:20])


def _moment(at: datetime | None, now: datetime) -> datetime:
    """When the text would leave; one of a moment ago is of now, by another clock."""
    if at is None:
        return now
    if not now - _EARLIEST <= at <= now + _LATEST:
        raise api_body.problem([(("at",), _WHEN)])
    return max(at, now)


def _rules(now: datetime) -> Rules:
    missing = unstored.current().holds(now=now)
    return Rules(current_app.extensions[_BOOK], config.current().brand_cap, missing)


def _count(answers: list[Answer]) -> None:
    """Against searching for who is a customer (SEC-39)."""
    key = guards.api_key()
    api_limits.count_numbers(key, len(answers))
    unknown = sum(answer.verdict.reason is Reason.UNKNOWN_NUMBER for answer in answers)
    api_limits.count_unknown(key, unknown)


def _json(text: str) -> Response:
    return Response(text + "\n", mimetype="application/json")
