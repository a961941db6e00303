"""The widget on bad lines, with a keyboard, for a screen reader; and that nothing jumps."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Frame, Page, Route, expect

from tests.browser import axe
from tests.browser.hosts import (
    BUTTON,
    IN_TIME,
    Record,
    Web,
    confirm_the_one_text,
    fill,
    press,
    see_sent,
    typed,
)
from tests.browser.shop import until

Visitor = Callable[..., BrowserContext]
_LOOK = """<style>body { margin: 1rem; background: #fff; color: #222 }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #eee } a { color: #9cf } }
  </style>"""


def see_kept(page: Page, number: str, words: str) -> None:
    """The page stays, says what to do, and holds what was typed."""
    expect(page.get_by_role("alert").filter(has_text=words)).to_be_visible()
    expect(page.get_by_role("button", name=BUTTON)).to_be_focused()
    expect(page.get_by_role("button", name=BUTTON)).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("textbox")).to_have_value(typed(number))
    expect(page.get_by_role("checkbox")).to_be_checked()


# --- bad lines --------------------------------------------------------------------------------


def test_when_sending_fails_what_was_typed_stays(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    """A line that breaks, and a server that is down, with and without leave to read its answer."""
    page = visitor().new_page()
    page.goto(web.bob.page(web.snippet()))
    readable = {"Access-Control-Allow-Origin": web.bob.url}
    faults: list[Callable[[Route], None]] = [
        lambda route: route.abort("connectionreset"),
        lambda route: route.fulfill(status=503, body="<h1>Sorry</h1>"),
        lambda route: route.fulfill(status=503, body="<h1>Sorry</h1>", headers=readable),
    ]
    fill(page, number)
    for fault in faults:
        page.route(web.post, fault)
        press(page)
        see_kept(page, number, "That did not work. Try again in a few minutes.")
        page.unroute(web.post)
    page.context.set_offline(True)
    press(page)
    see_kept(page, number, "You seem to be offline. Nothing was sent.")
    page.context.set_offline(False)
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    assert record.told == ["ready", *(["submit", "error"] * 4), "submit", "sent"]


def test_on_a_slow_line_a_double_click_and_enter_send_once(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(web.snippet()))
    held: list[Route] = []
    page.route(web.post, lambda route: held.append(route))
    fill(page, number)
    page.get_by_role("button", name=BUTTON).dblclick()
    busy = page.get_by_role("button", name="Sending…")
    expect(busy).to_have_attribute("aria-busy", "true")
    record.wait(page, lambda: held, "the request")
    busy.click()
    page.get_by_role("textbox").press("Enter")
    held[0].continue_()
    see_sent(page, number)
    assert len(record.posts) == 1
    confirm_the_one_text(web.shop, number)


def test_a_form_that_was_open_for_an_hour_gets_a_new_pass_by_itself(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.clock.install()
    page.goto(web.bob.page(web.snippet()))
    fill(page, number)
    page.wait_for_load_state("networkidle")
    page.clock.fast_forward("01:01:00")
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    assert record.to_prefs()[1:] == [f"/o/{web.key}/challenge"] * 2 + [f"/o/{web.key}"]


def test_a_pass_that_the_server_finds_too_old_is_replaced_once(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    """A token of another site stands for the old one; the server says of both that it is stale."""
    page = visitor().new_page()
    page.goto(web.bob.page(web.snippet()))
    given: list[str] = []

    def spoil(route: Route) -> None:
        answer = route.fetch()
        given.append(answer.json()["token"])
        wrong = {**answer.json(), "token": "a" + given[-1]} if len(given) == 1 else answer.json()
        route.fulfill(response=answer, json=wrong)

    page.route(f"{web.post}/challenge", spoil)
    fill(page, number)
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    posted = [post.response() for post in record.posts]
    assert [answer.status for answer in posted if answer] == [400, 200]


# --- nothing jumps ----------------------------------------------------------------------------

_SHIFTS = """() => { window.shift = 0; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) shift += entry.value;
}).observe({type: "layout-shift", buffered: true}) }"""
_SETTLED = (
    "() => new Promise((go) => requestAnimationFrame(() => setTimeout(() => go(shift), 100)))"
)


@pytest.mark.parametrize("width", [280, 360, 768, 1280])
@pytest.mark.parametrize("kind", ["element", "field"])
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("rules", [False, True], ids=["lines alone", "with rules"])
def test_nothing_on_a_page_with_the_snippet_jumps_when_the_script_comes_late(
    web: Web, visitor: Visitor, width: int, kind: str, language: str, rules: bool
) -> None:
    """The lines as `prefcenter site snippet` prints them; or without the svg, and the rules in
    the page's style sheet."""
    page = visitor(viewport={"width": width, "height": 900}).new_page()
    page.add_init_script(f"({_SHIFTS})()")
    held: list[Route] = []
    page.route(f"{web.prefs}/w/*.js", lambda route: held.append(route))
    pasted = web.snippet(kind, language)
    pasted = f"<form>{pasted}</form>" if kind == "field" else pasted
    body = f"<h1>Shop</h1><p>Before</p>{pasted}<p>After</p>"
    head = f"<style>{web.style(kind, language)}</style>" if rules else ""
    if rules:
        body = re.sub("<svg.*?</svg>", "", body)
    page.goto(web.bob.page(body, head=head), wait_until="commit")
    expect(page.get_by_text("After")).to_be_visible()
    page.wait_for_timeout(1_000)
    assert page.evaluate(_SETTLED) == 0
    [script] = held
    script.continue_()
    expect(page.locator("[part=box]")).to_have_count(1)
    assert page.evaluate(_SETTLED) == 0
    room = page.locator("prefcenter-optin").evaluate("(it) => it.offsetHeight")
    form = page.locator("[part=box]").evaluate("(it) => it.parentElement.offsetHeight")
    assert form <= room < form + (140 if rules else 200), "room enough, and not much more"


