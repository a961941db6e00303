"""The rows that the measurements are made on: what the product itself would have written."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from benchmarks import seed_history, stories
from prefcenter.consent import audit, suppression
from prefcenter.database import Base, db, writing
from prefcenter.models import (
    ConsentEvent,
    EventKind,
    Evidence,
    OutboxMessage,
    OutboxStatus,
    Person,
    Status,
    Suppression,
)
from prefcenter.models_exports import EventFact, EventNote
from tests.cast import Town
from tests.conftest import Clock

PEOPLE, EVENTS = 1_000, 5_000


@pytest.fixture
def loaded(app: Flask, now: Clock) -> None:
    with app.app_context():
        db.session.remove()
    seed_history.load(app, PEOPLE, now=now.now())


def count(table: type[Base]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@pytest.mark.usefixtures("loaded")
def test_the_product_finds_every_chain_whole_and_every_state_as_folded() -> None:
    assert (count(Person), count(ConsentEvent), count(Evidence)) == (PEOPLE, EVENTS, EVENTS)
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []


@pytest.mark.usefixtures("loaded")
def test_the_ids_are_in_the_order_of_time_up_to_now(now: Clock) -> None:
    times = db.session.scalars(sa.select(ConsentEvent.at).order_by(ConsentEvent.id)).all()
    assert times == sorted(times)
    assert times[-1] <= now.now()
    assert (now.now() - times[0]).days in range(330, 366)


@pytest.mark.usefixtures("loaded")
def test_all_kinds_are_among_them_and_nothing_is_left_to_send() -> None:
    kinds = set(db.session.scalars(sa.select(ConsentEvent.kind).distinct()))
    assert kinds == set(EventKind) - {EventKind.ERASED}
    assert set(db.session.scalars(sa.select(Person.status))) == set(Status) - {Status.REDACTED}
    stopped = sa.select(Person.number).where(Person.status == Status.UNSUBSCRIBED)
    numbers = list(db.session.scalars(stopped))
    assert len(numbers) == count(Suppression) == 300
    assert suppression.contains(numbers[0] or "")
    assert set(db.session.scalars(sa.select(OutboxMessage.status))) == {OutboxStatus.DELIVERED}


@pytest.mark.usefixtures("loaded")
def test_each_event_has_the_facts_that_its_trigger_would_have_written() -> None:
    expected = set()
    query = sa.select(ConsentEvent, Person.country).join(
        Person, Person.id == ConsentEvent.person_id
    )
    for event, country in db.session.execute(query):
        said = json.loads(event.changes)
        named = {n for key in ("added", "dropped", "requested") for n in said.get(key, ())}
        expected |= {("category", name, event.at, event.id) for name in named}
        expected.add(("country", country, event.at, event.id))
    found = db.session.execute(sa.select(EventFact.__table__)).all()
    assert {tuple(row) for row in found} == expected
    assert count(EventNote) == PEOPLE * 2 / 100


@pytest.mark.usefixtures("loaded")
def test_the_triggers_are_at_work_again(town: Town) -> None:
    town.alice()
    facts = count(EventFact)
    town.bob()
    assert count(EventFact) == facts + 2  # the country, and the category that was asked for


@pytest.mark.usefixtures("loaded")
def test_the_indexes_are_there_again_and_new_rows_find_their_ids(app: Flask) -> None:
    inspector = sa.inspect(db.engine)
    for table in db.metadata.sorted_tables:
        here = {index["name"] for index in inspector.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= here, table.name
    with writing():
        db.session.add(
            OutboxMessage(
                to=stories.phone_of(0),
                sender="+12025550100",
                kind="help",
                language="en",
                body="",
                status=OutboxStatus.SENT,
                created_at=db.session.scalar(sa.select(Person.created_at).limit(1)),
                due_at=db.session.scalar(sa.select(Person.created_at).limit(1)),
                expires_at=db.session.scalar(sa.select(Person.created_at).limit(1)),
            )
        )
        db.session.flush()


def test_a_database_that_is_kept_is_used_again(tmp_path: Path) -> None:
    env, seconds = seed_history.kept(tmp_path, 100)
    assert seconds > 0
    assert seed_history.kept(tmp_path, 100) == (env, 0.0)
