"""A year of made-up people for the first look at the pages of the people who work here.

What demo_plan.py made up is carried out by the product's own rules, each at its moment in the
past, so that ledger, proof, texts and suppression are what they would be. Every text of it is
over, delivered or failed, before this commits: none is ever handed to a sender.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter import config, demo_data, demo_people, demo_plan, demo_proof
from prefcenter.consent import (
    asking,
    by_hand,
    catalog,
    inbound,
    ledger,
    limits,
    pausing,
    people,
    preferences,
    provider,
    reviews,
    sites,
)
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, execute
from prefcenter.demo_plan import Act
from prefcenter.demo_proof import Proofs
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Inbound,
    OutboxMessage,
    OutboxStatus,
    Person,
    Review,
    Source,
    SuppressionReason,
    TextKind,
)
from prefcenter.sms import inbox, jobs, outbox
from prefcenter.sms.webhook import InboundText, StatusUpdate

PEOPLE = 1_500
_SITES = {"checkout": "Checkout", "poster": "Posters in the shop"}
_CLERKS = ("Dana", "Priya")

_rows = OutboxMessage.__table__.c
_WAITING = sa.select(_rows.id, _rows.ref).where(_rows.status == OutboxStatus.QUEUED)
_HANDED = (
    sa.update(OutboxMessage)
    .where(_rows.id == sa.bindparam("key"))
    .values(
        status=sa.bindparam("to"),
        copies=1,
        claimed_at=sa.bindparam("claimed"),
        finished_at=sa.bindparam("over"),
        provider_id=sa.bindparam("name"),
    )
)
_OPEN_REVIEW = (
    sa.select(Review.public_id)
    .join(Inbound, Inbound.id == Review.inbound_id)
    .where(Inbound.number == sa.bindparam("number"), Review.closed_at.is_(None))
)


@dataclass(frozen=True, slots=True)
class Added:
    """How much was made up."""

    people: int
    events: int


def add(people: int = PEOPLE, *, now: datetime) -> Added | None:
    """Add a year up to now, unless there are people already. Never commits.

    At most demo_people.MOST people, and only of countries that we text: there are no more
    numbers kept for fiction.
    """
    kinds = [
        kind.slug
        for kind in catalog.every()
        if kind.public and kind.retired_at is None and kind.age_gate is None
    ]
    if people < 1 or not kinds or db.session.scalar(sa.select(Person.id).limit(1)):
        return None
    acts = demo_plan.plan(
        people=min(people, demo_people.MOST),
        countries=config.current().countries,
        kinds=kinds,
        confirm_hours=config.current().confirm_hours,
        now=now,
    )
    if not acts:
        return Added(0, 0)
    _open_sites(now)
    year = _Year(kinds, now)
    with jobs.held_back(), _silent():
        for act in acts:
            year.play(act)
    limits.forget(now=now + timedelta(days=3))  # no form of today pays for the made-up ones
    return Added(_count(Person), _count(ConsentEvent))


def _open_sites(now: datetime) -> None:
    opened = now - timedelta(days=demo_plan.DAYS)
    known = {site.slug for site in sites.every()}
    for slug, name in _SITES.items():
        if slug not in known:
            sites.add(slug, name, origins=[demo_proof.SHOP], about=demo_data.ABOUT, now=opened)


def _count(table: type[Person] | type[ConsentEvent]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@contextmanager
def _silent() -> Iterator[None]:
    """No log lines about made-up texts that failed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


