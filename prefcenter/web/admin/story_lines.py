"""The entries of one person's story as a page shows them: words, icon, who, what was seen.

Everything that a customer or Vonage sent is hostile text (SEC-38): it stays plain text here,
the templates escape it, and what looks like a whole number in it is masked.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter import phone
from prefcenter.models import OutboxStatus, Source, TextKind
from prefcenter.upkeep import event_words, story
from prefcenter.upkeep.event_words import Change
from prefcenter.upkeep.story import Entry, Sort, Wording
from prefcenter.web import guards
from prefcenter.web.admin import log_words

TEXTS: Mapping[TextKind, Any] = {
    TextKind.CONFIRM_REQUEST: _l("We texted a link to confirm"),
    TextKind.WELCOME: _l("We texted the welcome"),
    TextKind.CHANGED: _l("We texted what had changed"),
    TextKind.UNSUBSCRIBED: _l("We texted that texts are off"),
    TextKind.RESUBSCRIBED: _l("We texted that texts are on again"),
    TextKind.ALREADY_SUBSCRIBED: _l("We texted that they are subscribed already"),
    TextKind.HELP: _l("We texted help"),
    TextKind.NEW_LINK: _l("We texted a new link"),
    TextKind.WHICH: _l("We asked by text which kinds to keep"),
    TextKind.PREFERENCES: _l("We texted what they get now"),
    TextKind.PAUSED: _l("We texted that texts pause"),
    TextKind.RESUMED: _l("We texted that texts go on"),
    TextKind.MENU: _l("We texted the commands"),
}
DELIVERY: Mapping[OutboxStatus, tuple[Any, str]] = {
    OutboxStatus.QUEUED: (_l("waits to leave"), "plain"),
    OutboxStatus.SENDING: (_l("is leaving"), "plain"),
    OutboxStatus.SENT: (_l("sent"), "accent"),
    OutboxStatus.DELIVERED: (_l("delivered"), "ok"),
    OutboxStatus.UNKNOWN: (_l("may have left"), "warn"),
    OutboxStatus.FAILED: (_l("not delivered"), "bad"),
    OutboxStatus.CANCELLED: (_l("taken back"), "plain"),
    OutboxStatus.EXPIRED: (_l("too late, not sent"), "warn"),
}
_ANSWERS = {
    "box": _l("Box"),
    "button": _l("Button"),
    "text": _l("Their text"),
    "note": _l("Note"),
    "to": _l("Texted to"),
    "code": _l("Network's code"),
    "message_id": _l("Message"),
    "said_at": _l("Said at"),
    "received_at": _l("Received at"),
    "text_sent_at": _l("Our text was sent at"),
    "recorded_by": _l("Recorded by"),
}
_MOMENTS = ("said_at", "received_at", "text_sent_at")
_UNSAID = ("channel", "decision")  # event_words says them
_WHOLE = ("message_id", "to")  # no number of theirs
_WHO = {  # icon beside the name of whoever acted
    Source.ADMIN: "badge",
    Source.API: "cog",
    Source.IMPORT: "cog",
    Source.MAINTENANCE: "cog",
    Source.PROVIDER: "cloud",
}
_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet")),
    *(("Firefox", "Firefox"), ("FxiOS", "Firefox"), ("CriOS", "Chrome"), ("Chrome", "Chrome")),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows")),
    *(("CrOS", "ChromeOS"), ("Mac OS X", "macOS"), ("Linux", "Linux")),
)
_LONGEST = 200
_TURNING = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(?:\+\d\d:\d\d|Z)\Z")


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it was; `moment` where that is a time."""

    name: str
    value: str = ""
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as a page shows it."""

    id: str
    at: datetime
    title: str
    icon: str
    kind: str
    who: str
    who_icon: str
    through: str = ""
    tag: str = ""
    tag_kind: str = "plain"
    body: str = ""  # a text, as it was written
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    wording: Wording | None = None
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """What the ledger names by slug, in words."""

    categories: Mapping[str, str]
    sites: Mapping[str, str]


def line(entry: Entry, names: Names) -> Line:
    return _LINES[entry.sort](entry, names)


def _of_event(entry: Entry, names: Names) -> Line:
    row = entry.row
    zone = guards.staff().zone
    words = event_words.describe(row, names.categories, before=entry.before, zone=zone)
    evidence = entry.evidence or {}
    return Line(
        id=row.public_id,
        at=row.at,
        title=words.title,
        icon=words.icon,
        kind=words.tag_kind,
        who=event_words.actor(row),
        who_icon=_WHO.get(row.source, "person"),
        through=event_words.through(row, names.sites),
        changes=words.changes,
        notes=words.notes,
        facts=_seen(evidence),
        body=plain(str(evidence.get("answer", {}).get("text", ""))),
        wording=entry.wording,
        hash=row.hash,
    )


def _of_text(entry: Entry, _names: Names) -> Line:
    row = entry.row
    tag, kind = DELIVERY[row.status]
    facts = [Fact(_("Why"), row.reason)] if row.reason else []
    if row.finished_at and row.status in (OutboxStatus.DELIVERED, OutboxStatus.FAILED):
        facts.append(Fact(str(tag).capitalize(), moment=row.finished_at))
    return Line(
        id=row.ref,
        at=row.created_at,
        title=str(TEXTS[row.kind]),
        icon="arrow",
        kind="bad" if row.status is OutboxStatus.FAILED else "plain",
        who=_("the system"),
        who_icon="cog",
        tag=str(tag),
        tag_kind=kind,
        body=story.without_links(row.body),
        facts=tuple(facts),
    )


def _of_inbound(entry: Entry, _names: Names) -> Line:
    row = entry.row
    facts = []
    if row.said_at and row.said_at != row.received_at:
        facts.append(Fact(_("Said at"), moment=row.said_at))
    return Line(
        id=f"in-{row.id}",
        at=row.received_at,
        title=_("They texted us"),
        icon="text",
        kind="plain",
        who=_("customer"),
        who_icon="person",
        through=_("read as “%(word)s”", word=row.reading) if row.reading else "",
        tag="" if row.handled_at else _("waits to be read"),
        tag_kind="warn",
        body=plain(row.text),
        facts=tuple(facts),
    )


def _of_action(entry: Entry, _names: Names) -> Line:
    row = entry.row
    reason = phone.mask_within(row.reason)
    return Line(
        id=f"log-{row.id}",
        at=row.at,
        title=log_words.name(row.action),
        icon="eye" if row.action == "number_shown" else "badge",
        kind="plain",
        who=row.staff_name,
        who_icon="badge",
        facts=(Fact(_("Reason"), reason),) if reason else (),
    )


_LINES: Mapping[Sort, Callable[[Entry, Names], Line]] = {
    Sort.EVENT: _of_event,
    Sort.TEXT: _of_text,
    Sort.INBOUND: _of_inbound,
    Sort.ACTION: _of_action,
}


def _seen(evidence: Mapping[str, Any]) -> tuple[Fact, ...]:
    """What was seen when somebody acted: page, button, network and browser (RULE-11)."""
    facts = []
    for key, value in dict(evidence.get("answer", {})).items():
        if value and key not in _UNSAID and key != "text":
            facts.append(_answer(str(key), str(value)))
    if page := evidence.get("page_url"):
        facts.append(Fact(_("Page"), plain(str(page))[:_LONGEST]))
    if network := evidence.get("ip"):
        facts.append(Fact(_("Network"), shortened(str(network))))
    if agent := evidence.get("user_agent"):
        facts.append(Fact(_("Browser"), browser(str(agent))))
    return tuple(facts)


def _answer(key: str, value: str) -> Fact:
    name = str(_ANSWERS.get(key) or key.replace("_", " ").capitalize())
    if key in _MOMENTS and _ISO.match(value):
        try:
            return Fact(name, moment=datetime.fromisoformat(value))
        except ValueError:
            return Fact(name, value)
    return Fact(name, value if key in _WHOLE else plain(value))


def plain(text: str) -> str:
    """What somebody wrote, as it may stand on a page: numbers masked, and without the signs
    that turn letters around, which could show a reader other words than those that came."""
    return phone.mask_within(_TURNING.sub("", text))


def shortened(ip: str) -> str:
    """The network of an address, enough to tell one from another: /24, or /48 of IPv6."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return str(_("not an address"))
    bits = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, bits), strict=False))


def browser(agent: str) -> str:
    """A browser and its system in two words; else how it called itself, cut short."""
    name = next((words for mark, words in _BROWSERS if mark in agent), "")
    system = next((words for mark, words in _SYSTEMS if mark in agent), "")
    if name and system:
        return str(_("%(browser)s on %(system)s", browser=name, system=system))
    return name or agent[:60]
