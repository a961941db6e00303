"""The floors that our pages are measured against.

`bare` is Flask and Jinja alone: the same page with constant data, no database, no link, no
headers. `unwritten` is the product itself without its writes, `verified` takes a webhook and
stores nothing; `least` has one more route, a confirm that does only what nobody could leave
out.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace

from flask import Flask, render_template
from flask_babel import Babel
from werkzeug.wrappers import Response

from prefcenter import clock, config, create_app, links
from prefcenter.assets_path import ASSETS
from prefcenter.consent import ledger, preferences, suppression
from prefcenter.database import db
from prefcenter.links import Purpose
from prefcenter.sms import outbox
from prefcenter.web import assets, customer, filters, guards, htmx, pages, proof, webhooks
from prefcenter.web.forms import TextVersionForm


def bare() -> Flask:
    settings = config.read()
    app = Flask("prefcenter", template_folder=str(ASSETS / "templates"))
    app.static_folder = str(ASSETS / "static")
    Babel(app, default_locale="en", default_translation_directories="translations")
    assets.init_app(app, colour=settings.brand_color)
    filters.register(app)
    with app.test_request_context():
        held = assets.current()
        page = _constant_page(settings)
    words = {
        "page": page,
        "brand": {"name": settings.brand, "logo": None},
        "site": settings.site,
        "reply_code": "+1 202-555-0100",
        "support": settings.support,
        "terms_url": "/terms",
        "privacy_url": "/privacy",
        "signup_url": "/",
        "texts_per_month": 4,
        "inline_css": held.css,
        "script_url": held.script.url,
        "lang": "en",
        "dir": "ltr",
        "languages": [("es", "Español", "/?lang=es")],
    }

    @app.get("/page")
    def page_alone() -> str:
        return render_template("customer/preferences.html", **words)

    return app


def _constant_page(settings: config.Settings) -> object:
    own = "/p/" + "a" * 31
    page = pages.PreferencesPage(
        state="on",
        last4="0143",
        since=datetime(2026, 11, 1, tzinfo=UTC),
        paused_until=None,
        categories=[
            pages.CategoryRow("offers", "Sales and offers", "About 2 texts a month", True, None),
            pages.CategoryRow("new-books", "New books", "About 1 text a week", False, None),
            pages.CategoryRow("events", "Events near you", "A few times a year", False, None),
            pages.CategoryRow("in-stock", "Back in stock", "Only for books", False, None),
        ],
        frequencies=[
            pages.Choice(value, filters.frequency_label(value), value == "all")
            for value in settings.frequencies
        ],
        languages=[
            pages.Choice("en", "English", True),
            pages.Choice("es", "Español", False),
        ],
        version=2,
        note=None,
        error=None,
        consent_text="",
        text_version="",
        summary_frequency="all",
        urls=pages.urls("/p/", own[3:]),
    )
    assert asdict(page)
    return page


def product() -> Flask:
    return create_app()


def least() -> Flask:
    """The product, and beside its confirm the least that such a POST must do."""
    app = create_app()
    # Named like a view of the confirm blueprint, so that the same guard reads the link.
    app.add_url_rule("/c/<token>/least", "confirm.least", least_confirm, methods=["POST"])
    return app


def unwritten() -> Flask:
    """The product with every writing statement, the lock and the commit left out."""
    ledger.execute = suppression.execute = _skip
    ledger.insert_row = outbox.insert_row = _one
    customer.begin_write = db.session.rollback
    db.session.commit = db.session.rollback
    return create_app()


def verified() -> Flask:
    """The product whose webhooks are checked and read as ever, and not stored."""
    webhooks.Intake.store = _nothing
    return create_app()


def _nothing(*_: object, **__: object) -> None:
    """Stands for a step that is left out."""


def _skip(*_: object) -> SimpleNamespace:
    return SimpleNamespace(rowcount=0)


def _one(*_: object) -> int:
    return 1


def least_confirm(token: str) -> Response:
    """Link, form, text version, one read of the person, rule, new link, redirect."""
    form, now, link = TextVersionForm(), clock.now(), guards.link()
    proof.shown("confirm", form.text_version.data or "")
    row = pages.find(link)
    preferences.confirm_state(row, link, now=now)
    proof.of_button("Yes, text me")
    fresh = links.make(Purpose.MANAGE, row.link_id, now=now, opted_out_at=row.opted_out_at)
    return htmx.see_other(f"/p/{fresh}?done=confirmed")
