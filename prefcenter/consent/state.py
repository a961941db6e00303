"""What a person's ledger adds up to, and the moves that may be made. Pure: no database.

Every move that is not in MOVES is refused (RULES vocabulary, "transitions allowed").
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from prefcenter.models import EventKind, OptInLevel, Source, Status


class MoveError(Exception):
    """This event is not allowed from where the person stands."""


_ANY = frozenset(Status) - {Status.REDACTED}
_ON = frozenset({Status.SUBSCRIBED})
_EVERY_SOURCE = frozenset(Source)


@dataclass(frozen=True, slots=True)
class Move:
    """From which statuses, to which one, and through which doors."""

    frm: frozenset[Status]
    to: Status
    sources: frozenset[Source] = _EVERY_SOURCE


MOVES: dict[EventKind, tuple[Move, ...]] = {
    EventKind.REQUESTED: (
        Move(frozenset({Status.NOT_SUBSCRIBED, Status.PENDING}), Status.PENDING),
        # Only the handset reopens after a STOP, never a web form (SEC-26).
        Move(frozenset({Status.UNSUBSCRIBED}), Status.PENDING, frozenset({Source.SMS})),
    ),
    EventKind.CONFIRMED: (Move(frozenset({Status.PENDING}), Status.SUBSCRIBED),),
    EventKind.DECLINED: (Move(frozenset({Status.PENDING}), Status.NOT_SUBSCRIBED),),
    EventKind.EXPIRED: (Move(frozenset({Status.PENDING}), Status.NOT_SUBSCRIBED),),
    EventKind.CHANGED: (Move(_ON, Status.SUBSCRIBED),),
    EventKind.PAUSED: (Move(_ON, Status.SUBSCRIBED),),
    EventKind.RESUMED: (Move(_ON, Status.SUBSCRIBED),),
    EventKind.REVOKED: (Move(_ANY, Status.UNSUBSCRIBED),),
    EventKind.RESTARTED: (
        Move(
            frozenset({Status.UNSUBSCRIBED}),
            Status.SUBSCRIBED,
            # By hand only what a text was wrongly taken for (second_look.py); see is_put_back.
            frozenset({Source.SMS, Source.PREFERENCE_PAGE, Source.ADMIN}),
        ),
        # A START behind the JOIN of somebody who had stopped (RULE-30).
        Move(frozenset({Status.PENDING}), Status.SUBSCRIBED, frozenset({Source.SMS})),
    ),
    EventKind.REASSIGNED: (Move(_ANY, Status.NOT_SUBSCRIBED),),
    EventKind.ERASED: (Move(_ANY, Status.REDACTED),),
    EventKind.NOTED: tuple(Move(frozenset({status}), status) for status in sorted(_ANY)),
}


def allowed(kind: EventKind, status: Status, source: Source) -> Status | None:
    """Where this move leads, or None when it is not allowed."""
    for move in MOVES[kind]:
        if status in move.frm and source in move.sources:
            return move.to
    return None


@dataclass(frozen=True, slots=True)
class State:
    """All that the ledger decides about a person. Times are ISO 8601 UTC text or None."""

    status: Status = Status.NOT_SUBSCRIBED
    opt_in_level: OptInLevel = OptInLevel.UNKNOWN
    categories: frozenset[str] = field(default_factory=frozenset)
    requested: frozenset[str] = field(default_factory=frozenset)
    frequency: str = "all"
    paused_until: str | None = None
    language: str = "en"
    request_ref: str | None = None
    request_expires_at: str | None = None
    confirmed_at: str | None = None
    opted_out_at: str | None = None
    opt_out_source: Source | None = None
    reassigned_at: str | None = None


class Entry(Protocol):
    """The part of a ledger event that the fold needs."""

    public_id: str
    kind: EventKind
    source: Source


def apply(state: State, entry: Entry, changes: dict[str, Any], at: str) -> State:
    """The state after one event. `changes` holds what the person chose; raises MoveError.

    `changes` may name: added, dropped, requested (lists of slugs), frequency, language,
    paused_until, request_expires_at, given_at, opt_in_level.
    """
    to = allowed(entry.kind, state.status, entry.source)
    if to is None:
        raise MoveError(f"{entry.kind} is not allowed from {state.status} by {entry.source}")
    if to is not Status.SUBSCRIBED and "added" in changes:
        raise MoveError(f"{entry.kind} cannot add categories")
    if is_put_back(entry) and state.opt_out_source is not Source.SMS:
        raise MoveError(f"a stop by {state.opt_out_source} cannot be taken back by hand")
    moved: dict[str, Any] = {
        "status": to,
        "categories": (state.categories | set(changes.get("added", ())))
        - set(changes.get("dropped", ())),
        "frequency": changes.get("frequency", state.frequency),
        "language": changes.get("language", state.language),
        "paused_until": changes.get("paused_until", state.paused_until),
    }
    effect = _EFFECTS.get(entry.kind)
    return replace(state, **moved | (effect(entry, changes, at) if effect else {}))


def is_put_back(entry: Entry) -> bool:
    """True for what a person here puts back because a text was read wrongly (second_look.py).

    No other stop than one by text is ever taken back by hand (SEC-44).
    """
    return entry.kind is EventKind.RESTARTED and entry.source is Source.ADMIN


def fold(entries: Iterable[tuple[Entry, dict[str, Any], str]]) -> State:
    """The state that a person's events add up to, oldest first (RULE-13, INV-2)."""
    state = State()
    for entry, changes, at in entries:
        state = apply(state, entry, changes, at)
    return state


# What some kinds of event move beside that.
_CLOSED: dict[str, Any] = {
    "requested": frozenset(),
    "request_ref": None,
    "request_expires_at": None,
}


def _requested(entry: Entry, changes: dict[str, Any], _at: str) -> dict[str, Any]:
    return {
        "requested": frozenset(changes["requested"]),
        "request_ref": entry.public_id,
        "request_expires_at": changes["request_expires_at"],
    }


def _let_go(_entry: Entry, _changes: dict[str, Any], _at: str) -> dict[str, Any]:
    return _CLOSED


def _confirmed(_entry: Entry, changes: dict[str, Any], at: str) -> dict[str, Any]:
    """Of consent given elsewhere (elsewhere.py) the event says when, and how sure it is."""
    level = OptInLevel(changes.get("opt_in_level", OptInLevel.CONFIRMED))
    return _CLOSED | {"confirmed_at": changes.get("given_at", at), "opt_in_level": level}


def _revoked(entry: Entry, _changes: dict[str, Any], at: str) -> dict[str, Any]:
    return _CLOSED | {"opted_out_at": at, "opt_out_source": entry.source, "paused_until": None}


def _restarted(entry: Entry, _changes: dict[str, Any], at: str) -> dict[str, Any]:
    return {} if is_put_back(entry) else _CLOSED | {"confirmed_at": at}  # nobody agreed anew


def _reassigned(_entry: Entry, _changes: dict[str, Any], at: str) -> dict[str, Any]:
    ended: dict[str, Any] = {"categories": frozenset(), "paused_until": None}
    return _CLOSED | ended | {"reassigned_at": at, "opted_out_at": at}


_EFFECTS = {
    EventKind.REQUESTED: _requested,
    EventKind.CONFIRMED: _confirmed,
    EventKind.DECLINED: _let_go,
    EventKind.EXPIRED: _let_go,
    EventKind.REVOKED: _revoked,
    EventKind.RESTARTED: _restarted,
    EventKind.REASSIGNED: _reassigned,
    EventKind.ERASED: _reassigned,
}
