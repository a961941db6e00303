"""Reads past SQLAlchemy: each sees what is so, and leaves nothing behind for who comes next."""

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import driver
from prefcenter.database import db, writing
from prefcenter.driver import Query
from prefcenter.models import OutboxMessage
from tests.cast import ALICE, BOB, Town

_NUMBERS = Query("SELECT number FROM person ORDER BY number")


def numbers() -> list[str]:
    return [number for (number,) in _NUMBERS.rows({})]


def test_a_write_after_a_read_in_the_same_connection_is_still_taken_back(town: Town) -> None:
    """The pool hands the connection on: what was switched for the reads must not stay so."""
    town.bob()
    db.session.remove()
    with driver.reading() as taken:
        first = id(taken.driver_connection)
        assert _NUMBERS.rows({}, within=taken) == [(BOB,)]
    with writing():
        used = db.session.connection().connection.driver_connection
        assert id(used) == first, "else this shows nothing"
        db.session.execute(sa.delete(OutboxMessage))
        db.session.rollback()
    assert town.outbox(BOB)


def test_each_read_of_one_connection_sees_what_was_committed_before_it(town: Town) -> None:
    town.bob()
    with driver.reading() as taken:
        assert _NUMBERS.rows({}, within=taken) == [(BOB,)]
        town.alice()
        assert sorted(_NUMBERS.rows({}, within=taken)) == sorted([(BOB,), (ALICE,)])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_ended_meanwhile_is_made_anew(
    town: Town, app: Flask, database_url: str
) -> None:
    """REL-16: as after a restart of PostgreSQL."""
    town.bob()
    db.session.remove()
    assert numbers() == [BOB]
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    with driver.reading(), db.engine.connect() as other:
        assert other.execute(sa.text(ended)).all() == [(True,)]
    assert [numbers(), numbers(), numbers()] == [[BOB]] * 3
