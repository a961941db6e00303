"""Ten numbers in ten states, worked out by hand around the changes of the clock, Sundays and
holidays; asked of the rule, and through the API as a campaign tool does.

In 2026 summer time begins in the night to Sunday 8 March and ends in the night to Sunday
1 November; in 2027 it begins in the night to Sunday 14 March. All moments below are UTC; beside
each stands what the clocks show there, and why the answer is what it is.
"""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from prefcenter.consent import api_keys, permission, send_windows
from prefcenter.consent.permission import Decision, Kind, Reason, Rules
from prefcenter.database import db, writing
from tests.cast import Town
from tests.conftest import Clock
from tests.test_permission import ALICE, OFFERS

NOW = None  # allowed at once
TABLE = [
    # New York, one zone (UTC-5, in summer -4), no law of its own: 8 to 21, on all days.
    ("+12125550143", "2026-03-07 12:30", "2026-03-07 13:00"),  # Sat 7:30 EST, opens 8:00 EST
    ("+12125550143", "2026-03-08 11:59", "2026-03-08 12:00"),  # Sun 7:59 EDT: an hour earlier
    ("+12125550143", "2026-03-09 00:59", NOW),  # Sun 20:59 EDT
    ("+12125550143", "2026-03-09 01:00", "2026-03-09 12:00"),  # Sun 21:00 EDT, Mon 8:00 EDT
    ("+12125550143", "2026-10-31 12:30", NOW),  # Sat 8:30 EDT
    ("+12125550143", "2026-11-01 12:30", "2026-11-01 13:00"),  # Sun 7:30 EST, the same in UTC
    ("+12125550143", "2026-12-25 18:00", NOW),  # Christmas, 13:00 EST: no law closes it
    # Florida's panhandle, Eastern and Central: 8 to 20 by both clocks, so from 8 Central (-6/-5)
    # until 20 Eastern (-5/-4).
    ("+18505550143", "2026-03-08 12:30", "2026-03-08 13:00"),  # 8:30 EDT, 7:30 CDT
    ("+18505550143", "2026-03-08 23:59", NOW),  # 19:59 EDT
    ("+18505550143", "2026-03-09 00:00", "2026-03-09 13:00"),  # 20:00 EDT, Mon 8:00 CDT
    ("+18505550143", "2026-11-01 00:00", "2026-11-01 14:00"),  # Sat 20:00 EDT, Sun 8:00 CST
    # El Paso, the corner of Texas on Mountain time (-7/-6): 9 to 21, Sundays 12 to 21.
    ("+19155550143", "2026-03-08 16:00", "2026-03-08 18:00"),  # Sun 10:00 MDT, 12:00 MDT
    ("+19155550143", "2026-11-01 03:00", "2026-11-01 19:00"),  # Sat 21:00 MDT, Sun 12:00 MST
    ("+19155550143", "2026-11-01 18:30", "2026-11-01 19:00"),  # Sun 11:30 MST
    ("+19155550143", "2027-03-14 18:00", NOW),  # Sun 12:00 MDT
    ("+19155550143", "2027-03-15 03:00", "2027-03-15 15:00"),  # Sun 21:00 MDT, Mon 9:00 MDT
    ("+19155550143", "2026-07-04 15:00", NOW),  # Sat, 9:00 MDT: Texas keeps no holidays
    # Alabama, Central (-6/-5): 8 to 20, nothing on Sundays and legal holidays.
    ("+12055550143", "2026-03-08 02:00", "2026-03-09 13:00"),  # Sat 20:00 CST, Mon 8:00 CDT
    ("+12055550143", "2026-11-01 01:00", "2026-11-02 14:00"),  # Sat 20:00 CDT, Mon 8:00 CST
    ("+12055550143", "2026-11-26 18:00", "2026-11-27 14:00"),  # Thanksgiving noon, Fri 8:00 CST
    # 4 July 2026 is a Saturday, kept on Friday too; Sunday follows: Mon 8:00 CDT.
    ("+12055550143", "2026-07-03 15:00", "2026-07-06 13:00"),
    # 1 January 2028 is a Saturday, kept on Friday 31 December; Sunday follows: Mon 8:00 CST.
    ("+12055550143", "2027-12-31 16:00", "2028-01-03 14:00"),
    # New Orleans, Central: 8 to 20, nothing on Sundays and Louisiana's holidays.
    ("+15045550143", "2026-02-17 18:00", "2026-02-18 14:00"),  # Mardi Gras noon, Wed 8:00 CST
    ("+15045550143", "2026-04-03 15:00", "2026-04-04 13:00"),  # Good Friday, Sat 8:00 CDT
    ("+15045550143", "2026-11-03 18:00", "2026-11-04 14:00"),  # Election Day, Wed 8:00 CST
    ("+15045550143", "2027-03-14 02:00", "2027-03-15 13:00"),  # Sat 20:00 CST, Mon 8:00 CDT
    # Rhode Island, Eastern: 9 to 18, Saturdays and Sundays 10 to 17.
    ("+14015550143", "2026-10-30 22:00", "2026-10-31 14:00"),  # Fri 18:00 EDT, Sat 10:00 EDT
    ("+14015550143", "2026-10-31 21:00", "2026-11-01 15:00"),  # Sat 17:00 EDT, Sun 10:00 EST
    ("+14015550143", "2026-11-01 22:00", "2026-11-02 14:00"),  # Sun 17:00 EST, Mon 9:00 EST
    ("+14015550143", "2026-03-08 14:00", NOW),  # Sun 10:00 EDT
    # West Kentucky, Central and Eastern: 10 to 21 by both, so 10 Central until 21 Eastern.
    ("+12705550143", "2026-03-08 14:30", "2026-03-08 15:00"),  # 10:30 EDT, 9:30 CDT
    ("+12705550143", "2026-03-09 00:59", NOW),  # 20:59 EDT
    ("+12705550143", "2026-03-09 01:00", "2026-03-09 15:00"),  # 21:00 EDT, Mon 10:00 CDT
    ("+12705550143", "2026-11-01 15:30", "2026-11-01 16:00"),  # 10:30 EST, 9:30 CST
    # Las Vegas, Pacific (-8/-7): 9 to 20.
    ("+17025550143", "2027-03-13 16:30", "2027-03-13 17:00"),  # Sat 8:30 PST
    ("+17025550143", "2027-03-14 15:59", "2027-03-14 16:00"),  # Sun 8:59 PDT
    ("+17025550143", "2026-11-02 04:00", "2026-11-02 17:00"),  # Sun 20:00 PST, Mon 9:00 PST
    # Phoenix keeps -7 all year, and no law of its own: 8 to 21.
    ("+16025550143", "2026-03-07 14:59", "2026-03-07 15:00"),
    ("+16025550143", "2026-03-08 14:59", "2026-03-08 15:00"),
    ("+16025550143", "2026-07-05 03:59", NOW),  # Sat 4 July, 20:59
    ("+16025550143", "2026-11-02 04:00", "2026-11-02 15:00"),  # Sun 21:00, Mon 8:00
    # Alaska, two zones (Anchorage -9/-8, the Aleutians -10/-9): 8 there until 21 in Anchorage.
    ("+19075550143", "2026-03-07 17:30", "2026-03-07 18:00"),  # 8:30 and 7:30
    ("+19075550143", "2026-03-08 16:30", "2026-03-08 17:00"),  # 8:30 and 7:30, in summer time
    ("+19075550143", "2026-11-02 06:00", "2026-11-02 18:00"),  # Sun 21:00 and 20:00, Mon 8:00
]
NUMBERS = sorted({number for number, _, _ in TABLE})
RULES = Rules(send_windows.read())


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_table_has_ten_numbers_of_ten_states() -> None:
    homes = [send_windows.home_of(number, "US") for number in NUMBERS]
    assert len({home.places for home in homes}) == len(NUMBERS) == 10
    assert len({home.zones for home in homes}) >= 7


