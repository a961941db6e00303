"""Texts that a person should read, webhooks that say nothing, and what was done with them.

A text may have been a wish to get no more texts, so each has a clock of ten business days
(RULE-21). What stands in it is hostile (SEC-38). Closed ones stay, with the decision (RULE-16).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import format_timedelta, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config, phone
from prefcenter.consent import business_days, outlook, reviews, second_look
from prefcenter.consent.outlook import Case, Outlook
from prefcenter.consent.second_look import Decision
from prefcenter.database import db
from prefcenter.models import Inbound, Person, Review, ReviewReason
from prefcenter.models_staff import Role
from prefcenter.sms import alarms
from prefcenter.staff import activity
from prefcenter.upkeep import review_list
from prefcenter.upkeep.review_list import Done, Place
from prefcenter.web import guards, htmx
from prefcenter.web.admin import shell, story_lines, typed

bp = Blueprint("admin_reviews", __name__, url_prefix="/admin")

LONGEST_NOTE = 300
READ = "read"
REASONS = {
    ReviewReason.LIKELY_REFUSAL: _l("Likely a refusal, so all texts stopped"),
    ReviewReason.MENTIONS_STOP: _l("A stop word stands in it; nothing stopped"),
    ReviewReason.DOUBTFUL_START: _l("A START whose time cannot be believed; nothing started"),
}
# What "it was not a refusal" would do, before it is pressed.
_BEFORE = {
    Outlook.PUT_BACK: _l("“It was not” turns their texts on again, as they were."),
    Outlook.PUT_BACK_KINDS: _l("“It was not” puts back the kinds of text that it ended."),
    Outlook.NOTHING: _l("It took nothing away, so “it was not” only closes this."),
    Outlook.BACK_ALREADY: _l("They came back by themselves; “it was not” only closes this."),
    Outlook.NOT_CONFIRMED: _l("They had not said yes yet, so there is nothing to put back."),
    Outlook.STOPPED_SINCE: _l("Something else stopped them since, so nothing is put back."),
    Outlook.NEW_OWNER: _l("The number may have a new owner, so nothing is put back."),
    Outlook.OTHER_FIRST: _l("Another text of theirs may be a refusal: decide on that one first."),
    Outlook.ASKED: _l("They may still answer which texts to keep: decide on this one later."),
}
_DONE = {
    Done.STOPPED: _l("It was a refusal: texts stopped"),
    Done.KEPT_STOPPED: _l("It was a refusal: texts stayed off"),
    Done.PUT_BACK: _l("It was none: put back"),
    Done.NOT_REFUSAL: _l("It was none; nothing to put back"),
    Done.READ: _l("Read"),
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open review as the page shows it."""

    review: Review
    inbound: Inbound
    person: Person | None
    text: str
    reason: str
    age: str
    left: str
    overdue: bool
    before: str
    may_decide: bool
    may_deny: bool


@bp.get("/review", endpoint="reviews")
@guards.role(Role.VIEWER)
def overview() -> Response:
    return _page()


@bp.post("/review/<public_id>/refusal")
@guards.role(Role.EDITOR)
def refusal(public_id: str) -> BaseResponse:
    """It was a refusal: it stays stopped, or stops now."""

    def rule(case: Case, decision: Decision, now: datetime) -> str:
        stopped = second_look.confirm_refusal(case, decision, now=now)
        kept, done = _("Kept: it was a refusal."), _("All texts are off, from now on.")
        return str(done if stopped else kept)

    return _decide(public_id, "review_closed", "refusal", rule)


@bp.post("/review/<public_id>/no-refusal")
@guards.role(Role.EDITOR)
def no_refusal(public_id: str) -> BaseResponse:
    """It was none: what it took away is put back, unless something else stopped them."""

    def rule(case: Case, decision: Decision, now: datetime) -> str:
        back = second_look.deny_refusal(case, decision, now=now)
        kept, done = _("Kept: it was no refusal."), _("It is put back as it was.")
        return str(done if back else kept)

    return _decide(public_id, "review_restored", "no refusal", rule)


@bp.post("/review/<public_id>/read")
@guards.role(Role.EDITOR)
def read(public_id: str) -> BaseResponse:
    """Read, and nothing is to be done. A likely refusal is decided on: it took their texts away."""

    def rule(_case: Case, _decision: Decision, _now: datetime) -> str:
        return str(_("It is closed."))

    return _decide(public_id, "review_closed", READ, rule)


@bp.post("/review/unreadable/<int:row_id>/seen")
@guards.role(Role.EDITOR)
def seen(row_id: int) -> BaseResponse:
    """Somebody has looked at a webhook that says nothing."""
    guards.begin_staff_write()
    if row_id < 2**63 and alarms.seen(row_id, now=clock.now()):
        details = {"webhook": row_id}
        activity.record(guards.staff(), "alarm_acknowledged", details=details, now=clock.now())
        db.session.commit()
        return _after(_("Marked as seen."))
    db.session.rollback()
    return _after(_("Somebody has seen it before."))


