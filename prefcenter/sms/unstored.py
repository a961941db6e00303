"""Texts that came in, genuine, and could not be stored: each may be a STOP, so until they are no
program is told "allow" (REL-16).

A process keeps such texts in memory and stores them as soon as its database works again; Vonage
also repeats them. The other processes of the machine see the time of a file, which can be set
while the disk is full and the database locked: nothing is allowed before it. Whoever set it alone
takes it back when all is stored; otherwise it runs out by itself.
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask, current_app

from prefcenter.config import Settings
from prefcenter.database import write_connection
from prefcenter.sms import inbox
from prefcenter.sms.webhook import InboundText

log = logging.getLogger(__name__)

HOLD = timedelta(minutes=15)  # Vonage has repeated by then
_SKEW = timedelta(minutes=5)  # a file's time further ahead is of a clock that was put back since
_MOST = 10_000  # texts in memory; of more only the hold remains
_KNOWN = "prefcenter.unstored"
rest_seconds = 1.0  # between two tries to store what is owed


class Unstored:
    """What one process owes to the inbox."""

    def __init__(self, file: Path | None, database: Path | None) -> None:
        self._file, self._database = file, database
        self._lock = threading.Lock()  # of all below; never held while the database works
        self._owed: dict[str, tuple[InboundText, datetime]] = {}
        self._until: datetime | None = None  # as the file says, where there is none
        self._blind: datetime | None = None  # the same of texts that are not kept here
        self._mine: int | None = None  # the file's time where this process alone has set it
        self._trying = threading.Lock()
        self._tried = 0.0

    def note(self, text: InboundText | None, *, now: datetime) -> None:
        """This text could not be stored; None for one that could not even be read."""
        log.error("a text could not be stored; nothing is allowed until it is")
        with self._lock:
            if self._blind is not None and self._blind <= now:
                self._blind = None
            if text is not None and (text.message_id in self._owed or len(self._owed) < _MOST):
                self._owed.setdefault(text.message_id, (text, now))
            else:
                self._blind = now + HOLD
            self._until = now + HOLD
            self._mark(self._until, now)

    def holds(self, *, now: datetime) -> bool:
        """True while a text may be missing; first tries to store what this process owes."""
        if self._owed:
            self.settle()
        return self.misses(now=now)

    def misses(self, *, now: datetime) -> bool:
        """The same without the try, for whoever holds the one writer."""
        if self._owed or (self._until is not None and now < self._until):
            return True
        return self._is_marked(now) or self._is_read_only()

    def settle(self) -> None:
        """Store what is owed, if anything; the doors call it when the database has just worked."""
        if not self._owed or not self._trying.acquire(blocking=False):
            return
        try:
            if time.monotonic() - self._tried >= rest_seconds:
                self._store()
        except Exception as error:
            self._tried = time.monotonic()
            log.error("what is owed cannot be stored yet", extra={"error": type(error).__name__})
        finally:
            self._trying.release()

    def _store(self) -> None:
        with self._lock:
            texts = list(self._owed.values())
        with write_connection() as connection:
            connection.begin()
            inbox.store(texts, connection=connection)
            connection.commit()
        with self._lock:
            for text, _ in texts:
                self._owed.pop(text.message_id, None)
            if not self._owed:
                self._until = self._blind
                if self._blind is None:
                    self._unmark()
        log.warning("texts that could not be stored are stored", extra={"count": len(texts)})

    def _mark(self, until: datetime, now: datetime) -> None:
        if self._file is None:
            return
        alone = not self._is_marked(now) or self._time() == self._mine
        with contextlib.suppress(OSError):  # then the other processes cannot know
            moment = until.timestamp()
            os.utime(self._file, (moment, moment))
            self._mine = self._time() if alone else None

    def _unmark(self) -> None:
        if self._file is not None and self._mine is not None and self._time() == self._mine:
            with contextlib.suppress(OSError):
                os.utime(self._file, (0, 0))
        self._mine = None

    def _is_marked(self, now: datetime) -> bool:
        ahead = (self._time() or 0) / 1e9 - now.timestamp()
        return 0 < ahead <= (HOLD + _SKEW).total_seconds()

    def _time(self) -> int | None:
        try:
            return os.stat(self._file).st_mtime_ns if self._file is not None else None
        except OSError:
            return None

    def _is_read_only(self) -> bool:
        """A disk that turned read-only takes no STOP either; nor would it take the file's time."""
        return self._database is not None and not os.access(self._database, os.W_OK)


def init_app(app: Flask, settings: Settings) -> None:
    """Make the file while there is room for it; a full disk lets only its time be set."""
    file = settings.unstored_file
    if file is not None and not file.exists():  # else its time may matter
        try:
            file.touch(mode=0o600)  # its time is now, which is over when it is looked at
        except OSError:
            log.warning("the file for texts that cannot be stored cannot be made")
    app.extensions[_KNOWN] = Unstored(file, settings.sqlite_file)


def current() -> Unstored:
    """That of the app whose context we are in."""
    found: Unstored = current_app.extensions[_KNOWN]
    return found


@contextlib.contextmanager
def noting(text: InboundText | None, *, now: datetime) -> Iterator[None]:
    """Note a text whose storing fails in here."""
    try:
        yield
    except Exception:
        current().note(text, now=now)
        raise
