"""Works the texts that came in and were only stored: on SQLite beside the sender, on
PostgreSQL in every worker."""

import logging
import time

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from prefcenter import clock
from prefcenter.consent import inbound
from prefcenter.database import db, writing
from prefcenter.sms import alarms, inbox

log = logging.getLogger(__name__)

POLL_SECONDS = 0.2
_A_TURN = 20
_BREAKS_A_RULE = (DataError, IntegrityError)  # the row's own fault, and no better later


class Listener:
    """Looks for stored texts; one that cannot be worked is set aside and alarmed, not lost."""

    def __init__(self) -> None:
        self._set_aside: set[int] = set()

    def turn(self) -> float:
        """Work some texts; gives the seconds to rest before the next look.

        In a rush it rests as long as it worked, so that the doors stay quick.
        """
        found = inbox.waiting(_A_TURN + len(self._set_aside))
        rows = [row for row in found if row not in self._set_aside]
        began = time.monotonic()
        for row in rows[:_A_TURN]:
            self._work(row)
        return time.monotonic() - began if len(rows) >= _A_TURN else POLL_SECONDS

    def _work(self, row: int) -> None:
        try:
            with writing():
                inbound.handle(row, now=clock.now())
                db.session.commit()
        except Exception as error:
            outage = isinstance(error, (DBAPIError, PoolTimeout))
            if outage and not isinstance(error, _BREAKS_A_RULE):
                raise
            self._leave_alone(row)  # one bad text must not keep the others waiting

    def _leave_alone(self, row: int) -> None:
        log.exception("a text cannot be worked and is left alone", extra={"text": row})
        with writing():
            sentence = alarms.SENTENCES[alarms.TEXT_NOT_WORKED]
            alarms.start(alarms.TEXT_NOT_WORKED, sentence, now=clock.now())
            db.session.commit()
        self._set_aside.add(row)
