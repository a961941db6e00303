"""Finding a number, and one person's page: their whole story and where they stand.

A number is typed into a form that posts, so that it stands in no address, and every search is
in the admin log with its last four digits (SEC-44).
"""

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.consent.state import MoveError
from prefcenter.database import db
from prefcenter.models import Person
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.upkeep import belongings, finding, story
from prefcenter.upkeep.finding import Found
from prefcenter.web import guards, htmx
from prefcenter.web.admin import person_page, shell, standing_words, typed
from prefcenter.web.admin.standing_words import WhenError

bp = Blueprint("admin_people", __name__, url_prefix="/admin")


@bp.get("/people")
@guards.role(Role.VIEWER)
def people() -> Response:
    return _list()


@bp.post("/people")
@guards.role(Role.VIEWER)
def search() -> BaseResponse:
    """Look for a number, or for its last four digits; one hit leads to its page."""
    given = typed.text("number")[:200]
    wanted, typing = finding.read_typed(given), htmx.wanted()
    if wanted is None or (typing and not wanted.is_whole):
        words = _("Type a whole number, or its last four digits.")
        return _list(given=given, hint=words) if typing else _list(given=given, error=words)
    found, now = finding.find(wanted), clock.now()  # may scan all numbers: before the lock
    guards.begin_staff_write()
    details = {"number": wanted.masked, "found": min(len(found), finding.MOST)}
    activity.record(guards.staff(), "number_searched", details=details, now=now)
    db.session.commit()
    if len(found) == 1 and not typing:
        return htmx.see_other(url_for(".person", public_id=found[0].public_id))
    return _list(given=given, found=found, stranger=bool(wanted.number) and not found)


@bp.get("/people/<public_id>")
@guards.role(Role.VIEWER)
def person(public_id: str) -> Response:
    """One person's story, newest first, and how they stood on a day that was asked about."""
    found, now = known(public_id), clock.now()
    events = story.events_of(found.id)
    answers, error = [], ""
    try:
        asked = standing_words.asked_about(now=now)
        answers = standing_words.answers(events, asked) if asked else []
    except WhenError as fault:
        asked, error = None, str(fault)
    except MoveError:
        asked, error = None, _("This person's ledger does not add up. Run prefcenter verify.")
    after = story.place(request.args.get("before"))
    fragment = "admin/_person_answer.html" if "on" in request.args else "admin/_person_story.html"
    return shell.render(
        "admin/person.html",
        fragment,
        status=422 if error else 200,
        page=person_page.build(found, events, after, now=now),
        asked=asked,
        answers=answers,
        on_error=error,
    )


def known(public_id: str) -> Person:
    """The person of an address, to be read; 404 for nobody."""
    return belongings.person_of(public_id) or abort(404)


def _list(
    *,
    given: str = "",
    found: list[Found] | None = None,
    stranger: bool = False,
    hint: str = "",
    error: str = "",
) -> Response:
    """The form, and what was found; before a search whose ledger grew last."""
    return shell.render(
        "admin/people.html",
        "admin/_people_found.html",
        status=422 if error else 200,
        given=given,
        found=found[: finding.MOST] if found is not None else None,
        more=found is not None and len(found) > finding.MOST,
        lately=finding.changed_lately() if found is None and not hint else [],
        stranger=stranger,
        hint=hint,
        error=error,
        statuses=standing_words.STATUSES,
    )
