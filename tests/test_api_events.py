"""`GET /api/v1/events`: a CRM follows the ledger and misses nothing, whoever writes meanwhile."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import by_hand, ledger, people
from prefcenter.consent.ledger import Proof
from prefcenter.database import WRITE, db, read, writing
from prefcenter.models import ConsentEvent, EventKind, Source
from prefcenter.upkeep import event_feed, settled
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.program import Program
from tests.test_erasure import erase
from tests.web_shop import refused

EVENTS = "/api/v1/events"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
WRITERS, EACH = 6, 25


@pytest.fixture
def crm(town: Town) -> Program:
    return Program(town, "read")


def page(crm: Program, after: str = "", limit: int = 0) -> dict[str, Any]:
    query = [f"after={after}"] * bool(after) + [f"limit={limit}"] * bool(limit)
    answer = crm.get(f"{EVENTS}?{'&'.join(query)}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.get_json()
    return found


def followed(crm: Program, limit: int) -> list[dict[str, Any]]:
    """The whole feed, page by page."""
    found, after, more = [], "", True
    while more:
        one = page(crm, after, limit)
        found += one["events"]
        after, more = one["next"], one["more"]
    return found


def in_the_ledger() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(ConsentEvent.public_id).order_by(ConsentEvent.id)))


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 100])
def test_every_event_comes_once_and_in_order(town: Town, crm: Program, limit: int) -> None:
    town.alice()
    town.carol()
    town.bob()
    events = followed(crm, limit)
    assert [one["id"] for one in events] == in_the_ledger()
    assert len(events) == 6


def test_a_crm_has_all_it_needs(town: Town, crm: Program, now: Clock) -> None:
    town.carol()
    requested, confirmed, revoked = followed(crm, 10)
    assert [requested["kind"], confirmed["kind"], revoked["kind"]] == [
        "requested",
        "confirmed",
        "revoked",
    ]
    assert [confirmed["action"], revoked["action"]] == ["opt-in", "opt-out"]
    assert {one["number"] for one in (requested, confirmed, revoked)} == {CAROL}
    assert {one["person"] for one in (requested, revoked)} == {town.person(CAROL).public_id}
    assert confirmed["changes"]["added"] == ["offers"]
    assert confirmed["refers_to"] == requested["id"]
    assert requested["wording_sha256"] and requested["source"] == "form"
    assert requested["at"] == "2026-11-24T15:00:00.000000Z"


def test_anybody_can_check_the_chain_with_it(town: Town, crm: Program) -> None:
    town.carol()
    before = ledger.FIRST
    for one in followed(crm, 10):
        said = {name: value for name, value in one.items() if name not in ("number", "hash")}
        said |= {
            "format": 1,
            "at": one["at"].replace("Z", "+00:00").replace(".000000", ""),
            "changes": ledger.canonical(one["changes"]),
        }
        assert hashlib.sha256(ledger.canonical(said).encode()).hexdigest() == one["hash"]
        assert one["prev_hash"] == before
        before = one["hash"]


def test_who_of_the_staff_it_was_stays_here(town: Town, crm: Program, now: Clock) -> None:
    """SEC-41: people sign in by these names. The chain goes on all the same."""
    town.alice()
    wish = by_hand.Wish(by_hand.Channel.PHONE, now.now(), "No more, please.", "dana")
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        by_hand.revoke(person, wish, now=now.now())
        db.session.commit()
    *_, confirmed, revoked = followed(crm, 10)
    assert (revoked["source"], revoked["source_detail"]) == ("admin", "")
    assert revoked["prev_hash"] == confirmed["hash"]
    assert "dana" not in str(revoked)


def test_there_is_always_a_place_to_go_on_from(town: Town, crm: Program) -> None:
    empty = page(crm)
    assert empty == {"events": [], "next": "start", "more": False}
    town.alice()
    first = page(crm, empty["next"], 1)
    assert (len(first["events"]), first["more"]) == (1, True)
    last = page(crm, first["next"])
    assert last["next"] == last["events"][-1]["id"]
    nothing = page(crm, last["next"])
    assert nothing == {"events": [], "next": last["next"], "more": False}
    town.bob()
    assert [one["number"] for one in page(crm, nothing["next"])["events"]] == [BOB]


def test_who_was_erased_has_no_number(town: Town, crm: Program, now: Clock) -> None:
    town.alice()
    now.forward(hours=1)
    assert erase(town)
    events = followed(crm, 10)
    assert [one["kind"] for one in events] == ["requested", "confirmed", "erased"]
    assert {one["number"] for one in events} == {None}
    assert ALICE[1:] not in str(events)


def test_reading_changes_nothing(town: Town, crm: Program) -> None:
    """INV-8."""
    town.alice()
    before = rows()
    page(crm)
    assert crm.get(EVENTS, method="HEAD").status_code == 200
    assert rows() == before


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=", "#/after"),
        ("after=12", "#/after"),
        (f"after={'a' * 22}", "#/after"),
        (f"after={'a' * 23}", "#/after"),
        ("after=%00", "#/after"),
        ("after=start&after=start", "#/after"),
        ("limit=0", "#/limit"),
        ("limit=1001", "#/limit"),
        ("limit=1.0", "#/limit"),
        ("limit=1_0", "#/limit"),
        ("limit=%2B1", "#/limit"),
        ("limit=%D9%A3", "#/limit"),
        ("limit=", "#/limit"),
        ("limit=99999999999999999999", "#/limit"),
        ("number=%2B12025550143", "#/number"),
        ("%2B12025550143=1", "#"),
    ],
)
@on_sqlite
def test_a_place_that_was_never_given_is_refused(
    town: Town, crm: Program, query: str, pointer: str
) -> None:
    """A database that was put back to an older state knows it no more: better than a gap."""
    town.alice()
    refused(crm.get(f"{EVENTS}?{query}"), 422, pointer)


@on_sqlite
def test_a_key_needs_the_scope_read(town: Town) -> None:
    refused(Program(town, "export", "decide", name="other").get(EVENTS), 403)


# --- PostgreSQL gives ids in one order and shows events in another


@contextmanager
def unfinished(town: Town, number: str = BOB) -> Iterator[sa.Connection]:
    """Somebody's event that has its id and is not committed; the connection to end it with."""
    engine = db.engine.execution_options(**{WRITE: True})
    person = town.person(number)
    columns = [column for column in ConsentEvent.__table__.c if column.name != "id"]
    last = sa.select(*columns).where(ConsentEvent.person_id == person.id)
    row = db.session.execute(last.order_by(ConsentEvent.seq.desc()).limit(1)).one()._mapping
    db.session.rollback()
    late = dict(row) | {"public_id": "l" * 22, "seq": row["seq"] + 1}
    with engine.connect() as connection:
        connection.execute(sa.insert(ConsentEvent).values(late))
        yield connection
        connection.rollback()


