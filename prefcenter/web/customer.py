"""Sign up, confirm, and ask for a new link: the doors before somebody is subscribed."""

from datetime import timedelta
from typing import Any

import flask_babel
from flask import Blueprint, abort, g, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from prefcenter import clock, config, links, phone
from prefcenter.consent import asking, ledger, people, preferences, signup, sites
from prefcenter.consent.preferences import Result
from prefcenter.database import begin_write, db
from prefcenter.links import Purpose
from prefcenter.models import Person, Source, Status
from prefcenter.phone import last4
from prefcenter.web import guards, htmx, optin, origins, pages, proof
from prefcenter.web.forms import ConfirmForm, SignupForm

open_bp = Blueprint("customer", __name__)
confirm_bp = Blueprint("confirm", __name__)
new_link_bp = Blueprint("new_link", __name__)


@open_bp.get("/")
def sign_up() -> Response:
    """The hosted form: what is sent, how often and what it costs, beside the number (RULE-1)."""
    return _signup_page(SignupForm(formdata=None), {}, 200)


@open_bp.post("/")
def signed_up() -> Response:
    """Take a form in. The answer is the same whoever the number belongs to (SEC-24).

    Only from our own page: a foreign one would sign up whom it likes in its visitors' names.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403)
    if request.headers.get("Origin", origins.ours()[0]) not in origins.ours():
        abort(403)
    form = SignupForm()
    form.validate()
    reading = optin.of_ours(form)
    if reading.number is None or reading.wording is None or reading.errors:
        return _signup_page(form, reading.errors, 422)
    number, (language, text) = reading.number, reading.wording
    begin_write()
    settings = config.current()
    filled = signup.Filled(
        number=number,
        site=settings.site,
        source=Source.FORM,
        categories=reading.categories,
        frequency=reading.frequency,
        language=language,
        consent_text=text,
        answer={"box": "ticked", "button": _("Text me a link to confirm")},
        page_url=settings.public_url + "/",
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string,
    )
    signup.receive(filled, now=clock.now())
    db.session.commit()
    return htmx.see_other(f"/sent?to={last4(number.e164)}")


@open_bp.get("/sent")
def sent() -> Response:
    return htmx.render("customer/sent.html", last4=pages.ending())


@open_bp.get("/terms", defaults={"kind": "terms"})
@open_bp.get("/privacy", defaults={"kind": "privacy"})
def legal(kind: str) -> Response:
    """The owner's own page where there is one, else our plain one."""
    settings = config.current()
    elsewhere = settings.terms_url if kind == "terms" else settings.privacy_url
    if elsewhere:
        return redirect(elsewhere, code=302)
    return htmx.render("customer/legal.html", kind=kind)


@confirm_bp.get("/c/<token>")
def confirm_page(token: str) -> Response:
    """Shows what was asked for, and the button. Opening it does nothing (SEC-1)."""
    return _confirm_answer(pages.find(guards.link()))


@confirm_bp.post("/c/<token>")
def confirm(token: str) -> Response:
    """The tap that gives consent: prior express consent with full proof (RULE-3, RULE-12)."""
    form, now = ConfirmForm(), clock.now()
    person = held()  # first, for their language
    version = form.text_version.data or pages.text_version(pages.shown_text("confirm"))
    shown = proof.shown("confirm", version)
    if shown is None or form.request.data not in ("", person.request_ref):
        db.session.rollback()  # the page showed another text, or another request, than now
        return _confirm_answer(pages.find(guards.link()), stale=True)
    sha256 = ledger.publish("confirm", *shown, now=now)
    words = proof.of_button(_("Yes, text me"), wording_sha256=sha256)
    result = preferences.confirm(person, guards.link(), words, now=now)
    if result is not Result.DONE:
        db.session.rollback()
        return _confirm_answer(pages.find(guards.link()))
    db.session.commit()
    token = links.make(Purpose.MANAGE, person.link_id, now=now, opted_out_at=person.opted_out_at)
    return htmx.see_other(f"{links.PATHS[Purpose.MANAGE]}{token}?done=confirmed")


@confirm_bp.post("/c/<token>/decline")
def decline(token: str) -> Response:
    """ "No, that was not me"."""
    person = held()
    words = proof.of_button(_("No, that was not me"))
    result = preferences.decline(person, words, now=clock.now())
    db.session.commit()
    if result is Result.ALREADY:
        return _confirm_answer(pages.find(guards.link()))
    return htmx.see_other(f"/c/{guards.link().token}/declined")


@confirm_bp.get("/c/<token>/declined")
def declined(token: str) -> Response:
    row = pages.find(guards.link())
    if row.status in (Status.SUBSCRIBED, Status.UNSUBSCRIBED):
        return _confirm_answer(row)
    speak(row)
    return htmx.render("customer/declined.html", last4=last4(row.number))


