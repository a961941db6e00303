"""The colours of static/site.css: each pair that meets on a page can be told apart."""

import re
from pathlib import Path

import pytest

from prefcenter.web import assets, brand

CSS = (Path(__file__).parent.parent / "static" / "site.css").read_text(encoding="utf-8")


def modes(css: str) -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root ?\{([^}]*)\}", css)
    return {
        name: dict(re.findall(r"--([\w-]+): ?(#[0-9a-f]{6})", block))
        for name, block in (("light", light), ("dark", dark))
    }


TOKENS = modes(CSS)
TEXT_ON = [
    *[("ink", ground) for ground in ("bg", "card", "tint", "warn-bg", "bad-bg")],
    *[("ink2", ground) for ground in ("bg", "card", "tint")],
    *[("brand-ink", ground) for ground in ("bg", "card", "tint")],
    *[("bad", ground) for ground in ("bg", "card", "bad-bg")],
    ("on-brand", "brand"),
    ("warn", "warn-bg"),
    ("ok", "card"),
]
SHAPES_ON = [
    *[("field", ground) for ground in ("bg", "card", "tint")],
    *[("edge", ground) for ground in ("bg", "card", "tint")],
    *[("focus", ground) for ground in ("bg", "card", "tint", "warn-bg", "bad-bg")],
    *[("bad", ground) for ground in ("bg", "card", "bad-bg")],
    ("ok", "card"),
    ("warn", "card"),
    ("warn", "bg"),
    ("ink2", "card"),
]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_can_be_read(mode, text, ground):
    assert brand.contrast(TOKENS[mode][text], TOKENS[mode][ground]) >= 4.5


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES_ON)
def test_edges_icons_and_focus_can_be_seen(mode, shape, ground):
    assert brand.contrast(TOKENS[mode][shape], TOKENS[mode][ground]) >= 3


@pytest.mark.parametrize(("mode", "surface"), [("light", brand.LIGHT), ("dark", brand.DARK)])
def test_the_brand_rules_know_the_surfaces_of_the_style_sheet(mode, surface):
    for token in ("bg", "card", "ink", "ink2", "field"):
        assert getattr(surface, token) == TOKENS[mode][token]


def test_the_default_colour_gives_the_designed_tokens():
    theme = brand.theme(brand.DEFAULT)
    for mode, palette in (("light", theme.light), ("dark", theme.dark)):
        assert palette.tokens().items() <= TOKENS[mode].items()


def test_an_owners_colour_takes_the_place_of_the_brand_tokens_and_of_nothing_else():
    theme = brand.theme("#ffdd00", "#ffe14d")
    made = modes(assets.style_sheet(CSS, theme))
    for mode, palette in (("light", theme.light), ("dark", theme.dark)):
        assert made[mode] == TOKENS[mode] | palette.tokens()


def test_directions_are_logical_so_that_pages_can_be_turned_around():
    assert not re.search(r"\b(left|right)\b|(margin|padding)-(top|bottom)", CSS)
