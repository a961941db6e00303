"""Killed with -9 at every point of the crash table: nothing half, nothing lost, nothing twice.

REL-3 and REL-4: before the commit nothing happened; after it a repeat changes nothing; a
text that may have left waits for its receipt, then leaves once more at most, or never.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prefcenter import clock, pacing, sending
from prefcenter.consent import decisions, signup, suppression
from prefcenter.database import db, writing
from prefcenter.hearing import Listener
from prefcenter.models import EventKind, OutboxMessage, OutboxStatus, Status, TextKind
from prefcenter.sms import delivery
from prefcenter.sms.sender import Outcome, Parcel, Verdict
from tests.cast import ALICE, BOB, Town
from tests.conftest import BASE, Clock
from tests.phones import heard
from tests.webhooks import INBOUND, headers, inbound_body


@pytest.fixture
def crash(database_url: str, tmp_path: Path, town: Town) -> "Crash":
    return Crash(database_url, tmp_path, town)


class Crash:
    """Runs one action in a process of its own that dies at a point of it."""

    def __init__(self, database_url: str, folder: Path, town: Town) -> None:
        self.town = town
        self.log = folder / "provider.log"
        self.env = (
            os.environ
            | BASE
            | {
                "PREFCENTER_DATABASE_URL": database_url,
                "PREFCENTER_DATA_DIR": str(folder),
            }
        )

    def at(self, point: str, action: str, argument: object) -> None:
        command = [sys.executable, "-m", "tests.crashing", point, action, str(argument)]
        done = subprocess.run(
            [*command, str(self.log)],
            env=self.env | {"CRASH_AT": self.town.now().isoformat()},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        db.session.rollback()

    @property
    def taken(self) -> list[str]:
        """What the provider took, by kind."""
        if not self.log.exists():
            return []
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    def send(self, parcel: Parcel) -> Verdict:
        """The provider, for senders that are not killed."""
        with self.log.open("a") as file:
            file.write(f"{parcel.kind} {parcel.ref}\n")
        return Verdict(Outcome.SENT, "", message_id="m-2")

    def sweep(self) -> None:
        """A healthy sender comes by."""
        sending.rescue()
        for message in self.town.outbox(BOB) + self.town.outbox(ALICE):
            if message.status is OutboxStatus.QUEUED:
                sending.deliver(message.id, pacing.Caller(self, 1000))


def test_a_form_is_all_there_or_not_at_all(town: Town, crash: Crash) -> None:
    town.sign_up(BOB)
    [form] = signup.waiting(10)
    crash.at("before the commit", "admit", form)
    assert signup.waiting(10) == [form]
    crash.at("after the commit", "admit", form)
    assert signup.waiting(10) == []
    sending.admit(form)  # its job may come again
    assert town.events(BOB) == ["requested"]
    assert len(town.outbox(BOB)) == 1


def test_bobs_yes_is_all_there_or_not_at_all(town: Town, crash: Crash, now: Clock) -> None:
    link = town.bob()
    crash.at("before the commit", "post", f"http://prefs.test{link}")
    assert town.person(BOB).status is Status.PENDING
    assert len(town.outbox(BOB)) == 1
    crash.at("after the commit", "post", f"http://prefs.test{link}")
    assert town.person(BOB).status is Status.SUBSCRIBED
    assert "You already said yes" in town.browser.post(link).text
    assert town.events(BOB) == ["requested", "confirmed"]
    assert [message.kind for message in town.outbox(BOB)] == ["confirm_request", "welcome"]


def _welcome(town: Town) -> int:
    """Alice has just confirmed; gives the welcome that is due."""
    town.browser.post(town.bob(ALICE))
    return town.outbox(ALICE)[-1].id


def test_killed_before_the_claim_is_kept_the_text_leaves_once(town: Town, crash: Crash) -> None:
    crash.at("before the commit", "deliver", _welcome(town))
    assert town.outbox(ALICE)[-1].status is OutboxStatus.QUEUED
    crash.sweep()
    assert crash.taken == ["welcome"]


@pytest.mark.parametrize(
    ("point", "copies"),
    [
        ("after the commit", 1),
        ("before the call", 1),
        ("after the provider's yes", 2),
        ("before the record", 2),
    ],
)
def test_killed_during_the_call_the_text_leaves_once_more_at_most(
    town: Town, crash: Crash, now: Clock, point: str, copies: int
) -> None:
    """Unknown until the wait for a receipt is over; then once more, and never again (REL-4)."""
    message = _welcome(town)
    crash.at(point, "deliver", message)
    assert town.outbox(ALICE)[-1].status is OutboxStatus.SENDING
    crash.sweep()
    assert crash.taken == ["welcome"] * (copies - 1)

    now.forward(seconds=46)
    crash.sweep()
    assert town.outbox(ALICE)[-1].status is OutboxStatus.UNKNOWN
    now.forward(seconds=121)
    crash.sweep()
    assert town.outbox(ALICE)[-1].status is OutboxStatus.SENT
    assert crash.taken == ["welcome"] * copies


def test_a_text_whose_two_copies_are_unknown_is_left_to_a_person(
    town: Town, crash: Crash, now: Clock
) -> None:
    """Copies of one text are never more than two (INV-7)."""
    message = _welcome(town)
    for _ in range(2):
        crash.at("after the provider's yes", "deliver", message)
        now.forward(seconds=46)
        sending.rescue()
        now.forward(seconds=121)
        sending.rescue()
    crash.sweep()
    last = town.outbox(ALICE)[-1]
    assert (last.status, last.copies) == (OutboxStatus.UNKNOWN, 2)
    assert crash.taken == ["welcome"] * 2


def test_a_stop_reply_is_never_sent_twice(town: Town, crash: Crash, now: Clock) -> None:
    link = town.alice()
    town.browser.post(f"{link}/stop")
    crash.at("after the provider's yes", "deliver", town.outbox(ALICE)[-1].id)
    for _ in range(3):
        now.forward(seconds=121)
        crash.sweep()
    assert crash.taken == ["unsubscribed"]
    assert town.outbox(ALICE)[-1].status is OutboxStatus.UNKNOWN


def test_who_lost_the_claim_records_nothing(town: Town, crash: Crash, now: Clock) -> None:
    """Fencing: a sender that slept past its lease neither sends nor records (REL-7)."""
    message = _welcome(town)
    with writing():
        [slow] = (
            delivery.claim(message, now=clock.now(), may_send=decisions.may_send, horizon=9) or []
        )
        db.session.commit()
    for seconds in (46, 121):
        now.forward(seconds=seconds)
        crash.sweep()
    assert town.outbox(ALICE)[-1].status is OutboxStatus.SENT
    with writing():
        delivery.record([(slow, Verdict(Outcome.FAILED, "late"))], now=clock.now())
        db.session.commit()
    assert town.outbox(ALICE)[-1].status is OutboxStatus.SENT


def test_a_lapsed_claim_is_not_called(crash: Crash) -> None:
    parcel = Parcel("r", ALICE, BOB, "x", TextKind.WELCOME)
    lapsed = delivery.Claim(1, "t", parcel, wait=0, lapses=0, probing=False)
    assert pacing.Caller(crash, 1000).call(lapsed, 0).outcome is Outcome.RETRY
    assert crash.taken == []


# --- a STOP that comes in, REL-11


@pytest.mark.parametrize(
    ("point", "stored", "done"),
    [
        ("before the commit", False, False),
        ("after the commit", True, False),
        ("before the second commit", True, False),
        ("after the second commit", True, True),
    ],
)
def test_a_stop_has_one_effect_wherever_its_process_was_killed(
    town: Town, crash: Crash, tmp_path: Path, point: str, stored: bool, done: bool
) -> None:
    """INV-4: Vonage got no answer, so it posts again; what waits, the sender's process works."""
    town.alice()
    raw = inbound_body("STOP", at=town.now())
    post = headers(raw, now=town.now())
    file = tmp_path / "post"
    file.write_bytes(json.dumps([INBOUND, post]).encode() + b"\n" + raw)
    crash.at(point, "webhook", file)
    assert [row.handled_at is not None for row in heard()] == ([done] if stored else [])
    assert (town.person(ALICE).status is Status.UNSUBSCRIBED) is done
    assert suppression.contains(ALICE) is done
    assert town.events(ALICE).count(EventKind.REVOKED) == int(done)
    assert len(_replies(town)) == int(done)

    assert town.browser.post(INBOUND, data=raw, headers=post).status_code == 200
    Listener().turn()
    assert town.browser.post(INBOUND, data=raw, headers=post).status_code == 200
    [row] = heard()
    assert (row.outcome, row.reply) == ("stopped", "app")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert suppression.contains(ALICE)
    assert town.events(ALICE).count(EventKind.REVOKED) == 1
    assert len(_replies(town)) == 1
    crash.sweep()
    crash.sweep()
    assert crash.taken == ["unsubscribed"]


def _replies(town: Town) -> list[OutboxMessage]:
    return [m for m in town.outbox(ALICE) if m.kind is TextKind.UNSUBSCRIBED]