@pytest.mark.parametrize(("number", "asked", "opens"), TABLE)
def test_the_decision_is_the_one_worked_out_by_hand(
    number: str, asked: str, opens: str | None
) -> None:
    someone = replace(ALICE, home=send_windows.home_of(number, "US"))
    verdict = permission.decide(someone, OFFERS, Kind.MARKETING, RULES, at=utc(asked))
    if opens is None:
        assert (verdict.decision, verdict.reason) == (Decision.ALLOW, Reason.SUBSCRIBED)
        return
    assert (verdict.decision, verdict.reason) == (Decision.DELAY, Reason.QUIET_HOURS)
    assert verdict.not_before == utc(opens)
    again = permission.decide(someone, OFFERS, Kind.MARKETING, RULES, at=utc(opens))
    assert again.decision is Decision.ALLOW


@pytest.mark.settings(
    IP_TEXTS_PER_HOUR="1000", IP_TEXTS_PER_DAY="1000", PREFIX_TEXTS_PER_HOUR="1000"
)
def test_a_campaign_tool_is_told_the_same(town: Town, now: Clock) -> None:
    now.moment = utc("2026-02-01 17:00")
    for number in NUMBERS:
        town.alice(number)
    with writing():
        key = api_keys.make("tool", ("decide",), now=now.now())
        db.session.commit()
    rows = defaultdict(list)
    for number, asked, opens in TABLE:
        rows[asked].append((number, opens))
    for asked, wanted in sorted(rows.items()):
        now.moment = utc(asked) - timedelta(hours=1)
        answer = town.browser.post(
            "/api/v1/decisions",
            data=json.dumps(
                {
                    "numbers": [number for number, _ in wanted],
                    "category": "offers",
                    "kind": "marketing",
                    "at": asked.replace(" ", "T") + ":00Z",
                }
            ),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200, answer.text
        answers = answer.json or []
        found = [(one["decision"], one["reason"], one.get("not_before")) for one in answers]
        assert found == [
            ("delay", "quiet_hours", opens.replace(" ", "T") + ":00.000Z")
            if opens
            else ("allow", "subscribed", None)
            for _, opens in wanted
        ], asked


@pytest.mark.parametrize("state", ["AL", "FL", "KY", "LA", "NV", "RI", "TX"])
def test_without_the_law_of_a_state_the_table_would_be_wrong(state: str) -> None:
    """So each law of these ten states stands behind a row."""
    book = RULES.book
    others = {place: rules for place, rules in book.places.items() if place != f"US-{state}"}
    without = replace(book, places=others)
    homes = {number: send_windows.home_of(number, "US") for number in NUMBERS}
    wrong = {
        number
        for number, asked, opens in TABLE
        if send_windows.next_allowed(homes[number], utc(asked), without) != utc(opens or asked)
    }
    assert wrong == {number for number in NUMBERS if f"US-{state}" in homes[number].places}
