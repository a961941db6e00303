"""The answer to "may I text this number about this now?", as a table and as laws."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.consent import send_windows
from prefcenter.consent.permission import (
    Asked,
    Decision,
    Kind,
    Reason,
    Rules,
    Snapshot,
    decide,
)
from prefcenter.models import Deliverability, OptInLevel, Status

BOOK = send_windows.read()
RULES = Rules(BOOK)
NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)  # a Monday, 12:00 in New York
OFFERS = Asked("offers", transactional=False, retired=False)
ORDERS = Asked("orders", transactional=True, retired=False)
ALICE = Snapshot(
    status=Status.SUBSCRIBED,
    level=OptInLevel.CONFIRMED,
    deliverability=Deliverability.OK,
    suppressed=False,
    stop_waiting=False,
    takes=True,
    granted=True,
    frequency="all",
    paused_until=None,
    home=send_windows.home_of("+12125550143", "US"),
)
FLORIDA = send_windows.home_of("+13055550143", "US")
AGO = timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": Status.NOT_SUBSCRIBED}, Reason.NOT_SUBSCRIBED),
        ({"status": Status.PENDING}, Reason.PENDING),
        ({"status": Status.UNSUBSCRIBED}, Reason.UNSUBSCRIBED),
        ({"status": Status.REDACTED}, Reason.ERASED),
        ({"suppressed": True}, Reason.SUPPRESSED),
        ({"stop_waiting": True}, Reason.STOP_WAITING),
        ({"deliverability": Deliverability.INVALID}, Reason.UNREACHABLE),
        ({"deliverability": Deliverability.DEACTIVATED}, Reason.UNREACHABLE),
        ({"deliverability": Deliverability.REASSIGNED}, Reason.UNREACHABLE),
        ({"takes": False}, Reason.NOT_THIS_CATEGORY),
        ({"granted": False}, Reason.NO_EVIDENCE),
        ({"level": OptInLevel.UNKNOWN}, Reason.NO_EVIDENCE),
    ],
)
@pytest.mark.parametrize("kind", Kind)
def test_denied(change: dict[str, object], reason: Reason, kind: Kind) -> None:
    asked = ORDERS if kind is Kind.TRANSACTIONAL else OFFERS
    verdict = decide(replace(ALICE, **change), asked, kind, RULES, at=NOON)  # type: ignore[arg-type]  # a table of fields
    assert (verdict.decision, verdict.reason) == (Decision.DENY, reason)


def test_who_or_what_nobody_knows_is_denied() -> None:
    assert decide(None, OFFERS, Kind.MARKETING, RULES, at=NOON).reason is Reason.UNKNOWN_NUMBER
    assert decide(ALICE, None, Kind.MARKETING, RULES, at=NOON).reason is Reason.UNKNOWN_CATEGORY
    retired = replace(OFFERS, retired=True)
    assert decide(ALICE, retired, Kind.MARKETING, RULES, at=NOON).reason is Reason.CATEGORY_RETIRED
    verdict = decide(ALICE, OFFERS, Kind.TRANSACTIONAL, RULES, at=NOON)
    assert verdict.reason is Reason.NOT_TRANSACTIONAL


def test_alice_may_be_texted() -> None:
    verdict = decide(ALICE, OFFERS, Kind.MARKETING, RULES, at=NOON)
    assert (verdict.decision, verdict.reason) == (Decision.ALLOW, Reason.SUBSCRIBED)


def test_a_phone_that_was_off_may_be_tried_again() -> None:
    """RULE-51: what passes says nothing of who holds the number."""
    lately = replace(ALICE, deliverability=Deliverability.SOFT_FAILED)
    assert decide(lately, OFFERS, Kind.MARKETING, RULES, at=NOON).decision is Decision.ALLOW


@pytest.mark.parametrize("kind", Kind)
def test_nobody_may_be_texted_while_a_stop_may_be_lost(kind: Kind) -> None:
    """REL-16; a person's own reason to get nothing is still said."""
    deaf = replace(RULES, stop_unrecorded=True)
    verdict = decide(ALICE, ORDERS, kind, deaf, at=NOON)
    assert (verdict.decision, verdict.reason) == (Decision.DENY, Reason.STOP_UNRECORDED)
    stopped = replace(ALICE, status=Status.UNSUBSCRIBED)
    assert decide(stopped, ORDERS, kind, deaf, at=NOON).reason is Reason.UNSUBSCRIBED


def test_a_frequency_that_cannot_be_read_allows_nothing() -> None:
    for wrong in ("2/day", "some", ""):
        with pytest.raises((KeyError, ValueError)):
            decide(replace(ALICE, frequency=wrong), OFFERS, Kind.MARKETING, RULES, at=NOON)


