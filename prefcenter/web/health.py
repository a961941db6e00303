"""Alive, and able to serve: for load balancers and operators."""

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from prefcenter import schema
from prefcenter.database import db
from prefcenter.sms import alarms

bp = Blueprint("health", __name__)


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
