"""How the people who work here enter: the cookie, who it belongs to, and forged requests.

Flask-Login keeps the user, Flask's signed session the cookie. The cookie holds a random token
that names a row (staff/sessions.py) and the CSRF token; both are used under /admin alone, so
customer pages neither set nor read a cookie.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from flask import Flask, Request, Response, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask_babel import gettext as _
from flask_babel import ngettext, refresh
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from werkzeug.wrappers import Response as BaseResponse
from wtforms import ValidationError

from prefcenter import clock, config
from prefcenter.models_staff import Role
from prefcenter.staff import sessions
from prefcenter.staff.passwords import Busy
from prefcenter.staff.sessions import Step, Worker
from prefcenter.staff.throttle import TooManyTries
from prefcenter.web import htmx, origins

HOME = "/admin/"
SIGN_IN = "/admin/sign-in"
STEPS = {
    Step.CODE: "/admin/second-factor",
    Step.PASSWORD: "/admin/new-password",
    Step.FACTOR: "/admin/account/second-factor",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_OURS = re.compile(r"/admin(?:/(?!\.)[\w.~-]+)*/?(?:\?[\w.~%&=+:,-]*)?", re.ASCII)
_LONGEST_NEXT = 1_000
LONGEST_NAME = 200  # of what is typed; an account's is shorter
_NEXT = "next"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)


class NotSignedIn(Exception):
    """Nobody, or somebody who has a step of signing in before them."""

    def __init__(self, step: Step = Step.NONE) -> None:
        super().__init__(step)
        self.step = step


class NotAllowed(Exception):
    """Their role is too low for this; `role` would do."""

    def __init__(self, role: Role | None) -> None:
        super().__init__(role)
        self.role = role


class Forged(Exception):
    """A press of a button that may come from another website, or from a page too old."""


class SignedIn(UserMixin):  # type: ignore[misc]  # Flask-Login has no types
    """What Flask-Login keeps: the session and whose it is. The cookie names its token."""

    def __init__(self, found: sessions.Session) -> None:
        self.found = found

    def get_id(self) -> str:
        return self.found.token


class _AdminSessions(SecureCookieSessionInterface):
    """Flask's signed session under /admin, and none elsewhere."""

    digest_method = staticmethod(hashlib.sha256)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if not is_admin(request.path):
            return None
        return super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if is_admin(request.path):
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    settings: config.Settings = app.extensions["prefcenter"]
    secure = settings.public_url.startswith("https://")
    keys = [derived(key, "session").hex() for key in settings.secret_keys]
    app.config.update(
        SECRET_KEY=keys[0],
        SECRET_KEY_FALLBACKS=keys[1:],
        SESSION_COOKIE_NAME=cookie_name("admin", secure=secure),
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",  # what a name with __Host- must have
        WTF_CSRF_TIME_LIMIT=None,  # it ends with the session, not while somebody types
    )
    app.session_interface = _AdminSessions()
    manager = LoginManager()
    manager.init_app(app, add_context_processor=False)
    manager.session_protection = None  # the row decides; networks of phones change
    manager.user_loader(_load)
    app.jinja_env.globals["csrf_token"] = generate_csrf
    app.register_error_handler(NotSignedIn, _sign_in_first)
    app.register_error_handler(NotAllowed, _not_allowed)
    app.register_error_handler(Forged, _forged)


def is_admin(path: str) -> bool:
    return path == "/admin" or path.startswith("/admin/")


def cookie_name(name: str, *, secure: bool) -> str:
    """No subdomain and no http page can set a cookie whose name starts with __Host- (SEC-42)."""
    return f"__Host-{name}" if secure else f"prefcenter_{name}"


def derived(key: str, use: str) -> bytes:
    """A key for this purpose alone (SEC-9)."""
    return hmac.digest(key.encode(), f"prefcenter.{use}".encode(), hashlib.sha256)


def enter(token: str, wanted: str | None = None) -> BaseResponse:
    """Give this browser the session that was just opened, and nothing that it had before.

    Leads to the next step of signing in, and after the last one to the page that was wanted.
    """
    wanted = wanted or session.get(_NEXT)
    session.clear()
    g.pop("csrf_token", None)
    found = sessions.find(token, now=clock.now())
    if found is None:
        return htmx.see_other(SIGN_IN)
    login_user(SignedIn(found))
    return htmx.see_other(onward(wanted))


