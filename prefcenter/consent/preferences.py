"""The moves that people make: confirm, choose, leave, come back; pausing.py has the break.

Each rule takes a locked person, records the event, moves the row and queues the text that
follows, all in the caller's transaction; none commits. Asking again for what is already so
changes nothing (SEC-15). A little long, because the moves share their small rules.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from prefcenter import config
from prefcenter.consent import breaker, catalog, ledger, limits, order, suppression
from prefcenter.consent.catalog import Offer
from prefcenter.consent.ledger import NOT_SAID, Proof, Said
from prefcenter.links import Link
from prefcenter.models import (
    Action,
    Deliverability,
    EventKind,
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms import outbox

_PASS_ON = (Source.ADMIN, Source.API)  # who takes somebody's word elsewhere and tells us
# What a STOP or a NO leaves queued.
_ANSWERS = (TextKind.UNSUBSCRIBED, TextKind.WHICH, TextKind.HELP)


class Result(StrEnum):
    """What came of a wish; the pages have a state for each."""

    DONE = "done"
    ALREADY = "already"
    OFF = "off"  # texts are off and this move may not turn them on
    TOO_OLD = "too_old"  # the link may no longer do this
    STALE = "stale"  # the page showed something else than what is so now
    NOTHING_TICKED = "nothing_ticked"


def confirm_state(person: Person, link: Link, *, now: datetime) -> Result:
    """What pressing "Yes" with this link would do; DONE when it would confirm (SEC-14)."""
    if person.status is Status.SUBSCRIBED:
        return Result.ALREADY
    if person.status is Status.UNSUBSCRIBED:
        return Result.OFF
    fresh = (
        person.status is Status.PENDING
        and person.request_expires_at is not None
        and now < person.request_expires_at
        and not link.older_than(timedelta(hours=config.current().confirm_hours), now)
        and link.raises_after(person.opted_out_at)
        and not catalog.lapsed(person.requested)
    )
    return Result.DONE if fresh else Result.TOO_OLD


def confirm(person: Person, link: Link, proof: Proof, *, now: datetime) -> Result:
    """Turn texts on for an open request, with the proof of RULE-12 and the welcome of RULE-9."""
    result = confirm_state(person, link, now=now)
    if result is Result.DONE:
        turn_on(person, proof, now=now)
    return result


def turn_on(
    person: Person,
    proof: Proof,
    *,
    now: datetime,
    said: Said = NOT_SAID,
    answer: outbox.Answer | None = None,
) -> None:
    """Confirm the open request of a pending person; whoever calls has checked that it may.

    What they took before ended with a STOP: only what the request named is taken now, also where
    a kind is retired or private meanwhile and nothing could say so (RULE-11). A pause that was
    asked for since the request begins now.
    """
    offers, wished = catalog.offers(person.id), ledger.wished_cap(person.request_ref)
    current = {offer.slug for offer in offers if offer.taken}
    requested = set(catalog.still_offered(person.requested))  # what was retired since is not shown
    changes: dict[str, Any] = {
        "added": sorted(requested - current),
        "dropped": sorted(current - requested),
        "paused_until": order.pause_after(person, order.request_said_at(person), now=now),
        **({"frequency": cap_of(person)} if wished else {}),
        **_age_statements(offers, requested),
        **said,
    }
    breaker.confirmed(person, now=now)
    ledger.record(
        person,
        EventKind.CONFIRMED,
        proof,
        now=now,
        action=Action.RE_OPT_IN if person.confirmed_at else Action.OPT_IN,
        changes=changes,
        refers_to=person.request_ref,
    )
    assert person.number is not None
    if person.deliverability is not Deliverability.OK:
        person.deliverability = Deliverability.OK  # whoever confirms has it in hand
        ledger.save(person)
    suppression.lift(person.number)  # only a handset can have reopened a stopped number
    outbox.queue(person, TextKind.WELCOME, now=now, answer=answer)


def cap_of(person: Person) -> str:
    """How often at most, once an open request is confirmed: as its form says, or lower where a text
    has said so since."""
    wished = ledger.wished_cap(person.request_ref)
    if wished is None:
        return person.frequency
    past, asked_at = order.history(person), order.request_said_at(person)
    since = [at for at in (past.frequency, *past.lesses) if at is not None and at > asked_at]
    return min(wished, person.frequency, key=texts_a_month) if since else wished


def decline(person: Person, proof: Proof, *, now: datetime, said: Said = NOT_SAID) -> Result:
    """ "No, that was not me": the request ends, nothing is turned on, nothing is texted.

    Whoever had confirmed and stopped, and whose JOIN by text asked them anew, has stopped again by
    their NO: a START then restores what they had (RULE-30).
    """
    if person.status is not Status.PENDING:
        return Result.ALREADY if person.status is Status.SUBSCRIBED else Result.DONE
    by_text = proof.source is Source.SMS
    if by_text and person.confirmed_at is not None and order.is_reopened(person):
        return revoke(person, proof, reason=SuppressionReason.KEYWORD, now=now, said=said)
    request = person.request_ref
    ledger.record(person, EventKind.DECLINED, proof, now=now, changes=said, refers_to=request)
    if person.number:
        outbox.cancel(person.number, "declined", now=now, spared=_ANSWERS)
    return Result.DONE


def may_change(person: Person, link: Link, *, now: datetime) -> bool:
    """True when this link may still change a subscription, not only end it (SEC-14, SEC-16)."""
    days = timedelta(days=config.current().link_days)
    if link.older_than(days, now) or not link.raises_after(person.opted_out_at):
        return False
    if config.current().revocation_scope == "all":
        return True
    return all(link.raises_after(stop.at) for stop in order.stopped_programmes(person))


def choose(
    person: Person,
    *,
    chosen: Collection[str] = (),
    offered: Collection[str] = (),
    frequency: str | None = None,
    language: str | None = None,
    version: int | None = None,
    proof: Proof,
    now: datetime,
    said: Said | None = None,
) -> Result:
    """Take the offered categories that were chosen, leave those that were not.

    Categories that were not offered, and private ones, stay as they are. `version` is the
    ledger number that the page showed; None skips that check. A save never turns texts on.
    `said` is for a change by text, which its caller answers.
    """
    if person.status is not Status.SUBSCRIBED:
        return Result.OFF
    offers = catalog.offers(person.id)
    public = {offer.slug for offer in offers if offer.public}
    offered = set(offered) & public
    current = {offer.slug for offer in offers if offer.taken}
    wanted = (current - offered) | (set(chosen) & offered)
    if offered and not wanted & public:
        return Result.NOTHING_TICKED  # all off is a revocation: its own button (RULE-65)
    changes = _differences(person, frequency, language) | _swapped(offers, current, wanted)
    if not changes:
        return Result.ALREADY
    if version is not None and version != person.ledger_seq:
        return Result.STALE
    action = None
    if ("added" in changes) != ("dropped" in changes):
        action = Action.OPT_IN if "added" in changes else Action.OPT_OUT
    changes |= said or {}
    ledger.record(person, EventKind.CHANGED, proof, now=now, action=action, changes=changes)
    if said is None and set(changes) != {"language"}:
        outbox.queue(person, TextKind.CHANGED, now=now)
    return Result.DONE


def fewer(person: Person, frequency: str, *, proof: Proof, now: datetime) -> Result:
    """A lower cap, from a link that may only lower. Raising it is TOO_OLD."""
    if person.status is not Status.SUBSCRIBED:
        return Result.OFF
    if frequency == person.frequency:
        return Result.ALREADY
    if texts_a_month(frequency) >= texts_a_month(person.frequency):
        return Result.TOO_OLD
    changes = {"frequency": frequency}
    ledger.record(person, EventKind.CHANGED, proof, now=now, changes=changes)
    outbox.queue(person, TextKind.CHANGED, now=now)
    return Result.DONE


def texts_a_month(frequency: str) -> float:
    """A cap as texts in 30 days, to compare two of them; `all` has none."""
    count, _, unit = frequency.partition("/")
    if unit == "week":
        return int(count) * 30 / 7
    return float(count) if unit == "month" else float("inf")


def revoke(
    person: Person,
    proof: Proof,
    *,
    reason: SuppressionReason,
    now: datetime,
    link: Link | None = None,
    said: Said = NOT_SAID,
) -> Result:
    """Stop all texts, at once and for every category (RULE-21, RULE-25).

    `link` is the one that the button's page had: it alone may undo, for a while (SEC-16).
    One text acknowledges it, where the person was subscribed and RULE-60's setting is on; a
    STOP by text, or one that somebody passes on (by_hand.py), is answered by its caller, one
    that the provider tells of by nobody. What is passed on counts each time, and what is pressed
    on a page is on record each time (RULE-31).
    """
    by_page, passed_on = proof.source is Source.PREFERENCE_PAGE, proof.source in _PASS_ON
    again = by_page or (person.opt_out_source is proof.source and not passed_on)
    if person.status is Status.UNSUBSCRIBED and again:
        if by_page and not order.pressed_stop_lately(person, now=now):
            ledger.record(person, EventKind.NOTED, proof, now=now, changes={"word": "stop", **said})
        return Result.ALREADY
    was_subscribed = person.status is Status.SUBSCRIBED
    person.undo_link = link.fingerprint if link and was_subscribed else None
    ledger.record(person, EventKind.REVOKED, proof, now=now, action=Action.OPT_OUT, changes=said)
    if person.number:
        suppression.add(person.number, reason, now=now)
        outbox.cancel(person.number, "revoked", now=now, spared=_ANSWERS)
    told = proof.source not in (Source.SMS, Source.PROVIDER, *_PASS_ON)
    if was_subscribed and told and (config.current().web_stop_reply or not by_page):
        _acknowledge(person, TextKind.UNSUBSCRIBED, now)
    return Result.DONE


def may_undo(person: Person, link: Link, *, now: datetime) -> bool:
    """True for the hour after "Stop all texts", for the link whose page had the button."""
    window = timedelta(minutes=config.current().undo_minutes)
    return (
        person.status is Status.UNSUBSCRIBED
        and person.opt_out_source is Source.PREFERENCE_PAGE
        and person.undo_link == link.fingerprint
        and person.opted_out_at is not None
        and now - person.opted_out_at <= window
    )


def restart(person: Person, link: Link, proof: Proof, *, now: datetime) -> Result:
    """Undo a stop that was pressed by mistake: a new opt-in with full proof (SEC-16)."""
    if person.status is Status.SUBSCRIBED:
        return Result.ALREADY
    if not may_undo(person, link, now=now):
        return Result.OFF
    start_again(person, proof, now=now)
    _acknowledge(person, TextKind.RESUBSCRIBED, now)
    return Result.DONE


def start_again(person: Person, proof: Proof, *, now: datetime, said: Said = NOT_SAID) -> None:
    """Subscribe a stopped person to what they took before, as a new opt-in with its proof.

    Whoever calls has checked that it may. `said` can name categories to leave (`dropped`).
    """
    person.undo_link = None
    ledger.record(
        person, EventKind.RESTARTED, proof, now=now, action=Action.RE_OPT_IN, changes=said
    )
    assert person.number is not None
    suppression.lift(person.number)
    outbox.cancel(person.number, "texts were started again", now=now, spared=(TextKind.HELP,))


def _acknowledge(person: Person, kind: TextKind, now: datetime) -> None:
    """Say by text what a button did, but not without end to whoever presses on and on."""
    assert person.number is not None
    if limits.may_acknowledge(person.number, kind, now=now):
        outbox.queue(person, kind, now=now)


def reassign(person: Person, proof: Proof, *, now: datetime) -> Result:
    """The number has a new owner: its former person's consent ends and links close.

    This is no opt-out of the new owner, who may sign up (RULE-51); a suppression that the
    number already had stays.
    """
    if person.number is None:
        return Result.ALREADY
    outbox.cancel(person.number, "the number changed hands", now=now)
    suppression.renew(person.number, now=now)
    ledger.record(person, EventKind.REASSIGNED, proof, now=now, action=Action.OPT_OUT)
    person.deliverability = Deliverability.REASSIGNED
    person.number = None
    ledger.save(person)
    return Result.DONE


def _age_statements(offers: Collection[Offer], slugs: Collection[str]) -> dict[str, dict[str, int]]:
    """Ticking a row of age-gated content states the age: kept in the record (RULE-10)."""
    found = {o.slug: o.age_gate for o in offers if o.age_gate is not None and o.slug in slugs}
    return {"age_statements": found} if found else {}


def _swapped(offers: Collection[Offer], current: set[str], wanted: set[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if added := wanted - current:
        changes = {"added": sorted(added), **_age_statements(offers, added)}
    if dropped := current - wanted:
        changes["dropped"] = sorted(dropped)
    return changes


def _differences(person: Person, frequency: str | None, language: str | None) -> dict[str, Any]:
    wished = {"frequency": frequency, "language": language}
    return {name: to for name, to in wished.items() if to not in (None, getattr(person, name))}
