"""Every walk that people can take keeps the promises: a hypothesis state machine.

The rules never commit, so one example is one transaction that is rolled back at its end.
"""

import re
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from prefcenter import links
from prefcenter.consent import (
    audit,
    catalog,
    decisions,
    ledger,
    people,
    preferences,
    signup,
    suppression,
)
from prefcenter.consent.ledger import Proof
from prefcenter.consent.preferences import Result
from prefcenter.database import begin_write, db, writing
from prefcenter.links import Link, Purpose
from prefcenter.models import (
    ConsentEvent,
    OutboxMessage,
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.phone import Number
from prefcenter.sms import delivery, outbox
from prefcenter.sms.sender import Outcome, Verdict
from tests.cast import ALICE, BOB

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
AGREED = "I agree."
CATEGORIES = ("offers", "new-books", "events", "in-stock")
LINK = re.compile(r"http://prefs\.test/([cpul])/([a-z2-7]{31})")
PURPOSES = {
    "c": Purpose.CONFIRM,
    "p": Purpose.MANAGE,
    "u": Purpose.UNSUBSCRIBE,
    "l": Purpose.NEW_LINK,
}
numbers = st.sampled_from([ALICE, BOB])
slugs = st.sets(st.sampled_from(CATEGORIES))
PAGE = Proof(source=Source.PREFERENCE_PAGE, ip="198.51.100.7")
HANDSET = Proof(source=Source.SMS, detail="STOP")
BY_WEB = (TextKind.CONFIRM_REQUEST, TextKind.ALREADY_SUBSCRIBED, TextKind.NEW_LINK)


class Walk(RuleBasedStateMachine):
    """Two people, all doors, time passing; what they asked for is remembered apart."""

    held = Bundle("held")  # links that were texted: (the link, its purpose)

    @initialize(target=held, start=st.sampled_from(["asked", "confirmed", "stopped"]))
    def begin(self, start: str) -> object:
        self.now = START
        self.said_yes: set[str] = set()  # numbers whose last word was yes
        self.stopped: dict[str, datetime] = {}  # numbers whose last word was stop
        self.stop_replies: dict[str, int] = {}
        self.ledger_length = self.writes = 0
        self.pressed: Link | None = None  # whose page had the last stop button
        begin_write()
        self.sign_up(ALICE, {"offers"}, "198.51.100.7")
        held = self.texts_leave(Outcome.SENT)
        if start != "asked":
            self.confirm(held.values[0])
        if start == "stopped":
            self.stop(held.values[0], PAGE)
        return held

    def teardown(self) -> None:
        db.session.rollback()
        db.session.expunge_all()
        assert db.session.scalar(sa.select(sa.func.count(Person.id))) == 0
        db.session.rollback()

    # --- what the web and the handset do ---

    @rule(number=numbers, wanted=slugs, ip=st.sampled_from(["198.51.100.7", "2001:db8::1"]))
    def sign_up(self, number: str, wanted: set[str], ip: str) -> None:
        signup.receive(
            Number(number, "US"),
            categories=sorted(wanted),
            language="en",
            consent_text=AGREED,
            answer={"box": "ticked"},
            ip=ip,
            user_agent="Firefox",
            now=self.now,
        )

    @rule(held=held)
    def confirm(self, held: tuple[Link, Purpose]) -> None:
        link, purpose = held
        if purpose is not Purpose.CONFIRM:
            return
        person = people.by_link(link)
        was = person.status
        if preferences.confirm(person, link, PAGE, now=self.now) is Result.DONE:
            assert was is Status.PENDING
            assert person.number not in self.stopped, "a link lifted a STOP"
            assert self.now - link.issued < timedelta(hours=72, minutes=1)
            assert person.number is not None
            self.said_yes.add(person.number)

    @rule(held=held)
    def decline(self, held: tuple[Link, Purpose]) -> None:
        preferences.decline(people.by_link(held[0]), PAGE, now=self.now)

    @rule(
        held=held,
        chosen=slugs,
        offered=slugs,
        frequency=st.sampled_from([None, "all", "1/week", "2/month"]),
        language=st.sampled_from([None, "en", "es"]),
        late=st.booleans(),
    )
    def choose(
        self,
        held: tuple[Link, Purpose],
        chosen: set[str],
        offered: set[str],
        frequency: str | None,
        language: str | None,
        late: bool,
    ) -> None:
        person = people.by_link(held[0])
        status, before, version = person.status, catalog.taken(person.id), person.ledger_seq - late
        result = preferences.choose(
            person,
            chosen=chosen,
            offered=offered,
            frequency=frequency,
            language=language,
            version=version,
            proof=PAGE,
            now=self.now,
        )
        assert person.status is status, "a save turned texts on or off"
        assert catalog.taken(person.id) - offered == before - offered
        assert result is not Result.DONE or not late

    @rule(held=held, wish=st.sampled_from(["1w", "3m", "resume", "3/week", "1/month", "all"]))
    def pause_resume_or_get_fewer(self, held: tuple[Link, Purpose], wish: str) -> None:
        person = people.by_link(held[0])
        before = preferences.texts_a_month(person.frequency)
        if wish in preferences.PAUSES:
            preferences.pause(person, wish, proof=PAGE, now=self.now)
        elif wish == "resume":
            preferences.resume(person, proof=PAGE, now=self.now)
        else:
            preferences.fewer(person, wish, proof=PAGE, now=self.now)
        assert preferences.texts_a_month(person.frequency) <= before

    @rule(held=held, door=st.sampled_from([PAGE, HANDSET]))
    def stop(self, held: tuple[Link, Purpose], door: Proof) -> None:
        person = people.by_link(held[0])
        number, by_page = person.number, door is PAGE
        link = held[0] if by_page else None
        preferences.revoke(person, door, reason=SuppressionReason.KEYWORD, now=self.now, link=link)
        self.pressed = link
        assert person.status is Status.UNSUBSCRIBED
        if number:
            self.said_yes.discard(number)
            if number not in self.stopped:
                self.stop_replies[number] = 0
            self.stopped[number] = self.now

    @rule(held=held, same_page=st.booleans())
    def undo(self, held: tuple[Link, Purpose], same_page: bool) -> None:
        link = self.pressed if same_page and self.pressed else held[0]
        person = people.by_link(link)
        by_handset = person.opt_out_source is Source.SMS
        was = person.status
        result = preferences.restart(person, link, PAGE, now=self.now)
        if result is Result.DONE:
            assert was is Status.UNSUBSCRIBED
            assert not by_handset, "a link lifted a STOP that came by text"
            assert link == self.pressed, "another link than the one of the page"
            assert person.number is not None
            assert self.now - self.stopped.pop(person.number) <= timedelta(hours=1)
            self.said_yes.add(person.number)

    @rule(held=held)
    def not_mine(self, held: tuple[Link, Purpose]) -> None:
        person = people.by_link(held[0])
        number = person.number
        preferences.reassign(person, PAGE, now=self.now)
        assert person.number is None
        if number:
            self.said_yes.discard(number)

    @rule(held=held)
    def new_link(self, held: tuple[Link, Purpose]) -> None:
        preferences.new_link(people.by_link(held[0]), PAGE, now=self.now)

    @rule(number=numbers)
    def join_from_the_handset(self, number: str) -> None:
        """A START without sure proof asks for a confirmation, also after a STOP (RULE-30)."""
        person = people.by_number(number)
        if person is None or person.status is Status.SUBSCRIBED:
            return
        words = Proof(source=Source.SMS, detail="START")
        if preferences.ask(person, ["offers"], words, site="prefs.test", now=self.now):
            self.stopped.pop(number, None)  # the handset spoke again

    # --- what time and the sender do ---

    @rule(minutes=st.sampled_from([1, 11, 11, 59, 61, 24 * 60, 73 * 60, 31 * 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(
        target=held, outcome=st.sampled_from([Outcome.SENT] * 3 + [Outcome.UNKNOWN, Outcome.RETRY])
    )
    def texts_leave(self, outcome: Outcome) -> object:
        """Look at the forms, then send what is due; gives the links that arrived."""
        for row in signup.waiting(10):
            signup.admit(row, now=self.now)
        delivery.rescue(now=self.now)
        due = outbox.due(5, now=self.now)
        claims = delivery.claim(due, now=self.now, may_send=decisions.may_send, horizon=3600)
        arrived: list[tuple[Link, Purpose]] = []
        for claim in claims or ():
            self.check_text(claim.parcel.to, claim.parcel.kind, outcome)
            delivery.record(claim, Verdict(outcome, "", message_id="m"), now=self.now)
            if found := LINK.search(claim.parcel.body):
                purpose = PURPOSES[found[1]]
                arrived.append((links.read(purpose, found[2], now=self.now), purpose))
        return multiple(*arrived)

    def check_text(self, number: str, kind: TextKind, outcome: Outcome) -> None:
        """INV-1, INV-5: who may get which text at this moment."""
        if number in self.stopped:
            assert kind is TextKind.UNSUBSCRIBED, f"{kind} to somebody who stopped"
            self.stop_replies[number] += outcome is not Outcome.RETRY
            assert self.stop_replies[number] <= 1, "a second reply to one stop"
        elif number not in self.said_yes:
            assert kind is TextKind.CONFIRM_REQUEST, f"{kind} to somebody who never said yes"

    # --- what must hold after every step ---

    @invariant()
    def the_proof_is_whole_and_says_what_the_rows_say(self) -> None:
        """INV-2, INV-3, REL-22."""
        db.session.flush()
        writes = db.session.connection().connection.driver_connection.total_changes
        if writes == self.writes:
            return  # nothing was written since the last look
        self.writes = writes
        db.session.expire_all()
        assert list(audit.differences()) == []
        assert list(audit.faults()) == []
        length = db.session.scalar(sa.select(sa.func.count(ConsentEvent.id))) or 0
        assert length >= self.ledger_length
        self.ledger_length = length

    @invariant()
    def nobody_is_on_who_did_not_say_so(self) -> None:
        """INV-1, INV-5."""
        found = db.session.execute(sa.select(Person.number, Person.status)).all()
        on = {row.number for row in found if row.status is Status.SUBSCRIBED}
        assert on == self.said_yes
        for number in self.stopped:
            assert suppression.contains(number)
            assert number not in on

    @invariant()
    def copies_are_within_the_limits(self) -> None:
        """INV-7: two copies of one text; SEC-28: one in ten minutes and three in a day."""
        assert (db.session.scalar(sa.select(sa.func.max(OutboxMessage.copies))) or 0) <= 2
        for number in (ALICE, BOB):
            asked = sorted(
                db.session.scalars(
                    sa.select(OutboxMessage.created_at).where(
                        OutboxMessage.to == number,
                        OutboxMessage.kind.in_(BY_WEB),
                        OutboxMessage.copies > 0,
                    )
                )
            )
            for first, fourth in zip(asked, asked[3:], strict=False):
                assert fourth - first >= timedelta(days=1)
            for one, other in zip(asked, asked[1:], strict=False):
                assert other - one >= timedelta(minutes=10)


@ON_SQLITE
def test_every_walk_keeps_the_promises(app: Flask) -> None:
    """INV-1, INV-2, INV-3, INV-5, INV-7 after every step (RULES vocabulary: transitions)."""
    with writing():
        ledger.publish("signup", "en", AGREED, now=START)  # known for good, as in a real shop
        db.session.commit()
    walk = Walk.TestCase
    walk.settings = settings(
        max_examples=70,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes and says little more
        suppress_health_check=list(HealthCheck),
    )
    walk().runTest()
