"""The spine, end to end, as people walk it: sign up, confirm, choose, pause, leave, return."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from prefcenter import links
from prefcenter.consent import audit, suppression
from prefcenter.database import db, writing
from prefcenter.models import (
    ConsentEvent,
    Evidence,
    Person,
    Signup,
    Status,
    SuppressionReason,
    TextKind,
)
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock

DAVE = "+12025550146"


@pytest.fixture(autouse=True)
def the_proof_holds(town: Town) -> object:
    """After every test the chains are whole and every row is what its ledger says (INV-2)."""
    yield
    db.session.rollback()
    assert list(audit.faults()) == []
    assert [what for _person, what in audit.differences()] == []


def test_alice_signs_up_confirms_and_is_welcomed(town: Town) -> None:
    answer = town.sign_up(ALICE, ("offers", "events"))
    assert (answer.status_code, answer.location) == (303, "/sent?to=0143")
    [text] = town.work()
    assert text.kind is TextKind.CONFIRM_REQUEST
    assert "http://prefs.test/c/" in text.body

    confirm = town.last_link(ALICE)
    page = town.browser.get(confirm)
    assert page.status_code == 200
    assert "Get texts from Marlow Books?" in page.text
    assert "Sales and offers" in page.text and "New books" not in page.text
    assert town.person(ALICE).status is Status.PENDING

    answer = town.browser.post(confirm)
    assert answer.status_code == 303
    page = town.browser.get(answer.location)
    assert "<h1>Your texts are on</h1>" in page.text
    assert town.person(ALICE).status is Status.SUBSCRIBED
    assert [c.slug for c in town.person(ALICE).categories] == ["offers", "events"]
    assert [text.kind for text in town.work()] == [TextKind.WELCOME]


def test_the_proof_of_consent_has_what_the_law_asks(town: Town) -> None:
    """RULE-11, RULE-12: the request and the confirmation, each with what was shown."""
    town.alice()
    request, confirmed = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.seq))
    assert confirmed.refers_to == request.public_id
    assert (confirmed.action, request.source) == ("opt-in", "form")
    for event in (request, confirmed):
        assert event.wording_sha256
        evidence = db.session.get(Evidence, event.id)
        assert evidence is not None
        for part in (ALICE, "http://prefs.test/", '"ip":"127.0.0.1"', "Werkzeug", "button"):
            assert part in evidence.body


def test_confirming_twice_is_one_event_and_one_welcome(town: Town) -> None:
    """SEC-15: idempotent, not one-shot."""
    confirm = town.bob()
    first, again = town.browser.post(confirm), town.browser.post(confirm)
    assert (first.status_code, again.status_code) == (303, 200)
    assert "You already said yes" in again.text
    town.work()
    assert town.events(BOB) == ["requested", "confirmed"]
    assert town.kinds(BOB) == [TextKind.CONFIRM_REQUEST, TextKind.WELCOME]


def test_bob_says_it_was_not_him(town: Town) -> None:
    confirm = town.bob()
    answer = town.browser.post(f"{confirm}/decline", follow_redirects=True)
    assert "We will not text you" in answer.text
    assert town.person(BOB).status is Status.NOT_SUBSCRIBED
    assert town.browser.post(confirm).status_code == 410
    assert town.work() == []


def test_a_confirm_link_lives_72_hours(town: Town, now: Clock) -> None:
    """SEC-14, RULE-7."""
    confirm = town.bob()
    now.forward(hours=71)
    assert town.browser.get(confirm).status_code == 200
    now.forward(hours=1)
    page = town.browser.post(confirm)
    assert page.status_code == 410
    assert "This link is too old" in page.text
    assert town.person(BOB).status is Status.PENDING


def test_bob_asks_for_a_new_link_when_his_is_too_old(town: Town, now: Clock) -> None:
    confirm = town.bob()
    now.forward(hours=73)
    page = town.browser.get(confirm)
    new = page.text.split('action="/l/')[1].split('"')[0]
    answer = town.browser.post(f"/l/{new}", follow_redirects=True)
    assert "Look at your phone" in answer.text
    assert [text.kind for text in town.work()] == [TextKind.CONFIRM_REQUEST]
    town.browser.post(town.last_link(BOB))
    assert town.person(BOB).status is Status.SUBSCRIBED


def test_a_pending_number_gets_one_resend_at_most(town: Town, now: Clock) -> None:
    """RULE-7: on the person's own new request only."""
    town.bob()
    for _ in range(3):
        now.forward(minutes=11)
        town.sign_up(BOB)
        town.work()
    assert town.kinds(BOB) == [TextKind.CONFIRM_REQUEST] * 2


