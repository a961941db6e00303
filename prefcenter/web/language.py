"""Which language a page is in; shown by a GET, stored only by a save."""

from urllib.parse import urlencode

from flask import g, has_request_context, request

from prefcenter import config
from prefcenter.web.pages import LANGUAGE_NAMES


def choose() -> str | None:
    """`?lang=`, else the person's own, else what the browser likes best, else the default."""
    if not has_request_context():
        return None
    asked = request.args.get("lang")
    if asked in config.LANGUAGES:
        return asked
    own: str | None = g.get("person_language")
    return own or request.accept_languages.best_match(config.LANGUAGES)


def others(current: str) -> list[tuple[str, str, str]]:
    """Code, own name and address of this page in each language but the current one."""
    path, rule = request.path, request.url_rule
    if rule and "GET" not in (rule.methods or ()):
        path = path.rpartition("/")[0]  # what a button posts to is no page; the one above is
    kept = {name: text for name, text in request.args.items() if name == "to"}
    return [
        (code, LANGUAGE_NAMES[code], f"{path}?{urlencode({**kept, 'lang': code})}")
        for code in config.LANGUAGES
        if code != current
    ]
