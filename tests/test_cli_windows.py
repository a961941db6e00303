"""`prefcenter windows`, as an owner types it: the number on standard input, the reasons out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.database import db, writing
from prefcenter.models import Person
from tests import terminal
from tests.cast import ALICE, Town
from tests.terminal import Run

FLORIDA, NEW_YORK, FREE = "+13055550143", "+12125550143", "+18005550143"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def says(run: Run, number: str, *words: str) -> list[str]:
    result = run("windows", *words, stdin=number + "\n")
    assert result.exit_code == 0, result.output
    assert number not in result.output and number[2:] not in result.output, "masked"
    return result.output.splitlines()


def told(run: Run, number: str, *words: str) -> dict[str, Any]:
    [line] = says(run, number, "--json", *words)
    found: dict[str, Any] = json.loads(line)
    return found


def test_it_explains_why_a_text_waits_and_until_when(run: Run) -> None:
    assert says(run, FLORIDA, "--at", "2026-11-23T20:30:00-05:00") == [
        "…0143: US-FL.",
        "  Mon 2026-11-23 20:30 in America/New_York",
        "A marketing text must wait: US-FL in America/New_York.",
        "Opens 2026-11-24 13:00 UTC (Tue 2026-11-24 08:00 in America/New_York)"
        " by everywhere in America/New_York, US-FL in America/New_York.",
        "Closes 2026-11-25 01:00 UTC (Tue 2026-11-24 20:00 in America/New_York)"
        " by US-FL in America/New_York.",
        "At most 3 marketing texts in 24 hours, by the law of the state.",
        "The rules that must all agree:",
        "  everywhere: 08:00-21:00, open in America/New_York"
        " (47 CFR 64.1200(c)(1), used everywhere)",
        "  US-FL: 08:00-20:00, closed in America/New_York (Florida Statutes 501.616(6))",
    ]


def test_the_example_of_the_docs_is_what_it_says(run: Run) -> None:
    page = (Path(__file__).parents[1] / "docs" / "quiet-hours.md").read_text(encoding="utf-8")
    _, _, block = page.partition("```\n$ echo +13055550143 | prefcenter windows --at ")
    moment, *lines = block.partition("\n```")[0].splitlines()
    assert says(run, FLORIDA, "--at", moment) == lines


def test_it_says_when_a_text_may_arrive_now(run: Run) -> None:
    lines = says(run, NEW_YORK, "--at", "2026-11-23T12:00:00-05:00")
    assert "A marketing text may arrive now." in lines
    assert "Open; it opened by everywhere in America/New_York." in lines
    assert not any(line.startswith("At most") for line in lines)


def test_without_a_moment_it_is_now(run: Run) -> None:
    """15:00 UTC on the tests' clock, ten in New York."""
    found = told(run, NEW_YORK)
    assert (found["at"], found["allowed"]) == ("2026-11-24T15:00:00+00:00", True)


def test_a_holiday_and_a_sunday_are_named(run: Run) -> None:
    lines = says(run, "+12055550143", "--at", "2026-11-26T12:00:00-06:00")
    assert any("US-AL: Thanksgiving Day, closed" in line for line in lines)
    lines = says(run, "+12055550143", "--at", "2026-11-22T12:00:00-06:00")
    assert any("US-AL: nothing on this day of the week, closed" in line for line in lines)


def test_a_toll_free_number_may_be_anybodys_anywhere(run: Run) -> None:
    lines = says(run, FREE, "--at", "2026-11-23T18:00:00-05:00")
    assert lines[0] == "…0143: any of 51 states (unclear, so all of these must agree)."
    assert lines[2].startswith("A marketing text must wait: ")
    assert lines[3].startswith("Opens 2026-11-24 18:00 UTC")
    assert any("US-RI: 09:00-18:00, closed" in line for line in lines)


