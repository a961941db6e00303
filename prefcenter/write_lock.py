"""SQLite's writers, one at a time: a lock among our threads, and a locked file among processes.

SQLite's own busy handler sleeps in steps and is unfair (p99 218 ms against 20 ms), so a writer
takes this before BEGIN IMMEDIATE.
"""

import sys
import threading
import time
from pathlib import Path
from typing import IO

from sqlalchemy.exc import OperationalError

if sys.platform != "win32":
    import fcntl

WAIT_SECONDS = 2.5  # for the lock, and again for SQLite itself


class WriteLock:
    """One writer at a time: a lock among our threads, and a locked file among processes.

    With the first, no more than one thread of a process keeps asking for the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()

    def take(self) -> "Turn":
        """Wait for it. Raises OperationalError when it cannot be had."""
        deadline = time.monotonic() + WAIT_SECONDS
        if not self._threads.acquire(timeout=WAIT_SECONDS):
            raise _locked()
        try:
            return Turn(_take_file(self._path, deadline), self._threads)
        except BaseException:
            self._threads.release()
            raise


class Turn:
    """What a writer holds; given back at the latest when nobody remembers it."""

    def __init__(self, handle: IO[bytes], threads: threading.Lock) -> None:
        self._handle = handle
        self._threads = threads

    def close(self) -> None:
        if not self._handle.closed:
            self._handle.close()
            self._threads.release()

    __del__ = close


def _take_file(path: Path, deadline: float) -> IO[bytes]:
    try:
        handle = open(path, "ab")  # noqa: SIM115 - open for as long as the lock is held
    except OSError as error:
        raise OperationalError("flock", None, error) from error
    pause = 0.00005
    while not try_flock(handle):
        if time.monotonic() > deadline:
            handle.close()
            raise _locked()
        time.sleep(pause)  # flock cannot wait with a limit, so ask again soon
        pause = min(pause * 1.3, 0.001)
    return handle


def _locked() -> OperationalError:
    return OperationalError("flock", None, TimeoutError("database is locked"))


def try_flock(handle: IO[bytes]) -> bool:
    """Take the lock of an open file now, or say False.

    Windows has no flock; BEGIN IMMEDIATE alone keeps writers apart there.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
