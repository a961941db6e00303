"""Works the texts that came in and were only stored: on SQLite beside the sender, on
PostgreSQL in every worker."""

import logging
import time

from prefcenter import clock
from prefcenter.consent import inbound
from prefcenter.database import db, is_outage, is_postgresql, writing
from prefcenter.sms import alarms, inbox

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
_A_TURN = 20
_RUSH = 200  # texts a second
_RUSH_REST, _REST, _LONGEST_REST = 20, 0.3, 2.0
_A_COMMIT = 0.015  # seconds that the doors may wait for the lock


class Listener:
    """Looks for stored texts; one that cannot be worked is set aside and alarmed, not lost."""

    def __init__(self) -> None:
        self._set_aside: set[int] = set()
        self._newest, self._looked = 0, time.monotonic()

    def turn(self) -> float:
        """Work some texts; gives the seconds to rest before the next look.

        In a rush it rests much longer than it worked, so that the doors stay quick: what is
        stored is safe, and nothing leaves to its number. Otherwise it hardly rests.
        """
        found = inbox.waiting(_A_TURN + len(self._set_aside))
        rows = [row for row in found if row not in self._set_aside]
        began = time.monotonic()
        rest = rows[:_A_TURN]
        while rest:
            rest = rest[self._work_some(rest) :]
        if len(rows) < _A_TURN:
            return POLL_SECONDS
        worked = time.monotonic() - began
        return min(worked * (_RUSH_REST if self._is_rush() else _REST), _LONGEST_REST)

    def _is_rush(self) -> bool:
        """True while more texts come in a second than could be worked beside the doors."""
        before, since = self._newest, self._looked
        self._newest, self._looked = inbox.newest(), time.monotonic()
        return self._newest - before > _RUSH * (self._looked - since)

    def _work_some(self, rows: list[int]) -> int:
        """As many as fit into one short commit, or each alone; gives how many.

        On PostgreSQL each alone: two workers that hold several people could wait for each other.
        """
        if len(rows) > 1 and not is_postgresql() and (done := self._work_together(rows)):
            return done
        for row in rows:
            self._work(row)
        return len(rows)

    def _work_together(self, rows: list[int]) -> int:
        """Several texts in one durable commit; gives how many, none where one has a fault."""
        done = 0
        try:
            with writing():
                until = time.monotonic() + _A_COMMIT  # from when the lock is ours
                while done < len(rows) and time.monotonic() < until:
                    inbound.handle(rows[done], now=clock.now())
                    done += 1
                db.session.commit()
        except Exception as error:
            if is_outage(error):
                raise
            return 0  # alone, the one with the fault is left aside
        return done

    def _work(self, row: int) -> None:
        try:
            with writing():
                inbound.handle(row, now=clock.now())
                db.session.commit()
        except Exception as error:
            if is_outage(error):
                raise
            self._leave_alone(row)  # one bad text must not keep the others waiting

    def _leave_alone(self, row: int) -> None:
        log.exception("a text cannot be worked and is left alone", extra={"text": row})
        with writing():
            alarms.start(alarms.TEXT_NOT_WORKED, now=clock.now())
            db.session.commit()
        self._set_aside.add(row)
