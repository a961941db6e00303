"""The senders at work: one process beside the web on SQLite, jobs on PostgreSQL.

Both do the same three things to a row (sms/delivery.py): claim it and commit, call the
provider with no transaction open, write down what came of it.
"""

import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import IO

from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter import clock, config, counting
from prefcenter.config import ConfigError
from prefcenter.consent import breaker, decisions, limits, provider, signup, spent
from prefcenter.database import db, writing
from prefcenter.hearing import Listener
from prefcenter.pacing import Caller, Pace
from prefcenter.sms import delivery, outbox
from prefcenter.sms.delivery import Claim
from prefcenter.sms.sender import Outcome, Sender, Verdict
from prefcenter.write_lock import try_flock

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
_HORIZON = 0.05  # claim no earlier than this before a slot, so a crash leaves little behind
_GATHER = 0.005  # calls that end so soon after another are recorded with it
_RESCUE_EVERY = 5.0
_FORMS_A_TURN = 20
_RECORD_FOR = 120.0
_STOP_WAIT = 25.0


def admit(signup_id: int) -> None:
    """Look at one sign-up form, in a transaction of its own."""
    with writing():
        signup.admit(signup_id, now=clock.now())
        db.session.commit()


def deliver(message_id: int, caller: Caller) -> None:
    """Send one text, when consent and the rate allow; found taken or over, do nothing."""
    while True:
        with writing():
            claims = delivery.claim(
                message_id, now=clock.now(), may_send=decisions.may_send, horizon=0.5
            )
            db.session.commit()
        if claims is None:
            if delivery.paused(now=clock.now()):
                return  # the sweep brings it back
            time.sleep(_HORIZON)  # the rate allows none yet, and its next slot is a matter of time
            continue
        for claim in claims:
            verdict = caller.call(claim, time.monotonic() + claim.wait)
            _record(claim, verdict)
        return


def _record(claim: Claim, verdict: Verdict) -> None:
    """Write down one call; through an outage, as long as the claim is ours.

    Without it an outage would make every text in the air unknown, and send it again.
    """
    deadline = time.monotonic() + _RECORD_FOR
    while True:
        try:
            with writing():
                _note([(claim, verdict)], clock.now())
                db.session.commit()
            return
        except (DBAPIError, PoolTimeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)  # nothing tells when the database is back


def _note(done: Sequence[tuple[Claim, Verdict]], now: datetime) -> None:
    """What became of calls, and what the answers say of people: persons before texts."""
    provider.note_verdicts(done, now=now)
    delivery.record(done, now=now)


def rescue() -> None:
    """Join receipts that came early, settle what dead senders left behind, forget what guards
    against abuse no more, and count what is new for the overview."""
    now = clock.now()
    with writing():
        provider.join_waiting(now=now)
        db.session.commit()
    with writing():
        delivery.rescue(now=now)
        db.session.commit()
    with writing():
        spent.forget(now=now)
        breaker.forget(now=now)
        limits.forget(now=now)
        db.session.commit()
    counting.keep_up()


