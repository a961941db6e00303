"""What was shown is what is agreed to, and nothing that was lowered comes back by itself."""

import json
import re
from datetime import timedelta

import flask_babel
import pytest
import sqlalchemy as sa
from flask import g
from flask_babel import force_locale, gettext

from prefcenter import links
from prefcenter.consent import asking, audit, catalog, ledger, people, preferences
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, writing
from prefcenter.links import PATHS, Purpose
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Evidence,
    OutboxStatus,
    Source,
    Status,
    SuppressionReason,
    TextKind,
    WordingVersion,
)
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock

_HIDDEN = re.compile(r'name="(text_version|request)" value="([^"]*)"')


def shown_on(page: str) -> dict[str, str]:
    """The hidden fields that say what a page showed."""
    return dict(_HIDDEN.findall(page))


def new_request() -> None:
    """Forget what the last request left in `g`: the fixture's context outlives requests."""
    for name in list(g):
        g.pop(name)
    db.session.rollback()
    flask_babel.refresh()


def old_link(town: Town, number: str, purpose: Purpose, *, days: int) -> str:
    """A link of this person that was made so long ago."""
    made = town.now() - timedelta(days=days)
    token = links.make(purpose, town.person(number).link_id, now=made)
    return PATHS[purpose] + token


def press_start(town: Town, link: str) -> str:
    version = shown_on(town.browser.get(link).text)["text_version"]
    answer = town.browser.post(f"{link}/start", data={"text_version": version})
    assert answer.status_code == 303
    return str(answer.location).partition("?")[0]


# --- the page that Bob left open


def test_bobs_open_page_does_not_confirm_what_it_never_showed(town: Town, now: Clock) -> None:
    """RULE-12: between, somebody signed the number up for something else."""
    first = town.bob(categories=("offers",))
    left_open = shown_on(town.browser.get(first).text)
    now.forward(minutes=11)
    town.sign_up(BOB, ("events", "new-books"))
    town.work()

    page = town.browser.post(first, data=left_open)
    assert page.status_code == 409
    assert "This page was out of date" in page.text
    assert "Events near you" in page.text and "Sales and offers" not in page.text
    assert town.person(BOB).status is Status.PENDING
    assert town.events(BOB) == ["requested", "requested"]
    assert town.work() == []

    assert town.browser.post(first, data=shown_on(page.text)).status_code == 303
    assert [c.slug for c in town.person(BOB).categories] == ["new-books", "events"]


def test_a_consent_text_that_changed_meanwhile_is_shown_again(town: Town) -> None:
    link = town.bob()
    seen = shown_on(town.browser.get(link).text) | {"text_version": "0" * 16}
    page = town.browser.post(link, data=seen)
    assert page.status_code == 409
    assert town.person(BOB).status is Status.PENDING
    assert shown_on(page.text)["text_version"] != "0" * 16


def test_the_page_after_no_is_true_for_who_said_yes_after_all(town: Town) -> None:
    """An address that somebody kept does not say "We will not text you" to a subscriber."""
    link = town.bob()
    town.browser.post(link)
    page = town.browser.get(f"{link}/declined")
    assert "We will not text you" not in page.text
    assert "You already said yes" in page.text


# --- whose language it is


def test_a_spanish_proof_is_spanish_whatever_the_browser_speaks(town: Town) -> None:
    """RULE-12: the record names the words that the person saw."""
    english = {"Accept-Language": "en-US,en;q=0.9"}
    page = town.browser.get("/?lang=es", headers=english)
    version = shown_on(page.text)["text_version"]
    data = {"number": BOB, "consent": "yes", "text_version": version, "categories": ["offers"]}
    assert town.browser.post("/?lang=es", data=data, headers=english).status_code == 303
    town.work()
    link = town.last_link(BOB)
    assert '<html lang="es"' in town.browser.get(link, headers=english).text
    new_request()
    town.browser.post(link, headers=english)
    town.work()
    choices = town.last_link(BOB)
    new_request()
    town.browser.post(f"{choices}/pause", data={"pause": "1w"}, headers=english)
    new_request()
    town.browser.post(f"{choices}/stop", headers=english)

    events = list(db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.seq)))
    assert [event.language for event in events] == ["es"] * 4
    texts = [event.wording_sha256 for event in events if event.wording_sha256]
    words = sa.select(WordingVersion.language).where(WordingVersion.sha256.in_(texts))
    assert list(db.session.scalars(words)) == ["es", "es"]
    proofs = [db.session.get(Evidence, event.id) for event in events]
    buttons = [json.loads(proof.body)["answer"]["button"] for proof in proofs if proof]
    with force_locale("es"):
        names = ("Text me a link to confirm", "Yes, text me", "Take a break", "Stop all texts")
        spanish = [gettext(name) for name in names]
    assert buttons == spanish
    assert not set(buttons) & set(names)


