"""The certificate of one person: a page to print and a file that can be checked.

It names the whole number and leaves the house, so only an owner takes one, with a reason, by a
form that posts, and each is in the admin log (SEC-44).
"""

import json
from typing import Any

from flask import Response, abort
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, phone
from prefcenter.consent import people
from prefcenter.consent.state import MoveError
from prefcenter.database import db
from prefcenter.models import Person
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.upkeep import certificate
from prefcenter.upkeep.certificate import Certificate
from prefcenter.web import guards
from prefcenter.web.admin import shell, typed
from prefcenter.web.admin.people import bp, known
from prefcenter.web.admin.person_acts import typed_reason


@bp.get("/people/<public_id>/certificate", endpoint="certificate")
@guards.role(Role.OWNER)
def ask(public_id: str) -> Response:
    """What a certificate is, and why somebody needs this one."""
    return _form(known(public_id))


@bp.post("/people/<public_id>/certificate")
@guards.role(Role.OWNER)
def certificate_page(public_id: str) -> BaseResponse:
    """The certificate as a page made to be printed."""
    issued = _issue(public_id, "page")
    if isinstance(issued, Response):
        return issued
    content = issued.content
    return shell.render(
        "admin/certificate_page.html",
        public_id=public_id,
        certificate=content,
        events=[_readable(event) for event in content["events"]],
        number=phone.international(content["piiPrincipalId"] or ""),
        sha256=issued.sha256,
    )


@bp.post("/people/<public_id>/certificate.json")
@guards.role(Role.OWNER)
def certificate_file(public_id: str) -> BaseResponse:
    """The certificate as the file that `prefcenter verify --certificate` checks."""
    issued = _issue(public_id, "file")
    if isinstance(issued, Response):
        return issued
    response = Response(issued.file, mimetype="application/json")
    name = f"certificate-{issued.content['consentReceiptID'][:8]}.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _issue(public_id: str, form: str) -> Certificate | Response:
    """One certificate, once its entry in the admin log is committed.

    The person is held meanwhile, so that nobody erases them while it is put together.
    """
    guards.begin_staff_write()
    person, now = people.by_public_id(public_id) or abort(404), clock.now()
    reason, errors = typed_reason(person.number)
    if errors:
        db.session.rollback()
        return _form(person, reason=reason, error=errors["reason"])
    try:
        issued = certificate.issue(person, by=guards.staff().name, reason=reason, now=now)
    except MoveError:
        db.session.rollback()
        fault = _("This person's ledger does not add up. Run prefcenter verify.")
        return _form(person, reason=typed.text("reason"), fault=fault)
    receipt = issued.content["consentReceiptID"]
    details = {"form": form, "receipt": receipt, "sha256": issued.sha256}
    subject = person.public_id
    activity.record(
        guards.staff(),
        "certificate_taken",
        subject=subject,
        reason=reason,
        details=details,
        now=now,
    )
    db.session.commit()
    return issued


def _form(person: Person, *, reason: str = "", error: str = "", fault: str = "") -> Response:
    return shell.render(
        "admin/certificate.html",
        status=409 if fault else 422 if error else 200,
        person=person,
        reason=reason,
        error=error,
        fault=fault,
    )


def _readable(event: dict[str, Any]) -> dict[str, Any]:
    """An event with its evidence as facts beside the exact bytes."""
    evidence = event["evidence"]
    return event | {"seen": json.loads(evidence["body"]) if evidence else None}