def test_alice_signs_up_again_and_is_told_that_texts_are_on(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(minutes=11)
    town.sign_up(ALICE, ("events",))
    assert [text.kind for text in town.work()] == [TextKind.ALREADY_SUBSCRIBED]
    assert [c.slug for c in town.person(ALICE).categories] == ["offers"]


def test_carol_stopped_and_the_form_sends_her_nothing(town: Town, now: Clock) -> None:
    """RULE-62, SEC-26: the same answer, and no text."""
    town.carol()
    now.forward(days=2)
    answer = town.sign_up(CAROL)
    assert (answer.status_code, answer.location) == (303, "/sent?to=0145")
    assert town.work() == []
    assert town.person(CAROL).status is Status.UNSUBSCRIBED
    assert not db.session.scalars(sa.select(Signup)).all()


def test_a_number_known_only_as_stopped_gets_nothing_either(town: Town) -> None:
    """SEC-48: nobody of that name is left, but the keyed list remembers the number."""
    with writing():
        suppression.add(DAVE, SuppressionReason.ERASURE, now=town.now())
        db.session.commit()
    answer = town.sign_up(DAVE)
    assert (answer.status_code, answer.location) == (303, "/sent?to=0146")
    assert town.work() == []
    assert not db.session.scalars(sa.select(Person)).all()


def _choose(town: Town, link: str, **fields: object) -> object:
    shown = ["offers", "new-books", "events", "in-stock"]
    return town.browser.post(link, data={"shown": shown, "frequency": "all"} | fields)


def test_alice_swaps_offers_for_events_once_a_week(town: Town) -> None:
    link = town.alice()
    answer = _choose(town, link, categories=["events"], frequency="1/week")
    assert answer.location == f"{link}?done=saved"
    page = town.browser.get(answer.location)
    assert "Saved" in page.text
    assert "You will get Events near you, once a week at most." in page.text
    alice = town.person(ALICE)
    assert ([c.slug for c in alice.categories], alice.frequency) == (["events"], "1/week")
    assert [text.kind for text in town.work()] == [TextKind.CHANGED]
    assert town.events(ALICE)[-1] == "changed"


def test_htmx_gets_the_same_words_in_a_fragment(town: Town) -> None:
    link = town.alice()
    data = {"shown": ["offers", "events"], "categories": ["events"], "frequency": "all"}
    page = town.browser.post(link, data=data, headers={"HX-Request": "true"})
    assert page.status_code == 200
    assert "<html" not in page.text
    assert '<main id="main"' in page.text and "Saved" in page.text
    assert "HX-Request" in page.headers["Vary"]


def test_what_was_not_offered_stays(town: Town) -> None:
    link = town.alice(categories=("offers", "events"))
    town.browser.post(link, data={"shown": ["offers", "new-books"], "categories": ["new-books"]})
    assert [c.slug for c in town.person(ALICE).categories] == ["new-books", "events"]


def test_nothing_ticked_is_not_saved(town: Town) -> None:
    """RULE-65: all off is a revocation, and it has a button of its own."""
    link = town.alice()
    page = _choose(town, link)
    assert page.status_code == 422
    assert "Nothing is ticked" in page.text and "Error:" in page.text
    assert [c.slug for c in town.person(ALICE).categories] == ["offers"]


def test_a_stale_page_saves_nothing_and_says_so(town: Town) -> None:
    link = town.alice()
    _choose(town, link, categories=["events"], version="2")
    page = _choose(town, link, categories=["new-books"], version="2")
    assert page.status_code == 409
    assert "This page was out of date" in page.text
    assert [c.slug for c in town.person(ALICE).categories] == ["events"]
    again = _choose(town, link, categories=["events"], version="2")
    assert again.status_code == 303


def test_a_save_never_turns_texts_back_on(town: Town) -> None:
    link = town.carol()
    page = _choose(town, link, categories=["events"])
    assert page.status_code == 409
    assert "Nothing was saved" in page.text
    assert town.person(CAROL).status is Status.UNSUBSCRIBED


def test_alice_takes_a_break_and_ends_it(town: Town) -> None:
    link = town.alice()
    for _ in range(2):  # the same press again is no second event (SEC-15)
        town.browser.post(f"{link}/pause", data={"pause": "1m"})
    page = town.browser.get(f"{link}?done=paused")
    assert "No texts until December 24, 2026." in page.text
    assert "Texts are paused until December 24, 2026" in page.text
    town.browser.post(f"{link}/resume")
    assert "Texts are on" in town.browser.get(link).text
    assert town.events(ALICE) == ["requested", "confirmed", "paused", "resumed"]


def test_stop_is_one_press_and_one_reply(town: Town) -> None:
    """RULE-22, RULE-24, RULE-60: at once, one acknowledgement, queued texts taken back."""
    link = town.alice()
    _choose(town, link, categories=["events"])
    for _ in range(2):
        assert town.browser.post(f"{link}/stop").location == f"{link}?done=stopped"
    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED]
    page = town.browser.get(f"{link}?done=stopped")
    assert "Done. No more texts." in page.text and "Start texts again" in page.text
    assert suppression.contains(ALICE)
    assert town.events(ALICE).count("revoked") == 1


