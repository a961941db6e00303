"""What the demo's made-up people saw and pressed, as the pages' doors would have kept it."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import flask_babel
from flask import current_app
from flask_babel import gettext as _

from prefcenter import config, demo_people
from prefcenter.consent import ledger
from prefcenter.consent.ledger import Proof
from prefcenter.consent_texts import Kind, consent_text
from prefcenter.demo_plan import Act
from prefcenter.models import Source

SHOP = "https://www.marlowbooks.example"
_BEFORE = timedelta(days=240)  # until then the texts named half as many texts a month
_Texts = Mapping[tuple[str, Kind, bool], str]  # by language, kind, and whether of the first months
_Buttons = Mapping[str, Mapping[str, str]]


class Proofs:
    """Proof of each act, with the words that were shown at its time."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._texts, self._buttons = _words()

    def form(self, act: Act) -> Proof:
        """The proof of a form, as the door that took it would have kept it."""
        who, door = act.who, act.values["door"]
        hosted = door == "hosted"
        site = {"hosted": config.current().site, "api": "checkout"}.get(door, door)
        answer = {"box": "ticked", "button": self._buttons[who.language]["sign_up"]}
        if door == "api":
            answer["key"] = "Web shop"
        elif not hosted:
            answer["way"] = "page" if door == "poster" else "script"
        if act.values["label"]:
            answer["source"] = act.values["label"]
        page = f"{config.current().public_url}/"
        if not hosted:
            pages = demo_people.PAGES[site]
            page = f"{SHOP}/{pages[int(who.number[-2:]) % len(pages)]}"
        source = {"hosted": Source.FORM, "api": Source.API}.get(door, Source.WIDGET)
        return Proof(
            source=source,
            detail=site,
            language=who.language,
            wording_sha256=self.shown("signup", act),
            answer=answer,
            page_url=page,
            ip=who.ip,
            user_agent=who.device,
        )

    def shown(self, kind: Kind, act: Act) -> str:
        language = act.who.language
        text = self._texts[language, kind, act.at < self._now - _BEFORE]
        return ledger.publish(kind, language, text, now=act.at)

    def button(self, act: Act, name: str, path: str, wording: str | None = None) -> Proof:
        return Proof(
            source=Source.PREFERENCE_PAGE,
            detail=config.current().site,
            language=act.who.language,
            wording_sha256=wording,
            answer={"button": self._buttons[act.who.language][name]},
            page_url=config.current().public_url + path,
            ip=act.who.ip,
            user_agent=act.who.device,
        )


def _words() -> tuple[_Texts, _Buttons]:
    """What the pages said, in each language; the consent texts also as they were before."""
    settings = config.current()
    often = settings.texts_per_month
    texts: dict[tuple[str, Kind, bool], str] = {}
    buttons: dict[str, dict[str, str]] = {}
    kinds: tuple[Kind, ...] = ("signup", "confirm", "restart")
    with current_app.test_request_context():
        for language in config.LANGUAGES:
            with flask_babel.force_locale(language):
                buttons[language] = _labels()
                for kind in kinds:
                    texts[language, kind, False] = consent_text(kind, settings.brand, often)
                    fewer = max(often // 2, 1)
                    texts[language, kind, True] = consent_text(kind, settings.brand, fewer)
    return texts, buttons


def _labels() -> dict[str, str]:
    return {
        "sign_up": _("Text me a link to confirm"),
        "confirm": _("Yes, text me"),
        "decline": _("No, that was not me"),
        "save": _("Save changes"),
        "pause": _("Take a break"),
        "resume": _("Start again now"),
        "stop": _("Stop all texts"),
        "undo": _("Start texts again"),
        "not_mine": _("This number is mine now. Stop the texts"),
    }
