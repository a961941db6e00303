"""`POST /api/v1/decisions`: what a campaign tool is told, and that it holds against a STOP."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import config
from prefcenter.consent import deciding, granting
from prefcenter.consent.permission import Decision, Kind, Reason, Rules
from prefcenter.database import begin_write, db, writing
from prefcenter.driver import Query
from prefcenter.models import Category, ConsentEvent, EventKind, Person, Status
from prefcenter.models_sending import Reservation
from prefcenter.sms import unstored
from prefcenter.web import api_decisions
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.histories import Teller, everybody_is_somewhere, tell
from tests.phones import say
from tests.tools import OFFERS, Tool, noon

ERIN = "+12025550190"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tool(town: Town, now: Clock) -> Tool:
    return Tool(town)


def with_cap(town: Town, cap: str, number: str = ALICE) -> str:
    """Somebody who wants at most so many; gives their link."""
    link = town.alice(number)
    page = {"shown": ["offers"], "categories": ["offers"], "frequency": cap}
    assert town.browser.post(link, data=page).status_code == 303
    return link


# --- who may be texted


def test_alice_may_be_texted_and_her_yes_is_cited(town: Town, tool: Tool, now: Clock) -> None:
    """INV-6: the event is one of hers, with its moment, door and wording."""
    town.alice()
    noon(now)
    answer = tool.ask()
    assert (answer["decision"], answer["reason"]) == ("allow", "subscribed")
    cited = cited_event(answer)
    assert cited.person_id == town.person(ALICE).id
    assert cited.kind is EventKind.CONFIRMED
    said = answer["evidence"]
    assert said["source"] == cited.source and said["wording_sha256"] == cited.wording_sha256
    assert said["at"] == cited.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert answer["as_of"] == "2026-11-24T17:00:00.000Z" and answer["degraded"] is False


def cited_event(answer: dict[str, Any]) -> ConsentEvent:
    db.session.rollback()
    query = sa.select(ConsentEvent).where(ConsentEvent.public_id == answer["evidence"]["event"])
    return db.session.scalars(query).one()


def test_bob_carol_and_strangers_may_not(town: Town, tool: Tool, now: Clock) -> None:
    town.bob()
    town.carol()
    noon(now)
    asked = {number: tool.ask(number) for number in (BOB, CAROL, ERIN)}
    assert [(a["decision"], a["reason"]) for a in asked.values()] == [
        ("deny", "pending"),
        ("deny", "unsubscribed"),
        ("deny", "unknown_number"),
    ]
    assert not any("evidence" in answer for answer in asked.values())
    assert tool.ask(category="nonsense")["reason"] == "unknown_category"
    assert tool.ask(category='%"')["reason"] == "unknown_category"


def test_each_category_has_a_grant_of_its_own(town: Town, tool: Tool, now: Clock) -> None:
    """What was added later rests on that, and after a STOP everything on the coming back."""
    link = town.alice(categories=("offers",))
    noon(now)
    first = cited_event(tool.ask())
    page = {"shown": ["offers", "events"], "categories": ["offers", "events"]}
    town.browser.post(link, data=page)
    added = cited_event(tool.ask(category="events"))
    assert (added.kind, added.refers_to) == (EventKind.CHANGED, None)
    assert cited_event(tool.ask()).id == first.id, "offers still rests on the first yes"
    town.browser.post(f"{link}/stop")
    assert tool.says() == tool.says(category="events") == ("deny", "unsubscribed")
    now.forward(minutes=10)
    say(town, "START")
    back = {cited_event(tool.ask(category=slug)).id for slug in ("offers", "events")}
    assert len(back) == 1 and back.isdisjoint({first.id, added.id})


def test_a_stop_counts_from_when_it_is_stored(
    town: Town, tool: Tool, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-1, SEC-40: also before it was worked, and for every way to ask."""
    town.alice()
    noon(now)
    assert tool.says() == ("allow", "subscribed")
    monkeypatch.setattr("prefcenter.web.webhooks._work", lambda row: None)
    say(town, "STOP")
    assert tool.says() == ("deny", "stop_waiting")
    assert tool.says(reserve=True) == ("deny", "stop_waiting")
    assert tool.ask_many([ALICE, ERIN])[0]["reason"] == "stop_waiting"


