"""How to bring a page into each state that customers can meet (DESIGN section 2)."""

from collections.abc import Callable

from flask import Flask, render_template
from playwright.sync_api import Page, expect

from prefcenter.links import Purpose
from tests.browser.shop import Shop

State = Callable[[Shop, Page], object]


def _press(page: Page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


def _alice(shop: Shop, page: Page) -> str:
    """Opens Alice's preferences; gives her number."""
    number = shop.number()
    page.goto(shop.alice(number, "offers", "events", "in-stock"))
    return number


def _pressed(label: str, news: str) -> State:
    """Alice's preferences after a button."""

    def go(shop: Shop, page: Page) -> None:
        _alice(shop, page)
        _press(page, label)
        expect(page.locator(".note")).to_contain_text(news)

    return go


def _opened(path: str) -> State:
    return lambda shop, page: page.goto(path)


def _linked(purpose: Purpose, days_old: int = 0, after: str = "") -> State:
    """Alice's link of this purpose and age."""

    def go(shop: Shop, page: Page) -> None:
        number = shop.number()
        shop.alice(number, "offers", "events")
        page.goto(shop.link(number, purpose, days_old=days_old) + after)

    return go


def _signup_errors(shop: Shop, page: Page) -> None:
    page.goto("/")
    _press(page, "Text me a link to confirm")
    expect(page.locator(".note")).to_contain_text("Nothing was sent yet")


def _confirm(shop: Shop, page: Page) -> None:
    page.goto(shop.bob(shop.number()))


def _confirmed(shop: Shop, page: Page) -> None:
    _confirm(shop, page)
    _press(page, "Yes, text me")
    expect(page.locator("h1")).to_have_text("Your texts are on")


def _declined(shop: Shop, page: Page) -> None:
    _confirm(shop, page)
    _press(page, "No, that was not me")
    expect(page.locator("h1")).to_have_text("We will not text you")


def _already(shop: Shop, page: Page) -> None:
    number = shop.number()
    confirm = shop.bob(number)
    shop.post(confirm)
    page.goto(confirm)


def _nothing_ticked(shop: Shop, page: Page) -> None:
    page.goto(shop.alice(shop.number(), "offers"))
    page.get_by_label("Sales and offers").uncheck()
    _press(page, "Save changes")
    expect(page.locator(".note")).to_contain_text("Nothing is ticked")


def _saved(shop: Shop, page: Page) -> None:
    _alice(shop, page)
    page.get_by_label("Once a week").check()
    _press(page, "Save changes")
    expect(page.locator(".note")).to_contain_text("once a week at most")


def _off(shop: Shop, page: Page) -> None:
    """Stopped with one link, seen with another: START by text is the way back."""
    number = shop.number()
    shop.post(shop.alice(number) + "/stop")
    page.goto(shop.link(number, Purpose.UNSUBSCRIBE))


def _off_by_stop(shop: Shop, page: Page) -> None:
    number = shop.number()
    link = shop.alice(number)
    shop.stop_by_text(number)
    page.goto(link)


def _stale(shop: Shop, page: Page) -> None:
    number = _alice(shop, page)
    other = {"shown": ["offers", "events"], "categories": ["events"], "frequency": "1/month"}
    shop.post(shop.link(number, Purpose.MANAGE), other)
    page.get_by_label("Once a week").check()
    _press(page, "Save changes")
    expect(page.locator(".note")).to_contain_text("This page was out of date")


def _new_link_sent(shop: Shop, page: Page) -> None:
    _linked(Purpose.MANAGE, days_old=40)(shop, page)
    _press(page, "Text me a new link")
    expect(page.locator("h1")).to_have_text("Look at your phone")


def _not_mine(shop: Shop, page: Page) -> None:
    _alice(shop, page)
    page.get_by_role("link", name="Not your number?").click()
    expect(page.locator("h1")).to_have_text("Is this number new to you?")


def _changed_hands(shop: Shop, page: Page) -> None:
    link = shop.alice(shop.number())
    shop.post(f"{link}/not-mine")
    page.goto(link)


def _limited(shop: Shop, page: Page) -> None:
    _alice(shop, page)
    for _ in range(shop.settings.saves_per_hour):
        shop.post(page.url.removeprefix(shop.url))
    _press(page, "Save changes")
    expect(page.locator("h1")).to_have_text("Please wait a little")


def _offline(shop: Shop, page: Page) -> None:
    _alice(shop, page)
    page.context.set_offline(True)
    _press(page, "Save changes")
    expect(page.locator(".note")).to_contain_text("You seem to be offline")
    page.context.set_offline(False)


def _proxy_failed(shop: Shop, page: Page) -> None:
    _alice(shop, page)
    page.route("**/p/*", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
    _press(page, "Save changes")
    expect(page.locator(".note")).to_contain_text("Something went wrong on our side")


def _ours(shop: Shop, page: Page) -> None:
    """Our own failure: nobody can order one, so its page is put in place of another."""
    body = _render(shop.app, "errors/ours.html")
    headers = shop.get("/sent").headers
    kept = {name: headers[name] for name in ("Content-Security-Policy", "Content-Type")}
    page.route("**/sent", lambda route: route.fulfill(status=500, body=body, headers=kept))
    page.goto("/sent")


def _render(app: Flask, template: str) -> str:
    with app.test_request_context("/"):
        return render_template(template)


STATES: dict[str, State] = {
    "signup": _opened("/"),
    "the API": _opened("/api/v1/docs"),
    "signup errors": _signup_errors,
    "sent": _opened("/sent?to=0143"),
    "confirm": _confirm,
    "confirmed": _confirmed,
    "declined": _declined,
    "already confirmed": _already,
    "preferences": _alice,
    "saved": _saved,
    "nothing ticked": _nothing_ticked,
    "paused": _pressed("1 month", "Paused"),
    "off by button": _pressed("Stop all texts", "Done. No more texts."),
    "off": _off,
    "off by STOP": _off_by_stop,
    "changed meanwhile": _stale,
    "unsubscribe": _linked(Purpose.UNSUBSCRIBE),
    "link expired": _linked(Purpose.MANAGE, days_old=40),
    "new link": _linked(Purpose.NEW_LINK),
    "new link sent": _new_link_sent,
    "bad link": _opened("/p/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "not my number": _not_mine,
    "number changed hands": _changed_hands,
    "too many tries": _limited,
    "our fault": _ours,
    "offline": _offline,
    "proxy failed": _proxy_failed,
    "no such page": _opened("/nowhere"),
    "terms": _opened("/terms"),
    "privacy": _opened("/privacy"),
    "texts outbox": _opened("/dev/outbox"),
}