def test_each_later_press_of_stop_is_on_record(town: Town, now: Clock) -> None:
    """RULE-31: it is one more wish, and not the same press sent twice (SEC-15)."""
    link = town.carol()
    before = town.events(CAROL)
    now.forward(minutes=4)
    town.browser.post(f"{link}/stop")
    assert town.events(CAROL) == before
    now.forward(minutes=2)
    for _ in range(2):
        town.browser.post(f"{link}/stop")
    assert town.events(CAROL) == [*before, "noted"]
    assert "Start texts again" in town.browser.get(link).text
    assert town.work() == []


def test_the_unsubscribe_link_stops_in_one_press_after_two_years(town: Town, now: Clock) -> None:
    """SEC-14: lowering never fails for age."""
    town.alice()
    person = town.person(ALICE)
    token = links.make(links.Purpose.UNSUBSCRIBE, person.link_id, now=now.now())
    now.forward(days=730)
    assert "Stop all texts" in town.browser.get(f"/u/{token}").text
    assert town.browser.post(f"/u/{token}").status_code == 303
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


def test_the_unsubscribe_link_can_lower_but_never_raise(town: Town, now: Clock) -> None:
    town.alice()
    token = links.make(links.Purpose.UNSUBSCRIBE, town.person(ALICE).link_id, now=now.now())
    town.browser.post(f"/u/{token}/fewer", data={"frequency": "1/month"})
    assert town.person(ALICE).frequency == "1/month"
    town.browser.post(f"/u/{token}/fewer", data={"frequency": "all"})
    assert town.person(ALICE).frequency == "1/month"


def _start(town: Town, link: str) -> object:
    page = town.browser.get(link).text
    version = page.split('name="text_version" value="')[1].split('"')[0]
    return town.browser.post(f"{link}/start", data={"text_version": version})


def test_carol_undoes_her_stop_within_the_hour(town: Town, now: Clock) -> None:
    """SEC-16: a new opt-in with the text shown; the old link may not raise any more."""
    link = town.carol()
    now.forward(minutes=59)
    answer = _start(town, link)
    assert answer.status_code == 303 and answer.location.startswith("/p/")
    assert "Texts are on again" in town.browser.get(answer.location).text
    assert town.person(CAROL).status is Status.SUBSCRIBED
    assert [text.kind for text in town.work()] == [TextKind.RESUBSCRIBED]
    assert town.browser.get(link).status_code == 410


def test_after_an_hour_only_the_handset_can_start_again(town: Town, now: Clock) -> None:
    link = town.carol()
    version = town.browser.get(link).text.split('name="text_version" value="')[1].split('"')[0]
    now.forward(minutes=61)
    page = town.browser.post(f"{link}/start", data={"text_version": version})
    assert "To begin again, text" in page.text
    assert town.person(CAROL).status is Status.UNSUBSCRIBED


