"""The colours of static/admin.css, and what a page for staff weighs."""

import re
from pathlib import Path

import brotli
import pytest

from prefcenter.web import assets, brand
from prefcenter.web.admin import icons
from tests.test_design_tokens import modes

STATIC = Path(__file__).parent.parent / "static"
CSS = (STATIC / "admin.css").read_text(encoding="utf-8")
TOKENS = modes(CSS)
GROUNDS = ("bg", "card", "tint")
TEXT_ON = [
    *[("ink", ground) for ground in (*GROUNDS, "ok-bg", "bad-bg", "warn-bg")],
    *[("ink2", ground) for ground in GROUNDS],
    *[("accent", ground) for ground in GROUNDS],
    *[("bad", ground) for ground in ("bg", "card", "bad-bg")],
    *[(name, f"{name}-bg") for name in ("ok", "warn")],
    *[(name, "card") for name in ("ok", "warn")],
    ("on-accent", "accent"),
]
SHAPES_ON = [
    *[("field", ground) for ground in ("bg", "card")],
    *[("focus", ground) for ground in GROUNDS],
    *[(name, "card") for name in ("in", "out", "accent", "bad")],
]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_can_be_read(mode, text, ground):
    assert brand.contrast(TOKENS[mode][text], TOKENS[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES_ON)
def test_edges_bars_and_focus_can_be_seen(mode, shape, ground):
    assert brand.contrast(TOKENS[mode][shape], TOKENS[mode][ground]) >= 3


def test_every_colour_of_the_sheet_is_a_token():
    """So that dark and light are one list each."""
    rules = CSS.split("/* Page */")[1]
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", rules)) <= {"#ffffff", "#000000"}  # on paper
    names = set(TOKENS["light"])
    assert names == set(TOKENS["dark"])
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) <= names


def test_the_style_sheet_and_script_are_light():
    """DESIGN: 30 KB with the page on the first visit; the page itself may have 8."""
    script = "".join(
        (STATIC / name).read_text() for name in ("vendor/htmx-4.0.1.min.js", "admin.js")
    )
    packed = [brotli.compress(text.encode()) for text in (assets.squeeze(CSS), script)]
    assert sum(map(len, packed)) <= 22 * 1024


def test_every_icon_is_one_path():
    for name in icons._PATHS:
        assert icons.icon(name).count("<path") == 1
