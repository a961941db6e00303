"""Alive, and able to serve: for load balancers and operators."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from prefcenter import schema
from prefcenter.database import db
from prefcenter.sms import alarms

bp = Blueprint("health", __name__)


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
        names = [alarm.name for alarm in alarms.current()] if reason is None else []
    except SQLAlchemyError:
        db.session.rollback()
        reason, names = "the database does not answer", []
    if reason:
        return jsonify(status="not ready", reason=reason), 503
    return jsonify(status="ready", alarms=names), 200
