"""Keys that other programs use the API with: made once, shown once, revoked at once (SEC-39)."""

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.consent import api_keys
from prefcenter.database import db
from prefcenter.models import ApiKey
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.web import guards
from prefcenter.web.admin import shell, typed

bp = Blueprint("admin_keys", __name__, url_prefix="/admin")

SCOPES = {
    "decide": _l("Ask whether a number may be texted"),
    "write": _l("Pass on sign-ups and stops"),
    "read": _l("Read one number's state"),
    "export": _l("Take the audience and the numbers that get nothing"),
    "attest": _l("Subscribe numbers on proof of consent given elsewhere"),
}
_LONGEST_NAME = 80


@bp.get("/keys")
@guards.role(Role.OWNER)
def keys() -> Response:
    return _page()


@bp.post("/keys")
@guards.role(Role.OWNER)
def add() -> Response:
    """Make a key and show its secret in this answer, and never again: only its hash is kept."""
    name, wanted = typed.text("name"), typed.many("scopes")
    errors, now = _faults(name, wanted), clock.now()
    guards.begin_staff_write()
    if not errors:
        try:
            secret = api_keys.make(name, wanted, now=now)
        except ValueError:  # the rest was looked at above
            errors["name"] = _("There is, or was, a key of this name. Choose another.")
    if errors:
        return _page(errors=errors, name=name, scopes=wanted)
    details = {"scopes": [scope for scope in api_keys.SCOPES if scope in wanted]}
    activity.record(guards.staff(), "key_added", subject=name, details=details, now=now)
    db.session.commit()
    return shell.render("admin/key_made.html", name=name, secret=secret)


@bp.get("/keys/<int:key_id>/revoke")
@guards.role(Role.OWNER)
def before_revoking(key_id: int) -> BaseResponse:
    """What it means, before the button that does it."""
    key = _known(key_id)
    if key.revoked_at is not None:
        return shell.done(url_for(".keys"), _("%(name)s was revoked before.", name=key.name))
    return shell.render("admin/key_revoke.html", key=key, scopes=SCOPES)


@bp.post("/keys/<int:key_id>/revoke")
@guards.role(Role.OWNER)
def revoke(key_id: int) -> BaseResponse:
    """From now on it opens nothing. Its name is not given again."""
    guards.begin_staff_write()
    key, now = _known(key_id), clock.now()
    if api_keys.revoke(key.name, now=now):
        activity.record(guards.staff(), "key_revoked", subject=key.name, now=now)
        db.session.commit()
    return shell.done(url_for(".keys"), _("%(name)s is revoked.", name=key.name))


def _page(
    *, errors: dict[str, str] | None = None, name: str = "", scopes: list[str] | None = None
) -> Response:
    """All keys and the form for one more, as it was filled in."""
    return shell.render(
        "admin/keys.html",
        status=422 if errors else 200,
        keys=api_keys.every(),
        scopes=SCOPES,
        errors=errors or {},
        name=name,
        wanted=scopes or [],
    )


def _faults(name: str, wanted: list[str]) -> dict[str, str]:
    errors = {}
    if not 1 <= len(name) <= _LONGEST_NAME:
        errors["name"] = _("Give it a name of 1 to 80 characters, like web-shop.")
    if not wanted or not set(wanted) <= set(api_keys.SCOPES):
        errors["scopes"] = _("Tick at least one thing that it may do.")
    return errors


def _known(key_id: int) -> ApiKey:
    found = db.session.get(ApiKey, key_id) if key_id < 2**63 else None
    return found or abort(404)
