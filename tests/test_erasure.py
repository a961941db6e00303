"""Whoever asks to be forgotten is, and nothing brings their number back but their own phone."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import (
    audit,
    by_hand,
    ledger,
    people,
    second_look,
    signup,
    suppression,
)
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.database import clear_log, db, writing
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Evidence,
    Inbound,
    OutboxMessage,
    OutboxStatus,
    Person,
    PersonCategory,
    Review,
    Signup,
    Source,
    Status,
    Suppression,
    SuppressionReason,
    Unreadable,
)
from prefcenter.sms import delivery, inbox
from prefcenter.sms.sender import Outcome, Verdict
from prefcenter.upkeep import erasure
from prefcenter.upkeep.erasure import Erased
from tests import webhooks
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import reviews, say

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SECRET_WORDS = "my new address is 12 Elm Road"


def erase(town: Town, number: str = ALICE, *, commit: bool = True) -> Erased | None:
    with writing():
        person = people.by_number(number)
        assert person is not None
        return erase_person(person, town, commit=commit)


def erase_person(person: Person, town: Town, *, commit: bool = True) -> Erased | None:
    done = erasure.erase(person, by="dana", reason="She wrote a letter.", now=town.now())
    if commit:
        db.session.commit()
    return done


def busy_alice(town: Town, now: Clock) -> str:
    link = town.alice()
    now.forward(hours=1)
    say(town, SECRET_WORDS)
    say(town, "No thanks")
    now.forward(hours=1)
    say(town, "START")
    town.work()
    return link


def everything() -> str:
    return json.dumps(rows())


def test_what_is_personal_is_gone_from_every_table(town: Town, now: Clock) -> None:
    """RULE-63, REL-21: her number, her words, where from, and every key to her page."""
    link = busy_alice(town, now)
    before = everything()
    for traces in (ALICE, SECRET_WORDS, link.rpartition("/")[2], "127.0.0.1"):
        assert traces in before, traces
    done = erase(town)
    assert done == Erased(evidence=4, texts_out=4, texts_in=3, forms=0)
    after = everything()
    for trace in (ALICE, ALICE[1:], SECRET_WORDS, "No thanks", link.rpartition("/")[2]):
        assert trace not in after, trace
    person = db.session.scalars(sa.select(Person)).one()
    assert (person.number, person.status, person.zone) == (None, Status.REDACTED, None)
    assert person.requested == []
    assert db.session.scalars(sa.select(PersonCategory)).all() == []
    assert {one.note for one in db.session.scalars(sa.select(Review))} == {""}
    assert town.browser.get(link).status_code == 404


def test_the_chain_and_the_counts_stay_whole(town: Town, now: Clock) -> None:
    """RULE-13, REL-21, INV-2: the bare events stay, and one more says that it was erased."""
    busy_alice(town, now)
    town.bob()
    kinds = town.events(ALICE)
    texts = db.session.scalar(sa.select(sa.func.count(OutboxMessage.id)))
    erase(town)
    events = ledger.events_of(
        db.session.scalars(sa.select(Person.id).order_by(Person.id).limit(1)).one()
    )
    assert [event.kind for event in events] == [*kinds, EventKind.ERASED]
    assert (events[-1].source, events[-1].source_detail) == (Source.ADMIN, "dana")
    [evidence] = db.session.scalars(
        sa.select(Evidence).where(Evidence.event_id.in_([event.id for event in events]))
    )
    body = json.loads(evidence.body)
    assert body["number"] is None
    assert body["answer"] == {"note": "She wrote a letter.", "recorded_by": "dana"}
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []
    assert db.session.scalar(sa.select(sa.func.count(OutboxMessage.id))) == texts


def test_bob_loses_nothing(town: Town, now: Clock) -> None:
    town.bob()
    say(town, "Hello, it is Bob", BOB)
    before = {table: set(content) for table, content in rows().items()}
    busy_alice(town, now)
    erase(town)
    after = {table: set(content) for table, content in rows().items()}
    kept = {"person", "consent_event", "evidence", "outbox", "inbound", "suppression"}
    for table in kept:
        assert before[table] <= after[table], table


def test_nothing_brings_the_number_back_but_her_own_phone(town: Town, now: Clock) -> None:
    """SEC-48, REL-21: not a form, not a link; START from the handset asks her to confirm."""
    link = busy_alice(town, now)
    town.work()
    erase(town)
    assert suppression.contains(ALICE)
    [found] = db.session.scalars(sa.select(Suppression))
    assert found.reason is SuppressionReason.ERASURE
    assert ALICE[1:] not in found.pseudonym and len(found.pseudonym) == 64
    now.forward(days=1)
    town.sign_up(ALICE)
    town.browser.post(link)
    assert town.work() == []
    say(town, "START")
    [parcel] = town.work()
    assert parcel.kind == "confirm_request"
    person = town.person(ALICE)
    assert (person.status, person.ledger_seq) == (Status.PENDING, 1), "she begins anew"
    town.browser.post(town.last_link(ALICE))
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert not suppression.contains(ALICE)
    assert list(audit.differences()) == []


def test_a_stop_from_before_stays_the_reason(town: Town) -> None:
    """RULE-44: the first reason and date stay."""
    town.carol()
    erase(town, CAROL)
    [found] = db.session.scalars(sa.select(Suppression))
    assert found.reason is SuppressionReason.PREFERENCE_PAGE


def test_what_waits_to_leave_never_does(town: Town, now: Clock) -> None:
    """A welcome in the queue, a form that nobody looked at, a text in the air."""
    link = town.bob(ALICE)
    town.browser.post(link)
    town.sign_up(ALICE)
    done = erase(town)
    assert done and done.forms == 1
    assert db.session.scalars(sa.select(Signup)).all() == []
    assert town.work() == []
    statuses = set(db.session.scalars(sa.select(OutboxMessage.status)))
    assert OutboxStatus.QUEUED not in statuses


def test_a_text_in_the_air_is_not_sent_again(town: Town, now: Clock) -> None:
    """INV-7: nobody knows whether it left; its row has no number to send it to any more."""
    town.network.answers = [Verdict(Outcome.UNKNOWN, "timeout")]
    town.sign_up(ALICE)
    town.work()
    erase(town)
    for _ in range(4):
        now.forward(hours=1)
        with writing():
            delivery.rescue(now=now.now())
            db.session.commit()
        assert town.work() == []


def test_a_receipt_that_comes_late_changes_nothing_of_hers(town: Town, now: Clock) -> None:
    """SEC-37: it names a number that we no longer know."""
    town.alice()
    text = town.outbox(ALICE)[-1]
    raw = webhooks.status_body(
        "delivered", message_id=text.provider_id or "", ref=text.ref, at=now.now()
    )
    erase(town)
    town.browser.post(webhooks.STATUS, data=raw, headers=webhooks.headers(raw, now=now.now()))
    assert ALICE[1:] not in everything()


def test_webhooks_that_were_kept_unread_lose_her_number_too(town: Town, now: Clock) -> None:
    """SEC-34 kept them as they came; Bob's stays."""
    town.alice()
    for number in (ALICE, BOB):
        body = b'{"from":"' + number[1:].encode() + b'","\x00\xff": "image"}'
        with writing():
            inbox.keep_unreadable("inbound", body, "not a text", now=now.now())
            db.session.commit()
    erase(town)
    bodies = db.session.scalars(sa.select(Unreadable.body).order_by(Unreadable.id)).all()
    assert bodies[0] == b"" and BOB[1:].encode() in bodies[1]


