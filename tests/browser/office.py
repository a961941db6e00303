"""The pages for staff in a real browser: a server of its own, people who are signed in, audits."""

import os
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from prefcenter.database import db
from prefcenter.models_staff import Role
from tests import conftest, staff_room
from tests.browser import axe
from tests.browser.shop import Shop

SHOTS = os.environ.get("ADMIN_SHOTS")  # a folder for pictures, to look at
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
_REPORT = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error("Content Security Policy:", event.violatedDirective, event.blockedURI));"""
# What is pressed must be large enough for fingers (DESIGN 3); links in running text are left out.
_SMALL = """() => [...document.querySelectorAll("main button, main .btn, main select, main summary")]
  .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)
  .map((e) => `${e.getBoundingClientRect().height} px: ${e.outerHTML.slice(0, 80)}`)"""
_REFUSED = ("status of 422", "status of 409", "status of 404")  # no fault, though browsers note it


class Office:
    """A running server, and browsers in which people who work there are signed in."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.shop = Shop(folder, **more)
        self.shop.app.test_client_class = conftest.Browser
        self.faults: list[str] = []
        self._contexts: list[BrowserContext] = []

    def enter(self, browser: Browser, role: Role, **options: Any) -> Page:
        """A page of somebody of this role; what the policy or a script says is a fault."""
        with self.shop.app.app_context():
            client = staff_room.sign_in(self.shop.app, role, role.value)
            [cookie] = client._cookies.values()
            db.session.remove()
        options = {"reduced_motion": "reduce", "viewport": DESK} | options
        context = browser.new_context(base_url=self.shop.url, locale="en-US", **options)
        context.set_default_timeout(10_000)
        context.add_init_script(_REPORT)
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.shop.url}])
        context.on("console", lambda said: self._heard(said.type, said.text))
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        self._contexts.append(context)
        return context.new_page()

    def leave(self) -> None:
        """Everybody goes home. Fails the test for anything that went wrong in their browsers."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()
        faults, self.faults = self.faults, []
        assert faults == []

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error" and not any(refused in text for refused in _REFUSED):
            self.faults.append(text)


def audit(page: Page) -> list[str]:
    """axe, sideways scroll and small targets, at both widths and in both colours."""
    return [*axe.faults(page, widths=(1280, 360)), *page.evaluate(_SMALL)]


def shoot(page: Page, name: str) -> None:
    """Pictures of a page at both widths and in both colours, where somebody wants them."""
    if not SHOTS:
        return
    for size, width in ((DESK, "1280"), (PHONE, "360")):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a dict is a ViewportSize
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # as above
            file = Path(SHOTS) / f"{name}-{width}-{scheme}.png"
            page.screenshot(path=file, full_page=True, timeout=60_000)