def test_for_machines_it_says_the_same(run: Run) -> None:
    found = told(run, FLORIDA, "--at", "2026-11-24T01:30:00Z")
    rules = found.pop("rules")
    assert found == {
        "number": "…0143",
        "at": "2026-11-24T01:30:00+00:00",
        "allowed": False,
        "opens": "2026-11-24T13:00:00+00:00",
        "closes": "2026-11-25T01:00:00+00:00",
        "zones": ["America/New_York"],
        "places": ["US", "US-FL"],
        "said_zone": None,
        "texts_per_24_hours": 3,
        "opened_by": [
            {"zone": "America/New_York", "place": "everywhere"},
            {"zone": "America/New_York", "place": "US-FL"},
        ],
        "closed_by": [{"zone": "America/New_York", "place": "US-FL"}],
    }
    assert rules[1] == {
        "place": "US-FL",
        "zone": "America/New_York",
        "local_time": "2026-11-23T20:30:00-05:00",
        "hours": "08:00-20:00",
        "day_off": None,
        "open": False,
        "source": "Florida Statutes 501.616(6)",
    }


def test_what_a_person_said_counts_and_can_be_tried(run: Run, town: Town) -> None:
    town.alice()
    with writing():
        db.session.execute(sa.update(Person).values(zone="America/Los_Angeles"))
        db.session.commit()
    found = told(run, ALICE)
    assert (found["said_zone"], found["zones"]) == ("America/Los_Angeles", ["America/Los_Angeles"])
    assert told(run, ALICE, "--zone", "Europe/London")["zones"] == ["Europe/London"]
    assert told(run, NEW_YORK)["said_zone"] is None, "nobody's"
    assert "; the person said America/Los_Angeles" in says(run, ALICE)[0]


@pytest.mark.parametrize("zone", ["+02:00", "UTC", "America/Nowhere", ""])
def test_an_offset_is_no_zone(run: Run, zone: str) -> None:
    result = run("windows", "--zone", zone, stdin=NEW_YORK)
    assert result.exit_code == 1
    assert "is not the name of a time zone; write one like America/New_York." in result.output


@pytest.mark.parametrize(
    "moment",
    [
        *("noon", "2026-11-23T12:00:00", "2026-13-01T00:00:00Z", "9"),
        *("9999-12-31T23:00:00Z", "0001-01-01T00:00:00Z"),  # no calendar goes on from there
    ],
)
def test_a_moment_needs_its_offset(run: Run, moment: str) -> None:
    result = run("windows", "--at", moment, stdin=NEW_YORK)
    assert result.exit_code == 1 and "write one with its offset" in result.output


@pytest.mark.parametrize(
    "typed", ["", "hello", "+1", "12", "+1 305 555 0143 or 0144", "+0123456789"]
)
def test_what_is_no_number_is_refused_and_not_repeated(run: Run, typed: str) -> None:
    result = run("windows", stdin=typed + "\n")
    assert result.exit_code == 1
    assert "That is no number that can be looked up" in result.output
    assert len(typed) < 3 or typed not in result.output


def test_a_number_is_read_as_people_write_it(run: Run) -> None:
    assert told(run, "(305) 555-0143")["places"] == ["US", "US-FL"]


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+442079460018", ["Europe/London"]),
        ("+17875550143", ["America/Puerto_Rico"]),
        ("+999123456789", []),
    ],
)
def test_numbers_of_any_country_and_of_none(run: Run, number: str, zones: list[str]) -> None:
    found = told(run, number)
    assert found["zones"] == zones
    assert (found["opens"] is None) == (not zones)
    if not zones:
        assert "nobody knows where this number is at home" in says(run, number)[0]


def test_no_number_is_taken_from_the_command_line(run: Run) -> None:
    result = run("windows", NEW_YORK)
    assert result.exit_code == 2 and "unexpected extra argument" in result.output


def test_help_has_an_example(run: Run) -> None:
    help_text = run("windows", "--help").output
    assert "echo +13055550143 | prefcenter windows" in help_text


def test_a_file_that_cannot_be_used_is_one_sentence(
    run: Run, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "hours.toml"
    own.write_text("[caps]\nFL = 0\n")
    monkeypatch.setitem(
        app.extensions, "prefcenter", replace(app.extensions["prefcenter"], quiet_hours=own)
    )
    monkeypatch.setattr("prefcenter.serve.run", lambda *_, **__: 0)
    for command in ("windows", "serve"):
        result = run(command, stdin=NEW_YORK)
        assert result.exit_code == 1, "nothing is served either"
        assert result.output.startswith("Error: PREFCENTER_QUIET_HOURS cannot be used: ")


def test_it_answers_without_tables(run: Run, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prefcenter.schema.fault", lambda: "the database has no tables")
    assert told(run, FLORIDA)["places"] == ["US", "US-FL"]
