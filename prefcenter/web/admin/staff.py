"""The people who work here: who may what, letting somebody in, and shutting somebody out.

The rules, the end of sessions and the lines of the admin log are in staff/accounts.py. A
one-time password stands in the answer that made it and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.database import db
from prefcenter.models_staff import Role, Staff
from prefcenter.staff import accounts, passwords
from prefcenter.staff.accounts import AccountError
from prefcenter.staff.passwords import Busy, OneTime
from prefcenter.staff.sessions import Worker
from prefcenter.web import asking_again, entering, guards
from prefcenter.web.admin import log_words, shell, typed

bp = Blueprint("admin_staff", __name__, url_prefix="/admin")

ROLES = {
    Role.VIEWER: _l("Sees counts, history and masked numbers."),
    Role.EDITOR: _l("Also changes categories, sites and texts, and records that somebody stopped."),
    Role.OWNER: _l("Also sees whole numbers, exports, erases, and manages keys and staff."),
}


@dataclass(frozen=True, slots=True)
class Act:
    """Something an owner does to an account; `points` say what it means before it is done."""

    question: str
    points: tuple[str, ...]
    button: str
    done: str
    password: bool  # it makes a one-time password, which the answer shows
    when_disabled: bool
    stop: bool = False


_OUT = _l("They are signed out of every browser at once.")
ACTS = {
    "disable": Act(
        _l("Shut %(name)s out?"),
        (_OUT, _l("What they did stays in the log under their name.")),
        _l("Shut out"),
        _l("%(name)s cannot sign in any more."),
        password=False,
        when_disabled=False,
        stop=True,
    ),
    "enable": Act(
        _l("Let %(name)s in again?"),
        (_l("They get a one-time password, which you tell them and they change at once."),),
        _l("Let in again"),
        _l("%(name)s may sign in again."),
        password=True,
        when_disabled=True,
    ),
    "reset": Act(
        _l("Give %(name)s a new password?"),
        (
            _OUT,
            _l("They get a one-time password, which you tell them and they change at once."),
            _l("Their second factor stays and is asked for."),
        ),
        _l("Make a one-time password"),
        _l("%(name)s has a new one-time password."),
        password=True,
        when_disabled=False,
    ),
    "factor": Act(
        _l("Take the second factor of %(name)s away?"),
        (
            _OUT,
            _l("Do this when they lost their phone and their recovery codes, and you know that"
               " it is they who ask."),
            _l("Until they set up another one, their password alone opens the account."),
        ),
        _l("Take it away"),
        _l("%(name)s has no second factor now."),
        password=False,
        when_disabled=False,
        stop=True,
    ),
}  # fmt: skip


@bp.get("/staff")
@guards.role(Role.OWNER)
def staff() -> Response:
    return shell.render("admin/staff.html", people=accounts.every(), roles=ROLES)


@bp.route("/add-staff", methods=["GET", "POST"])
@guards.role(Role.OWNER)
def add() -> Response:
    """Let somebody in, with a one-time password that this answer shows."""
    name, role = typed.text("name"), _role(typed.text("role")) or Role.VIEWER
    if request.method == "GET":
        return _add_page(name, role)
    if role is Role.OWNER and (no := asking_again.refused(_beside(partial(_add_page, name, role)))):
        return no
    try:
        password = passwords.one_time()  # a fifth of a second, before the transaction
        guards.begin_staff_write()
        made = accounts.add(name, role, password, by=guards.staff(), now=clock.now())
    except Busy as error:
        return entering.wait(partial(_add_page, name, role), error)
    except AccountError as error:
        return _add_page(name, role, 422, error=str(error))
    db.session.commit()
    return _told(made, password)


@bp.get("/staff/<public_id>")
@guards.role(Role.OWNER)
def person(public_id: str) -> Response:
    """One account, and what can be done to it."""
    return _page(_known(public_id))


@bp.post("/staff/<public_id>/role")
@guards.role(Role.OWNER)
def change_role(public_id: str) -> BaseResponse:
    """Another role; it ends all sessions, also one's own."""
    role = _role(typed.text("role"))
    if role is Role.OWNER and (no := asking_again.refused(partial(_role_page, public_id))):
        return no
    guards.begin_staff_write(of_staff=True)
    found = _known(public_id)
    if role is None:
        return _page(found, _("Choose a role of the list."))
    if role is found.role:
        return shell.done(url_for(".person", public_id=public_id), _("That is so already."))
    try:
        accounts.change_role(found, role, by=guards.staff(), now=clock.now())
    except AccountError as error:
        return _page(found, str(error))
    db.session.commit()
    return shell.done(url_for(".staff"), _("%(name)s has another role now.", name=found.name))


