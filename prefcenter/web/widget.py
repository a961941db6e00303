"""The widget's addresses: its script, its page for a frame, and where every form of it posts.

No cookie: a signed token that our page or script got says when and where a form was shown, and
is good for one form (SEC-22). Whoever the number belongs to, the answer is the same (SEC-24).
"""

from datetime import datetime

import flask_babel
from flask import Blueprint, Response, abort, g, jsonify, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config, phone
from prefcenter.consent import breaker, signup, sites, spent
from prefcenter.consent.sites import Place
from prefcenter.database import begin_write, db
from prefcenter.phone import Number, last4
from prefcenter.sms import versions
from prefcenter.web import embed, form_token, frame, optin, origins, pages, work
from prefcenter.web.form_token import BadFormToken, FormToken, Way
from prefcenter.web.forms import OptInForm
from prefcenter.web.optin import Reading

bp = Blueprint("widget", __name__)
_MINUTES_5, _YEAR = 300, 31_536_000
_JSON = "application/json"


@bp.get("/w/<key>.js")
def script(key: str) -> BaseResponse:
    """The one line that pages load; changes of the site are there in five minutes."""
    place = _place(key)
    response = _script(embed.made(place), place)
    response.cache_control.max_age = _MINUTES_5
    response.set_etag(embed.made(place).digest, weak=True)
    return response.make_conditional(request)


@bp.get("/w/<key>.<string(length=16):digest>.js")
def script_twin(key: str, digest: str) -> BaseResponse:
    """The same under its hash, for pages that publish an integrity value."""
    place = _place(key)
    made = embed.made(place)
    if digest != made.digest:
        versions.look_again()  # the page may have come from a process that heard of new words first
        made = embed.made(place)
    if digest != made.digest:
        abort(404)
    response = _script(made, place)
    response.cache_control.max_age = _YEAR
    response.cache_control.immutable = True
    return response


@bp.get("/w/<key>")
def framed(key: str) -> BaseResponse:
    """The form as a page, for an iframe or a link."""
    place = _place(key)
    form = OptInForm(formdata=None)
    form.source.data = optin.label(request.args.get("source"))
    return frame.form_page(place, form, now=clock.now())


