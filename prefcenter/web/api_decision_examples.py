"""Questions and answers of the decision calls for the description; the tests send each of them."""

from collections.abc import Mapping
from typing import Any

from prefcenter.consent.permission import Reason
from prefcenter.web.api_decision_words import SENTENCES

Examples = Mapping[str, Any]
_ALICE, _BOB, _CAROL, _NOBODY = (f"+1202555{end}" for end in ("0143", "0144", "0145", "0199"))
_ABOUT = {"category": "offers", "kind": "marketing"}
_EVIDENCE = {
    "event": "Zr8uP2sLq4TnYk6WvXc1Eg",
    "at": "2026-10-01T15:02:11.480Z",
    "source": "preference_page",
    "wording_sha256": "5e" * 32,
}

ASKS: Examples = {
    "now": {"number": _ALICE, **_ABOUT},
    "who stopped": {"number": _CAROL, **_ABOUT},
    "who has not answered": {"number": _BOB, **_ABOUT},
    "at night": {"number": _ALICE, **_ABOUT, "at": "2026-11-25T04:30:00-05:00"},
    "and reserve": {"number": _ALICE, **_ABOUT, "reserve": True},
    "not transactional": {"number": _ALICE, "category": "offers", "kind": "transactional"},
    "many": {"numbers": [_ALICE, _CAROL, _NOBODY], **_ABOUT},
}


def _said(decision: str, reason: Reason, **more: object) -> dict[str, object]:
    told = {"decision": decision, "reason": reason.value, "detail": SENTENCES[reason], **more}
    return told | {"as_of": "2026-11-24T17:00:00.000Z", "degraded": False}


_YES = _said("allow", Reason.SUBSCRIBED, evidence=_EVIDENCE)
_STOPPED = _said("deny", Reason.UNSUBSCRIBED)
ANSWERS: Examples = {
    "now": _YES,
    "who stopped": _STOPPED,
    "who has not answered": _said("deny", Reason.PENDING),
    "at night": _said(
        "delay", Reason.QUIET_HOURS, not_before="2026-11-25T13:00:00.000Z", evidence=_EVIDENCE
    ),
    "and reserve": _YES
    | {"reservation": {"id": "b0Yt3dKcV5eHnJm7QwRs2A", "expires_at": "2026-11-24T18:00:00.000Z"}},
    "not transactional": _said("deny", Reason.NOT_TRANSACTIONAL),
    "many": [_YES, _STOPPED, _said("deny", Reason.UNKNOWN_NUMBER)],
}
SENT: Examples = {"sent": {"status": "sent"}}
RELEASED: Examples = {"released": {"status": "released"}}
