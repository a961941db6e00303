"""The door for sign-up forms: every form is taken alike, then looked at out of sight.

receive() writes the same one row whoever the number belongs to; a sender process then
calls admit(), which starts a confirmation, reminds a subscriber, or does nothing. So the
form's answer and its time cannot tell who is a customer (SEC-24, RULE-62).
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from prefcenter.consent import (
    asking,
    breaker,
    catalog,
    ledger,
    limits,
    people,
    preferences,
    sites,
    suppression,
)
from prefcenter.consent.ledger import Proof
from prefcenter.consent.limits import Cause
from prefcenter.database import db, execute, hold
from prefcenter.models import Person, Signup, Source, Status, TextKind
from prefcenter.phone import Number
from prefcenter.sms import jobs, outbox


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as somebody sent it, through whichever door, with all that its proof will need
    (RULE-11). `plain` came over "One more step", without a proof of work."""

    number: Number
    site: str  # the site's slug, or our own host for the hosted form
    source: Source
    categories: list[str]
    language: str
    consent_text: str
    answer: dict[str, str]
    page_url: str
    ip: str
    user_agent: str
    plain: bool = False
    frequency: str | None = None  # the cap that was chosen, where the form let people choose


def receive(form: Filled, *, now: datetime) -> None:
    """Take a form in: one row whoever the number belongs to. Never commits."""
    row = Signup(
        number=form.number.e164,
        country=form.number.country,
        language=form.language,
        categories=form.categories,
        site=form.site,
        wording_kind="signup",
        wording_text=form.consent_text,
        evidence={
            "answer": form.answer,
            "ip": form.ip,
            "user_agent": form.user_agent[:400],
            "page_url": form.page_url,
            "source": form.source,
            "plain": form.plain,
            "frequency": form.frequency,
        },
        created_at=now,
    )
    db.session.add(row)
    db.session.flush()
    jobs.defer(jobs.ADMIT, row.id)


_WAITING = sa.select(Signup.id).order_by(Signup.id).limit(sa.bindparam("most", type_=sa.Integer))


def waiting(limit: int) -> list[int]:
    """Ids of forms that nobody has looked at yet, oldest first."""
    return [row.id for row in execute(_WAITING, {"most": limit})]


def admit(signup_id: int, *, now: datetime) -> bool:
    """Look at one form and do what it may cause. Never commits; False if it is gone."""
    query = sa.select(Signup).where(Signup.id == signup_id).with_for_update(skip_locked=True)
    row = db.session.scalar(query)
    if row is None:
        return False
    db.session.delete(row)
    hold(f"breaker {row.country}")  # by all in this order, so that what is counted is exact
    sites.hold_forms(row.site)
    cause = Cause(row.evidence["ip"], row.site, plain=row.evidence.get("plain", False))
    person = people.by_number(row.number)  # before any count, as by all: else two could lock up
    if (
        breaker.lets_pass(row.number, row.country, row.site, now=now)
        and limits.may_send_forms(cause, now=now)
        and not suppression.contains(row.number)
    ):
        _open(row, person, now)
    db.session.flush()
    return True


def _open(row: Signup, person: Person | None, now: datetime) -> None:
    """Ask somebody new to confirm, or remind a subscriber; within the limits."""
    wanted = catalog.still_offered(row.categories)
    if not wanted and (row.categories or catalog.on_offer()):
        return  # nothing of what was asked for is offered any more
    savepoint = db.session.begin_nested()
    if person is not None and people.is_lapsed(person):
        preferences.reassign(person, _proof(row, now), now=now)
        person = None
    person = person or people.enrol(row.number, row.country, row.language, now=now)
    if _text(person, wanted, row, now):
        savepoint.commit()
    else:
        savepoint.rollback()  # as if the form had never come


def _text(person: Person, wanted: list[str], row: Signup, now: datetime) -> bool:
    if person.status is Status.UNSUBSCRIBED:
        return False
    reminds = person.status is Status.SUBSCRIBED
    if not reminds and not asking.may_ask_again(person, now=now):
        return False
    if not limits.may_be_texted(row.number, row.country, row.site, now=now):
        return False
    if reminds:
        outbox.queue(person, TextKind.ALREADY_SUBSCRIBED, now=now)
    else:
        cap = row.evidence.get("frequency")
        asking.ask(person, wanted, _proof(row, now), row.site, now=now, frequency=cap)
    return True


def _proof(row: Signup, now: datetime) -> Proof:
    seen = row.evidence
    return Proof(
        source=Source(seen.get("source", Source.FORM)),
        detail=row.site,
        language=row.language,
        wording_sha256=ledger.publish(row.wording_kind, row.language, row.wording_text, now=now),
        answer=seen["answer"],
        page_url=seen["page_url"],
        ip=seen["ip"],
        user_agent=seen["user_agent"],
    )
