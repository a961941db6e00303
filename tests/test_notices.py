"""Outgoing webhooks: at least once, in each person's order, with patience, and then given up."""

import base64
import hashlib
import hmac
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken
from flask import Flask
from standardwebhooks import Webhook, WebhookVerificationError

from prefcenter import doctor, telling
from prefcenter.clock import now as real_now
from prefcenter.consent import ledger, people
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import Alarm, ConsentEvent, EventKind, Source
from prefcenter.models_webhooks import EndpointEnd, WebhookEndpoint
from prefcenter.sms import alarms
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import (
    endpoints,
    erasure,
    notice_bodies,
    notice_outcomes,
    notice_standing,
    notices,
    settled,
    webhook_keys,
)
from prefcenter.upkeep.notices import Notice
from tests.cast import ALICE, Town
from tests.conftest import BASE, Clock
from tests.crm import REFUSED, TAKEN, Crm, again, happens, listen, parked, subscriber
from tests.receiver import Receiver
from tests.watching import listening, until

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def crm() -> Crm:
    return Crm()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


# --- what is told


def test_every_kind_of_event_is_told_or_is_no_change_of_consent() -> None:
    assert notice_bodies.TYPES.keys() | notice_bodies.SILENT == set(EventKind)
    assert not notice_bodies.TYPES.keys() & notice_bodies.SILENT
    assert set(notice_bodies.TYPES.values()) == {
        "preference.granted", "preference.confirmed", "preference.changed",
        "preference.revoked", "preference.deleted",
    }  # fmt: skip


def test_alices_story_is_told_as_it_happens(town: Town, receiver: Receiver, now: Clock) -> None:
    """By the front door, over a real socket; each notice is her whole state just after it."""
    endpoint = listen(receiver.url)
    link = town.alice()
    now.forward(minutes=1)
    town.browser.post(f"{link}/stop")
    telling.Round(endpoint.id, telling.post, threading.Event()).run()
    yes, stop = receiver.told
    assert [yes.said["type"], stop.said["type"]] == ["preference.confirmed", "preference.revoked"]
    alice = town.person(ALICE)
    assert yes.data == {
        "event": yes.id, "person": alice.public_id, "seq": 2, "kind": "confirmed",
        "number": ALICE, "status": "subscribed", "categories": ["offers"], "frequency": "all",
        "paused_until": None, "language": "en", "source": "preference_page",
        "occurred_at": "2026-11-24T15:00:00Z",
    }  # fmt: skip
    assert yes.said["timestamp"] == "2026-11-24T15:00:00Z"
    assert (stop.data["seq"], stop.data["status"], stop.data["categories"]) == (
        *(3, "unsubscribed"),
        [],
    )
    assert stop.data["number"] == ALICE
    assert [one.id for one in receiver.told] == [event.public_id for event in _events()[1:]]
    assert yes.headers["content-type"] == "application/json"


def _events() -> list[ConsentEvent]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id)))


def test_what_nobody_has_confirmed_is_not_told(town: Town, receiver: Receiver) -> None:
    """A stranger may have typed the number: Bob is pending, and no program gets to know."""
    endpoint = listen(receiver.url)
    town.bob()
    telling.Round(endpoint.id, telling.post, threading.Event()).run()
    assert receiver.told == []
    assert again(endpoint).told_event_id == _events()[-1].id, "and it is not looked at again"
    assert parked() == []


def test_a_pause_a_return_and_a_new_owner(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    happens(alice, EventKind.PAUSED, paused_until="2026-12-24T15:00:00+00:00")
    happens(alice, EventKind.CHANGED, frequency="1/week", paused_until=None)
    happens(alice, EventKind.REVOKED)
    happens(alice, EventKind.RESTARTED)
    with writing():
        erasable = people.by_id(alice)
        erasable.number = None  # as it is when a number changes hands
        db.session.commit()
    happens(alice, EventKind.REASSIGNED)
    crm.told(endpoint)
    told = [_said(notice) for notice in crm.taken]
    assert [said["type"].removeprefix("preference.") for said in told] == [
        *("confirmed", "changed", "changed", "revoked", "granted", "revoked")
    ]
    data = [said["data"] for said in told]
    assert [one["seq"] for one in data] == [2, 3, 4, 5, 6, 7]
    assert data[1]["paused_until"] == "2026-12-24T15:00:00Z"
    assert [one["frequency"] for one in data] == ["all", "all", *["1/week"] * 4]
    assert [one["categories"] for one in data[3:]] == [[], ["offers"], []]
    assert data[-1]["status"] == "not_subscribed"


def _said(notice: Notice) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notice.body)
    return found


