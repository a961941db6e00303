"""Pages of the widget: framed by a site's own origins alone, in the site's colours.

In a sandboxed frame our own pages have no origin, so the policy names our address beside
'self'. Everything on them works without scripts.
"""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlencode

from flask import Response, current_app, make_response, render_template, request
from flask_babel import get_locale
from flask_babel import gettext as _
from markupsafe import Markup

from prefcenter import config, phone
from prefcenter.consent import inbound, sites
from prefcenter.consent.sites import Place
from prefcenter.web import assets, brand, embed, form_token, optin, origins, pages
from prefcenter.web.form_token import Way
from prefcenter.web.forms import OptInForm
from prefcenter.web.optin import Reading

# In a page of a site ours has no edge of its own. It keeps a ground, the one of its cards: on the
# site's own nobody knows whether our words can be read.
_FRAMED = "[data-prefcenter-frame] body { border: 0; background: var(--card); }"
# Carried from page to page, so that the proof knows them in the end.
_CARRIED = ("country", "source", "return_to", "leave_empty")


def form_page(
    place: Place,
    form: OptInForm,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    message: str = "",
    sent_before: bool = False,
    now: datetime,
) -> Response:
    """The form in full, with a fresh token. After an error what was typed stays.

    `sent_before` is for a form that comes twice, such as by two presses: its text may have left.

    Only the first page brings the script, because it would draw an empty form of its own.
    """
    locale, errors = get_locale(), errors or {}
    country = optin.countries_of(form, place)[0]
    said_yes = status == 422 and "consent" not in errors and optin.is_yes(form.consent.data)
    text = text_of(place)
    view = pages.view(
        number=form.number.data or "",
        errors=errors,
        message=message,
        sent_before=sent_before,
        categories=optin.rows(form, place) if optin.names_categories(form) else [],
        frequencies=optin.frequency_rows(form),
        consent_ticked=said_yes,
        consent_text=text,
        texts_per_month=config.current().texts_per_month,
        region_name=locale.territories.get(country, country) if locale else country,
        source=optin.label(form.source.data),
        around=_around(place),
        script=f"/w/{place.key}.{embed.made(place).digest}.js" if status == 200 else "",
        hidden=_hidden(place, form, token(place, Way.FRAME, now=now)),
    )
    return _page("widget/form.html", place, form.return_to.data, status=status, form=view)


def step_page(
    place: Place,
    form: OptInForm,
    reading: Reading,
    *,
    may: bool,
    message: str = "",
    now: datetime,
) -> Response:
    """ "One more step": a press instead of the proof of work. While the site is under attack
    (not `may`) only the phone itself can ask. A `message` says why it comes again: 400."""
    assert reading.number is not None
    own = [("number", reading.number.e164), ("consent", "yes")]
    own += [("frequency", reading.frequency)] if reading.frequency else []
    named = optin.names_categories(form)
    chosen = [row for row in optin.rows(form, place) if row.ticked] if named else []
    slugs = [(field, row.slug) for row in chosen for field in ("categories", "shown")]
    view = pages.view(
        may=may,
        message=message,
        number=phone.international(reading.number.e164),
        categories=chosen,
        frequency=reading.frequency,
        consent_text=text_of(place),
        hidden=[*own, *slugs, *_hidden(place, form, token(place, Way.STEP, now=now))],
    )
    status = 400 if message else 200
    return _page("widget/step.html", place, form.return_to.data, status=status, form=view)


def sent_path(place: Place, last4: str) -> str:
    """Where a form leads that was taken."""
    return address(_onward(f"/o/{place.key}/sent", place, to=last4), place)


def sent_page(place: Place, last4: str) -> Response:
    return _page("widget/sent.html", place, last4=last4)


def token(place: Place, way: Way, *, now: datetime) -> str:
    """A fresh token for the text that our page shows.

    Our script may show the text of another language, and to name it here would not fit into its
    4 KB. It names it with the form, where it must be one that is in force (optin.of_site).
    """
    version = pages.text_version(text_of(place))
    return form_token.make(place.slug, version, way, now=now)


