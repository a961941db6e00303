"""The overview's values in words: places, categories, countries, ways to stop."""

from collections.abc import Mapping

from flask_babel import get_locale
from flask_babel import gettext as _

from prefcenter import config
from prefcenter.consent import catalog, sites
from prefcenter.frequency_words import frequency_label
from prefcenter.models import Source
from prefcenter.upkeep import standing


class Names:
    """Looked up once for a page."""

    def __init__(self) -> None:
        self.locale = get_locale()
        self.sites = {site.slug: site.name for site in sites.every()}
        self.kinds = {
            kind.slug: kind.text("name", str(self.locale or "en")) for kind in catalog.every()
        }

    def of(self, dimension: str, value: str) -> str:
        if dimension == "kind":
            return self.kinds.get(value, value)
        if dimension == "place":
            return self.place(value)
        return self.country(value) if dimension == "country" else self.language(value)

    def place(self, value: str) -> str:
        if value == config.current().site:
            return str(_("Sign-up page"))
        source, colon, detail = value.partition(":")
        if not colon or source not in set(Source):
            return self.sites.get(value, value) or str(_("Unknown"))
        if source == Source.SMS:
            return self._by_text(detail)
        words = {Source.IMPORT: _("Import"), Source.ADMIN: _("Entered by staff")}
        return str(words.get(Source(source), source))

    def _by_text(self, word: str) -> str:
        """A word that was texted to us, or the site that it names."""
        if word in self.sites:
            return str(_("%(site)s, by text", site=self.sites[word]))
        return str(_("Text %(word)s", word=word) if word else _("By text"))

    def country(self, code: str) -> str:
        known: Mapping[str, str] = self.locale.territories if self.locale else {}
        return known.get(code) or code.replace("ZZ", "") or str(_("Unknown"))

    def language(self, code: str) -> str:
        known: Mapping[str, str] = self.locale.languages if self.locale else {}
        name = known.get(code, code)
        return name[:1].upper() + name[1:] or str(_("Unknown"))


def frequency(value: str) -> str:
    try:
        return frequency_label(value)
    except ValueError:
        return value


def way_to_stop(label: str) -> str:
    """How a number was turned off."""
    words: dict[str, str] = {
        Source.SMS: _("Replied STOP"),
        standing.OWN_WORDS: _("Refused in their own words"),
        Source.PREFERENCE_PAGE: _("Pressed “Stop all texts”"),
        standing.DROPPED: _("Left this category"),
        Source.ADMIN: _("Told the shop"),
        Source.PROVIDER: _("Stopped at their carrier"),
        standing.NEW_OWNER: _("New owner of the number"),
        standing.ERASED: _("Record erased"),
        Source.API: _("Another program"),
        Source.IMPORT: _("Import"),
        Source.MAINTENANCE: _("Upkeep"),
    }
    return words.get(label, label)


def answer(label: str) -> str:
    """How a request ended."""
    words: dict[str, str] = {
        standing.YES: _("Said yes"),
        standing.NO: _("Said no"),
        standing.SILENT: _("No answer in time"),
        standing.STOPPED: _("Stopped instead"),
        standing.GONE: _("Erased, or number changed hands"),
    }
    return words.get(label, label)
