"""The widget on websites that allow it little: policies, frames, no scripts, the wrong website."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from prefcenter.database import db
from prefcenter.models import ConsentEvent, Evidence, Person
from tests.browser.hosts import (
    IN_TIME,
    Record,
    Web,
    confirm_the_one_text,
    fill,
    press,
    see_sent,
)
from tests.browser.shop import Shop, until
from tests.conftest import launch_args

Visitor = Callable[..., BrowserContext]
_STEP = "Text me the link"
# A page of Bob's that says aloud what a frame in it says.
_HEARS = """<script>addEventListener("message", (event) =>
  console.debug("heard", event.origin, JSON.stringify(event.data)))</script>"""


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A whole one, whose private windows keep no cookies of others, as most people's do not."""
    browser = playwright.chromium.launch(**launch_args(whole=True))  # type: ignore[arg-type]  # by name
    yield browser
    browser.close()


def one_more_step(page: Page, number: str) -> None:
    """What people without scripts do, who need a moment to read."""
    since = time.monotonic()
    frame = page.frames[-1]
    expect(frame.get_by_role("heading", level=1)).to_have_text("One more step")
    expect(frame.get_by_text(f"We will text +1 {number[2:5]}-{number[5:8]}-")).to_be_visible()
    until(lambda: time.monotonic() - since > IN_TIME, "somebody who reads")
    frame.get_by_role("button", name=_STEP).click()


def page_of_the_proof(shop: Shop, number: str) -> str:
    """Where somebody was who asked for texts, as it is kept (RULE-11)."""
    with shop.app.app_context():
        query = sa.select(Evidence.body).join(ConsentEvent).join(Person)
        asked = query.where(Person.number == number).order_by(ConsentEvent.seq).limit(1)
        seen = json.loads(db.session.scalars(asked).one())
        db.session.rollback()
    return str(seen["page_url"])


