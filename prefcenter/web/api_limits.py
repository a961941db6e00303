"""How much one key may ask in a minute, and what looks like guessing (SEC-39).

Each web process counts by itself, in memory: a count in the database would cost a decision, which
only reads, a durable write. So a key gets up to its limit times the number of web processes, which
is enough against a loop gone wild and against guessing. A count is one moment per key, until which
its calls are paid for (GCRA): nothing to sweep by the minute, and it says exactly how long to wait.
"""

import hashlib
import math
import threading
from dataclasses import dataclass, field
from datetime import datetime

from flask import Flask, current_app, request

from prefcenter import clock
from prefcenter.config import Settings
from prefcenter.consent import limits
from prefcenter.consent.api_keys import Key
from prefcenter.sms import alarms
from prefcenter.web.errors import Problem

NUMBERS_A_CALL = 100  # numbers asked about in bulk that cost as much as one call
LOOKING = frozenset({"decide", "read"})  # scopes that could be used to find out who is a customer
_LIMITS = "prefcenter.api_limits"
_MOST_KEPT = 4096  # addresses; strangers must not fill memory
_MINUTE, _HOUR = 60.0, 3600.0
_SLACK = 1.0


class Book:
    """So many in a span for each name, all at once if need be, and then evenly."""

    def __init__(self, most: int, span: float) -> None:
        self._step, self._span = span / most, span
        self._paid: dict[object, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._paid)

    def wait(self, name: object, now: float) -> float:
        """Seconds until one more may come; 0 when it may now. Counts nothing."""
        paid = self._paid.get(name)
        if paid is None:
            return 0.0
        wait = paid + self._step - self._span - now
        if wait > self._span + self._step + _SLACK:  # the clock was put back (REL-15)
            self._paid.pop(name, None)
            return 0.0
        return wait if wait > self._step / 2 else 0.0  # half a step is what rounding may be off

    def add(self, name: object, cost: int, now: float) -> None:
        """Count these, though they be too many: more than two spans are never owed."""
        with self._lock:
            paid = max(self._paid.get(name, now), now) + cost * self._step
            self._paid[name] = min(paid, now + 2 * self._span)
            if len(self._paid) > _MOST_KEPT:
                self._tidy(now)

    def _tidy(self, now: float) -> None:
        """Drop who owes nothing; if that is hardly anybody, all."""
        owing = {name: paid for name, paid in self._paid.items() if paid > now}
        self._paid = owing if len(owing) < _MOST_KEPT else {}


@dataclass(frozen=True, slots=True)
class _Limits:
    """What one app counts."""

    calls: Book
    wrong: Book  # by address
    unknown: Book
    genuine: dict[int, str] = field(default_factory=dict)  # hash of a key's secret by its id


def init_app(app: Flask) -> None:
    settings: Settings = app.extensions["prefcenter"]
    app.extensions[_LIMITS] = _Limits(
        calls=Book(settings.api_calls_per_minute, _MINUTE),
        wrong=Book(settings.api_wrong_keys_per_minute, _MINUTE),
        unknown=Book(settings.api_unknown_per_hour, _HOUR),
    )


def refuse_guessing(secret: str) -> None:
    """Before a secret is looked up: no more from an address that sent many wrong ones.

    Keys that worked in this process go on: who shares an address with Mallory, as behind a
    proxy that TRUSTED_PROXIES does not name, must not be shut out by her.
    """
    found = _limits()
    if not found.wrong:
        return
    wait = found.wrong.wait(_address(), clock.now().timestamp())
    if wait and _hash(secret) not in found.genuine.values():
        raise _too_many("Too many wrong keys", wait, "then send a key that works")


def wrong_key() -> None:
    """A secret was none of ours."""
    found, now, address = _limits(), clock.now(), _address()
    found.wrong.add(address, 1, now.timestamp())
    if found.wrong.wait(address, now.timestamp()):
        _ring(alarms.WRONG_KEYS, "Somebody", f"Somebody at {address}", now)


def count(key: Key, secret: str, scope: str) -> None:
    """One call of a key. Raises Problem when it made too many, or looks like a search for who is
    a customer."""
    found, now = _limits(), clock.now().timestamp()
    if key.id not in found.genuine:
        found.genuine[key.id] = _hash(secret)
    if wait := found.calls.wait(key.id, now):
        raise _too_many("Too many calls", wait, "then go on more slowly")
    found.calls.add(key.id, 1, now)
    if scope in LOOKING and (wait := found.unknown.wait(key.id, now)):
        raise _too_many(
            "Too many numbers that nobody signed up with",
            wait,
            "and ask about people who gave you their number",
        )


def count_numbers(key: Key, numbers: int) -> None:
    """A call in bulk costs more than one about one number."""
    if numbers >= NUMBERS_A_CALL:
        cost = numbers // NUMBERS_A_CALL
        _limits().calls.add(key.id, cost, clock.now().timestamp())


def count_unknown(key: Key, numbers: int) -> None:
    """So many of the numbers that a key asked about belong to nobody who ever signed up."""
    if not numbers:
        return
    found, now = _limits(), clock.now()
    found.unknown.add(key.id, numbers, now.timestamp())
    if found.unknown.wait(key.id, now.timestamp()):
        _ring(alarms.UNKNOWN_NUMBERS, "An API key", f"The API key {key.name}", now)


def _ring(alarm: str, who: str, exactly: str, now: datetime) -> None:
    alarms.remember(alarm, alarms.SENTENCES[alarm].replace(who, exactly, 1), now=now)


def _too_many(title: str, wait: float, advice: str) -> Problem:
    seconds = math.ceil(wait)
    unit = "second" if seconds == 1 else "seconds"
    return Problem(
        429,
        title,
        f"Wait {seconds} {unit}, {advice}.",
        headers={"Retry-After": str(seconds)},
    )


def _limits() -> _Limits:
    found: _Limits = current_app.extensions[_LIMITS]
    return found


def _address() -> str:
    return limits.network(request.remote_addr or "")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
