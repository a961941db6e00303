"""The floors that our pages are measured against.

`bare` is Flask and Jinja alone: the same page with constant data, no database, no link, no
headers. `unwritten` is the product itself without its writes, `verified` takes a webhook and
stores nothing; `least` has one more route, a confirm that does only what nobody could leave
out. `answers` is Flask, JSON and the bare driver, for the decisions: a hello, answers that were
made before, and one query.
"""

import json
import os
import sqlite3
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from flask import Flask, jsonify, render_template, request
from flask_babel import Babel
from werkzeug.wrappers import Response

from benchmarks.export_floor import exported as exported
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


DRIVER = "driver"
ANSWERS = "BENCHMARK_ANSWERS"  # a file of decisions as ours were
# CROSS JOIN keeps SQLite from going through everybody who is subscribed.
_TAKES = """
    SELECT p.number FROM {numbers} CROSS JOIN person p
     WHERE p.number = n.value AND p.status = 'subscribed' AND EXISTS (
        SELECT 1 FROM person_category t JOIN category c ON c.id = t.category_id
         WHERE t.person_id = p.id AND c.slug = {slug})"""


def answers() -> Flask:
    """What a decision cannot cost less than."""
    app = Flask("prefcenter")
    held: list[dict[str, Any]] = json.loads(Path(os.environ[ANSWERS]).read_text())
    driver = app.extensions[DRIVER] = Driver(config.read().database_url)

    @app.get("/hello")
    def hello() -> Response:
        return jsonify(hello="world")

    @app.post("/same")
    def same() -> Response:
        return jsonify(held[: len(request.get_json()["numbers"])])

    @app.post("/raw")
    def raw() -> Response:
        asked = request.get_json()
        numbers = asked["numbers"] if "numbers" in asked else [asked["number"]]
        allowed = driver.takes(asked["category"], numbers)
        said = [{"decision": "allow" if number in allowed else "deny"} for number in numbers]
        return jsonify(said if "numbers" in asked else said[0])

    return app


class Driver:
    """Asks the database without anything of ours; a connection for each thread."""

    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self._address = url.split(":///", 1)[1] if self._sqlite else url.replace("+psycopg", "")
        self._own = threading.local()

    def takes(self, slug: str, numbers: list[str]) -> set[str]:
        """Who of these numbers takes this category."""
        if not hasattr(self._own, "connection"):
            self._own.connection = self._connect()
        if self._sqlite:
            query = _TAKES.format(numbers="json_each(?) n", slug="?")
            rows = self._own.connection.execute(query, (json.dumps(numbers), slug))
        else:
            query = _TAKES.format(numbers="unnest(%s::text[]) n(value)", slug="%s")
            rows = self._own.connection.execute(query, (numbers, slug))
        return {row[0] for row in rows}

    def _connect(self) -> Any:
        if self._sqlite:
            return sqlite3.connect(self._address)
        return psycopg.connect(self._address, autocommit=True)

    def close(self) -> None:
        """Let this thread's go."""
        self._own.connection.close()


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
