"""Whatever colour an owner picks, every text and edge on the pages can be seen."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prefcenter.web import brand

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def assert_readable(palette: brand.Palette, surface: brand.Surface) -> None:
    below = (surface.bg, surface.card, palette.tint)
    assert brand.contrast(palette.on_brand, palette.brand) >= brand.TEXT
    for background in below:
        assert brand.contrast(palette.edge, background) >= brand.SHAPE
        assert brand.contrast(palette.brand_ink, background) >= brand.TEXT
    for text in (surface.ink, surface.ink2):
        assert brand.contrast(text, palette.tint) >= brand.TEXT
    assert brand.contrast(surface.field, palette.tint) >= brand.SHAPE


@settings(max_examples=1500, deadline=None)
@given(colour=colours, dark=st.none() | colours)
@example(colour=brand.DEFAULT, dark=None)
@example(colour=brand.DEFAULT, dark="#000000")
@example(colour="#ffffff", dark=None)
@example(colour="#000000", dark="#ffffff")
@example(colour="#ffdd00", dark=None)
@example(colour="#767676", dark="#777777")
def test_every_pair_passes_in_both_modes(colour, dark):
    theme = brand.theme(colour, dark)

    assert_readable(theme.light, brand.LIGHT)
    assert_readable(theme.dark, brand.DARK)
    assert brand.contrast(theme.dark.brand, brand.DARK.card) >= brand.SHAPE


@settings(max_examples=300, deadline=None)
@given(colour=colours)
def test_light_keeps_the_colour_as_the_owner_gave_it(colour):
    assert brand.theme(colour).light.brand == colour


@pytest.mark.parametrize(("given_as", "meant"), [("#ABC", "#aabbcc"), (" #1F5C48 ", "#1f5c48")])
def test_short_and_upper_case_colours_are_understood(given_as, meant):
    assert brand.normalise(given_as) == meant


@pytest.mark.parametrize("text", ["", "green", "1f5c48", "#12345", "#1f5c48;}", "#ggg", "#１２３"])
def test_anything_else_is_refused_with_the_cure(text):
    with pytest.raises(ValueError, match="#rrggbb"):
        brand.theme(text)
