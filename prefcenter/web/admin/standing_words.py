"""Where a person stands, now or on some day, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from flask import request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter.models import Deliverability, Status
from prefcenter.upkeep import event_words, timeline
from prefcenter.upkeep.timeline import Point, Standing
from prefcenter.web import guards

STATUSES: dict[Status, tuple[Any, str]] = {
    Status.SUBSCRIBED: (_l("Texts on"), "ok"),
    Status.PENDING: (_l("Asked, not confirmed"), "warn"),
    Status.UNSUBSCRIBED: (_l("Stopped"), "bad"),
    Status.NOT_SUBSCRIBED: (_l("Not subscribed"), "plain"),
    Status.REDACTED: (_l("Erased"), "plain"),
}
ARRIVES: dict[Deliverability, tuple[Any, str]] = {
    Deliverability.OK: (_l("Yes"), "ok"),
    Deliverability.SOFT_FAILED: (_l("Not lately"), "warn"),
    Deliverability.INVALID: (_l("No, it does not work"), "bad"),
    Deliverability.DEACTIVATED: (_l("No, out of service"), "bad"),
    Deliverability.REASSIGNED: (_l("New owner"), "warn"),
}
_ANSWERS: dict[Standing | None, Any] = {
    None: _l("No. Nothing is known of this number from before then."),
    Standing.ASKED: _l("No. It had been asked, and had not said yes."),
    Standing.UNANSWERED: _l("No. It had been asked, and did not say yes in time."),
    Standing.ON: _l("Yes, it was subscribed."),
    Standing.PAUSED: _l("Yes, it was subscribed, and texts were paused."),
    Standing.OFF: _l("No. It had stopped all texts."),
    Standing.NOT_ON: _l("No. It had not said yes to our request."),
    Standing.NEW_OWNER: _l("No. The number had a new owner."),
    Standing.ERASED: _l("No. The person had been erased."),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks about: a day, and perhaps a time on it, on the reader's clock."""

    day: date
    clock: time | None

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The moment twice, or when the day began and ended."""
        zone = guards.staff().zone
        if self.clock is not None:
            moment = timeline.moment_of(self.day, self.clock, zone)
            return moment, moment
        return timeline.bounds_of(self.day, zone)


class WhenError(ValueError):
    """The day or the time cannot be answered for; its text says why."""


def asked_about(*, now: datetime) -> Asked | None:
    """What this request asks about; None where it does not. Raises WhenError."""
    day, clock = request.args.get("on", ""), request.args.get("time", "")
    if not day:
        return None
    try:
        asked = Asked(date.fromisoformat(day), _clock(clock) if clock else None)
        start, _end = asked.span
    except (ValueError, OverflowError) as error:
        raise WhenError(_("Write the day like 2026-04-10 and the time like 14:30.")) from error
    if start > now:
        raise WhenError(_("That has not come yet. Choose a day up to today."))
    return asked


@dataclass(frozen=True, slots=True)
class Answer:
    """One standing in a sentence, since when, and the event that decides, where there is one."""

    sentence: str
    since: datetime | None = None
    by_time: bool = False
    event: str = ""
    event_at: datetime | None = None
    event_id: str = ""


def answers(events: Sequence[Any], asked: Asked) -> list[Answer]:
    """How it stood at that moment, or each standing of that day in turn."""
    start, end = asked.span
    if asked.clock is not None:
        return [_answer(timeline.state_at(events, start))]
    return [_answer(point) for point in timeline.between(events, start, end)]


def _answer(point: Point | None) -> Answer:
    sentence = str(_ANSWERS[point.standing if point else None])
    if point is None:
        return Answer(sentence)
    event: Any = point.event
    title = event_words.describe(event, {}).title
    return Answer(sentence, point.at, point.by_time, title, event.at, event.public_id)


def typed_moment(day: str, clock: str) -> datetime:
    """A day and a time of a form as a moment, on the reader's clock. Raises ValueError."""
    try:
        return timeline.moment_of(date.fromisoformat(day), _clock(clock), guards.staff().zone)
    except OverflowError as error:
        raise ValueError(day) from error


def _clock(text: str) -> time:
    clock = time.fromisoformat(text)
    if clock.tzinfo is not None:
        raise ValueError(text)
    return clock
