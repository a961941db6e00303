"""The commands as an operator types them: what they print, and how they end."""

import json

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Flask

from prefcenter import cli
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.models import Category, ConsentEvent, Evidence, OutboxMessage, Person
from prefcenter.sms import alarms
from prefcenter.sms.sender import Outcome, Verdict
from tests import terminal
from tests.cast import ALICE, Town
from tests.conftest import Clock
from tests.terminal import Run
from tests.watching import listening

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def commands(group: click.Group = cli.cli, *above: str) -> list[tuple[tuple[str, ...], str]]:
    """Every command that is not hidden, with its help."""
    found = []
    for name, command in group.commands.items():
        path = (*above, name)
        if isinstance(command, click.Group):
            found += commands(command, *path)
        elif not command.hidden:
            found.append((path, command.help or ""))
    return found


# --- doctor


def test_doctor_is_content_with_a_good_installation(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert any("migrated" in line for line in lines)
    assert "+12025550100" not in result.output, "a sender's number is masked"


def test_doctor_names_a_misspelt_setting_and_the_one_that_was_meant(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFCENTER_SENDS_PER_SECONDS", "5")
    monkeypatch.setenv("PREFCENTER_QXZ", "secret-value")
    result = run("doctor")
    assert result.exit_code == 1
    hint = "PREFCENTER_SENDS_PER_SECONDS is not read by anything"
    assert f"LOOK  setting: {hint}; did you mean PREFCENTER_SENDS_PER_SECOND?" in result.output
    assert "PREFCENTER_QXZ is not read by anything\n" in result.output
    assert "secret-value" not in result.output


def test_doctor_for_machines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = json.loads(run("doctor", "--json").output)
    assert {frozenset(finding) for finding in findings} == {frozenset({"what", "ok", "detail"})}
    assert all(finding["ok"] for finding in findings)
    monkeypatch.setenv("PREFCENTER_BRNAD", "x")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    assert [f["what"] for f in json.loads(result.output) if not f["ok"]] == ["setting"]


def test_doctor_looks_at_alarms_and_at_what_waits_too_long(
    run: Run, town: Town, now: Clock
) -> None:
    with writing():
        alarms.start(alarms.SENDING_PAUSED, "Sending is paused: 402.", now=now.now())
        db.session.commit()
    town.sign_up(ALICE)
    now.forward(minutes=6)
    result = run("doctor")
    assert result.exit_code == 1
    assert "LOOK  alarm: Sending is paused: 402. Since 2026-11-24 15:00 UTC." in result.output
    waiting = "forms waiting: 1, the oldest for 360 s: is a sender running?"
    assert f"LOOK  {waiting}" in result.output


@on_sqlite
def test_doctor_says_that_the_database_has_no_tables(run: Run) -> None:
    with writing():
        db.session.execute(sa.text("DROP TABLE alembic_version"))
        db.session.commit()
    result = run("doctor")
    assert result.exit_code == 1
    assert "LOOK  database: the database has no tables yet; run `prefcenter db upgrade`" in (
        result.output
    )
    for command in ("serve", "worker", "verify", "rebuild", "demo"):
        result = run(command)
        assert (result.exit_code, result.output[:7]) == (1, "Error: "), command
        assert "run `prefcenter db upgrade`" in result.output


# --- send-test


@on_sqlite
def test_send_test_sends_one_text(run: Run) -> None:
    with listening() as heard:
        result = run("send-test", stdin=f"{ALICE}\n")
    assert (result.exit_code, result.output) == (0, "sent\n")
    assert heard.getvalue().count("text sent to the console") == 1
    assert ALICE not in heard.getvalue() + result.output
    assert db.session.scalars(sa.select(OutboxMessage)).all() == []


@on_sqlite
@pytest.mark.parametrize("typed", ["", "12", "hello", "+12025550", "+4930123456", "\x00\n"])
def test_send_test_refuses_a_bad_number_in_a_sentence(run: Run, typed: str) -> None:
    result = run("send-test", stdin=typed)
    assert result.exit_code == 1
    assert result.output.startswith("Error: That number cannot be texted (")


@on_sqlite
def test_send_test_says_what_the_provider_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def send(self, _parcel: object) -> Verdict:
            return Verdict(Outcome.PAUSE, "402")

    monkeypatch.setattr(cli, "sender_for", lambda _settings: Refusing())
    result = run("send-test", stdin=ALICE)
    assert (result.exit_code, result.output) == (1, "pause 402\n")


# --- category


@on_sqlite
def test_a_category_is_added_and_listed(run: Run) -> None:
    result = run(
        "category", "add", "staff", "--name", "Staff only", "--private", "--age-gate", "18"
    )
    assert (result.exit_code, result.output) == (0, "Added staff.\n")
    assert "staff: Staff only (private)" in run("category", "list").output.splitlines()
    rows = json.loads(run("category", "list", "--json").output)
    assert rows[-1] == {
        "slug": "staff",
        "name": "Staff only",
        "public": False,
        "age_gate": 18,
        "retired_at": None,
    }
    assert rows[0]["slug"] == "offers"


@on_sqlite
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("offers", "--name", "Again"), "There is a category offers already."),
        (("Bad Slug", "--name", "x"), "A slug is lower-case letters, digits and dashes"),
        (("x", "--name", " "), "A name has 1 to 80 characters"),
        (("x", "--name", "y" * 81), "A name has 1 to 80 characters"),
    ],
)
def test_a_category_that_cannot_be_is_refused(
    run: Run, words: tuple[str, ...], sentence: str
) -> None:
    result = run("category", "add", *words)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {sentence}")
    assert len(db.session.scalars(sa.select(Category)).all()) == 4


