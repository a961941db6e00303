"""What the pages of a site look like in its colour, drawn for the form that sets it."""

from dataclasses import dataclass

from flask_babel import get_locale
from flask_babel import gettext as _

from prefcenter import config
from prefcenter.web import brand
from prefcenter.web.brand import Palette, Surface


@dataclass(frozen=True, slots=True)
class Look:
    """One mode: the page's own colours and those made of the owner's, with their contrast."""

    name: str
    surface: Surface
    palette: Palette
    on_brand: float
    brand_ink: float


@dataclass(frozen=True, slots=True)
class Looks:
    """Light and dark; none of them where a colour cannot be read, and then `fault` says so."""

    modes: tuple[Look, ...]
    fault: str = ""


def of(color: str | None, color_dark: str | None) -> Looks:
    """As on a site's own pages: without a colour of its own it has the brand's."""
    settings = config.current()
    dark = color_dark or (None if color else settings.brand_color_dark)
    try:
        theme = brand.theme(color or settings.brand_color, dark or None)
    except ValueError:
        return Looks((), _("Write a colour like #1f5c48 to see what is made of it."))
    return Looks(
        (
            _look(_("Light pages"), brand.LIGHT, theme.light),
            _look(_("Dark pages"), brand.DARK, theme.dark),
        )
    )


def country(code: str) -> str:
    """A country in the reader's language."""
    locale = get_locale()
    return locale.territories.get(code, code) if locale else code


def _look(name: str, surface: Surface, palette: Palette) -> Look:
    return Look(
        name,
        surface,
        palette,
        on_brand=round(brand.contrast(palette.on_brand, palette.brand), 1),
        brand_ink=round(brand.contrast(palette.brand_ink, surface.card), 1),
    )