@pytest.mark.parametrize(
    ("change", "reason", "hours"),
    [
        ({"paused_until": NOON + 3 * AGO}, Reason.PAUSED, 3),
        ({"frequency": "1/week", "sent": (NOON - AGO,)}, Reason.FREQUENCY, 7 * 24 - 1),
        ({"frequency": "2/month", "sent": (NOON - AGO, NOON - 3 * AGO)}, Reason.FREQUENCY, 717),
        ({"home": FLORIDA, "sent": (NOON - 23 * AGO,) * 3}, Reason.STATE_CAP, 1),
    ],
)
def test_delayed_until(change: dict[str, object], reason: Reason, hours: int) -> None:
    alice = replace(ALICE, **change)  # type: ignore[arg-type]  # a table of fields
    verdict = decide(alice, OFFERS, Kind.MARKETING, RULES, at=NOON)
    assert (verdict.decision, verdict.reason) == (Decision.DELAY, reason)
    assert verdict.not_before == NOON + timedelta(hours=hours)
    # Only what is flagged so goes past caps; "no texts until" was said of every kind (RULE-37).
    told = decide(alice, ORDERS, Kind.TRANSACTIONAL, RULES, at=NOON)
    past_it = Decision.DELAY if reason is Reason.PAUSED else Decision.ALLOW
    assert told.decision is past_it
    advert = decide(alice, ORDERS, Kind.MARKETING, RULES, at=NOON)
    assert advert == verdict, "an advertisement stays one, whatever it is about"


def test_only_marketing_has_quiet_hours() -> None:
    """RULE-32."""
    night = NOON.replace(hour=8)
    assert decide(ALICE, ORDERS, Kind.TRANSACTIONAL, RULES, at=night).decision is Decision.ALLOW
    verdict = decide(ALICE, ORDERS, Kind.MARKETING, RULES, at=night)
    assert (verdict.decision, verdict.reason) == (Decision.DELAY, Reason.QUIET_HOURS)


_YEAR = [datetime(year, 1, 1) for year in (2026, 2027)]  # noqa: DTZ001 - hypothesis adds the zone
moments = st.datetimes(*_YEAR, timezones=st.just(UTC))
frequencies = st.sampled_from(["all", "1/week", "2/week", "5/week", "1/month", "4/month"])
numbers = st.sampled_from(
    ["+12125550143", "+13055550143", "+12055550143", "+18505550143", "+18005550143", "+19075550143"]
)


@st.composite
def people(draw: st.DrawFn) -> Snapshot:
    now = draw(moments)
    ages = draw(st.lists(st.integers(0, 60 * 24 * 35), max_size=8))
    return replace(
        ALICE,
        frequency=draw(frequencies),
        paused_until=draw(st.none() | moments),
        home=send_windows.home_of(draw(numbers), "US"),
        sent=tuple(now - timedelta(minutes=age) for age in ages),
    )


@given(people(), moments, frequencies)
def test_a_delayed_text_is_allowed_when_its_time_comes(
    person: Snapshot, at: datetime, brand_cap: str
) -> None:
    rules = Rules(BOOK, brand_cap)
    verdict = decide(person, OFFERS, Kind.MARKETING, rules, at=at)
    if verdict.decision is Decision.DELAY:
        assert verdict.not_before is not None and verdict.not_before > at
        later = decide(person, OFFERS, Kind.MARKETING, rules, at=verdict.not_before)
        assert later.decision is Decision.ALLOW
        sooner = verdict.not_before - timedelta(microseconds=1)
        assert decide(person, OFFERS, Kind.MARKETING, rules, at=max(at, sooner)) != later


@given(people(), moments, st.integers(1, 9), st.sampled_from(["week", "month"]))
def test_a_higher_cap_never_allows_less(
    person: Snapshot, at: datetime, count: int, unit: str
) -> None:
    low, high = (
        decide(replace(person, frequency=f"{n}/{unit}"), OFFERS, Kind.MARKETING, RULES, at=at)
        for n in (count, count + 1)
    )
    if low.decision is Decision.ALLOW:
        assert high.decision is Decision.ALLOW
    elif high.not_before:
        assert low.not_before and low.not_before >= high.not_before


@given(people(), moments, st.sampled_from(Kind))
def test_nothing_is_allowed_without_a_grant(person: Snapshot, at: datetime, kind: Kind) -> None:
    """INV-6; tests/test_decision_moves.py proves that the event cited is there."""
    verdict = decide(replace(person, granted=False), ORDERS, kind, RULES, at=at)
    assert verdict.decision is Decision.DENY
