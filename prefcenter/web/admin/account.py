"""One's own account: how pages look, the password, signing out everywhere."""

import zoneinfo
from functools import lru_cache

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.staff import accounts, activity, passwords, sessions
from prefcenter.staff.passwords import WeakPassword
from prefcenter.web import asking_again, entering, guards, htmx
from prefcenter.web.admin import shell, steps
from prefcenter.web.pages import LANGUAGE_NAMES

bp = Blueprint("admin_account", __name__, url_prefix="/admin/account")


@bp.get("")
@guards.role(Role.VIEWER)
def account() -> Response:
    return _page()


@bp.post("")
@guards.role(Role.VIEWER)
def save() -> BaseResponse:
    """Language, zone and keys; what is not on our lists is refused."""
    language, zone = request.form.get("language", ""), request.form.get("zone", "")
    if language not in config.LANGUAGES or (zone and zone not in _zones()):
        return _page(422, error=_("Choose a language and a time zone from the lists."))
    guards.begin_staff_write()
    worker, shortcuts = guards.staff(), request.form.get("shortcuts") == "on"
    accounts.set_manner(
        accounts.by_id(worker.id),
        language=language,
        zone=zone or None,
        shortcuts=shortcuts,
        by=worker,
        now=clock.now(),
    )
    db.session.commit()
    entering.speak(language)
    return shell.done("/admin/account", _("Saved."))


@bp.post("/password")
@guards.role(Role.VIEWER)
def change_password() -> BaseResponse:
    """Signs out every other browser; this one gets a new session (SEC-42)."""
    worker, now = guards.staff(), clock.now()
    if refused := asking_again.refused(_password_page):
        return refused
    try:
        hidden = steps.chosen_password()
    except WeakPassword as error:
        return _page(422, new_error=str(error))
    except passwords.Busy as error:
        return entering.wait(_password_page, error)
    guards.begin_staff_write()
    staff = accounts.by_id(worker.id)
    accounts.set_password(staff, hidden, by=worker, now=now)
    token = sessions.start(staff, whole=True, now=now)
    db.session.commit()
    entering.enter(token)
    return shell.done(
        "/admin/account", _("Your password is changed. Other browsers are signed out.")
    )


@bp.post("/sign-out-everywhere")
@guards.role(Role.VIEWER)
def sign_out_everywhere() -> BaseResponse:
    worker = guards.staff()
    guards.begin_staff_write()
    sessions.end_all(worker.id)
    activity.record(worker, "signed_out", details={"everywhere": True}, now=clock.now())
    db.session.commit()
    entering.leave()
    return htmx.see_other("/admin/signed-out")


def _password_page(status: int = 200, *, error: str = "") -> Response:
    return _page(status, password_error=error)


def _page(
    status: int = 200, *, error: str = "", password_error: str = "", new_error: str = ""
) -> Response:
    worker = guards.staff()
    staff = accounts.by_id(worker.id)
    return shell.render(
        "admin/account.html",
        status=status,
        error=error,
        password_error=password_error,
        new_error=new_error,
        shortest=passwords.SHORTEST,
        factor_on=staff.totp_secret is not None,
        language=request.form.get("language", staff.language),
        spoken=list(LANGUAGE_NAMES.items()),
        zone=request.form.get("zone", staff.zone or ""),
        zones=[(name, name.replace("_", " ")) for name in _zones()],
        our_zone=config.current().time_zone,
        shortcuts=staff.shortcuts,
    )


@lru_cache(maxsize=1)
def _zones() -> list[str]:
    """The zones of places, by name."""
    named = (name for name in zoneinfo.available_timezones() if "/" in name)
    return ["UTC", *sorted(name for name in named if not name.startswith(("Etc/", "SystemV/")))]