def test_whoever_was_erased_is_told_without_a_number(app: Flask, crm: Crm, now: Clock) -> None:
    """Also what happened before and was not told yet (SEC-48)."""
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    with writing():
        erasure.erase(people.by_id(alice), by="dana", reason="she asked", now=now.moment)
        db.session.commit()
    crm.told(endpoint)
    yes, erased = (notice.body for notice in crm.taken)
    assert b'"preference.deleted"' in erased and b'"redacted"' in erased
    for body in (yes, erased):
        assert b'"number": null' in body and b"2025550143" not in body


# --- the signature


def test_the_public_library_verifies_what_we_send(
    town: Town, receiver: Receiver, now: Clock
) -> None:
    """Shows 6 of the issue."""
    now.moment = real_now()  # the library looks at the real clock
    with writing():
        endpoint, secret = endpoints.add(receiver.url, after=0, now=now.moment)
        db.session.commit()
    town.alice()
    telling.Round(endpoint.id, telling.post, threading.Event()).run()
    [told] = receiver.told
    said = Webhook(secret).verify(told.raw, told.headers)
    assert said == told.said
    for spoilt in (
        (told.raw.replace(b"confirmed", b"granted!!"), told.headers),
        (told.raw, told.headers | {"webhook-id": "other"}),
        (told.raw, told.headers | {"webhook-timestamp": str(int(now.moment.timestamp()) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(*spoilt)
    with pytest.raises(WebhookVerificationError):
        Webhook(webhook_keys.new_secret()).verify(told.raw, told.headers)


def test_for_a_day_the_old_secret_signs_beside_the_new_one(
    app: Flask, receiver: Receiver, now: Clock
) -> None:
    now.moment = real_now()
    with writing():
        endpoint, old = endpoints.add(receiver.url, after=0, now=now.moment)
        db.session.commit()
    with writing():
        new = endpoints.rotate(endpoint, now=now.moment)
        db.session.commit()
    assert endpoints.ping(endpoint.url, _keys(endpoint, now), now=now.moment).taken
    for secret in (old, new):
        assert Webhook(secret).verify(receiver.told[0].raw, receiver.told[0].headers)
    now.forward(hours=24)
    keys = _keys(endpoint, now)
    assert endpoints.ping(endpoint.url, keys, now=real_now()).taken
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.told[1].raw, receiver.told[1].headers)
    assert Webhook(new).verify(receiver.told[1].raw, receiver.told[1].headers)


def _keys(endpoint: WebhookEndpoint, now: Clock) -> list[bytes]:
    return webhook_keys.keys_of(endpoint, now=now.moment)


@on_sqlite
def test_a_stolen_database_does_not_hold_the_secret(app: Flask, now: Clock) -> None:
    with writing():
        endpoint, secret = endpoints.add("http://127.0.0.1:9/", after=0, now=now.moment)
        db.session.commit()
    assert (
        secret.startswith("whsec_") and len(webhook_keys.keys_of(endpoint, now=now.moment)[0]) == 32
    )
    assert secret.removeprefix("whsec_") not in endpoint.secret
    assert len(endpoint.secret) <= 255
    settings = app.extensions["prefcenter"]
    for purpose in (b"prefcenter.totp", b"prefcenter.webhooks", b""):  # SEC-9: a key of its own
        key = hmac.digest(settings.secret_keys[0].encode(), purpose, hashlib.sha256)
        with pytest.raises(InvalidToken):
            Fernet(base64.urlsafe_b64encode(key)).decrypt(endpoint.secret.encode())


def test_a_new_secret_key_takes_the_secrets_over(
    app: Flask, crm: Crm, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-19: the old key can go once a sender has begun with the new one in front."""
    endpoint = listen()
    keys = _keys(endpoint, now)
    settings = app.extensions["prefcenter"]
    both = ("n" * 20 + "0123456789abcdef", *settings.secret_keys)
    app.extensions["prefcenter"] = replace(settings, secret_keys=both)
    assert endpoints.stale_seals()
    telling.Teller(app, threading.Event())._begin()
    app.extensions["prefcenter"] = replace(settings, secret_keys=both[:1])
    assert _keys(again(endpoint), now) == keys
    app.extensions["prefcenter"] = replace(settings, secret_keys=("x" * 20 + "0123456789abcdef",))
    subscriber(143, now=now.moment)
    telling.Round(endpoint.id, telling.post, threading.Event()).run()
    assert "rotate it" in again(endpoint).last_error
    assert "rotate it" in endpoints.ping(endpoint.url, _keys(endpoint, now), now=now.moment).error
    app.extensions["prefcenter"] = settings


@on_postgresql
def test_a_secret_that_is_made_while_a_worker_begins_is_kept(app: Flask, now: Clock) -> None:
    """Its owner has copied it by then, and it is not shown again."""
    endpoint = listen()
    settings = app.extensions["prefcenter"]
    both = ("n" * 20 + "0123456789abcdef", *settings.secret_keys)
    app.extensions["prefcenter"] = replace(settings, secret_keys=both)
    begun, made = threading.Event(), list[str]()

    def begin() -> None:
        begun.set()
        telling.Teller(app, threading.Event())._begin()

    worker = threading.Thread(target=begin)
    with writing():
        found = endpoints.find(endpoint.public_id)
        assert found is not None
        made.append(endpoints.rotate(found, now=now.moment))
        worker.start()
        assert begun.wait(20)
        until(_somebody_waits, "the worker's turn")
        db.session.commit()
    worker.join(20)
    new = base64.b64decode(made[0].removeprefix("whsec_"))
    assert _keys(again(endpoint), now)[0] == new
    assert not endpoints.stale_seals()


def _somebody_waits() -> bool:
    with db.engine.connect() as connection:
        waiting = "wait_event_type = 'Lock' AND datname = current_database()"
        query = sa.text(f"SELECT count(*) FROM pg_stat_activity WHERE {waiting}")
        return bool(connection.scalar(query))


# --- order


def test_later_events_of_one_person_wait_behind_the_parked_one(
    app: Flask, crm: Crm, now: Clock
) -> None:
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.refuses = {alice}
    assert crm.told(endpoint) == [bob]
    happens(alice, EventKind.REVOKED)
    happens(bob, EventKind.PAUSED, paused_until="2026-12-24T15:00:00+00:00")
    happens(alice, EventKind.RESTARTED)
    assert crm.told(endpoint) == [bob], "hers wait, his go on"
    assert len(crm.tried) == 3, "and hers are not even tried"
    assert [row.attempts for row in parked()] == [1, 0, 0]
    assert [row.due_at is None for row in parked()] == [False, True, True]
    crm.refuses = set()
    assert crm.told(endpoint) == [], "not due yet"
    now.forward(seconds=7)
    assert crm.told(endpoint) == [alice, alice, alice]
    seen = [notice.event_id for notice in crm.taken if notice.person_id == alice]
    assert seen == sorted(seen)
    assert parked() == []


def test_what_happens_while_the_first_is_taken_at_last_stays_behind_it(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """The parked one is taken and a newer one is read, in one batch."""
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.refuses = {alice}
    crm.told(endpoint)
    happens(alice, EventKind.REVOKED)
    crm.refuses = set()
    now.forward(seconds=7)
    assert crm.told(endpoint) == [alice, alice]
    assert parked() == []


@pytest.mark.parametrize("seed", range(3))
def test_whatever_fails_each_person_is_told_all_in_their_order(
    app: Flask, now: Clock, seed: int
) -> None:
    """REL: 40 % of the POSTs fail, now and then all of them, and nothing is lost or turned round."""
    chance = random.Random(seed)  # the same seed, the same story
    endpoint, crm = listen(), Crm()
    folk = [subscriber(number, now=now.moment) for number in range(6)]
    for step in range(60):
        if step < 40:
            kind = chance.choice((EventKind.REVOKED, EventKind.RESTARTED, EventKind.CHANGED))
            try:
                happens(chance.choice(folk), kind)
            except Exception as error:
                assert type(error).__name__ == "MoveError"
        rate = 1.0 if step % 15 == 7 else 0.4 if step < 50 else 0.0
        crm.answers = [REFUSED if chance.random() < rate else TAKEN for _ in range(40)]
        crm.told(endpoint)
        now.forward(minutes=chance.choice((1, 30, 300)))
    crm.answers = []
    while parked():
        now.forward(hours=30)
        crm.told(endpoint)
    told = [event for event in _events() if event.kind in notice_bodies.TYPES]
    for person in folk:
        theirs = [event.id for event in told if event.person_id == person]
        assert [n.event_id for n in crm.taken if n.person_id == person] == theirs


@on_postgresql
def test_an_event_that_is_committed_late_is_not_passed_over(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """Ids are given when rows are written and seen when they are committed."""
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.told(endpoint)
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with app.app_context(), writing():
            person = people.by_id(alice)
            ledger.record(person, EventKind.REVOKED, Proof(source=Source.SMS), now=now.moment)
            written.set()
            may_commit.wait(20)
            db.session.commit()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    happens(bob, EventKind.REVOKED)
    assert settled.tops() is None
    assert crm.told(endpoint) == [], "his is seen, but hers has the lower id"
    may_commit.set()
    thread.join()
    assert crm.told(endpoint) == [alice, bob]


# --- at least once, and one teller at a time


def test_killed_between_the_post_and_its_commit_it_is_told_again_under_its_id(
    town: Town, receiver: Receiver, now: Clock, database_url: str, tmp_path: Path
) -> None:
    endpoint = listen(receiver.url)
    town.alice()
    where = {"PREFCENTER_DATABASE_URL": database_url, "PREFCENTER_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.telling_crash", str(endpoint.id)],
        env=os.environ | BASE | where,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(receiver.told) == 1
    now.moment = real_now()  # as the killed process saw it
    assert not telling.Round(endpoint.id, telling.post, threading.Event()).run(), "its lease holds"
    _end_leases()
    assert telling.Round(endpoint.id, telling.post, threading.Event()).run()
    first, second = receiver.told
    assert first.id == second.id and first.raw == second.raw
    assert again(endpoint).told_event_id == _events()[-1].id


def _end_leases() -> None:
    """As a minute later, by the database's clock."""
    with writing():
        db.session.execute(
            sa.update(WebhookEndpoint).values(held_until=real_now() - timedelta(seconds=1))
        )
        db.session.commit()


def test_two_tell_one_endpoint_never_at_once(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint = listen()
    subscriber(143, now=now.moment)
    with writing():
        assert notices.take(endpoint.id, "first", now=now.moment)
        assert notices.take(endpoint.id, "first", now=now.moment), "again, while it is ours"
        assert not notices.take(endpoint.id, "second", now=now.moment)
        db.session.commit()
    assert crm.told(endpoint) == []
    with writing():
        notices.let_go(endpoint.id, "second")
        assert not notices.take(endpoint.id, "second", now=now.moment), "not its to let go"
        notices.let_go(endpoint.id, "first")
        db.session.commit()
    assert len(crm.told(endpoint)) == 1


def test_whoever_lost_the_lease_writes_nothing_down(app: Flask, crm: Crm, now: Clock) -> None:
    """REL-7: stopped for a minute after its POSTs, it wakes up when another has told more."""
    endpoint = listen()
    alice = subscriber(143, now=now.moment)
    with writing():
        notices.take(endpoint.id, "asleep", now=now.moment)
        db.session.commit()
    batch = notices.next_batch(endpoint.id, now=now.moment)
    assert batch is not None
    now.moment = real_now()
    _end_leases()
    assert crm.told(endpoint) == [alice]
    after = again(endpoint).told_event_id
    with writing():
        tried = [(notice, REFUSED) for notice in batch.notices]
        assert not notice_outcomes.record(batch, tried, "asleep", now=now.moment)
        db.session.commit()
    assert (again(endpoint).told_event_id, parked()) == (after, [])


def test_no_transaction_is_open_during_a_post(app: Flask, now: Clock) -> None:
    """STYLE: a slow program holds neither a lock nor a connection."""
    endpoint, seen = listen(), list[int]()
    subscriber(143, now=now.moment)

    def post(_batch: object, _notice: Notice) -> Answer:
        with writing():  # would wait for a lock that is held
            seen.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]  # a queue's
        return TAKEN

    telling.Round(endpoint.id, post, threading.Event()).run()
    assert seen == [1], "only the one of this look"


# --- patience


def test_the_waits_grow_and_after_three_days_it_is_given_up(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """The schedule that Standard Webhooks recommends, with a little by chance on top."""
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.refuses, began, waits = {alice}, now.moment, list[float]()
    crm.told(endpoint)
    while (row := parked()[0]).dead_at is None:
        assert row.due_at is not None
        waits.append((row.due_at - now.moment).total_seconds())
        now.moment = row.due_at - timedelta(seconds=1)
        assert (crm.told(endpoint), parked()[0].attempts) == ([], len(waits)), "not a second early"
        now.forward(seconds=1)
        happens(bob, EventKind.CHANGED)  # so that the endpoint itself is seen to be well
        assert crm.told(endpoint) == [bob]
    for wait, wanted in zip(waits, notice_outcomes.RETRY, strict=True):
        assert wanted <= wait <= wanted * 1.2
    assert timedelta(days=3) <= now.moment - began <= timedelta(days=4)
    assert row.attempts == 10
    assert row.last_error == "It answered 500."
    assert again(endpoint).disabled_at is None
    assert [alarm.name for alarm in alarms.current()] == [alarms.NOTICES]
    happens(alice, EventKind.REVOKED)
    crm.refuses = set()
    assert crm.told(endpoint) == [alice], "what comes later waits for it no longer"


def test_what_waits_behind_a_dead_one_has_its_turn(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.refuses = {alice}
    crm.told(endpoint)
    happens(alice, EventKind.REVOKED)
    crm.told(endpoint)
    now.forward(days=4)
    happens(bob, EventKind.CHANGED)
    crm.told(endpoint)
    first, second = parked()
    assert first.dead_at is not None and second.dead_at is None
    assert second.due_at is not None
    crm.refuses = set()
    now.forward(days=1)
    assert crm.told(endpoint) == [alice]


def test_what_was_given_up_is_told_again_on_demand(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.refuses = {alice}
    crm.told(endpoint)
    now.forward(days=4)
    crm.told(endpoint)
    assert [row.dead_at is not None for row in parked()] == [True]
    standing = notice_standing.of(again(endpoint))
    assert (standing.dead, standing.waiting) == (1, 0)
    assert [one.last_error for one in notice_standing.dead(again(endpoint))] == ["It answered 500."]
    crm.refuses = set()
    assert crm.told(endpoint) == []
    with writing():
        assert notice_outcomes.replay(endpoint.id, None, now=now.moment) == 1
        assert notice_outcomes.replay(endpoint.id, None, now=now.moment) == 0, "once"
        endpoints.end_alarm()
        db.session.commit()
    assert crm.told(endpoint) == [alice]
    assert crm.taken[0].webhook_id == crm.tried[0].webhook_id
    assert alarms.current() == [] and parked() == []


def test_several_of_one_person_are_told_again_in_their_order(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """The first is refused once more, and the others wait behind it."""
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.refuses = {alice}
    happens(alice, EventKind.REVOKED)
    for _time in range(3):
        crm.told(endpoint)
        now.forward(days=4)
        happens(bob, EventKind.CHANGED)
    crm.told(endpoint)
    assert [row.dead_at is not None for row in parked()] == [True, True]
    with writing():
        notice_outcomes.replay(endpoint.id, None, now=now.moment)
        db.session.commit()
    crm.refuses, crm.answers = set(), [REFUSED]
    assert crm.told(endpoint) == [] and notices.busy(now=now.moment) == [], "and nobody looks"
    now.forward(seconds=7)
    assert crm.told(endpoint) == [alice, alice]
    seen = [notice.event_id for notice in crm.taken if notice.person_id == alice]
    assert seen == sorted(seen) and parked() == []


def test_one_event_is_told_again_though_it_was_taken(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.told(endpoint)
    [notice], request = crm.taken, _events()[0].public_id
    with writing():
        assert notice_outcomes.tell_again(endpoint.id, notice.webhook_id, now=now.moment)
        assert notice_outcomes.tell_again(endpoint.id, notice.webhook_id, now=now.moment)
        for unknown in ("", "nobody", "\udcff", request):
            assert not notice_outcomes.tell_again(endpoint.id, unknown, now=now.moment)
        db.session.commit()
    assert crm.told(endpoint) == [alice]
    assert crm.taken[1] == crm.tried[-1]
    assert (crm.taken[1].webhook_id, crm.taken[1].body) == (notice.webhook_id, notice.body)


def test_a_dead_endpoint_costs_little_and_loses_nothing(app: Flask, crm: Crm, now: Clock) -> None:
    """However much happens behind it: one POST a rest, and hardly a row."""
    endpoint, began = listen(), now.moment
    crm.down = True
    folk = [subscriber(number, now=now.moment) for number in range(400)]
    for _minute in range(60):
        crm.told(endpoint)
        now.forward(minutes=1)
    assert notices.IN_A_ROW < len(crm.tried) < 20
    assert len(parked()) <= len(crm.tried)
    assert again(endpoint).told_event_id < _events()[40].id
    assert again(endpoint).failing_since == began
    assert notices.busy(now=began) == [], "resting, it is not even looked at"
    standing = notice_standing.of(again(endpoint))
    assert standing.waiting == 400 and standing.late(now.moment)
    crm.down = False
    now.forward(minutes=40)
    crm.told(endpoint)
    assert sorted(notice.person_id for notice in crm.taken) == folk
    assert parked() == [], "what was parked is brought forward"
    row = again(endpoint)
    assert (row.failures, row.failing_since, row.rests_until, row.last_error) == (0, None, None, "")


def parked_tries() -> int:
    return max((row.attempts for row in parked()), default=0)


def test_once_it_answers_again_what_waits_for_hours_is_told_at_once(
    app: Flask, crm: Crm, now: Clock
) -> None:
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.down = True
    while parked_tries() < notices.IN_A_ROW:
        crm.told(endpoint)
        now.forward(hours=1)
    due = parked()[0].due_at
    assert due is not None and due > now.moment
    crm.down = False
    bob = subscriber(144, now=now.moment)
    assert crm.told(endpoint) == [bob, alice]


def test_the_rests_grow_to_half_an_hour(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint, rests = listen(), list[float]()
    crm.down = True
    for number in range(30):
        subscriber(number, now=now.moment)
    for _ in range(9):
        crm.told(endpoint)
        until_then = again(endpoint).rests_until
        assert until_then is not None
        rests.append((until_then - now.moment).total_seconds())
        now.moment = until_then - timedelta(seconds=1)
        before = len(crm.tried)
        crm.told(endpoint)
        assert len(crm.tried) == before
        now.forward(seconds=1)
    for rest, wanted in zip(rests, (*notice_outcomes.RESTS, 1800, 1800), strict=True):
        assert wanted <= rest <= wanted * 1.2
    assert len(crm.tried) == notices.IN_A_ROW + 8


def test_after_three_days_of_nothing_it_is_stopped_and_can_go_on(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """Its name may be somebody else's by now, and these are numbers of people."""
    endpoint = listen()
    crm.down = True
    folk = [subscriber(number, now=now.moment) for number in range(200)]
    for _hour in range(80):
        crm.told(endpoint)
        now.forward(hours=1)
    row = again(endpoint)
    assert row.disabled_why is EndpointEnd.FAILING and row.disabled_at is not None
    assert timedelta(hours=71) < row.disabled_at - row.created_at < timedelta(hours=74)
    assert [alarm.name for alarm in alarms.current()] == [alarms.NOTICES]
    crm.down, before = False, len(crm.tried)
    assert crm.told(endpoint) == [] and len(crm.tried) == before
    with writing():
        stopped = endpoints.find(endpoint.public_id)
        assert stopped is not None and endpoints.enable(stopped, now=now.moment)
        assert not endpoints.enable(stopped, now=now.moment)
        db.session.commit()
    crm.told(endpoint)
    assert sorted(notice.person_id for notice in crm.taken) == folk
    assert alarms.current() == []


def test_turned_on_again_it_is_told_also_what_was_given_up_meanwhile(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """The page says that nothing is lost, and what was given up may be a STOP."""
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.down = True
    while again(endpoint).disabled_at is None:
        crm.told(endpoint)
        now.forward(hours=1)
    assert [row.dead_at is not None for row in parked()].count(True) >= 1
    crm.down = False
    enable(endpoint, now)
    assert alarms.current() == []
    assert sorted(crm.told(endpoint)) == [alice, bob]
    assert parked() == []


def enable(endpoint: WebhookEndpoint, now: Clock) -> None:
    with writing():
        found = endpoints.find(endpoint.public_id)
        assert found is not None and endpoints.enable(found, now=now.moment)
        db.session.commit()


def disable(endpoint: WebhookEndpoint, now: Clock) -> None:
    with writing():
        found = endpoints.find(endpoint.public_id)
        assert found is not None
        assert endpoints.disable(found, EndpointEnd.OWNER, now=now.moment)
        db.session.commit()


def test_days_for_which_it_was_off_do_not_count(app: Flask, crm: Crm, now: Clock) -> None:
    """One more failure, and the notice would be given up at once."""
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.refuses = {alice}
    crm.told(endpoint)
    disable(endpoint, now)
    now.forward(days=4)
    enable(endpoint, now)
    crm.told(endpoint)
    assert [(row.attempts, row.dead_at) for row in parked()] == [(1, None)]
    now.forward(seconds=7)
    crm.refuses = set()
    assert crm.told(endpoint) == [alice]


def test_what_was_given_up_long_before_is_left_to_whoever_wants_it(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """To turn it off and on is not to ask for what it refused while it took all else."""
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.refuses = {alice}
    crm.told(endpoint)
    now.forward(days=4)
    crm.told(endpoint)
    bob = subscriber(144, now=now.moment)
    now.forward(days=1)
    assert crm.told(endpoint) == [bob]
    disable(endpoint, now)
    enable(endpoint, now)
    assert crm.told(endpoint) == []
    assert [row.dead_at is not None for row in parked()] == [True]


def test_one_event_that_it_cannot_take_does_not_stop_a_quiet_endpoint(
    app: Flask, crm: Crm, now: Clock
) -> None:
    """The fault may be ours: the event is given up, the endpoint is not."""
    endpoint, alice = listen(), subscriber(143, now=now.moment)
    crm.refuses = {alice}
    for _hour in range(100):
        crm.told(endpoint)
        now.forward(hours=1)
    assert [row.dead_at is not None for row in parked()] == [True]
    assert again(endpoint).disabled_at is None
    bob = subscriber(144, now=now.moment)
    assert crm.told(endpoint) == [bob]
    assert again(endpoint).failures == 0


def test_whoever_answers_410_is_told_no_more(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.answers = [TAKEN, Answer(410, "It answered 410.")]
    assert crm.told(endpoint) == [alice]
    row = again(endpoint)
    assert (row.disabled_why, parked()) == (EndpointEnd.GONE, [])
    assert [alarm.name for alarm in alarms.current()] == [alarms.NOTICES]
    assert notices.busy(now=now.moment) == []
    with writing():
        endpoints.enable(row, now=now.moment)
        db.session.commit()
    assert alarms.current() == []
    assert crm.told(endpoint) == [bob], "nothing was lost"


def test_it_may_ask_for_time(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint = listen()
    alice, bob = subscriber(143, now=now.moment), subscriber(144, now=now.moment)
    crm.answers = [Answer(429, "It answered 429.", 120)]
    assert crm.told(endpoint) == []
    assert len(crm.tried) == 1, "and nobody else's is tried either"
    now.forward(seconds=119)
    assert crm.told(endpoint) == []
    now.forward(seconds=1)
    assert sorted(crm.told(endpoint)) == [alice, bob]


def test_a_disabled_one_is_told_nothing_and_then_all(app: Flask, crm: Crm, now: Clock) -> None:
    endpoint = listen()
    with writing():
        assert endpoints.disable(endpoint, EndpointEnd.OWNER, now=now.moment)
        assert not endpoints.disable(endpoint, EndpointEnd.OWNER, now=now.moment)
        db.session.commit()
    alice = subscriber(143, now=now.moment)
    assert crm.told(endpoint) == []
    with writing():
        endpoints.enable(endpoint, now=now.moment)
        db.session.commit()
    assert crm.told(endpoint) == [alice]


def test_off_means_at_once_also_for_what_is_under_way(app: Flask, crm: Crm, now: Clock) -> None:
    """Its page says: nothing from this moment on. The address may be somebody else's by now."""
    endpoint = listen()
    folk = [subscriber(number, now=now.moment) for number in range(9)]

    def post(batch: notices.Batch, notice: Notice) -> Answer:
        if len(crm.tried) == 2:
            disable(endpoint, now)
        return crm.post(batch, notice)

    telling.Round(endpoint.id, post, threading.Event()).run()
    assert [notice.person_id for notice in crm.taken] == folk[:3]
    enable(endpoint, now)
    assert crm.told(endpoint) == folk[3:], "each once"


def test_a_new_one_is_told_of_what_happens_from_then_on(app: Flask, crm: Crm, now: Clock) -> None:
    subscriber(143, now=now.moment)
    endpoint = listen(after=endpoints.newest_event())
    bob = subscriber(144, now=now.moment)
    assert crm.told(endpoint) == [bob]


def test_there_are_ten_at_most_and_each_address_once(app: Flask, now: Clock) -> None:
    found = [listen(f"http://127.0.0.1:{port}/") for port in range(1, 11)]
    with writing():
        for url, reason in (("http://127.0.0.1:99/", "many"), (found[0].url, "twice")):
            with pytest.raises(endpoints.EndpointError) as error:
                endpoints.add(url, after=0, now=now.moment)
            assert error.value.reason == reason
        endpoints.disable(found[0], EndpointEnd.OWNER, now=now.moment)
        endpoints.add("http://127.0.0.1:99/", after=0, now=now.moment)
        with pytest.raises(endpoints.EndpointError):
            endpoints.enable(found[0], now=now.moment)


# --- beside the sender


def test_one_dead_target_does_not_hold_up_the_others(
    town: Town, app: Flask, receiver: Receiver
) -> None:
    """A thread each: the slow one is still waited for when the other has everything."""
    slow, quick = listen("http://127.0.0.1:9/slow"), listen(receiver.url)
    town.alice()
    held, stopping, done = threading.Event(), threading.Event(), list[int]()

    def post(batch: notices.Batch, notice: Notice) -> Answer:
        if batch.endpoint_id == slow.id:
            held.wait(30)
            done.append(notice.event_id)
            return TAKEN
        return telling.post(batch, notice)

    teller = threading.Thread(target=telling.Teller(app, stopping, post=post).run)
    teller.start()
    try:
        until(lambda: receiver.told, "the quick one was told")
        assert done == []
        town.carol()
        until(lambda: len(receiver.told) == 3, "and goes on being told")
        assert done == []
    finally:
        held.set()
        stopping.set()
        teller.join(30)
    assert not teller.is_alive()
    assert again(quick).held_by is None and again(slow).held_by is None


def test_on_sqlite_the_new_sender_need_not_wait_for_a_dead_ones_lease(
    app: Flask, now: Clock
) -> None:
    endpoint = listen()
    with writing():
        notices.take(endpoint.id, "killed", now=now.moment)
        db.session.commit()
    telling.Teller(app, threading.Event())._begin()
    assert (again(endpoint).held_by == "killed") == is_postgresql()


def test_a_beginning_that_failed_is_tried_again(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-19: else the secrets stay closed with a key that the owner takes away after a start."""
    listen()
    settings = app.extensions["prefcenter"]
    both = ("n" * 20 + "0123456789abcdef", *settings.secret_keys)
    app.extensions["prefcenter"] = replace(settings, secret_keys=both)
    monkeypatch.setattr(telling, "_REST", 0.01)
    reseal, stopping, tries = endpoints.reseal, threading.Event(), list[int]()

    def late() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise sa.exc.OperationalError("", {}, Exception("locked"))
        reseal()

    def sealed_anew() -> bool:
        db.session.rollback()
        return not endpoints.stale_seals()

    monkeypatch.setattr(endpoints, "reseal", late)
    teller = threading.Thread(target=telling.Teller(app, stopping).run)
    with listening() as heard:
        teller.start()
        try:
            until(sealed_anew, "the new seals")
        finally:
            stopping.set()
            teller.join(30)
    assert "the webhooks cannot be begun" in heard.getvalue() and len(tries) == 2


def test_a_fault_of_ours_is_logged_once_in_a_while_and_ends_nothing(app: Flask, now: Clock) -> None:
    endpoint = listen()
    subscriber(143, now=now.moment)

    def broken(*_: object) -> Answer:
        raise RuntimeError("+12025550143")

    teller = telling.Teller(app, threading.Event(), post=broken)
    with listening() as heard:
        teller._work(endpoint.id)
    assert "a webhook cannot be worked" in heard.getvalue()
    assert "5550143" not in heard.getvalue()
    assert again(endpoint).held_by is None


def test_logs_name_no_number_no_secret_and_no_address(app: Flask, now: Clock) -> None:
    """SEC-7, INV-10: an address may hold a secret of the receiver's."""
    endpoint = listen("http://127.0.0.1:9/hook?token=s3cret")
    subscriber(143, now=now.moment)
    with listening() as heard:
        telling.Round(endpoint.id, telling.post, threading.Event()).run()
    said = heard.getvalue()
    assert "a webhook was not taken" in said and "It refuses the connection." in said
    for secret in ("s3cret", "5550143", "whsec_", endpoint.secret):
        assert secret not in said


def test_doctor_and_alarm_say_what_is_wrong(app: Flask, crm: Crm, now: Clock) -> None:
    def line() -> tuple[bool, str]:
        return next((f.ok, f.detail) for f in doctor.examine() if f.what == "outgoing webhooks")

    assert line() == (True, "0 told, 0 late, 0 stopped, 0 notices given up")
    endpoint, _alice = listen(), subscriber(143, now=now.moment)
    assert line()[0]
    now.forward(minutes=16)
    assert not line()[0] and "1 late" in line()[1]
    crm.answers = [Answer(410, "It answered 410.")]
    crm.told(endpoint)
    assert "1 stopped" in line()[1] and "prefcenter webhook list" in line()[1]
    [alarm] = db.session.scalars(sa.select(Alarm)).all()
    assert "webhook enable" in alarm.message
