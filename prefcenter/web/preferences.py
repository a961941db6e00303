"""Choose, pause, leave, come back: the pages behind the link in every text.

`/p/` may change a subscription for a month; `/u/` may only lower it, for as long as the
link exists; every link, also a confirm link, can stop everything (SEC-14).
"""

from collections.abc import Callable
from datetime import timedelta

from flask import Blueprint, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from prefcenter import clock, config, links
from prefcenter.consent import ledger, pausing, preferences
from prefcenter.consent.ledger import Proof
from prefcenter.consent.preferences import Result
from prefcenter.database import db
from prefcenter.links import PATHS, Purpose
from prefcenter.models import Person, Status, SuppressionReason
from prefcenter.phone import last4
from prefcenter.web import guards, htmx, pages, proof
from prefcenter.web.customer import changed_hands, confirm_bp, expired, held, new_link_bp, speak
from prefcenter.web.forms import FewerForm, PauseForm, PreferencesForm, TextVersionForm

manage_bp = Blueprint("manage", __name__)
unsubscribe_bp = Blueprint("unsubscribe", __name__)

_LOW = PATHS[Purpose.UNSUBSCRIBE]
_ONE_PAGE = (PATHS[Purpose.CONFIRM], PATHS[Purpose.NEW_LINK])  # these show no choices
_EVERY_LINK = {
    manage_bp: "/p/<token>",
    unsubscribe_bp: "/u/<token>",
    confirm_bp: "/c/<token>",
    new_link_bp: "/l/<token>",
}
View = Callable[[str], Response]


def _on_every_link(path: str, *, method: str = "POST") -> Callable[[View], View]:
    """A view that each of our links has: leaving is never harder than joining (RULE-27)."""

    def add(view: View) -> View:
        for blueprint, base in _EVERY_LINK.items():
            blueprint.add_url_rule(base + path, view.__name__, view, methods=[method])
        return view

    return add


@manage_bp.get("/p/<token>")
def manage(token: str) -> Response:
    """The preferences of the person whose link this is."""
    return _show(note=request.args.get("done"))


@manage_bp.post("/p/<token>")
def save(token: str) -> Response:
    """Save what is ticked; a save never turns texts back on."""
    form, now = PreferencesForm(), clock.now()
    if not form.validate():
        return _show(note="stale", status=422)
    person = held()
    pages.count_use(person.public_id, now=now)
    if person.status is Status.SUBSCRIBED and not preferences.may_change(
        person, guards.link(), now=now
    ):
        return _show()
    result = preferences.choose(
        person,
        chosen=form.categories.data or (),
        offered=form.shown.data or (),
        frequency=form.frequency.data or None,
        language=form.language.data or None,
        version=int(form.version.data) if form.version.data else None,
        proof=proof.of_button(_("Save changes")),
        now=now,
    )
    if result is Result.NOTHING_TICKED:
        picked = pages.Picked(form.frequency.data, form.language.data)
        return _show(error="nothing_ticked", picked=picked, status=422)
    return _after(result, "saved")


@_on_every_link("/start")
def start(token: str) -> Response:
    """Undo "Stop all texts" within the hour: a new opt-in, with the text shown (SEC-16)."""
    form, now = TextVersionForm(), clock.now()
    shown = proof.shown("restart", form.text_version.data or "")
    if shown is None:
        return _show(note="stale", status=409)
    person = held()
    sha256 = ledger.publish("restart", *shown, now=now)
    words = proof.of_button(_("Start texts again"), wording_sha256=sha256)
    result = preferences.restart(person, guards.link(), words, now=now)
    if result is Result.OFF:
        return _show()
    db.session.commit()
    here = base()
    days = timedelta(days=config.current().link_days)
    if here == PATHS[Purpose.MANAGE] and not guards.link().older_than(days, now):
        # This link is from before the stop, so it may no longer change anything (SEC-16).
        token = links.make(
            Purpose.MANAGE, person.link_id, now=now, opted_out_at=person.opted_out_at
        )
    else:
        token = guards.link().token  # an old or lower link does not turn into a full one
    return htmx.see_other(f"{here}{token}?done=started")


@unsubscribe_bp.get("/u/<token>")
def unsubscribe_page(token: str) -> Response:
    """The preferences page with stop first."""
    return _show(note=request.args.get("done"))


@unsubscribe_bp.post("/u/<token>/fewer")
def fewer(token: str) -> Response:
    """Fewer texts instead of none; this link cannot raise anything."""
    form, now = FewerForm(), clock.now()
    form.validate()
    person = held()
    pages.count_use(person.public_id, now=now)
    words = proof.of_button(_("Save changes"))
    result = Result.ALREADY
    if form.frequency.data:
        result = preferences.fewer(person, form.frequency.data, proof=words, now=now)
    return _after(Result.ALREADY if result is Result.TOO_OLD else result, "saved")


