"""`prefcenter serve`: granian's web processes, and on SQLite one sender beside them."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import IO

from flask import Flask

from prefcenter import create_app, sending
from prefcenter.config import ConfigError, Settings
from prefcenter.sms.sender import Sender

log = logging.getLogger("prefcenter.serve")

_RESTART_AFTER = 1.0
_STOP_WAIT = 28.0
_LOCK_WAIT = 3.0


def run(settings: Settings, host: str, port: int, processes: int, *, sender: bool) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError when a second sender would run."""
    from granian import Granian  # web processes import it anyway; commands need not
    from granian.constants import Interfaces
    from granian.log import LogLevels

    beside = _SenderBeside(_take_lock(settings)) if sender and settings.sqlite else None
    server = Granian(
        "prefcenter.serve:web_app",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=processes,
        blocking_threads=1,  # more only contend for the interpreter and for SQLite
        respawn_failed_workers=True,
        workers_kill_timeout=25,
        log_access=False,
        log_level=LogLevels.warning,
    )
    log.info("serving", extra={"address": f"{host}:{port}", "processes": processes})
    try:
        if beside:
            beside.start()
        server.serve()
    finally:
        if beside:
            beside.stop()


def web_app() -> Flask:
    """What each web process serves; it does not outlive the process that began it."""
    _end_with_parent()
    return create_app()


def run_sender(app: Flask, sender: Sender, *, child: bool) -> None:
    """SQLite's sender, until SIGTERM or SIGINT; calls in the air may finish."""
    drain = sending.Drain(app, sender)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: drain.stopping.set())
    if child:
        _end_with_parent()
    log.info("the sender works")
    drain.run()
    log.info("the sender stops")


class _SenderBeside:
    """The sender process of `serve`: started again if it dies, stopped with the server."""

    def __init__(self, lock: IO[bytes]) -> None:
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        self._watcher.start()

    def stop(self) -> None:
        self._stopping.set()
        process = self._process
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_WAIT)
            except subprocess.TimeoutExpired:
                process.kill()
        self._watcher.join(5)
        self._lock.close()

    def _watch(self) -> None:
        handle = self._lock.fileno()
        passed = [] if sys.platform == "win32" else [handle]  # no flock there, nothing to pass
        command = [sys.executable, "-m", "prefcenter", "worker", "--lock-fd", str(handle)]
        while not self._stopping.is_set():
            self._process = subprocess.Popen(command, pass_fds=passed, start_new_session=True)
            self._process.wait()
            if not self._stopping.wait(_RESTART_AFTER):
                log.error("the sender ended and is started again")


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
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
