"""How often at most, chosen at sign-up: named where people confirm, and true from their yes."""

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from prefcenter.consent import audit, catalog, signup, sites
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, EventKind, Status, WordingVersion
from prefcenter.web import pages
from tests import phones
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.test_widget import hidden
from tests.web_shop import open_shop, refused

SHOP = "https://shop.example"


def sign_up(town: Town, number: str = BOB, **more: Any) -> TestResponse:
    """The form at /, with one field more."""
    version = pages.text_version(pages.shown_text("signup", "en"))
    data = {"number": number, "consent": "yes", "text_version": version, "categories": "offers"}
    return town.browser.post("/", data=data | {"shown": "offers"} | more)


def changes(town: Town, kind: EventKind, number: str = BOB) -> dict[str, Any]:
    """What the newest event of a kind says."""
    query = sa.select(ConsentEvent.changes).where(
        ConsentEvent.person_id == town.person(number).id, ConsentEvent.kind == kind
    )
    found: dict[str, Any] = json.loads(
        db.session.scalars(query.order_by(ConsentEvent.id.desc())).first() or "{}"
    )
    return found


def by_hosted_form(town: Town) -> None:
    assert sign_up(town, frequency="1/week").status_code == 303


def by_plain_form_of_a_shop(town: Town) -> None:
    with writing():
        sites.add("shop", "Shop", origins=[SHOP], now=town.now())
        db.session.commit()
    version = pages.text_version(pages.shown_text("signup", "en"))
    data = {"number": BOB, "consent": "yes", "text_version": version, "frequency": "1/week"}
    step = town.browser.post("/o/shop", data=data, headers={"Origin": SHOP})
    assert "Once a week at most." in step.text
    town.now.__self__.forward(seconds=3)  # type: ignore[attr-defined]  # the clock of the test
    assert town.browser.post("/o/shop", data=hidden(step)).status_code == 303


def by_program(town: Town) -> None:
    assert open_shop(town).hand_in(BOB, frequency="1/week").status_code == 202


@pytest.mark.parametrize("door", [by_hosted_form, by_plain_form_of_a_shop, by_program])
@pytest.mark.parametrize("answer", ["link", "YES"])
def test_bobs_wish_is_named_and_counts_from_his_yes(town: Town, door: Any, answer: str) -> None:
    door(town)
    [text] = town.work()
    assert "1/week" in text.body or "week" in text.body, text.body
    person = town.person(BOB)
    assert (person.status, person.frequency) == (Status.PENDING, "all")
    assert changes(town, EventKind.REQUESTED)["requested_frequency"] == "1/week"
    assert "Once a week at most." in town.browser.get(town.last_link(BOB)).text

    if answer == "YES":
        phones.say(town, "YES", BOB)
    else:
        town.browser.post(town.last_link(BOB))
    person = town.person(BOB)
    assert (person.status, person.frequency) == (Status.SUBSCRIBED, "1/week")
    assert changes(town, EventKind.CONFIRMED)["frequency"] == "1/week"
    assert list(audit.differences()) == [] and list(audit.faults()) == []


def test_a_form_that_does_not_ask_names_nothing(town: Town) -> None:
    link = town.bob()
    assert "at most" not in town.browser.get(link).text
    assert "requested_frequency" not in changes(town, EventKind.REQUESTED)
    town.browser.post(link)
    assert "frequency" not in changes(town, EventKind.CONFIRMED)
    assert 'name="frequency"' not in town.browser.get("/").text


@pytest.mark.parametrize(
    "wish", ["1/day", "0/week", "2/week", "1/WEEK", "x" * 5000, "1/week\x00x", "<b>"]
)
def test_a_cap_that_is_not_offered_is_refused_beside_the_choice(town: Town, wish: str) -> None:
    before = rows()
    answer = sign_up(town, frequency=wish)
    assert answer.status_code == 422
    assert '<a href="#frequency">Choose one of these</a>' in answer.text
    assert answer.text.count('name="frequency"') == 3
    assert 'id="frequency"' in answer.text and 'id="frequency-error"' in answer.text
    assert f'value="{BOB}"' in answer.text, "what was typed stays"
    assert rows() == before


def test_what_was_chosen_stays_when_something_else_is_missing(town: Town) -> None:
    answer = sign_up(town, "202", frequency="1/month")
    assert answer.status_code == 422
    assert 'name="frequency" value="1/month" checked' in answer.text
    assert "Choose one of these" not in answer.text


def test_a_program_is_told_where_and_what_to_send(town: Town) -> None:
    shop = open_shop(town)
    for wish in ("1/day", "ALL", "1/week "):
        problem = refused(shop.hand_in(BOB, frequency=wish), 422, "#/frequency")
        assert "all, 1/week, 1/month" in problem["detail"]
    refused(shop.hand_in(BOB, frequency=7), 422, "#/frequency")
    refused(shop.hand_in(BOB, frequency=["1/week"]), 422, "#/frequency")


def test_the_script_hears_it_where_it_can_say_it(town: Town) -> None:
    with writing():
        sites.add("shop", "Shop", origins=[SHOP], now=town.now())
        db.session.commit()
    answer = town.browser.post(
        "/o/shop",
        data={"number": BOB, "frequency": "1/day"},
        headers={"Origin": SHOP, "Accept": "application/json"},
    )
    assert answer.status_code == 422 and answer.json is not None
    assert answer.json["message"] == answer.json["errors"]["frequency"] == "Choose one of these"


