"""The history: every filter and every page against a plain reading of the ledger."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from prefcenter.consent import by_hand, ledger, people
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.consent.ledger import Proof
from prefcenter.database import db, insert_row, is_postgresql, read, writing
from prefcenter.models import Action, ConsentEvent, EventKind, Evidence, Person, Source
from prefcenter.models_exports import EventFact, EventNote
from prefcenter.upkeep import history, history_aids
from prefcenter.upkeep.history import Filters, Place
from tests.cast import ALICE, CAROL, Town
from tests.conftest import Clock

START = datetime(2026, 3, 1, tzinfo=UTC)
SITES = ("shop", "checkout", "prefs.test")
KINDS = ("offers", "new-books", "retired")
STAFF = ("Dana", "Eve")
NOTES = ("Phoned at noon", "a LETTER came", "50% off_ed", "ñandú, Straße")


def raw(
    person: Person,
    kind: EventKind,
    source: Source,
    *,
    at: datetime,
    detail: str = "",
    action: Action | None = None,
    changes: dict[str, Any] | None = None,
    note: str = "",
) -> None:
    """One event past the rules: what is tried here is reading. Never commits."""
    proof = Proof(source=source, detail=detail, answer={"note": note} if note else {})
    held = people.by_id(person.id)
    event = ledger.Draft(
        public_id=f"{held.id:05}-{held.ledger_seq + 1:016}",
        person_id=held.id,
        seq=held.ledger_seq + 1,
        at=at,
        kind=kind,
        action=action,
        source=source,
        source_detail=detail,
        language="en",
        wording_sha256=None,
        refers_to=None,
        changes=ledger.canonical(changes or {}),
        prev_hash=held.ledger_head,
        evidence_hash="0" * 64,
        hash="0" * 64,
    )
    event_id = insert_row(sa.insert(ConsentEvent), vars(event))
    body = ledger.canonical(proof.evidence(held.number))
    db.session.execute(sa.insert(Evidence).values(event_id=event_id, salt="0", body=body))
    if note:
        values = {"event_id": event_id, "at": at, "note": ledger.searchable(note)}
        db.session.execute(sa.insert(EventNote).values(values))
    held.ledger_seq += 1
    ledger.save(held)


def everything() -> list[dict[str, Any]]:
    """The ledger as it is, newest first, read row by row."""
    query = sa.select(
        *(ConsentEvent.id, ConsentEvent.at, ConsentEvent.kind, ConsentEvent.action),
        *(ConsentEvent.source, ConsentEvent.source_detail, ConsentEvent.changes),
        *(Person.public_id.label("person"), Person.country, Evidence.body),
    ).join(Person, Person.id == ConsentEvent.person_id)
    query = query.outerjoin(Evidence, Evidence.event_id == ConsentEvent.id)
    rows = [dict(row._mapping) for row in read(query, {})]
    return sorted(rows, key=lambda row: (row["at"], row["id"]), reverse=True)


def passes(row: dict[str, Any], wanted: Filters) -> bool:
    """Whether a filter lets an event through, said plainly."""
    changes = json.loads(row["changes"])
    named = [slug for key in ("added", "dropped", "requested") for slug in changes.get(key, ())]
    note = json.loads(row["body"])["answer"].get("note", "") if row["body"] else ""
    of_site = row["source"] in (Source.WIDGET, Source.FORM, Source.API, Source.PREFERENCE_PAGE)
    detail = row["source_detail"]
    return all(
        (
            wanted.since is None or row["at"] >= wanted.since,
            wanted.until is None or row["at"] < wanted.until,
            wanted.kind in (None, row["kind"]),
            wanted.action in (None, row["action"]),
            wanted.source in (None, row["source"]),
            not wanted.site or (of_site and detail == wanted.site),
            not wanted.by or (row["source"] is Source.ADMIN and detail == wanted.by),
            not wanted.category or wanted.category in named,
            wanted.country in ("", row["country"]),
            wanted.person in ("", row["person"]),
            not wanted.note or wanted.note.casefold() in note.casefold(),
        )
    )


def paged(wanted: Filters, *, size: int) -> Iterator[int]:
    """The ids that somebody sees who presses "Older changes" to the end."""
    before: Place | None = None
    while True:
        page = history.page(wanted, before=before, size=size)
        yield from (row.id for row in page.events)
        before = page.older
        if before is None:
            return


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),  # whose
        st.sampled_from(list(EventKind)),
        st.sampled_from(list(Source)),
        st.sampled_from([None, *Action]),
        st.integers(0, 6),  # hours after the start: many at one moment, and not in order
        st.sampled_from([*SITES, *STAFF]),
        st.lists(st.sampled_from(KINDS), max_size=2, unique=True),
        st.sampled_from(["added", "dropped", "requested"]),
        st.sampled_from(["", *NOTES]),
    ),
    max_size=25,
)
MOMENTS = st.one_of(st.none(), st.integers(0, 7).map(lambda hours: START + timedelta(hours=hours)))
ONE = st.one_of(
    MOMENTS.map(lambda at: {"since": at}),
    MOMENTS.map(lambda at: {"until": at}),
    st.sampled_from(EventKind).map(lambda kind: {"kind": kind}),
    st.sampled_from(Action).map(lambda action: {"action": action}),
    st.sampled_from(Source).map(lambda source: {"source": source}),
    st.sampled_from((*SITES, "Dana")).map(lambda site: {"site": site}),
    st.sampled_from((*KINDS, "nowhere")).map(lambda slug: {"category": slug}),
    st.sampled_from(("US", "GB", "ES")).map(lambda country: {"country": country}),
    st.sampled_from((*STAFF, "shop")).map(lambda by: {"by": by}),
    st.sampled_from(("LETTER", "%", "_", "straße", "ÑANDÚ", "zebra")).map(lambda n: {"note": n}),
    st.integers(0, 3).map(lambda who: {"person": who}),
)
# Few at a time, else hardly anything passes.
FILTERS = st.lists(ONE, max_size=3).map(lambda some: {k: v for one in some for k, v in one.items()})


@given(events=EVENTS, wanted=st.lists(FILTERS, min_size=4, max_size=8))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_filter_is_what_a_plain_reading_finds(
    app: Flask, events: list[tuple[Any, ...]], wanted: list[dict[str, Any]]
) -> None:
    """Pages, counts and the plain filter agree, for any combination (INV-12)."""
    with writing():
        cast = [
            people.enrol(f"+120255501{i:02}", "GB" if i == 3 else "US", "en", now=START)
            for i in range(4)
        ]
        for whose, kind, source, action, hours, detail, slugs, key, note in events:
            raw(
                cast[whose],
                kind,
                source,
                at=START + timedelta(hours=hours),
                detail=detail,
                action=action,
                changes={key: slugs, "word": "added"} if slugs else {"word": '"added":["offers"]'},
                note=note if source is Source.ADMIN else "",
            )
        db.session.commit()
    ledger_rows = everything()
    assert len(ledger_rows) >= len(events)
    for chosen in wanted:
        if "person" in chosen:
            chosen["person"] = cast[chosen["person"]].public_id
        one = Filters(**chosen)
        expected = [row["id"] for row in ledger_rows if passes(row, one)]
        assert list(paged(one, size=3)) == expected, one
        assert history.count(one) == len(expected), one
        assert history.newer(one, 0) == min(len(expected), 100), one


def test_pages_go_back_the_way_they_came(town: Town, now: Clock) -> None:
    for number in range(7):
        town.bob(f"+120255501{number + 60}")
        now.forward(minutes=1)
    first = history.page(Filters(), size=3)
    assert first.newer is None
    second = history.page(Filters(), before=first.older, size=3)
    third = history.page(Filters(), before=second.older, size=3)
    assert len(third.events) == 1
    assert third.older is None
    back = history.page(Filters(), after=third.newer, size=3)
    assert [row.id for row in back.events] == [row.id for row in second.events]
    top = history.page(Filters(), after=back.newer, size=3)
    assert [row.id for row in top.events] == [row.id for row in first.events]
    assert top.newer is None
    assert top.older is not None


def test_what_came_since_is_counted_with_the_filters_on(town: Town) -> None:
    town.alice()
    seen = history.newest_id()
    assert history.newer(Filters(), seen) == 0
    town.carol()
    assert history.newer(Filters(), seen) == 3
    assert history.newer(Filters(kind=EventKind.REVOKED), seen) == 1
    assert history.newer(Filters(kind=EventKind.PAUSED), seen) == 0


def test_a_note_is_found_in_any_case_and_goes_with_its_evidence(town: Town, now: Clock) -> None:
    """RULE-63: what was erased is not found any more."""
    town.alice()
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        wish = Wish(Channel.PHONE, now.now(), "She called from  Bristol; ﬁne with it", "Dana")
        by_hand.revoke(person, wish, now=now.now())
        db.session.commit()
    for words in ("bristol", "BRISTOL; fine", "from bristol"):
        [event] = history.page(Filters(note=words)).events
        assert event.kind is EventKind.REVOKED
        assert event.number == ALICE
    assert not history.page(Filters(note="bristol%")).events
    with writing():
        db.session.execute(sa.delete(Evidence).where(Evidence.event_id == event.id))
        db.session.commit()
    assert not history.page(Filters(note="bristol")).events
    assert history.count(Filters(by="Dana")) == 1


def test_facts_are_those_of_each_event_however_it_was_written(town: Town) -> None:
    town.alice(categories=("offers", "events"))
    town.carol(CAROL)
    found = set(read(sa.select(EventFact.name, EventFact.value, EventFact.event_id), {}))
    expected = set()
    for row in everything():
        expected.add(("country", row["country"], row["id"]))
        changes = json.loads(row["changes"])
        for key in ("added", "dropped", "requested"):
            expected |= {("category", slug, row["id"]) for slug in changes.get(key, ())}
    assert {tuple(row) for row in found} == expected
    assert ("category", "events") in {row[:2] for row in expected}


@pytest.mark.parametrize(
    "changes",
    [
        '{"added":["a\\u0000b"]}',
        '{"word":"\\u0000","added":["offers"]}',
        '{"added":"offers"}',
        '{"added":null,"dropped":{"a":["x"]},"requested":[]}',
        '{"added":["' + "x" * 400 + '"]}',
    ],
)
def test_no_odd_event_is_refused_for_its_facts(town: Town, changes: str) -> None:
    """A STOP must be kept, whatever stands in it."""
    town.alice()
    person = town.person(ALICE)
    with writing():
        query = sa.select(ConsentEvent.__table__).where(ConsentEvent.person_id == person.id)
        values = dict(db.session.execute(query.limit(1)).one()._mapping)
        values.update(id=None, public_id="odd", seq=99, changes=changes)
        values.pop("id")
        db.session.execute(sa.insert(ConsentEvent).values(values))
        db.session.commit()
    assert history.page(Filters()).events[0].public_id in ("odd", values["public_id"])


def test_values_on_offer_are_those_that_the_ledger_has(town: Town) -> None:
    town.alice(categories=("offers", "events"))
    assert history_aids.values("category") == ["events", "offers"]
    assert history_aids.values("country") == ["US"]
    assert history_aids.values("by") == []
    assert set(history_aids.values("site")) == {"prefs.test"}


def test_a_change_says_from_what(town: Town) -> None:
    link = town.alice()
    for often in ("1/week", "1/month"):
        page = town.browser.get(link)
        assert page.status_code == 200
        with writing():
            person = people.by_number(ALICE)
            assert person is not None
            proof = Proof(source=Source.PREFERENCE_PAGE)
            changes = {"frequency": often}
            ledger.record(person, EventKind.CHANGED, proof, now=town.now(), changes=changes)
            db.session.commit()
    events = list(islice(history.page(Filters(kind=EventKind.CHANGED)).events, 2))
    before = history_aids.states_before(events)
    assert [before[event.id].frequency for event in events] == ["1/week", "all"]


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "1-1-1", "9" * 18 + "-1", "1-" + "9" * 20])
def test_a_place_that_we_never_wrote_is_none(text: str) -> None:
    assert history.place(text) is None


def test_a_place_comes_back_as_it_was() -> None:
    there = Place(datetime(2026, 11, 24, 15, 0, 0, 123456, tzinfo=UTC), 42)
    assert history.place(str(there)) == there


def test_a_limit_of_time_is_told_from_a_fault(app: Flask) -> None:
    if not is_postgresql():
        pytest.skip("SQLite has no limit of time")
    with pytest.raises(history.TooLong), history._patience() as connection:
        connection.execute(sa.text("SET statement_timeout = 10"))
        connection.execute(sa.text("SELECT pg_sleep(1)"))
    with pytest.raises(DBAPIError), history._patience() as connection:
        connection.execute(sa.text("SELECT 1 / 0"))
