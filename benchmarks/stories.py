"""Many people's consent as rows: real hash chains, at some microseconds an event.

A story is a row of events that the product's own fold has accepted. Its JSON is made once with
gaps for what differs from person to person, which is why a million people take half a minute;
tests/test_seed_history.py proves that the product finds every chain whole.
"""

import hashlib
import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from prefcenter.consent import ledger
from prefcenter.consent import state as states
from prefcenter.consent.state import State
from prefcenter.models import Action, EventKind, Source

EVENTS_EACH = 5  # of a hundred people 500 events
SPAN = timedelta(days=300)  # sign-ups, the first of them a year ago
GAP = timedelta(days=10)  # between two things that one person does
SALT = 64
_ID = 22
_AT, _EXPIRES, _UNTIL, _NUMBER = "@at@", "@expires@", "@until@", "@number@"
_WAIT, _BREAK, _MINUTES = timedelta(hours=72), timedelta(days=30), timedelta(minutes=4)
_LATER = (timedelta(), _MINUTES, *(k * GAP for k in range(2, 6)))  # than the sign-up
NOTE = "Called the shop and asked for no more texts."
_DETAILS = {Source.SMS: "STOP", Source.MAINTENANCE: "", Source.ADMIN: "Dana"}
_NAMING = ("added", "dropped", "requested")
_SETS = (("offers",), ("offers", "new-books"), ("new-books", "events"), ("events", "in-stock"))
_DOORS = (
    *((Source.WIDGET, "demo"), (Source.WIDGET, "checkout"), (Source.FORM, "prefs.example")),
    *((Source.API, "checkout"), (Source.WIDGET, "poster"), (Source.WIDGET, "demo")),
)
_AREA_CODES = ("212", "305", "312", "404", "504", "512", "602", "206")  # of eight states
_DEVICE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Safari/604.1"
# What happens to so many of a hundred people, in short: see _STEPS.
_MIX = (
    *((30, "ask yes choose rarer add"), (10, "ask yes pause resume choose add")),
    *((10, "ask yes choose stop start add"), (20, "ask yes choose rarer stop")),
    *(
        (8, "ask yes choose leave"),
        (2, "ask yes choose phone"),
        (8, "ask over ask over"),
        (1, "ask over ask over ask over"),
    ),
    *((1, "ask over ask"), (8, "ask no ask yes choose"), (1, "ask yes choose add gone")),
    *((1, "ask yes choose note"),),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One event of a story: its JSON around the gaps, and the columns that are always so."""

    kind: str
    action: str | None
    source: str
    detail: str
    language: str
    wording: str | None
    refers: int | None  # which event of the story it answers
    changes: str
    head: str
    escaped: str  # the changes as a JSON text within the event's JSON
    evidence: str
    timed: bool  # whether a time stands in the changes
    names: tuple[str, ...]  # the categories that it is about
    note: str

    def filled(self, at: datetime, iso: str) -> tuple[str, str]:
        """The changes with their times, plain and escaped."""
        if not self.timed:
            return self.changes, self.escaped
        expires, until = (at + _WAIT).isoformat(), (at + _BREAK).isoformat()
        found = []
        for text in (self.changes, self.escaped):
            text = text.replace(_AT, iso).replace(_EXPIRES, expires).replace(_UNTIL, until)
            found.append(text)
        return found[0], found[1]


@dataclass(frozen=True, slots=True)
class Story:
    """The steps and where they lead; times in `ends` are numbers of steps."""

    steps: tuple[Step, ...]
    ends: State
    reassigned: bool


@dataclass(slots=True)
class Cast:
    """What is kept of each person while their story goes on."""

    people: int
    stories: list[Story]
    signed_up: list[datetime]
    names: list[str]
    noise: str
    heads: list[str]
    asked: list[list[str]]

    def story(self, i: int) -> Story:
        return self.stories[i % len(self.stories)]

    def at(self, i: int, k: int) -> datetime:
        """When person i does the k-th thing."""
        return self.signed_up[i] + _LATER[k]

    def event_id(self, number: int) -> str:
        return _name(self.noise, "e", number)

    def salt(self, number: int) -> str:
        start = number * 37 % (len(self.noise) - SALT)
        return self.noise[start : start + SALT]


def cast(people: int, wordings: dict[str, str], *, now: datetime) -> Cast:
    """So many people, a year up to now. `wordings` are texts shown, by language."""
    first = now - SPAN - len(_LATER) * GAP
    noise = random.Random(people).randbytes(1 << 20).hex()
    return Cast(
        people=people,
        stories=_stories(wordings),
        # More and more of them as the year goes on.
        signed_up=[first + SPAN * ((i + 1) / people) ** 0.7 for i in range(people)],
        names=[_name(noise, "p", i) for i in range(people)],
        noise=noise,
        heads=[ledger.FIRST] * people,
        asked=[[] for _ in range(people)],
    )


def _name(noise: str, letter: str, number: int) -> str:
    """A public id; rising, so that a unique index grows at its end."""
    start = number * 13 % (len(noise) - _ID)
    return f"{letter}{number:08d}{noise[start : start + _ID - 9]}"


def phone_of(i: int) -> str:
    """Made up, and for a database that is thrown away: nothing here is ever sent."""
    if i % 10 == 8:
        return f"+1416{2_000_000 + i}"
    code = _AREA_CODES[i // 7 % len(_AREA_CODES)]
    return f"+447{400_000_000 + i}" if i % 10 == 9 else f"+1{code}{2_000_000 + i}"


def country_of(i: int) -> str:
    return {8: "CA", 9: "GB"}.get(i % 10, "US")


@dataclass(frozen=True, slots=True)
class Rows:
    """What one event leaves in each table; `facts` are what its trigger would write."""

    event: tuple[Any, ...]
    evidence: tuple[Any, ...]
    facts: list[tuple[Any, ...]]
    notes: list[tuple[Any, ...]]


def events(cast: Cast) -> Iterator[Rows]:
    """The rows of all events, oldest first; see EVENT_COLUMNS."""
    longest = max(len(story.steps) for story in cast.stories)
    lines = (_line(cast, k) for k in range(longest))
    for number, (at, k, i) in enumerate(heapq.merge(*lines), 1):
        yield _event(cast, number, at, k, i)


EVENT_COLUMNS = (
    *("id", "public_id", "person_id", "seq", "at", "kind", "action", "source"),
    *("source_detail", "language", "wording_sha256", "refers_to", "changes"),
    *("evidence_hash", "prev_hash", "hash"),
)


def _line(cast: Cast, k: int) -> Iterator[tuple[datetime, int, int]]:
    """The k-th event of everybody who has so many, oldest first."""
    for i in range(cast.people):
        if k < len(cast.story(i).steps):
            yield cast.at(i, k), k, i


def _event(cast: Cast, number: int, at: datetime, k: int, i: int) -> Rows:
    step = cast.story(i).steps[k]
    iso, name = at.isoformat(), cast.event_id(number)
    changes, escaped = step.filled(at, iso)
    refers = cast.asked[i][-1] if step.refers is not None else None
    if step.kind == EventKind.REQUESTED:
        cast.asked[i].append(name)
    salt, body = cast.salt(number), step.evidence.replace(_NUMBER, phone_of(i))
    proof, before = ledger.evidence_hash(salt, body), cast.heads[i]
    content = (
        f'{step.head}"at":"{iso}","changes":"{escaped}","evidence_hash":"{proof}","format":1,'
        f'"id":"{name}","kind":"{step.kind}","language":"{step.language}",'
        f'"person":"{cast.names[i]}","prev_hash":"{before}","refers_to":{_json(refers)},'
        f'"seq":{k + 1},"source":"{step.source}","source_detail":"{step.detail}",'
        f'"wording_sha256":{_json(step.wording)}}}'
    )
    head = cast.heads[i] = hashlib.sha256(content.encode()).hexdigest()
    moment = stamp(iso)
    event = (
        *(number, name, i + 1, k + 1, moment, step.kind, step.action, step.source),
        *(step.detail, step.language, step.wording, refers, changes, proof, before, head),
    )
    facts = [("country", country_of(i), moment, number)]
    facts += [("category", slug, moment, number) for slug in step.names]
    notes = [(moment, number, step.note)] if step.note else []
    return Rows(event, (number, salt, body), facts, notes)


def stamp(iso: str) -> str:
    """A moment in UTC as SQLAlchemy writes it for SQLite, and PostgreSQL reads it."""
    text = f"{iso[:10]} {iso[11:-6]}"
    return text if "." in text else f"{text}.000000"


def _json(text: str | None) -> str:
    return f'"{text}"' if text is not None else "null"


def _stories(wordings: dict[str, str]) -> list[Story]:
    """One for each of a hundred people, in each kind of choice, door and language."""
    plots = [plot for share, plot in _MIX for _ in range(share)]
    assert len(plots) == 100 and sum(len(plot.split()) for plot in plots) == 100 * EVENTS_EACH
    rng = random.Random(5)
    found = []
    for turn in range(8):
        rng.shuffle(plots)
        for at, plot in enumerate(plots):
            language = "es" if (turn + at) % 8 == 7 else "en"
            kinds, door = _SETS[(turn + at) % len(_SETS)], _DOORS[at % len(_DOORS)]
            found.append(_story(plot.split(), kinds, door, language, wordings[language]))
    return found


def _story(
    plot: Sequence[str], kinds: tuple[str, ...], door: tuple[Source, str], language: str, sha: str
) -> Story:
    steps, folded, refers = [], [], None
    more = next(kind for kind in ("in-stock", "offers") if kind not in kinds)
    for k, word in enumerate(plot):
        kind, action, source, changes = _STEPS[word]
        source = source or door[0]
        said = dict(changes(kinds, more, language))
        steps.append(_step(kind, action, source, door[1], language, sha, said, refers))
        refers = k if kind is EventKind.REQUESTED else refers
        entry = SimpleNamespace(public_id=str(k), kind=kind, source=source)
        folded.append((entry, _numbered(said, k), str(k)))
    return Story(tuple(steps), states.fold(folded), plot[-1] == "gone")


def _numbered(said: dict[str, Any], k: int) -> dict[str, Any]:
    """The changes with the number of the step where a person's own time will stand."""
    return {
        name: f"{k}{value}" if value in (_EXPIRES, _UNTIL) else value
        for name, value in said.items()
    }


def _step(
    kind: EventKind,
    action: Action | None,
    source: Source,
    door: str,
    language: str,
    sha: str,
    said: dict[str, Any],
    refers: int | None,
) -> Step:
    changes = ledger.canonical(said)
    form = kind is EventKind.REQUESTED
    answers = kind in (EventKind.CONFIRMED, EventKind.DECLINED, EventKind.EXPIRED)
    answer = {"button": "Save changes"}
    if source is Source.SMS:
        answer = {"text": "STOP"}
    elif source is Source.ADMIN:
        answer = {"channel": "phone", "note": NOTE}
    evidence = {
        "number": _NUMBER,
        "ip": "" if source in (Source.SMS, Source.MAINTENANCE) else "203.0.113.7",
        "user_agent": "" if source in (Source.SMS, Source.MAINTENANCE) else _DEVICE,
        "page_url": "https://www.marlowbooks.example/" if form else "",
        "answer": answer,
        "privacy_version": "1",
    }
    return Step(
        kind=kind.value,
        action=action.value if action else None,
        source=source.value,
        detail=door if form else _DETAILS.get(source, "prefs.example"),
        language=language,
        wording=sha if kind in (EventKind.REQUESTED, EventKind.CONFIRMED) else None,
        refers=refers if answers else None,
        changes=changes,
        head='{"action":' + _json(action.value if action else None) + ",",
        escaped=ledger.canonical(changes)[1:-1],
        evidence=ledger.canonical(evidence),
        names=tuple(sorted({n for key in _NAMING for n in said.get(key, ())})),
        note=ledger.searchable(answer.get("note", "")),
        timed=any(mark in changes for mark in (_AT, _EXPIRES, _UNTIL)),
    )


def _said(word: str) -> dict[str, Any]:
    return {"word": word, "said_at": _AT, "sure": True, "reply": "app"}


_PAGE, _SMS, _OURS = Source.PREFERENCE_PAGE, Source.SMS, Source.MAINTENANCE
# Kind, action, source (none for the person's own door) and changes of each word of a plot.
_STEPS: dict[str, tuple[EventKind, Action | None, Source | None, Any]] = {
    "ask": (
        EventKind.REQUESTED,
        None,
        None,
        lambda kinds, _more, language: {
            "requested": sorted(kinds),
            "request_expires_at": _EXPIRES,
            "language": language,
        },
    ),
    "yes": (
        EventKind.CONFIRMED,
        Action.OPT_IN,
        _PAGE,
        lambda kinds, *_: {"added": sorted(kinds), "dropped": [], "paused_until": None},
    ),
    "no": (EventKind.DECLINED, None, _PAGE, lambda *_: {}),
    "over": (EventKind.EXPIRED, None, _OURS, lambda *_: {}),
    "choose": (EventKind.CHANGED, None, _PAGE, lambda *_: {"frequency": "1/week"}),
    "rarer": (EventKind.CHANGED, None, _PAGE, lambda *_: {"frequency": "1/month"}),
    "add": (EventKind.CHANGED, Action.OPT_IN, _PAGE, lambda _kinds, more, _: {"added": [more]}),
    "pause": (EventKind.PAUSED, None, _PAGE, lambda *_: {"paused_until": _UNTIL}),
    "resume": (EventKind.RESUMED, None, _PAGE, lambda *_: {"paused_until": None}),
    "stop": (EventKind.REVOKED, Action.OPT_OUT, _SMS, lambda *_: _said("stop") | {"scope": "all"}),
    "leave": (EventKind.REVOKED, Action.OPT_OUT, _PAGE, lambda *_: {}),
    "start": (EventKind.RESTARTED, Action.RE_OPT_IN, _SMS, lambda *_: _said("start")),
    "phone": (EventKind.REVOKED, Action.OPT_OUT, Source.ADMIN, lambda *_: {}),
    "gone": (EventKind.REASSIGNED, Action.OPT_OUT, _PAGE, lambda *_: {}),
    "note": (EventKind.NOTED, None, _SMS, lambda *_: _said("start")),
}


def ended(state: State, times: Sequence[datetime], asked: Sequence[str]) -> dict[str, Any]:
    """The row of a person at the end of a story, whose steps were at these times."""

    def when(text: str | None) -> datetime | None:
        if text is None:
            return None
        for mark, later in ((_EXPIRES, _WAIT), (_UNTIL, _BREAK)):
            if text.endswith(mark):
                return times[int(text.removesuffix(mark))] + later
        return times[int(text)]

    return {
        "status": state.status.value,
        "opt_in_level": state.opt_in_level.value,
        "frequency": state.frequency,
        "language": state.language,
        "requested": ledger.canonical(sorted(state.requested)),
        "request_ref": asked[-1] if state.request_ref is not None else None,
        "paused_until": when(state.paused_until),
        "request_expires_at": when(state.request_expires_at),
        "confirmed_at": when(state.confirmed_at),
        "opted_out_at": when(state.opted_out_at),
        "opt_out_source": state.opt_out_source.value if state.opt_out_source else None,
        "reassigned_at": when(state.reassigned_at),
    }