def _decide(
    public_id: str, action: str, decision: str, rule: Callable[[Case, Decision, datetime], str]
) -> BaseResponse:
    """One decision with its reason, in one transaction with all that it does."""
    note, staff = typed.text("note"), guards.staff()
    if not 1 <= len(note) <= LONGEST_NOTE:
        return _page(public_id, _("Write what you know of 1 to 300 characters."), note)
    guards.begin_staff_write()
    now = clock.now()
    case = second_look.take(public_id, now=now)
    if case is None:
        db.session.rollback()
        return _after(_("Somebody has closed it before, or there is none."))
    if why_not := _why_not(case, decision):
        db.session.rollback()
        return _page(public_id, why_not, note, status=409)
    countries, own = config.current().countries, case.inbound.number
    why = phone.mask_numbers(note, countries, own)  # in the proof for good (SEC-7)
    sentence = rule(case, Decision(staff.name, why), now)
    db.session.flush()
    reviews.close(public_id, staff.name, why, now)
    details = {"decision": decision}
    activity.record(staff, action, subject=public_id, details=details, now=now)
    db.session.commit()
    return _after(sentence)


def _why_not(case: Case, decision: str) -> str:
    """Why this cannot be decided so, in a sentence; empty where it can."""
    if decision == outlook.NO_REFUSAL and case.outlook in outlook.NOT_YET:
        return str(_BEFORE[case.outlook])
    if decision == READ and case.review.reason is ReviewReason.LIKELY_REFUSAL:
        return str(_("This one stopped their texts: say whether it was a refusal or not."))
    return ""


def _after(sentence: str) -> BaseResponse:
    if htmx.wanted():
        return _page(said=sentence)
    behind = _behind()
    return shell.done(url_for(".reviews", waiting=str(behind) if behind else None), sentence)


def _behind() -> Place | None:
    """The place behind which the open ones are shown, so that a decision leads back to it."""
    return Place.read(request.args.get("waiting", ""))


def _page(
    wrong: str = "", error: str = "", note: str = "", *, said: str = "", status: int = 0
) -> Response:
    """Both lists, and what was closed, or only further open ones where htmx reads on; `wrong` is
    the review whose form was refused."""
    now, behind = clock.now(), _behind()
    rows, further = review_list.waiting(behind)
    after = request.args.get("closed", "")
    closed, older = review_list.closed(
        after if after.isascii() and after.isdigit() and len(after) < 19 else ""
    )
    return shell.render(
        "admin/reviews.html",
        "admin/_reviews_open.html" if behind and request.method == "GET" else "admin/_reviews.html",
        status=status or (422 if error else 200),
        waiting=[_waiting(*row, now) for row in rows],
        behind=str(behind) if behind else None,
        further=str(further) if further else None,
        closed=closed,
        older=older,
        after=after,
        done=_DONE,
        plain=story_lines.plain,
        unreadable=review_list.unreadable(),
        count=reviews.open_count(),
        wrong=wrong,
        error=error,
        note=note,
        said=said,
    )


def _waiting(review: Review, inbound: Inbound, person: Person | None, now: datetime) -> Waiting:
    found = outlook.look(review, inbound, person, now=now)
    decides = review.reason is not ReviewReason.DOUBTFUL_START
    left = business_days.left(business_days.day_of(now), review.due_on)
    likely = review.reason is ReviewReason.LIKELY_REFUSAL
    return Waiting(
        review=review,
        inbound=inbound,
        person=person,
        text=story_lines.plain(inbound.text),
        reason=str(REASONS[review.reason]),
        age=str(_("It came %(age)s ago.", age=_age(now - inbound.received_at))),
        left=_left(left),
        overdue=left < 0,
        before=str(_BEFORE[found.outlook]) if likely else "",
        may_decide=decides,
        may_deny=found.outlook not in outlook.NOT_YET,
    )


def _age(passed: timedelta) -> str:
    """In whole days, from the second one on: a clock of days is not rounded to weeks."""
    days = passed.days
    words: Any = ngettext("%(num)s day", "%(num)s days", days)
    return str(words if days > 1 else format_timedelta(passed, granularity="minute"))


def _left(days: int) -> str:
    words: Any
    if days > 0:
        words = ngettext("%(num)s business day left", "%(num)s business days left", days)
    elif days == 0:
        words = _("Due today")
    else:
        words = ngettext(
            "Overdue by %(num)s business day", "Overdue by %(num)s business days", -days
        )
    return str(words)
