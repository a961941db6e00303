"""Receipts, senders and sweeps at the same time: one order of locks, one outcome."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock, sending
from prefcenter.consent import provider
from prefcenter.database import WRITE, db, writing
from prefcenter.models import Gate, OutboxMessage, OutboxStatus, Person, Status, TextKind
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Parcel, Verdict
from prefcenter.sms.webhook import StatusUpdate
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.receipts import Network, again, kept, queued, sound, take, update
from tests.test_gate import pass_time, settle
from tests.watching import until

_WAITING = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")


def while_waiting_for(app: Flask, held: sa.Select[int], work: Callable[[], None]) -> list[str]:
    """Hold one row, let `work` run into it; gives the other tables whose rows it holds then."""
    rows = {"outbox": sa.select(OutboxMessage.id), "gate": sa.select(Gate.name)}

    def inside() -> None:
        with app.app_context():
            work()

    locked = []
    with db.engine.connect().execution_options(**{WRITE: True}) as other:
        other.execute(held.with_for_update()).all()
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(inside)
            until(lambda: other.execute(_WAITING).scalar(), "it never waits for this row")
            for name, query in rows.items():
                free = other.execute(query.with_for_update(skip_locked=True)).all()
                if len(free) < len(other.execute(query).all()):
                    locked.append(name)
            other.rollback()
            working.result(30)
    return locked


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_receipt_holds_the_person_before_the_text(app: Flask, town: Town, now: Clock) -> None:
    town.alice()
    refused = update(town.outbox(ALICE)[-1], "rejected", "1240")
    db.session.rollback()
    locked = while_waiting_for(app, sa.select(Person.id), lambda: take(refused, now))
    assert locked == []
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_answer_holds_the_person_before_the_text(app: Flask, town: Town, now: Clock) -> None:
    town.alice()
    claim = _claim(queued(ALICE, now=now))
    refused = Verdict(Outcome.FAILED, "opted out", code="1240")
    db.session.rollback()
    work = lambda: sending._record(claim, refused)  # noqa: E731 - one of two ways to do it
    assert while_waiting_for(app, sa.select(Person.id), work) == []
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("by_receipt", [True, False], ids=["receipt", "answer"])
def test_the_gate_comes_after_the_text(
    app: Flask, town: Town, now: Clock, by_receipt: bool
) -> None:
    town.alice()
    text = queued(ALICE, now=now)
    claim = _claim(text)
    receipt = update(text, "rejected", "1070")
    paused = Verdict(Outcome.PAUSE, "402")
    db.session.rollback()

    def work() -> None:
        take(receipt, now) if by_receipt else sending._record(claim, paused)

    held = sa.select(OutboxMessage.id).where(OutboxMessage.id == text.id)
    assert "gate" not in while_waiting_for(app, held, work)


def test_senders_receipts_and_sweeps_at_once_agree(app: Flask, town: Town, now: Clock) -> None:
    """Persons, texts and the gate are locked in one order, so nobody waits for ever."""
    people = [ALICE, BOB, CAROL]
    for number in people:
        town.alice(number)
    pass_time(1000)
    codes = ["", "1240", "1070", "1000", "1190", "2"]
    texts = [queued(people[n % 3], now=now) for n in range(24)]
    # Each was called before and waits to leave once more; a stop cancels it meanwhile.
    second = {"kind": TextKind.WELCOME, "copies": 1, "due_at": now.now() + timedelta(hours=1)}
    waiting = [queued(people[n % 3], now=now, **second) for n in range(24)]

    def arrive(*receipts: StatusUpdate) -> None:
        for receipt in receipts:
            with writing():
                provider.take(receipt, now=clock.now())
                db.session.commit()

    def early(parcel: Parcel, n: int) -> None:
        code = codes[n % 6]
        said = ("rejected" if code else "delivered", clock.now(), code)
        with app.app_context():
            arrive(StatusUpdate(f"m-{n}", parcel.ref if n % 2 else None, None, *said))
            arrive(update(waiting[n], "delivered"), StatusUpdate(f"m-{n}", parcel.ref, None, *said))

    def one(n: int) -> None:
        with app.app_context():
            answer = Verdict(Outcome.SENT, "", message_id=f"m-{n}")
            network = Network(lambda parcel: early(parcel, n), answer)
            claim = _claim(texts[n])
            sending._record(claim, network.send(claim.parcel))
            sending.rescue()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(24), timeout=120))
    for n, text in enumerate(texts):
        expected = OutboxStatus.FAILED if codes[n % 6] else OutboxStatus.DELIVERED
        assert (again(text).status, again(text).copies) == (expected, 1)
    assert {again(text).status for text in waiting} == {OutboxStatus.DELIVERED}
    assert town.person(BOB).status is Status.UNSUBSCRIBED
    assert kept() == []
    settle()
    sound()


def _claim(text: OutboxMessage) -> delivery.Claim:
    """Claimed whether the gate is open or not."""
    with writing():
        values = {"status": OutboxStatus.SENDING, "claim": "c", "claimed_at": clock.now()}
        mine = sa.update(OutboxMessage).where(OutboxMessage.id == text.id)
        db.session.execute(mine.values(values))
        db.session.commit()
    parcel = Parcel(text.ref, text.to, text.sender, text.body, text.kind)
    return delivery.Claim(text.id, "c", parcel, wait=0, lapses=1e12, probing=True)
