"""Waiting for a condition, and hearing what is logged: for tests of things that run beside us."""

import io
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefcenter.logs import JsonFormatter

_LOGGERS = (logging.getLogger(), logging.getLogger("prefcenter"))


def until(condition: Callable[[], object], what: str, *, seconds: float = 20) -> None:
    """Look again and again until it is so; fail with `what` when it never is."""
    deadline, never = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, what
        never.wait(0.02)


@contextmanager
def listening() -> Iterator[io.StringIO]:
    """All that is logged meanwhile, by us and by libraries, as an operator would read it."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    handler.setFormatter(JsonFormatter())
    for logger in _LOGGERS:
        logger.addHandler(handler)
    try:
        yield heard
    finally:
        for logger in _LOGGERS:
            logger.removeHandler(handler)
