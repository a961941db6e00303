"""Alive, and able to serve: for load balancers and operators."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from prefcenter import schema
from prefcenter.database import db
from prefcenter.models import Alarm
from prefcenter.sms import alarms

bp = Blueprint("health", __name__)

# The others say what the provider thinks of the account; of those anybody sees the name alone.
_FOR_ALL = (
    *(alarms.MISSED_TEXTS, alarms.UNSIGNED_WEBHOOKS, alarms.REFUSED_WEBHOOKS),
    *(alarms.WEBHOOK_CLOCK, alarms.UNREADABLE),
)


class AnyHost:
    """Lets a load balancer ask for health by address: it does not know our host name."""

    def __init__(self, wsgi_app: WSGIApplication, host: str) -> None:
        self.wsgi_app = wsgi_app
        self.host = host

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in ("/healthz", "/readyz"):
            environ["HTTP_HOST"] = self.host
        return self.wsgi_app(environ, start_response)


@bp.get("/healthz")
def alive() -> Response:
    """The process answers; touches nothing else."""
    return jsonify(status="alive")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """200 when the database answers and is migrated, else 503 with the reason."""
    try:
        reason = schema.fault()
        found = alarms.current() if reason is None else []
    except SQLAlchemyError:
        db.session.rollback()
        reason, found = "the database does not answer", []
    if reason:
        return jsonify(status="not ready", reason=reason), 503
    detail = [_shown(alarm) for alarm in found if alarm.name in _FOR_ALL]
    return jsonify(status="ready", alarms=[alarm.name for alarm in found], detail=detail), 200


def _shown(alarm: Alarm) -> dict[str, str]:
    """An alarm for anybody to read: the sentence that we wrote for its name, where there is one."""
    message = alarms.SENTENCES.get(alarm.name, alarm.message)
    return {"name": alarm.name, "message": message, "since": alarm.since.isoformat()}