def test_alice_signs_up_under_a_strict_policy_with_cookies_of_others_blocked(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    prefs = web.prefs
    csp = f"default-src 'none'; style-src 'self'; script-src {prefs}; connect-src {prefs}"
    page = visitor().new_page()
    page.goto(web.bob.page(web.snippet(), csp=csp))
    fill(page, number)
    press(page)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    assert [request.url for request in record.posts] == [web.post]
    assert not [text for text in record.console if "Content Security Policy" in text]
    for request in record.requests:
        assert "cookie" not in request.all_headers()
        answer = request.response()
        assert answer is not None and "set-cookie" not in answer.all_headers()


def test_this_browser_keeps_no_cookies_of_others(
    web: Web, visitor: Visitor, record: Record
) -> None:
    """The test above would prove nothing if it did."""
    page = visitor().new_page()
    kept = {"Set_Cookie": "seen=1; SameSite=None; Secure; Path=/"}
    picture = web.bob.file("<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", **kept)
    other = picture.replace("localhost", "127.0.0.1")
    page.goto(web.bob.page(f'<img src="{other}">'), wait_until="networkidle")
    assert page.context.cookies() == []
    page.goto(other)
    assert [cookie["domain"] for cookie in page.context.cookies()] == ["127.0.0.1"]
    page.context.clear_cookies()
    record.requests.clear()


def test_with_the_script_blocked_the_plain_form_works(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    csp = f"default-src 'none'; script-src 'none'; form-action {web.prefs}"
    page.goto(web.bob.page(web.snippet(), csp=csp))
    fill(page, number)
    press(page)
    one_more_step(page, number)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    assert f"/w/{web.key}.js" not in [path for path in record.to_prefs() if "challenge" in path]


def test_without_connect_src_the_element_sends_a_plain_form(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    csp = f"default-src 'none'; script-src {web.prefs}; form-action {web.prefs}"
    page.goto(web.bob.page(web.snippet(), csp=csp))
    fill(page, number)
    press(page)
    one_more_step(page, number)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)
    record.hear(page, 'told prefcenter:error {"reason":"blocked"}')


def test_without_scripts_people_come_back_to_the_page_that_they_left(
    web: Web, visitor: Visitor, number: str
) -> None:
    page = visitor(java_script_enabled=False).new_page()
    back = web.bob.page("<h1>Thank you</h1>")
    again = f'<input type="hidden" name="return_to" value="{back}?step=2"></form>'
    page.goto(web.bob.page(web.snippet().replace("</form>", again)))
    fill(page, number)
    press(page)
    one_more_step(page, number)
    expect(page.get_by_role("heading")).to_have_text("Thank you")
    assert page.url == f"{back}?step=2&prefcenter=sent"
    confirm_the_one_text(web.shop, number)


def test_a_frame_on_a_listed_website_signs_up_and_tells_its_height_to_that_page_alone(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(_HEARS + web.frame()))
    frame = page.frame_locator("iframe")
    fill(frame, number)
    height = page.frames[1].evaluate("document.documentElement.offsetHeight")
    exact = f'heard {web.prefs} {{"type":"prefcenter:height","height":{height}}}'
    record.hear(page, exact)
    press(frame)
    see_sent(frame, number)
    confirm_the_one_text(web.shop, number)
    heights = [text for text in record.console if text.startswith("heard")]
    assert len(set(heights)) > 1, "the height after it was sent"
    assert all(
        text.startswith(f'heard {web.prefs} {{"type":"prefcenter:height",') for text in heights
    )


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_the_frame_knows_its_page_also_in_another_language(
    web: Web, visitor: Visitor, record: Record, number: str, scripts: bool
) -> None:
    """The link is a new page to the browser, which then names ours as the one before."""
    page = visitor().new_page()
    if not scripts:
        page.route("**/*.js", lambda route: route.abort())
    page.goto(web.bob.page(_HEARS + web.frame()))
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Español").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Reciba mensajes de Marlow Books")
    record.console.clear()
    frame.get_by_role("link", name="English").click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Get texts from Marlow Books")
    if scripts:
        record.hear(page, f'heard {web.prefs} {{"type":"prefcenter:height",')
    fill(frame, number)
    press(frame)
    if not scripts:
        one_more_step(page, number)
    see_sent(frame, number)
    confirm_the_one_text(web.shop, number)
    assert page_of_the_proof(web.shop, number) == f"{web.bob.url}/"


def test_a_frame_that_does_not_know_who_is_around_it_tells_nobody(
    web: Web, visitor: Visitor, record: Record
) -> None:
    page = visitor().new_page()
    hidden = web.frame().replace('"strict-origin"', '"no-referrer"')
    page.goto(web.bob.page(_HEARS + hidden), wait_until="networkidle")
    frame = page.frame_locator("iframe")
    frame.get_by_role("button").click()
    expect(frame.get_by_text("Enter your mobile number")).to_be_visible()
    assert not [text for text in record.console if text.startswith("heard")]


def test_a_sandboxed_frame_signs_up(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(_HEARS + web.frame('sandbox="allow-scripts allow-forms"')))
    frame = page.frame_locator("iframe")
    fill(frame, number)
    press(frame)
    see_sent(frame, number)
    confirm_the_one_text(web.shop, number)
    assert [post.all_headers()["origin"] for post in record.posts] == ["null"]
    record.hear(page, 'heard null {"type":"prefcenter:height"')


def test_a_sandboxed_frame_without_scripts_signs_up(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.bob.page(web.frame('sandbox="allow-forms"')))
    frame = page.frame_locator("iframe")
    fill(frame, number)
    press(frame)
    one_more_step(page, number)
    see_sent(frame, number)
    confirm_the_one_text(web.shop, number)


def test_the_page_of_the_form_works_by_itself_without_scripts(
    web: Web, visitor: Visitor, number: str
) -> None:
    page = visitor(java_script_enabled=False).new_page()
    page.goto(f"{web.prefs}/w/{web.key}")
    fill(page, number)
    press(page)
    one_more_step(page, number)
    see_sent(page, number)
    confirm_the_one_text(web.shop, number)


def test_mallory_may_not_frame_it(web: Web, visitor: Visitor, record: Record) -> None:
    page = visitor().new_page()
    page.goto(web.mallory.page(web.frame()))
    record.hear(page, "frame-ancestors")
    assert page.frames[1].url.startswith("chrome-error:")
    expect(page.frame_locator("iframe").get_by_role("textbox")).to_have_count(0)


def test_nor_frame_bobs_page_around_it(web: Web, visitor: Visitor, record: Record) -> None:
    page = visitor().new_page()
    page.goto(web.mallory.page(f'<iframe src="{web.bob.page(web.frame())}"></iframe>'))
    record.hear(page, "frame-ancestors")
    assert page.frames[2].url.startswith("chrome-error:")


_FORGE = """async ([url, number]) => {
  const body = new URLSearchParams({number, consent: "yes"});
  const tries = [
    () => fetch(url + "/challenge"),
    () => fetch(url, {method: "POST", body}),
    () => fetch(url, {method: "POST", body, headers: {Accept: "application/json"}}),
    () => fetch(url, {method: "POST", body, mode: "no-cors"}),
    () => fetch(url, {method: "POST", body, credentials: "include"}),
    () => fetch(url, {method: "PUT", body}),
  ];
  const read = [];
  for (const one of tries) {
    const answer = await one().catch((error) => error.name);
    read.push(typeof answer == "string" ? answer : answer.type);
  }
  return read;
}"""


def test_on_mallorys_website_nothing_is_sent(
    web: Web, visitor: Visitor, record: Record, number: str
) -> None:
    page = visitor().new_page()
    page.goto(web.mallory.page(web.snippet()))
    read = page.evaluate(_FORGE, [web.post, number])
    assert read == ["TypeError", "TypeError", "TypeError", "opaque", "TypeError", "TypeError"]
    fill(page, number)
    press(page)
    expect(page.get_by_role("heading")).to_have_text("That form does not work on this website")
    answers = [post.response() for post in record.posts if post.url == web.post]
    assert {answer.status for answer in answers if answer} == {403}
    assert number not in repr(web.shop.rows())


def test_what_mallory_read_of_the_script_is_not_for_her(web: Web) -> None:
    """A listed website may read the script as data, for its integrity check; others may not."""
    path = f"/w/{web.key}.js"
    for origin, allowed in ((web.bob.url, web.bob.url), (web.mallory.url, None), ("null", "null")):
        answer = web.shop.get(path, Origin=origin)
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        assert "Origin" in answer.headers["Vary"]