def onward(wanted: str | None = None) -> str:
    """Where somebody who is signed in goes: to the step before them, or to the page wanted."""
    found = here()
    there = own_path(wanted or session.get(_NEXT))
    if found is not None and found.worker.step is not Step.NONE:
        session[_NEXT] = there
        return STEPS[found.worker.step]
    session.pop(_NEXT, None)
    return there


def leave() -> None:
    """Forget everything that this browser's cookie held."""
    session.clear()
    g.pop("_login_user", None)


def here() -> sessions.Session | None:
    """The session of this request, at whatever step of signing in."""
    return current_user.found if current_user.is_authenticated else None


def worker() -> Worker | None:
    """Who is signed in, at whatever step; from here on pages are in their language."""
    found = here()
    if found is None:
        return None
    speak(found.worker.language)
    return found.worker


def speak(language: str) -> None:
    """In this language from here on, unless the address asks for another one."""
    g.person_language = language
    refresh()


def refuse_forged() -> None:
    """SEC-43: every unsafe method needs our own page's origin and its CSRF token."""
    if request.method in _SAFE:
        return
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise Forged
    origin = request.headers.get("Origin")
    if origin is not None and origin not in origins.ours():
        raise Forged
    try:
        validate_csrf(request.form.get("csrf_token") or request.headers.get("X-CSRFToken"))
    except ValidationError as error:
        raise Forged from error


def page(template: str, /, *, status: int = 200, **more: object) -> Response:
    """A page of somebody who is not, or not wholly, signed in."""
    response = htmx.render(template, status=status, **more)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def sign_in_page(status: int = 200, *, error: str = "", next_path: str = "") -> Response:
    """What was typed stays, but for the password."""
    wanted = own_path(request.form.get("next") or next_path)
    name = request.form.get("name", "")[:LONGEST_NAME]
    return page("admin/sign_in.html", status=status, error=error, next_path=wanted, name=name)


def wait(draw: Callable[..., Response], error: TooManyTries | Busy) -> Response:
    """The same page with a sentence, when there were too many tries, or too many at once."""
    if isinstance(error, Busy):
        busy = _("Many people are signing in right now. Try again in a few seconds.")
        response = draw(503, error=busy)
        response.headers["Retry-After"] = "5"
        return response
    minutes = -(-error.seconds // 60)
    late = ngettext(
        "That was wrong too often. Try again in %(num)s minute.",
        "That was wrong too often. Try again in %(num)s minutes.",
        minutes,
    )
    response = draw(429, error=late)
    response.headers["Retry-After"] = str(error.seconds)
    return response


def own_path(text: str | None) -> str:
    """A path under /admin to go to, or the overview for anything else (SEC-45)."""
    if text is None or len(text) > _LONGEST_NEXT or not _OURS.fullmatch(text):
        return HOME
    return text


def wanted_path() -> str:
    """The page that somebody was on, to come back to after signing in."""
    if htmx.wanted():
        try:
            parts = urlsplit(request.headers.get("HX-Current-URL", ""))
        except ValueError:  # half an IPv6 address
            return HOME
        return own_path(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    if request.method not in _SAFE:
        return HOME
    return own_path(request.full_path.removesuffix("?"))


def _load(token: str) -> SignedIn | None:
    found = sessions.find(token, now=clock.now())
    return SignedIn(found) if found else None


def _sign_in_first(error: NotSignedIn) -> BaseResponse:
    """A page leads to the sign-in; a button says 401, because nothing was done."""
    wanted = wanted_path()
    there = STEPS.get(error.step, SIGN_IN)
    if there == SIGN_IN and wanted != HOME:
        there = f"{SIGN_IN}?{urlencode({'next': wanted})}"
    if request.method in _SAFE and not htmx.wanted():
        return htmx.see_other(there)
    response = page("admin/signed_out_now.html", status=401, there=there)
    if htmx.wanted():
        response.headers["HX-Redirect"] = there
    return response


def _not_allowed(error: NotAllowed) -> Response:
    role = error.role.value if error.role else Role.OWNER.value
    return page("admin/not_allowed.html", status=403, role=role)


def _forged(_error: Forged) -> Response:
    if request.path == SIGN_IN:  # whose cookie is new or gone: the same page, made afresh
        late = _("This page was open for too long, or your browser keeps no cookies. Try again.")
        return sign_in_page(403, error=late)
    return page("admin/forged.html", status=403)
