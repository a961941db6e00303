"""Works the texts that came in and were only stored: on SQLite beside the sender, on
PostgreSQL in every worker."""

import logging
import time

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter import clock
from prefcenter.consent import inbound
from prefcenter.database import db, is_postgresql, writing
from prefcenter.sms import alarms, inbox

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
_A_TURN = 20
_A_COMMIT = 0.015  # seconds that the doors may wait for the lock
_BREAKS_A_RULE = (DataError, IntegrityError)  # the row's own fault, and no better later


class Listener:
    """Looks for stored texts; one that cannot be worked is set aside and alarmed, not lost."""

    def __init__(self) -> None:
        self._set_aside: set[int] = set()
        self._newest = 0

    def turn(self) -> float:
        """Work some texts; gives the seconds to rest before the next look.

        While more come in than it works it rests three times as long as it worked, so that the
        doors stay quick; once they come no longer it hardly rests.
        """
        found = inbox.waiting(_A_TURN + len(self._set_aside))
        rows = [row for row in found if row not in self._set_aside]
        began = time.monotonic()
        rest = rows[:_A_TURN]
        while rest:
            rest = rest[self._work_some(rest) :]
        if len(rows) < _A_TURN:
            return POLL_SECONDS
        before, self._newest = self._newest, inbox.newest()
        still = self._newest - before > _A_TURN
        return (time.monotonic() - began) * (3 if still else 0.1)

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
        done, until = 0, time.monotonic() + _A_COMMIT
        try:
            with writing():
                while done < len(rows) and time.monotonic() < until:
                    inbound.handle(rows[done], now=clock.now())
                    done += 1
                db.session.commit()
        except Exception as error:
            if _is_outage(error):
                raise
            return 0  # alone, the one with the fault is left aside
        return done

    def _work(self, row: int) -> None:
        try:
            with writing():
                inbound.handle(row, now=clock.now())
                db.session.commit()
        except Exception as error:
            if _is_outage(error):
                raise
            self._leave_alone(row)  # one bad text must not keep the others waiting

    def _leave_alone(self, row: int) -> None:
        log.exception("a text cannot be worked and is left alone", extra={"text": row})
        with writing():
            sentence = alarms.SENTENCES[alarms.TEXT_NOT_WORKED]
            alarms.start(alarms.TEXT_NOT_WORKED, sentence, now=clock.now())
            db.session.commit()
        self._set_aside.add(row)


def _is_outage(error: Exception) -> bool:
    """The database's fault, not the text's: over in a while."""
    outage = isinstance(error, (DBAPIError, PoolTimeout))
    return outage and not isinstance(error, _BREAKS_A_RULE)
