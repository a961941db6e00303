"""Who may enter where, named at each blueprint's registration.

A little long, so that all ways in stand in one place and can be compared.
"""

from collections.abc import Callable
from typing import TypeVar

from flask import Blueprint, Flask, abort, current_app, g, request

from prefcenter import clock, config, driver, links
from prefcenter.consent import api_keys
from prefcenter.consent.api_keys import Key
from prefcenter.database import begin_write, db, hold
from prefcenter.driver import Within
from prefcenter.links import Link, Purpose
from prefcenter.models_staff import Role
from prefcenter.sms import alarms, signature
from prefcenter.staff import sessions
from prefcenter.staff.sessions import Step, Worker
from prefcenter.web import api_limits, entering
from prefcenter.web.errors import Problem

_GUARDS = "prefcenter.guards"
_SCOPE = "prefcenter_scope"
_ROLE = "prefcenter_role"
_STEP = "prefcenter_step"
_QUIET = "prefcenter_quiet"
View = TypeVar("View", bound=Callable[..., object])


def open_to_all(app: Flask, blueprint: Blueprint, *, why: str) -> None:
    """No guard, and the reason why none is needed."""
    _register(app, blueprint, f"open: {why}")


def by_link(app: Flask, blueprint: Blueprint, purpose: Purpose) -> None:
    """Only with a genuine link of this purpose in the path, checked before any view.

    The link is the only authority: no cookie, so nothing to forge across sites (SEC-18).
    """

    def check() -> None:
        token = (request.view_args or {})["token"]
        g.link = links.read(purpose, token, now=clock.now())

    _register(app, blueprint, f"signed link: {purpose}", check)


def by_signature(app: Flask, blueprint: Blueprint) -> None:
    """Only what Vonage has signed, body included, checked before any view (SEC-32)."""

    def check() -> None:
        settings = config.current()
        keys = signature.Keys(
            settings.vonage_api_key,
            settings.vonage_signature_secrets,
            settings.vonage_application_id,
            settings.vonage_webhooks == "application" and bool(settings.vonage_application_id),
        )
        # WSGI hands on one header at most; to look for more would read through all of them.
        sent, now = request.headers.get("Authorization"), clock.now()
        signature.verify([] if sent is None else [sent], request.get_data(), keys, now=now)
        alarms.genuine(now=now)

    _register(app, blueprint, "Vonage's signature", check)