def note(number: str, now: Clock) -> None:
    with writing():
        person = people.by_number(number)
        assert person is not None
        ledger.record(person, EventKind.NOTED, Proof(Source.SMS), now=now.now())
        db.session.commit()


@pytest.fixture
def place(town: Town, crm: Program, monkeypatch: pytest.MonkeyPatch) -> str:
    """The end of a feed of two people; who writes for long is not waited for."""
    monkeypatch.setattr(settled, "_WAIT_SECONDS", 0.05)
    town.alice()
    town.bob()
    end: str = page(crm)["next"]
    return end


@on_postgresql
def test_nothing_is_shown_above_an_event_that_is_still_to_come(
    town: Town, crm: Program, now: Clock, place: str
) -> None:
    with unfinished(town) as slow:
        note(ALICE, now)
        early = page(crm, place)
        assert early == {"events": [], "next": place, "more": True}
        slow.commit()
    events = page(crm, place)["events"]
    assert [(one["id"] == "l" * 22, one["number"]) for one in events] == [
        (True, BOB),
        (False, ALICE),
    ]


@on_postgresql
def test_an_id_that_nobody_used_is_passed_over(
    town: Town, crm: Program, now: Clock, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unfinished(town) as slow:
        note(ALICE, now)
        slow.rollback()
    after = page(crm, place)
    assert ([one["number"] for one in after["events"]], after["more"]) == ([ALICE], False)
    note(ALICE, now)
    monkeypatch.setattr(settled, "tops", not_asked)
    assert len(page(crm, after["next"])["events"]) == 1, "no gap, so nobody need be asked"
    assert len(page(crm, place)["events"]) == 2, "the gap is known to be none"


def not_asked() -> None:
    raise AssertionError("the locks were looked at")


@on_postgresql
def test_what_is_below_a_gap_comes_at_once(
    town: Town, crm: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer who takes long keeps nobody waiting for what was there before."""
    monkeypatch.setattr(settled, "_WAIT_SECONDS", 0.05)
    town.alice()
    town.bob()
    place = page(crm)["next"]
    note(ALICE, now)
    with unfinished(town):
        note(ALICE, now)
        early = page(crm, place)
        assert (len(early["events"]), early["more"]) == (1, True)


@on_postgresql
def test_a_mark_from_after_the_reading_counts_for_nothing(
    town: Town, crm: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may learn that all is settled while this one holds older rows."""
    town.alice()
    town.bob()
    place = page(crm)["next"]
    with unfinished(town) as slow:
        note(ALICE, now)

        def settled_meanwhile(statement: sa.Select[Any], values: dict[str, Any]) -> Any:
            found = read(statement, values)
            if "behind" in values and slow.in_transaction():
                slow.commit()
                assert event_feed._look()
            return found

        monkeypatch.setattr(event_feed, "read", settled_meanwhile)
        monkeypatch.setattr(settled, "_WAIT_SECONDS", 0.05)
        first = page(crm, place)
    seen = [one["id"] for one in first["events"] + page(crm, first["next"])["events"]]
    assert seen == in_the_ledger()[-2:]


def test_many_writers_and_a_reader(app: Flask, town: Town, crm: Program, now: Clock) -> None:
    """No event is lost and none comes twice, while six people at once do something."""
    numbers = [f"+120255502{n:02}" for n in range(WRITERS)]
    for number in numbers:
        town.alice(number)
    going = threading.Barrier(WRITERS + 1)

    def write(number: str) -> None:
        with app.app_context():
            going.wait()
            for _ in range(EACH):
                note(number, now)
            db.session.remove()

    threads = [threading.Thread(target=write, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    going.wait()
    found: list[str] = []
    after, more = "", True
    while more or any(thread.is_alive() for thread in threads):
        one = page(crm, after, 7)
        found += [event["id"] for event in one["events"]]
        after, more = one["next"], one["more"]
    for thread in threads:
        thread.join()
    found += [event["id"] for event in page(crm, after, 1000)["events"]]
    assert len(found) == WRITERS * (EACH + 2)
    assert found == in_the_ledger()
