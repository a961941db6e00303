"""The widget on pages that fight it: their styles, their messages, and what they could overhear."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from prefcenter.web.brand import contrast
from tests.browser import axe
from tests.browser.hosts import (
    BUTTON,
    Record,
    Web,
    confirm_the_one_text,
    fill,
    press,
    see_sent,
    typed,
)

Visitor = Callable[..., BrowserContext]
_TRUSTED = "; require-trusted-types-for 'script'; trusted-types 'none'"
# What stands at 25 places all over the consent text, and how it looks.
_TERMS = """(host) => {
  const terms = host.shadowRoot.querySelector(".terms");
  terms.scrollIntoView({block: "center"});
  const {left, top, width, height} = terms.getBoundingClientRect();
  const at = [0.02, 0.25, 0.5, 0.75, 0.98];
  const over = at.flatMap((x) => at.map((y) =>
    host.shadowRoot.elementFromPoint(left + width * x, top + height * y)));
  const style = getComputedStyle(terms.querySelector("span"));
  return {
    inFront: over.every((element) => terms.contains(element)),
    seen: terms.checkVisibility({opacityProperty: true, visibilityProperty: true}),
    size: parseFloat(style.fontSize), ink: style.color,
    ground: getComputedStyle(terms).backgroundColor,
    words: terms.textContent, width, height,
  };
}"""
_ATTACKS = {
    "all unset": "* { all: unset !important }",
    "all initial": "* { all: initial !important }",
    "hidden children": "body * { display: none !important; visibility: hidden !important }",
    "tiny": "html { font-size: 1px } * { font: 1px/0 serif !important; letter-spacing: -1em }",
    "turned": "* { writing-mode: vertical-rl; text-indent: -99em; white-space: nowrap }",
    "inherited": """prefcenter-optin { visibility: hidden; color: transparent; font: 1px/0 serif;
      letter-spacing: -1em; text-indent: -99em; text-transform: uppercase; cursor: none }""",
    "same colour": "* { color: #fff !important; background: #fff !important }",
    "variables": """prefcenter-optin { --pc-bg: #595650; --pc-radius: 99em; --pc-font: none;
      --card: #595650; --ink: #fff; --ink2: #595650; --brand-ink: #595650; --tokens: none }""",
    "box in front": """::part(box) { z-index: 99 !important; inset: -9em !important;
      position: fixed !important; background: #fff !important; display: block !important }""",
    "error in front": """::part(error) { display: block !important; position: fixed !important;
      inset: 0 !important; z-index: 99 !important; background: #fff !important }
      ::part(error)::before { content: "Free books"; position: fixed !important; inset: 0;
      z-index: 99; background: #fff }""",
    "input in front": """::part(input) { position: absolute !important; inset: 0 !important;
      block-size: 99em !important; z-index: 99 !important }""",
    "button in front": """::part(button) { transform: translateY(-12em); min-block-size: 30em;
      margin-block-start: -20em; z-index: 99; opacity: .99 }
      ::part(button)::after { content: ""; position: absolute; inset: -30em; background: #fff }""",
}


def _digits(colour: str) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)[:3])


def see_terms(element: Locator) -> None:
    """Its consent text is in front of all else and can be read."""
    found = element.evaluate(_TERMS)
    assert (found["inFront"], found["seen"]) == (True, True), found
    assert found["size"] >= 14
    assert contrast(_digits(found["ink"]), _digits(found["ground"])) >= 4.5
    assert "I agree to get recurring automated marketing texts" in found["words"]
    assert found["height"] >= 100


@pytest.mark.parametrize("attack", _ATTACKS)
def test_no_style_of_the_host_hides_what_people_agree_to(
    web: Web, visitor: Visitor, attack: str
) -> None:
    page = visitor().new_page()
    style = f"<style>{_ATTACKS[attack]}</style>"
    for attribute in ("", "unstyled"):
        page.goto(web.bob.page(web.element(attribute) + web.script, head=style))
        expect(page.locator("[part=box]")).to_have_count(1)
        see_terms(page.locator("prefcenter-optin"))