@pytest.mark.parametrize("column", [220, 280, 320])
def test_nor_in_a_narrow_column_of_a_wide_page(web: Web, visitor: Visitor, column: int) -> None:
    page = visitor(viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script(f"({_SHIFTS})()")
    page.route(f"{web.prefs}/w/*.js", _after_a_second)
    head = f"<style>aside {{ width: {column}px }} {web.style(column=column)}</style>"
    page.goto(web.bob.page(f"<aside>{web.snippet()}<p>After</p></aside>", head=head))
    expect(page.locator("[part=box]")).to_have_count(1)
    assert page.evaluate(_SETTLED) == 0


def _after_a_second(route: Route) -> None:
    time.sleep(1)  # the script comes late: that is what is tried
    route.continue_()


def test_with_the_script_before_the_element_nothing_jumps_either(
    web: Web, visitor: Visitor
) -> None:
    """The other way of docs/embed.md."""
    page = visitor().new_page()
    page.add_init_script(f"({_SHIFTS})()")
    first = web.script.replace("async ", "")
    page.goto(web.bob.page(f"<h1>Shop</h1>{web.element()}<p>After</p>", head=first))
    expect(page.locator("[part=box]")).to_have_count(1)
    assert page.evaluate(_SETTLED) == 0


def test_without_room_a_late_widget_would_move_the_page(web: Web, visitor: Visitor) -> None:
    """The test above measures something."""
    page = visitor().new_page()
    page.add_init_script(f"({_SHIFTS})()")
    bare = re.sub("<svg.*?</svg>", "", web.element())
    page.goto(web.bob.page(f"{bare}<p>After</p>"))
    assert page.evaluate(_SETTLED) == 0
    page.add_script_tag(url=f"{web.prefs}/w/{web.key}.js")
    expect(page.locator("[part=box]")).to_have_count(1)
    assert page.evaluate(_SETTLED) > 0


# --- for everybody ----------------------------------------------------------------------------


def test_alice_signs_up_by_keyboard_alone(web: Web, visitor: Visitor, number: str) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(f'<a href="/1">Before</a>{web.snippet()}<a href="/1">After</a>'))
    expect(page.locator("[part=box]")).to_have_count(1)
    page.get_by_role("link", name="Before").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("textbox", name="Mobile number")).to_be_focused()
    page.keyboard.press("Enter")
    said = re.compile(r"country code\. Enter your mobile number, like \(201\) 555-0123$")
    expect(page.get_by_role("textbox")).to_have_accessible_description(said)
    page.keyboard.type(typed(number))
    page.keyboard.press("Enter")
    expect(page.get_by_role("checkbox")).to_be_focused()
    expect(page.get_by_role("alert").filter(has_text="Tick the box")).to_be_visible()
    page.keyboard.press("Space")
    for name in ("Terms", "Privacy"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name=BUTTON)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="After")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    see_sent(page, number)
    expect(page.get_by_role("status")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Use another number")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox")).to_be_focused()
    expect(page.get_by_role("textbox")).to_have_value("")
    confirm_the_one_text(web.shop, number)


