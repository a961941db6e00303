"""The words that we send and show: what is in force, what it costs, and how it came to be."""

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.config import LANGUAGES
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.sms import own_texts, versions
from prefcenter.sms.versions import Overtaken, Version
from prefcenter.staff import activity
from prefcenter.web import guards, pages
from prefcenter.web.admin import shell, text_check, text_names
from prefcenter.web.admin.text_check import Changes, Checked, Place

bp = Blueprint("admin_texts", __name__, url_prefix="/admin")

_SHOWN = 10  # versions on one page
_MOST = 2**31 - 1
_LONGEST = 4000  # of what is looked at; far more than is taken


@bp.get("/texts")
@guards.role(Role.VIEWER)
def texts() -> Response:
    """Every text in every language, with its length."""
    versions.refresh()
    now = clock.now()
    sent, consent = text_check.every()
    checked = {
        place: text_check.check(place, place.in_force, now=now) for row in sent for place in row
    }
    return shell.render(
        "admin/texts.html",
        sent=sent,
        consent=consent,
        checked=checked,
        parts_of=text_names.parts,
        languages=[(code, pages.LANGUAGE_NAMES[code]) for code in LANGUAGES],
        seconds=round(versions.FOLLOWS),
    )


@bp.get("/texts/<kind>/<language>")
@guards.role(Role.VIEWER)
def show(kind: str, language: str) -> Response:
    """One text: to change, or only to read; `?from=3` begins with the words of version 3."""
    place = _place(kind, language)
    versions.refresh()
    number = request.args.get("from", default=0, type=int)
    older = (
        versions.history(kind, language, before=number + 1, most=1) if 0 < number < _MOST else []
    )
    body = older[0].body if older and older[0].number == number else place.in_force
    return _page(place, text_check.check(place, body, now=clock.now()), after=_newest(place))


@bp.post("/texts/<kind>/<language>")
@guards.role(Role.EDITOR)
def save(kind: str, language: str) -> BaseResponse:
    """A new version; the ones before it stay as they are (RULE-14)."""
    place, now = _place(kind, language), clock.now()
    guards.begin_staff_write()
    checked = text_check.check(place, _typed(), now=now)
    if checked.faults:
        return _page(place, checked, status=422, after=_after())
    return _saved(place, checked)


@bp.post("/texts/<kind>/<language>/shipped")
@guards.role(Role.EDITOR)
def shipped(kind: str, language: str) -> BaseResponse:
    """Back to the words that we ship, as a new version equal to them."""
    place, now = _place(kind, language), clock.now()
    guards.begin_staff_write()
    return _saved(place, text_check.check(place, place.shipped, now=now))


@bp.post("/texts/check")
@guards.role(Role.EDITOR)
def check() -> Response:
    """Look at what is typed, and replace characters if asked. Writes nothing."""
    place = _place(request.form.get("kind", ""), request.form.get("language", ""))
    body, replace = own_texts.clean(_typed()), request.form.get("replace")
    if replace is not None:
        body = own_texts.cheaper(body, "" if replace == "all" else replace[:8])
    checked = text_check.check(place, body, now=clock.now())
    part = "admin/_text_check.html" if replace is None else "admin/_text_form.html"
    return _page(place, checked, part, after=_after(), looked=True)


def _saved(place: Place, checked: Checked) -> BaseResponse:
    """In an open write: save, note who did it, and say from when on it holds."""
    here, now = url_for(".show", kind=place.kind, language=place.language), clock.now()
    newest = versions.history(place.kind, place.language, most=1)
    if checked.body == (newest[0].body if newest else place.shipped):
        return shell.done(here, _("Nothing was changed."))
    worker = guards.staff()
    try:
        number = versions.save(
            place.kind, place.language, checked.body, after=_after(), by=worker.name, now=now
        )
    except Overtaken:
        return _page(place, checked, status=409, after=_newest(place))
    activity.record(
        worker,
        "wording_changed" if place.consent else "text_changed",
        subject=f"{place.kind}/{place.language}",
        details={"version": [number - 1, number]},
        now=now,
    )
    db.session.commit()
    versions.refresh()
    return shell.done(here, _("Version %(number)s is saved and in force.", number=number))


def _page(
    place: Place,
    checked: Checked,
    part: str | None = None,
    *,
    after: int,
    status: int = 200,
    looked: bool = False,
) -> Response:
    """The editor with these words in it. `looked`: they were only looked at, and are not saved."""
    history, older = _history(place)
    return shell.render(
        "admin/text_edit.html",
        part,
        status=status,
        place=place,
        checked=checked,
        after=after,
        looked=looked,
        overtaken=status == 409,
        history=history,
        older=older,
        others=[Place(place.kind, code) for code in LANGUAGES if code != place.language],
        languages=pages.LANGUAGE_NAMES,
        meaning=text_names.PLACEHOLDERS,
        parts_of=text_names.parts,
        seconds=round(versions.FOLLOWS),
    )


def _history(place: Place) -> tuple[list[tuple[Version, Changes]], int | None]:
    """Versions with what each changed, newest first, and the number to go on before."""
    before = request.args.get("before", default=0, type=int)
    asked = {"before": before} if 0 < before < _MOST else {}
    found = versions.history(place.kind, place.language, most=_SHOWN + 1, **asked)
    former = [*(version.body for version in found[1:]), place.shipped]
    pairs = zip(found, former, strict=False)  # where nobody saved, the shipped words stand alone
    told = [(one, text_check.difference(old, one.body)) for one, old in pairs]
    return told[:_SHOWN], found[_SHOWN - 1].number if len(found) > _SHOWN else None


def _place(kind: str, language: str) -> Place:
    return text_check.find(kind, language) or abort(404)


def _typed() -> str:
    return request.form.get("body", "")[:_LONGEST]


def _after() -> int:
    """The version that the form was opened on."""
    found = request.form.get("after", default=0, type=int)
    return found if 0 <= found < _MOST else 0


def _newest(place: Place) -> int:
    found = versions.history(place.kind, place.language, most=1)
    return found[0].number if found else 0
