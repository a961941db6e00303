"""Our words and texts in the fields of a 10DLC campaign, and where they differ (RULE-56).

Carriers compare what is registered with what is sent. The field names are those of The
Campaign Registry, which Vonage's dashboard asks for too. What was registered may be noted here,
as versions like those of texts.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from prefcenter import config
from prefcenter.consent import wordings
from prefcenter.links import PATHS, TOKEN_LENGTH, Purpose
from prefcenter.models import TextKind
from prefcenter.sms import own_texts, versions, wording
from prefcenter.sms.versions import Version

OPT_OUT = (
    *("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "UNSUB", "CANCEL", "END", "QUIT", "REVOKE"),
    *("OPT OUT", "OPTOUT", "OPT-OUT", "REMOVE", "TD", "ARRET", "ARRETE", "ARRÊT"),
)
HELP = ("HELP", "INFO", "AIDE")
OPT_IN = ("START", "UNSTOP", "SUBSCRIBE", "JOIN", "YES")
# Characters that the registry's form takes, at least and at most.
LIMITS = {
    "messageFlow": (40, 2048),
    "optinKeywords": (1, 255),
    "optinMessage": (20, 320),
    "optoutKeywords": (1, 255),
    "optoutMessage": (20, 320),
    "helpKeywords": (1, 255),
    "helpMessage": (20, 320),
    "sample1": (20, 1024),
    "sample2": (20, 1024),
}
_LANGUAGE = "en"  # the registry's


def fields() -> dict[str, str]:
    """What to register, in English, from the settings as they are."""
    settings = config.current()
    agreed = wordings.text("signup", "en")
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
        elif not is_same(name, ours, str(theirs)):
            found.append(f"{name} is registered as: {theirs} But we use: {ours}")
    return found


def is_same(name: str, ours: str, theirs: str) -> bool:
    """True where a field is registered as we use it; keywords in any order."""
    return _comparable(name, ours) == _comparable(name, theirs)


def registered() -> dict[str, str]:
    """What somebody noted as registered, by field; nothing where nobody did."""
    newest = newest_note()
    noted = json.loads(newest.body) if newest else {}
    return {name: str(noted.get(name, "")) for name in LIMITS}


def newest_note() -> Version | None:
    found = versions.history(versions.CAMPAIGN, _LANGUAGE, most=1)
    return found[0] if found else None


def note(values: Mapping[str, str], *, after: int, by: str, now: datetime) -> int:
    """Keep what is registered as a new version. Never commits; raises versions.Overtaken."""
    body = json.dumps({name: values[name] for name in LIMITS}, ensure_ascii=False, sort_keys=True)
    return versions.save(versions.CAMPAIGN, _LANGUAGE, body, after=after, by=by, now=now)


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
        template=own_texts.template(kind, "en"),
    )
