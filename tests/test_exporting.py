"""Exports: what is in them, that nothing in them computes, and that they are noted."""

import csv
import io
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st

from prefcenter import clock, phone
from prefcenter.consent import catalog, ledger, offering, suppression
from prefcenter.database import db, read, writing
from prefcenter.models import (
    ConsentEvent,
    Deliverability,
    EventKind,
    Evidence,
    Person,
    SuppressionReason,
)
from prefcenter.models_exports import Export, ExportKind, ExportState
from prefcenter.upkeep import audience, export_files, exporting, exports, history
from prefcenter.upkeep.export_files import Format, Number
from prefcenter.upkeep.exporting import EVENT_COLUMNS, Content
from prefcenter.upkeep.history import Filters
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.staff_room import log

HOSTILE = [
    '=HYPERLINK("http://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1",
    " =1", "\u200b=1", "＝1", "'=1", "'", '"', "a,b", "a\r\nb", "|calc", "%0", "\x00=1", "", "x",
    "\u00a0=1", "\u3000=1", "\u2060=1", "\u2800=1", "\ufe66=1", "\ufe0f\u207a1", "\u22121",
    "https://shop.example/?a;=HYPERLINK(1)", "a; =1", ";'=1", "a\r\n=1", "a\n'b", " \n=1",
]  # fmt: skip

UNSEEN = "".join(map(chr, range(0x21))) + "\x7f\u00a0\u200b\u2060\u2800\u3000\ufe0f\ufeff"
SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\ufe66", "\u207a", "\u2212")


def taken(content: Content) -> list[dict[str, Any]]:
    """All rows as a program reads them from JSON lines."""
    lines = b"".join(
        export_files.body(Format.NDJSON, content.columns, rows) for rows in content.pieces
    )
    return [json.loads(line) for line in lines.decode().split("\n") if line]


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@given(st.lists(st.text(), min_size=1, max_size=5))
@example(HOSTILE)
def test_csv_comes_back_as_it_was_and_computes_nothing(cells: list[str]) -> None:
    """SEC-47."""
    cells = [cell.encode(errors="replace").decode() for cell in cells]
    data = export_files.body(Format.CSV, [], [cells])
    [row] = read_csv(data)
    assert [export_files.plain(cell) for cell in row] == cells
    for cell in row:
        assert not cell.lstrip(UNSEEN).startswith(SIGNS), cell
        assert not cell.startswith(("\t", "\r"))


@pytest.mark.parametrize(
    "text", [text for text in HOSTILE if "=1" in text] + ["https://shop.example/?a;=HYPERLINK(1)"]
)
def test_where_semicolons_part_cells_nothing_computes_either(text: str) -> None:
    """Excel cuts at semicolons in much of the world, and knows quotes only where a cell begins."""
    data = export_files.body(Format.CSV, [], [["a", text]]).decode()
    parted = csv.reader(io.StringIO(data, newline=None), delimiter=";")
    seen = [cell for row in parted for cell in row]
    assert seen and not [
        cell for cell in seen if cell.strip(UNSEEN).startswith(("=", "＝", "\ufe66"))
    ]
    [row] = read_csv(data.encode())
    assert [export_files.plain(cell) for cell in row] == ["a", text]


def test_every_cell_stands_in_quotes() -> None:
    assert export_files.body(Format.CSV, [], [["a;b", 1, None]]) == b'"a;b","1",""\r\n'
    assert export_files.head(Format.CSV, ["a"]).decode() == '\ufeff"a"\r\n'


def test_a_number_is_text_to_a_spreadsheet_and_a_number_to_a_program() -> None:
    data = export_files.body(Format.CSV, ["number"], [[Number(ALICE)]])
    assert data == f'"tel:{ALICE}"\r\n'.encode()
    assert phone.parse("tel:+12125550143", countries=("US",)).e164 == "+12125550143"
    line = export_files.body(Format.NDJSON, ["number"], [[Number(ALICE)]])
    assert json.loads(line) == {"number": ALICE}


