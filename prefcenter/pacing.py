"""When the calls of one process begin, and how many are made at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefcenter.sms.delivery import Claim
from prefcenter.sms.sender import Outcome, Sender, Verdict

_SHORTEST_SLEEP = 0.0005  # shorter ones cost more than they wait
_SMOOTHING = 0.2
_LEAST_BUSY = 0.001  # seconds; shorter calls say nothing about waiting


class Caller:
    """Makes the calls of one process, never closer together than the rate allows.

    A slot that was missed, because a thread or the provider was slow, is not made up for by
    two calls at once.
    """

    def __init__(self, sender: Sender, rate: float) -> None:
        self.sender = sender
        self._apart = 1.013 / rate  # catches up slowly: slots are 1.5 % wider than asked
        self._last = 0.0
        self._lock = threading.Lock()

    def call(self, claim: Claim, begin: float) -> Verdict:
        """Wait for the slot, then one POST, unless the claim lapsed meanwhile (REL-7).

        `begin` is the slot by time.monotonic().
        """
        with self._lock:
            begin = max(begin, self._last + self._apart, time.monotonic())
            self._last = begin
        ahead = begin - time.monotonic()
        if ahead > _SHORTEST_SLEEP:
            time.sleep(ahead)  # a slot is a moment, and nothing but the clock tells it
        if time.monotonic() > claim.lapses:
            return Verdict(Outcome.RETRY, "the claim lapsed before the call")
        return self.sender.send(claim.parcel)


class Pace:
    """How many calls at once are worth it: more only help while the provider is waited for.

    Threads that all want the interpreter slow each other down: with a provider that answers
    in a millisecond one caller is fastest, with one that takes 200 ms it needs them all.
    """

    def __init__(self) -> None:
        self._busy = self._idle = 0.001  # seconds a call, smoothed: computing, and waiting

    def width(self, most: int) -> int:
        return min(most, 1 + int(self._idle / (4 * max(self._busy, _LEAST_BUSY))))

    @contextmanager
    def measured(self, begin: float) -> Iterator[None]:
        began, cpu = max(begin, time.monotonic()), time.thread_time()
        yield
        busy = time.thread_time() - cpu
        idle = max(0.0, time.monotonic() - began - busy)
        self._busy += _SMOOTHING * (busy - self._busy)
        self._idle += _SMOOTHING * (idle - self._idle)
