"""One address, two renderings: a fragment for htmx, the page for everybody else."""

import gzip

from flask import Response, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import config

_WORTH_PACKING = 1024


def wanted() -> bool:
    """True when htmx asks, so only what changes need be sent."""
    return request.headers.get("HX-Request") == "true"


def render(
    whole: str, fragment: str | None = None, /, *, status: int = 200, **context: object
) -> Response:
    """The page, or its fragment when htmx asks and there is one."""
    template = fragment if fragment and wanted() else whole
    return make_response(render_template(template, **context), status)


def see_other(path: str) -> BaseResponse:
    """303 to one of our own pages, in the language that the reader chose (SEC-45)."""
    return redirect(in_language(path), code=303)


def in_language(path: str) -> str:
    """A path of ours that keeps `?lang=` where the reader chose one."""
    language = request.args.get("lang")
    if language not in config.LANGUAGES:
        return path
    return f"{path}{'&' if '?' in path else '?'}lang={language}"


def pack(response: Response) -> Response:
    """Compress a page for phones on bad networks.

    Safe here although the page holds a secret: no cookie is sent, so nobody else can have
    the page made with text of theirs in it (BREACH needs that). Pages of /admin do come by a
    cookie, so they go as they are.
    """
    if (
        response.direct_passthrough
        or request.path.startswith("/admin")
        or response.mimetype != "text/html"
        or "Content-Encoding" in response.headers
        or not request.accept_encodings["gzip"]
    ):
        return response
    body = response.get_data()
    if len(body) > _WORTH_PACKING:
        response.set_data(gzip.compress(body, 6, mtime=0))
        response.content_encoding = "gzip"
        response.vary.add("Accept-Encoding")
    return response
