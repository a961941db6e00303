"""Pages on which staff act for one person: each says what it means and asks for a reason.

There is no button that turns texts on (SEC-44). Every press is in the admin log.
"""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Response, abort, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config, phone
from prefcenter.consent import by_hand, order, people
from prefcenter.database import clear_log, db
from prefcenter.models import Person, Status
from prefcenter.models_staff import Role
from prefcenter.upkeep import belongings, finding
from prefcenter.upkeep.finding import Wanted
from prefcenter.web import guards
from prefcenter.web.admin import shell, standing_words, typed
from prefcenter.web.admin.people import bp, known
from prefcenter.web.admin.person_acts import (
    CHANNELS,
    EDITORS,
    OWNERS,
    Act,
    Outcome,
    log,
    typed_reason,
    typed_wish,
)


@bp.get("/people/<public_id>/<any(revoke, link, deliverability, owner):act>")
@guards.role(Role.EDITOR)
def before(public_id: str, act: str) -> BaseResponse:
    """What it means, before the button that does it."""
    return _before(public_id, act, EDITORS[act])


@bp.get("/people/<public_id>/<any(erase, number):act>")
@guards.role(Role.OWNER)
def before_owning(public_id: str, act: str) -> BaseResponse:
    """The same, for what owners alone may do."""
    return _before(public_id, act, OWNERS[act])


@bp.post("/people/<public_id>/<any(revoke, link, deliverability, owner):act>")
@guards.role(Role.EDITOR)
def do(public_id: str, act: str) -> BaseResponse:
    """Do it, with a reason, and tell on the person's page what came of it."""
    return _do(public_id, act, EDITORS[act])


@bp.post("/people/<public_id>/erase")
@guards.role(Role.OWNER)
def erase(public_id: str) -> BaseResponse:
    """Forget somebody for good (RULE-63)."""
    answer = _do(public_id, "erase", OWNERS["erase"])
    if answer.status_code == 303:
        clear_log()
    return answer


@bp.post("/people/<public_id>/number")
@guards.role(Role.OWNER)
def show_number(public_id: str) -> BaseResponse:
    """The whole number, once, in this answer and in no address (SEC-44)."""
    guards.begin_staff_write()
    person, now = _held(public_id), clock.now()
    reason, errors = typed_reason(person.number)
    if errors or person.number is None:
        db.session.rollback()
        fault = "" if person.number else _("That cannot be done for this person now.")
        return _ask(person, "number", OWNERS["number"], Outcome(errors=errors, fault=fault))
    log(person, "number_shown", reason, now)
    db.session.commit()
    shown = phone.international(person.number)
    return shell.render("admin/person_number.html", person=person, shown=shown)


@bp.post("/people/unknown")
@guards.role(Role.EDITOR)
def before_stopping_stranger() -> BaseResponse:
    """Somebody whose number we never saw asks for no texts: that is kept, too (RULE-31)."""
    number = _typed_number()
    return _ask_stranger(number) if number else _lost()


@bp.post("/people/unknown/revoke")
@guards.role(Role.EDITOR)
def stop_stranger() -> BaseResponse:
    number, now = _typed_number(), clock.now()
    if number is None:
        return _lost()
    reason, errors = typed_reason(number.number)
    given, more = typed_wish(reason, now=now)
    if errors or given is None:
        return _ask_stranger(number, errors | more)
    guards.begin_staff_write()
    language = config.current().default_language
    person = people.enrol(number.number, number.country or "ZZ", language, now=now)
    by_hand.revoke(person, given, now=now)
    log(person, "person_revoked", "", now, {"channel": given.channel.value})
    db.session.commit()
    return shell.done(url_for(".person", public_id=person.public_id), _("It is recorded."))


def _before(public_id: str, act: str, what: Act) -> BaseResponse:
    person = known(public_id)
    if not what.possible(person):
        return _back(person, _("That cannot be done for this person now."))
    return _ask(person, act, what)


def _do(public_id: str, act: str, what: Act) -> BaseResponse:
    """One reason, one rule, one commit; also of a rule that did nothing but trip a breaker."""
    guards.begin_staff_write()
    person, now = _held(public_id), clock.now()
    reason, errors = typed_reason(person.number)
    outcome = Outcome(errors=errors) if errors else _outcome(what, person, reason, now)
    if outcome.errors:
        db.session.rollback()
    else:
        db.session.commit()
    if outcome.sentence:
        return _back(person, outcome.sentence)
    return _ask(known(public_id), act, what, outcome)


def _outcome(what: Act, person: Person, reason: str, now: datetime) -> Outcome:
    if not what.possible(person):
        return Outcome(fault=_("That cannot be done for this person now."))
    return what.rule(person, reason, now)


def _ask(person: Person, act: str, what: Act, outcome: Outcome | None = None) -> Response:
    """The page before the button, as it was filled in."""
    outcome = outcome or Outcome()
    status = 409 if outcome.fault else 422 if outcome.errors else 200
    return shell.render(
        "admin/person_act.html",
        status=status,
        person=person,
        act=act,
        what=what,
        outcome=outcome,
        given=_given(),
        channels=CHANNELS.items(),
        corrections=[
            (one.value, standing_words.ARRIVES[one][0]) for one in by_hand.corrections(person)
        ],
        newest_yes=_newest_yes(person) if act == "revoke" else None,
        former_owners=belongings.former_owners(person) if act == "erase" else (),
    )


def _ask_stranger(number: Wanted, errors: Mapping[str, str] | None = None) -> Response:
    return shell.render(
        "admin/person_unknown.html",
        status=422 if errors else 200,
        number=number,
        what=EDITORS["revoke"],
        outcome=Outcome(errors=errors or {}),
        given=_given(),
        channels=CHANNELS.items(),
    )


def _given() -> dict[str, str]:
    """What was typed; before that, now on the reader's clock."""
    given = typed.texts(("reason", "channel", "on", "time", "deliverability"))
    there = clock.now().astimezone(ZoneInfo(guards.staff().zone))
    given["on"] = given["on"] or there.date().isoformat()
    given["time"] = given["time"] or f"{there:%H:%M}"
    return given


def _newest_yes(person: Person) -> datetime | None:
    """When they last said yes, for whoever records a wish that may be older than that."""
    return order.history(person).yes if person.status is Status.SUBSCRIBED else None


def _typed_number() -> Wanted | None:
    """The number of the form before; it came from a search that had found nobody."""
    found = finding.read_typed(typed.text("number"))
    return found if found is not None and found.number else None


def _lost() -> BaseResponse:
    return shell.done(url_for(".people"), _("Look for the whole number first."))


def _held(public_id: str) -> Person:
    return people.by_public_id(public_id) or abort(404)


def _back(person: Person, sentence: str) -> BaseResponse:
    return shell.done(url_for(".person", public_id=person.public_id), sentence)
