"""The table of moves: what the rules allow, and nothing else."""

from datetime import UTC, datetime
from itertools import product

import pytest
from flask import Flask

from prefcenter.consent import ledger, people
from prefcenter.consent.ledger import Proof
from prefcenter.consent.state import MOVES, MoveError, allowed
from prefcenter.database import db, writing
from prefcenter.models import EventKind, Source, Status
from tests.cast import ALICE, rows

START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def proof_from(source: Source) -> Proof:
    return Proof(source=source, ip="198.51.100.7")


REFUSED = [
    (kind, status, source)
    for kind, status, source in product(EventKind, Status, Source)
    if allowed(kind, status, source) is None
]


def test_the_table_of_moves_is_the_one_of_the_rules() -> None:
    """RULES vocabulary, "transitions allowed", word for word."""
    moves = {
        (kind, frm, move.to) for kind, found in MOVES.items() for move in found for frm in move.frm
    }
    assert {(frm, to) for _kind, frm, to in moves if to is Status.SUBSCRIBED} == {
        (Status.PENDING, Status.SUBSCRIBED),
        (Status.UNSUBSCRIBED, Status.SUBSCRIBED),
        (Status.SUBSCRIBED, Status.SUBSCRIBED),
    }
    assert {frm for _kind, frm, to in moves if to is Status.PENDING} == {
        Status.NOT_SUBSCRIBED,
        Status.PENDING,
        Status.UNSUBSCRIBED,
    }
    assert not [move for move in moves if move[1] is Status.REDACTED]
    for source in set(Source) - {Source.SMS}:  # SEC-26: no web form reopens
        assert allowed(EventKind.REQUESTED, Status.UNSUBSCRIBED, source) is None
    for status in set(Status) - {Status.REDACTED}:
        for source in Source:  # RULE-20: every door may stop
            assert allowed(EventKind.REVOKED, status, source) is Status.UNSUBSCRIBED


def test_every_other_move_is_refused_and_writes_nothing(app: Flask) -> None:
    """RULES vocabulary: "test every other move is refused"."""
    assert len(REFUSED) > 200
    people_by_status = {}
    with writing():
        for number, status in enumerate(Status):
            person = people.enrol(f"+1202555020{number}", "US", "en", now=START)
            person.status = status
            people_by_status[status] = person
        db.session.commit()
    before = rows()
    with writing():
        for kind, status, source in REFUSED:
            with pytest.raises(MoveError):
                ledger.record(people_by_status[status], kind, proof_from(source), now=START)
        assert not db.session.new and not db.session.dirty
        db.session.commit()
    assert rows() == before


@pytest.mark.parametrize("kind", [EventKind.REQUESTED, EventKind.REVOKED, EventKind.EXPIRED])
def test_a_move_that_does_not_turn_texts_on_adds_no_category(app: Flask, kind: EventKind) -> None:
    with writing():
        person = people.enrol(ALICE, "US", "en", now=START)
        person.status = Status.PENDING
        with pytest.raises(MoveError):
            ledger.record(
                person, kind, proof_from(Source.ADMIN), now=START, changes={"added": ["offers"]}
            )