@unsubscribe_bp.post("/u/<token>", endpoint="stop_by_address")
@_on_every_link("/stop")
def stop(token: str) -> Response:
    """Stop all texts, in one press, however old the link is; never limited (RULE-27)."""

    def rule(person: Person, words: Proof) -> Result:
        return preferences.revoke(
            person,
            words,
            reason=SuppressionReason.PREFERENCE_PAGE,
            now=clock.now(),
            link=guards.link(),
        )

    return _press(_l("Stop all texts"), rule, "stopped")


@manage_bp.post("/p/<token>/pause", endpoint="pause")
@unsubscribe_bp.post("/u/<token>/pause", endpoint="pause")
def pause(token: str) -> Response:
    """Take a break; it ends on its own."""
    form = PauseForm()
    if not form.validate():
        return _show(status=422)
    length = form.pause.data or ""

    def rule(person: Person, words: Proof) -> Result:
        if base() != _LOW and not preferences.may_change(person, guards.link(), now=clock.now()):
            return Result.TOO_OLD
        return pausing.pause(person, length, proof=words, now=clock.now())

    return _press(_l("Take a break"), rule, "paused")


@manage_bp.post("/p/<token>/resume")
def resume(token: str) -> Response:
    """End a break early."""

    def rule(person: Person, words: Proof) -> Result:
        if not preferences.may_change(person, guards.link(), now=clock.now()):
            return Result.TOO_OLD
        return pausing.resume(person, proof=words, now=clock.now())

    return _press(_l("Start again now"), rule, "resumed")


@_on_every_link("/not-mine", method="GET")
def not_mine_page(token: str) -> Response:
    row = pages.find(guards.link())
    speak(row)
    if row.number is None:
        return changed_hands(row)
    back = base() + guards.link().token
    return htmx.render(
        "customer/not_mine.html",
        last4=last4(row.number),
        urls=pages.view(
            preferences=htmx.in_language(back), not_mine=htmx.in_language(f"{back}/not-mine")
        ),
    )


@_on_every_link("/not-mine")
def not_mine(token: str) -> Response:
    """The number has a new owner: stop, and close every link of the former one."""

    def rule(person: Person, words: Proof) -> Result:
        return preferences.reassign(person, words, now=clock.now())

    return _press(_l("This number is mine now. Stop the texts"), rule, "stopped")


def base() -> str:
    """/p/, /c/, /u/ or /l/: which of our links this page was opened with."""
    return request.path[:3]


def _press(button: str, rule: Callable[[Person, Proof], Result], note: str) -> Response:
    """One button, one rule, one commit."""
    person = held()
    return _after(rule(person, proof.of_button(str(button))), note)  # in their language


def _after(result: Result, note: str) -> Response:
    """The page that says what came of it: in place for htmx, by 303 for a plain form."""
    match result:
        case Result.DONE | Result.ALREADY:
            db.session.commit()
            if htmx.wanted():
                return _show(note=note)
            return htmx.see_other(f"{base()}{guards.link().token}?done={note}")
        case Result.STALE:
            return _show(note="stale", status=409)
        case Result.OFF:
            return _show(note="kept_stop", status=409)
    return _show()


def _show(
    *,
    note: str | None = None,
    error: str | None = None,
    picked: pages.Picked = pages.NOTHING_PICKED,
    status: int = 200,
) -> Response:
    """The page in the person's state as it is now, read afresh."""
    db.session.rollback()  # whatever was not committed above is not so
    link, now, here = guards.link(), clock.now(), base()
    row = pages.find(link)
    speak(row)
    if row.number is None:
        return changed_hands(row)
    if here in _ONE_PAGE and row.status is not Status.UNSUBSCRIBED:
        return htmx.see_other(here + link.token)
    lowered = row.status is Status.UNSUBSCRIBED or (
        here == _LOW and row.status is Status.SUBSCRIBED
    )
    if not lowered and not _may_show(row):
        days = config.current().link_days
        return expired(row, days=days, stop=here + link.token + ("" if here == _LOW else "/stop"))
    seen = pages.see(row, link)
    page = pages.preferences(seen, here, note=note, error=error, picked=picked, now=now)
    if here == _LOW:
        return htmx.render("customer/unsubscribe.html", status=status, page=page)
    return htmx.render(
        "customer/preferences.html", "customer/_preferences.html", status=status, page=page
    )


def _may_show(row: Person) -> bool:
    return row.status is Status.SUBSCRIBED and preferences.may_change(
        row, guards.link(), now=clock.now()
    )
