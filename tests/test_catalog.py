"""Categories over time: words, order, retiring and bringing back, and who took them.

A retired category is offered nowhere and nothing is said about it, but every record keeps it.
"""

import json
import threading
import time
from collections.abc import Callable

import pytest
from flask import Flask

from prefcenter.consent import audit, catalog, offering, sites
from prefcenter.consent.offering import StillNeeded
from prefcenter.database import db, writing
from prefcenter.models import Category, EventKind, Status, TextKind
from prefcenter.web import pages, poster
from tests import web_shop
from tests.cast import ALICE, BOB, Town
from tests.conftest import Clock
from tests.phones import last_event, say
from tests.test_inbound import answers, sound

EVENTS = "Events near you"
DAVE = "+12025550146"


def change(slug: str, **values: object) -> offering.Changes:
    with writing():
        found = offering.change(kind(slug), **values)
        db.session.commit()
    return found


def retire(*slugs: str, now: Clock) -> None:
    with writing():
        for slug in slugs:
            assert offering.retire(kind(slug), now=now.now())
        db.session.commit()


def restore(slug: str) -> None:
    with writing():
        assert offering.restore(kind(slug))
        db.session.commit()


def kind(slug: str) -> Category:
    found = catalog.find(slug)
    assert found is not None
    return found


def order() -> list[str]:
    db.session.rollback()
    db.session.expire_all()
    return [one.slug for one in catalog.every()]


def move(slug: str, *, up: bool) -> bool:
    with writing():
        moved = offering.move(kind(slug), up=up)
        db.session.commit()
    return moved


def taken(town: Town, number: str) -> set[str]:
    return set(catalog.taken(town.person(number).id))


# --- words and rules


def test_a_change_says_what_was_and_what_is(app: Flask) -> None:
    found = change(
        "offers",
        name=" Deals ",
        age_gate=21,
        translations={"es": {"name": "Ofertas", "description": " "}},
    )
    assert found == {
        "name": ["Sales and offers", "Deals"],
        "age_gate": [None, 21],
        "name in es": ["Rebajas y ofertas", "Ofertas"],
        "description in es": ["Unos 2 mensajes al mes", None],
    }
    db.session.expire_all()
    assert (kind("offers").name, kind("offers").age_gate) == ("Deals", 21)
    assert kind("offers").text("description", "es") == "About 2 texts a month"


def test_the_same_again_is_no_change(app: Flask) -> None:
    assert change("offers", name="Sales and offers", public=True) == {}


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""}, {"name": " "}, {"name": "x" * 81}, {"name": "a\x00b"}, {"name": "a\nb"},
        {"name": "a\ud800"}, {"description": "x" * 201}, {"description": "a\tb"}, {"age_gate": 0},
        {"age_gate": 100}, {"age_gate": -1}, {"translations": {"xx": {"name": "X"}}},
        {"translations": {"es": {"name": "x" * 81}}}, {"translations": {"es": {"slug": "x"}}},
    ],
)  # fmt: skip
def test_what_cannot_be_said_changes_nothing(app: Flask, values: dict[str, object]) -> None:
    before = dict(offering.said(kind("offers")))
    with pytest.raises(ValueError, match=r"\.$"), writing():
        offering.change(kind("offers"), **values)
    db.session.expire_all()
    assert offering.said(kind("offers")) == before