@bp.get("/w/<key>/logo")
def logo(key: str) -> BaseResponse:
    found = sites.logo(_place(key))
    if found is None:
        abort(404)
    response = Response(found[0], mimetype=found[1])
    response.headers["Content-Security-Policy"] = (
        "sandbox; default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.cache_control.public = True
    response.cache_control.max_age = _MINUTES_5
    response.add_etag()
    return response.make_conditional(request)


@bp.get("/o/<key>/challenge")
def challenge(key: str) -> BaseResponse:
    """What the script needs before it may send: a token, and work that is bound to it."""
    place, now = _place(key), clock.now()
    origins.check(place)
    token = frame.token(place, Way.SCRIPT, now=now)
    hard = breaker.strained(place.slug, now=now)
    response = jsonify(
        token=token,
        work=work.challenge(form_token.nonce_of(token), hard=hard),
        ready_in=form_token.YOUNGEST.total_seconds(),
        good_for=int(form_token.OLDEST.total_seconds()),
    )
    origins.allow(response, place)
    return response


@bp.post("/o/<key>")
def opt_in(key: str) -> BaseResponse:
    """Take a form in, from our script, our page, or any form on a page of the site."""
    place, now = _place(key), clock.now()
    origins.check(place)
    form = OptInForm()
    form.validate()
    try:
        response = _taken(place, form, now)
    except BadFormToken as error:
        response = _stale(place, form, error.reason, now)
    if response.mimetype == _JSON:  # our pages hold tokens that no other page may read
        origins.allow(response, place)
    return response


@bp.get("/o/<key>/sent")
def sent(key: str) -> BaseResponse:
    return frame.sent_page(_place(key), pages.ending())


def _taken(place: Place, form: OptInForm, now: datetime) -> BaseResponse:
    """Raises BadFormToken for a form that must be shown again, with a fresh token."""
    text = form.form_token.data
    token = form_token.read(text, site=place.slug, now=now) if text else None
    reading = optin.of_site(form, place, token.way if token else None)
    if reading.number is None or reading.wording is None or reading.errors:
        return _invalid(place, form, reading, now)
    if token and token.way is not Way.SCRIPT and token.text_version != form.text_version.data:
        raise BadFormToken("forged")  # our page showed another text; a script says what it shows
    if token is None or not _is_earned(token, form, place, now):
        return _unproven(place, form, reading, now)
    if spent.is_used(token.nonce):
        raise BadFormToken("used")
    begin_write()
    if not spent.redeem(token.nonce, until=token.until):
        db.session.rollback()
        raise BadFormToken("used")
    if not form.leave_empty.data:  # nobody sees this field but programs
        signup.receive(optin.filled(form, reading, place, token.way), now=now)
    db.session.commit()
    return _thanks(place, form, reading.number)


def _is_earned(token: FormToken, form: OptInForm, place: Place, now: datetime) -> bool:
    """By the browser's work, or by the press on "One more step"."""
    if token.way is Way.STEP:
        return not _is_strained(place, now)
    return work.is_done(form.work.data or "", token.nonce)


def _is_strained(place: Place, now: datetime) -> bool:
    found = breaker.strained(place.slug, now=now)
    db.session.rollback()  # what follows may write
    return found


def _thanks(place: Place, form: OptInForm, number: Number) -> BaseResponse:
    """The same for everybody: what is said comes from what was typed, and nothing else."""
    if _wants_json():
        return jsonify(
            status="sent",
            last4=last4(number.e164),
            number=phone.international(number.e164),
            help=frame.help_text(place),
        )
    onward = origins.onward(form.return_to.data or "", place)
    if onward is not None:
        return redirect(origins.with_news(onward), code=303)
    return redirect(frame.sent_path(place, last4(number.e164)), code=303)


def _invalid(place: Place, form: OptInForm, reading: Reading, now: datetime) -> BaseResponse:
    errors = reading.errors
    if not _wants_json():
        return frame.form_page(place, form, status=422, errors=errors, now=now)
    if reading.wording is None and "consent" in errors and optin.is_yes(form.consent.data):
        again = _("This text has changed. Load this page again, read it and tick the box")
        errors = errors | {"consent": again}
    # For this our script has no place of its own beside a field.
    more = {"message": errors["frequency"]} if "frequency" in errors else {}
    response = jsonify(status="invalid", errors=errors, **more)
    response.status_code = 422
    return response


def _unproven(place: Place, form: OptInForm, reading: Reading, now: datetime) -> BaseResponse:
    """Without a proof of work: our script tries again, a plain form gets one more step."""
    if _wants_json():
        raise BadFormToken("forged")
    return frame.step_page(place, form, reading, may=not _is_strained(place, now), now=now)


def _stale(place: Place, form: OptInForm, reason: str, now: datetime) -> BaseResponse:
    """Not taken, but the form as it was filled in is one press away from it."""
    if not _wants_json():
        return _stale_page(place, form, reason, now)
    message = {
        "young": _("That was too quick for us. Please press the button again."),
        "old": _("This form was open for too long. Please press the button again."),
        "used": _("This form was sent before. If no text comes, please press the button again."),
    }.get(reason) or _("We could not use that form. Please press the button again.")
    response = jsonify(status="stale", message=message)
    response.status_code = 400
    return response


def _stale_page(place: Place, form: OptInForm, reason: str, now: datetime) -> BaseResponse:
    """The fresh form's box is not ticked, so its message says to tick it."""
    reading = optin.of_site(form, place)
    if reason == "young" and not reading.errors:  # a quick finger, and all was said before
        may = not _is_strained(place, now)
        quick = _("That was too quick for us. Please press the button again.")
        return frame.step_page(place, form, reading, may=may, message=quick, now=now)
    message = {
        "young": _("That was too quick for us. Please tick the box and press the button again."),
        "old": _(
            "This form was open for too long. Please tick the box and press the button again."
        ),
        "used": _("If no text comes, please tick the box and press the button again."),
    }.get(reason) or _(
        "We could not use that form. Please tick the box and press the button again."
    )
    return frame.form_page(
        place, form, status=400, message=message, sent_before=reason == "used", now=now
    )


def _wants_json() -> bool:
    return request.accept_mimetypes.best_match(["text/html", _JSON]) == _JSON


def _script(made: embed.Script, place: Place) -> Response:
    packs = request.accept_encodings["gzip"] > 0
    response = Response(made.packed if packs else made.body, mimetype="text/javascript")
    if packs:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.cache_control.public = True
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    origins.allow(response, place)
    return response


def _place(key: str) -> Place:
    """The site of a key, or 404. From here on in its language, or the one that is asked for."""
    place = sites.find(key, now=clock.now())
    if place is None:
        abort(404)
    asked = request.form.get("lang") if request.method == "POST" else None
    g.person_language = asked if asked in config.LANGUAGES else place.language
    flask_babel.refresh()
    return place
