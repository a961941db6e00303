"""Setting up the second factor, and ending it; recovery codes are shown once."""

from typing import Any, cast

import segno
from flask import Blueprint, Response, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.staff import accounts, second_factor, sessions
from prefcenter.staff.sessions import Step
from prefcenter.web import asking_again, entering, guards, htmx
from prefcenter.web.admin import shell

bp = Blueprint("admin_second_factor", __name__, url_prefix="/admin/account")


@bp.get("/second-factor")
@guards.role(Role.VIEWER, step=Step.FACTOR)
def show() -> Response:
    return _page()


@bp.post("/second-factor")
@guards.role(Role.VIEWER, step=Step.FACTOR)
def turn_on() -> BaseResponse:
    """The first code shows that the app has the secret. Other browsers are signed out.

    A factor that is on is not replaced: a password alone must not be enough for that.
    """
    worker, now = guards.staff(), clock.now()
    secret = second_factor.offered(request.form.get("offer", ""), worker, now=now)
    if secret is None:
        return _page(422, error=_("This page was open for too long. Scan the new square."))
    if refused := asking_again.refused(_page):
        return refused
    guards.begin_staff_write()
    staff = accounts.by_id(worker.id)
    if staff.totp_secret is not None:
        db.session.rollback()
        on = _("Your second factor is on already. Turn it off first, or have it taken off.")
        return _page(409, error=on)
    typed = request.form.get("code", "")[:100]
    codes = second_factor.turn_on(staff, secret, typed, by=worker, now=now)
    if codes is None:
        db.session.rollback()
        return _page(422, error=_("That code does not fit. Wait for the next one and type it."))
    token = sessions.start(staff, whole=True, now=now)
    db.session.commit()
    onward = entering.enter(token).headers["Location"]
    return _codes_page(codes, onward)


@bp.post("/second-factor/off")
@guards.role(Role.VIEWER)
def turn_off() -> BaseResponse:
    worker, now = guards.staff(), clock.now()
    if worker.role in config.current().admin_totp_for:
        return _page(409, error=_("Your role needs a second factor, so it stays on."))
    if refused := asking_again.refused(_page):
        return refused
    guards.begin_staff_write()
    second_factor.turn_off(accounts.by_id(worker.id), by=worker, now=now)
    db.session.commit()
    return shell.done("/admin/account", _("Your second factor is off."))


@bp.post("/recovery-codes")
@guards.role(Role.VIEWER)
def renew_codes() -> BaseResponse:
    worker, now = guards.staff(), clock.now()
    if refused := asking_again.refused(_page):
        return refused
    guards.begin_staff_write()
    staff = accounts.by_id(worker.id)
    if staff.totp_secret is None:
        db.session.rollback()
        return htmx.see_other("/admin/account/second-factor")
    codes = second_factor.renew_codes(staff, by=worker, now=now)
    db.session.commit()
    return _codes_page(codes, "/admin/account")


def _page(status: int = 200, *, error: str = "") -> Response:
    """The square to scan, or what can be done with a factor that is on."""
    worker, now = guards.staff(), clock.now()
    staff = accounts.by_id(worker.id)
    if staff.totp_secret is not None:
        left, needed = len(staff.recovery_hashes), worker.role in config.current().admin_totp_for
        return _drawn("admin/second_factor_on.html", status, error=error, left=left, needed=needed)
    offer = second_factor.offer(worker, now=now)
    if status == 422 and second_factor.offered(request.form.get("offer", ""), worker, now=now):
        offer = request.form["offer"]  # the square that was scanned already
    secret = cast(str, second_factor.offered(offer, worker, now=now))
    square = segno.make(second_factor.address(secret, worker.name), error="m", micro=False)
    return _drawn(
        "admin/second_factor.html",
        status,
        error=error,
        offer=offer,
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        square=square.svg_data_uri(scale=5, border=4, dark="#000", light="#fff"),
    )


def _codes_page(codes: list[str], onward: str) -> Response:
    return _drawn("admin/recovery_codes.html", 200, codes=codes, onward=onward)


def _drawn(template: str, status: int, **more: Any) -> Response:
    """With the side bar, or without it while signing in is not finished."""
    if guards.staff().step is Step.NONE:
        return shell.render(template, status=status, layout="admin/base.html", **more)
    return entering.page(template, status=status, layout="admin/entry_base.html", **more)
