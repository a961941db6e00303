"""Tells the owner's addresses about changes: beside the sender on SQLite, in every worker on
PostgreSQL, always in threads of its own, so that a slow address delays no text and no STOP.

For each endpoint: take its lease and commit, read what is next, POST with no transaction open,
write down what came of it (upkeep/notices.py, upkeep/notice_outcomes.py).
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from flask import Flask

from prefcenter import clock
from prefcenter.database import db, is_outage, is_postgresql, new_public_id, writing
from prefcenter.sms.posting import Answer
from prefcenter.upkeep import endpoints, notice_outcomes, notices
from prefcenter.upkeep.notices import Batch, Notice

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_REST = 5.0  # after a fault that is ours
_TELL_FOR = 30.0  # then it is written down; with one more POST, well within the lease
Post = Callable[[Batch, Notice], Answer]


def post(batch: Batch, notice: Notice) -> Answer:
    """One POST of one notice."""
    return endpoints.post(batch.url, notice.webhook_id, notice.body, batch.keys, now=clock.now())


class Round:
    """One endpoint's turn: batch after batch, for as long as it takes them."""

    def __init__(self, endpoint_id: int, post: Post, stopping: threading.Event) -> None:
        self._endpoint_id, self._post, self._stopping = endpoint_id, post, stopping
        self._holder = new_public_id()

    def run(self) -> bool:
        """Tell it all there is; False, and nothing is told, while another process does."""
        with writing():
            mine = notices.take(self._endpoint_id, self._holder, now=clock.now())
            db.session.commit()
        if not mine:
            return False
        try:
            while not self._stopping.is_set() and self._tell_some():
                pass
        finally:
            with contextlib.suppress(Exception), writing():  # else the lease runs out
                notices.let_go(self._endpoint_id, self._holder)
                db.session.commit()
        return True

    def _tell_some(self) -> bool:
        """One batch; False where there is nothing more to do now."""
        until = time.monotonic() + _TELL_FOR
        batch = notices.next_batch(self._endpoint_id, now=clock.now())
        if batch is None:
            return False
        tried = self._try(batch, until)
        with writing():
            recorded = notice_outcomes.record(batch, tried, self._holder, now=clock.now())
            db.session.commit()
        return recorded and (bool(tried) or batch.upto > batch.told)

    def _try(self, batch: Batch, until: float) -> list[tuple[Notice, Answer | None]]:
        tried: list[tuple[Notice, Answer | None]] = []
        waiting, refused, failures = set(batch.waiting), set[int](), batch.failures
        for notice in batch.notices:
            if self._stopping.is_set() or time.monotonic() > until:
                break
            if notice.person_id in (refused if notice.parked is not None else waiting | refused):
                tried.append((notice, None))
                continue
            if not notices.held(self._endpoint_id, self._holder):
                break
            answer = self._post(batch, notice)
            tried.append((notice, answer))
            if answer.taken:
                failures = 0
                continue
            _log(batch, notice, answer)
            refused.add(notice.person_id)
            failures += 1
            if failures >= notices.IN_A_ROW or answer.wait or answer.gone:
                break
        return tried


def _log(batch: Batch, notice: Notice, answer: Answer) -> None:
    facts = {"endpoint": batch.endpoint_id, "event": notice.webhook_id, "reason": answer.error}
    log.warning("a webhook was not taken", extra=facts)


class Teller:
    """Looks which endpoints there is something for, and gives each a thread."""

    def __init__(self, app: Flask, stopping: threading.Event, *, post: Post = post) -> None:
        self._app, self._stopping, self._post = app, stopping, post
        self._at_work: set[int] = set()
        self._not_before: dict[int, float] = {}  # by endpoint, time.monotonic()

    def run(self) -> None:
        """Until `stopping` is set; POSTs in the air may end."""
        begun = False
        with ThreadPoolExecutor(endpoints.MOST, thread_name_prefix="tell") as pool:
            while not self._stopping.is_set():
                begun = begun or self._begin()
                self._stopping.wait(self._look(pool) if begun else _REST)

    def _begin(self) -> bool:
        """Once, before anything is told: an old SECRET_KEY may go after that. False where it has
        to be tried again. Never raises."""
        try:
            with self._app.app_context():
                stale = endpoints.stale_seals()
                with writing():
                    if not is_postgresql():
                        notices.let_all_go()  # whoever held them is dead: there is one sender
                    if stale:
                        endpoints.reseal()
                    db.session.commit()
        except Exception as error:
            log.error("the webhooks cannot be begun", extra={"error": type(error).__name__})
            return False
        return True

    def _look(self, pool: ThreadPoolExecutor) -> float:
        """Begin what there is to do; gives the seconds to the next look. Never raises."""
        try:
            with self._app.app_context():
                found = notices.busy(now=clock.now())
        except Exception as error:
            log.error("the webhooks cannot be looked at", extra={"error": type(error).__name__})
            return _REST
        for one in found:
            if one not in self._at_work and time.monotonic() >= self._not_before.get(one, 0.0):
                self._at_work.add(one)
                pool.submit(self._work, one)
        return POLL_SECONDS

    def _work(self, endpoint_id: int) -> None:
        try:
            with self._app.app_context():
                told = Round(endpoint_id, self._post, self._stopping).run()
            if not told:
                self._not_before[endpoint_id] = time.monotonic() + _REST
        except Exception as error:
            self._not_before[endpoint_id] = time.monotonic() + _REST
            if is_outage(error):
                log.error("a webhook lost the database", extra={"error": type(error).__name__})
            else:
                log.exception("a webhook cannot be worked")
        finally:
            self._at_work.discard(endpoint_id)


@contextlib.contextmanager
def beside(app: Flask, stopping: threading.Event) -> Iterator[None]:
    """Tell while something else is done; it ends with that, or as soon as `stopping` is set."""
    thread = threading.Thread(target=Teller(app, stopping).run, name="teller")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