def test_values_in_both_formats() -> None:
    moment = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    row = [None, 7, moment, ["a"], {"b": "=c"}, "ñ"]
    names = ["a", "b", "c", "d", "e", "f"]
    [cells] = read_csv(export_files.body(Format.CSV, names, [row]))
    assert cells == ["", "7", "2026-11-24T10:00:00.000000Z", '["a"]', '{"b": "=c"}', "ñ"]
    found = json.loads(export_files.body(Format.NDJSON, names, [row]))
    assert list(found.values()) == [None, 7, "2026-11-24T10:00:00.000000Z", ["a"], {"b": "=c"}, "ñ"]
    assert export_files.head(Format.CSV, ["a", "b"]).decode() == '\ufeff"a","b"\r\n'
    assert export_files.head(Format.NDJSON, ["a"]) == b""


def test_a_row_says_all_that_checks_the_chain(town: Town) -> None:
    """Whoever has the file can work out each hash, without us."""
    town.carol()
    rows = taken(exporting.events(Filters(), oldest_first=True))
    assert [row["what"] for row in rows] == ["requested", "confirmed", "revoked"]
    assert [(row["before"], row["after"]) for row in rows] == [
        ("not_subscribed", "pending"),
        ("pending", "subscribed"),
        ("subscribed", "unsubscribed"),
    ]
    assert {row["number"] for row in rows} == {CAROL}
    assert rows[0]["consent_kind"] == "signup"
    assert rows[0]["consent_version"] == 1
    assert rows[0]["page"]
    assert rows[1]["refers_to"] == rows[0]["event_id"]
    before = ledger.FIRST
    for row in rows:
        moment = datetime.fromisoformat(row["at"])
        event = ledger.Draft(
            public_id=row["event_id"],
            person_id=0,
            seq=row["seq"],
            at=moment,
            kind=EventKind(row["what"]),
            action=row["action"],
            source=row["source"],
            source_detail=row["source_detail"],
            language=row["language"],
            wording_sha256=row["consent_sha256"],
            refers_to=row["refers_to"],
            changes=ledger.canonical(row["changes"]),
            prev_hash=before,
            evidence_hash=row["evidence_hash"],
        )
        assert ledger.event_hash(event, row["person"]) == row["hash"]
        before = row["hash"]


def test_what_was_erased_is_not_in_it(town: Town) -> None:
    town.carol()
    with writing():
        db.session.execute(sa.delete(Evidence))
        db.session.execute(sa.update(Person).values(number=None))
        db.session.commit()
    rows = taken(exporting.events(Filters()))
    assert len(rows) == 3
    assert {row["number"] for row in rows} == {None}
    assert {row["page"] for row in rows} == {None}


