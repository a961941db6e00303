"""How often somebody may try to sign in, without locking the owner out (SEC-41).

Each try is counted before it is looked at and given back when it was good, so any number of
processes counts as one. Strangers share counters: of one network with one name, of one network,
and, loosely, of one name. A browser that has signed in before shows a signed cookie and has a
counter of its own instead, so whatever strangers do, it may try.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from prefcenter.consent import limits
from prefcenter.database import db

WINDOW = timedelta(minutes=15)
_PAIR, _NETWORK, _NAME = 10, 40, 100
_DEVICE = 10
_CODES, _CODES_OF_NAME = 6, 12
_LOGGED = 50


class TooManyTries(Exception):
    """Come back in this many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a try comes from; `device` names a browser that signed in as `name` before."""

    ip: str
    device: str = ""


def count_password(name: str, visitor: Visitor, *, now: datetime) -> None:
    """Count one try with a name as it is stored. Never commits. Raises TooManyTries."""
    _count(_password_rows(name, visitor), now)


def give_back_password(name: str, visitor: Visitor, *, now: datetime) -> None:
    """That try was good. Never commits."""
    _give_back(_password_rows(name, visitor), now)


def count_code(name: str, visitor: Visitor, *, now: datetime) -> None:
    """Count one code of the second factor. Never commits. Raises TooManyTries."""
    _count(_code_rows(name, visitor), now)


def give_back_code(name: str, visitor: Visitor, *, now: datetime) -> None:
    _give_back(_code_rows(name, visitor), now)


def forgive(name: str) -> None:
    """Let strangers try that name again, for its owner may be among them. Never commits."""
    for scope in ("signin/name", "code/name"):
        limits.clear(scope, name)


def may_log(*, now: datetime) -> bool:
    """False once enough failures of this window stand in the log, which keeps all for ever."""
    return limits.take("signin/log", "", _window(now), _LOGGED)


def _password_rows(name: str, visitor: Visitor) -> list[tuple[str, str, int]]:
    if visitor.device:
        return [("signin/device", visitor.device, _DEVICE)]
    network = limits.network(visitor.ip)
    return [
        ("signin/pair", f"{network} {name}", _PAIR),
        ("signin/network", network, _NETWORK),
        ("signin/name", name, _NAME),
    ]


def _code_rows(name: str, visitor: Visitor) -> list[tuple[str, str, int]]:
    if visitor.device:
        return [("code/device", visitor.device, _CODES)]
    return [
        ("code/pair", f"{limits.network(visitor.ip)} {name}", _CODES),
        ("code/name", name, _CODES_OF_NAME),
    ]


def _count(rows: list[tuple[str, str, int]], now: datetime) -> None:
    savepoint = db.session.begin_nested()
    for scope, key, limit in rows:
        if not limits.take(scope, key, _window(now), limit):
            savepoint.rollback()
            raise TooManyTries(int((_window(now) + WINDOW - now).total_seconds()) + 1)
    savepoint.commit()


def _give_back(rows: list[tuple[str, str, int]], now: datetime) -> None:
    for scope, key, _limit in rows:
        limits.give_back(scope, key, _window(now))


def _window(now: datetime) -> datetime:
    """Its start, by the clock."""
    quarter = int(WINDOW.total_seconds() // 60)
    return now.replace(minute=now.minute - now.minute % quarter, second=0, microsecond=0)
