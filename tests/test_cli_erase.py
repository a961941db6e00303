"""`prefcenter erase`: who wrote a letter is forgotten like who is erased on their page."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import audit, suppression
from prefcenter.database import db
from prefcenter.models import ConsentEvent, EventKind, Person, Status
from tests import terminal
from tests.cast import ALICE, BOB, Town, rows
from tests.conftest import Clock
from tests.phones import say
from tests.staff_room import log
from tests.terminal import Run

REASON = "Letter of 3 May"


@pytest.fixture
def run(town: Town, app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def everything() -> str:
    return json.dumps(rows())


def test_alice_wrote_a_letter(town: Town, run: Run) -> None:
    town.alice()
    town.bob()
    say(town, "I live at 12 Elm Road")
    done = run("erase", "--reason", REASON, "--yes", stdin=f"{ALICE}\n")
    assert done.exit_code == 0
    assert "2 pieces of evidence, 2 texts to them, 1 texts from them, 0 forms" in done.output
    for trace in (ALICE[1:], "Elm Road"):
        assert trace not in everything()
    assert ALICE not in done.output
    assert suppression.contains(ALICE) and not suppression.contains(BOB)
    assert town.person(BOB).status is Status.PENDING
    assert list(audit.faults()) == []
    [entry] = log("person_erased")
    erased = db.session.scalars(sa.select(Person).where(Person.number.is_(None))).one()
    assert (entry.subject, entry.reason) == (erased.public_id, REASON)


def test_without_yes_it_says_what_would_go_and_changes_nothing(town: Town, run: Run) -> None:
    """SEC-46."""
    town.alice()
    before = rows()
    done = run("erase", "--reason", REASON, stdin=ALICE)
    assert done.exit_code == 1
    assert "Would be erased: 2 pieces of evidence, 2 texts" in done.output
    assert "--yes" in done.output
    assert rows() == before


@pytest.mark.parametrize("typed", ["202-555-0143", "(202) 555 0143", "+12025550143"])
def test_the_number_is_read_as_people_write_it(town: Town, run: Run, typed: str) -> None:
    town.alice("+12025550143")
    assert run("erase", "--reason", REASON, "--yes", stdin=typed).exit_code == 0
    assert "2025550143" not in everything()


def test_nobody_is_made_up_for_a_number_that_nothing_is_kept_of(town: Town, run: Run) -> None:
    town.bob()
    before = rows()
    done = run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert done.exit_code == 1 and "Nothing is kept of anybody" in done.output
    assert rows() == before, "a slip of the pen must stop nobody's texts"


def test_a_stranger_who_only_texted_is_forgotten_too(town: Town, run: Run) -> None:
    say(town, "Is this the bakery on 12 Elm Road?", ALICE)
    assert "Elm Road" in everything()
    done = run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert done.exit_code == 0
    assert "Elm Road" not in everything() and ALICE[1:] not in everything()
    assert suppression.contains(ALICE)
    assert list(audit.faults()) == []


def test_a_form_that_nobody_looked_at_yet_goes_too(town: Town, run: Run) -> None:
    town.sign_up(ALICE)
    done = run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert "1 forms that wait" in done.output
    assert ALICE[1:] not in everything()
    assert town.work() == [], "and it asks nobody to confirm"


def test_who_had_the_number_before_is_named_by_their_page(town: Town, run: Run, now: Clock) -> None:
    link = town.alice()
    town.browser.post(f"{link}/not-mine")
    now.forward(days=30)
    town.alice()
    former = db.session.scalars(sa.select(Person).where(Person.number.is_(None))).one()
    done = run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert f"/admin/people/{former.public_id}" in done.output


def test_run_again_it_says_that_nothing_is_left(town: Town, run: Run) -> None:
    town.alice()
    run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    before = rows()
    again = run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert again.exit_code == 1 and "Nothing is kept" in again.output
    assert rows() == before
    kinds = db.session.scalars(sa.select(ConsentEvent.kind)).all()
    assert kinds.count(EventKind.ERASED) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_byte_of_the_number_is_left_in_the_files(
    town: Town, run: Run, app: Flask, database_url: str
) -> None:
    """REL-21: the file, its free pages and the write-ahead log."""
    town.alice()
    say(town, "I live at 12 Elm Road")
    file = Path(database_url.removeprefix("sqlite:///"))
    traces = (ALICE[1:].encode(), b"Elm Road")

    def bytes_left() -> bytes:
        return b"".join(one.read_bytes() for one in file.parent.glob(f"{file.name}*"))

    assert all(trace in bytes_left() for trace in traces)
    run("erase", "--reason", REASON, "--yes", stdin=ALICE)
    assert not any(trace in bytes_left() for trace in traces)
