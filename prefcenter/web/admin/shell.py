"""What all pages for staff share: the frame around them, times in the reader's zone, news."""

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal
from flask import Flask, Response, flash, url_for
from flask_babel import get_locale
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import phone
from prefcenter.models_staff import Role
from prefcenter.web import assets, guards, htmx
from prefcenter.web.admin import icons

_SCRIPTS = ("vendor/htmx-4.0.1.min.js", "admin.js")
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self';"
    " img-src 'self' data:; form-action 'self'; frame-src 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
# Endpoint, name in the side bar, icon, the least role that gets in.
_NAVIGATION = (
    ("admin_overview.overview", _l("Overview"), "bars", Role.VIEWER),
    ("admin_history.history", _l("History"), "clock", Role.VIEWER),
    ("admin_people.people", _l("Numbers"), "phone", Role.VIEWER),
    ("admin_reviews.reviews", _l("Review"), "eye", Role.VIEWER),
    ("admin_alarms.alarms", _l("Alarms"), "bell", Role.VIEWER),
    ("admin_exports.exports", _l("Exports"), "down", Role.VIEWER),
    ("admin_categories.categories", _l("Categories"), "list", Role.VIEWER),
    ("admin_sites.sites", _l("Sites"), "form", Role.VIEWER),
    ("admin_texts.texts", _l("Texts"), "text", Role.VIEWER),
    ("admin_campaign.campaign", _l("10DLC"), "badge", Role.VIEWER),
    ("admin_keys.keys", _l("API keys"), "key", Role.OWNER),
    ("admin_webhooks.webhooks", _l("Webhooks"), "arrow", Role.OWNER),
    ("admin_staff.staff", _l("Staff"), "people", Role.OWNER),
    ("admin_activity.activity", _l("Admin log"), "log", Role.VIEWER),
)
_FORMS = {  # Unicode skeletons would be finer, but these read well in both languages
    "minute": "d MMM yyyy, HH:mm",
    "second": "d MMM yyyy, HH:mm:ss",
    "long": "d MMMM yyyy, HH:mm:ss",
}


def init_app(app: Flask) -> None:
    """Make the style sheet and the script once, and give templates what they need."""
    static = Path(app.static_folder or "static")
    style = assets.style_file("admin", (static / "admin.css").read_text(encoding="utf-8"))
    parts = [(static / name).read_text(encoding="utf-8") for name in _SCRIPTS]
    script = assets.script(parts, "admin")
    assets.add(app, style, script)
    app.jinja_env.globals.update(admin_style=style.url, admin_script=script.url, icon=icons.icon)
    app.jinja_env.filters.update(
        local=local, utc=utc, day=day, masked=phone.mask_abroad, count=count, iso=iso
    )


def render(
    whole: str, /, fragment: str | None = None, *, status: int = 200, **more: object
) -> Response:
    """A page for staff, or its fragment when htmx asks and there is one."""
    response = htmx.render(
        whole,
        fragment,
        status=status,
        **{"staff": guards.staff(), "navigation": _navigation(), "may": guards.staff().may} | more,
    )
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def done(path: str, sentence: str) -> BaseResponse:
    """303 to one of our pages, which says this sentence once."""
    flash(sentence)
    return htmx.see_other(path)


def local(moment: datetime, form: str = "minute") -> Markup:
    """A moment on the reader's clock, with UTC when pointed at. `form`: minute, second or long."""
    there = ZoneInfo(guards.staff().zone)
    text = format_datetime(moment, _FORMS[form], tzinfo=there, locale=str(get_locale() or "en"))
    # The last space holds, so that a date and its time stay on one line.
    shown = text.replace(", ", ",\N{NO-BREAK SPACE}")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        iso(moment), utc(moment), shown
    )


def utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day(moment: date, form: str = "d MMM yyyy") -> str:
    """A day in words; of a datetime its day on the reader's clock."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(ZoneInfo(guards.staff().zone)).date()
    return format_date(moment, form, locale=str(get_locale() or "en"))


def count(number: float) -> str:
    """A number with the thousands set apart as the reader's language does."""
    return format_decimal(number, locale=str(get_locale() or "en"))


def _navigation() -> list[dict[str, object]]:
    staff = guards.staff()
    return [
        {"endpoint": endpoint, "name": name, "icon": shape, "url": url_for(endpoint)}
        for endpoint, name, shape, role in _NAVIGATION
        if staff.may(role)
    ]
