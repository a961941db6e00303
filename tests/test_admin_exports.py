"""The page of exports, and files that leave through the web."""

import csv
import io
import json

import pytest

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models_exports import Export, ExportKind, ExportState
from prefcenter.models_staff import Role
from prefcenter.upkeep import exporting, exports, settled
from prefcenter.upkeep.export_files import Format
from prefcenter.upkeep.exporting import Content
from prefcenter.upkeep.history import Filters
from tests.cast import ALICE, CAROL, Town
from tests.conftest import Clock
from tests.staff_room import dana_owner, log, press, sign_in, vic_viewer

EVIL = '=cmd|"/c calc"<script>alert(1)</script>'


def files() -> list[Export]:
    db.session.rollback()
    db.session.expire_all()
    return db.session.query(Export).order_by(Export.id).all()


def test_the_history_as_filtered_with_whole_numbers(town: Town) -> None:
    town.alice()
    town.carol()
    dana = dana_owner(town)
    answer = press(dana, "/admin/history/export", {"reason": "for the audit", "what": "confirmed"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="history-2026')
    assert answer.headers["Cache-Control"] == "no-store"
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    assert {row["number"] for row in rows} == {f"tel:{ALICE}", f"tel:{CAROL}"}
    assert {row["what"] for row in rows} == {"confirmed"}
    [entry] = log("history_exported")
    assert entry.staff_name == "dana"
    assert entry.reason == "for the audit"
    assert entry.details == {"what": "confirmed", "format": "csv", "rows": 2}
    [file] = files()
    assert (file.state, file.rows_done, file.rows_total) == (ExportState.DONE, 2, 2)
    assert entry.subject == file.public_id
    page = vic_viewer(town).get("/admin/exports").text
    assert "for the audit" in page
    assert "Done" in page


def test_a_number_in_a_reason_is_masked(town: Town) -> None:
    """SEC-44. Viewers read the list, and an owner may write a number in any spelling."""
    reason = "2025550143 asked, then 44 7911 123456"
    press(dana_owner(town), "/admin/exports/suppressions", {"reason": reason})
    [file] = files()
    assert "2025550143" not in file.reason
    page = vic_viewer(town).get("/admin/exports").text
    assert "…0143 asked, then …3456" in page


@pytest.mark.parametrize(
    ("path", "action", "rows"),
    [("audience", "audience_exported", 1), ("suppressions", "suppressions_exported", 1),
     ("ledger", "ledger_exported", 5)],
)  # fmt: skip
def test_each_file(town: Town, path: str, action: str, rows: int) -> None:
    town.alice()
    town.carol()
    data = {"reason": "why not", "format": "ndjson"}
    answer = press(dana_owner(town), f"/admin/exports/{path}", data)
    assert answer.status_code == 200
    assert answer.mimetype == "application/x-ndjson"
    assert len([json.loads(line) for line in answer.text.splitlines()]) == rows
    [entry] = log(action)
    assert entry.details["rows"] == rows


def test_an_audience_of_one_category(town: Town) -> None:
    town.alice(categories=("events",))
    town.alice("+12025550160", categories=("offers",))
    dana = dana_owner(town)
    data = {"reason": "campaign", "format": "ndjson", "category": "events"}
    answer = press(dana, "/admin/exports/audience", data)
    assert [json.loads(line)["number"] for line in answer.text.splitlines()] == [ALICE]
    data["category"] = "nowhere"
    assert press(dana, "/admin/exports/audience", data).status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
@pytest.mark.parametrize("path", ["audience", "suppressions", "ledger"])
def test_nobody_else_takes_files_out(town: Town, role: Role, path: str) -> None:
    browser = sign_in(town, role, role.value)
    assert press(browser, f"/admin/exports/{path}", {"reason": "x"}).status_code == 403
    page = browser.get("/admin/exports").text
    assert "Only an owner may take files out." in page
    assert "Download" not in page
    assert files() == []


def test_without_a_reason_nothing_leaves(town: Town) -> None:
    page = press(dana_owner(town), "/admin/exports/ledger", {"format": "ndjson", "reason": "  "})
    assert page.status_code == 422
    assert page.text.count("Say why; it is kept in the admin log.") == 1
    assert 'id="reason-ledger-error"' in page.text
    assert files() == []


def test_a_reader_who_hangs_up_leaves_a_note(
    town: Town, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PIECE", 1)
    town.carol()
    answer = press(dana_owner(town), "/admin/exports/ledger", {"reason": "x"}, buffered=False)
    stream = iter(answer.response)
    next(stream)
    next(stream)
    vic = vic_viewer(town)
    page = vic.get("/admin/exports").text
    assert "Going out" in page
    assert 'hx-trigger="every 2s"' in page
    assert "<progress" in vic.get("/admin/exports/list", headers={"HX-Request": "true"}).text
    answer.close()
    [file] = files()
    assert file.state is ExportState.BROKEN_OFF
    page = vic.get("/admin/exports").text
    assert "Broken off" in page
    assert "every 2s" not in page


def test_only_so_many_at_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "running", lambda now: exports.MOST_AT_ONCE)
    answer = press(dana_owner(town), "/admin/exports/ledger", {"reason": "x"})
    assert answer.status_code == 503
    assert "Other exports are going out now." in answer.text
    assert files() == []


def test_whoever_began_while_it_was_counted_counts(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = exporting.events

    def slow(filters: Filters, *, oldest_first: bool = False) -> Content:
        order = exports.Order(ExportKind.LEDGER, Format.CSV, "eve", "x", {})
        for _other in range(exports.MOST_AT_ONCE):
            with writing():
                exports.start(order, 0, now=clock.now())
                db.session.commit()
        return real(filters, oldest_first=oldest_first)

    monkeypatch.setattr(exporting, "events", slow)
    answer = press(dana_owner(town), "/admin/exports/ledger", {"reason": "x"})
    assert answer.status_code == 503
    assert len(files()) == exports.MOST_AT_ONCE


def test_a_ledger_without_an_end_is_not_cut_somewhere(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "tops", lambda: None)
    answer = press(dana_owner(town), "/admin/history/export", {"reason": "x"})
    assert answer.status_code == 503
    assert "Try again in a minute." in answer.text


def test_what_somebody_gave_as_a_reason_is_text(town: Town) -> None:
    dana = dana_owner(town)
    press(dana, "/admin/exports/ledger", {"reason": EVIL})
    page = dana.get("/admin/exports").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    wrong = press(dana, "/admin/exports/audience", {"reason": "", "category": "offers"})
    assert '<option value="offers" selected>' in wrong.text


def test_an_empty_list_says_so(town: Town) -> None:
    assert "Nothing was taken out yet" in vic_viewer(town).get("/admin/exports").text
