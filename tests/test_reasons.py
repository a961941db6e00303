"""Shows 1 of issue 6: every reason, each reached by a documented request over HTTP.

STORIES says how each comes about; docs/decisions-api.md tells the same in its table.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import people, preferences, suppression
from prefcenter.consent.ledger import Proof
from prefcenter.consent.permission import Decision, Reason
from prefcenter.database import db, writing
from prefcenter.models import (
    Category,
    ConsentEvent,
    Deliverability,
    Person,
    Source,
    Status,
    SuppressionReason,
)
from prefcenter.sms import unstored
from prefcenter.web.api_decision_words import SENTENCES
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.phones import say
from tests.test_decisions import with_cap
from tests.test_erasure import erase
from tests.tools import Tool, noon

PAGE = (Path(__file__).parents[1] / "docs" / "decisions-api.md").read_text(encoding="utf-8")
ERIN, FLORIAN = "+12025550190", "+13055550143"


class Story:
    """Alice is subscribed and it is noon where she lives, unless a reason needs another."""

    def __init__(self, town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.town, self.now, self.monkeypatch = town, now, monkeypatch
        self.tool = Tool(town)

    def change(self, statement: sa.Executable) -> None:
        with writing():
            db.session.execute(statement)
            db.session.commit()

    def alice(self) -> None:
        self.town.alice()
        noon(self.now)


Asked = tuple[str, dict[str, object]]
Teller = Callable[[Story], Asked]


def subscribed(story: Story) -> Asked:
    story.alice()
    return ALICE, {}


def unknown_number(_story: Story) -> Asked:
    return ERIN, {}


def unknown_category(story: Story) -> Asked:
    story.alice()
    return ALICE, {"category": "ofers"}


def category_retired(story: Story) -> Asked:
    story.alice()
    moment = story.now.moment
    story.change(sa.update(Category).where(Category.slug == "offers").values(retired_at=moment))
    return ALICE, {}


def not_subscribed(story: Story) -> Asked:
    """She asked for texts, and then pressed No."""
    link = story.town.bob()
    assert story.town.browser.post(f"{link}/decline").status_code == 303
    return BOB, {}


def pending(story: Story) -> Asked:
    story.town.bob()
    return BOB, {}


def unsubscribed(story: Story) -> Asked:
    story.town.carol()
    return CAROL, {}


def suppressed(story: Story) -> Asked:
    story.alice()
    with writing():
        suppression.add(ALICE, SuppressionReason.COMPLAINT, now=story.now.moment)
        db.session.commit()
    return ALICE, {}


def erased(story: Story) -> Asked:
    """Only where the row still has its number: an erased one is unknown, which is no better."""
    story.alice()
    story.change(sa.update(Person).values(status=Status.REDACTED))
    return ALICE, {}


def unreachable(story: Story) -> Asked:
    story.alice()
    story.change(sa.update(Person).values(deliverability=Deliverability.INVALID))
    return ALICE, {}


def not_this_category(story: Story) -> Asked:
    story.alice()
    return ALICE, {"category": "events"}


def not_transactional(story: Story) -> Asked:
    story.alice()
    return ALICE, {"kind": "transactional"}


def no_evidence(story: Story) -> Asked:
    """Somebody turned her back on in the table, past the rules."""
    story.town.carol()
    story.change(sa.update(Person).values(status=Status.SUBSCRIBED))
    story.change(sa.text("DELETE FROM suppression"))
    return CAROL, {}


def stop_waiting(story: Story) -> Asked:
    story.alice()
    story.monkeypatch.setattr("prefcenter.web.webhooks._work", lambda row: None)
    say(story.town, "see you soon")
    return ALICE, {}


def stop_unrecorded(story: Story) -> Asked:
    """tests/test_unstored.py has how that comes."""
    story.alice()
    unstored.current().note(None, now=story.now.moment)
    return ALICE, {}


def paused(story: Story) -> Asked:
    link = story.town.alice()
    noon(story.now)
    assert story.town.browser.post(f"{link}/pause", data={"pause": "1w"}).status_code == 303
    return ALICE, {}


def frequency(story: Story) -> Asked:
    with_cap(story.town, "1/week")
    noon(story.now)
    story.tool.ask(reserve=True)
    return ALICE, {}


def brand_cap(story: Story) -> Asked:
    story.alice()
    story.tool.ask(reserve=True)
    return ALICE, {}


def state_cap(story: Story) -> Asked:
    """RULE-34: Florida allows three in 24 hours."""
    story.town.alice(FLORIAN)
    noon(story.now)
    for _ in range(3):
        assert story.tool.ask(FLORIAN, reserve=True)["decision"] == "allow"
    return FLORIAN, {}


def quiet_hours(story: Story) -> Asked:
    story.alice()
    return ALICE, {"at": (story.now.moment + timedelta(hours=12)).isoformat()}


STORIES: Mapping[Reason, Teller] = {
    Reason(story.__name__): story
    for story in (
        *(subscribed, unknown_number, unknown_category, category_retired, not_subscribed),
        *(pending, unsubscribed, suppressed, erased, unreachable, not_this_category),
        *(not_transactional, no_evidence, stop_waiting, stop_unrecorded, paused, frequency),
        *(brand_cap, state_cap, quiet_hours),
    )
}
DELAYS = {
    *(Reason.PAUSED, Reason.FREQUENCY, Reason.BRAND_CAP, Reason.STATE_CAP, Reason.QUIET_HOURS)
}


def decision_of(reason: Reason) -> Decision:
    if reason is Reason.SUBSCRIBED:
        return Decision.ALLOW
    return Decision.DELAY if reason in DELAYS else Decision.DENY


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(one, marks=pytest.mark.settings(BRAND_CAP="1/month"))
        if one is Reason.BRAND_CAP
        else one
        for one in Reason
    ],
)
def test_every_reason_is_reached_over_http(
    town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    story = Story(town, now, monkeypatch)
    number, more = STORIES[reason](story)
    answer = story.tool.ask(number, **more)
    assert (answer["reason"], answer["detail"]) == (reason.value, SENTENCES[reason])
    assert answer["decision"] == decision_of(reason).value
    assert ("not_before" in answer) == (reason in DELAYS)
    assert ("evidence" in answer) == (answer["decision"] != "deny")
    assert story.tool.ask_many([number], **more) == [answer]


def test_an_erased_person_is_nobody(town: Town, now: Clock) -> None:
    """INV-5."""
    story = Story(town, now, pytest.MonkeyPatch())
    story.alice()
    erase(town)
    assert story.tool.says() == ("deny", "unknown_number")


def test_a_number_that_changed_hands_is_nobodys(town: Town, now: Clock) -> None:
    """RULE-51: and its new owner has to say yes."""
    story = Story(town, now, pytest.MonkeyPatch())
    story.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        preferences.reassign(person, Proof(source=Source.PROVIDER), now=now.moment)
        db.session.commit()
    assert story.tool.says() == ("deny", "unknown_number")


def test_the_page_has_the_same_table() -> None:
    """docs/decisions-api.md: word, decision and sentence of each reason, and no other."""
    told = re.findall(r"^\| `(\w+)` \| (allow|deny|delay) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert told == [(one.value, decision_of(one).value, SENTENCES[one]) for one in Reason]


def test_nobody_can_be_allowed_by_a_reason_without_a_story(app: Flask) -> None:
    assert set(STORIES) == set(SENTENCES) == set(Reason)
    assert db.session.scalar(sa.select(sa.func.count(ConsentEvent.id))) == 0
