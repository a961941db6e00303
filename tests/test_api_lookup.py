"""`POST /api/v1/people/lookup`: where a number stands, for a help desk and a CRM.

Alice is subscribed, Bob pending, Carol has stopped; Dave is nobody.
"""

import pytest
import sqlalchemy as sa

from prefcenter import clock
from prefcenter.consent import by_hand, people, suppression
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.database import db, writing
from prefcenter.models import ApiKey, Category, Person, SuppressionReason
from prefcenter.sms import alarms
from prefcenter.upkeep import erasure
from tests.caller import Caller, program
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import say
from tests.watching import listening
from tests.web_shop import DAVE, on_sqlite, refused, tells_a_number


@pytest.fixture
def desk(town: Town) -> Caller:
    return program(town, "read", name="desk")


def stop_by_hand(town: Town, number: str) -> None:
    with writing():
        person = people.by_number(number)
        assert person is not None
        wish = Wish(Channel.PHONE, clock.now(), "She rang: not to 202 555 0143.", "Dana Doe")
        by_hand.revoke(person, wish, now=clock.now())
        db.session.commit()


def test_alice_is_subscribed_and_the_history_says_how(town: Town, desk: Caller, now: Clock) -> None:
    town.alice(ALICE, ("events", "offers"))
    found = desk.look_up("(202) 555-0143")
    history = found.pop("history")
    assert found == {
        "status": "subscribed",
        "person": town.person(ALICE).public_id,
        "opt_in_level": "confirmed_opt_in",
        "categories": ["offers", "events"],
        "requested": [],
        "frequency": "all",
        "paused_until": None,
        "language": "en",
        "zone": None,
        "country": "US",
        "deliverability": "ok",
        "suppressed": False,
        "confirmed_at": "2026-11-24T15:00:00.000Z",
        "opted_out_at": None,
        "opt_out_source": None,
        "next": None,
        "as_of": "2026-11-24T15:00:00.000Z",
        "degraded": False,
    }
    confirmed, requested = history
    assert (confirmed["kind"], confirmed["action"], confirmed["source"]) == (
        "confirmed",
        "opt-in",
        "preference_page",
    )
    assert (requested["kind"], requested["source"]) == ("requested", "form")
    assert confirmed["refers_to"] == requested["id"]
    assert len(confirmed["wording_sha256"]) == len(requested["wording_sha256"]) == 64
    assert confirmed["changes"]["added"] == ["events", "offers"]
    db.session.rollback()
    assert db.session.scalars(sa.select(ApiKey.last_used_at)).one() == now.now()


def test_bob_waits_for_his_own_yes(town: Town, desk: Caller) -> None:
    town.bob()
    found = desk.look_up(BOB)
    assert (found["status"], found["requested"], found["categories"]) == ("pending", ["offers"], [])
    assert found["opt_in_level"] == "unknown" and found["confirmed_at"] is None


def test_carol_has_stopped_and_takes_nothing(town: Town, desk: Caller) -> None:
    town.carol()
    found = desk.look_up(CAROL)
    assert (found["status"], found["suppressed"], found["categories"]) == ("unsubscribed", True, [])
    assert found["opted_out_at"] == "2026-11-24T15:00:00.000Z"
    assert found["opt_out_source"] == "preference_page"


@pytest.mark.parametrize("number", [DAVE, "+4915112345678", "202-555-0146"])
def test_dave_is_unknown_and_that_is_an_answer(town: Town, desk: Caller, number: str) -> None:
    found = desk.look_up(number)
    assert (found["status"], found["suppressed"], found["history"]) == ("unknown", False, [])
    assert {name for name, value in found.items() if value} == {"status", "as_of"}


def test_a_number_of_nobody_can_be_suppressed(town: Town, desk: Caller) -> None:
    with writing():
        suppression.add(DAVE, SuppressionReason.IMPORT, now=town.now())
        db.session.commit()
    found = desk.look_up(DAVE)
    assert (found["status"], found["suppressed"]) == ("unknown", True)


def test_of_the_erased_only_the_suppression_is_left(town: Town, desk: Caller) -> None:
    """RULE-41, SEC-48."""
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        erasure.erase(person, by="dana", reason="She asked.", now=town.now())
        db.session.commit()
    found = desk.look_up(ALICE)
    assert (found["status"], found["person"], found["suppressed"]) == ("unknown", None, True)


def test_a_new_owner_does_not_see_the_former_ones_history(town: Town, desk: Caller) -> None:
    """RULE-51."""
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        by_hand.new_owner(person, "dana", "The new owner rang.", now=town.now())
        db.session.commit()
    assert desk.look_up(ALICE)["status"] == "unknown"


def test_pause_cap_and_a_retired_category(town: Town, desk: Caller) -> None:
    """What she cannot be texted about any more is not among what she takes."""
    link = town.alice(ALICE, ("events", "offers"))
    town.browser.post(f"{link}/pause", data={"pause": "1w"})
    with writing():
        retired = sa.update(Category).where(Category.slug == "events")
        db.session.execute(retired.values(retired_at=town.now()))
        db.session.execute(sa.update(Person).values(zone="America/New_York"))
        db.session.commit()
    found = desk.look_up(ALICE)
    assert (found["categories"], found["zone"]) == (["offers"], "America/New_York")
    assert found["paused_until"].startswith("2026-12-0")


# --- the history, page by page


def test_the_history_comes_in_pages_newest_first(town: Town, desk: Caller, now: Clock) -> None:
    town.alice()
    for word in ("STOP", "START") * 3:
        now.forward(hours=1)
        say(town, word)
    whole = desk.look_up(ALICE, limit=100)
    assert whole["next"] is None
    kinds = [one["kind"] for one in whole["history"]]
    assert kinds == [*["restarted", "revoked"] * 3, "confirmed", "requested"]
    found, before = [], None
    for size in (3, 3, 2):
        page = desk.look_up(ALICE, limit=3, **({"before": before} if before else {}))
        assert len(page["history"]) == size
        found += page["history"]
        before = page["next"]
    assert before is None
    assert found == whole["history"]


