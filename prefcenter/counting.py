"""The overview's counts kept up, beside the work of a sender."""

import logging
import threading
import time

from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter.database import db, writing
from prefcenter.upkeep import recount, statistics
from prefcenter.upkeep.recount import Busy

log = logging.getLogger(__name__)

_AT_A_TIME = 0.15  # seconds; the sender has more to do
_FAR_BEHIND = 50_000  # events, as after an upgrade: counted anew that is quicker
_anew = threading.Lock()


def keep_up() -> None:
    """Count what is new, for a moment at most; the rest has its turn soon."""
    with db.engine.connect() as connection:
        mark = statistics.mark_of(connection)
        behind = statistics.behind(connection, mark)
    if statistics.is_outdated(mark) or behind > _FAR_BEHIND:
        _count_anew()
    else:
        catch_up(_AT_A_TIME)


def catch_up(seconds: float) -> None:
    """Count what is new, a few hundred events to a transaction. Commits."""
    deadline = time.monotonic() + seconds
    while step := statistics.next_step():
        with writing():
            taken = statistics.take(step)
            if taken:
                db.session.commit()
        if not (taken and step.more) or time.monotonic() > deadline:
            return


def _count_anew() -> None:
    """In a thread of its own, because it may take minutes and texts must not wait for it."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # Flask's documented way
    if _anew.acquire(blocking=False):
        threading.Thread(target=_recount, args=(app,), name="recount", daemon=True).start()


def _recount(app: Flask) -> None:
    try:
        with app.app_context():
            log.info("all is counted anew", extra={"counts": recount.recount()})
    except (Busy, DBAPIError, PoolTimeout) as error:
        log.warning("counting anew failed and is tried again", extra={"error": str(error)[:200]})
    finally:
        _anew.release()
