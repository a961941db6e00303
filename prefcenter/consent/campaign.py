"""Our words and texts in the fields of a 10DLC campaign, and where they differ (RULE-56).

Carriers compare what is registered with what is sent. The field names are those of The
Campaign Registry, which Vonage's dashboard asks for too.
"""

from collections.abc import Mapping

from flask_babel import force_locale

from prefcenter import config, consent_texts
from prefcenter.links import PATHS, TOKEN_LENGTH, Purpose
from prefcenter.models import TextKind
from prefcenter.sms import wording

OPT_OUT = (
    *("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "UNSUB", "CANCEL", "END", "QUIT", "REVOKE"),
    *("OPT OUT", "OPTOUT", "OPT-OUT", "REMOVE", "TD", "ARRET", "ARRETE", "ARRÊT"),
)
HELP = ("HELP", "INFO", "AIDE")
OPT_IN = ("START", "UNSTOP", "SUBSCRIBE", "JOIN", "YES")


def fields() -> dict[str, str]:
    """What to register, in English, from the settings as they are."""
    settings = config.current()
    with force_locale("en"):
        agreed = consent_texts.consent_text("signup", settings.brand, settings.texts_per_month)
    own = tuple(word for word in settings.keywords if word not in OPT_IN)
    return {
        "messageFlow": f"People sign up at {settings.public_url}/ with a box to tick: {agreed}"
        " They then get one text and confirm by its link or by replying YES.",
        "optinKeywords": _listed(*OPT_IN, *own),
        "optinMessage": _text(TextKind.WELCOME),
        "optoutKeywords": _listed(*OPT_OUT, *settings.stop_words),
        "optoutMessage": _text(TextKind.UNSUBSCRIBED),
        "helpKeywords": _listed(*HELP, *settings.help_words),
        "helpMessage": _text(TextKind.HELP),
        "sample1": _text(TextKind.CONFIRM_REQUEST),
        "sample2": _text(TextKind.CHANGED),
    }


def differences(registered: Mapping[str, object]) -> list[str]:
    """A sentence for each field that is not registered as we use it."""
    found = []
    for name, ours in fields().items():
        theirs = registered.get(name)
        if theirs is None:
            found.append(f"{name} is not registered; it should be: {ours}")
        elif _comparable(name, str(theirs)) != _comparable(name, ours):
            found.append(f"{name} is registered as: {theirs} But we use: {ours}")
    return found


def _comparable(name: str, value: str) -> object:
    if name.endswith("Keywords"):
        return {word.strip().upper() for word in value.split(",")}
    return " ".join(value.split())


def _listed(*words: str) -> str:
    return ",".join(dict.fromkeys(word.upper() for word in words))


def _text(kind: TextKind) -> str:
    settings = config.current()
    purpose = Purpose.CONFIRM if kind is TextKind.CONFIRM_REQUEST else Purpose.MANAGE
    return wording.render(
        kind,
        locale="en",
        brand=settings.brand,
        link=settings.public_url + PATHS[purpose] + "x" * TOKEN_LENGTH,
        support=settings.support,
        texts_per_month=settings.texts_per_month,
    )
