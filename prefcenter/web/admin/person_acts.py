"""What staff may do for one person, as rules with the words that say what each means.

An editor may lower what somebody gets, an owner may also look and erase; nothing here turns
texts on (SEC-44). None of it commits; person_actions.py has the pages and the commit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter import config, phone
from prefcenter.consent import by_hand
from prefcenter.consent.by_hand import Channel, Sent, Wish
from prefcenter.models import Deliverability, Person, Status
from prefcenter.staff import activity
from prefcenter.upkeep import erasure
from prefcenter.web import guards
from prefcenter.web.admin import standing_words, typed

LONGEST_REASON = 300
CHANNELS = {
    Channel.PHONE: _l("They phoned"),
    Channel.LETTER: _l("They wrote a letter"),
    Channel.EMAIL: _l("They wrote an e-mail"),
    Channel.IN_PERSON: _l("They said it in person"),
    Channel.ONLINE: _l("They chose it on a website or in an app"),
}
_NOT_SENT = {
    Sent.OFF: _l("Only somebody who is subscribed gets a link. Nothing was sent."),
    Sent.LAPSED: _l("The number was out of service and may have a new owner. Nothing was sent."),
    Sent.LIMITED: _l("This number, or all of its kind, got enough texts lately. Try again later."),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: a sentence for the person's page, or what to say on the form."""

    sentence: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


Rule = Callable[[Person, str, datetime], Outcome]


@dataclass(frozen=True, slots=True)
class Act:
    """Something that staff may do; `points` say what it means before it is done."""

    question: Any
    points: tuple[Any, ...]
    button: Any
    rule: Rule
    possible: Callable[[Person], bool]
    stop: bool = False
    note: Any = _l("Why do you do this?")


def _revoke(person: Person, reason: str, now: datetime) -> Outcome:
    given, errors = typed_wish(reason, now=now)
    if given is None:
        return Outcome(errors=errors)
    by_hand.revoke(person, given, now=now)
    details = {"channel": given.channel.value, "at": given.received_at.isoformat()}
    log(person, "person_revoked", "", now, details)  # their words stand in the proof
    return Outcome(_("All texts are off, from now on."))


def _send_link(person: Person, reason: str, now: datetime) -> Outcome:
    sent = by_hand.send_link(person, now=now)
    if sent is not Sent.DONE:
        return Outcome(fault=str(_NOT_SENT[sent]))
    log(person, "link_sent", reason, now)
    return Outcome(_("The link is on its way."))


def _correct(person: Person, reason: str, now: datetime) -> Outcome:
    before, wanted = person.deliverability, typed.text("deliverability")
    if wanted not in by_hand.corrections(person):
        return Outcome(errors={"deliverability": _("Choose one of these.")})
    by_hand.correct(person, Deliverability(wanted))
    details = {"deliverability": [before.value, wanted]}
    log(person, "deliverability_corrected", reason, now, details)
    return Outcome(_("It is corrected. The consent stays as it was."))


def _new_owner(person: Person, reason: str, now: datetime) -> Outcome:
    by_hand.new_owner(person, guards.staff().name, reason, now=now)
    log(person, "number_reassigned", "", now)
    return Outcome(_("The former owner's consent has ended and their links are closed."))


def _erase(person: Person, reason: str, now: datetime) -> Outcome:
    done = erasure.erase(person, by=guards.staff().name, reason=reason, now=now)
    if done is None:
        return Outcome(fault=_("This person was erased before."))
    details = {"texts": done.texts_out + done.texts_in, "evidence": done.evidence}
    log(person, "person_erased", reason, now, details)
    return Outcome(_("The person is erased."))


def _has_number(person: Person) -> bool:
    return person.number is not None


def _not_erased(person: Person) -> bool:
    return person.status is not Status.REDACTED


EDITORS: dict[str, Act] = {
    "revoke": Act(
        _l("Record that they want no texts?"),
        (
            _l("All texts stop at once, whatever is on its way is taken back."),
            _l("Only their own phone can turn texts on again, by texting START."),
            _l("One text says so, if they asked within the last five minutes; else none."),
        ),
        _l("Stop all texts"),
        _revoke,
        _not_erased,
        stop=True,
        note=_l("What did they say?"),
    ),
    "link": Act(
        _l("Send a new link to their preferences?"),
        (
            _l("It goes to their number, and counts like every text that they cause."),
            _l("With it they can change or stop their texts for themselves."),
        ),
        _l("Send the link"),
        _send_link,
        lambda person: by_hand.link_state(person) is Sent.DONE,
    ),
    "deliverability": Act(
        _l("Correct whether texts arrive?"),
        (_l("It changes nothing about what they agreed to."),),
        _l("Correct it"),
        _correct,
        lambda person: bool(by_hand.corrections(person)),
    ),
    "owner": Act(
        _l("Note that the number has a new owner?"),
        (
            _l("The former owner's consent ends, and their links are closed."),
            _l("The new owner starts from nothing, and may sign up."),
            _l("It cannot be undone."),
        ),
        _l("Note the new owner"),
        _new_owner,
        _has_number,
        stop=True,
    ),
}
OWNERS: dict[str, Act] = {
    "erase": Act(
        _l("Erase this person?"),
        (
            _l("Gone for good: the number, every text to and from it, what they saw and where"),
            _l("What stays: that something happened and when, which hashes prove, no name to it."),
            _l("The number stays on the list of those that get nothing, as a keyed hash only."),
            _l("A certificate, if anybody will ask for one, must be taken before."),
        ),
        _l("Erase for good"),
        _erase,
        _not_erased,
        stop=True,
    ),
    "number": Act(
        _l("Show the full number?"),
        (
            _l("It is shown once, on the next page."),
            _l("That you looked, and why, is kept in the admin log and in this person's story."),
        ),
        _l("Show it"),
        lambda _person, _reason, _now: Outcome(),
        _has_number,
    ),
}


def typed_reason(number: str | None) -> tuple[str, dict[str, str]]:
    """Why, as it is kept: with every number in it masked, this one in any spelling (SEC-48)."""
    reason = typed.text("reason")
    if 1 <= len(reason) <= LONGEST_REASON:
        return phone.mask_numbers(reason, config.current().countries, number), {}
    return reason, {"reason": _("Write a reason of 1 to 300 characters.")}


def typed_wish(reason: str, *, now: datetime) -> tuple[Wish | None, dict[str, str]]:
    """A revocation as it was typed in, or what is wrong with it, field by field."""
    errors = {}
    channel = typed.text("channel")
    if channel not in set(Channel):
        errors["channel"] = _("Choose how they told you.")
    try:
        received = standing_words.typed_moment(typed.text("on"), typed.text("time"))
    except ValueError:
        errors["on"] = _("Write the day like 2026-04-10 and the time like 14:30.")
    if errors:
        return None, errors
    found = Wish(Channel(channel), received, reason, guards.staff().name)
    try:
        found.check(now=now)
    except ValueError:
        return None, {"on": _("That has not come yet. When did they tell you?")}
    return found, {}


def log(
    person: Person,
    action: str,
    reason: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    staff, subject = guards.staff(), person.public_id
    activity.record(staff, action, subject=subject, reason=reason, details=details, now=now)
