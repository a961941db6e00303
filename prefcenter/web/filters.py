"""Words that templates need made from data: lists, frequencies, consent texts with links."""

import re

import flask_babel
from babel.lists import format_list
from flask import Flask
from flask_babel import gettext as _
from markupsafe import Markup, escape

from prefcenter.consent_texts import age_statement
from prefcenter.frequency_words import frequency_label, how_often

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
