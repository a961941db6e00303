"""The proof: nobody edits it, what is edited anyway shows, and it says all that it must."""

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import DBAPIError

from prefcenter.cli import cli
from prefcenter.consent import audit, ledger
from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import ConsentEvent, EventKind, Evidence, WordingVersion
from tests.cast import ALICE, BOB, Town, rows

APPEND_ONLY = ("consent_event", "wording_version")
EDITS = {
    "update": "UPDATE {table} SET language = 'xx'",
    "update of one": "UPDATE {table} SET language = 'xx' WHERE id = 1",
    "update to the same": "UPDATE {table} SET language = language WHERE id = 1",
    "delete": "DELETE FROM {table}",
    "delete of one": "DELETE FROM {table} WHERE id = 1",
    "truncate": "TRUNCATE {table} CASCADE",
    "replace": "INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE id = 1",
    "update or replace": "UPDATE OR REPLACE {table} SET id = 2 WHERE id = 1",
    "upsert": "INSERT INTO {table} SELECT * FROM {table} WHERE id = 1"
    " ON CONFLICT (id) DO UPDATE SET language = 'xx'",
}
REPLACE_BY_NAME = {
    "public_id": "INSERT OR REPLACE INTO consent_event SELECT id + 1000, public_id, person_id,"
    " seq + 1000, at, kind, action, source, source_detail, language, wording_sha256, refers_to,"
    " changes, evidence_hash, prev_hash, hash FROM consent_event WHERE id = 1",
    "seq": "INSERT OR REPLACE INTO consent_event SELECT id + 1000, 'another', person_id,"
    " seq, at, kind, action, source, source_detail, language, wording_sha256, refers_to,"
    " changes, evidence_hash, prev_hash, hash FROM consent_event WHERE id = 1",
    "sha256": "INSERT OR REPLACE INTO wording_version SELECT id + 1000, kind, language,"
    " 'other words', sha256, created_at FROM wording_version WHERE id = 1",
}


def run(statement: str, **values: object) -> int:
    """Plain SQL, committed, as somebody with the database's password would; gives the rows hit."""
    with writing():
        found = db.session.execute(sa.text(statement), values)
        db.session.commit()
    return int(found.rowcount)  # type: ignore[attr-defined]  # of a cursor's result


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("edit", EDITS)
def test_plain_sql_cannot_change_the_proof(town: Town, table: str, edit: str) -> None:
    """RULE-13, RULE-14, SEC-44."""
    only_sqlite, only_postgresql = edit in ("replace", "update or replace"), edit == "truncate"
    if (only_sqlite and is_postgresql()) or (only_postgresql and not is_postgresql()):
        return  # the other engine does not know these words
    town.alice()
    before = rows()
    with pytest.raises(DBAPIError, match="append-only"):
        run(EDITS[edit].format(table=table))
    db.session.rollback()
    assert rows() == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("key", REPLACE_BY_NAME)
def test_a_replace_cannot_push_out_another_row(town: Town, key: str) -> None:
    """REPLACE deletes every row that shares a unique value, and fires no DELETE trigger."""
    town.alice()
    before = rows()
    with pytest.raises(DBAPIError, match="append-only"):
        run(REPLACE_BY_NAME[key])
    db.session.rollback()
    assert rows() == before


@pytest.fixture
def mallory(town: Town) -> Iterator[Town]:
    """Alice and Bob have histories; Mallory is an administrator and has dropped the triggers."""
    link = town.alice()
    town.browser.post(link, data={"shown": ["offers", "events"], "categories": ["events"]})
    town.browser.post(f"{link}/stop")
    town.bob()
    for name, table in triggers():
        run(f"DROP TRIGGER {name}" + (f" ON {table}" if is_postgresql() else ""))
    yield town


def triggers() -> list[tuple[str, str]]:
    query = (
        "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE NOT tgisinternal AND relname IN ('consent_event', 'wording_version')"
        if is_postgresql()
        else "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'"
    )
    with writing():
        return [(row[0], row[1]) for row in db.session.execute(sa.text(query))]