class _Year:
    """Carries out one act after another, oldest first."""

    def __init__(self, kinds: list[str], now: datetime) -> None:
        self._kinds, self._now = kinds, now
        self._proofs = Proofs(now)
        self._count = 0

    def play(self, act: Act) -> None:
        """Do it, and let the provider have said at once what became of the texts it caused."""
        getattr(self, f"_{act.what}")(act)
        self._hand_over(act)

    def _sign_up(self, act: Act) -> None:
        who, proof = act.who, self._proofs.form(act)
        person = people.enrol(who.number, who.country, who.language, now=act.at)
        asking.open_request(person, act.values["categories"], proof, now=act.at)

    def _confirm(self, act: Act) -> None:
        proof = self._proofs.button(act, "confirm", "/c/…", self._proofs.shown("confirm", act))
        preferences.turn_on(self._person(act), proof, now=act.at)

    def _decline(self, act: Act) -> None:
        proof = self._proofs.button(act, "decline", "/c/…/decline")
        preferences.decline(self._person(act), proof, now=act.at)

    def _expire(self, act: Act) -> None:
        person = self._person(act)
        proof = Proof(source=Source.MAINTENANCE, language=person.language)
        ref = person.request_ref
        ledger.record(person, EventKind.EXPIRED, proof, now=act.at, refers_to=ref)

    def _text(self, act: Act) -> None:
        self._count += 1
        said = InboundText(
            f"demo-in-{self._count}",
            act.who.number,
            config.current().senders[0],
            act.values["words"],
            act.at.replace(microsecond=0),
        )
        heard = act.at + timedelta(seconds=1)
        for row_id in inbox.store([(said, heard)]):
            inbound.handle(row_id or 0, now=heard)

    def _read(self, act: Act) -> None:
        for public_id in list(db.session.scalars(_OPEN_REVIEW, {"number": act.who.number})):
            clerk = _CLERKS[self._count % len(_CLERKS)]
            reviews.close(public_id, clerk, act.values["note"], act.at)

    def _choose(self, act: Act) -> None:
        """Tick one kind or untick it; never the last."""
        person = self._person(act)
        kinds = self._kinds
        taken = catalog.taken(person.id)
        slug = kinds[int(act.values["pick"] * len(kinds))]
        wanted = (taken ^ {slug}) or {kinds[kinds.index(slug) - 1]}
        self._save(act, person, chosen=wanted, offered=kinds)

    def _frequency(self, act: Act) -> None:
        person = self._person(act)
        others = [one for one in config.current().frequencies if one != person.frequency]
        if others:
            chosen = others[int(act.values["pick"] * len(others))]
            self._save(act, person, frequency=chosen)

    def _save(self, act: Act, person: Person, **choices: object) -> None:
        proof = self._proofs.button(act, "save", "/p/…")
        preferences.choose(person, proof=proof, now=act.at, **choices)  # type: ignore[arg-type]  # a few names of fields

    def _pause(self, act: Act) -> None:
        proof = self._proofs.button(act, "pause", "/p/…/pause")
        pausing.pause(self._person(act), act.values["length"], proof=proof, now=act.at)

    def _resume(self, act: Act) -> None:
        proof = self._proofs.button(act, "resume", "/p/…/resume")
        pausing.resume(self._person(act), proof=proof, now=act.at)

    def _stop(self, act: Act) -> None:
        proof = self._proofs.button(act, "stop", "/p/…/stop")
        reason = SuppressionReason.PREFERENCE_PAGE
        preferences.revoke(self._person(act), proof, reason=reason, now=act.at)

    def _undo(self, act: Act) -> None:
        person = self._person(act)
        proof = self._proofs.button(act, "undo", "/p/…/start", self._proofs.shown("restart", act))
        preferences.start_again(person, proof, now=act.at)
        outbox.queue(person, TextKind.RESUBSCRIBED, now=act.at)

    def _by_phone(self, act: Act) -> None:
        """A wish to stop that somebody in the office took down."""
        clerk = _CLERKS[self._count % len(_CLERKS)]
        wish = Wish(Channel.PHONE, act.at, "Called the shop and asked for no more texts.", clerk)
        by_hand.revoke(self._person(act), wish, now=act.at)

    def _not_mine(self, act: Act) -> None:
        proof = self._proofs.button(act, "not_mine", "/p/…/not-mine")
        preferences.reassign(self._person(act), proof, now=act.at)

    def _again(self, act: Act) -> None:
        """A subscriber fills in a form once more, and is reminded."""
        outbox.queue(self._person(act), TextKind.ALREADY_SUBSCRIBED, now=act.at)

    def _new_link(self, act: Act) -> None:
        outbox.queue(self._person(act), TextKind.NEW_LINK, now=act.at)

    def _person(self, act: Act) -> Person:
        person = people.by_number(act.who.number)
        assert person is not None
        return person

    def _hand_over(self, act: Act) -> None:
        for row in execute(_WAITING, {}).all():
            self._count += 1
            name = f"demo-{self._count}"
            claimed = min(act.at + timedelta(seconds=2), self._now)
            over = min(claimed + timedelta(seconds=3 + self._count % 20), self._now)
            unheard = act.fails or self._count % 50 == 0  # a few never get a receipt
            values = {
                "key": row.id,
                "to": OutboxStatus.SENT if unheard else OutboxStatus.DELIVERED,
                "claimed": claimed,
                "over": over,
                "name": name,
            }
            execute(_HANDED, values)
            if act.fails:
                said = StatusUpdate(name, row.ref, act.who.number, "rejected", over, act.fails)
                provider.take(said, now=over)
