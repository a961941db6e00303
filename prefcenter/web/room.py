"""How much room the widget will take, for the style sheet of the page around it.

The script comes when the page is drawn already, and its form is higher than the plain one. A page
that keeps the room beforehand does not move: by an empty picture under the plain form, which the
lines to paste have, or to the pixel by rules in its own style sheet, which are better where
scripts may be blocked and nobody should see a gap. How high a form gets depends on its words and on the
width of the column, so both are reckoned with here, in the sizes of static/widget.css; the letters
are those of a wide typeface, so that there is rather a line too much than one too few.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from babel import Locale

from prefcenter.consent.sites import Place
from prefcenter.web import embed

# The width of a page from which on a column is taken to be so wide, in px; each narrower than
# the page by its margins.
_COLUMNS = ((640, 480), (480, 440), (400, 352), (340, 312), (0, 240))
_LINE = 21  # of small text
_BOX = 24 + 12  # the tick and the gap before the text that it belongs to


@dataclass(frozen=True, slots=True)
class _Type:
    """The letters of a kind of text, in px: how wide on average, and how high its lines are."""

    letter: float
    line: int

    def height(self, length: int, width: float) -> int:
        """Of so many letters; at the end of each line two or so are lost to the next word."""
        return self.line * math.ceil(length / (width / self.letter - 2))


TILE = 200  # px
_WIDE = 1_000  # of a column that is as wide as the page
_PLAIN = _Type(6.2, 17)  # of a page that says nothing of its type: rather a line too few
_SMALL, _HEADING = _Type(7.7, _LINE), _Type(12.4, 26)
_FIELD = 130  # label, field and the gaps
_PLAIN_FIELD, _PLAIN_BUTTON = 52, 20
_BUTTON = 70  # with its gap and that of the heading; its words may take two lines


def gaps(place: Place, language: str, *, field: bool = False) -> tuple[int, int]:
    """How high two empty pictures under the plain form must be, in px, each as wide as TILE. In a
    wide column they stand side by side; in a narrow one the second adds its height."""
    wide, narrow = (
        max(
            height(place, language, width, field=field) - _plain(place, language, width, field)
            for width in widths
        )
        for widths in ((2 * TILE, 480, _WIDE), (240, 312, 352, 2 * TILE - 1))
    )
    first = math.ceil(wide)
    return first, max(math.ceil(narrow) - first, 1)


def css(place: Place, language: str, *, field: bool = False, column: int | None = None) -> str:
    """Rules for the host's own style sheet; with `column` for one of so many px, however wide the
    page is."""
    whole = "prefcenter-optin:not([hidden]) { display: flow-root }\n"
    if column is not None:
        return whole + _rule(place, language, column, field=field)
    rules: dict[str, str] = {}  # each once, for the widest page that needs it
    above = 0
    for page, width in _COLUMNS:
        rule = _rule(place, language, width, field=field)
        rules.setdefault(rule, f"@media (max-width: {above - 1}px) {{ {rule} }}" if above else rule)
        above = page
    return whole + "\n".join(rules.values())


def _plain(place: Place, language: str, width: int, field: bool) -> float:
    """The plain form at its lowest, with the style of the browser alone."""
    consent = _consent(embed.texts(place, language))
    return _PLAIN_FIELD + _PLAIN.height(consent, width) + (0 if field else _PLAIN_BUTTON)


def _consent(words: Mapping[str, Any]) -> int:
    return sum(len(piece if isinstance(piece, str) else piece[0]) for piece in words["consent"])


def _rule(place: Place, language: str, width: int, *, field: bool) -> str:
    rem = math.ceil(height(place, language, width, field=field) / 8) / 2
    # As the page's own letters grow, so does the form; it does not shrink with them.
    return f"prefcenter-optin {{ min-height: max({rem * 16:g}px, {rem:g}rem) }}"


def height(place: Place, language: str, width: int, *, field: bool = False) -> float:
    """In px, of the form in a column of so many px."""
    words = embed.texts(place, language)
    padding = min(20, width / 20)
    inner = width - 2 * padding
    consent = _consent(words)
    region = Locale.parse(language).territories.get(place.country, place.country)
    found = _FIELD + 2 * padding
    found += _SMALL.height(len(words["hint"]) + len(region), inner)
    found += _SMALL.height(consent, inner - _BOX)
    if not field:
        found += _HEADING.height(len(words["heading"]), inner)
        found += _SMALL.height(len(words["about"]), inner) + _BUTTON
    return found
