"""Headers on every answer: strict policy, nothing kept, nothing told to others (SEC-4).

Added around the app, because there it costs a tenth of what it does on Flask's response, and
an answer that no view made has them too.
"""

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response

from prefcenter.config import Settings
from prefcenter.web import assets

_YEAR = 31_536_000
_POLICY = (
    "default-src 'none'; style-src {style}; script-src 'self'; connect-src 'self';"
    " img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ("X-Robots-Tag", "noindex"),
]
_NOT_KEPT = ("Cache-Control", "no-store")


class Dressed:
    """The app with these headers; no view sets one of `_ALWAYS`, the others it may."""

    def __init__(self, wsgi_app: WSGIApplication, style: str, *, https: bool) -> None:
        self._wsgi_app = wsgi_app
        self._always = _ALWAYS.copy()
        if https:
            held = ("Strict-Transport-Security", f"max-age={_YEAR}; includeSubDomains")
            self._always.append(held)
        self._policy = ("Content-Security-Policy", _POLICY.format(style=style))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(
            status: str, headers: list[tuple[str, str]], *error: Any
        ) -> Callable[[bytes], object]:
            set_by_view = {name.lower() for name, _ in headers}
            headers += self._always
            if "content-security-policy" not in set_by_view:
                headers.append(self._policy)
            if "cache-control" not in set_by_view:
                headers.append(_NOT_KEPT)
            return start_response(status, headers, *error)

        return self._wsgi_app(environ, start)


def init_app(app: Flask, settings: Settings) -> None:
    https = settings.public_url.startswith("https://")
    dressed = Dressed(app.wsgi_app, assets.of(app).style_source, https=https)
    app.wsgi_app = dressed  # type: ignore[method-assign]  # how Werkzeug's docs add middleware
    app.after_request(_vary)


def _vary(response: Response) -> Response:
    """A page may come whole or as a fragment; what is kept for long is neither."""
    if response.mimetype == "text/html" and "Cache-Control" not in response.headers:
        response.vary.add("HX-Request")
    return response