def event(town: Town, kind: EventKind) -> ConsentEvent:
    """Alice's event of this kind."""
    query = sa.select(ConsentEvent).where(
        ConsentEvent.kind == kind, ConsentEvent.person_id == town.person(ALICE).id
    )
    found = db.session.scalars(query).one()
    db.session.expunge(found)
    db.session.rollback()
    return found


def test_an_untouched_proof_is_whole(mallory: Town) -> None:
    assert mallory.events(ALICE) == ["requested", "confirmed", "changed", "revoked"]
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'declined'",
        "at = '2026-11-20 10:00:00'",
        "action = NULL",
        "source = 'sms'",
        "source_detail = 'prefs.example'",
        "language = 'es'",
        "wording_sha256 = NULL",
        "refers_to = NULL",
        """changes = '{"added":["events","offers"]}'""",
        "evidence_hash = prev_hash",
        "prev_hash = evidence_hash",
        "hash = prev_hash",
        "public_id = 'another'",
    ],
)
def test_an_edited_event_is_named(mallory: Town, change: str) -> None:
    """REL-22: whatever column was edited."""
    edited = event(mallory, EventKind.CONFIRMED)
    assert run(f"UPDATE consent_event SET {change} WHERE id = :id", id=edited.id) == 1
    assert any(f"consent_event {edited.id} " in fault for fault in audit.faults())


def test_an_event_deleted_in_the_middle_is_named(mallory: Town) -> None:
    gone, after = event(mallory, EventKind.CHANGED), event(mallory, EventKind.REVOKED)
    run("DELETE FROM evidence WHERE event_id = :id", id=gone.id)
    run("DELETE FROM consent_event WHERE id = :id", id=gone.id)
    [fault] = audit.faults()
    assert f"consent_event {after.id} " in fault
    assert f"event {gone.seq} before it is missing" in fault


def test_a_gap_that_was_closed_by_renumbering_is_named(mallory: Town) -> None:
    gone, after = event(mallory, EventKind.CHANGED), event(mallory, EventKind.REVOKED)
    run("DELETE FROM evidence WHERE event_id = :id", id=gone.id)
    run("DELETE FROM consent_event WHERE id = :id", id=gone.id)
    run("UPDATE consent_event SET seq = :seq WHERE id = :id", seq=gone.seq, id=after.id)
    assert any(f"consent_event {after.id} " in fault for fault in audit.faults())


def test_an_edit_with_a_hash_to_match_is_named_by_the_next_event(mallory: Town) -> None:
    """Mallory knows how the hash is made: the chain behind it still tells on her."""
    edited, after = event(mallory, EventKind.CONFIRMED), event(mallory, EventKind.CHANGED)
    edited.source_detail = "prefs.example"
    run(
        "UPDATE consent_event SET source_detail = 'prefs.example', hash = :hash WHERE id = :id",
        hash=ledger.event_hash(edited, mallory.person(ALICE).public_id),
        id=edited.id,
    )
    [fault] = audit.faults()
    assert f"consent_event {after.id} " in fault
    assert "does not follow" in fault


def test_a_deleted_last_event_is_named(mallory: Town) -> None:
    gone = event(mallory, EventKind.REVOKED)
    run("DELETE FROM evidence WHERE event_id = :id", id=gone.id)
    run("DELETE FROM consent_event WHERE id = :id", id=gone.id)
    [fault] = audit.faults()
    assert f"person {mallory.person(ALICE).public_id}" in fault
    assert "should end at event 4" in fault


def test_an_event_moved_to_another_person_is_named(mallory: Town) -> None:
    moved, bob = event(mallory, EventKind.REVOKED), mallory.person(BOB).id
    run("UPDATE consent_event SET person_id = :bob, seq = 2 WHERE id = :id", bob=bob, id=moved.id)
    faults = list(audit.faults())
    assert any(f"consent_event {moved.id} " in fault for fault in faults)
    assert any(mallory.person(ALICE).public_id in fault for fault in faults)


def test_changed_evidence_is_named(mallory: Town) -> None:
    changed = event(mallory, EventKind.CONFIRMED)
    run("UPDATE evidence SET body = replace(body, '127.0.0.1', '192.0.2.1') WHERE event_id = :id",
        id=changed.id)  # fmt: skip
    [fault] = audit.faults()
    assert f"consent_event {changed.id} " in fault
    assert "evidence was changed" in fault


