"""Every walk that people can take keeps the promises: a hypothesis state machine."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant

from prefcenter.consent import audit, ledger, suppression
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, OutboxMessage, OutboxStatus, Person, Status, TextKind
from prefcenter.sms.sender import Outcome
from tests.cast import ALICE, BOB
from tests.walk import AGREED, BY_WEB, START, Walk

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Promises(Walk):
    """What must hold after every step."""

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


@pytest.fixture
def shop(app: Flask) -> None:
    """The text of the form is known for good, as in a real shop; the walks commit nothing."""
    with writing():
        ledger.publish("signup", "en", AGREED, now=START)
        db.session.commit()


@ON_SQLITE
def test_a_text_that_was_in_the_air_when_alice_stopped_is_not_tried_again(shop: None) -> None:
    """REL-8: the provider said "later" to her welcome, and meanwhile she pressed stop."""
    walk = Walk()
    walk.begin("stopped while a text was in the air")
    for _ in range(3):
        walk.texts_leave(Outcome.SENT, False)
        walk.time_passes(1)
    found = db.session.execute(sa.select(OutboxMessage.kind, OutboxMessage.status)).all()
    assert {row.kind: row.status for row in found} == {
        TextKind.CONFIRM_REQUEST: OutboxStatus.SENT,
        TextKind.WELCOME: OutboxStatus.CANCELLED,
        TextKind.UNSUBSCRIBED: OutboxStatus.SENT,
    }
    walk.teardown()


@ON_SQLITE
def test_every_walk_keeps_the_promises(shop: None) -> None:
    """INV-1, INV-2, INV-3, INV-5, INV-7 after every step (RULES vocabulary: transitions)."""
    walk = Promises.TestCase
    walk.settings = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        phases=[Phase.reuse, Phase.generate],  # shrinking takes minutes and says little more
        suppress_health_check=list(HealthCheck),
    )
    walk().runTest()