def test_a_text_that_nobody_worked_yet_is_left_to_be_heard(town: Town, now: Clock) -> None:
    """REL-11: it may be a STOP, and what comes after is a stranger's."""
    town.alice()
    with writing():
        waiting = Inbound(
            message_id="m-late",
            number=ALICE,
            ours="+12025550100",
            text="STOP",
            received_at=now.now(),
        )
        db.session.add(waiting)
        db.session.commit()
    done = erase(town)
    assert done and done.texts_in == 0
    assert db.session.get_one(Inbound, waiting.id, populate_existing=True).text == "STOP"


def test_a_former_owner_is_erased_without_touching_the_new_one(town: Town, now: Clock) -> None:
    """RULE-51: the same number, two people, one after the other."""
    link = town.alice()
    say(town, "It is the first Alice")
    town.browser.post(f"{link}/not-mine")
    now.forward(days=30)
    town.alice()
    say(town, "It is the second Alice")
    with writing():
        former = db.session.scalars(sa.select(Person).where(Person.number.is_(None))).one()
        former = people.by_id(former.id)
        done = erase_person(former, town)
    assert done and done.texts_in == 1
    content = everything()
    assert "the first Alice" not in content
    assert "the second Alice" in content
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert not suppression.contains(ALICE), "it is somebody else's number now"
    assert town.outbox(ALICE)
    assert list(audit.faults()) == []


def test_it_happens_once_and_only_when_it_is_committed(town: Town, now: Clock) -> None:
    busy_alice(town, now)
    before = rows()
    erase(town, commit=False)
    assert rows() == before
    erase(town)
    with writing():
        person = people.by_id(db.session.scalars(sa.select(Person.id)).one())
        assert erase_person(person, town) is None
    assert sum(e.kind is EventKind.ERASED for e in db.session.scalars(sa.select(ConsentEvent))) == 1


def test_a_link_of_an_erased_person_is_nobodys(town: Town, now: Clock) -> None:
    town.alice()
    link_id = town.person(ALICE).link_id
    erase(town)
    assert db.session.scalars(sa.select(Person.link_id)).one() != link_id


def left_of(number: str = ALICE) -> dict[str, int]:
    """By table how many rows still name a number."""
    found = {name: sum(number[1:] in str(row) for row in kept) for name, kept in rows().items()}
    return {name: count for name, count in found.items() if count}


