"""What tests of the settings pages share: who may, hostile words, and what a page may not do."""

import html
import re

from werkzeug.test import TestResponse

from prefcenter.models_staff import Role
from tests.cast import Town, rows
from tests.conftest import Browser
from tests.staff_room import press, sign_in
from tests.test_every_route import Page

# In every field that staff or strangers fill in (SEC-38).
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}&lt;b&gt;"
_ERROR = re.compile(r'<p class="error"[^>]*>(.*?)</p>', re.DOTALL)


def calm(answer: TestResponse, *, shows: str = "") -> None:
    """The page has no tag, attribute or expression that it was sent; `shows` stands on it."""
    page = Page(answer.text)
    for tag, found in page.tags:
        assert not [name for name in found if name.startswith("on") or name == "style"], tag
        assert found.get("src", "") != "x", tag
    assert all(one.get("src", "").startswith("/assets/") for one in page.all("script"))
    assert " 49" not in answer.text
    ids = [found["id"] for _tag, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids)), "an id stands twice"
    if shows:
        assert shows in html.unescape(answer.text)


def errors(answer: TestResponse) -> list[str]:
    """The sentences beside the fields."""
    assert answer.status_code == 422, answer.status
    return [html.unescape(found.strip()) for found in _ERROR.findall(answer.text)]


def value_of(answer: TestResponse, name: str) -> str | None:
    """What a text field of the page holds."""
    for found in Page(answer.text).all("input"):
        if found.get("name") == name:
            return found.get("value", "")
    area = re.search(rf'<textarea[^>]*name="{name}"[^>]*>\n?(.*?)</textarea>', answer.text, re.S)
    return html.unescape(area[1]) if area else None


def save(browser: Browser, path: str, data: dict[str, object], **more: object) -> TestResponse:
    """Open this form and send it, with what it says about when it was opened."""
    opened = value_of(browser.get(path), "opened")
    assert opened, f"{path} does not say what it was opened on"
    return press(browser, path, {"opened": opened, **data}, **more)


def kept() -> dict[str, list[tuple[object, ...]]]:
    """All rows, but for when a session was last used (INV-8)."""
    found = rows()
    del found["staff_session"]
    return found


def refuses(town: Town, role: Role, *, gets: list[str], posts: list[str]) -> None:
    """Somebody of this role is told so, and nothing changes."""
    browser, before = sign_in(town, role, f"{role}-looks"), kept()
    for path in gets:
        assert browser.get(path).status_code == 403, path
    for path in posts:
        assert press(browser, path, {}).status_code == 403, path
    after = kept()
    assert {name for name in after if after[name] != before[name]} <= {"staff_action"}


def said(answer: TestResponse, browser: Browser) -> str:
    """Follows a 303 and gives the page it leads to."""
    assert answer.status_code == 303, answer.text
    page = browser.get(answer.headers["Location"])
    assert page.status_code == 200
    return html.unescape(page.text)
