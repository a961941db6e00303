"""The element on a page of somebody else's: it signs up, survives its host and says no number."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from flask_babel import force_locale
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from prefcenter import clock
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.web import pages
from tests.browser.shop import Shop, until

KEY = "book-shop"
ABOUT = {"en": "new books and events", "es": "libros nuevos y actos"}
PLAIN = """<form method="post" action="{here}/o/{key}">
<p><label>Mobile number <input type="tel" name="number"></label></p>
<p><label><input type="checkbox" name="consent" value="yes"> I agree</label></p>
<input type="hidden" name="text_version" value="{version}">
<button>Text me</button></form>"""
FIELDS = """<input type="tel" name="sms_number" required>
<input type="checkbox" name="sms_consent" value="yes" required>
<input type="hidden" name="sms_text_version" value="old">"""
EVENTS = """() => {
  window.told = [];
  for (const name of ["submit", "sent", "error"])
    document.addEventListener(`prefcenter:${name}`, (event) => told.push([name, event.detail]));
}"""


class Host:
    """A website of another origin: the pages that a test gives it, and what they post to it."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, str]] = {}
        self.posted: list[dict[str, list[str]]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body, policy = host.pages.get(self.path, ("", ""))
                self.answer(body, policy)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                host.posted.append(parse_qs(body, keep_blank_values=True))
                self.answer("<h1>Thank you for your order</h1>", "")

            def answer(self, body: str, policy: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"  # the shop's is 127.0.0.1
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self, path: str, body: str, *, policy: str = "", html: str = 'lang="en"') -> str:
        document = f"<!doctype html><html {html}><title>Shop</title><body>{body}</body></html>"
        self.pages[path] = (document, policy)
        return self.url + path

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def host(shop: Shop) -> Iterator[Host]:
    host = Host()
    with shop.app.app_context(), writing():
        sites.add(KEY, "Book shop", origins=[host.url], about=ABOUT, now=clock.now())
        db.session.commit()
    yield host
    host.close()


@pytest.fixture
def page(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Page]:
    """A browser that keeps no cookies and may go to both; what it complains of is a fault."""
    context: BrowserContext = browser.new_context(**browser_context_args)
    context.set_default_timeout(10_000)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    yield context.new_page()
    assert context.cookies() == []
    context.close()
    assert errors == []


@pytest.fixture
def widget(shop: Shop) -> Callable[..., str]:
    """The lines that a developer pastes."""

    def lines(attributes: str = "", inner: str = PLAIN, *, script: bool = True) -> str:
        plain = inner.format(here=shop.url, key=KEY, version=pages.text_version(text(shop)))
        source = f'<script async src="{shop.url}/w/{KEY}.js"></script>' if script else ""
        return f"<prefcenter-optin {attributes}>{plain}</prefcenter-optin>{source}"

    return lines


def text(shop: Shop, language: str = "en") -> str:
    with shop.app.test_request_context(), force_locale(language):
        return pages.shown_text("signup", language, about=ABOUT[language])


def typing(page: Page) -> Locator:
    """Ours; the plain form's own field stays in the page, unseen."""
    return page.locator("prefcenter-optin input[type=tel]:visible")


def box(page: Page) -> Locator:
    return page.locator("prefcenter-optin input[type=checkbox]:visible")


def press(page: Page, label: str = "Text me a link to confirm") -> None:
    page.get_by_role("button", name=label, exact=True).click()


def shadow(page: Page, code: str) -> Any:
    return page.locator("prefcenter-optin").first.evaluate(f"(host) => host.shadowRoot{code}")


STRICT = (
    "default-src 'none'; style-src 'self'; script-src {shop}; connect-src {shop};"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


def test_alice_signs_up_on_a_page_with_a_strict_policy(
    shop: Shop, host: Host, page: Page, number: str, widget: Callable[..., str]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    address = host.page("/strict", widget(), policy=STRICT.format(shop=shop.url))
    page.goto(address)
    expect(typing(page)).to_be_visible()
    assert asked == [address, f"{shop.url}/w/{KEY}.js"]  # nothing else before the first focus
    page.evaluate(EVENTS)
    typing(page).fill(number[2:])
    box(page).check()
    press(page)
    expect(page.get_by_role("button")).to_have_text("Sending…")
    press(page, "Sending…")
    expect(page.get_by_role("heading", level=2)).to_have_text("Look at your phone")
    status = page.get_by_role("status")
    expect(status).to_be_focused()
    expect(status).to_contain_text(f"the number ending {number[-4:]}, a text is on its way")
    expect(status).to_contain_text("We will text +1 202-555-")
    assert shop.texted(number, "/c/")
    assert asked[2:] == [f"{shop.url}/o/{KEY}/challenge", f"{shop.url}/o/{KEY}"]
    assert len(shop.texts(number)) == 1
    told = page.evaluate("told")
    assert [name for name, _detail in told] == ["submit", "sent"]
    assert number[-7:] not in str(told)
    press(page, "Use another number")
    expect(typing(page)).to_be_focused()
    expect(typing(page)).to_have_value("")
    expect(box(page)).not_to_be_checked()


def test_bob_is_told_what_is_missing_and_what_is_wrong(
    host: Host, page: Page, widget: Callable[..., str]
) -> None:
    page.goto(host.page("/errors", widget()))
    press(page)
    expect(typing(page)).to_be_focused()
    expect(typing(page)).to_have_accessible_description(
        "US number, or start with + and the country code."
        " Enter your mobile number, like (201) 555-0123"
    )
    expect(box(page)).to_have_accessible_description("Tick the box if you agree to get texts")
    typing(page).fill("202 55")
    box(page).check()
    press(page)
    alert = page.get_by_role("alert").filter(has_text="too short")
    expect(alert).to_be_visible()
    expect(typing(page)).to_be_focused()
    expect(typing(page)).to_have_value("202 55")
    expect(box(page)).to_be_checked()


def test_where_the_page_lets_nothing_be_fetched_the_form_is_sent_as_a_form(
    shop: Shop, host: Host, page: Page, number: str, widget: Callable[..., str]
) -> None:
    policy = f"default-src 'none'; script-src {shop.url}; form-action {shop.url}"
    page.goto(host.page("/no-connect", widget(), policy=policy))
    typing(page).fill(number[2:])
    box(page).check()
    press(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("One more step")
    assert shop.texts(number) == []


def test_a_form_that_is_stale_after_all_is_sent_once_more_by_itself(
    shop: Shop, host: Host, page: Page, number: str, widget: Callable[..., str]
) -> None:
    refused = 0

    def answer(route: Route) -> None:
        nonlocal refused
        refused += 1
        if refused > stale:
            return route.continue_()
        headers = {"Access-Control-Allow-Origin": host.url}
        said = {"status": "stale", "message": "This form is too old."}
        return route.fulfill(status=400, json=said, headers=headers)

    page.route(f"{shop.url}/o/{KEY}", answer)
    page.goto(host.page("/stale", widget()))
    typing(page).fill(number[2:])
    box(page).check()
    stale = 2
    press(page)
    expect(page.get_by_role("alert").filter(has_text="This form is too old.")).to_be_visible()
    assert refused == 2
    stale, refused = 1, 0
    press(page)
    expect(page.get_by_role("heading", level=2)).to_have_text("Look at your phone")
    assert refused == 2


def test_without_a_signal_nothing_is_sent_and_nothing_is_lost(
    shop: Shop, host: Host, page: Page, number: str, widget: Callable[..., str]
) -> None:
    page.goto(host.page("/offline", widget()))
    typing(page).fill(number[2:])
    box(page).check()
    page.context.set_offline(True)
    press(page)
    expect(page.get_by_text("You seem to be offline. Nothing was sent.")).to_be_visible()
    expect(typing(page)).to_have_value(number[2:])
    page.context.set_offline(False)
    press(page)
    expect(page.get_by_role("heading", level=2)).to_have_text("Look at your phone")


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_people_agree_to_is_the_stored_text_and_a_hostile_host_cannot_hide_it(
    shop: Shop, host: Host, page: Page, widget: Callable[..., str], language: str
) -> None:
    hostile = """<style>* { all: unset !important } prefcenter-optin { font-size: 1px !important;
      color: transparent !important; --pc-bg: #595650; --pc-font: none; --ink2: #fff; --card: #fff }
      ::part(box) { z-index: 9 !important; opacity: 0 !important } html { font-size: 3px }</style>"""
    page.goto(host.page("/hostile", hostile + widget(f"lang={language} unstyled")))
    terms = page.locator("prefcenter-optin .terms")
    expect(terms).to_be_visible()
    assert terms.text_content() == text(shop, language)
    style = terms.evaluate(
        "(it) => { const s = getComputedStyle(it);"
        " return [s.color, s.backgroundColor, parseFloat(s.fontSize), s.opacity] }"
    )
    assert style == ["rgb(89, 86, 80)", "rgb(255, 255, 255)", 14, "1"]
    links = terms.get_by_role("link").evaluate_all("(all) => all.map((it) => it.href)")
    assert links == [f"{shop.url}/terms", f"{shop.url}/privacy"]


def test_it_is_built_once_wherever_the_page_moves_it(
    host: Host, page: Page, widget: Callable[..., str]
) -> None:
    """Script twice, several elements, moved, removed and put back, made by the page itself."""
    before = "<script>window.names = Object.keys(window).length</script>"
    page.goto(host.page("/moved", before + widget("heading=4") + widget()))
    expect(typing(page)).to_have_count(2)
    assert page.evaluate("Object.keys(window).length - names") == 1  # `names` itself
    expect(page.get_by_role("heading", level=4)).to_be_visible()
    typing(page).first.fill("202")
    page.evaluate(
        """() => { const first = document.querySelector("prefcenter-optin");
        document.body.append(first); first.remove(); document.body.append(first);
        document.body.append(document.createElement("prefcenter-optin")); }"""
    )
    expect(typing(page)).to_have_count(3)
    assert typing(page).evaluate_all("(all) => all.map((it) => it.value)") == ["", "202", ""]


def test_what_was_typed_before_the_script_came_is_kept_but_no_tick(
    shop: Shop, host: Host, page: Page, widget: Callable[..., str]
) -> None:
    page.goto(host.page("/late", widget(script=False)))
    page.get_by_label("I agree").check()
    page.get_by_label("Mobile number").fill("202 555")
    page.add_script_tag(url=f"{shop.url}/w/{KEY}.js")
    expect(typing(page)).to_have_value("202 555")
    expect(typing(page)).to_be_focused()
    expect(box(page)).not_to_be_checked()


def test_as_a_field_it_adds_to_the_hosts_form_only_with_a_tick(
    host: Host, page: Page, shop: Shop, widget: Callable[..., str]
) -> None:
    early = f'<script src="{shop.url}/w/{KEY}.js"></script>'
    form = '<form method="post" action="/order"><input name="book" value="7">%s<button>Order</button></form>'
    address = host.page("/checkout", early + form % widget("field", FIELDS, script=False))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(address)
    typing(page).fill("2025550143")
    press(page, "Order")
    expect(page.get_by_role("heading")).to_have_text("Thank you for your order")
    assert host.posted.pop() == {"book": ["7"]}

    page.goto(address)
    box(page).check()
    press(page, "Order")  # the browser says what is missing and sends nothing
    expect(typing(page)).to_be_focused()
    assert host.posted == []
    typing(page).fill("2025550143")
    press(page, "Order")
    expect(page.get_by_role("heading")).to_have_text("Thank you for your order")
    assert host.posted.pop() == {
        "book": ["7"],
        "sms_number": ["2025550143"],
        "sms_consent": ["yes"],
        "sms_text_version": [pages.text_version(text(shop))],
    }

    page.goto(address)
    typing(page).fill("2025550143")
    box(page).check()
    page.evaluate("document.forms[0].reset()")
    expect(box(page)).not_to_be_checked()
    expect(typing(page)).to_have_value("")
    press(page, "Order")
    expect(page.get_by_role("heading")).to_have_text("Thank you for your order")
    assert host.posted.pop() == {"book": ["7"]}
    assert {url for url in asked if url.startswith(shop.url)} == {f"{shop.url}/w/{KEY}.js"}


def test_in_a_frame_it_says_its_height_to_its_own_site_and_to_no_other(
    shop: Shop, host: Host, page: Page, number: str
) -> None:
    frame = f"""<script>window.heard = []; addEventListener("message", (event) =>
      heard.push([event.origin, event.data]))</script>
      <iframe src="{shop.url}/w/{KEY}" title="Texts" width="340" height="700"></iframe>"""
    page.goto(host.page("/frame", frame))
    inside = page.frame_locator("iframe")
    field = inside.locator("input[type=tel]:visible")
    expect(inside.get_by_role("heading", level=1)).to_have_text("Get texts from Marlow Books")
    origin, data = until(lambda: page.evaluate("heard[0]"), "the height")
    assert (origin, data["type"]) == (shop.url, "prefcenter:height")
    assert 300 < data["height"] < 700
    field.fill(number[2:])
    inside.locator("input[type=checkbox]:visible").check()
    inside.get_by_role("button").click()
    expect(inside.get_by_role("status")).to_contain_text("Look at your phone")
    assert shop.texted(number, "/c/")
    assert number[-7:] not in str(page.evaluate("heard"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_280_px_and_runs_as_its_words_do(
    host: Host, page: Page, widget: Callable[..., str], theme: str
) -> None:
    page.set_viewport_size({"width": 280, "height": 700})
    narrow = "<style>body { margin: 0 }</style>" + widget(f"theme={theme}")
    page.goto(host.page(f"/narrow-{theme}", narrow, html='lang="ar" dir="rtl"'))
    expect(typing(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 280
    tick, words = box(page).bounding_box(), page.locator(".terms span").bounding_box()
    assert tick is not None and words is not None
    assert tick["x"] < words["x"]
    shadow(page, ".querySelector('h2').textContent = 'رسائل'")  # no language of ours runs so yet
    tick, words = box(page).bounding_box(), page.locator(".terms span").bounding_box()
    assert tick is not None and words is not None
    assert tick["x"] > words["x"]
    button = page.get_by_role("button").bounding_box()
    assert button is not None and button["height"] >= 48
    ground = shadow(
        page, ".querySelector('[part=box]').computedStyleMap().get('background-color')+''"
    )
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(29, 31, 28)"}[theme]


def test_the_host_may_stop_a_form_and_no_number_is_in_what_it_hears(
    shop: Shop, host: Host, page: Page, number: str, widget: Callable[..., str]
) -> None:
    page.goto(host.page("/cancel", widget()))
    typing(page).fill(number[2:])
    box(page).check()
    page.evaluate(EVENTS)
    page.evaluate("addEventListener('prefcenter:submit', (event) => event.preventDefault())")
    press(page)
    assert page.evaluate("told") == [["submit", None]]
    expect(page.get_by_role("button")).to_have_text("Text me a link to confirm")
    assert shop.texts(number) == []
