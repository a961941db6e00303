"""axe-core on a page, at two widths and in both colour schemes, and what is wider than the page."""

from collections.abc import Iterator
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Frame, Page

_RUN = """async (only) => (await axe.run({resultTypes: ["violations"],
  ...(only ? {runOnly: {type: "rule", values: only}} : {rules: {"target-size": {enabled: true}}}),
  })).violations
  .map((v) => `${v.id}: ${v.nodes.map((node) => node.html.slice(0, 120)).join(" and ")}`)"""
# What another colour scheme can break; for the other rules a page is the same in both.
_OF_COLOURS = ["color-contrast", "link-in-text-block"]
_SCHEMES: tuple[tuple[Literal["light", "dark"], list[str] | None], ...] = (
    ("light", None),
    ("dark", _OF_COLOURS),
)
_WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_OVER = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".hidden"))
  .map((e) => e.outerHTML.slice(0, 80))"""


def faults(
    page: Page, where: Frame | None = None, *, widths: tuple[int, ...] = (360, 1280)
) -> Iterator[str]:
    """What is wrong on a page, or in a frame of it; each with the width and the scheme."""
    where = where or page.main_frame
    where.evaluate(AXE_SCRIPT)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 740})
        for scheme, only in _SCHEMES:
            page.emulate_media(color_scheme=scheme)
            # A frame of another site hears of it a little later.
            where.wait_for_function(f"matchMedia('(prefers-color-scheme: {scheme})').matches")
            yield from (f"{width} {scheme} {fault}" for fault in where.evaluate(_RUN, only))
        yield from sideways(where, f"{width}")


def sideways(where: Page | Frame, name: str) -> Iterator[str]:
    """A fault where one has to scroll sideways to read, which nobody should."""
    if where.evaluate(_WIDER) > 0:
        yield f"{name}: sideways scroll, {where.evaluate(_OVER)}"