def text_of(place: Place) -> str:
    """The consent text of a site in the language of the page."""
    language = str(get_locale())
    return pages.shown_text("signup", language, about=place.about.get(language, ""))


def help_text(place: Place) -> str:
    """What an honest person does when nothing comes, whatever the reason was (RULE-62)."""
    words: str = _(
        "No text after a few minutes? Text %(join)s to %(number)s, or %(start)s if you stopped"
        " our texts before.",
        join=inbound.word_of(place.slug),
        start="START",
        number=phone.international(config.current().senders[0]),
    )
    return words


def address(path: str, place: Place) -> str:
    """A path of ours in the language of this page."""
    language = str(get_locale())
    if language == place.language:
        return path
    return f"{path}{'&' if '?' in path else '?'}lang={language}"


def _hidden(place: Place, form: OptInForm, fresh: str) -> list[tuple[str, str]]:
    """Fields that nobody sees: the token, the wording, and what the first form said."""
    carried = [(name, form[name].data or "") for name in _CARRIED]
    return [
        ("form_token", fresh),
        ("text_version", pages.text_version(text_of(place))),
        ("lang", str(get_locale())),
        ("page", _page_before(place, form)),
        *((name, value) for name, value in carried if value),
    ]


def _page_before(place: Place, form: OptInForm) -> str:
    """The page around our frame or before our page; ours, where nothing is said."""
    if request.method == "POST":
        return origins.page(form.page.data or "", place)
    return _around(place) or f"{origins.ours()[0]}/w/{place.key}"


def _around(place: Place) -> str:
    """The site's page around our frame. The browser names it to the first of our pages only, so
    each carries it on to the next."""
    return origins.around(request.values.get("page", ""), place)


def _onward(path: str, place: Place, **more: str) -> str:
    """A path of ours with what the next page has to know of the first one."""
    source = optin.label(request.values.get("source"))
    said = {"source": source, "page": _around(place), **more}
    query = urlencode({name: value for name, value in said.items() if value}, safe=":/")
    return f"{path}?{query}" if query else path


def _page(
    template: str, place: Place, leads_to: str | None = "", *, status: int = 200, **context: object
) -> Response:
    css = _look(current_app.static_folder or "", *sites.colours(place))
    form_path = _onward(f"/w/{place.key}", place)
    html = render_template(
        template,
        place=place,
        inline_css=css,
        keyword=inbound.word_of(place.slug),
        form_url=address(form_path, place),
        post_url=f"/o/{place.key}",
        logo=f"/w/{place.key}/logo" if place.has_logo else None,
        languages=[
            (code, pages.LANGUAGE_NAMES[code], _onward(f"/w/{place.key}", place, lang=code))
            for code in config.LANGUAGES
            if code != str(get_locale())
        ],
        **context,
    )
    response = make_response(html, status)
    response.headers["Content-Security-Policy"] = _policy(place, str(css), leads_to or "")
    # So that pages which isolate themselves from others can still frame this one.
    response.headers["Cross-Origin-Embedder-Policy"] = "require-corp"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _policy(place: Place, css: str, leads_to: str) -> str:
    """Browsers also ask form-action where a form's answer leads on to."""
    own = " ".join(("'self'", *origins.ours()))
    framing = " ".join(("'self'", *place.origins))
    onward = origins.onward(leads_to, place)
    return (
        f"default-src 'none'; style-src {assets.source_of(css)}; script-src {own};"
        f" connect-src {own}; img-src {own} data:;"
        f" form-action {own}{f' {onward.origin}' if onward else ''}; base-uri 'none';"
        f" frame-ancestors {framing}"
    )


@lru_cache(maxsize=64)
def _look(static: str, colour: str, dark: str | None) -> Markup:
    """The pages' style sheet in a site's colours."""
    source = (Path(static) / "site.css").read_text(encoding="utf-8") + _FRAMED
    return Markup(assets.style_sheet(source, brand.theme(colour, dark)))
