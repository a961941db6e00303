"""Whatever people text and press, in whatever order it comes: no "allow" after a STOP without a
newer yes, and every "allow" cites an event that is theirs. A hypothesis state machine through the
real rules, the door for texts included; each example is one transaction that is rolled back.
"""

import uuid
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from prefcenter import links
from prefcenter.consent import (
    deciding,
    decisions,
    inbound,
    ledger,
    pausing,
    people,
    preferences,
    second_look,
    send_windows,
    signup,
)
from prefcenter.consent.outlook import NOT_YET
from prefcenter.consent.permission import Decision, Kind, Rules
from prefcenter.consent.preferences import Result
from prefcenter.database import begin_write, db, writing
from prefcenter.links import Link, Purpose
from prefcenter.models import (
    Action,
    ConsentEvent,
    EventKind,
    Person,
    Review,
    Source,
    Status,
    SuppressionReason,
)
from prefcenter.phone import Number
from prefcenter.sms import delivery, inbox
from prefcenter.sms.sender import Outcome, Verdict
from prefcenter.sms.webhook import InboundText
from tests.cast import ALICE, BOB
from tests.walk import AGREED, LINK, PAGE, PURPOSES, START
from tests.webhooks import SENDER

BOOK = send_windows.read()
SECOND = timedelta(seconds=1)  # between two words of one person
SLUGS = ("offers", "events")
STOPS = ("STOP", "Stop.", "quit", "No thanks")
YESES = ("START", "YES", "JOIN")
OTHERS = ("HELP", "PAUSE", "WEEKLY", "1", "thank you")
OPT_INS = (EventKind.CONFIRMED, EventKind.RESTARTED, EventKind.CHANGED)
numbers = st.sampled_from([ALICE, ALICE, BOB])
slugs = st.sets(st.sampled_from(SLUGS), min_size=1)