def test_only_the_link_that_stopped_may_undo(town: Town, now: Clock) -> None:
    link = town.alice()
    now.forward(minutes=11)
    town.sign_up(ALICE)
    town.work()
    other = town.last_link(ALICE)
    assert other != link
    town.browser.post(f"{link}/stop")
    assert "Start texts again" in town.browser.get(link).text
    assert "Start texts again" not in town.browser.get(other).text


def test_a_month_old_link_stops_but_does_not_change(town: Town, now: Clock) -> None:
    link = town.alice()
    now.forward(days=30)
    page = _choose(town, link, categories=["events"])
    assert page.status_code == 410
    assert [c.slug for c in town.person(ALICE).categories] == ["offers"]
    assert town.browser.post(f"{link}/stop").status_code == 303
    assert town.person(ALICE).status is Status.UNSUBSCRIBED


def test_dave_has_alices_number_now(town: Town, now: Clock) -> None:
    """The former person's links close, and the new owner may sign up (RULE-51)."""
    link = town.alice()
    assert "Is this number new to you?" in town.browser.get(f"{link}/not-mine").text
    answer = town.browser.post(f"{link}/not-mine", follow_redirects=True)
    assert answer.status_code == 410
    assert "This number has a new owner" in answer.text
    assert town.browser.post(f"{link}/stop", follow_redirects=True).status_code == 410
    assert town.work() == []

    now.forward(days=2)
    assert town.alice(ALICE, ("events",))
    people = db.session.scalars(sa.select(Person).order_by(Person.id)).all()
    assert [p.number for p in people] == [None, ALICE]
    assert [c.slug for c in people[1].categories] == ["events"]


def test_alice_reads_spanish_from_now_on(town: Town) -> None:
    link = town.alice()
    assert 'lang="es"' in town.browser.get(f"{link}?lang=es").text
    assert town.person(ALICE).language == "en"
    _choose(town, link, categories=["offers"], language="es")
    assert town.person(ALICE).language == "es"
    assert '<html lang="es"' in town.browser.get(link).text


def test_changed_texts_come_at_most_every_ten_minutes_and_the_last_wins(
    town: Town, now: Clock
) -> None:
    link = town.alice()
    for choice in (["events"], ["new-books"], ["in-stock"]):
        _choose(town, link, categories=choice)
        town.work()
        now.forward(seconds=30)
    assert town.kinds(ALICE).count(TextKind.CHANGED) == 1
    now.forward(minutes=10)
    [text] = town.work()
    assert "Back in stock" in text.body


def test_a_link_used_too_often_must_wait_but_can_always_stop(town: Town) -> None:
    link = town.alice()
    for turn in range(61):
        answer = _choose(town, link, categories=[("offers", "events")[turn % 2]])
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Please wait a little" in answer.text
    assert town.browser.post(f"{link}/stop").status_code == 303


def test_a_queued_welcome_is_not_sent_after_a_stop(town: Town) -> None:
    """REL-8: consent is asked again when the text is claimed."""
    confirm = town.bob(DAVE)
    location = town.browser.post(confirm).location
    town.browser.post(f"{location.partition('?')[0]}/stop")
    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED]


def test_a_text_that_is_too_late_is_dropped_and_says_so(town: Town, now: Clock) -> None:
    """REL-9, RULE-22: a STOP reply is of use for five minutes."""
    link = town.alice()
    town.browser.post(f"{link}/stop")
    now.moment += timedelta(minutes=5)
    assert town.work() == []
    assert [(m.kind, m.status) for m in town.outbox(ALICE)][-1] == ("unsubscribed", "expired")


@pytest.mark.parametrize("purpose", ["confirm", "manage", "unsubscribe", "new-link"])
def test_every_link_of_alice_can_stop_everything(town: Town, now: Clock, purpose: str) -> None:
    """Leaving is never harder than joining, whichever link somebody has (RULE-27)."""
    town.alice()
    which = links.Purpose(purpose)
    token = links.make(which, town.person(ALICE).link_id, now=now.now())
    link = links.PATHS[which] + token
    now.forward(days=100)
    answer = town.browser.post(f"{link}/stop", follow_redirects=True)
    assert "Done. No more texts." in answer.text
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert town.browser.get(f"{link}/not-mine").status_code == 200
