"""Websites of others, with the widget in them: pages given as text, with their owner's headers.

The shop answers at 127.0.0.1 and these at localhost, which browsers take for two sites.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from playwright.sync_api import BrowserContext, ConsoleMessage, FrameLocator, Page, Request, expect

from prefcenter import clock
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.web import snippets
from tests.browser.shop import Shop, until

SITE = "bobs-shop"
ABOUT = {"en": "sales and new books", "es": "rebajas y libros nuevos"}
BUTTON = "Text me a link to confirm"
IN_TIME = 2.1  # s; anything sooner than 2 s is taken for a program
_PAGE = """<!doctype html>
<html lang="{lang}" dir="{dir}"><head><meta charset="utf-8"><title>Bob’s shop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head>
<body>{body}</body></html>"""
# Says aloud what the element tells the page, also inside frames.
_LISTEN = """for (const name of ["ready", "submit", "sent", "error"])
  addEventListener("prefcenter:" + name, (event) =>
    console.debug("told", event.type, JSON.stringify(event.detail)));"""


class Website:
    """One origin with any number of pages."""

    def __init__(self) -> None:
        self._pages: dict[str, tuple[dict[str, str], bytes]] = {}
        self._paths = count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def page(
        self,
        body: str,
        *,
        csp: str = "",
        head: str = "",
        lang: str = "en",
        direction: str = "ltr",
        **headers: str,
    ) -> str:
        """The address of a new page."""
        html = _PAGE.format(lang=lang, dir=direction, head=head, body=body)
        if csp:
            headers["Content-Security-Policy"] = csp
        return self.file(html, "text/html; charset=utf-8", **headers)

    def file(self, text: str, kind: str, **headers: str) -> str:
        path = f"/{next(self._paths)}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self._pages[path] = ({"Content-Type": kind, **sent}, text.encode())
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                nothing: tuple[dict[str, str], bytes] = ({}, b"")
                path = self.path.partition("?")[0]
                headers, body = pages.get(path, nothing)
                self.send_response(200 if path in pages else 404)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@dataclass(frozen=True)
class Web:
    """The shop's widget, Bob's website that may show it, and Mallory's that may not."""

    shop: Shop
    bob: Website
    mallory: Website
    key: str

    @property
    def prefs(self) -> str:
        return self.shop.url

    @property
    def post(self) -> str:
        """Where every form of the site posts."""
        return f"{self.prefs}/o/{self.key}"

    @property
    def script(self) -> str:
        return f'<script async src="{self.prefs}/w/{self.key}.js"></script>'

    def snippet(self, kind: str = "element", language: str = "en") -> str:
        """What `prefcenter site snippet` prints."""
        with self.shop.app.app_context():
            place = sites.find(self.key, now=clock.now())
            assert place is not None
            return snippets.html(place, kind, language)

    def style(self, kind: str = "element", language: str = "en", column: int | None = None) -> str:
        """The rules for a style sheet that it prints as well."""
        with self.shop.app.app_context():
            place = sites.find(self.key, now=clock.now())
            assert place is not None
            return snippets.style(place, kind, language, column=column)

    def element(self, attributes: str = "") -> str:
        """The element with its plain form, without its script."""
        plain = self.snippet().partition("<script")[0]
        return plain.replace("<prefcenter-optin", f"<prefcenter-optin {attributes}")

    def frame(self, attributes: str = "") -> str:
        return self.snippet("frame").replace("<iframe", f"<iframe {attributes}")


@contextmanager
def opened(shop: Shop) -> Iterator[Web]:
    """Both websites, one of them on the list of a new site of the shop."""
    bob, mallory = Website(), Website()
    try:
        with shop.app.app_context(), writing():
            site = sites.add(SITE, "Bob’s shop", origins=[bob.url], about=ABOUT, now=clock.now())
            key = site.key
            db.session.commit()
        yield Web(shop, bob, mallory, key)
    finally:
        bob.close()
        mallory.close()


@dataclass
class Record:
    """All that could leak, or cost the host page something."""

    web: Web
    requests: list[Request] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def add(self, context: BrowserContext) -> None:
        context.add_init_script(_LISTEN)
        context.on("request", lambda request: self.requests.append(request))
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))
        self.contexts.append(context)

    def _heard(self, message: ConsoleMessage) -> None:
        self.console.append(message.text)

    def wait(self, page: Page, look: Callable[[], object], what: str) -> None:
        """Until something was recorded; the browser's news come in meanwhile."""

        def seen() -> object:
            page.wait_for_timeout(20)
            return look()

        until(seen, what)

    def hear(self, page: Page, words: str) -> None:
        """Wait for words on the console."""
        self.wait(page, lambda: words in "\n".join(self.console), words)

    @property
    def told(self) -> list[str]:
        """The element's events so far, by their names."""
        return [text.split()[1].partition(":")[2] for text in self.console if "told pref" in text]

    @property
    def posts(self) -> list[Request]:
        return [request for request in self.requests if request.method == "POST"]

    def to_prefs(self) -> list[str]:
        """The paths that the shop was asked for."""
        mine = [request.url for request in self.requests if request.url.startswith(self.web.prefs)]
        return [url.removeprefix(self.web.prefs) for url in mine]

    def check(self) -> None:
        """What holds in every test: no cookie, no script error, nobody else is asked."""
        known = (self.web.prefs, self.web.bob.url, self.web.mallory.url, "data:", "about:")
        for request in self.requests:
            if not request.url.startswith(known):
                self.faults.append(f"request to others: {request.url}")
        for context in self.contexts:
            self.faults += [f"cookie: {cookie['name']}" for cookie in context.cookies()]
        assert self.faults == []


def typed(number: str) -> str:
    """As people write it: (202) 555-2000."""
    return f"({number[2:5]}) {number[5:8]}-{number[8:]}"


def fill(where: Page | FrameLocator, number: str) -> None:
    where.get_by_role("textbox", name="Mobile number").fill(typed(number))
    where.get_by_role("checkbox").check()


def press(where: Page | FrameLocator, name: str = BUTTON) -> None:
    where.get_by_role("button", name=name).click()


def see_sent(where: Page | FrameLocator, number: str) -> None:
    expect(where.get_by_role("heading", name="Look at your phone")).to_be_visible(timeout=15_000)
    expect(where.get_by_role("status")).to_contain_text(f"the number ending {number[-4:]}")


def confirm_the_one_text(shop: Shop, number: str) -> None:
    """One text is queued, and its link turns the texts on."""
    link = shop.texted(number, "/c/")
    assert len(shop.texts(number)) == 1
    assert shop.post(link).status_code == 303
    until(lambda: len(shop.texts(number)) == 2, "the text that says texts are on")