class Moves(RuleBasedStateMachine):
    """What each number last asked for is remembered apart, by when it was said."""

    held = Bundle("held")

    @initialize(target=held)
    def begin(self) -> MultipleResults[tuple[Link, Purpose]]:
        self.now = START
        self.stops: dict[str, dict[str, datetime]] = {ALICE: {}, BOB: {}}
        self.yeses: dict[str, list[datetime]] = {ALICE: [], BOB: []}
        self.allowed = 0
        begin_write()
        self.sign_up(ALICE, {"offers"})
        [asked] = self.texts_leave().values
        self.confirm(asked)
        return multiple(asked, *self.texts_leave().values)

    def teardown(self) -> None:
        db.session.rollback()
        db.session.expunge_all()

    # --- pages

    @rule(number=numbers, wanted=slugs)
    def sign_up(self, number: str, wanted: set[str]) -> None:
        filled = signup.Filled(
            number=Number(number, "US"),
            site="prefs.test",
            source=Source.FORM,
            categories=sorted(wanted),
            language="en",
            consent_text=AGREED,
            answer={"box": "ticked"},
            page_url="http://prefs.test/",
            ip="198.51.100.7",
            user_agent="Firefox",
        )
        signup.receive(filled, now=self.now)

    @rule(target=held)
    def texts_leave(self) -> MultipleResults[tuple[Link, Purpose]]:
        for row in signup.waiting(10):
            signup.admit(row, now=self.now)
        found: list[tuple[Link, Purpose]] = []
        claims = delivery.claim_due(9, now=self.now, may_send=decisions.may_send, horizon=3600)
        for claim in claims or ():
            delivery.record([(claim, Verdict(Outcome.SENT, "", message_id="m"))], now=self.now)
            if link := LINK.search(claim.parcel.body):
                purpose = PURPOSES[link[1]]
                found.append((links.read(purpose, link[2], now=self.now), purpose))
        return multiple(*found)

    @rule(held=held)
    def confirm(self, held: tuple[Link, Purpose]) -> None:
        self.now += SECOND
        person = people.by_link(held[0])
        if held[1] is Purpose.CONFIRM:
            done = preferences.confirm(person, held[0], PAGE, now=self.now)
            self._said_yes(person, done)

    @rule(held=held, chosen=slugs)
    def choose(self, held: tuple[Link, Purpose], chosen: set[str]) -> None:
        person = people.by_link(held[0])
        if preferences.may_change(person, held[0], now=self.now):
            preferences.choose(person, chosen=chosen, offered=SLUGS, proof=PAGE, now=self.now)

    @rule(held=held)
    def stop_by_page(self, held: tuple[Link, Purpose]) -> None:
        person = people.by_link(held[0])
        self.now += SECOND
        reason = SuppressionReason.PREFERENCE_PAGE
        preferences.revoke(person, PAGE, reason=reason, now=self.now, link=held[0])
        if person.number:
            self.stops[person.number][str(self.now)] = self.now

    @rule(held=held)
    def undo(self, held: tuple[Link, Purpose]) -> None:
        self.now += SECOND
        person = people.by_link(held[0])
        self._said_yes(person, preferences.restart(person, held[0], PAGE, now=self.now))

    @rule(held=held)
    def pause(self, held: tuple[Link, Purpose]) -> None:
        pausing.pause(people.by_link(held[0]), "1w", proof=PAGE, now=self.now)

    # --- texts

    @rule(number=numbers, text=st.sampled_from(STOPS + YESES + YESES + OTHERS),
          late=st.sampled_from([0, 0, 0, 2, 20, 300]))  # fmt: skip
    def text(self, number: str, text: str, late: int) -> None:
        """It was said so many minutes ago, and is stored now."""
        self.now += SECOND
        said_at = (self.now - timedelta(minutes=late)).replace(microsecond=0)
        message_id = str(uuid.uuid4())
        came = InboundText(
            message_id=message_id, number=number, ours=SENDER, text=text, said_at=said_at
        )
        inbox.store([(came, self.now)])
        if text in STOPS:
            self.stops[number][message_id] = said_at
        elif text in YESES:
            self.yeses[number].append(said_at)

    @rule()
    def texts_are_worked(self) -> None:
        for row in inbox.waiting(20):
            inbound.handle(row, now=self.now)

    @rule(is_refusal=st.booleans())
    def somebody_looks_at_a_review(self, is_refusal: bool) -> None:
        """What was no refusal after all is none of their stops."""
        ref = db.session.scalar(
            sa.select(Review.public_id).where(Review.closed_at.is_(None)).order_by(Review.id)
        )
        case = second_look.take(ref, now=self.now) if ref else None
        if case is None or case.outlook in NOT_YET:
            return
        decision = second_look.Decision("eve", "I rang her up.")
        if is_refusal:
            second_look.confirm_refusal(case, decision, now=self.now)
        elif second_look.deny_refusal(case, decision, now=self.now):
            self.stops[case.inbound.number].pop(case.inbound.message_id, None)
        case.review.closed_at = self.now
        db.session.flush()

    @rule(minutes=st.sampled_from([1, 6, 30, 24 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    # --- what must hold

    @invariant()
    def an_allow_has_a_yes_that_is_newer_than_every_stop(self) -> None:
        """INV-1, INV-5, INV-6: right after each step, also while texts wait."""
        if not hasattr(self, "now"):
            return
        within = db.session.connection().connection
        for number in (ALICE, BOB):
            for slug in SLUGS:
                answer = deciding.one(
                    *(number, slug, Kind.MARKETING, Rules(BOOK)),
                    at=self.now, now=self.now, within=within,
                )  # fmt: skip
                if answer.verdict.decision is Decision.DENY:
                    assert answer.grant is None
                    continue
                self.allowed += 1
                newest_stop = max(self.stops[number].values(), default=None)
                assert self.yeses[number], f"{number} never said yes"
                if newest_stop is not None:
                    assert max(self.yeses[number]) > newest_stop, "allowed after a STOP"
                assert answer.grant is not None
                self._is_theirs(answer.grant.event, number, slug)

    def _is_theirs(self, event: str, number: str, slug: str) -> None:
        db.session.flush()
        query = sa.select(ConsentEvent).join(Person, Person.id == ConsentEvent.person_id)
        found = db.session.scalars(
            query.where(ConsentEvent.public_id == event, Person.number == number)
        ).one()
        assert found.kind in OPT_INS and found.source is not Source.ADMIN
        assert found.action in (Action.OPT_IN, Action.RE_OPT_IN, None)
        person = db.session.get_one(Person, found.person_id, populate_existing=True)
        assert person.status is Status.SUBSCRIBED
        if found.kind is EventKind.CHANGED:
            assert f'"{slug}"' in found.changes

    def _said_yes(self, person: Person, result: Result) -> None:
        if result is Result.DONE and person.number:
            self.yeses[person.number].append(self.now)


@pytest.fixture
def shop(app: Flask) -> None:
    """The text of the form is known for good, as in a real shop; the moves commit nothing."""
    with writing():
        ledger.publish("signup", "en", AGREED, now=START)
        db.session.commit()


def test_no_moves_lead_to_an_allow_after_a_stop(shop: None, database_url: str) -> None:
    moves = Moves.TestCase
    moves.settings = settings(
        max_examples=30 if database_url.startswith("sqlite") else 12,
        stateful_step_count=20,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes and says little more
        suppress_health_check=list(HealthCheck),
    )
    moves().runTest()
