"""Programs that are told when somebody's consent changes: added with a secret that is shown once,
looked at, tried, stopped, and told again what they missed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.models_webhooks import EndpointEnd, WebhookEndpoint
from prefcenter.sms import posting
from prefcenter.staff import activity
from prefcenter.upkeep import (
    endpoints,
    event_words,
    notice_outcomes,
    notice_standing,
    webhook_keys,
)
from prefcenter.upkeep.endpoints import EndpointError
from prefcenter.web import guards
from prefcenter.web.admin import shell, typed

bp = Blueprint("admin_webhooks", __name__, url_prefix="/admin")

ENDS = {
    EndpointEnd.OWNER: _l("Turned off by hand."),
    EndpointEnd.GONE: _l("It answered 410: it wants no more."),
    EndpointEnd.FAILING: _l("It took nothing for three days."),
}
_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "address": _l("Give a whole address, like https://crm.example.com/hook."),
        "long": _l("Give an address of at most 500 characters."),
        "https": _l("Give an address that starts with https://."),
        "extras": _l("Leave out name, password and fragment."),
        "port": _l("Use port 443, or one from 1024 on."),
        "name": _l("The name of the host cannot be found."),
        "private": _l("The host is inside a private network, which is never posted to."),
        "twice": _l("There is one for this address already."),
        "many": _l("There are ten already. Turn one off first."),
        "busy": _l("The database is busy. Try again in a moment."),
    }
)
assert posting.REFUSALS.keys() <= _FAULTS.keys()


@bp.get("/webhooks")
@guards.role(Role.OWNER)
def webhooks() -> Response:
    return _page()


@bp.post("/webhooks")
@guards.role(Role.OWNER)
def add() -> Response:
    """Add one and show its secret in this answer, and never again."""
    url, now = typed.text("url"), clock.now()
    try:
        endpoints.check(url)
        after = endpoints.newest_event()
        guards.begin_staff_write()
        endpoint, secret = endpoints.add(url, after=after, now=now)
    except EndpointError as error:
        return _page(fault=str(_FAULTS[error.reason]), url=url)
    _log("webhook_added", endpoint)
    db.session.commit()
    return _made(endpoint, secret)


@bp.get("/webhooks/<public_id>")
@guards.role(Role.OWNER)
def webhook(public_id: str) -> Response:
    return _one(_known(public_id))


@bp.post("/webhooks/<public_id>/test")
@guards.role(Role.OWNER)
def test(public_id: str) -> BaseResponse:
    """Post a ping now, with no transaction open, and say what came back."""
    endpoint, now = _known(public_id), clock.now()
    url, keys = endpoint.url, webhook_keys.keys_of(endpoint, now=now)
    db.session.rollback()
    answer = endpoints.ping(url, keys, now=now)
    guards.begin_staff_write()
    _log("webhook_tested", _known(public_id), {"taken": answer.taken})
    db.session.commit()
    if answer.taken:
        return _back(public_id, _("It answered %(status)s.", status=answer.status))
    return _back(public_id, _("It did not take the ping. %(why)s", why=answer.error))


@bp.get("/webhooks/<public_id>/<any(disable, rotate):act>")
@guards.role(Role.OWNER)
def before(public_id: str, act: str) -> Response:
    """What it means, before the button that does it."""
    return shell.render("admin/webhook_act.html", endpoint=_known(public_id), act=act)


@bp.post("/webhooks/<public_id>/disable")
@guards.role(Role.OWNER)
def disable(public_id: str) -> BaseResponse:
    guards.begin_staff_write()
    endpoint = _known(public_id)
    if endpoints.disable(endpoint, EndpointEnd.OWNER, now=clock.now()):
        _log("webhook_disabled", endpoint)
        db.session.commit()
    return _back(public_id, _("It is told nothing more."))


@bp.post("/webhooks/<public_id>/enable")
@guards.role(Role.OWNER)
def enable(public_id: str) -> BaseResponse:
    guards.begin_staff_write()
    endpoint = _known(public_id)
    try:
        if endpoints.enable(endpoint, now=clock.now()):
            _log("webhook_enabled", endpoint)
            db.session.commit()
    except EndpointError as error:
        return _back(public_id, str(_FAULTS[error.reason]))
    return _back(public_id, _("It is told again, from where it stopped."))


@bp.post("/webhooks/<public_id>/rotate")
@guards.role(Role.OWNER)
def rotate(public_id: str) -> Response:
    """A new secret, shown in this answer alone; the old one signs beside it for a day."""
    guards.begin_staff_write()
    endpoint = _known(public_id)
    secret = endpoints.rotate(endpoint, now=clock.now())
    _log("webhook_rotated", endpoint)
    db.session.commit()
    return _made(endpoint, secret)


@bp.post("/webhooks/<public_id>/replay")
@guards.role(Role.OWNER)
def replay(public_id: str) -> BaseResponse:
    """Tell one dead notice again, or with no `event` all of them."""
    guards.begin_staff_write()
    endpoint, now, event = _known(public_id), clock.now(), typed.text("event")
    if event:
        count = int(notice_outcomes.tell_again(endpoint.id, event, now=now))
    else:
        count = notice_outcomes.replay(endpoint.id, None, now=now)
    if count:
        _log("webhook_replayed", endpoint, {"notices": count})
        endpoints.end_alarm()
        db.session.commit()
    words = ngettext("%(num)s is told again.", "%(num)s are told again.", count)
    if count and endpoint.disabled_at is not None:
        words = _("It is turned off. Turn it on, and it is told again what was given up.")
    return _back(public_id, words)


def _page(*, fault: str = "", url: str = "") -> Response:
    """All of them and the form for one more, as it was filled in."""
    db.session.rollback()  # whatever was begun
    return shell.render(
        "admin/webhooks.html",
        status=422 if fault else 200,
        standings=notice_standing.every(),
        most=notice_standing.MOST_COUNTED,
        ends=ENDS,
        fault=fault,
        url=url,
    )


def _one(endpoint: WebhookEndpoint) -> Response:
    return shell.render(
        "admin/webhook.html",
        endpoint=endpoint,
        standing=notice_standing.of(endpoint),
        most=notice_standing.MOST_COUNTED,
        dead=notice_standing.dead(endpoint),
        shown=notice_standing.SHOWN,
        what=event_words.KINDS,
        ends=ENDS,
        now=clock.now(),
    )


def _made(endpoint: WebhookEndpoint, secret: str) -> Response:
    return shell.render("admin/webhook_made.html", endpoint=endpoint, secret=secret)


def _known(public_id: str) -> WebhookEndpoint:
    return endpoints.find(public_id) or abort(404)


def _back(public_id: str, sentence: str) -> BaseResponse:
    return shell.done(url_for(".webhook", public_id=public_id), sentence)


def _log(action: str, endpoint: WebhookEndpoint, more: dict[str, Any] | None = None) -> None:
    details = {"host": endpoints.host_of(endpoint)} | (more or {})
    activity.record(
        guards.staff(), action, subject=endpoint.public_id, details=details, now=clock.now()
    )
