"""A ledger event in words: what happened, from what to what, through which door, by whom.

For the history, the story of one number and the latest changes alike, so that they never say
different things. What people typed is plain text here: pages escape it. No database.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from babel import Locale
from flask_babel import format_date, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter.consent.state import State
from prefcenter.frequency_words import frequency_label
from prefcenter.models import Action, EventKind, Source

_Looks = tuple[Any, str, str]  # title, tag, icon
KINDS: Mapping[EventKind, _Looks] = {
    EventKind.REQUESTED: (_l("Asked for texts"), "accent", "plus"),
    EventKind.CONFIRMED: (_l("Said yes"), "ok", "check"),
    EventKind.DECLINED: (_l("Said no"), "plain", "cross"),
    EventKind.EXPIRED: (_l("Did not answer"), "plain", "clock"),
    EventKind.CHANGED: (_l("Changed their choices"), "accent", "pen"),
    EventKind.PAUSED: (_l("Paused"), "warn", "pause"),
    EventKind.RESUMED: (_l("Ended the pause"), "ok", "play"),
    EventKind.REVOKED: (_l("Stopped all texts"), "bad", "stop"),
    EventKind.RESTARTED: (_l("Started again"), "ok", "play"),
    EventKind.REASSIGNED: (_l("Number has a new owner"), "warn", "swap"),
    EventKind.ERASED: (_l("Erased"), "bad", "cross"),
    EventKind.NOTED: (_l("Noted, nothing changed"), "plain", "dot"),
}
ACTIONS: Mapping[Action, Any] = {
    Action.OPT_IN: _l("Opt-in"),
    Action.OPT_OUT: _l("Opt-out"),
    Action.RE_OPT_IN: _l("Opt-in again"),
}
SOURCES: Mapping[Source, Any] = {
    Source.WIDGET: _l("Form on a website"),
    Source.FORM: _l("Our sign-up page"),
    Source.PREFERENCE_PAGE: _l("Preferences page"),
    Source.SMS: _l("Text message"),
    Source.ADMIN: _l("By hand"),
    Source.API: _l("API"),
    Source.IMPORT: _l("Import"),
    Source.PROVIDER: _l("Network"),
    Source.MAINTENANCE: _l("By itself"),
}
# Where `source_detail` names the site on whose form or page somebody was.
OF_SITES = (Source.WIDGET, Source.FORM, Source.API, Source.PREFERENCE_PAGE)
_ACTORS: Mapping[Source, Any] = {
    Source.API: _l("a program"),
    Source.IMPORT: _l("an import"),
    Source.PROVIDER: _l("the network"),
    Source.MAINTENANCE: _l("the system"),
}
_CHANNELS = {
    "phone": _l("They phoned"),
    "letter": _l("They wrote a letter"),
    "email": _l("They wrote an e-mail"),
    "in_person": _l("They said it in person"),
    "online": _l("They chose it on a website or in an app"),
}
_ONLY_CAP = frozenset({"frequency"})
_ONLY_LANGUAGE = frozenset({"language"})
# What an event says besides what it changes.
_ABOUT = frozenset(
    {"word", "said_at", "sure", "reply", "reading", "scope", "ours", "review", "given_at", "method"}
)


class Event(Protocol):
    """The part of a ledger event that is put into words; `changes` is its JSON."""

    @property
    def kind(self) -> EventKind: ...

    @property
    def source(self) -> Source: ...

    @property
    def source_detail(self) -> str: ...

    @property
    def changes(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that became another. `before` is empty where nothing is known or was."""

    name: str
    after: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """An event as people read it. `detail` is one plain line; `changes` and `notes` are its
    parts, for a page that can show what went and what came. `tag_kind` is one of parts.tag,
    `icon` one of icons.py."""

    title: str
    detail: str
    tag_kind: str
    icon: str
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


def describe(
    event: Event,
    categories: Mapping[str, str],
    *,
    before: State | None = None,
    zone: str = "UTC",
) -> Words:
    """What an event did. `categories` are names by slug; one that is not there is its slug.

    `before` is the state that the event met, where it is known: then a change says from what.
    """
    said: dict[str, Any] = json.loads(event.changes)
    title, tag, icon = KINDS[event.kind]
    title, tag, icon = _special(event.kind, said) or (title, tag, icon)
    changes = tuple(_changes(said, categories, before, zone))
    notes = tuple(_notes(event, said))
    return Words(str(title), _line(changes, notes), tag, icon, changes, notes)


