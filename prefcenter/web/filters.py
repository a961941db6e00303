"""Words that templates need made from data: lists, frequencies, consent texts with links."""

import re

import flask_babel
from babel.lists import format_list
from flask import Flask
from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup, escape

from prefcenter.consent_texts import age_statement

_FREQUENCY = re.compile(r"([1-9][0-9]{0,3})/(week|month)\Z")
# Networks act on these words, so they stay as they are in every language and direction.
_KEYWORDS = re.compile(r"\b(STOP|START|HELP)\b")


def register(app: Flask) -> None:
    """Add the filters, `format_date` and tidy block whitespace to the app's templates."""
    env = app.jinja_env
    env.trim_blocks = env.lstrip_blocks = True
    env.globals["format_date"] = flask_babel.format_date
    env.filters.update(
        join_list=join_list,
        how_often=how_often,
        frequency_label=frequency_label,
        age_statement=age_statement,
        consent_html=consent_html,
    )


def join_list(names: list[str]) -> str:
    """`A, B and C`, in the page's language."""
    locale = str(flask_babel.get_locale() or "en")
    # Plain English gets no comma before "and", as everywhere else on the pages.
    return format_list(list(names), locale="en_GB" if locale == "en" else locale)


def how_often(frequency: str) -> str:
    """The end of a sentence: `whenever there is news`, `once a week at most`.

    Takes "all", "N/week" or "N/month"; raises ValueError for anything else.
    """
    words: str
    match _parse(frequency):
        case None:
            words = _("whenever there is news")
        case 1, "week":
            words = _("once a week at most")
        case times, "week":
            words = ngettext("%(num)s time a week at most", "%(num)s times a week at most", times)
        case 1, _month:
            words = _("once a month at most")
        case times, _month:
            words = ngettext("%(num)s time a month at most", "%(num)s times a month at most", times)
    return words


def frequency_label(frequency: str) -> str:
    """The label of a choice under "How often, at most": `Once a week`.

    Takes and raises the same as `how_often`.
    """
    words: str
    match _parse(frequency):
        case None:
            words = _("Whenever there is news")
        case 1, "week":
            words = _("Once a week")
        case times, "week":
            words = ngettext("%(num)s time a week", "%(num)s times a week", times)
        case 1, _month:
            words = _("Once a month")
        case times, _month:
            words = ngettext("%(num)s time a month", "%(num)s times a month", times)
    return words


def consent_html(text: str, terms_url: str, privacy_url: str, *, new_tab: bool = False) -> Markup:
    """A stored consent text for the page: the words unchanged, its two documents linked.

    `new_tab` is for a page in a frame, where they could not be shown.
    The links are appended where the text does not name the documents (an older version).
    """
    html = _KEYWORDS.sub(r'<b dir="ltr" translate="no">\1</b>', str(escape(text)))
    aside = ' target="_blank" rel="noopener"' if new_tab else ""
    for name, url in ((_("Terms"), terms_url), (_("Privacy"), privacy_url)):
        link = f'<a href="{escape(url)}"{aside}>{escape(name)}</a>'
        before, found, after = html.rpartition(str(escape(name)))
        html = f"{before}{link}{after}" if found else f"{html} {link}"
    return Markup(html)


def _parse(frequency: str) -> tuple[int, str] | None:
    """How many times per "week" or "month"; None for "all"."""
    if frequency == "all":
        return None
    found = _FREQUENCY.match(frequency)
    if found is None:
        raise ValueError(f"Not a frequency: {frequency!r}")
    return int(found[1]), found[2]
