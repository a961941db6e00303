"""What the provider's word on a text means for the person: opt-outs and dead numbers.

It comes by receipt, or at once as the answer to a call. Whoever takes it holds the person
before the text, as the senders do, and the shared gate last.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from prefcenter.consent import ledger, order, people, preferences, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.models import (
    Deliverability,
    EventKind,
    OutboxStatus,
    Person,
    Source,
    Status,
    SuppressionReason,
)
from prefcenter.sms import codes, delivery, gate, receipts
from prefcenter.sms.delivery import Claim
from prefcenter.sms.receipts import About, News
from prefcenter.sms.sender import Outcome, Verdict
from prefcenter.sms.webhook import StatusUpdate

_PASSING = (Deliverability.SOFT_FAILED, Deliverability.INVALID)

_WORD = "provider block"
_NEWS_FOR = timedelta(seconds=delivery.PAUSE_SECONDS)


def take(update: StatusUpdate, *, now: datetime) -> None:
    """One receipt: move its text, and do what follows for the person. Never commits.

    One that is about no text of ours, or not yet, is kept (SEC-37, REL-13).
    """
    about = receipts.find(update)
    news = _settle(about, update, now) if about else None
    if news is None:
        receipts.keep(update, now=now)
    else:
        _tell_senders([news], now)


def join_waiting(*, now: datetime) -> int:
    """Take the receipts that came before their text was known; gives how many. Never commits."""
    kept = receipts.joinable(now=now)
    news = [_settle(one.about, one.update, now) for one in kept]
    receipts.drop(kept)
    _tell_senders([one for one in news if one], now)
    return len(kept)


def note_verdicts(done: Iterable[tuple[Claim, Verdict]], *, now: datetime) -> None:
    """What answers to our calls say of people. Never commits.

    Call it before delivery.record, in the same transaction. It counts even where the claim
    was lost meanwhile: the provider has said it all the same.
    """
    for claim, verdict in done:
        code, number = codes.of(verdict.code), claim.parcel.to
        trouble = code.number if verdict.outcome is Outcome.FAILED else None
        if not code.opted_out and trouble is None:
            continue
        person = people.by_number(number)
        called_at = receipts.called_at(claim.id) or now
        if code.opted_out:
            _stop(person, number, verdict.code, called_at, now, first=True)
        if person is not None and trouble is not None:
            _mark(person, number, trouble, called_at)


def _settle(about: About, update: StatusUpdate, now: datetime) -> News | None:
    person = people.by_number(about.number) if receipts.concerns_person(update) else None
    news = receipts.move(about, update, now=now)
    if news is None:
        return None
    code = codes.of(news.code)
    if code.opted_out:
        _stop(person, news.number, news.code, news.called_at, now, first=news.changed)
    if person is not None and news.changed:
        if news.status is OutboxStatus.DELIVERED:
            _mark(person, news.number, Deliverability.OK, news.called_at)
        elif news.status is OutboxStatus.FAILED and code.number is not None:
            _mark(person, news.number, code.number, news.called_at)
    return news


def _stop(
    person: Person | None,
    number: str,
    code: str,
    called_at: datetime,
    now: datetime,
    *,
    first: bool,
) -> None:
    """The person told the provider to stop: the same as a STOP to us (RULE-54).

    No text acknowledges it, because none would arrive. An opt-in that is surely newer than
    the call stands, by the same rule as for a late STOP (order.py, REL-12): the provider
    refused that text before the person came back. It is then noted in the ledger, once. The
    next text shows whether the provider's block is still there.
    """
    if person is None or person.status is Status.REDACTED:
        suppression.add(number, SuppressionReason.PROVIDER_BLOCK, now=now)
        return
    proof = Proof(
        source=Source.PROVIDER,
        detail=f"error {code}: opted out at the provider",
        language=person.language,
        answer={"code": code, "text_sent_at": called_at.isoformat()},
    )
    said = {
        "word": _WORD,
        "code": code,
        "said_at": called_at.astimezone(UTC).isoformat(),
    }
    if order.opted_in_after(person, called_at):
        if first:
            ledger.record(person, EventKind.NOTED, proof, now=now, changes=said)
        return
    suppression.add(number, SuppressionReason.PROVIDER_BLOCK, now=now)
    if _stopped_for_good(person):
        if not _told_since_the_stop(person):
            ledger.record(person, EventKind.NOTED, proof, now=now, changes=said)
        return
    reason = SuppressionReason.PROVIDER_BLOCK
    preferences.revoke(person, proof, reason=reason, now=now, said=said)


def _stopped_for_good(person: Person) -> bool:
    """Stopped in a way that no link undoes; after a stop on a page this counts for more."""
    by_page = person.opt_out_source is Source.PREFERENCE_PAGE
    return person.status is Status.UNSUBSCRIBED and not by_page


def _told_since_the_stop(person: Person) -> bool:
    """True when the ledger has the provider's word since the newest stop, or as that stop.

    Once is enough: then nobody takes that stop back by hand (outlook.py).
    """
    for event in reversed(ledger.events_of(person.id)):
        if event.kind is EventKind.REVOKED:
            return event.source is Source.PROVIDER
        if event.kind is EventKind.NOTED and json.loads(event.changes).get("word") == _WORD:
            return True
    return False


def _mark(person: Person, number: str, found: Deliverability, called_at: datetime) -> None:
    """Whether texts arrive; never touches the consent (RULE-51).

    A passing trouble does not hide a lasting one, nor "invalid" one "out of service"; no trouble
    of an older text counts once the number has shown that it is alive. From "out of service"
    only a yes leads back: what arrives there, such as our answer to a HELP, may have reached
    the next owner (SEC-20).
    """
    if person.number != number or person.deliverability is found:
        return
    now_is = person.deliverability
    if found is Deliverability.OK:
        allowed = now_is in _PASSING
    elif found is Deliverability.SOFT_FAILED:
        allowed = now_is is Deliverability.OK
    else:
        allowed = now_is not in (Deliverability.REASSIGNED, Deliverability.DEACTIVATED)
    if allowed and (found is Deliverability.OK or not receipts.arrived_since(number, called_at)):
        person.deliverability = found
        ledger.save(person)


def _tell_senders(news: Sequence[News], now: datetime) -> None:
    """Pause or slow down, where a text failed for what would befall the next one too.

    History does not count: what the provider said longer ago than a pause lasts.
    """
    for one in news:
        code = codes.of(one.code)
        old = one.said_at is not None and now - one.said_at > _NEWS_FOR
        if not one.changed or one.status is not OutboxStatus.FAILED or old:
            continue
        if code.account:
            delivery.pause(code.reason, now=now)
        if code.too_fast:
            gate.slow(gate.PROVIDER, delivery.SLOW_SECONDS, now=now)