def test_mallory_changes_nothing_of_alice(town: Town, now: Clock) -> None:
    """Who is subscribed chooses on the own page; a stranger's form only reminds."""
    link = town.alice()
    town.browser.post(
        link, data={"shown": "offers", "categories": "offers", "frequency": "1/month"}
    )
    assert town.person(ALICE).frequency == "1/month"
    now.forward(minutes=30)
    assert sign_up(town, ALICE, frequency="all").status_code == 303
    town.work()
    person = town.person(ALICE)
    assert (person.status, person.frequency) == (Status.SUBSCRIBED, "1/month")


def test_mallory_changes_nothing_of_bob_until_his_phone_says_yes_to_it(
    town: Town, now: Clock
) -> None:
    """The page that was opened before her form is out of date, as with her categories."""
    sign_up(town, frequency="1/month")
    town.work()
    link = town.last_link(BOB)
    page = hidden(town.browser.get(link))
    now.forward(minutes=11)
    sign_up(town, frequency="all")
    town.work()
    assert town.person(BOB).frequency == "all" and town.person(BOB).status is Status.PENDING
    stale = town.browser.post(link, data=page)
    assert stale.status_code == 409 and "Whenever there is news." in stale.text
    assert town.person(BOB).status is Status.PENDING


def test_a_yes_to_the_text_before_confirms_nothing_of_a_newer_request(
    town: Town, now: Clock
) -> None:
    """RULE-11, RULE-12: Bob said yes to once a month; Mallory's form, which he has not read,
    asks for more. His yes to its own text is kept with its own words."""
    sign_up(town, frequency="1/month")
    [first] = town.work()
    now.forward(minutes=11)
    town.sign_up(BOB, ("offers", "events", "new-books"))
    admit(town)
    phones.say(town, "YES", BOB)
    person = town.person(BOB)
    assert (person.status, catalog.taken(person.id)) == (Status.PENDING, frozenset())
    assert phones.heard(BOB)[-1].outcome == "nothing_open"
    assert phones.last_event(BOB).kind is EventKind.NOTED

    [second] = town.work()
    phones.say(town, "YES", BOB)
    assert catalog.taken(town.person(BOB).id) == {"offers", "events", "new-books"}
    sha256 = phones.last_event(BOB).wording_sha256
    query = sa.select(WordingVersion.text).where(WordingVersion.sha256 == sha256)
    words = db.session.scalars(query).one()
    assert words.partition("/c/")[0] == second.body.partition("/c/")[0]
    assert words.partition("/c/")[0] != first.body.partition("/c/")[0]
    assert list(audit.differences()) == [] and list(audit.faults()) == []


def test_a_yes_to_the_text_before_answers_what_the_phone_itself_asked_since(
    town: Town, now: Clock
) -> None:
    """A JOIN that no text may follow any more: the text before it is the one to answer."""
    for _ in range(2):
        town.sign_up(BOB)
        town.work()
        now.forward(minutes=11)
    phones.say(town, "JOIN", BOB)
    assert phones.heard(BOB)[-1].outcome == "asked_before" and town.work() == []
    now.forward(minutes=1)
    phones.say(town, "YES", BOB)
    assert town.person(BOB).status is Status.SUBSCRIBED


def admit(town: Town) -> None:
    """Look at the forms that wait; the texts that they cause do not leave yet."""
    for row in signup.waiting(100):
        with writing():
            signup.admit(row, now=town.now())
            db.session.commit()


def test_carol_who_stopped_gets_nothing_and_keeps_what_she_had(town: Town, now: Clock) -> None:
    town.carol()
    now.forward(hours=25)
    before = town.person(CAROL).ledger_seq
    sign_up(town, CAROL, frequency="1/week")
    assert town.work() == []
    assert (town.person(CAROL).ledger_seq, town.person(CAROL).frequency) == (before, "all")


def test_a_new_link_asks_for_the_same(town: Town, now: Clock) -> None:
    sign_up(town, frequency="1/week")
    town.work()
    now.forward(hours=80)
    page = town.browser.get(town.last_link(BOB))
    [path] = {
        part.split('"')[0] for part in page.text.split('action="')[1:] if part.startswith("/l/")
    }
    town.browser.post(path.partition("?")[0].removesuffix("/stop"))
    town.work()
    assert changes(town, EventKind.REQUESTED)["requested_frequency"] == "1/week"
    town.browser.post(town.last_link(BOB))
    assert town.person(BOB).frequency == "1/week"


def test_a_late_text_from_before_does_not_undo_it(town: Town, now: Clock) -> None:
    """REL-12: MONTHLY was said before the request that named a cap was confirmed."""
    said = now.now()
    now.forward(minutes=20)
    sign_up(town, frequency="1/week")
    town.work()
    town.browser.post(town.last_link(BOB))
    now.forward(minutes=20)
    phones.say(town, "MONTHLY", BOB, at=said)
    assert town.person(BOB).frequency == "1/week"
    phones.say(town, "MONTHLY", BOB)
    assert town.person(BOB).frequency == "1/month"


@pytest.mark.parametrize("word", ["MONTHLY", "LESS"])
@pytest.mark.parametrize("late", [False, True])
def test_a_cap_that_is_texted_before_the_yes_counts(
    town: Town, now: Clock, word: str, late: bool
) -> None:
    """Behind the form that asked for another (RULE-37, REL-12)."""
    sign_up(town, frequency="1/week")
    town.work()
    now.forward(minutes=10)
    asked, yes = now.now(), now.now() + timedelta(minutes=2)
    now.forward(minutes=5)
    for text, at in [("YES", yes), (word, asked)] if late else [(word, asked), ("YES", yes)]:
        phones.say(town, text, BOB, at=at)
    person = town.person(BOB)
    assert (person.status, person.frequency) == (Status.SUBSCRIBED, "1/month")
