"""From the owner's one colour to the five colours the pages need, in light and dark.

Contrast is WCAG 2's: at least 4.5:1 for text, at least 3:1 for edges and filled controls,
against every surface the colour may lie on. The page tokens here are those of
static/site.css; a test holds the two together.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

TEXT = 4.5
SHAPE = 3.0
DEFAULT = "#1f5c48"
_WHITE = "#ffffff"
_BLACK = "#000000"
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\Z")


@dataclass(frozen=True, slots=True)
class Surface:
    """The colours of a mode that no owner changes (#rrggbb)."""

    bg: str
    card: str
    ink: str
    ink2: str
    field: str
    away: str  # where a brand colour is moved when it is too close to the background


@dataclass(frozen=True, slots=True)
class Palette:
    """What is made from the owner's colour, for one mode (#rrggbb)."""

    brand: str  # fill of the main button and the ticked box
    edge: str  # its border, and the border of a note
    on_brand: str  # text and tick on the fill
    brand_ink: str  # links
    tint: str  # notes and the focused row

    def tokens(self) -> dict[str, str]:
        """The palette under the names of the style sheet's tokens."""
        return {f.name.replace("_", "-"): getattr(self, f.name) for f in fields(self)}


@dataclass(frozen=True, slots=True)
class Theme:
    light: Palette
    dark: Palette


LIGHT = Surface("#f5f4f1", "#ffffff", "#1d1c1a", "#595650", "#86817a", away=_BLACK)
DARK = Surface("#131412", "#1d1f1c", "#f2f1ec", "#b7b4ac", "#8b8f86", away=_WHITE)

# The designed palette of the default colour; the rules below would give a plainer one.
_DESIGNED = Theme(
    light=Palette("#1f5c48", "#1f5c48", "#ffffff", "#1b5341", "#e9f2ee"),
    dark=Palette("#7fcbab", "#7fcbab", "#0b2018", "#8fd6b8", "#1f2e27"),
)


def theme(colour: str, dark_colour: str | None = None) -> Theme:
    """The palettes for a brand colour, `#rgb` or `#rrggbb`.

    Light keeps the colour as given. Dark starts from `dark_colour`, else from the same colour,
    and lightens it until it stands out from the dark card. Raises ValueError for other text.
    """
    given = normalise(colour)
    if given == DEFAULT and dark_colour is None:
        return _DESIGNED
    light = _DESIGNED.light if given == DEFAULT else _palette(given, LIGHT, tint_share=0.10)
    wished = normalise(dark_colour) if dark_colour else given
    dark = _first(_steps(wished, DARK.away), (DARK.bg, DARK.card), SHAPE)
    return Theme(light=light, dark=_palette(dark, DARK, tint_share=0.15))


def normalise(colour: str) -> str:
    """`#ABC` and `#AABBCC` as `#aabbcc`; raises ValueError for anything else."""
    text = colour.strip().lower()
    if not _HEX.match(text):
        raise ValueError(f"{colour!r} is not a colour: write it as #rrggbb, such as {DEFAULT}.")
    return text if len(text) == 7 else "#" + "".join(digit * 2 for digit in text[1:])


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _palette(brand: str, surface: Surface, *, tint_share: float) -> Palette:
    tint = _tint(brand, surface, tint_share)
    below = (surface.bg, surface.card, tint)
    steps = list(_steps(brand, surface.away))
    return Palette(
        brand=brand,
        edge=_first(steps, below, SHAPE),
        on_brand=_WHITE if contrast(_WHITE, brand) >= TEXT else _BLACK,
        brand_ink=_first(steps, below, TEXT),
        tint=tint,
    )


def _tint(brand: str, surface: Surface, share: float) -> str:
    """The card with some of the brand in it, as much as text and empty boxes on it allow."""
    while share > 0:
        tint = _mix(surface.card, brand, share)
        readable = contrast(surface.ink, tint) >= TEXT and contrast(surface.ink2, tint) >= TEXT
        if readable and contrast(surface.field, tint) >= SHAPE:
            return tint
        share -= 0.01
    return surface.card


def _steps(colour: str, away: str) -> Iterator[str]:
    """The colour, then ever nearer to white or black, which ends the row."""
    return (_mix(colour, away, percent / 100) for percent in range(101))


def _first(candidates: Iterable[str], surfaces: Iterable[str], ratio: float) -> str:
    """The first candidate that keeps the ratio on every surface."""
    below = tuple(surfaces)
    return next(c for c in candidates if all(contrast(c, surface) >= ratio for surface in below))


def _mix(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
