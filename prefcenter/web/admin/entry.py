"""In and out: the page where people who work here sign in, and the button that signs out."""

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.database import begin_write, db
from prefcenter.staff import accounts, activity, passwords, sessions, signing_in, throttle
from prefcenter.staff.sessions import Step
from prefcenter.web import devices, entering, htmx

bp = Blueprint("admin_entry", __name__, url_prefix="/admin")


@bp.get("/sign-in")
def sign_in() -> BaseResponse:
    if entering.worker() is not None:
        return htmx.see_other(entering.onward(request.args.get("next")))
    return entering.sign_in_page(next_path=request.args.get("next", ""))


@bp.post("/sign-in")
def signed_in() -> BaseResponse:
    """The same answer in the same time, whatever was wrong (SEC-41)."""
    name = accounts.as_stored(request.form.get("name", "")[: entering.LONGEST_NAME])
    visitor, now = devices.visitor(name), clock.now()
    try:
        begin_write()
        throttle.count_password(name, visitor, now=now)
        db.session.commit()
        right = signing_in.look(name, request.form.get("password", ""), now=now)
    except throttle.TooManyTries as error:
        db.session.rollback()
        return entering.wait(entering.sign_in_page, error)
    except passwords.Busy as error:
        begin_write()
        throttle.give_back_password(name, visitor, now=now)
        db.session.commit()
        return entering.wait(entering.sign_in_page, error)
    begin_write()
    token = signing_in.admit(right, name, visitor, now=now) if right else None
    if token is None:
        signing_in.failed(name, "password", visitor, now=now)
    db.session.commit()
    if token is None:
        wrong = _("That name and password do not belong together. Check both and try again.")
        return entering.sign_in_page(422, error=wrong)
    return devices.remember(name, entering.enter(token, request.form.get("next")))


@bp.post("/sign-out")
def sign_out() -> BaseResponse:
    """From the commit on, whoever has copied the cookie is nobody (SEC-42)."""
    found = entering.here()
    if found is not None:
        begin_write()
        sessions.end(found.token)
        if found.worker.step is Step.NONE:
            activity.record(found.worker, "signed_out", now=clock.now())
        db.session.commit()
    entering.leave()
    return htmx.see_other("/admin/signed-out")


@bp.get("/signed-out")
def signed_out() -> Response:
    return entering.page("admin/signed_out.html")