@on_sqlite
def test_the_demo_adds_nothing_twice(run: Run) -> None:
    first = run("demo", "--people", "20").output
    assert "There are categories already.\nAdded the site demo.\nAdded " in first
    assert "made-up people and" in first
    again = run("demo").output
    assert again.endswith("(some seconds).\nThere are categories already.\n")
    assert run("demo", "--people", "0").output == "There are categories already.\n"
    site = sites.by_slug("demo")
    assert (site.slug, site.key) == ("demo", "demo")
    assert {"http://127.0.0.1:8000", "http://localhost:8000"} <= set(site.origins)


# --- verify and rebuild


def test_verify_and_rebuild_of_a_sound_database(run: Run, town: Town) -> None:
    town.carol()
    town.alice()
    assert run("verify").output == "The proof is whole.\n"
    assert run("rebuild", "--check").output.startswith("Every state and every count is what")
    assert json.loads(run("verify", "--json").output) == {"ok": True, "faults": []}
    assert run("rebuild").output.startswith("Rebuilt 0 people.\n")


def test_verify_names_the_event_whose_evidence_was_changed(run: Run, town: Town) -> None:
    town.alice()
    ids = list(db.session.scalars(sa.select(ConsentEvent.id).order_by(ConsentEvent.seq)))
    with writing():
        changed = sa.update(Evidence).where(Evidence.event_id == ids[1])
        db.session.execute(changed.values(body="{}"))
        db.session.commit()
    db.session.remove()
    result = run("verify")
    assert result.exit_code == 1
    [line] = result.output.splitlines()
    assert line.startswith(f"consent_event {ids[1]} ") and line.endswith("evidence was changed")
    assert not json.loads(run("verify", "--json").output)["ok"]


def test_rebuild_makes_the_rows_say_again_what_the_ledger_says(run: Run, town: Town) -> None:
    town.alice()
    with writing():
        db.session.execute(sa.update(Person).values(frequency="1/month", language="es"))
        db.session.commit()
    check = run("rebuild", "--check")
    assert check.exit_code == 1
    assert check.output.endswith(" differs in frequency, language\n")
    assert run("rebuild").output.startswith("Rebuilt 1 people.\n")
    assert run("rebuild", "--check").exit_code == 0
    assert town.person(ALICE).frequency == "all"


# --- help


@pytest.mark.parametrize(("path", "text"), commands(), ids=[" ".join(p) for p, _ in commands()])
def test_every_command_has_help_with_an_example(path: tuple[str, ...], text: str) -> None:
    result = CliRunner().invoke(cli.cli, [*path, "--help"], prog_name="prefcenter")
    assert result.exit_code == 0, result.output
    assert f"Usage: prefcenter {' '.join(path)}" in result.output
    example = text.partition("Example: ")[2]
    assert f"prefcenter {' '.join(path)}" in example
    assert f"Example: {example.strip()}" in result.output
    assert text[0].isupper()


def test_the_list_of_commands_is_the_one_we_know() -> None:
    assert {" ".join(path) for path, _ in commands()} >= {
        *("serve", "worker", "doctor", "send-test", "verify", "rebuild", "demo"),
        *("db upgrade", "category add", "category change", "category list"),
        *("category retire", "category restore"),
        *("alarm list", "alarm acknowledge", "keywords check", "keywords explain"),
        *("site add", "site change", "site list", "site disable", "site enable"),
        *("site rotate", "site snippet", "poster", "key add", "key list", "key revoke"),
        *("breaker list", "breaker close"),
    }
