"""Which language a page is in; shown by a GET, stored only by a save."""

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


def others(current: str, path: str) -> list[tuple[str, str, str]]:
    """Code, own name and address of this page in each language but the current one."""
    return [
        (code, LANGUAGE_NAMES[code], f"{path}?lang={code}")
        for code in config.LANGUAGES
        if code != current
    ]