def faults(page: Page, where: Frame | None = None, kind: str = "") -> Iterator[str]:
    """What is wrong in one state."""
    yield from (f"{kind} {fault}" for fault in axe.faults(page, where))


def test_axe_finds_nothing_in_any_state_of_the_element(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    body = f"<main><h1>Shop</h1>{web.snippet()}</main>"
    page.goto(web.bob.page(body, head=_LOOK))
    expect(page.locator("[part=box]")).to_have_count(1)
    found = [*faults(page, kind="empty")]
    press(page)
    expect(page.get_by_text("Tick the box")).to_be_visible()
    found += faults(page, kind="errors")
    held: list[Route] = []
    page.route(web.post, lambda route: held.append(route))
    fill(page, number)
    press(page)
    expect(page.get_by_role("button")).to_have_text("Sending…")
    found += faults(page, kind="sending")
    record.wait(page, lambda: held, "the request")
    held[0].continue_()
    see_sent(page, number)
    assert [*found, *faults(page, kind="sent")] == []


def test_axe_finds_nothing_where_the_look_is_the_hosts_or_it_is_a_field(
    web: Web, visitor: Visitor
) -> None:
    page = visitor().new_page()
    form = f"<form>{web.snippet('field')}<button>Pay</button></form>"
    body = f"<main><h1>Shop</h1>{web.element('unstyled')}{form}</main>"
    page.goto(web.bob.page(body, head=_LOOK))
    expect(page.locator("[part=box]")).to_have_count(2)
    assert [*faults(page)] == []


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_axe_finds_nothing_in_the_frame_and_its_pages(
    web: Web, visitor: Visitor, number: str, scripts: bool
) -> None:
    page = visitor().new_page()
    if not scripts:  # of ours; axe itself is one
        page.route("**/*.js", lambda route: route.abort())
    page.goto(web.bob.page(f"<main>{web.frame()}</main>", head=_LOOK))
    frame = page.frame_locator("iframe")
    found: list[str] = []

    def look(kind: str, role: Any, words: str) -> None:
        expect(frame.get_by_role(role).filter(has_text=words).first).to_be_visible(timeout=15_000)
        since = time.monotonic()
        found.extend(faults(page, page.frames[1], kind))
        if not scripts:
            until(lambda: time.monotonic() - since > IN_TIME, "somebody who reads")

    look("form", "heading", "Get texts from Marlow Books")
    press(frame)
    look("errors", "alert", "Tick the box if you agree")
    fill(frame, number)
    press(frame)
    if not scripts:
        look("one more step", "heading", "One more step")
        press(frame, "Text me the link")
    look("sent", "heading", "Look at your phone")
    assert found == []
    confirm_the_one_text(web.shop, number)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_in_the_frame_another_language_and_another_number_by_keyboard(
    web: Web, visitor: Visitor, number: str, scripts: bool
) -> None:
    """Each is where the next Tab expects it, and axe finds nothing after either."""
    page = visitor().new_page()
    if not scripts:
        page.route("**/*.js", lambda route: route.abort())
    page.goto(web.bob.page(f"<main>{web.frame()}</main>", head=_LOOK))
    frame = page.frame_locator("iframe")
    heading = frame.get_by_role("heading", level=1)
    found: list[str] = []

    def go(role: Any, name: str, next_heading: str) -> None:
        frame.get_by_role(role, name=name).focus()
        page.keyboard.press("Enter")
        expect(heading).to_have_text(next_heading)
        if scripts:
            expect(frame.locator("[part=box]")).to_have_count(1)
        found.extend(faults(page, page.frames[1], name))

    expect(heading).to_have_text("Get texts from Marlow Books")
    go("link", "Español", "Reciba mensajes de Marlow Books")
    page.keyboard.press("Tab")
    expect(frame.get_by_role("link", name="English")).to_be_focused()
    page.keyboard.press("Tab")
    expect(frame.get_by_role("textbox")).to_be_focused()
    go("link", "English", "Get texts from Marlow Books")
    fill(frame, number)
    press(frame)
    if not scripts:
        again = "Use another number"
        expect(heading).to_have_text("One more step")
        go("link", again, "Get texts from Marlow Books")
        page.keyboard.press("Tab")
        expect(frame.get_by_role("link", name="Español")).to_be_focused()
        assert found == []
        return
    see_sent(frame, number)
    expect(frame.get_by_role("status")).to_be_focused()
    go("button", "Use another number", "Get texts from Marlow Books")
    expect(frame.get_by_role("textbox")).to_be_focused()
    expect(frame.get_by_role("textbox")).to_have_value("")
    assert found == []
    confirm_the_one_text(web.shop, number)
