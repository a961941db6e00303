"""Examples of bodies and answers for the description; the tests send every one of them."""

from collections.abc import Mapping
from typing import Any

Examples = Mapping[str, Any]
_EVENT, _OTHER = "Zr8uP2sLq4TnYk6WvXc1Eg", "b0Yt3dKcV5eHnJm7QwRs2A"

OPT_INS: Examples = {
    "form": {
        "site": "web-shop",
        "number": "(415) 555-0143",
        "consent": True,
        "text_version": "3f2a9c0d1e4b5a67",
        "page_url": "https://shop.example.com/checkout",
        "ip": "198.51.100.7",
        "user_agent": "Mozilla/5.0 (Android 16; Mobile) Firefox/140.0",
        "categories": ["offers"],
        "shown": ["offers", "new-books"],
        "source": "checkout",
        "button": "Pay now",
    },
    "elsewhere": {
        "site": "web-shop",
        "number": "(415) 555-0144",
        "categories": ["offers"],
        "proof": {
            "given_at": "2026-09-12T10:40:00-07:00",
            "method": "paper_form",
            "wording": "Yes, text me about sales and offers at the number above. Automated marketing"
            " texts, up to 4 a month. Consent is not a condition of purchase. Msg & data rates may"
            " apply. Reply HELP for help, STOP to stop.",
            "wording_language": "en",
            "answer": "Box ticked, signed",
            "collected_by": "Marlow Books, Market Street",
            "place": "Counter of the shop on Market Street",
            "reference": "form-000184",
        },
    },
}
TAKEN_IN: Examples = {
    "form": {"status": "accepted"},
    "elsewhere": {"status": "recorded", "event": _EVENT, "opt_in_level": "single_opt_in"},
}
OPT_OUTS: Examples = {
    "by phone": {
        "number": "(415) 555-0143",
        "channel": "phone",
        "received_at": "2026-10-02T09:14:00-07:00",
        "note": "Called the shop: no more texts, please.",
    },
    "of one kind": {
        "number": "+12025550143",
        "channel": "email",
        "received_at": "2026-10-02T16:20:00Z",
        "note": "Wrote that offers are enough now.",
        "categories": ["offers"],
    },
}
RECORDED: Examples = {name: {"status": "recorded", "event": _EVENT} for name in OPT_OUTS}
LOOKUPS: Examples = {
    "newest": {"number": "+12025550143", "limit": 2},
    "unknown": {"number": "+12025550199"},
}
LOOKED_UP: Examples = {
    "newest": {
        "status": "subscribed",
        "person": "k3Jq0nVgS1yXw7Zb2dFh9A",
        "opt_in_level": "confirmed_opt_in",
        "categories": ["offers"],
        "requested": [],
        "frequency": "all",
        "paused_until": None,
        "language": "en",
        "zone": None,
        "country": "US",
        "deliverability": "ok",
        "suppressed": False,
        "confirmed_at": "2026-10-01T15:02:11.480Z",
        "opted_out_at": None,
        "opt_out_source": None,
        "history": [
            {
                "id": _EVENT,
                "at": "2026-10-01T15:02:11.480Z",
                "kind": "confirmed",
                "action": "opt-in",
                "source": "preference_page",
                "source_detail": "prefs.example.com",
                "language": "en",
                "wording_sha256": "5e" * 32,
                "refers_to": _OTHER,
                "changes": {"added": ["offers"], "dropped": [], "paused_until": None},
            },
            {
                "id": _OTHER,
                "at": "2026-10-01T15:00:02.113Z",
                "kind": "requested",
                "action": None,
                "source": "form",
                "source_detail": "prefs.example.com",
                "language": "en",
                "wording_sha256": "a7" * 32,
                "refers_to": None,
                "changes": {"requested": ["offers"], "language": "en"},
            },
        ],
        "next": None,
        "as_of": "2026-10-02T09:15:00.000Z",
        "degraded": False,
    },
    "unknown": {
        "status": "unknown",
        "person": None,
        "opt_in_level": None,
        "categories": [],
        "requested": [],
        "frequency": None,
        "paused_until": None,
        "language": None,
        "zone": None,
        "country": None,
        "deliverability": None,
        "suppressed": False,
        "confirmed_at": None,
        "opted_out_at": None,
        "opt_out_source": None,
        "history": [],
        "next": None,
        "as_of": "2026-10-02T09:15:00.000Z",
        "degraded": False,
    },
}