@pytest.mark.parametrize("slug", ["", "New", "1st", "a b", "x" * 41, "offers", "ñ", "a\n"])
def test_a_slug_that_cannot_be_or_is_taken_is_refused(app: Flask, slug: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"), writing():
        catalog.add(slug, "New")


# --- order


def test_moving_changes_places_with_the_neighbour(app: Flask) -> None:
    assert order() == ["offers", "new-books", "events", "in-stock"]
    assert move("events", up=True)
    assert order() == ["offers", "events", "new-books", "in-stock"]
    assert move("offers", up=False)
    assert order() == ["events", "offers", "new-books", "in-stock"]
    assert not move("events", up=True)
    assert not move("in-stock", up=False)
    assert order() == ["events", "offers", "new-books", "in-stock"]


def test_people_see_the_new_order(town: Town) -> None:
    town.alice()
    assert move("events", up=True)
    page = town.browser.get(town.last_link(ALICE)).text
    assert page.index(EVENTS) < page.index("New books")


def test_a_retired_one_keeps_its_place_and_is_stepped_over(app: Flask, now: Clock) -> None:
    retire("new-books", now=now)
    assert move("events", up=True)
    assert not move("new-books", up=True)
    assert [one.slug for one in catalog.on_offer()] == ["events", "offers", "in-stock"]
    restore("new-books")
    assert order() == ["events", "new-books", "offers", "in-stock"]


# --- retired: offered nowhere


def test_no_page_of_ours_offers_it(town: Town, now: Clock) -> None:
    """Sign-up, preferences, unsubscribe, the widget's frame, a poster."""
    link = town.alice(categories=("offers", "events"))
    shop = web_shop.open_shop(town)
    addresses = ("/", link, "/w/web-shop/poster")
    for address in addresses:
        assert EVENTS in town.browser.get(address).text, address
    retire("events", now=now)
    for address in addresses:
        answer = town.browser.get(address)
        assert (answer.status_code, EVENTS in answer.text) == (200, False), address
    assert [row.slug for row in pages.offered()] == ["offers", "new-books", "in-stock"]
    assert "events" not in [row.slug for row in poster.kinds("JOIN")]
    answer = shop.hand_in(DAVE, categories=["events"], shown=["events"])
    web_shop.refused(answer, 422, "#/categories/0")


def test_a_form_that_still_names_it_gets_nothing_of_it(town: Town, now: Clock) -> None:
    """A page that was open since before: the rest counts; alone it asks for nothing."""
    retire("events", now=now)
    browser = town.browser
    fields = {"consent": "yes", "text_version": pages.text_version(pages.shown_text("signup"))}
    both = {"shown": ["offers", "events"], "categories": ["offers", "events"], **fields}
    assert browser.post("/", data={"number": BOB, **both}).status_code == 303
    town.work()
    assert town.person(BOB).requested == ["offers"]
    alone = {"shown": ["events"], "categories": ["events"], **fields}
    assert browser.post("/", data={"number": DAVE, **alone}).status_code == 422


def test_a_form_that_waited_asks_for_what_is_left_or_not_at_all(town: Town, now: Clock) -> None:
    town.sign_up(ALICE, ("events",))
    town.sign_up(BOB, ("offers", "events"))
    retire("events", now=now)
    assert [text.to for text in town.work()] == [BOB]
    assert town.person(BOB).requested == ["offers"]


def test_even_the_last_category_cannot_turn_a_wish_into_another(town: Town, now: Clock) -> None:
    """Who asked for events, and nothing is on offer any more, is not asked for everything."""
    town.sign_up(ALICE, ("events",))
    retire("offers", "new-books", "events", "in-stock", now=now)
    assert town.work() == []


def test_join_and_start_do_not_ask_for_it(town: Town, now: Clock) -> None:
    retire("events", now=now)
    say(town, "JOIN", BOB)
    assert town.person(BOB).requested == ["in-stock", "new-books", "offers"]
    say(town, "START", DAVE)
    assert town.person(DAVE).requested == ["in-stock", "new-books", "offers"]


@pytest.mark.settings(KEYWORDS="FAIR=events+offers")
def test_an_own_keyword_asks_for_the_rest(town: Town, now: Clock) -> None:
    retire("events", now=now)
    say(town, "FAIR", BOB)
    assert town.person(BOB).requested == ["offers"]
    assert offering.keywords_for("events") == ["FAIR"]


def test_no_text_names_it(town: Town, now: Clock) -> None:
    link = town.alice(categories=("offers", "events"))
    retire("events", now=now)
    town.browser.post(link, data={"shown": ["new-books"], "categories": ["new-books"]})
    [text] = town.work()
    assert "New books" in text.body and EVENTS not in text.body


@pytest.mark.settings(ASK_WHICH="yes")
def test_the_stop_reply_does_not_ask_about_it(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events", "new-books"))
    retire("events", now=now)
    say(town, "STOP")
    [question] = town.work()
    assert question.kind is TextKind.WHICH and EVENTS not in question.body
    now.forward(minutes=2)
    say(town, "1")
    assert taken(town, ALICE) == {"offers"}
    sound()


# --- requests that were open when it was retired


def test_a_yes_takes_only_what_the_page_still_shows(town: Town, now: Clock) -> None:
    link = town.bob(BOB, ("offers", "events"))
    retire("events", now=now)
    assert EVENTS not in town.browser.get(link).text
    town.browser.post(link)
    assert (town.person(BOB).status, taken(town, BOB)) == (Status.SUBSCRIBED, {"offers"})
    assert json.loads(last_event(BOB).changes)["added"] == ["offers"]
    sound()


def test_a_request_for_that_alone_is_over(town: Town, now: Clock) -> None:
    """Nobody is subscribed to nothing, or to what they did not ask for."""
    link = town.bob(BOB, ("events",))
    retire("events", now=now)
    assert town.browser.get(link).status_code == 410
    assert town.browser.post(link).status_code == 410
    say(town, "YES", BOB)
    assert town.person(BOB).status is Status.PENDING
    before = len(town.kinds(BOB))
    parts = town.browser.get(link).text.split(chr(34))
    letter = next(part for part in parts if part.startswith("/l/"))
    town.browser.post(letter)
    town.work()
    assert len(town.kinds(BOB)) == before, "no new link for what is not on offer"
    restore("events")
    assert town.browser.post(link).status_code == 303
    assert taken(town, BOB) == {"events"}
    sound()


# --- who took it


def test_alice_keeps_it_in_her_record_and_gets_it_back(town: Town, now: Clock) -> None:
    """Nothing is written about her: the ledger is of what people do."""
    link = town.alice(categories=("offers", "events"))
    events = town.events(ALICE)
    retire("events", now=now)
    person = town.person(ALICE)
    assert catalog.taken(person.id) == {"offers", "events"}
    assert catalog.live(person.id) == {"offers"}
    assert town.events(ALICE) == events and town.work() == []
    assert offering.takers() == {"offers": 1, "events": 1}
    page = town.browser.get(link).text
    assert EVENTS not in page
    now.forward(days=40)
    restore("events")
    assert catalog.live(person.id) == {"offers", "events"}
    sound()


def test_saving_her_page_meanwhile_leaves_it_alone(town: Town, now: Clock) -> None:
    """She could not see it, so she said nothing about it; even if her page still names it."""
    link = town.alice(categories=("offers", "events"))
    retire("events", now=now)
    data = {"shown": ["offers", "new-books", "events"], "categories": ["new-books"]}
    assert town.browser.post(link, data=data).status_code == 303
    assert taken(town, ALICE) == {"events", "new-books"}
    sound()


def test_she_who_takes_only_that_must_choose_or_stop(town: Town, now: Clock) -> None:
    link = town.alice(categories=("events",))
    retire("events", now=now)
    shown = ["offers", "new-books", "in-stock"]
    assert town.browser.post(link, data={"shown": shown}).status_code == 422
    assert town.browser.post(f"{link}/stop").status_code == 303
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    sound()


def test_a_stop_counts_for_what_was_retired_too(town: Town, now: Clock) -> None:
    town.alice(categories=("offers", "events"))
    retire("events", now=now)
    say(town, "STOP")
    restore("events")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    sound()


def _retired(now: Clock) -> None:
    retire("events", now=now)


def _made_private(now: Clock) -> None:
    change("events", public=False)


@pytest.mark.parametrize("gone", [_retired, _made_private])
@pytest.mark.parametrize("answer", ["link", "YES"])
def test_a_new_opt_in_after_a_stop_takes_only_what_it_named(
    town: Town, now: Clock, gone: Callable[[Clock], None], answer: str
) -> None:
    """RULE-11: her STOP ended it, and neither the new text nor its page spoke of it."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    now.forward(days=1)
    gone(now)
    say(town, "JOIN")
    town.work()
    link = town.last_link(ALICE)
    assert EVENTS not in town.browser.get(link).text
    if answer == "YES":
        say(town, "YES")
    else:
        town.browser.post(link)
    assert json.loads(last_event().changes)["dropped"] == ["events"]
    if gone is _retired:
        restore("events")
    assert catalog.live(town.person(ALICE).id) == {"offers", "new-books", "in-stock"}
    sound()


def test_start_after_a_stop_brings_back_what_was_so_with_what_was_retired(
    town: Town, now: Clock
) -> None:
    """RULE-30: it restores, and asks for nothing new."""
    town.alice(categories=("offers", "events"))
    say(town, "STOP")
    now.forward(minutes=1)
    retire("events", now=now)
    say(town, "START")
    assert taken(town, ALICE) == {"offers", "events"}
    sound()


PROGRAMMES = pytest.mark.settings(
    SENDER="+12025550100,+12025550101",
    REVOCATION_SCOPE="programme",
    PROGRAMMES="+12025550100=offers,+12025550101=events+new-books",
)


@PROGRAMMES
def test_a_retired_one_is_no_reason_to_stay(town: Town, now: Clock) -> None:
    """RULE-25: whoever takes nothing else that there is, is stopped for all."""
    town.alice(categories=("offers", "events"))
    retire("events", now=now)
    say(town, "STOP")
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    sound()


@PROGRAMMES
def test_the_stop_of_a_programme_ends_its_retired_ones(town: Town, now: Clock) -> None:
    """Brought back, they must not come back to somebody who stopped their programme."""
    town.alice(categories=("offers", "events", "new-books"))
    retire("events", now=now)
    say(town, "STOP", to="+12025550101")
    assert answers(town) == [TextKind.PREFERENCES]
    restore("events")
    assert taken(town, ALICE) == {"offers"}
    sound()


def test_a_private_one_is_no_choice_either_and_stays_with_who_takes_it(town: Town) -> None:
    link = town.alice(categories=("offers", "events"))
    change("events", public=False)
    assert EVENTS not in town.browser.get(link).text
    data = {"shown": ["offers", "new-books", "events"], "categories": ["new-books"]}
    town.browser.post(link, data=data)
    assert catalog.live(town.person(ALICE).id) == {"events", "new-books"}
    sound()


# --- forms that need it


def test_the_only_category_of_a_form_cannot_go(town: Town, now: Clock) -> None:
    web_shop.open_shop(town, categories=["events"])
    for rule in (
        lambda: offering.retire(kind("events"), now=now.now()),
        lambda: offering.change(kind("events"), public=False),
    ):
        with pytest.raises(StillNeeded, match="web-shop"), writing():
            rule()
    with writing():
        sites.change(sites.by_slug("web-shop"), categories=["events", "offers"])
        db.session.commit()
    retire("events", now=now)
    place = sites.find("web-shop", now=now.now())
    assert place is not None and sites.offered(place) == ["offers"]
    with pytest.raises(StillNeeded), writing():
        offering.retire(kind("offers"), now=now.now())


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("by", ["retire", "hide"])
def test_two_owners_cannot_take_a_forms_last_two_at_once(
    app: Flask, town: Town, now: Clock, by: str
) -> None:
    """Dana retires one and Olga the other before either has saved."""
    web_shop.open_shop(town, categories=["offers", "events"])
    db.session.remove()
    looked = threading.Barrier(2, timeout=10)
    done: list[str] = []

    def owner(slug: str) -> None:
        with app.app_context(), writing():
            catalog.every()  # the page that they have open
            category = kind(slug)
            looked.wait()
            try:
                if by == "retire":
                    offering.retire(category, now=now.now())
                else:
                    offering.change(category, public=False)
                time.sleep(0.3)  # longer than the other waits
                db.session.commit()
                done.append(slug)
            except StillNeeded:
                done.append("still needed")

    owners = [threading.Thread(target=owner, args=(slug,)) for slug in ("offers", "events")]
    for one in owners:
        one.start()
    for one in owners:
        one.join(20)
    assert len(done) == 2 and done.count("still needed") == 1, done
    assert len({"offers", "events"} & {one.slug for one in catalog.on_offer()}) == 1


def test_a_form_that_is_off_needs_nothing(town: Town, now: Clock) -> None:
    web_shop.open_shop(town, categories=["events"])
    with writing():
        sites.disable(sites.by_slug("web-shop"), now=now.now())
        db.session.commit()
    retire("events", now=now)
    assert not sites.former_keys(sites.by_slug("web-shop"), now=now.now())


def test_twice_is_once(app: Flask, now: Clock) -> None:
    retire("events", now=now)
    with writing():
        assert not offering.retire(kind("events"), now=now.now())
        assert not offering.restore(kind("offers"))


def test_counts_are_of_subscribed_people(town: Town) -> None:
    """INV-12: Bob is pending, Carol stopped; neither takes anything now."""
    town.alice(categories=("offers", "events"))
    town.bob(BOB, ("offers",))
    town.carol()
    assert offering.takers() == {"offers": 1, "events": 1}


def test_a_pages_choice_names_it_in_the_proof_for_ever(town: Town, now: Clock) -> None:
    """What Alice said yes to stays readable: the slug in the ledger, its words in our log."""
    town.alice(categories=("events",))
    retire("events", now=now)
    assert EventKind.CONFIRMED in town.events(ALICE)
    assert list(audit.differences()) == [] and list(audit.faults()) == []