class Drain:
    """SQLite's sender: looks for forms and due texts, keeps several calls in the air."""

    def __init__(self, app: Flask, sender: Sender) -> None:
        self.app = app
        self.stopping = threading.Event()
        settings: config.Settings = app.extensions["prefcenter"]
        self.threads = settings.sender_threads
        self._caller = Caller(sender, settings.sends_per_second)
        self._horizon = max(_HORIZON, 1 / settings.sends_per_second)
        self._ready: queue.SimpleQueue[tuple[Claim, float]] = queue.SimpleQueue()
        # No SimpleQueue: in Python 3.11 its get() can wait for ever when its timeout is short.
        self._done: queue.Queue[tuple[Claim, Verdict] | None] = queue.Queue()
        self._pace = Pace()
        self._callers = 0
        self._set_aside: set[int] = set()
        self._unrecorded: list[tuple[Claim, Verdict]] = []
        self._in_air = 0
        self._more = False  # more texts are likely due
        # By time.monotonic(): when the rate allows a claim, and when to look at the rest.
        self._next_look = self._next_texts = self._next_forms = self._next_rescue = 0.0
        self._listener = Listener()

    def run(self) -> None:
        """Work until `stopping` is set, then let calls in the air finish."""
        with ThreadPoolExecutor(self.threads, thread_name_prefix="call") as pool:
            while not self.stopping.is_set():
                self._try_turn(pool)
            deadline = time.monotonic() + _STOP_WAIT
            while (self._in_air or self._unrecorded) and time.monotonic() < deadline:
                self._try_turn(pool)

    def _try_turn(self, pool: ThreadPoolExecutor) -> None:
        try:
            with self.app.app_context():
                pause = self.turn(pool)
        except (DBAPIError, PoolTimeout) as error:
            # Locked, full or gone: what is finished is kept, and written down later.
            log.error("the sender cannot reach the database", extra={"error": type(error).__name__})
            time.sleep(0.5)  # nothing tells when the database is back
            return
        self._take_in(pause)

    def turn(self, pool: ThreadPoolExecutor) -> float:
        """One look at what there is to do; gives the seconds to the next one."""
        working = not self.stopping.is_set()
        room = self._room() if working and time.monotonic() >= self._next_look else 0
        more = room > 0 and (self._more or bool(outbox.due(1, now=clock.now())))
        if more or self._unrecorded:
            self._record_and_claim(room if more else 0)
        if not self._ready.empty():
            self._send_off(pool)
        if working:
            self._look_around()
        waiting = self._more and self._room() > 0
        ahead = self._next_look - time.monotonic() if waiting else POLL_SECONDS
        soonest = min(self._next_forms, self._next_texts) - time.monotonic()
        return max(0.0, min(ahead, soonest if working else POLL_SECONDS, POLL_SECONDS))

    def _look_around(self) -> None:
        """At texts and forms, often, and at what dead senders left, now and then."""
        if time.monotonic() >= self._next_texts:
            self._next_texts = time.monotonic() + self._listener.turn()
        if time.monotonic() >= self._next_forms:
            self._admit()
        if time.monotonic() >= self._next_rescue:
            rescue()
            self._next_rescue = time.monotonic() + _RESCUE_EVERY

    def _room(self) -> int:
        """How many more texts to claim; twice as many while one caller does them in a row."""
        return self.threads * (2 if self._pace.width(2) == 1 else 1) - self._in_air

    def _admit(self) -> None:
        """Look at the forms that came in; again at once while there are many."""
        found = signup.waiting(_FORMS_A_TURN + len(self._set_aside))
        forms = [form for form in found if form not in self._set_aside]
        for form in forms:
            try:
                admit(form)
            except (DBAPIError, PoolTimeout):
                raise
            except Exception:  # one bad form must not keep the others, or any text, waiting
                log.exception("a form cannot be read and is left alone", extra={"form": form})
                self._set_aside.add(form)
        busy = len(forms) == _FORMS_A_TURN
        self._next_forms = time.monotonic() + (0.0 if busy else POLL_SECONDS)

    def _record_and_claim(self, room: int) -> None:
        """What is finished and what comes next, in one durable commit."""
        now = clock.now()
        claims: list[Claim] | None = []
        with writing():
            _note(self._unrecorded, now)
            if room:
                claims = delivery.claim_due(
                    room, now=now, may_send=decisions.may_send, horizon=self._horizon
                )
            db.session.commit()
        self._unrecorded = []
        began = time.monotonic()
        if claims is None:
            shut = delivery.paused(now=now)
            self._next_look = began + (POLL_SECONDS if shut else self._horizon / 2)
            return
        if room:
            self._more = bool(claims)
        for claim in claims:
            self._in_air += 1
            self._next_look = began + claim.wait
            self._ready.put((claim, began + claim.wait))

    def _send_off(self, pool: ThreadPoolExecutor) -> None:
        """Call here while one caller is enough, else let the pool's threads call."""
        while not self._ready.empty() and not self._callers and self._pace.width(2) == 1:
            self._call(*self._ready.get())
        width = min(self._ready.qsize() + self._callers, self._pace.width(self.threads))
        while self._callers < width:
            self._callers += 1
            pool.submit(self._call_all)

    def _call_all(self) -> None:
        """Call for what is claimed, one after another, until nothing is left."""
        with suppress(queue.Empty):
            while True:
                self._call(*self._ready.get_nowait())
        self._done.put(None)

    def _call(self, claim: Claim, begin: float) -> None:
        try:
            with self._pace.measured(begin):
                verdict = self._caller.call(claim, begin)
        except Exception:  # a sender never raises; if one does, the text may have left
            log.exception("the sender failed")
            verdict = Verdict(Outcome.UNKNOWN, "the sender failed")
        self._done.put((claim, verdict))

    def _take_in(self, seconds: float) -> None:
        """Wait for a finished call, so long at most, and take in those that end with it."""
        wait, first = max(seconds, 0.001), True
        with suppress(queue.Empty):
            while True:
                item = self._done.get(timeout=wait)
                if item is None:
                    self._callers -= 1
                    continue
                self._unrecorded.append(item)
                self._in_air -= 1
                if first:
                    wait, first = _GATHER, False
                if self._in_air <= self.threads // 2:
                    wait = 0.0001


def hold_sender_lock(settings: config.Settings) -> IO[bytes]:
    """Be the one sender of this SQLite file. Raises ConfigError when there is one already."""
    path = settings.sender_lock_file
    assert path is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = open(path, "ab")  # noqa: SIM115 - held until the process ends
    if not try_flock(handle):
        handle.close()
        raise ConfigError(
            f"Another sender already works on {settings.sqlite_file}; stop it first, or use"
            " PostgreSQL to run several."
        )
    return handle
