"""What a customer page loads: its inlined style sheet and one script, made once per app.

The style sheet is part of the page and named in the Content-Security-Policy by its hash; htmx
and our own lines are one file under a content-hashed address, so it may be kept for ever.
"""

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request
from markupsafe import Markup

from prefcenter.web import brand

bp = Blueprint("assets", __name__)

SCRIPTS = ("vendor/htmx-4.0.1.min.js", "page.js")
LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
LOGO_BYTES = 20_480
_KEY = "prefcenter.assets"


@dataclass(frozen=True, slots=True)
class File:
    """A file held in memory; `packed` is its gzip form where that is smaller in use."""

    name: str
    mimetype: str
    body: bytes
    packed: bytes | None = None

    @property
    def url(self) -> str:
        return f"/assets/{self.name}"


@dataclass(frozen=True, slots=True)
class Assets:
    css: Markup  # goes between <style> and </style> exactly as it is
    style_source: str  # the CSP source that allows it: 'sha256-...'
    script: File
    logo: File | None
    others: tuple[File, ...] = ()  # of pages that not everybody sees


def init_app(
    app: Flask, *, colour: str, dark_colour: str | None = None, logo: Path | None = None
) -> None:
    """Make the files once. Raises ValueError for a colour or logo that cannot be used."""
    static = Path(app.static_folder or "static")
    theme = brand.theme(colour, dark_colour)
    css = style_sheet((static / "site.css").read_text(encoding="utf-8"), theme)
    app.extensions[_KEY] = Assets(
        css=Markup(css),
        style_source=source_of(css),
        script=script([(static / name).read_text(encoding="utf-8") for name in SCRIPTS]),
        logo=logo_file(logo) if logo else None,
    )


def of(app: Flask) -> Assets:
    """The files of an app."""
    found: Assets = app.extensions[_KEY]
    return found


def add(app: Flask, *files: File) -> None:
    """Serve these files too."""
    held = of(app)
    app.extensions[_KEY] = replace(held, others=(*held.others, *files))


def current() -> Assets:
    """The files of the app at work; needs an app context."""
    return of(current_app)


def style_sheet(source: str, theme: brand.Theme) -> str:
    """The style sheet with the brand's colours, light first and dark second, and no spare bytes.

    Raises ValueError unless every brand token stands in the source exactly twice.
    """
    light, dark = theme.light.tokens(), theme.dark.tokens()
    for token in light:
        around = re.split(rf"(?<=--{token}: )#[0-9a-f]{{6}}", source)
        if len(around) != 3:
            raise ValueError(f"site.css must set --{token} once for light and once for dark.")
        source = around[0] + light[token] + around[1] + dark[token] + around[2]
    return squeeze(source)


def source_of(css: str) -> str:
    """The CSP source expression that allows exactly this inline style sheet."""
    digest = hashlib.sha256(css.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def script(parts: list[str], name: str = "page") -> File:
    """One script from several, without whole-line comments and indentation."""
    lines = (line.strip() for part in parts for line in part.splitlines())
    body = "\n".join(line for line in lines if line and not line.startswith("//")).encode()
    return File(
        name=f"{name}-{_digest(body)}.js",
        mimetype="text/javascript",
        body=body,
        packed=_packed(body),
    )


def style_file(name: str, css: str) -> File:
    """A style sheet with an address of its own."""
    body = squeeze(css).encode()
    return File(f"{name}-{_digest(body)}.css", "text/css", body, _packed(body))


def logo_file(path: Path) -> File:
    """The owner's logo. Raises ValueError unless it is a small SVG or PNG file."""
    mimetype = LOGO_TYPES.get(path.suffix.lower())
    if mimetype is None or not path.is_file():
        raise ValueError(f"The logo {path} must be an existing .svg or .png file.")
    body = path.read_bytes()
    if len(body) > LOGO_BYTES:
        raise ValueError(f"The logo {path} must be at most {LOGO_BYTES // 1024} KB.")
    return File(f"logo-{_digest(body)}{path.suffix.lower()}", mimetype, body)


@bp.get("/assets/<name>")
def asset(name: str) -> Response:
    """One of the files, kept by browsers for ever because its name holds its hash."""
    held = current()
    file = next((f for f in (held.script, held.logo, *held.others) if f and f.name == name), None)
    if file is None:
        abort(404)
    packed = file.packed if request.accept_encodings["gzip"] else None
    response = Response(packed or file.body, mimetype=file.mimetype)
    if packed:
        response.content_encoding = "gzip"
    response.vary.add("Accept-Encoding")
    response.cache_control.public = True
    response.cache_control.max_age = 31_536_000
    response.cache_control.immutable = True
    return response


@cache
def squeeze(css: str) -> str:
    """A style sheet of ours without spare bytes."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    css = re.sub(r"\s*([{};,])\s*", r"\1", css)
    css = re.sub(r":\s+", ":", css)
    return css.replace(";}", "}").strip()


@cache
def _packed(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]
