"""`prefcenter serve`: granian's web processes, and on SQLite one sender beside them.

This process only watches: it starts both, starts the sender again when it dies, and stops
both. It runs no threads and no server of its own, so that starting a process stays safe.
"""

import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from types import FrameType
from typing import IO

from flask import Flask

from prefcenter import clock, create_app, sending, telling
from prefcenter.config import ConfigError, Settings
from prefcenter.consent import inbound
from prefcenter.database import MOST_THREADS, db, writing
from prefcenter.sms import watch
from prefcenter.sms.sender import Sender

log = logging.getLogger("prefcenter.serve")

# More than granian thinks wise for the interpreter: in a rush of webhooks most of them wait for
# one commit that they share, and a page must still find a thread (docs/performance.md).
THREADS = min(MOST_THREADS, 4 * (os.cpu_count() or 1))
_LOOK_EVERY = 0.2
_RESTART_AFTER, _LONGEST_REST = 1.0, 30.0
_STEADY = 60.0  # who worked for so long did not end for what it meets as it starts
_STOP_WAIT = 28.0
_LOCK_WAIT = 8.0  # a sender whose server was killed may end its calls first
_BEAT_EVERY = 60.0


def run(settings: Settings, host: str, port: int, processes: int, *, sender: bool) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code.

    Raises ConfigError when a second sender would work on the same SQLite file.
    """
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    lock = _take_lock(settings) if sender and settings.sqlite else None
    web = _start("web", "--host", host, "--port", str(port), "--processes", str(processes))
    beside, pause, since = _start_sender(lock) if lock else None, Pause(), time.monotonic()
    log.info("serving", extra={"address": f"{host}:{port}", "processes": processes})
    while not stopping.wait(_LOOK_EVERY) and web.poll() is None:
        if lock and beside and beside.poll() is not None:
            rest = pause.after(time.monotonic() - since)
            log.error("the sender ended and is started again", extra={"in_seconds": rest})
            stopping.wait(rest)
            beside, since = _start_sender(lock), time.monotonic()
    _stop([process for process in (web, beside) if process])
    if lock:
        lock.close()
    return 0 if stopping.is_set() else 1


class Pause:
    """How long to wait before what ended is started again: longer each time that it ends soon, so
    that a fault which stays fills neither the log nor the machine."""

    def __init__(self) -> None:
        self._rest = 0.0

    def after(self, lived: float) -> float:
        """Seconds, for a process that worked for so many."""
        soon = lived < _STEADY
        self._rest = (
            min(2 * self._rest or _RESTART_AFTER, _LONGEST_REST) if soon else _RESTART_AFTER
        )
        return self._rest


def run_web(host: str, port: int, processes: int) -> None:
    """granian, until SIGTERM."""
    from granian import Granian  # only this process needs it
    from granian.constants import Interfaces
    from granian.log import LogLevels

    _end_with_parent()
    children_end_at_once()
    logging.getLogger("_granian").addFilter(_no_advice_on_threads)
    Granian(
        "prefcenter.serve:web_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=processes,
        blocking_threads=THREADS,
        respawn_failed_workers=True,
        workers_kill_timeout=25,
        log_access=False,
        log_level=LogLevels.warning,
    ).serve()


def _no_advice_on_threads(record: logging.LogRecord) -> bool:
    """False for granian's warning about THREADS, which owners can do nothing about."""
    return "Python threads" not in record.getMessage()


def children_end_at_once() -> None:
    """A process that this one forks ends at SIGTERM from its first moment on.

    Until its app is there it has granian's handler, which is of use to its parent alone: who
    stops a server that is starting would wait for workers_kill_timeout. The signal waits while
    forking, since Python forgets what comes then.
    """
    if sys.platform == "win32":  # forks nothing, and a process begun anew has no handler
        return
    held = {signal.SIGTERM}

    def child() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, held)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, held),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, held),
        after_in_child=child,
    )


def web_app() -> Flask:
    """What each web process serves; it does not outlive the process that began it."""
    _end_with_parent()
    app = create_app()
    Pulse(app).begin()
    return app


class Pulse:
    """Says once a minute that this web process could take a webhook and write it down (REL-14).

    Only under `prefcenter serve`: who runs the app in another server has other processes, and
    perhaps none that stays. A daemon thread, so that nothing waits for it at the end.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.stopping = threading.Event()
        self._last: float | None = None  # time.monotonic() of the last beat that was written
        self._down = False

    def begin(self) -> None:
        threading.Thread(target=self._run, daemon=True, name="pulse").start()

    def beat(self) -> None:
        """Once. Never raises: whatever it is may be over in a minute, and is said once."""
        began = time.monotonic()
        awake = None if self._last is None else timedelta(seconds=began - self._last)
        try:
            with self._app.app_context(), writing():
                watch.beat(now=clock.now(), awake=awake)
                db.session.commit()
        except Exception:
            if not self._down:
                log.exception("the heartbeat cannot be written")
            self._down = True
            return
        if self._down:
            log.info("the heartbeat is written again")
        self._last, self._down = began, False

    def _run(self) -> None:
        self._warm_up()
        self.beat()
        # A little apart, so that the web processes do not all write at once.
        while not self.stopping.wait(_BEAT_EVERY + secrets.randbelow(5000) / 1000):
            self.beat()

    def _warm_up(self) -> None:
        """The first text takes a second to read: not while Vonage waits. Never raises."""
        try:
            with self._app.app_context():
                inbound.read("Hello")
        except Exception:
            log.exception("no text could be read to begin with")


def run_sender(app: Flask, sender: Sender, *, child: bool) -> None:
    """SQLite's sender, until SIGTERM or SIGINT; calls in the air may finish."""
    drain = sending.Drain(app, sender)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: drain.stopping.set())
    if child:
        _end_with_parent()
    log.info("the sender works")
    with telling.beside(app, drain.stopping):
        drain.run()
    log.info("the sender stops")


def _start(*command: str, passed: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """A process of ours in a session of its own, so that Ctrl-C reaches only the watcher."""
    return subprocess.Popen(
        [sys.executable, "-m", "prefcenter", *command], pass_fds=passed, start_new_session=True
    )


def _start_sender(lock: IO[bytes]) -> subprocess.Popen[bytes]:
    handle = lock.fileno()
    passed = () if sys.platform == "win32" else (handle,)  # no flock there, nothing to pass
    return _start("worker", "--lock-fd", str(handle), passed=passed)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + _STOP_WAIT
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
            continue
        process.kill()


def _take_lock(settings: Settings) -> IO[bytes]:
    """The sender's lock; a sender whose server was killed needs a moment to notice."""
    deadline = time.monotonic() + _LOCK_WAIT
    while True:
        try:
            return sending.hold_sender_lock(settings)
        except ConfigError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)  # nothing tells when another process lets go of a lock


def _end_with_parent() -> None:
    """End this process soon after its parent is gone, also after kill -9."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)  # nothing tells a process that its parent is gone
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)  # what is under way may end first
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