# --- many at once


def test_many_numbers_come_back_in_their_order(town: Town, tool: Tool, now: Clock) -> None:
    town.alice()
    town.carol()
    noon(now)
    numbers = [CAROL, ALICE, ERIN, ALICE]
    answers = tool.ask_many(numbers)
    assert [one["decision"] for one in answers] == ["deny", "allow", "deny", "allow"]
    assert answers == [tool.ask(number) for number in numbers]


@pytest.mark.parametrize("seed", [6, 66])
def test_many_are_told_what_each_alone_is_told(
    app: Flask, town: Town, now: Clock, seed: int
) -> None:
    """Any history: both ways to ask agree, the short cut to the grant agrees with the whole
    ledger, and only subscribers are ever allowed."""
    people: list[int] = []
    teller = Teller(seed, now.moment - timedelta(days=90))
    tell(teller, people, 500)
    assert len(everybody_is_somewhere()) == len(Status)
    now.moment = max(now.moment, teller.now)
    noon(now)
    rules, when = Rules(app.extensions["prefcenter.quiet_hours"]), now.moment
    with writing():
        query = sa.select(Person.number).where(Person.number.is_not(None))
        numbers = [str(one) for one in db.session.scalars(query)]
    cited = 0
    for slug in ("offers", "events", "new-books"):
        many = deciding.many(numbers, slug, Kind.MARKETING, rules, at=when, now=when)
        for number, answer in zip(numbers, many, strict=True):
            alone = deciding.one(number, slug, Kind.MARKETING, rules, at=when, now=when)
            assert answer == alone, number
            if answer.verdict.decision is Decision.DENY:
                continue
            person = town.person(number)
            assert person.status is Status.SUBSCRIBED
            assert answer.grant == granting.of_ledgers([person.id], slug)[person.id]
            cited += 1
    assert cited > 1, "this shows nothing"