def test_a_changed_text_is_named(mallory: Town) -> None:
    """RULE-14."""
    run("UPDATE wording_version SET text = 'I agree to everything.' WHERE id = 1")
    assert list(audit.faults()) == ["wording_version 1: the text was changed"]


def test_erased_evidence_leaves_the_chain_whole(mallory: Town) -> None:
    """REL-21: what is personal goes, the proof of the order of things stays."""
    assert run("DELETE FROM evidence") == 5
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []


def proof_of(town: Town, kind: EventKind) -> tuple[ConsentEvent, dict[str, object]]:
    found = event(town, kind)
    evidence = db.session.get(Evidence, found.id)
    assert evidence is not None
    return found, json.loads(evidence.body)


def text_of(sha256: str | None) -> str:
    query = sa.select(WordingVersion).where(WordingVersion.sha256 == sha256)
    version = db.session.scalars(query).one()
    assert ledger.wording_sha256(version.text) == sha256
    return version.text


def test_the_request_is_kept_with_all_that_was_seen(town: Town) -> None:
    """RULE-11."""
    town.browser.environ_base["HTTP_USER_AGENT"] = "Firefox/140"
    town.alice(categories=("offers", "events"))
    asked, seen = proof_of(town, EventKind.REQUESTED)
    assert seen["number"] == ALICE
    assert seen["ip"] == "127.0.0.1"
    assert seen["user_agent"] == "Firefox/140"
    assert seen["page_url"] == "http://prefs.test/"
    assert seen["privacy_version"] == "1"
    assert seen["answer"] == {"box": "ticked", "button": "Text me a link to confirm"}
    assert asked.at == town.now()
    assert asked.source == "form"
    assert asked.source_detail == "prefs.test"
    assert asked.language == "en"
    assert json.loads(asked.changes)["requested"] == ["events", "offers"]
    assert "I agree to get recurring automated marketing texts" in text_of(asked.wording_sha256)
    assert "Marlow Books" in text_of(asked.wording_sha256)


def test_the_confirmation_is_kept_with_the_same_and_names_the_request(town: Town) -> None:
    """RULE-12."""
    town.alice()
    confirmed, seen = proof_of(town, EventKind.CONFIRMED)
    assert confirmed.refers_to == event(town, EventKind.REQUESTED).public_id
    assert confirmed.action == "opt-in"
    assert confirmed.source == "preference_page"
    assert seen["number"] == ALICE
    assert seen["ip"] == "127.0.0.1"
    assert seen["page_url"] == "http://prefs.test/c/…"  # SEC-7: not the token
    assert seen["answer"] == {"button": "Yes, text me"}
    assert json.loads(confirmed.changes)["added"] == ["offers"]
    assert "By pressing “Yes, text me” you agree" in text_of(confirmed.wording_sha256)


def test_the_commands_tell_by_their_exit_code(app: Flask, mallory: Town) -> None:
    """REL-22: `verify` names the row, `rebuild --check` the person, `rebuild` mends the row."""
    runner = app.test_cli_runner()

    def command(*args: str) -> tuple[int, str]:
        found = runner.invoke(cli, list(args))
        return found.exit_code, found.output

    assert command("verify") == (0, "The proof is whole.\n")
    assert command("rebuild", "--check")[0] == 0
    run("UPDATE person SET status = 'subscribed' WHERE number = :number", number=ALICE)
    code, said = command("rebuild", "--check")
    assert code == 1
    assert mallory.person(ALICE).public_id in said
    assert "status" in said
    assert ALICE not in said  # SEC-7
    assert command("rebuild", "--check", "--json")[0] == 1
    assert command("rebuild")[0] == 0
    assert mallory.person(ALICE).status == "unsubscribed"
    assert command("rebuild", "--check")[0] == 0

    edited = event(mallory, EventKind.CONFIRMED)
    run("UPDATE consent_event SET at = '2026-01-01 00:00:00' WHERE id = :id", id=edited.id)
    code, said = command("verify")
    assert code == 1
    assert f"consent_event {edited.id} " in said
    code, said = command("verify", "--json")
    assert code == 1
    assert json.loads(said)["ok"] is False
