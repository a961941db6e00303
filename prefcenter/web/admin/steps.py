"""The steps between a right password and the first page: the code, and a password of one's own."""

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.staff import accounts, passwords, sessions, signing_in, throttle
from prefcenter.staff.passwords import WeakPassword
from prefcenter.staff.sessions import Step
from prefcenter.web import devices, entering, guards, htmx

bp = Blueprint("admin_steps", __name__, url_prefix="/admin")


@bp.get("/second-factor")
@guards.role(Role.VIEWER, step=Step.CODE)
def code() -> BaseResponse:
    if guards.staff().step is not Step.CODE:
        return htmx.see_other(entering.onward())
    return _code_page()


@bp.post("/second-factor")
@guards.role(Role.VIEWER, step=Step.CODE)
def code_typed() -> BaseResponse:
    """A code works once, whoever reads it over a shoulder."""
    half, name = entering.here(), guards.staff().name
    if half is None or guards.staff().step is not Step.CODE:
        return htmx.see_other(entering.onward())
    guards.begin_staff_write()
    typed = request.form.get("code", "")[:100]
    try:
        token = signing_in.complete(half, typed, devices.visitor(name), now=clock.now())
    except throttle.TooManyTries as error:
        db.session.rollback()
        return entering.wait(_code_page, error)
    db.session.commit()
    if token is None:
        wrong = _("That code is wrong, or was used before. Wait for the next one and type it.")
        return _code_page(422, error=wrong)
    return devices.remember(name, entering.enter(token))


@bp.get("/new-password")
@guards.role(Role.VIEWER, step=Step.PASSWORD)
def new_password() -> BaseResponse:
    if guards.staff().step is not Step.PASSWORD:
        return htmx.see_other(entering.onward())
    return _password_page()


@bp.post("/new-password")
@guards.role(Role.VIEWER, step=Step.PASSWORD)
def new_password_chosen() -> BaseResponse:
    """Somebody else has seen the one-time password, so it opens nothing but this page."""
    worker, now = guards.staff(), clock.now()
    if worker.step is not Step.PASSWORD:
        return htmx.see_other(entering.onward())
    try:
        hidden = chosen_password()
    except WeakPassword as error:
        return _password_page(422, error=str(error))
    except passwords.Busy as error:
        return entering.wait(_password_page, error)
    guards.begin_staff_write()
    staff = accounts.by_id(worker.id)
    accounts.set_password(staff, hidden, by=worker, now=now)
    token = sessions.start(staff, whole=True, now=now)
    db.session.commit()
    return entering.enter(token)


def chosen_password() -> str:
    """What to keep of the password that was typed twice. Raises WeakPassword and Busy."""
    worker, typed = guards.staff(), request.form.get("new_password", "")
    passwords.refuse_weak(typed, name=worker.name)
    if typed != request.form.get("again", ""):
        raise WeakPassword(_("The two are not the same. Type the new password twice."))
    if signing_in.knows_password(worker, typed):
        raise WeakPassword(_("That is the password you have now. Choose another one."))
    return passwords.hide(typed)


def _code_page(status: int = 200, *, error: str = "") -> Response:
    return entering.page("admin/code.html", status=status, error=error)


def _password_page(status: int = 200, *, error: str = "") -> Response:
    return entering.page(
        "admin/new_password.html",
        status=status,
        error=error,
        shortest=passwords.SHORTEST,
        name=guards.staff().name,
    )