def test_ten_thousand_numbers_cost_a_handful_of_statements(
    town: Town, tool: Tool, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for each table, however many numbers."""
    town.alice()
    with_cap(town, "2/week", BOB)
    noon(now)
    numbers = [f"+1202{turn:07}" for turn in range(2_000_000, 2_009_998)] + [ALICE, BOB]
    counted: list[str] = []
    rows_of = Query.rows

    def count(query: Any, *args: Any, **more: Any) -> Any:
        counted.append(query)
        return rows_of(query, *args, **more)

    monkeypatch.setattr(Query, "rows", count)
    answers = tool.ask_many(numbers)
    assert [one["decision"] for one in answers[-2:]] == ["allow", "allow"]
    assert {one["reason"] for one in answers[:-2]} == {"unknown_number"}
    assert len(counted) <= 7


# --- when


def test_at_night_the_answer_says_until_when_to_wait(town: Town, tool: Tool, now: Clock) -> None:
    town.alice()
    noon(now)
    night = now.moment + timedelta(hours=16)
    answer = tool.ask(at=night.isoformat())
    assert (answer["decision"], answer["reason"]) == ("delay", "quiet_hours")
    assert answer["evidence"], "who asks again is told what it will rest on"
    assert tool.says(at=answer["not_before"]) == ("allow", "subscribed")
    assert tool.ask_many([ALICE], at=night.isoformat()) == [answer]


@pytest.mark.parametrize(
    ("ahead", "status"),
    [(timedelta(minutes=-5), 200), (timedelta(minutes=-5, seconds=-1), 422),
     (timedelta(days=366), 200), (timedelta(days=366, seconds=1), 422)],
)  # fmt: skip
def test_only_what_is_to_come_can_be_asked_about(
    town: Town, tool: Tool, now: Clock, ahead: timedelta, status: int
) -> None:
    """What was allowed yesterday cannot be found out by what is so today."""
    town.alice()
    noon(now)
    at = (now.moment + ahead).isoformat()
    answer = tool.post("decisions", {"number": ALICE, "at": at} | OFFERS)
    assert answer.status_code == status
    if status == 422:
        assert answer.get_json()["errors"][0]["pointer"] == "#/at"


@on_sqlite
def test_a_moment_ago_is_now_by_another_clock(town: Town, tool: Tool, now: Clock) -> None:
    """Her window opens at eight: a minute before that nobody may be texted by asking late."""
    town.alice()
    noon(now)
    now.forward(hours=20, minutes=1)  # 8:01
    assert tool.says(at=(now.moment - timedelta(minutes=3)).isoformat())[0] == "allow"
    now.forward(minutes=-3)
    assert tool.says(at=(now.moment - timedelta(minutes=3)).isoformat())[0] == "delay"


# --- reservations


def test_a_reserved_text_counts_until_it_is_released(town: Town, tool: Tool, now: Clock) -> None:
    with_cap(town, "1/week")
    noon(now)
    first = tool.ask(reserve=True)
    assert first["decision"] == "allow"
    assert first["reservation"]["expires_at"] == "2026-11-24T18:00:00.000Z"
    second = tool.ask(reserve=True)
    assert (second["decision"], second["reason"]) == ("delay", "frequency")
    assert "reservation" not in second
    assert tool.ask_many([ALICE])[0] == tool.ask()
    assert tool.post(f"reservations/{first['reservation']['id']}/release").status_code == 200
    third = tool.ask(reserve=True)
    assert third["decision"] == "allow"
    path = f"reservations/{third['reservation']['id']}"
    for _ in range(2):
        assert tool.post(f"{path}/sent").json == {"status": "sent"}
    assert tool.post(f"{path}/release").status_code == 409
    now.forward(hours=2)  # one that nobody confirms would be over by now
    assert tool.says() == ("delay", "frequency")
    assert tool.ask()["not_before"] == "2026-12-01T17:00:00.000Z", "a week after it was sent"


def test_a_reservation_belongs_to_its_key(town: Town, tool: Tool, now: Clock) -> None:
    town.alice()
    noon(now)
    ref = tool.ask(reserve=True)["reservation"]["id"]
    other = Tool(town, name="other")
    for found in (ref, "b0Yt3dKcV5eHnJm7QwRs2A", "x" * 300, "%00"):
        assert other.post(f"reservations/{found}/sent").status_code == 404
    assert tool.post(f"reservations/{ref}/release").json == {"status": "released"}
    assert tool.post(f"reservations/{ref}/sent").status_code == 409


def test_what_nobody_confirms_is_free_again_after_an_hour(
    town: Town, tool: Tool, now: Clock
) -> None:
    with_cap(town, "1/week")
    noon(now)
    ref = tool.ask(reserve=True)["reservation"]["id"]
    assert tool.says() == ("delay", "frequency")
    now.forward(minutes=60)
    assert tool.says() == ("allow", "subscribed")
    assert tool.post(f"reservations/{ref}/sent").status_code == 200, "it left after all"
    assert tool.says() == ("delay", "frequency")


def test_a_repeated_reservation_counts_once(town: Town, tool: Tool, now: Clock) -> None:
    """Idempotency-Key: the answer got lost on the way, and the tool asks again."""
    with_cap(town, "2/week")
    noon(now)
    body = {"number": ALICE, "reserve": True} | OFFERS
    first, again = (tool.post("decisions", body, **{"Idempotency-Key": "text-1"}) for _ in "12")
    assert first.json == again.json and again.headers["Idempotent-Replayed"] == "true"
    assert tool.says() == ("allow", "subscribed"), "one of two is left"
    assert tool.post("decisions", body, **{"Idempotency-Key": "text-2"}).get_json()["reservation"]
    assert tool.says() == ("delay", "frequency")


def test_a_repeated_reservation_is_no_way_round_a_stop(town: Town, tool: Tool, now: Clock) -> None:
    """INV-1, SEC-40: what was allowed before Alice's STOP is not allowed again after it."""
    with_cap(town, "1/week")
    noon(now)
    body, key = {"number": ALICE, "reserve": True} | OFFERS, {"Idempotency-Key": "text-1"}
    first = tool.post("decisions", body, **key).get_json()
    for _ in range(2):
        again = tool.post("decisions", body, **key)
        assert again.get_json() == first, "its own text is not in its way"
        tool.post(f"reservations/{first['reservation']['id']}/sent")
    now.forward(minutes=5)
    say(town, "STOP")
    before = rows()
    again = tool.post("decisions", body, **key)
    said = again.get_json()
    assert (said["decision"], said["reason"]) == ("deny", "unsubscribed")
    assert "Idempotent-Replayed" not in again.headers
    assert rows() == before


def test_only_an_allow_is_kept_and_only_while_it_counts(town: Town, tool: Tool, now: Clock) -> None:
    with_cap(town, "1/week")
    noon(now)

    def ask(key: str) -> dict[str, Any]:
        body = {"number": ALICE, "reserve": True} | OFFERS
        answer = tool.post("decisions", body, **{"Idempotency-Key": key})
        found: dict[str, Any] = answer.get_json()
        return found

    first = ask("text-1")
    assert ask("text-2")["reason"] == "frequency"
    now.forward(minutes=60)
    second = ask("text-2")
    assert second["decision"] == "allow", "the first one expired"
    assert ask("text-1")["reason"] == "frequency", "and does not come back beside the second"
    tool.post(f"reservations/{second['reservation']['id']}/release")
    third = ask("text-1")
    assert third["decision"] == "allow"
    assert third["reservation"]["id"] != first["reservation"]["id"]


def test_who_waited_with_a_stop_that_gave_up_is_not_allowed(
    town: Town, tool: Tool, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REL-16: both wait for the one writer; the STOP gives up first, and then the lock is free."""
    town.alice()
    noon(now)

    def waited() -> None:
        unstored.current().note(None, now=now.now())
        begin_write()

    with monkeypatch.context() as patch:
        patch.setattr(api_decisions, "begin_write", waited)
        assert tool.says(reserve=True) == ("deny", "stop_unrecorded")


def test_a_delay_is_over_at_its_not_before(town: Town, tool: Tool, now: Clock) -> None:
    """A moment has microseconds, and the answer milliseconds."""
    with_cap(town, "1/week")
    noon(now)
    now.forward(seconds=0.123456)
    tool.post(f"reservations/{tool.ask(reserve=True)['reservation']['id']}/sent")
    at = tool.ask()["not_before"]
    assert at == "2026-12-01T17:00:00.124Z"
    assert tool.says(at=at) == ("allow", "subscribed")


def test_asking_writes_nothing(town: Town, tool: Tool, now: Clock) -> None:
    town.alice()
    noon(now)
    before = rows()
    tool.ask()
    tool.ask_many([ALICE, ERIN])
    assert rows() == before


def test_two_tools_never_both_get_the_last_slot(
    app: Flask, town: Town, now: Clock, tool: Tool
) -> None:
    """RULE-37 at once: Shows 4 has it a thousand times over two processes."""
    with_cap(town, "2/week")
    noon(now)
    body = json.dumps({"number": ALICE, "reserve": True} | OFFERS)
    start, told = threading.Barrier(6), []

    def ask() -> None:
        with app.app_context():
            start.wait(20)
            answer = app.test_client().post(
                "/api/v1/decisions", data=body, content_type="application/json",
                headers={"Authorization": f"Bearer {tool.key}"}, base_url="http://prefs.test",
            )  # fmt: skip
            told.append(answer.get_json()["decision"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(told) == ["allow"] * 2 + ["delay"] * 4
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count(Reservation.id))) == 2


@pytest.mark.settings(BRAND_CAP="1/week")
def test_transactional_texts_need_a_flagged_category(town: Town, tool: Tool, now: Clock) -> None:
    """RULE-37: only those go past the caps, and quiet hours are for marketing (RULE-32)."""
    town.alice()
    noon(now)
    assert tool.says(kind="transactional") == ("deny", "not_transactional")
    assert tool.says(reserve=True) == ("allow", "subscribed")
    with writing():
        offers = sa.update(Category).where(Category.slug == "offers")
        db.session.execute(offers.values(transactional=True))
        db.session.commit()
    assert tool.says() == ("delay", "brand_cap")
    night = (now.moment + timedelta(hours=14)).isoformat()
    assert tool.says(kind="transactional", at=night) == ("allow", "subscribed")
    say(town, "STOP")
    assert tool.says(kind="transactional") == ("deny", "unsubscribed")


# --- what is asked wrongly


@on_sqlite
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"number": "2025550143"}, "#/number"),
        ({"number": "+1202555014x"}, "#/number"),
        ({"number": "+12025550143\n"}, "#/number"),
        ({"number": 12025550143}, "#/number"),
        ({"numbers": [ALICE, "x"]}, "#/numbers/1"),
        ({"numbers": []}, "#/numbers"),
        ({"numbers": [ALICE] * 10_001}, "#/numbers"),
        ({"number": ALICE, "numbers": [ALICE]}, "#"),
        ({}, "#"),
        ({"number": ALICE, "kind": "spam"}, "#/kind"),
        ({"number": ALICE, "at": "2026-11-23T12:00"}, "#/at"),
        ({"number": ALICE, "at": "soon"}, "#/at"),
        ({"number": ALICE, "at": "9999-12-31T23:59:59-12:00"}, "#/at"),
        ({"number": ALICE, "reserve": True, "kind": "transactional"}, "#"),
        ({"number": ALICE, "reserve": True, "at": "2026-11-24T18:00:00Z"}, "#"),
        ({"numbers": [ALICE], "reserve": True}, "#"),
        ({"number": ALICE, "reserve": "yes"}, "#/reserve"),
        ({"number": ALICE, "extra": 1}, "#/extra"),
    ],
)
def test_a_wrong_question_is_told_where(tool: Tool, body: dict[str, Any], pointer: str) -> None:
    answer = tool.post("decisions", OFFERS | body)
    assert answer.status_code in (400, 422)
    assert answer.get_json()["errors"][0]["pointer"] == pointer
    assert "0143" not in answer.text and "014x" not in answer.text


@on_sqlite
def test_another_scope_may_not_ask(town: Town) -> None:
    assert Tool(town, ("write", "read"), "writer").post("decisions").status_code == 403


@on_sqlite
def test_a_body_of_two_megabytes_is_refused(tool: Tool) -> None:
    answer = tool.post("decisions", {"number": "1" * 2_000_000})
    assert (answer.status_code, answer.get_json()["detail"]) == (413, "Send at most 512 KiB.")


@pytest.mark.parametrize("wrong", ["Mars/Base", "+05:00"])
@on_sqlite
def test_a_zone_that_is_none_counts_as_not_said(
    town: Town, tool: Tool, now: Clock, wrong: str
) -> None:
    """RULE-38: no error, and no wider window by it."""
    town.alice()
    noon(now)
    with writing():
        db.session.execute(sa.update(Person).values(zone=wrong))
        db.session.commit()
    assert tool.says() == ("allow", "subscribed")


@on_sqlite
def test_a_row_that_the_ledger_does_not_bear_out_is_denied(
    town: Town, tool: Tool, now: Clock
) -> None:
    """INV-6: whoever turns texts on in the table alone has no event to cite."""
    town.carol()
    noon(now)
    with writing():
        db.session.execute(sa.update(Person).values(status=Status.SUBSCRIBED))
        db.session.execute(sa.text("DELETE FROM suppression"))
        db.session.commit()
    assert tool.says(CAROL) == ("deny", Reason.NO_EVIDENCE.value)
    assert tool.ask_many([CAROL])[0]["reason"] == "no_evidence"
    assert config.current().brand_cap == "all"
