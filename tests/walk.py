"""The walks that people can take, for test_state_machine.py to check.

The rules never commit, so one example is one transaction that is rolled back at its end.
"""

import re
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
)

from prefcenter import links
from prefcenter.consent import (
    asking,
    catalog,
    decisions,
    pausing,
    people,
    preferences,
    signup,
)
from prefcenter.consent.ledger import Proof
from prefcenter.consent.limits import Cause
from prefcenter.consent.preferences import Result
from prefcenter.database import begin_write, db
from prefcenter.links import Link, Purpose
from prefcenter.models import (
    Person,
    Source,
    Status,
    SuppressionReason,
    TextKind,
)
from prefcenter.phone import Number
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Verdict
from tests.cast import ALICE, BOB

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
AGREED = "I agree."
STARTS = ("asked", "confirmed", "stopped", "stopped while a text was in the air", "came back")
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

    @initialize(target=held, start=st.sampled_from(STARTS))
    def begin(self, start: str) -> object:
        self.now = START
        self.said_yes: set[str] = set()  # numbers whose last word was yes
        self.stopped: dict[str, datetime] = {}  # numbers whose last word was stop
        self.last_stop: dict[str, datetime] = {}
        self.stop_replies: dict[str, int] = {}
        self.ledger_length = self.writes = 0
        self.pressed: dict[int, Link] = {}  # by person: whose page had the stop that counted
        self.in_air: list[tuple[delivery.Claim, Outcome]] = []
        begin_write()
        self.sign_up(ALICE, {"offers"}, "198.51.100.7")
        [asked] = self.texts_leave(Outcome.SENT, False).values
        if start == "asked":
            return asked
        self.confirm(asked)
        if start == "stopped while a text was in the air":
            self.texts_leave(Outcome.RETRY, True)
            self.stop(asked, PAGE)
            return asked
        [welcome] = self.texts_leave(Outcome.SENT, False).values
        if start != "confirmed":
            self.stop(asked, PAGE)
        if start == "came back":
            self.now += timedelta(minutes=11)
            self.join_from_the_handset(ALICE)
        return multiple(asked, welcome)

    def teardown(self) -> None:
        db.session.rollback()
        db.session.expunge_all()
        assert db.session.scalar(sa.select(sa.func.count(Person.id))) == 0
        db.session.rollback()

    # --- what the web and the handset do ---

    @rule(number=numbers, wanted=slugs, ip=st.sampled_from(["198.51.100.7", "2001:db8::1"]))
    def sign_up(self, number: str, wanted: set[str], ip: str) -> None:
        filled = signup.Filled(
            number=Number(number, "US"),
            site="prefs.test",
            source=Source.FORM,
            categories=sorted(wanted),
            language="en",
            consent_text=AGREED,
            answer={"box": "ticked"},
            page_url="http://prefs.test/",
            ip=ip,
            user_agent="Firefox",
        )
        signup.receive(filled, now=self.now)

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
            # The same minute: only where the handset spoke again after its STOP, see above.
            assert link.issued >= self.last_stop.get(person.number or "", START - timedelta(days=1))
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
        if wish in pausing.PAUSES:
            pausing.pause(person, wish, proof=PAGE, now=self.now)
        elif wish == "resume":
            pausing.resume(person, proof=PAGE, now=self.now)
        else:
            preferences.fewer(person, wish, proof=PAGE, now=self.now)
        assert preferences.texts_a_month(person.frequency) <= before

    @rule(held=held, door=st.sampled_from([PAGE, HANDSET]))
    def stop(self, held: tuple[Link, Purpose], door: Proof) -> None:
        person = people.by_link(held[0])
        number, by_page = person.number, door is PAGE
        link = held[0] if by_page else None
        reason = SuppressionReason.KEYWORD
        done = preferences.revoke(person, door, reason=reason, now=self.now, link=link)
        if done is Result.DONE:
            self.pressed.pop(held[0].link_id, None)
            if link is not None:
                self.pressed[link.link_id] = link
        assert person.status is Status.UNSUBSCRIBED
        if number:
            self.said_yes.discard(number)
            if number not in self.stopped:
                self.stop_replies[number] = 0
            self.stopped[number] = self.last_stop[number] = self.now

    @rule(held=held, same_page=st.booleans())
    def undo(self, held: tuple[Link, Purpose], same_page: bool) -> None:
        theirs = self.pressed.get(held[0].link_id)
        link = theirs if same_page and theirs else held[0]
        person = people.by_link(link)
        by_handset = person.opt_out_source is Source.SMS
        was = person.status
        result = preferences.restart(person, link, PAGE, now=self.now)
        if result is Result.DONE:
            assert was is Status.UNSUBSCRIBED
            assert not by_handset, "a link lifted a STOP that came by text"
            assert link == theirs, "another link than the one of the page"
            assert person.number is not None
            assert self.now - self.stopped.pop(person.number) <= timedelta(hours=1)
            self.said_yes.add(person.number)

    @rule(held=held, sure=st.sampled_from([False, False, False, True]))
    def not_mine(self, held: tuple[Link, Purpose], sure: bool) -> None:
        """Rarely: nothing much can happen to a person afterwards."""
        if not sure:
            return
        person = people.by_link(held[0])
        number = person.number
        preferences.reassign(person, PAGE, now=self.now)
        assert person.number is None
        if number:
            self.said_yes.discard(number)

    @rule(held=held)
    def new_link(self, held: tuple[Link, Purpose]) -> None:
        asking.new_link(people.by_link(held[0]), PAGE, now=self.now)

    @rule(number=numbers)
    def join_from_the_handset(self, number: str) -> None:
        """A START without sure proof asks for a confirmation, also after a STOP (RULE-30)."""
        person = people.by_number(number)
        if person is None or person.status is Status.SUBSCRIBED:
            return
        words = Proof(source=Source.SMS, detail="START")
        if asking.may_ask(person, Cause("", "prefs.test"), now=self.now):
            asking.ask(person, ["offers"], words, "prefs.test", now=self.now)
            self.stopped.pop(number, None)  # the handset spoke again

    # --- what time and the sender do ---

    @rule(minutes=st.sampled_from([1, 1, 11, 11, 59, 61, 24 * 60, 73 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(
        target=held,
        outcome=st.sampled_from([Outcome.SENT] * 3 + [Outcome.UNKNOWN, Outcome.RETRY]),
        slow=st.booleans(),
    )
    def texts_leave(self, outcome: Outcome, slow: bool) -> MultipleResults[tuple[Link, Purpose]]:
        """Note what came of the calls in the air, look at the forms, call with what is due.

        A slow call is answered at the next turn: whatever people do meanwhile comes first.
        """
        self.answer()
        for row in signup.waiting(10):
            signup.admit(row, now=self.now)
        delivery.rescue(now=self.now)
        claims = delivery.claim_due(5, now=self.now, may_send=decisions.may_send, horizon=3600)
        arrived: list[tuple[Link, Purpose]] = []
        for claim in claims or ():
            self.check_text(claim.parcel.to, claim.parcel.kind, outcome)
            self.in_air.append((claim, outcome))
            if found := LINK.search(claim.parcel.body):
                purpose = PURPOSES[found[1]]
                arrived.append((links.read(purpose, found[2], now=self.now), purpose))
        if not slow:
            self.answer()
        return multiple(*arrived)

    def answer(self) -> None:
        for claim, outcome in self.in_air:
            delivery.record([(claim, Verdict(outcome, "", message_id="m"))], now=self.now)
        self.in_air = []

    def check_text(self, number: str, kind: TextKind, outcome: Outcome) -> None:
        """INV-1, INV-5: who may get which text at this moment."""
        if number in self.stopped:
            assert kind is TextKind.UNSUBSCRIBED, f"{kind} to somebody who stopped"
            self.stop_replies[number] += outcome is not Outcome.RETRY
            assert self.stop_replies[number] <= 1, "a second reply to one stop"
        elif number not in self.said_yes:
            assert kind is TextKind.CONFIRM_REQUEST, f"{kind} to somebody who never said yes"
