"""What a request proves: who acted, from where, on which page, with which words shown."""

from collections.abc import Mapping
from types import MappingProxyType

from flask import request
from flask_babel import get_locale

from prefcenter import clock, config
from prefcenter.consent import wordings
from prefcenter.consent.ledger import Proof
from prefcenter.consent_texts import Kind
from prefcenter.models import Source


def of_button(button: str, *, wording_sha256: str | None = None) -> Proof:
    """Proof of a button pressed on a link's page; the token itself is not kept (SEC-7)."""
    path = (request.url_rule.rule if request.url_rule else "").replace("<token>", "…")
    return Proof(
        source=Source.PREFERENCE_PAGE,
        detail=config.current().site,
        language=str(get_locale()),
        wording_sha256=wording_sha256,
        answer={"button": button},
        page_url=config.current().public_url + path,
        ip=request.remote_addr or "",
        user_agent=request.user_agent.string[:400],
    )


def shown(
    kind: Kind, version: str, *, about: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, str] | None:
    """The language and text that a form's `text_version` names, or None for an old one.

    `about` is a site's own part of the text, by language.
    """
    return wordings.seen(kind, version, about=about, now=clock.now())