# --- replies without end


@pytest.mark.settings(UNDO_MINUTES="60")
def test_stop_and_start_all_day_is_three_of_each_reply(town: Town, now: Clock) -> None:
    """SEC-28: the moves all count, the texts about them do not go on and on."""
    link = town.alice()
    turns = 6
    for _ in range(turns):
        town.browser.post(f"{link}/stop")
        town.work()
        link = press_start(town, link)
        town.work()
        now.forward(minutes=5)
    kinds = town.kinds(ALICE)
    assert kinds.count(TextKind.UNSUBSCRIBED) == 3
    assert kinds.count(TextKind.RESUBSCRIBED) == 3
    assert town.events(ALICE).count("revoked") == turns
    assert town.events(ALICE).count("restarted") == turns
    now.forward(days=1)
    town.browser.post(f"{link}/stop")
    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED]


def test_a_stop_by_text_does_not_take_back_the_reply_to_the_page(town: Town, now: Clock) -> None:
    """RULE-24: one reply, and it arrives."""
    link = town.alice()
    town.browser.post(f"{link}/stop")
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        words = Proof(source=Source.SMS, answer={"text": "STOP"})
        keyword = SuppressionReason.KEYWORD
        result = preferences.revoke(person, words, reason=keyword, now=now.now())
        db.session.commit()
    assert result is preferences.Result.DONE
    assert town.person(ALICE).opt_out_source is Source.SMS
    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED]
    assert [m.status for m in town.outbox(ALICE)].count(OutboxStatus.SENT) == 3
    assert "Start texts again" not in town.browser.get(link).text


# --- old links


def test_an_old_links_undo_stays_an_old_link(town: Town) -> None:
    """SEC-14, SEC-16: two hundred days on it may stop, and undo that stop, and no more."""
    town.alice()
    link = old_link(town, ALICE, Purpose.MANAGE, days=200)
    town.browser.post(f"{link}/stop")
    town.work()
    after = press_start(town, link)
    assert town.person(ALICE).status is Status.SUBSCRIBED
    page = town.browser.get(after)
    assert page.status_code == 410
    data = {"shown": ["offers", "events"], "categories": ["events"]}
    assert town.browser.post(after, data=data).status_code == 410
    assert [c.slug for c in town.person(ALICE).categories] == ["offers"]


def test_the_undo_of_an_unsubscribe_link_stays_a_low_link(town: Town) -> None:
    town.alice()
    link = old_link(town, ALICE, Purpose.UNSUBSCRIBE, days=0)
    town.browser.post(f"{link}/stop")
    assert press_start(town, link) == link


@pytest.mark.parametrize("button", ["pause", "resume"])
def test_a_break_cannot_be_changed_with_an_old_link(town: Town, button: str) -> None:
    fresh = town.alice()
    town.browser.post(f"{fresh}/pause", data={"pause": "1w"})
    link = old_link(town, ALICE, Purpose.MANAGE, days=31)
    before = rows()
    answer = town.browser.post(f"{link}/{button}", data={"pause": "3m"})
    assert answer.status_code == 410
    assert rows() == before


# --- categories that no page shows


def _hand_out_staff_texts(town: Town, number: str) -> None:
    """Give somebody a category that only the owner hands out."""
    with writing():
        catalog.add("staff", "Staff only", public=False)
        person = people.by_number(number)
        assert person is not None
        words, changes = Proof(source=Source.ADMIN), {"added": ["staff"]}
        ledger.record(person, EventKind.CHANGED, words, now=town.now(), changes=changes)
        db.session.commit()


def _slugs(town: Town, number: str) -> set[str]:
    return {category.slug for category in town.person(number).categories}


def test_a_private_category_survives_a_choice_and_ends_with_a_stop(town: Town, now: Clock) -> None:
    """INV-1: whoever begins again has agreed to what was named then, and to nothing else."""
    link = town.alice()
    _hand_out_staff_texts(town, ALICE)
    data = {"shown": ["offers", "events", "staff"], "categories": ["events"]}
    assert town.browser.post(link, data=data).status_code == 303
    assert _slugs(town, ALICE) == {"events", "staff"}

    town.browser.post(f"{link}/stop")
    town.work()
    now.forward(minutes=11)
    with writing():  # Alice begins again from her handset
        person = people.by_number(ALICE)
        assert person is not None
        words = Proof(source=Source.SMS, answer={"text": "START"})
        asking.ask(person, ["new-books"], words, "sms", now=now.now())
        db.session.commit()
    town.work()
    assert town.browser.post(town.last_link(ALICE)).status_code == 303
    assert _slugs(town, ALICE) == {"new-books"}
    assert [what for _person, what in audit.differences()] == []
