"""prefcenter: a self-hosted preference centre for text messages."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask_babel import Babel, get_locale
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

from prefcenter import config, logs, phone, schema
from prefcenter.assets_path import ASSETS
from prefcenter.config import ConfigError, Settings
from prefcenter.consent import keywords, send_windows
from prefcenter.database import db, engine_options, prepare
from prefcenter.links import Purpose
from prefcenter.sms import unstored
from prefcenter.web import (
    api,
    api_decisions,
    api_docs,
    api_exports,
    api_limits,
    api_people,
    assets,
    customer,
    dev,
    entering,
    errors,
    filters,
    guards,
    headers,
    health,
    htmx,
    idempotency,
    language,
    poster,
    preview,
    webhooks,
    widget,
)
from prefcenter.web import preferences as choices
from prefcenter.web.admin import BLUEPRINTS, entry, shell

__all__ = ["create_app"]


class _App(Flask):
    """Flask without its question, at every step of each request, whether a function is async:
    none of ours is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def create_app(settings: Settings | None = None, *, serving: bool = True) -> Flask:
    """The app. Raises ConfigError, with the cure, for settings that are wrong or unsafe.

    `serving` is False for commands that may run before the database has its tables.
    """
    settings = settings or config.read()
    if clashing := keywords.clashes(settings.keywords):
        raise ConfigError(
            f"{config.PREFIX}KEYWORDS holds {clashing[0]}, which already means something else;"
            " choose another word."
        )
    app = _App(
        "prefcenter",
        template_folder=str(ASSETS / "templates"),
        static_folder=None,  # so that Flask adds no route of its own, which nobody guards
    )
    app.static_folder = str(ASSETS / "static")
    app.extensions["prefcenter"] = settings
    if serving:
        app.extensions["prefcenter.quiet_hours"] = _quiet_hours(settings)
    app.config.update(
        MAX_CONTENT_LENGTH=64 * 1024,
        TRUSTED_HOSTS=_trusted_hosts(settings),
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        BABEL_DEFAULT_LOCALE=settings.default_language,
        BABEL_TRANSLATION_DIRECTORIES="translations",
    )
    logs.init_app(settings)
    _open_database(app, settings)
    Babel(app, locale_selector=language.choose)
    _prepare_pages(app, settings)

    guards.init_app(app)
    headers.init_app(app, settings)
    api_limits.init_app(app)
    errors.init_app(app)
    entering.init_app(app)
    guards.open_to_all(app, health.bp, why="says nothing personal")
    guards.open_to_all(app, assets.bp, why="style, script and logo")
    guards.open_to_all(app, customer.open_bp, why="anyone may ask; the phone must confirm")
    guards.open_to_all(app, poster.bp, why="a page to print")
    guards.open_to_all(app, widget.bp, why="anyone may ask; tokens, work and limits stand inside")
    guards.by_link(app, customer.confirm_bp, Purpose.CONFIRM)
    guards.by_link(app, choices.manage_bp, Purpose.MANAGE)
    guards.by_link(app, choices.unsubscribe_bp, Purpose.UNSUBSCRIBE)
    guards.by_link(app, customer.new_link_bp, Purpose.NEW_LINK)
    guards.by_signature(app, webhooks.bp)
    guards.open_to_all(app, api_docs.bp, why="describes the API, and holds nothing of anybody")
    guards.by_api_key(app, api.bp)
    guards.by_api_key(app, api_decisions.bp)
    guards.by_api_key(app, api_exports.bp)
    guards.by_api_key(app, api_people.bp)
    guards.to_sign_in(app, entry.bp)
    for blueprint in BLUEPRINTS:
        guards.by_staff(app, blueprint)
    guards.development_only(app, dev.bp)
    guards.development_only(app, preview.bp)

    idempotency.init_app(app)
    app.wsgi_app = health.AnyHost(app.wsgi_app, settings.host)  # type: ignore[method-assign]  # how Werkzeug's docs add middleware
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]  # how Werkzeug's docs add middleware
    if serving and not settings.development:
        with app.app_context():
            if reason := schema.fault():
                db.session.remove()
                db.engine.dispose()
                raise ConfigError(reason[0].upper() + reason[1:] + ".")
    return app


def _quiet_hours(settings: Settings) -> send_windows.Book:
    try:
        return send_windows.read(settings.quiet_hours)
    except send_windows.WindowsError as error:
        raise ConfigError(f"{config.PREFIX}QUIET_HOURS cannot be used: {error}") from error


def _trusted_hosts(settings: Settings) -> list[str]:
    """Only the host of PUBLIC_URL is ours (SEC-3); in development this machine too."""
    return [settings.host, *(["127.0.0.1", "localhost", "[::1]"] if settings.development else [])]


def _open_database(app: Flask, settings: Settings) -> None:
    if settings.sqlite_file:
        settings.sqlite_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    db.init_app(app)
    with app.app_context():
        prepare(db.engine, settings.lock_file)
    unstored.init_app(app, settings)


def _prepare_pages(app: Flask, settings: Settings) -> None:
    assets.init_app(
        app,
        colour=settings.brand_color,
        dark_colour=settings.brand_color_dark,
        logo=settings.logo,
    )
    shell.init_app(app)
    api_docs.init_app(app)
    app.jinja_env.undefined = StrictUndefined  # a misspelt name is an error, not a gap
    filters.register(app)
    app.after_request(htmx.pack)
    reply_code = phone.international(settings.senders[0])

    @app.context_processor
    def common() -> dict[str, object]:
        locale, held = get_locale(), assets.current()
        return {
            "brand": {"name": settings.brand, "logo": held.logo.url if held.logo else None},
            "site": settings.site,
            "reply_code": reply_code,
            "support": settings.support,
            "terms_url": "/terms",
            "privacy_url": "/privacy",
            "signup_url": "/",
            "texts_per_month": settings.texts_per_month,
            "inline_css": held.css,
            "script_url": held.script.url,
            "lang": str(locale),
            "dir": locale.text_direction if locale else "ltr",
            "languages": language.others(str(locale)),
        }