def test_what_happens_meanwhile_moves_no_page(town: Town, desk: Caller, now: Clock) -> None:
    town.alice()
    first = desk.look_up(ALICE, limit=1)
    say(town, "STOP")
    rest = desk.look_up(ALICE, before=first["next"])
    assert [one["kind"] for one in rest["history"]] == ["requested"]


def test_twenty_events_unless_more_are_asked_for(town: Town, desk: Caller, now: Clock) -> None:
    town.alice()
    for _ in range(11):
        now.forward(hours=1)
        say(town, "STOP")
        now.forward(hours=1)
        say(town, "START")
    found = desk.look_up(ALICE)
    assert len(found["history"]) == 20 and found["next"] == found["history"][-1]["id"]


@on_sqlite
def test_a_place_in_somebody_elses_history_is_none(town: Town, desk: Caller) -> None:
    town.alice()
    town.bob()
    bobs = desk.look_up(BOB)["history"][0]["id"]
    for number in (ALICE, DAVE):
        body = {"number": number, "before": bobs}
        refused(desk.post("/people/lookup", body), 422, "#/before")


# --- what is not told, and to whom


def test_nothing_of_the_evidence_and_nobody_of_the_staff(town: Town, desk: Caller) -> None:
    """RULE-64: addresses, browsers and what people wrote stay where the proof is."""
    town.alice()
    stop_by_hand(town, ALICE)
    say(town, "please START 202 555 0143, my name is Alice")
    text = desk.post("/people/lookup", {"number": ALICE}).text
    for secret in ("Dana", "She rang", "127.0.0.1", "Werkzeug", "name is", "evidence"):
        assert secret not in text, secret


@pytest.mark.parametrize("scope", ["decide", "write", "export", "attest"])
@on_sqlite
def test_only_a_key_that_may_read(town: Town, scope: str) -> None:
    town.alice()
    refused(program(town, scope).post("/people/lookup", {"number": ALICE}), 403)


@pytest.mark.parametrize(
    ("pointer", "body"),
    [
        ("#/number", {}),
        ("#/number", {"number": None}),
        ("#/number", {"number": ""}),
        ("#/number", {"number": "alice"}),
        ("#/number", {"number": "2" * 201}),
        ("#/limit", {"number": ALICE, "limit": 0}),
        ("#/limit", {"number": ALICE, "limit": 101}),
        ("#/limit", {"number": ALICE, "limit": "5"}),
        ("#/limit", {"number": ALICE, "limit": 1.5}),
        ("#/limit", {"number": ALICE, "limit": True}),
        ("#/before", {"number": ALICE, "before": ""}),
        ("#/before", {"number": ALICE, "before": "a b"}),
        ("#/before", {"number": ALICE, "before": "x" * 23}),
        ("#/before", {"number": ALICE, "before": 7}),
        ("#/name", {"number": ALICE, "name": "Alice"}),
    ],
)
@on_sqlite
def test_what_cannot_be_used_is_422_and_says_where(
    town: Town, desk: Caller, pointer: str, body: dict[str, object]
) -> None:
    town.alice()
    found = refused(desk.post("/people/lookup", body), 422)
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_a_lookup_writes_nothing_but_that_the_key_was_used(
    town: Town, desk: Caller, now: Clock
) -> None:
    town.alice()
    desk.look_up(ALICE)
    before = rows()
    now.forward(seconds=30)
    desk.look_up(ALICE)
    desk.look_up(DAVE)
    assert rows() == before
    now.forward(seconds=31)
    desk.look_up(ALICE)
    after = rows()
    assert after.pop("api_key") != before.pop("api_key")
    assert after == before


@pytest.mark.settings(API_UNKNOWN_PER_HOUR="3")
@on_sqlite
def test_whoever_guesses_who_is_a_customer_is_slowed_down(town: Town, desk: Caller) -> None:
    """SEC-39: numbers that nobody signed up with are counted; people's are not."""
    town.alice()
    for _ in range(5):
        desk.look_up(ALICE)
    for last in (1, 2, 3):
        desk.look_up(f"+1202555018{last}")
    answer = desk.post("/people/lookup", {"number": ALICE})
    refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0


def test_no_number_is_logged(town: Town, desk: Caller) -> None:
    """SEC-7, INV-10."""
    town.alice()
    with listening() as heard:
        desk.look_up(ALICE)
        desk.look_up(DAVE)
        desk.post("/people/lookup", {"number": "202 555 01"})
        desk.post("/people/lookup", {"number": DAVE, DAVE: 1})
    assert not tells_a_number(heard.getvalue())


def test_it_says_when_stops_may_have_been_missed(town: Town, desk: Caller) -> None:
    """REL-14."""
    town.alice()
    with writing():
        alarms.start(alarms.MISSED_TEXTS, "from 1 to 2", now=town.now())
        db.session.commit()
    assert desk.look_up(ALICE)["degraded"] is True


@on_sqlite
def test_a_late_change_shows_at_once(town: Town, desk: Caller, now: Clock) -> None:
    town.alice()
    assert desk.look_up(ALICE)["status"] == "subscribed"
    now.forward(minutes=1)
    say(town, "STOP")
    found = desk.look_up(ALICE)
    assert (found["status"], found["opt_out_source"]) == ("unsubscribed", "sms")
    assert found["opted_out_at"] == f"{now.now():%Y-%m-%dT%H:%M:%S}.000Z"
