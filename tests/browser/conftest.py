"""One server and one browser for all; every page that a test opens is watched."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Request

from tests.browser import hosts
from tests.browser.hosts import Record, Web
from tests.browser.shop import Shop

PHONE = {"width": 360, "height": 740}

# Playwright puts this into each page before the page's own scripts.
_REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error("Content Security Policy:", event.violatedDirective, event.blockedURI));"""


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    yield shop
    shop.close()


@pytest.fixture(scope="session")
def base_url(shop: Shop) -> str:
    return shop.url


@pytest.fixture
def number(shop: Shop) -> str:
    """This test's own phone number."""
    return shop.number()


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """A phone; without the notes' fade, in which colours are neither here nor there."""
    return {
        **browser_context_args,
        "viewport": PHONE,
        "locale": "en-US",
        "reduced_motion": "reduce",
    }


class Watch:
    """What no page may do, whatever a test is about: SEC-4, DESIGN's zero budgets."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        self._contexts: list[BrowserContext] = []

    def add(self, context: BrowserContext) -> None:
        self._contexts.append(context)
        context.add_init_script(_REPORT)
        context.on("console", self._heard)
        context.on("request", self._asked)
        context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.faults.append(f"request to others: {request.url}")

    def check(self) -> None:
        for context in self._contexts:
            self.faults += [f"cookie: {cookie['name']}" for cookie in context.cookies()]
            for page in context.pages:
                if page.url.startswith(self.url):
                    self.faults += page.evaluate(
                        "[...Object.keys(localStorage), ...Object.keys(sessionStorage)]"
                        ".map((key) => `web storage: ${key}`)"
                    )
        assert self.faults == []


@pytest.fixture
def new_context(
    new_context: Callable[..., BrowserContext], shop: Shop
) -> Iterator[Callable[..., BrowserContext]]:
    """pytest-playwright's maker of contexts, also behind `page`; ours are watched."""
    watch = Watch(shop.url)

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        context.set_default_timeout(10_000)
        watch.add(context)
        return context

    yield make
    watch.check()


@pytest.fixture(scope="session")
def web(shop: Shop) -> Iterator[Web]:
    """Websites with the widget in them."""
    with hosts.opened(shop) as web:
        yield web


@pytest.fixture
def record(web: Web) -> Record:
    """What the pages that `visitor` opens did."""
    return Record(web)


@pytest.fixture
def visitor(
    browser: Browser, browser_context_args: dict[str, Any], record: Record
) -> Iterator[Callable[..., BrowserContext]]:
    """Somebody who comes to a website; `options` are their browser's."""

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{**browser_context_args, "base_url": None, **options})
        context.set_default_timeout(10_000)
        record.add(context)
        return context

    yield make
    try:
        record.check()
    finally:
        for context in record.contexts:
            context.close()
