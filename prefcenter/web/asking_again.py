"""The password once more, before somebody who is signed in changes what protects them.

A browser left open must not be enough for that.
"""

from collections.abc import Callable

from flask import Response, request
from flask_babel import gettext as _

from prefcenter import clock
from prefcenter.database import db
from prefcenter.staff import passwords, signing_in, throttle
from prefcenter.staff.throttle import Visitor
from prefcenter.web import entering, guards


def refused(draw: Callable[..., Response]) -> Response | None:
    """None if `password` was right; else the page again, with a sentence."""
    worker, now = guards.staff(), clock.now()
    visitor = Visitor(request.remote_addr or "", f"signed in: {worker.public_id}")
    guards.begin_staff_write()
    try:
        throttle.count_password(worker.name, visitor, now=now)
        db.session.commit()
        right = signing_in.knows_password(worker, request.form.get("password", ""))
    except throttle.TooManyTries as error:
        db.session.rollback()
        return entering.wait(draw, error)
    except passwords.Busy as error:
        guards.begin_staff_write()
        throttle.give_back_password(worker.name, visitor, now=now)
        db.session.commit()
        return entering.wait(draw, error)
    guards.begin_staff_write()
    if right:
        throttle.give_back_password(worker.name, visitor, now=now)
    else:
        signing_in.failed(worker.name, "password, asked again", visitor, now=now)
    db.session.commit()
    return None if right else draw(422, error=_("Your password is not right. Nothing was changed."))
