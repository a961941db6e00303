"""Texts that come in at the same moment share one durable commit.

Each thread of a web process brings one text. Whoever gets the writer's place stores for all
who stand behind it by then, so that a rush costs a commit for several texts, not for each.
"""

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import datetime

from prefcenter.database import write_connection
from prefcenter.sms import inbox
from prefcenter.sms.webhook import InboundText

_Waiting = tuple[Future[int | None], InboundText, datetime]


class Intake:
    """The door of one process to the inbox."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()  # append and popleft need no lock
        self._writer = threading.Lock()

    def store(self, text: InboundText, *, now: datetime) -> int | None:
        """Like inbox.store, and durable when it returns. Raises what the commit raised."""
        mine: Future[int | None] = Future()
        self._waiting.append((mine, text, now))
        with self._writer:
            if not mine.done():
                self._store_waiting()
        return mine.result(timeout=0)  # never an answer for a text that nobody stored

    def _store_waiting(self) -> None:
        batch: Sequence[_Waiting] = ()
        try:
            with write_connection() as connection:
                connection.begin()  # more come while this waits for the database
                batch = self._take()
                rows = [inbox.store(text, now=now, connection=connection) for _, text, now in batch]
                connection.commit()
        except Exception as error:
            for future, *_ in batch or self._take():
                future.set_exception(error)
        else:
            for (future, *_), row in zip(batch, rows, strict=True):
                future.set_result(row)

    def _take(self) -> list[_Waiting]:
        return [self._waiting.popleft() for _ in range(len(self._waiting))]