def test_alice_signs_up_where_the_host_unsets_everything(
    web: Web, visitor: Visitor, number: str
) -> None:
    page = visitor(viewport={"width": 280, "height": 653}).new_page()
    body = f"<h1>Shop</h1>{web.element()}{web.script}{web.script}"
    style = "<style>* { all: unset !important }</style>"
    page.goto(web.bob.page(body, head=style, csp="require-trusted-types-for 'script'"))
    fill(page, number)
    assert [*axe.sideways(page, "among the host's styles")] == []
    press(page)
    see_sent(page, number)
    assert [*axe.sideways(page, "among the host's styles")] == []
    confirm_the_one_text(web.shop, number)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_hosts_to_choose(web: Web, visitor: Visitor, scheme: str) -> None:
    page = visitor(color_scheme=scheme).new_page()
    own = "<style>prefcenter-optin { --pc-bg: rgb(1, 2, 3); --pc-radius: 3px }</style>"
    themes = ["", 'theme="light"', 'theme="dark"', 'theme="auto"', "unstyled"]
    page.goto(web.bob.page("".join(map(web.element, themes)) + web.script, head=own))
    expect(page.get_by_role("button", name=BUTTON)).to_have_count(5)
    looks = page.evaluate(
        """() => [...document.querySelectorAll("prefcenter-optin")].map(({shadowRoot}) => {
          const box = getComputedStyle(shadowRoot.querySelector("[part=box]"));
          const terms = getComputedStyle(shadowRoot.querySelector(".terms"));
          return [terms.backgroundColor, box.backgroundColor, box.borderRadius] })"""
    )
    card = {"light": "rgb(255, 255, 255)", "dark": "rgb(29, 31, 28)"}
    grounds = [card[scheme], card["light"], card["dark"], card[scheme], card[scheme]]
    assert [look[0] for look in looks] == grounds
    assert [tuple(look[1:]) for look in looks[:4]] == [("rgb(1, 2, 3)", "3px")] * 4
    assert looks[4][1] == "rgba(0, 0, 0, 0)"


def test_in_forced_colours_edges_and_ticks_can_be_seen(web: Web, visitor: Visitor) -> None:
    page = visitor(forced_colors="active").new_page()
    page.goto(web.bob.page(web.snippet()))
    tick = page.get_by_role("checkbox")
    empty = tick.screenshot()
    tick.check()
    page.get_by_role("textbox").focus()
    assert tick.screenshot() != empty
    for part in ("box", "input", "button"):
        style = page.locator(f"[part={part}]").evaluate(
            "(it) => { const s = getComputedStyle(it);"
            " return [s.borderTopStyle, parseFloat(s.borderTopWidth)] }"
        )
        assert style[0] == "solid" and style[1] >= 1