def through(event: Event, sites: Mapping[str, str]) -> str:
    """The door: which site's form, a text, a person here. `sites` are names by slug."""
    words, detail = str(SOURCES[event.source]), event.source_detail
    if event.source in (Source.WIDGET, Source.API) and detail:
        return f"{words}: {sites.get(detail, detail)}"
    if event.source in (Source.SMS, Source.PROVIDER) and detail:
        return f"{words}: {detail}"
    return words


def actor(event: Event) -> str:
    """Who acted: the customer, unless the door says otherwise; of ours by name."""
    if event.source is Source.ADMIN:
        return event.source_detail
    return str(_ACTORS.get(event.source) or _("customer"))


def _special(kind: EventKind, said: Mapping[str, Any]) -> _Looks | None:
    """A title that says more than the kind does."""
    if kind is EventKind.RESTARTED and said.get("review"):
        return _l("Put back by hand"), "ok", "play"
    if kind is EventKind.NOTED and "frequency" in said:
        return _l("Changed how often"), "accent", "pen"  # by a text while texts were off
    if kind is not EventKind.CHANGED:
        return None
    if said.get("scope") == "programme":
        return _l("Stopped one programme"), "bad", "stop"
    chosen = frozenset(said) - _ABOUT
    if chosen == _ONLY_CAP:
        return _l("Changed how often"), "accent", "pen"
    if chosen == _ONLY_LANGUAGE:
        return _l("Changed the language"), "accent", "pen"
    return None


def _changes(
    said: Mapping[str, Any], categories: Mapping[str, str], before: State | None, zone: str
) -> Iterator[Change]:
    for key, name in (
        ("requested", _("Asked for")),
        ("added", _("Takes now")),
        ("dropped", _("No longer")),
        ("refused", _("Does not want")),
    ):
        if slugs := said.get(key):
            yield Change(name, _named(slugs, categories))
    if cap := said.get("frequency"):
        yield _changed(_("At most"), cap, before.frequency if before else None, _cap)
    if cap := said.get("requested_frequency"):
        yield Change(_("At most"), _cap(cap))
    language = said.get("language")
    if language and (before is None or language != before.language):
        yield _changed(_("Language"), language, before.language if before else None, _language)
    yield from _days(said, zone)
    if ages := said.get("age_statements"):
        years = max(int(age) for age in ages.values())
        yield Change(_("Says to be"), _("%(years)s or older", years=years))


def _days(said: Mapping[str, Any], zone: str) -> Iterator[Change]:
    names = {"paused_until": _("No texts until"), "given_at": _("Agreed elsewhere on")}
    yield from (Change(name, _day(said[key], zone)) for key, name in names.items() if said.get(key))


def _changed(name: str, after: str, before: str | None, words: Any) -> Change:
    known = before is not None and before != after
    return Change(name, words(after), words(before) if known else "")


def _notes(event: Event, said: Mapping[str, Any]) -> Iterator[str]:
    word = str(said.get("word") or "")
    if event.source is Source.SMS and word:
        yield _("Texted “%(word)s”", word=event.source_detail or word)
    elif event.source is Source.PROVIDER:
        yield _("The network blocks our texts to this number")
    elif event.kind is EventKind.NOTED and word == "stop":
        yield _("Stop all texts")  # pressed once more on a page
    if channel := _CHANNELS.get(str(said.get("channel"))):
        yield str(channel)
    if said.get("reading") in ("likely", "surely"):
        yield _("In their own words, read as a refusal")
    if said.get("review"):
        yield _reviewed(word)
    if said.get("sure") is False:
        yield _("The time it was said cannot be believed")


def _reviewed(word: str) -> str:
    words: str = _("A person read the text")
    if word == "no refusal":
        words = _("A person read the text: it was no refusal")
    elif word in ("refusal", "stop"):
        words = _("A person read the text: it was a refusal")
    return words


def _line(changes: tuple[Change, ...], notes: tuple[str, ...]) -> str:
    parts = [
        f"{one.name}: {one.before} → {one.after}" if one.before else f"{one.name}: {one.after}"
        for one in changes
    ]
    return " · ".join([*parts, *notes])


def _named(slugs: Any, categories: Mapping[str, str]) -> str:
    return ", ".join(categories.get(str(slug), str(slug)) for slug in slugs)


def _cap(frequency: str) -> str:
    try:
        return frequency_label(frequency)
    except ValueError:
        return frequency


def _language(code: str) -> str:
    try:
        return Locale.parse(code).get_display_name(str(get_locale() or "en")) or code
    except (ValueError, LookupError):
        return code


def _day(iso: str, zone: str) -> str:
    day = datetime.fromisoformat(iso).astimezone(ZoneInfo(zone)).date()
    text: str = format_date(day, "d MMMM yyyy")
    return text