@bp.get("/staff/<public_id>/<any(disable, enable, reset, factor):act>")
@guards.role(Role.OWNER)
def before(public_id: str, act: str) -> BaseResponse:
    """What it means, before the button that does it."""
    return _confirm(_known(public_id), act)


@bp.post("/staff/<public_id>/<any(disable, enable, reset, factor):act>")
@guards.role(Role.OWNER)
def do(public_id: str, act: str) -> BaseResponse:
    what = ACTS[act]
    if act in _ASKED and (no := asking_again.refused(_beside(partial(_again, public_id, act)))):
        return no
    try:
        password = passwords.one_time() if what.password else None
    except Busy as error:
        return entering.wait(partial(_question, _known(public_id), act), error)
    guards.begin_staff_write(of_staff=True)
    found = _known(public_id)
    if what.when_disabled is not (found.disabled_at is not None):
        return _confirm(found, act)
    try:
        _RULES[act](found, password, guards.staff(), clock.now())
    except AccountError as error:
        return _question(found, act, 409, error=str(error))
    db.session.commit()
    if password:
        return _told(found, password)
    return shell.done(url_for(".staff"), what.done % {"name": found.name})


def _disable(staff: Staff, _password: OneTime | None, by: Worker, now: datetime) -> None:
    accounts.disable(staff, by=by, now=now)


def _enable(staff: Staff, password: OneTime | None, by: Worker, now: datetime) -> None:
    assert password
    accounts.enable(staff, password, by=by, now=now)


def _reset(staff: Staff, password: OneTime | None, by: Worker, now: datetime) -> None:
    assert password
    accounts.reset(staff, password, by=by, now=now)


def _drop_factor(staff: Staff, _password: OneTime | None, by: Worker, now: datetime) -> None:
    accounts.drop_second_factor(staff, by=by, now=now)


_RULES: dict[str, Callable[[Staff, OneTime | None, Worker, datetime], None]] = {
    "disable": _disable,
    "enable": _enable,
    "reset": _reset,
    "factor": _drop_factor,
}
# The password once more: each could open somebody's account.
_ASKED = ("enable", "reset", "factor")


def _beside(draw: Callable[..., Response]) -> Callable[..., Response]:
    """The page with its sentence beside the password."""
    return lambda status, *, error: draw(status, wrong=error)


def _again(public_id: str, act: str, status: int, *, wrong: str) -> Response:
    return _question(_known(public_id), act, status, wrong=wrong)


def _add_page(
    name: str, role: Role, status: int = 200, *, error: str = "", wrong: str = ""
) -> Response:
    return shell.render(
        "admin/staff_add.html",
        status=status,
        name=name,
        chosen=role,
        roles=ROLES,
        fault=error,
        wrong=wrong,
    )


def _role_page(public_id: str, status: int, *, error: str) -> Response:
    """The account, with an owner to be, and the sentence beside the password."""
    return _page(_known(public_id), status=status, wrong=error, chosen=Role.OWNER)


def _page(
    found: Staff,
    fault: str = "",
    *,
    status: int = 422,
    wrong: str = "",
    chosen: Role | None = None,
) -> Response:
    return shell.render(
        "admin/staff_person.html",
        status=status if fault or wrong else 200,
        person=found,
        roles=ROLES,
        chosen=chosen or found.role,
        fault=fault,
        wrong=wrong,
        lines=log_words.about(found.public_id, ""),
    )


def _confirm(found: Staff, act: str) -> BaseResponse:
    """The question, unless there is nothing to ask any more."""
    if ACTS[act].when_disabled is not (found.disabled_at is not None):
        here = url_for(".person", public_id=found.public_id)
        return shell.done(here, _("That is so already."))
    return _question(found, act)


def _question(
    found: Staff, act: str, status: int = 200, *, error: str = "", wrong: str = ""
) -> Response:
    return shell.render(
        "admin/staff_confirm.html",
        status=status,
        person=found,
        act=act,
        what=ACTS[act],
        question=ACTS[act].question % {"name": found.name},
        asked=act in _ASKED,
        fault=error,
        wrong=wrong,
    )


def _told(found: Staff, password: OneTime) -> Response:
    return shell.render("admin/staff_password.html", person=found, password=password.text)


def _known(public_id: str) -> Staff:
    known = public_id.isprintable() and len(public_id) <= 22
    return (accounts.by_public_id(public_id) if known else None) or abort(404)


def _role(text: str) -> Role | None:
    return Role(text) if text in list(Role) else None