def test_several_on_one_page_moved_while_they_are_used_are_each_their_own(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    """Alice fills in one, her partner another; the page plays with both; a third comes late."""
    other = web.shop.number()
    page = visitor().new_page()
    csp = f"default-src 'none'; script-src {web.prefs}; connect-src {web.prefs}" + _TRUSTED
    page.goto(
        web.bob.page(f"<main>{web.element('source=a')}{web.element()}</main>{web.script}", csp=csp)
    )
    elements = page.locator("prefcenter-optin")
    expect(page.get_by_role("button", name=BUTTON)).to_have_count(2)
    for place, mine in enumerate((number, other)):
        elements.nth(place).get_by_role("textbox").fill(typed(mine))
        elements.nth(place).get_by_role("checkbox").check()
    page.evaluate(
        """() => { const [first, second] = document.querySelectorAll("prefcenter-optin");
        first.remove(); document.body.append(first); document.querySelector("main").append(first);
        second.before(first);
        document.body.append(document.createElement("prefcenter-optin")); }"""
    )
    expect(page.get_by_role("button", name=BUTTON)).to_have_count(3)
    for place in (0, 1):
        elements.nth(place).get_by_role("button").click()
    for place, mine in enumerate((number, other)):
        status = elements.nth(place).get_by_role("status")
        expect(status).to_contain_text(mine[-4:], timeout=15_000)
    expect(elements.nth(2).get_by_role("textbox")).to_have_value("")
    confirm_the_one_text(web.shop, number)
    confirm_the_one_text(web.shop, other)
    assert [path for path in record.to_prefs() if path.endswith("/challenge")] == [
        f"/o/{web.key}/challenge"
    ] * 2
    assert record.told.count("sent") == 2


_FLOOD = """([target]) => {
  const to = target ? frames[0] : window;
  const odd = [null, undefined, 0, "", "prefcenter:sent", "prefcenter:height", [], {}, true, NaN,
    {type: "prefcenter:height", height: 1e9}, {type: "prefcenter:height", height: "<b>"},
    {type: "prefcenter:sent"}, {type: "prefcenter:error", reason: "x"}, {number: "1", consent: "yes"},
    {type: "prefcenter:submit", number: "+12025550143"}, new Map([[1, 2]]), new Date(), /x/, 10n,
    new Uint8Array(9), {__proto__: null, type: {}}, "x".repeat(5000), JSON.stringify({type: "submit"})];
  for (let i = 0; i < 5000; i++) to.postMessage(odd[i % odd.length], "*");
}"""
_STATE = """() => [document, ...[...document.querySelectorAll("prefcenter-optin")].map((e) =>
  e.shadowRoot)].map((root) => (root.documentElement || root).innerHTML || "").join("\\n")
  + [...document.querySelectorAll("prefcenter-optin")].map((e) =>
  e.shadowRoot.querySelector("[type=tel]").value)"""


def test_ten_thousand_odd_messages_change_nothing(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(web.snippet() + web.frame()), wait_until="networkidle")
    frame = page.frame_locator("iframe")
    fill(page, number)
    frame.get_by_role("textbox").fill("1")
    page.wait_for_load_state("networkidle")
    before = [part.evaluate(_STATE) for part in page.frames]
    asked, told = len(record.requests), record.told
    for target in (False, True):
        page.evaluate(_FLOOD, [target])
    arrived = "() => new Promise((go) => { addEventListener('message', go); postMessage('last') })"
    for part in page.frames:
        part.evaluate(arrived)
    assert [part.evaluate(_STATE) for part in page.frames] == before
    assert (len(record.requests), record.told) == (asked, told)
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)


_GLOBALS = "() => Object.getOwnPropertyNames(window).sort()"


def test_the_number_is_in_the_one_request_to_us_and_nowhere_else(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(
        web.bob.page(web.element() + f'<a href="{web.mallory.page("Hi")}">More</a>') + "?id=7#top"
    )
    before = page.evaluate(_GLOBALS)
    since = len(record.requests)
    page.add_script_tag(url=f"{web.prefs}/w/{web.key}.js")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
    assert page.evaluate(_GLOBALS) == before
    assert [request.url for request in record.requests[since:]] == [f"{web.prefs}/w/{web.key}.js"]
    fill(page, "+1202555")  # too short, so that an error is told too
    press(page)
    expect(page.get_by_text("That number is too short")).to_be_visible(timeout=15_000)
    fill(page, number)
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert kept == '[{},{},""]'
    page.get_by_role("link", name="More").click()
    expect(page.get_by_text("Hi")).to_be_visible()
    assert record.told == ["ready", "submit", "error", "submit", "sent"]
    [holding] = [post for post in record.posts if number[2:] in _only_digits(post.post_data)]
    assert holding.url == web.post
    assert "id=7" not in str(holding.post_data)
    elsewhere = [record.console, *([one.url, one.all_headers()] for one in record.requests)]
    assert number[-7:] not in _only_digits(str(elsewhere))
    for request in record.requests:
        assert "id=7" not in request.all_headers().get("referer", "")


def _only_digits(text: str | None) -> str:
    """Runs of digits as one, however they are divided by spaces, dashes and brackets."""
    return re.sub(r"(?<=\d)(?:%20|%2[89D]|[ ()+.-])+(?=\d)", "", text or "")
