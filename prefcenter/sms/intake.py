"""Texts that come in at the same moment share one durable commit.

Each thread of a web process brings one text. One of them stores for all who came by then,
so that a rush costs a commit for several texts, not for each; whoever came too late for it
goes next. Those who are served go on at once, each past the others: a queue of threads that
wake one another would cost more than the commit.
"""

import threading
from collections import deque
from datetime import datetime

from prefcenter.database import write_connection
from prefcenter.sms import inbox
from prefcenter.sms.webhook import InboundText


class _Place:
    """One text, and the thread that waits for it."""

    __slots__ = ("error", "now", "row", "stored", "text", "turn")

    def __init__(self, text: InboundText, now: datetime) -> None:
        self.text = text
        self.now = now
        self.stored = False
        self.row: int | None = None
        self.error: BaseException | None = None
        self.turn = threading.Lock()  # held until the text is settled, or its thread is to store
        self.turn.acquire()


class Intake:
    """The door of one process to the inbox."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the two below; never held while the database works
        self._waiting: deque[_Place] = deque()
        self._storing = False

    def store(self, text: InboundText, *, now: datetime) -> int | None:
        """The new row's id, None where the message id was seen before; durable when it returns.

        Raises what the commit raised: nothing is stored then.
        """
        mine = _Place(text, now)
        with self._lock:
            self._waiting.append(mine)
            first, self._storing = not self._storing, True
        if not first:
            mine.turn.acquire()  # somebody stores, and settles this text or leaves it the turn
        if not mine.stored and mine.error is None:
            self._store_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.row

    def _store_waiting(self) -> None:
        """Store for everybody who waits by now, this thread among them."""
        batch: list[_Place] = []
        try:
            with write_connection() as connection:
                connection.begin()  # more come while this waits for the database
                batch = self._take()
                texts = [(place.text, place.now) for place in batch]
                rows = inbox.store(texts, connection=connection)
                connection.commit()
            for place, row in zip(batch, rows, strict=True):
                place.row, place.stored = row, True
        except BaseException as error:
            batch = batch or self._take()
            for place in batch:
                place.error = error
        finally:
            self._pass_on(batch)

    def _take(self) -> list[_Place]:
        with self._lock:
            batch = list(self._waiting)
            self._waiting.clear()
        return batch

    def _pass_on(self, batch: list[_Place]) -> None:
        """Let the next store, then let the served go."""
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._storing = following is not None
        if following is not None:
            following.turn.release()
        for place in batch:
            place.turn.release()
