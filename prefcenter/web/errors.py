"""Exceptions to pages: one plain sentence, a next step, no trace (SEC-6, REL-16).

Where programs come in, the same is said as problem+json (RFC 9457).
"""

import logging
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_babel import lazy_gettext as _l
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from prefcenter import clock
from prefcenter.database import db
from prefcenter.links import BadLink
from prefcenter.sms import alarms, unstored
from prefcenter.sms.signature import BadToken, ClockTrouble, Unsigned
from prefcenter.web import htmx

log = logging.getLogger(__name__)

_PLAIN = {
    400: (_l("We could not read that"), _l("Go back, load the page again and repeat it.")),
    403: (
        _l("That form does not work on this website"),
        _l("Open it on the website that it was made for, and fill it in there."),
    ),
    404: (
        _l("There is no such page"),
        _l("Check the address, or open the link from the text again."),
    ),
    405: (_l("This page cannot do that"), _l("Open it again from its link.")),
    411: (_l("We could not read that"), _l("Go back, load the page again and repeat it.")),
    413: (_l("That was too long"), _l("Go back and send less text.")),
    415: (_l("We could not read that"), _l("Go back, load the page again and repeat it.")),
    422: (_l("We could not read that"), _l("Go back, load the page again and repeat it.")),
}


_FOR_PROGRAMS = ("/webhooks/", "/api/")
_FIXES = {
    400: "Send it as the documentation of this address says.",
    404: "Check the address.",
    405: "Use a method that the header Allow names.",
    411: "Send the header Content-Length.",
    413: "Send at most {kib} KiB.",
    415: "Send Content-Type: application/json, and no Content-Encoding.",
}


class TooMany(Exception):
    """This link was used too often; `minutes` until it works again."""

    def __init__(self, minutes: int) -> None:
        super().__init__(minutes)
        self.minutes = minutes


class Problem(Exception):
    """What a program asked for cannot be done; `detail` says what to do (RFC 9457)."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(title)
        self.status, self.title = status, title
        self.headers = dict(headers or {})
        self.more = {"detail": detail, **more}


def init_app(app: Flask) -> None:
    app.register_error_handler(Problem, _told)
    app.register_error_handler(BadLink, _bad_link)
    app.register_error_handler(TooMany, _too_many)
    app.register_error_handler(Unsigned, _unsigned)
    app.register_error_handler(BadToken, _bad_token)
    app.register_error_handler(ClockTrouble, _clock_trouble)
    app.register_error_handler(HTTPException, _plain)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(PoolTimeout, _database)
    app.register_error_handler(sqlite3.Error, _database)  # raised while a connection opens
    app.register_error_handler(Exception, _ours)


def _bad_link(_error: BadLink) -> Response:
    """Forged, malformed, unknown and erased look the same (SEC-19)."""
    return htmx.render("errors/bad_link.html", status=404)


def _too_many(error: TooMany) -> Response:
    response = htmx.render("errors/limited.html", status=429, minutes=error.minutes)
    response.headers["Retry-After"] = str(error.minutes * 60)
    return response


def _plain(error: HTTPException) -> Response:
    code = error.code if error.code in _PLAIN else 400
    title, text = _PLAIN[code]
    reference = secrets.token_hex(4)
    log.info("refused", extra={"status": error.code, "reference": reference})
    if error.code == 405 and _is_of_sms_api():
        _remember(alarms.UNSIGNED_WEBHOOKS)
    if _asked_by_program():
        kib = (request.max_content_length or 0) // 1024  # some calls take more than others
        status, fix = error.code or 400, _FIXES.get(code, _FIXES[400]).format(kib=kib)
        response = _problem(status, str(error.name), detail=fix, reference=reference)
    else:
        response = htmx.render(
            "errors/plain.html",
            status=error.code or 400,
            title=title,
            text=text,
            reference=reference,
        )
    if code == 405 and (allow := error.get_response().headers.get("Allow")):
        response.headers["Allow"] = allow
    return response


def _database(error: Exception) -> Response:
    """Locked, full, read-only or gone: nothing was changed, come back soon."""
    log.error("database failed", extra={"error": type(error).__name__, "cause": _cause(error)})
    return _sorry(503)


def _ours(error: Exception) -> Response:
    log.exception("unexpected error", extra={"error": type(error).__name__})
    return _sorry(500)


def _sorry(status: int) -> Response:
    try:
        db.session.rollback()
    except DBAPIError:
        db.session.remove()
    if _asked_by_program():
        fix = "Send it again, as often as you like; if it stays so, look at our log."
        response = _problem(status, "Nothing was changed; try again soon", detail=fix)
    else:
        response = htmx.render("errors/ours.html", status=status)
    if status == 503:
        response.headers["Retry-After"] = "30"
    return response


def _asked_by_program() -> bool:
    return request.path.startswith(_FOR_PROGRAMS)


def _is_of_sms_api() -> bool:
    """True for a text or a receipt as Vonage's SMS API may bring it: by GET, with no signature.

    The account is set to the wrong API then, and nobody else would say that STOPs are missed.
    """
    return request.path.startswith("/webhooks/") and "msisdn" in request.args


def _told(error: Problem) -> Response:
    log.info("refused", extra={"status": error.status})
    response = _problem(error.status, error.title, **error.more)
    response.headers.update(error.headers)
    return response


def _problem(status: int, title: str, **more: Any) -> Response:
    response = jsonify(type="about:blank", title=title, status=status, **more)
    response.status_code = status
    response.content_type = "application/problem+json"
    return response


def _unsigned(_error: Unsigned) -> Response:
    """Nothing may be lost, nothing may be believed: Vonage comes again (VONAGE, DOC 9)."""
    _remember(alarms.UNSIGNED_WEBHOOKS)
    return _come_again("No signature; send it again with one")


def _clock_trouble(_error: ClockTrouble) -> Response:
    _remember(alarms.WEBHOOK_CLOCK)
    if request.path.endswith("/inbound"):  # genuine, and perhaps a STOP (REL-16)
        unstored.current().note(None, now=clock.now())
    return _come_again("Signed in the future; send it again")


def _bad_token(error: BadToken) -> Response:
    """A forger, or our own settings: then it may have been a STOP, and perhaps it is not repeated."""
    _remember(alarms.REFUSED_WEBHOOKS)
    if alarms.once_a_minute(f"refused: {error.reason}", now=clock.now()):
        log.warning("a webhook is refused", extra={"reason": error.reason})
    return _problem(401, "The signature is not good")


def _remember(alarm: str) -> None:
    """Without a row: whoever posts has not shown who they are (INV-9)."""
    alarms.remember(alarm, now=clock.now())


def _come_again(title: str) -> Response:
    response = _problem(503, title)
    response.headers["Retry-After"] = "30"
    return response


def _cause(error: Exception) -> str:
    """The driver's own words without the statement and its values (SEC-7)."""
    original = getattr(error, "orig", None)
    return type(original).__name__ if original is not None else ""