def test_page_count_and_file_agree(town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """INV-12: rows of the file = rows paged through = rows of the ledger."""
    monkeypatch.setattr(exporting, "PIECE", 2)
    town.alice()
    now.forward(hours=1)
    town.carol()
    town.bob()
    for filters in (
        Filters(),
        Filters(kind=EventKind.CONFIRMED),
        Filters(category="offers"),
        Filters(since=now.now()),
        Filters(country="GB"),
    ):
        rows = taken(exporting.events(filters))
        page, seen = history.page(filters, size=2), []
        while True:
            seen += [event.public_id for event in page.events]
            if page.older is None:
                break
            page = history.page(filters, before=page.older, size=2)
        assert [row["event_id"] for row in rows] == seen
        assert history.count(filters) == len(seen)
    [ledger_rows] = read(sa.select(sa.func.count(ConsentEvent.id)), {})
    assert ledger_rows[0] == len(taken(exporting.events(Filters(), oldest_first=True)))


def test_what_happens_meanwhile_is_not_in_the_file(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PIECE", 2)
    town.carol()
    content = exporting.events(Filters(), oldest_first=True)
    first = next(content.pieces)
    town.alice()
    rest = [row for rows in content.pieces for row in rows]
    assert content.total == len(first) + len(rest) == 3


def test_the_audience_is_whoever_may_be_texted(town: Town, now: Clock) -> None:
    """Dana's campaign reaches Alice, and Erin whose phone was off lately; each of the others has
    a reason not to be in it. What was suppressed is in test_suppressed_means_stopped.py."""
    town.alice(ALICE, categories=("offers", "events"))
    others = [f"+120255501{number}" for number in range(61, 66)]
    for number in others:
        town.alice(number)
    town.bob()
    town.carol()
    stopped, dead, paused, erin, late = others
    with writing():
        for number, change in (
            (stopped, {"number": None}),
            (dead, {"deliverability": Deliverability.DEACTIVATED}),
            (paused, {"paused_until": now.now() + timedelta(days=1)}),
            (erin, {"deliverability": Deliverability.SOFT_FAILED}),
            (late, {"confirmed_at": now.now() + timedelta(seconds=1)}),
        ):
            db.session.execute(sa.update(Person).where(Person.number == number).values(change))
        db.session.commit()
    row, other = taken(audience.audience(now=now.now()))
    assert (row["number"], other["number"]) == (ALICE, erin)
    assert row["categories"] == ["offers", "events"]
    assert [r["number"] for r in taken(audience.audience("events", now=now.now()))] == [ALICE]
    assert taken(audience.audience("in-stock", now=now.now())) == []


def test_nobody_is_in_it_for_a_retired_kind(town: Town, now: Clock) -> None:
    """Bob takes nothing else, so there is nothing to text him about; Alice takes more."""
    town.alice(ALICE, categories=("offers", "events"))
    town.alice(BOB, categories=("events",))
    with writing():
        kind = catalog.find("events")
        assert kind and offering.retire(kind, now=now.now())
        db.session.commit()
    content = audience.audience(now=now.now())
    [row] = taken(content)
    assert content.total == 1
    assert (row["number"], row["categories"]) == (ALICE, ["offers"])
    retired = audience.audience("events", now=now.now())
    assert (retired.total, taken(retired)) == (0, [])


def test_suppressions_are_hashes_and_numbers_only_where_asked_for(
    town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.carol()
    town.alice()
    with writing():
        for number in range(12):
            suppression.add(f"+1202555{number:04}", SuppressionReason.IMPORT, now=now.now())
        db.session.commit()
    monkeypatch.setattr(audience, "PIECE", 2)
    rows = taken(audience.suppressions())
    assert len(rows) == 13
    assert "number" not in rows[0]
    assert CAROL[1:] not in json.dumps(rows)
    plain = taken(audience.suppressions(plain=True))
    assert len(plain) == 13
    assert {row["pseudonym"] for row in plain} == {row["pseudonym"] for row in rows}
    assert [row["number"] for row in plain if row["number"]] == [CAROL]


@pytest.fixture
def began(town: Town, now: Clock) -> int:
    with writing():
        order = exports.Order(ExportKind.HISTORY, Format.CSV, "command (dana)", "audit", {})
        export_id = exports.start(order, 4, now=now.now())
        db.session.commit()
    return export_id


def file_of(export_id: int) -> Export:
    db.session.rollback()
    db.session.expire_all()
    return db.session.get_one(Export, export_id)


def pieces(*rows: int, fails: bool = False) -> Content:
    def go() -> Iterator[list[tuple[Any, ...]]]:
        for number in rows:
            yield [(number,)]
        if fails:
            raise OSError("disk")

    return Content(("a",), len(rows), go())


def test_a_file_is_noted_before_it_starts_and_when_it_is_done(began: int, now: Clock) -> None:
    assert file_of(began).state is ExportState.RUNNING
    [entry] = log("history_exported")
    assert (entry.staff_name, entry.reason) == ("command (dana)", "audit")
    assert entry.details == {"format": "csv", "rows": 4}
    data = b"".join(exports.write(began, Format.CSV, pieces(1, 2, 3, 4), now.now))
    assert data == b'\xef\xbb\xbf"a"\r\n"1"\r\n"2"\r\n"3"\r\n"4"\r\n'
    done = file_of(began)
    assert (done.state, done.rows_done) == (ExportState.DONE, 4)
    assert exports.running(now=now.now()) == 0


def test_progress_is_noted_as_time_goes_by(began: int, now: Clock) -> None:
    going = exports.write(began, Format.CSV, pieces(1, 2, 3, 4), now.now)
    next(going)
    next(going)
    now.forward(seconds=2)
    next(going)
    assert file_of(began).rows_done == 1
    assert exports.running(now=now.now()) == 1
    going.close()
    left = file_of(began)
    assert (left.state, left.rows_done) == (ExportState.BROKEN_OFF, 1)


def test_one_that_fails_says_so(began: int, now: Clock) -> None:
    with pytest.raises(OSError, match="disk"):
        list(exports.write(began, Format.CSV, pieces(1, fails=True), now.now))
    assert file_of(began).state is ExportState.FAILED


def test_one_whose_process_died_goes_on_no_more(began: int, now: Clock) -> None:
    now.forward(minutes=5)
    [row] = exports.newest()
    assert exports.state_of(row, now=now.now()) is ExportState.BROKEN_OFF
    assert exports.running(now=now.now()) == 0


def run(app: Flask, *words: str) -> Any:
    return app.test_cli_runner().invoke(args=["export", *words])


@pytest.fixture
def cli_app(app: Flask) -> Flask:
    from prefcenter import cli_export  # the commands hang on the console script, not on the app

    app.cli.add_command(cli_export.group)
    return app


def test_the_command_writes_a_file_for_its_owner_alone(
    cli_app: Flask, town: Town, tmp_path: Path
) -> None:
    """SEC-46."""
    town.carol()
    file = tmp_path / "ledger.csv"
    result = run(cli_app, "ledger", "--output", str(file), "--reason", "audit")
    assert result.exit_code == 0, result.output
    assert "3 rows" in result.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = read_csv(file.read_bytes())
    assert rows[0] == list(EVENT_COLUMNS)
    assert [row[5] for row in rows[1:]] == ["requested", "confirmed", "revoked"]
    assert rows[1][3] == f"tel:{CAROL}"
    assert os.listdir(tmp_path).count("ledger.csv") == 1
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]
    [entry] = log("ledger_exported")
    assert entry.staff_name.startswith("command (")
    assert entry.reason == "audit"


def test_the_command_overwrites_nothing_unless_told(
    cli_app: Flask, town: Town, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("mine")
    result = run(cli_app, "audience", "--output", str(file))
    assert result.exit_code == 1
    assert "is there already" in result.output
    assert file.read_text() == "mine"
    assert log("audience_exported") == []
    assert run(cli_app, "audience", "--output", str(file), "--force").exit_code == 0
    assert file.read_text(encoding="utf-8-sig").startswith('"number","country"')
    missing = run(cli_app, "audience", "--output", str(tmp_path / "no" / "a.csv"))
    assert missing.exit_code == 1


def test_a_command_that_fails_leaves_no_file(
    cli_app: Flask, town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "suppressions", lambda plain: pieces(1, fails=True))
    result = run(cli_app, "suppressions", "--output", str(tmp_path / "s.csv"))
    assert result.exit_code == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith(("s.csv", ".s.csv"))]


def test_the_command_to_standard_output(cli_app: Flask, town: Town) -> None:
    town.alice(categories=("events",))
    town.bob(BOB)
    result = run(cli_app, "audience", "--category", "events", "--format", "ndjson")
    assert result.exit_code == 0
    [line] = result.stdout.splitlines()
    assert json.loads(line)["number"] == ALICE
    assert run(cli_app, "audience", "--category", "nowhere").exit_code == 1


def test_times_are_asked_of_the_clock_alone(town: Town) -> None:
    """What was confirmed a moment ago is in the audience of now."""
    town.alice()
    assert audience.audience(now=clock.now()).total == 1
