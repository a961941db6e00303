"""The examples as their readers run them: on a host of their own, with their own prefcenter.

`localhost` and `127.0.0.1` are two names of this machine, so two origins to a browser.
"""

import importlib.util
import shutil
import sys
import threading
from pathlib import Path

from flask import Flask, Response
from werkzeug.serving import make_server

from tests.browser.shop import ROOT

EXAMPLES = ROOT / "examples"
PLACEHOLDER = "https://prefs.example.com"
SITE = "shop"  # as the examples call it
ABOUT = {"en": "new books and offers", "es": "libros nuevos y ofertas"}
_REACT = Path(__file__).parent / "vendor" / "react-18.3.1"
_TEXT = (".html", ".js", ".py")

# What a bundler does for the React example: its imports lead to React's own files.
_IMPORTS = '{"imports": {"react": "/react.js", "react-dom/client": "/client.js"}}'
_MODULES = {
    "react.js": "export const { StrictMode, createElement, useEffect, useRef, useState } = React;",
    "client.js": "export const { createRoot } = ReactDOM;",
}
_BUNDLED = (
    '<script src="/react.production.min.js"></script>'
    '<script src="/react-dom.production.min.js"></script>'
    f'<script type="importmap">{_IMPORTS}</script>'
)
_THEME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A blog</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>.entry-content > * {{ max-width: 20rem; margin-inline: auto }} * {{ color: navy }}
button {{ float: right; text-transform: uppercase; border-radius: 99px }}</style></head>
<body class="wp-site-blocks"><main><h1>News</h1><div class="entry-content">{block}</div></main></body></html>"""


class Host:
    """A web server of somebody else."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://localhost:{self._server.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


def copy(name: str, to: Path, prefs: str) -> Path:
    """An example with the reader's own prefcenter in the place of the placeholder."""
    folder = Path(shutil.copytree(EXAMPLES / name, to / name))
    found = 0
    for file in folder.rglob("*"):
        if file.suffix in _TEXT:
            text = file.read_text(encoding="utf-8")
            found += text.count(PLACEHOLDER)
            file.write_text(text.replace(PLACEHOLDER, prefs), encoding="utf-8")
    assert found, f"examples/{name} does not name {PLACEHOLDER}"
    return folder


def static(folder: Path) -> Flask:
    return Flask("static_example", static_folder=folder, static_url_path="")


def react(folder: Path) -> Flask:
    """The page with what a bundler adds, React being a copy of the published files."""
    page = folder / "index.html"
    html = page.read_text(encoding="utf-8")
    start = '<script type="module"'
    assert html.count(start) == 1
    page.write_text(html.replace(start, _BUNDLED + start), encoding="utf-8")
    for name, text in _MODULES.items():
        (folder / name).write_text(text, encoding="utf-8")
    for file in _REACT.glob("*.js"):
        shutil.copy(file, folder)
    return static(folder)


def wordpress(folder: Path) -> Flask:
    """The block within a theme that means no harm, and does some."""
    app = Flask("wordpress_example", static_folder=None)
    block = (folder / "block.html").read_text(encoding="utf-8")

    @app.get("/news")
    def post() -> Response:
        return Response(_THEME.format(block=block))

    return app


def own(folder: Path) -> Flask:
    """The example's own app.py."""
    spec = importlib.util.spec_from_file_location(f"example_{folder.name}", folder / "app.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where Flask looks for the folder of the templates
    spec.loader.exec_module(module)
    app = module.app
    assert isinstance(app, Flask)
    return app


MAKERS = {
    "static": static,
    "flask_shop": own,
    "react": react,
    "wordpress": wordpress,
    "checkout": own,
}