def test_what_she_said_before_she_had_a_row_is_gone_too(town: Town, now: Clock) -> None:
    """RULE-63: she asked for help and wrote to us before she signed up; a review waits."""
    say(town, "HELP")
    say(town, "can I stop this later? my name is Zed Zulu")
    town.work()
    [review] = reviews()
    assert review.person_id is None
    with writing():
        db.session.execute(sa.update(Review).values(note="Zed Zulu rang us"))
        db.session.commit()
    now.forward(hours=1)
    town.alice()
    done = erase(town)
    assert done and (done.texts_in, done.texts_out) == (2, 3)
    assert left_of() == {}
    assert "Zed Zulu" not in everything()
    db.session.expire_all()
    assert reviews()[0].closed_at == now.now()


def test_before_her_row_came_a_former_owner(town: Town, now: Clock) -> None:
    """RULE-51: the second Alice wrote to us before she signed up; the first keeps her texts."""
    link = town.alice()
    say(town, "It is the first Alice")
    now.forward(hours=1)
    town.browser.post(f"{link}/not-mine")
    now.forward(days=30)
    say(town, "It is the second Alice")
    now.forward(hours=1)
    town.alice()
    done = erase(town)
    assert done and done.texts_in == 1
    assert "the first Alice" in everything()
    assert "the second Alice" not in everything()


def test_a_former_owner_is_forgotten_however_much_came_after(town: Town, now: Clock) -> None:
    """RULE-31 keeps every call of hers; none of them says what her number was."""
    link = town.alice()
    say(town, "hi, it is me")
    public_id = town.person(ALICE).public_id
    town.browser.post(f"{link}/not-mine")
    with writing():
        for _ in range(6):
            person = people.by_public_id(public_id)
            assert person is not None
            wish = Wish(Channel.PHONE, now.now(), "No more.", "dana")
            by_hand.revoke(person, wish, now=now.now())
        db.session.commit()
    with writing():
        person = people.by_public_id(public_id)
        assert person is not None
        erase_person(person, town)
    assert left_of() == {}


@pytest.mark.parametrize("typed", [ALICE, "(202) 555-0143", "12025550143", "0012025550143"])
def test_her_number_is_not_kept_as_the_reason(town: Town, typed: str) -> None:
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        erasure.erase(person, by="dana", reason=f"{typed} wrote a letter", now=town.now())
        db.session.commit()
    assert left_of() == {}
    [body] = db.session.scalars(sa.select(Evidence.body))
    assert json.loads(body)["answer"]["note"] == "…0143 wrote a letter"


@on_sqlite
def test_no_byte_of_hers_stays_in_the_file(town: Town, now: Clock, tmp_path: Path) -> None:
    """RULE-63: neither in what SQLite freed nor in its log."""
    busy_alice(town, now)
    erase(town)
    db.session.remove()
    clear_log()
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    for trace in (ALICE[1:], SECRET_WORDS, "No thanks"):
        assert trace.encode() not in kept, trace


Step = Callable[[], object]


def at_once(app: Flask, first: tuple[Step, Step], second: Step) -> None:
    """`first` locks, then `second` goes until it waits, then `first` goes on."""
    locked, errors = threading.Event(), list[BaseException]()

    def one(steps: Sequence[Step], wait: bool) -> None:
        with app.app_context():
            try:
                if wait:
                    locked.wait(5)
                with writing():
                    steps[0]()
                    locked.set()
                    for step in steps[1:]:
                        time.sleep(0.4)  # longer than the other waits
                        step()
                    db.session.commit()
            except BaseException as error:
                errors.append(error)

    threads = [
        threading.Thread(target=one, args=(first, False)),
        threading.Thread(target=one, args=((second,), True)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def erasing(town: Town) -> tuple[Step, Step]:
    held: list[Person] = []

    def lock() -> None:
        person = people.by_number(ALICE)
        assert person is not None
        held.append(person)

    return lock, lambda: erase_person(held[0], town, commit=False)


@on_postgresql
def test_who_decides_on_her_text_meanwhile_waits_and_finds_it_closed(
    app: Flask, town: Town, now: Clock
) -> None:
    """REL-2: both lock her row first, so neither waits for the other for ever."""
    town.alice()
    say(town, "No thanks")
    [review] = reviews()
    db.session.remove()
    found: list[object] = []

    def take() -> None:
        found.append(second_look.take(review.public_id, now=now.now()))

    at_once(app, erasing(town), take)
    assert found == [None]
    assert left_of() == {}


@on_postgresql
def test_a_form_of_hers_that_is_looked_at_meanwhile_brings_nothing_back(
    app: Flask, town: Town, now: Clock
) -> None:
    """SEC-48: the form was let pass before the number was suppressed."""
    town.alice()
    now.forward(days=1)
    town.sign_up(ALICE)
    [row] = signup.waiting(5)
    db.session.remove()
    at_once(app, erasing(town), lambda: signup.admit(row, now=now.now()))
    assert left_of() == {}
    assert town.work() == []
