"""Where Vonage posts what people text, and what became of our texts.

Each post is stored durably before it is answered, and answered well under the three seconds
that Vonage waits. A text's effect follows at once while there is time for it, and is left to
the sender's process in a rush: nothing leaves to that number meanwhile (sms/delivery.py).
"""

import logging
import time

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from prefcenter import clock, config
from prefcenter.consent import inbound, provider
from prefcenter.database import begin_write, db, is_outage
from prefcenter.sms import alarms, inbox, unstored, webhook
from prefcenter.sms.intake import Intake
from prefcenter.sms.webhook import Unusable

log = logging.getLogger(__name__)
bp = Blueprint("webhooks", __name__)
_TAKEN = b'{"status":"taken"}\n'
_BUDGET = "prefcenter.webhooks.budget"
_INTAKE = "prefcenter.webhooks.intake"


class Budget:
    """How many texts this process works at once, a second; the rest waits its turn."""

    def __init__(self, per_second: int) -> None:
        self.per_second = per_second
        self._began = time.monotonic()
        self._count = 0
        self._rush = False

    def take(self) -> bool:
        """One more text. None at all while a rush lasts: from its second second to a calm one."""
        passed = time.monotonic() - self._began
        if passed >= 1:
            self._rush = self._count > self.per_second * passed
            self._began, self._count = self._began + passed, 0
        self._count += 1
        return not self._rush and self._count <= self.per_second


@bp.post("/webhooks/vonage/inbound")
def receive_text() -> ResponseReturnValue:
    """A text from a phone: one row for each message id, then its effect (REL-11)."""
    now, raw = clock.now(), request.get_data()
    try:
        text = webhook.read_inbound(raw, senders=config.current().senders)
    except Unusable as error:
        with unstored.noting(None, now=now):
            return _keep("inbound", raw, error.reason)
    with unstored.noting(text, now=now):
        row_id = _intake().store(text, now=now)
    unstored.current().settle()
    if row_id is not None and _budget().take():
        _work(row_id)
    return _taken()


@bp.post("/webhooks/vonage/status")
def receive_status() -> ResponseReturnValue:
    """What became of one of our texts; a receipt of something unknown is kept (REL-13)."""
    now, raw = clock.now(), request.get_data()
    try:
        update = webhook.read_status(raw)
    except Unusable as error:
        return _keep("status", raw, error.reason)
    try:
        begin_write()
        provider.take(update, now=now)
        db.session.commit()
    except Exception as error:
        if is_outage(error):
            raise  # Vonage comes again
        db.session.rollback()
        log.exception("a receipt cannot be worked and is kept")
        return _keep("status", raw, alarms.NOT_WORKED)
    return _taken()


def _taken() -> ResponseReturnValue:
    return Response(_TAKEN, content_type="application/json")


def _keep(door: str, raw: bytes, reason: str) -> ResponseReturnValue:
    """Genuine, and of no use to us: a 4xx would lose it, so it is kept for a person (SEC-34).

    An operator hears only of faults: what anybody may text must not wake them.
    """
    now = clock.now()
    log.warning("a webhook cannot be used and is kept", extra={"door": door, "reason": reason})
    begin_write()
    if inbox.keep_unreadable(door, raw, reason, now=now) and reason in alarms.FAULTY:
        alarms.start(alarms.UNREADABLE, now=now)
    db.session.commit()
    return _taken()


def _intake() -> Intake:
    found: Intake = current_app.extensions.setdefault(_INTAKE, Intake())
    return found


def _budget() -> Budget:
    budget: Budget | None = current_app.extensions.get(_BUDGET)
    if budget is None:
        budget = current_app.extensions[_BUDGET] = Budget(config.current().texts_at_once)
    return budget


def _work(row_id: int) -> None:
    """Do what the text asks for now; if that fails the sender's process comes back to it."""
    try:
        begin_write()
        inbound.handle(row_id, now=clock.now())
        db.session.commit()
    except Exception:  # it is stored, so Vonage must not send it again
        db.session.rollback()
        log.exception("a text waits, because it could not be worked")