def by_api_key(app: Flask, blueprint: Blueprint) -> None:
    """Only with a bearer key whose scopes hold the one that the view names (SEC-39)."""

    def check() -> None:
        # Two such headers come as one with a comma in it, which is no key.
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        wanted = scope_of(app, request.endpoint or "")
        if wanted == "decide":
            g.reading = driver.take()
        key = _key_of(secret) if scheme.lower() == "bearer" else None
        if key is None:
            raise Problem(
                401,
                "No key that works",
                "Send one header, Authorization: Bearer KEY; `prefcenter key add` makes one.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        api_limits.count(key, secret, wanted)
        if wanted not in key.scopes:
            raise lacks_scope(wanted)
        g.api_key = key

    _register(app, blueprint, "API key", check)


def reading() -> Within:
    """The connection in which the key of a decision was looked up, for what else it reads."""
    taken: Within = g.get("reading")
    return taken


def done_reading(_error: BaseException | None = None) -> None:
    """Give it back: before a write, which takes one of its own, or when the request ends."""
    taken: Within = g.pop("reading", None)
    if taken is not None:
        taken.close()


def lacks_scope(wanted: str) -> Problem:
    """What to say to a key that may not do what was asked."""
    return Problem(
        403,
        "This key may not do that",
        f"Use a key with the scope {wanted}; `prefcenter key add --scope` makes one.",
        headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{wanted}"'},
    )


def _key_of(secret: str) -> Key | None:
    api_limits.refuse_guessing(secret)
    key = api_keys.find(secret, within=reading())
    if key is None:
        api_limits.wrong_key()
    return key


def scope(name: str) -> Callable[[View], View]:
    """What a key must be allowed to call this view of the API; without it nobody may."""

    def note(view: View) -> View:
        setattr(view, _SCOPE, name)
        return view

    return note


def scope_of(app: Flask, endpoint: str) -> str:
    """The scope that a view of the API names; "" where it names none."""
    found: str = getattr(app.view_functions[endpoint], _SCOPE, "")
    return found


def api_key() -> Key:
    """The key that `by_api_key` has checked."""
    found: Key = g.api_key
    return found


def to_sign_in(app: Flask, blueprint: Blueprint) -> None:
    """Anyone may try to sign in, but only from our own page (SEC-43: sign-in included)."""
    _register(app, blueprint, "open: here people sign in and out", entering.refuse_forged)


def by_staff(app: Flask, blueprint: Blueprint) -> None:
    """Only people who work here, whose role may call the view, from our own pages (SEC-43).

    Each view names its role with `role`; one without it refuses everybody.
    """

    def check() -> None:
        view = app.view_functions[request.endpoint or ""]
        who = _signed_in(view, entering.worker())
        entering.refuse_forged()
        g.staff = _allowed(view, who)
        found = entering.here()
        if found and not getattr(view, _QUIET, False):
            sessions.touch(found, now=clock.now())

    _register(app, blueprint, "staff, by role", check)


def begin_staff_write(*, of_staff: bool = False) -> None:
    """`begin_write` for views that `by_staff` guards: every one of them opens its write with it.

    Who was signed out, disabled or given a lower role while this request waited is refused: what
    changes that, and what is written here, come one after the other (SEC-42). What is done to
    other people's accounts is `of_staff`, one at a time: else two owners who shut each other out
    would each hold their own session and wait for the other's.
    """
    begin_write()
    if of_staff:
        hold("staff")
    held, view = entering.here(), current_app.view_functions[request.endpoint or ""]
    found = sessions.hold(held.token, now=clock.now()) if held else None
    try:
        g.staff = _allowed(view, _signed_in(view, found.worker if found else None))
    except (entering.NotSignedIn, entering.NotAllowed):
        db.session.rollback()
        raise


def _signed_in(view: Callable[..., object], who: Worker | None) -> Worker:
    if who is None or who.step not in (Step.NONE, getattr(view, _STEP, Step.NONE)):
        raise entering.NotSignedIn(who.step if who else Step.NONE)
    return who


def _allowed(view: Callable[..., object], who: Worker) -> Worker:
    wanted: Role | None = getattr(view, _ROLE, None)
    if wanted is None or not who.may(wanted):
        raise entering.NotAllowed(wanted)
    return who


def role(needed: Role, *, step: Step = Step.NONE, quiet: bool = False) -> Callable[[View], View]:
    """The role that a view of /admin needs; without it nobody may.

    Somebody who has this `step` of signing in before them may use the view, too. A page asks a
    `quiet` one by itself, so that it is no sign of somebody being there (SEC-42).
    """

    def note(view: View) -> View:
        setattr(view, _ROLE, needed)
        setattr(view, _STEP, step)
        setattr(view, _QUIET, quiet)
        return view

    return note


def is_quiet(app: Flask, endpoint: str) -> bool:
    """True for what pages ask for by themselves."""
    return bool(getattr(app.view_functions[endpoint], _QUIET, False))


def role_of(app: Flask, endpoint: str) -> Role | None:
    """The role that an endpoint's view names."""
    found: Role | None = getattr(app.view_functions[endpoint], _ROLE, None)
    return found


def staff() -> Worker:
    """Who is signed in, as `by_staff` has checked."""
    found: Worker = g.staff
    return found


def development_only(app: Flask, blueprint: Blueprint) -> None:
    """Registered only where nothing real is sent: there is no such address elsewhere."""
    settings: config.Settings = app.extensions["prefcenter"]
    if settings.development and settings.sms_backend == "console":
        _register(app, blueprint, "development with the console sender")


def guard_of(app: Flask, endpoint: str) -> str | None:
    """The guard that was named for an endpoint's blueprint."""
    found: str | None = app.extensions[_GUARDS].get(endpoint.rpartition(".")[0])
    return found


def _register(
    app: Flask, blueprint: Blueprint, name: str, check: Callable[[], None] | None = None
) -> None:
    app.extensions.setdefault(_GUARDS, {})[blueprint.name] = name
    if check is not None:
        app.before_request_funcs.setdefault(blueprint.name, []).append(check)
    app.register_blueprint(blueprint)


def init_app(app: Flask) -> None:
    app.before_request(_refuse_unmeasured)
    app.teardown_request(done_reading)


def link() -> Link:
    """The link that `by_link` has checked."""
    found: Link = g.link
    return found


def _refuse_unmeasured() -> None:
    """A body without a length could be cut short and still look whole (SEC-5)."""
    sent = request.environ  # what its headers are made of, and this is asked at every request
    if "CONTENT_LENGTH" in sent and "HTTP_TRANSFER_ENCODING" not in sent:
        return
    if request.content_length is None and (
        request.headers.get("Transfer-Encoding") or request.headers.get("Content-Type")
    ):
        abort(411)
