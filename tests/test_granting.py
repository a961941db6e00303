"""Which event a consent rests on: the table that granting.py answers to (INV-6)."""

import json
from typing import Any

import pytest

from prefcenter.consent import granting
from prefcenter.consent.granting import Entry

OFFERS, BOTH = ["offers"], ["new-books", "offers"]
Told = tuple[str, str, dict[str, Any]]
CONFIRMED: Told = ("confirmed", "preference_page", {"added": OFFERS})
REVOKED: Told = ("revoked", "sms", {})
PUT_BACK: Told = ("restarted", "admin", {})
NOTED: Told = ("noted", "sms", {"word": "offers"})


def ledger(*told: Told) -> list[Entry]:
    return [
        Entry(f"e{at}", f"2026-11-0{at} 12:00:00.000000", kind, source, None, json.dumps(changes))
        for at, (kind, source, changes) in enumerate(told, 1)
    ]


@pytest.mark.parametrize(
    ("told", "rests_on"),
    [
        ([], None),
        ([("requested", "form", {"requested": OFFERS})], None),
        ([CONFIRMED], "e1"),
        ([CONFIRMED, ("changed", "preference_page", {"added": ["new-books"]})], "e1"),
        ([CONFIRMED, ("changed", "preference_page", {"frequency": "1/week"}), NOTED], "e1"),
        ([("confirmed", "sms", {"added": []}), ("changed", "sms", {"added": OFFERS})], "e2"),
        ([CONFIRMED, ("changed", "preference_page", {"dropped": OFFERS})], None),
        (
            [
                CONFIRMED,
                ("changed", "preference_page", {"dropped": OFFERS}),
                ("changed", "preference_page", {"added": OFFERS}),
            ],
            "e3",
        ),
        # After a STOP only what came after it counts, for what was taken all along too.
        ([CONFIRMED, REVOKED], None),
        ([CONFIRMED, REVOKED, ("restarted", "sms", {})], "e3"),
        ([CONFIRMED, REVOKED, ("restarted", "sms", {"dropped": OFFERS})], None),
        ([CONFIRMED, REVOKED, ("confirmed", "sms", {"added": []})], "e3"),
        ([CONFIRMED, REVOKED, ("requested", "sms", {"requested": OFFERS})], None),
        # Put back by hand: what the text had ended, and no more than that.
        ([CONFIRMED, REVOKED, PUT_BACK], "e1"),
        ([CONFIRMED, REVOKED, REVOKED, PUT_BACK], None),
        ([REVOKED, PUT_BACK], None),
        (
            [
                CONFIRMED,
                ("changed", "sms", {"dropped": BOTH, "scope": "programme"}),
                ("changed", "admin", {"added": BOTH}),
            ],
            "e1",
        ),
        ([("confirmed", "sms", {"added": []}), ("changed", "admin", {"added": OFFERS})], None),
        ([CONFIRMED, ("reassigned", "provider", {}), PUT_BACK], None),
        ([CONFIRMED, ("erased", "admin", {})], None),
    ],
)
def test_it_rests_on(told: list[Told], rests_on: str | None) -> None:
    found = granting.rests_on(ledger(*told), "offers")
    assert (found.event if found else None) == rests_on


def test_what_is_plain_needs_no_ledger() -> None:
    """The short cut says the same as the whole, or that it does not know."""
    [confirmed, stopped, restarted] = ledger(CONFIRMED, REVOKED, ("restarted", "sms", {}))
    assert granting.is_plain(confirmed, "offers") and granting.is_plain(restarted, "offers")
    assert not granting.is_plain(stopped, "offers")
    chance = ledger(("changed", "preference_page", {"frequency": "offers"}), PUT_BACK)
    assert not any(granting.is_plain(entry, "offers") for entry in chance)


def test_when_is_told_to_the_millisecond() -> None:
    [entry] = ledger(CONFIRMED)
    assert entry.grant().at == "2026-11-01T12:00:00.000Z"