@new_link_bp.get("/l/<token>")
def new_link_page(token: str) -> Response:
    row = pages.find(guards.link())
    speak(row)
    if row.number is None:
        return changed_hands(row)
    if row.status is Status.UNSUBSCRIBED:
        return _off(row, "/l/")
    here = f"/l/{guards.link().token}"
    paths = pages.view(new_link=htmx.in_language(here), stop=htmx.in_language(f"{here}/stop"))
    return htmx.render("customer/new_link.html", last4=last4(row.number), urls=paths)


@new_link_bp.post("/l/<token>")
def new_link(token: str) -> Response:
    """Text a fresh link, if this number may get one; the page says the same either way."""
    now = clock.now()
    person = held()
    pages.count_use(person.public_id, now=now)
    asking.new_link(person, proof.of_button(_("Text me a new link")), now=now)
    db.session.commit()
    return htmx.see_other(f"/l/{guards.link().token}/sent")


@new_link_bp.get("/l/<token>/sent")
def new_link_sent(token: str) -> Response:
    row = pages.find(guards.link())
    speak(row)
    return htmx.render("customer/new_link_sent.html", last4=last4(row.number))


def held() -> Person:
    """Begin a write and hold the link's person; from here on in their language."""
    begin_write()
    person = people.by_link(guards.link())
    speak(person)
    return person


def speak(row: Any) -> None:
    """Use the person's own language from here on, unless the address names another."""
    g.person_language = row.language
    flask_babel.refresh()


def expired(row: Any, *, days: int, stop: str) -> Response:
    """An old link still offers the way out and a new link (SEC-14)."""
    link = guards.link()
    token = links.make(Purpose.NEW_LINK, link.link_id, now=clock.now())
    return htmx.render(
        "customer/expired.html",
        status=410,
        last4=last4(row.number),
        days=days,
        urls=pages.view(new_link=htmx.in_language(f"/l/{token}"), stop=htmx.in_language(stop)),
    )


def changed_hands(row: Any) -> Response:
    return htmx.render("customer/changed_hands.html", status=410, when=row.reassigned_at)


def _confirm_answer(row: Any, *, stale: bool = False) -> Response:
    """The page of a confirm link in whatever state the person is now."""
    speak(row)
    link, now = guards.link(), clock.now()
    if row.number is None:
        return changed_hands(row)
    match preferences.confirm_state(row, link, now=now):
        case Result.ALREADY:
            return _already(row)
        case Result.OFF:
            return _off(row, "/c/")
        case Result.TOO_OLD:
            days = timedelta(hours=config.current().confirm_hours).days or 1
            return expired(row, days=days, stop=f"/c/{link.token}/stop")
    text = pages.shown_text("confirm")
    here = f"/c/{link.token}"
    return htmx.render(
        "customer/confirm.html",
        status=409 if stale else 200,
        stale=stale,
        request_ref=row.request_ref,
        asked_on=sites.name_asked_on(row.request_ref),
        last4=last4(row.number),
        categories=pages.offered(ticked=set(row.requested)),
        frequency=ledger.wished_cap(row.request_ref),
        consent_text=text,
        text_version=pages.text_version(text),
        urls=pages.view(
            confirm=htmx.in_language(here), decline=htmx.in_language(f"{here}/decline")
        ),
    )


def _already(row: Any) -> Response:
    """Said yes before. A link that could still confirm also leads on to the choices."""
    link, now = guards.link(), clock.now()
    fresh = timedelta(hours=config.current().confirm_hours)
    purpose = Purpose.NEW_LINK
    if not link.older_than(fresh, now) and link.raises_after(row.opted_out_at):
        purpose = Purpose.MANAGE
    token = links.make(purpose, link.link_id, now=now, opted_out_at=row.opted_out_at)
    path = htmx.in_language(links.PATHS[purpose] + token)
    return htmx.render(
        "customer/already_confirmed.html",
        last4=last4(row.number),
        since=row.confirmed_at,
        urls=pages.view(preferences=path, stop=htmx.in_language(f"/c/{link.token}/stop")),
    )


def _off(row: Any, base: str) -> Response:
    """Texts are off: how to come back, whichever link was opened."""
    note = request.args.get("done")
    seen = pages.see(row, guards.link())
    page = pages.preferences(seen, base, note=note, now=clock.now())
    return htmx.render("customer/preferences.html", page=page)


def _signup_page(form: SignupForm, errors: dict[str, str], status: int) -> Response:
    settings = config.current()
    text = pages.shown_text("signup")
    locale = flask_babel.get_locale()
    view = pages.view(
        number=form.number.data or "",
        errors=errors,
        categories=pages.offered(ticked=set(form.categories.data or ())),
        frequencies=optin.frequency_rows(form),
        consent_ticked=bool(form.consent.data) and "consent" not in errors,
        consent_text=text,
        text_version=pages.text_version(text),
        texts_per_month=settings.texts_per_month,
        example=phone.example(settings.countries[0]),
        region_name=locale.territories.get(settings.countries[0], settings.countries[0])
        if locale
        else settings.countries[0],
    )
    return htmx.render("customer/signup.html", status=status, form=view)
