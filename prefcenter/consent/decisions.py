"""May this text of ours go now? Asked when it is claimed, under the person's lock (REL-8)."""

from prefcenter.models import Status, TextKind

_SUBSCRIBED = frozenset({Status.SUBSCRIBED})

# From which status each text may leave. The one reply to a STOP is the only text that
# an unsubscribed number gets (INV-1); HELP is answered for anyone (RULE-29).
MAY_GO: dict[TextKind, frozenset[Status]] = {
    TextKind.CONFIRM_REQUEST: frozenset({Status.PENDING}),
    TextKind.WELCOME: _SUBSCRIBED,
    TextKind.CHANGED: _SUBSCRIBED,
    TextKind.RESUBSCRIBED: _SUBSCRIBED,
    TextKind.ALREADY_SUBSCRIBED: _SUBSCRIBED,
    TextKind.NEW_LINK: _SUBSCRIBED,
    TextKind.PREFERENCES: _SUBSCRIBED,
    TextKind.PAUSED: _SUBSCRIBED,
    TextKind.RESUMED: _SUBSCRIBED,
    TextKind.MENU: _SUBSCRIBED,
    TextKind.UNSUBSCRIBED: frozenset({Status.UNSUBSCRIBED}),
    TextKind.WHICH: frozenset({Status.UNSUBSCRIBED}),
    TextKind.HELP: frozenset(Status),
}


def may_send(kind: TextKind, status: Status | None) -> bool:
    """True when a person of this status may get this text; a stranger only gets HELP."""
    return kind is TextKind.HELP if status is None else status in MAY_GO[kind]
