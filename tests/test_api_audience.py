"""`GET /api/v1/audience`: Dana's campaign tool takes out whom it may text, and nobody else.

Alice and the others take offers; what stands against each of them is said where it is done.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from prefcenter.consent import catalog, offering
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Deliverability, Inbound, Person
from prefcenter.models_exports import Export, ExportKind, ExportState
from prefcenter.sms import alarms
from prefcenter.upkeep import audience, audience_feed, export_files, exports, settled
from prefcenter.web import api_exports
from prefcenter.web.api_exports import AS_OF, DEGRADED, EVENTS_AFTER
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import say
from tests.program import Program
from tests.staff_room import log
from tests.watching import listening
from tests.web_shop import refused

AUDIENCE = "/api/v1/audience?category=offers"
NDJSON, CSV = "application/x-ndjson", "text/csv"
ERIN, FRANK, GRACE, HEIDI, IVAN, JUDY = (f"+1202555016{n}" for n in range(1, 7))
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def tool(town: Town) -> Program:
    return Program(town, "export", "decide", "read", name="campaigns")


def lines(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.split("\n") if line]


def people(answer: TestResponse) -> list[dict[str, Any]]:
    """Those of a whole file."""
    assert (answer.status_code, answer.mimetype) == (200, NDJSON), answer.text
    *found, end = lines(answer.text)
    assert (end["end"], end["rows"]) == (True, len(found))
    return found


def numbers(answer: TestResponse) -> list[str]:
    return [one["number"] for one in people(answer)]


def change(number: str, **values: object) -> None:
    with writing():
        db.session.execute(sa.update(Person).where(Person.number == number).values(**values))
        db.session.commit()


def texted(number: str, town: Town) -> None:
    """A text that came in and was answered 200, and that nobody has worked yet."""
    row = Inbound(
        message_id=f"m-{number}",
        number=number,
        ours="+12025550100",
        text="STOP",
        said_at=town.now(),
        received_at=town.now(),
    )
    with writing():
        db.session.add(row)
        db.session.commit()


def everybody(town: Town, now: Clock) -> None:
    """Alice, and one of each who is like her but for one thing."""
    for number in (ALICE, ERIN, FRANK, GRACE, HEIDI, IVAN, JUDY):
        town.alice(number)
    town.bob()
    town.carol()
    change(ERIN, deliverability=Deliverability.SOFT_FAILED)
    change(FRANK, deliverability=Deliverability.INVALID)
    change(GRACE, deliverability=Deliverability.DEACTIVATED)
    change(HEIDI, paused_until=now.now() + timedelta(days=1))
    change(IVAN, paused_until=now.now())
    texted(JUDY, town)


def test_alice_is_in_it_and_whoever_must_not_be_texted_is_not(
    town: Town, tool: Program, now: Clock
) -> None:
    everybody(town, now)
    town.alice("+12025550170", categories=("events",))
    answer = tool.get(AUDIENCE)
    assert numbers(answer) == [ALICE, ERIN, IVAN]
    alice = people(answer)[0]
    assert alice == {
        "number": ALICE,
        "person": town.person(ALICE).public_id,
        "country": "US",
        "zone": None,
        "language": "en",
        "frequency": "all",
        "confirmed_at": "2026-11-24T15:00:00.000000Z",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_the_audience_and_a_decision_about_each_say_the_same(
    town: Town, tool: Program, now: Clock
) -> None:
    """INV-1, INV-5. A pause and quiet hours are a matter of time: the decision says until when."""
    everybody(town, now)
    inside = set(numbers(tool.get(AUDIENCE)))
    assert inside
    for number in (ALICE, BOB, CAROL, ERIN, FRANK, GRACE, HEIDI, IVAN, JUDY, "+12025550199"):
        asked = {"number": number, "category": "offers", "kind": "marketing"}
        said = tool.post("/api/v1/decisions", **asked).get_json()
        refused_or_paused = said["decision"] == "deny" or number == HEIDI
        assert (number in inside) is not refused_or_paused, (number, said)


def test_nothing_may_be_texted_about_a_retired_category(
    town: Town, tool: Program, now: Clock
) -> None:
    town.alice()
    assert numbers(tool.get(AUDIENCE)) == [ALICE]
    with writing():
        kind = catalog.find("offers")
        assert kind and offering.retire(kind, now=now.now())
        db.session.commit()
    refused(tool.get(AUDIENCE), 404)
    assert refused(tool.get("/api/v1/audience?category=nowhere"), 404)["title"] == (
        "There is no such category"
    )


def test_a_category_that_retires_meanwhile_ends_the_file(
    town: Town, tool: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_feed, "RANGE", 1)
    town.alice()
    town.alice(ERIN)
    stream = opened(tool)
    assert json.loads(next(stream))["number"] == ALICE
    with writing():
        kind = catalog.find("offers")
        assert kind and offering.retire(kind, now=now.now())
        db.session.commit()
    assert json.loads(next(stream))["rows"] == 1


def opened(tool: Program, path: str = AUDIENCE, **more: Any) -> Iterator[bytes]:
    answer = tool.get(path, buffered=False, **more)
    assert answer.status_code == 200
    return answer.iter_encoded()


def test_who_stops_during_the_download_is_not_in_the_rest(
    town: Town, tool: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-1: Erin's STOP was answered 200, Frank's is worked, Grace pressed pause."""
    monkeypatch.setattr(audience_feed, "RANGE", 1)
    links = {number: town.alice(number) for number in (ALICE, ERIN, FRANK, GRACE, HEIDI)}
    stream = opened(tool)
    assert json.loads(next(stream))["number"] == ALICE
    texted(ERIN, town)
    now.forward(seconds=10)
    town.browser.post(f"{links[FRANK]}/stop")
    change(GRACE, paused_until=now.now() + timedelta(days=1))
    *rest, end = [json.loads(line) for line in stream]
    assert [one["number"] for one in rest] == [HEIDI]
    assert end["rows"] == 2


def test_a_download_that_broke_off_is_read_on(
    town: Town, tool: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last whole line and the first answer's header are all that one must have kept."""
    monkeypatch.setattr(audience_feed, "RANGE", 2)
    links = {number: town.alice(number) for number in (ALICE, ERIN, FRANK, GRACE)}
    first = tool.get(AUDIENCE, buffered=False)
    piece = next(first.iter_encoded()).decode()
    first.close()
    broken = piece + '{"number": "+1202'
    *whole, _cut = broken.split("\n")
    kept = [json.loads(line) for line in whole]
    assert [one["number"] for one in kept] == [ALICE, ERIN]
    assert "end" not in kept[-1], "it does not claim to be whole"

    now.forward(minutes=10)
    town.browser.post(f"{links[FRANK]}/stop")
    town.alice(HEIDI)  # came after the first answer's moment
    as_of = first.headers[AS_OF]
    rest = tool.get(f"{AUDIENCE}&cursor={kept[-1]['person']}&as_of={as_of}")
    assert numbers(rest) == [GRACE]
    assert rest.headers[AS_OF] == as_of == lines(rest.text)[-1]["as_of"]
    assert EVENTS_AFTER not in rest.headers, "the first answer's place holds for both parts"
    assert lines(rest.text)[-1]["events_after"] is None


def test_a_place_from_csv_is_as_good(town: Town, tool: Program) -> None:
    for number in (ALICE, ERIN):
        town.alice(number)
    first = tool.get(AUDIENCE, accept=CSV)
    person = first.text.splitlines()[1].split(",")[1].strip('"')
    rest = tool.get(f"{AUDIENCE}&cursor={person}&as_of={first.headers[AS_OF]}", accept=CSV)
    assert [row[0] for row in csv.reader(io.StringIO(rest.text))] == [
        "number",
        f"tel:{ERIN}",
        "end",
    ]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("", "#/category"),
        ("?category=", "#/category"),
        ("?category=Offers%00", "#/category"),
        ("?category=offers&category=events", "#/category"),
        ("?category=offers&number=%2B12025550143", "#/number"),
        ("?category=offers&cursor=xyz", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=2026-11-24T15:00:00Z", "#/cursor"),
        ("?category=offers&cursor=&as_of=2026-11-24T15:00:00Z", "#/cursor"),
        ("?category=offers&cursor=a%20b&as_of=2026-11-24T15:00:00Z", "#/cursor"),
        ("?category=offers&as_of=2026-11-24T15:00:00Z", "#/cursor"),
        ("?category=offers&cursor=xyz&as_of=yesterday", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=2026-11-24T15:00:00", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=2026-11-23T14:59:59Z", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=2026-11-24T16:00:00Z", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=0001-01-01T00:00:00%2B14:00", "#/as_of"),
        ("?category=offers&cursor=xyz&as_of=9999-12-31T23:59:59-14:00", "#/as_of"),
        (f"?category=offers&cursor={'a' * 23}&as_of=2026-11-24T15:00:00Z", "#/cursor"),
    ],
)
def test_a_query_is_as_described_or_refused(tool: Program, query: str, pointer: str) -> None:
    refused(tool.get(f"/api/v1/audience{query}"), 422, pointer)
    assert files() == []


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", NDJSON),
        ("*/*", NDJSON),
        ("application/*", NDJSON),
        (CSV, CSV),
        (f"{NDJSON};q=0.5, {CSV}", CSV),
        ("text/html, text/*;q=0.8", CSV),
    ],
)
@on_sqlite
def test_it_comes_in_the_form_that_accept_likes_best(tool: Program, accept: str, kind: str) -> None:
    assert tool.get(AUDIENCE, accept=accept).mimetype == kind


@pytest.mark.parametrize("accept", ["application/json", "text/html", f"{NDJSON};q=0"])
@on_sqlite
def test_another_form_is_not_there(tool: Program, accept: str) -> None:
    assert NDJSON in refused(tool.get(AUDIENCE, accept=accept), 406)["detail"]
    assert files() == []


HOSTILE = '=cmd|"/C calc"!A1\r\n"x;=1'


@pytest.mark.parametrize("zone", [HOSTILE, '"}\n{"number": "+12025550199"', "España/Ñ\u2028", ""])
def test_nothing_in_it_computes_or_breaks_out(town: Town, tool: Program, zone: str) -> None:
    """SEC-47, whatever came to stand in a text of a row."""
    town.alice()
    change(ALICE, zone=zone)
    [alice] = people(tool.get(AUDIENCE))
    assert (alice["number"], alice["zone"]) == (ALICE, zone)
    answer = tool.get(AUDIENCE, accept=CSV)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    head, row, end = csv.reader(io.StringIO(answer.text, newline=""))
    assert head == list(audience_feed.COLUMNS)
    assert row[0] == f"tel:{ALICE}"
    assert export_files.plain(row[3]) == zone
    assert not row[3].startswith("=")
    assert end == ["end", "1", "", "", "", "", answer.headers[AS_OF]]


def test_csv_says_what_ndjson_says(town: Town, tool: Program) -> None:
    town.alice()
    town.alice("+34612345678")
    found = people(tool.get(AUDIENCE))
    head, *table, _end = csv.reader(io.StringIO(tool.get(AUDIENCE, accept=CSV).text))
    as_text = [[f"tel:{one['number']}", *(one[name] or "" for name in head[1:])] for one in found]
    assert table == as_text
    assert {row[2] for row in table} == {"US", "ES"}


def test_the_admins_file_has_the_same_people(town: Town, tool: Program, now: Clock) -> None:
    """INV-12."""
    everybody(town, now)
    content = audience.audience("offers", now=now.now())
    of_admin = [row[0] for piece in content.pieces for row in piece]
    assert of_admin == numbers(tool.get(AUDIENCE))
    assert content.total == len(of_admin) == 3


def files() -> list[Export]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Export)))


def test_that_it_was_taken_is_noted_under_the_keys_name(
    town: Town, tool: Program, now: Clock
) -> None:
    """SEC-44: like the files that people take out; no number is in a log (INV-10)."""
    town.alice()
    with listening() as heard:
        assert numbers(tool.get(AUDIENCE)) == [ALICE]
    assert "555" not in heard.getvalue()
    [file] = files()
    assert (file.kind, file.format, file.by) == (
        ExportKind.AUDIENCE,
        "ndjson",
        "API key campaigns",
    )
    assert (file.state, file.rows_done, file.filters) == (
        ExportState.DONE,
        1,
        {"category": "offers"},
    )
    [entry] = log("audience_exported")
    assert (entry.staff_name, entry.staff_id) == ("API key campaigns", None)
    assert ALICE[1:] not in json.dumps(entry.details)


def test_whoever_hangs_up_has_no_whole_file(
    town: Town, tool: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_feed, "RANGE", 1)
    town.alice()
    town.alice(ERIN)
    answer = tool.get(AUDIENCE, accept=CSV, buffered=False)
    stream = answer.iter_encoded()
    got = next(stream) + next(stream)
    answer.close()
    assert b'"end"' not in got
    [file] = files()
    assert file.state is ExportState.BROKEN_OFF


def test_a_database_that_fails_meanwhile_leaves_no_whole_file(
    town: Town, tool: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_feed, "RANGE", 1)
    town.alice()
    town.alice(ERIN)
    stream = opened(tool)
    next(stream)
    monkeypatch.setattr(audience_feed, "Piece", broken)
    with pytest.raises(OSError, match="disk"):
        next(stream)
    [file] = files()
    assert file.state is ExportState.FAILED


def broken(*_: object) -> object:
    raise OSError("disk")


def test_only_so_many_at_once(tool: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "running", lambda now: exports.MOST_AT_ONCE)
    answer = tool.get(AUDIENCE)
    refused(answer, 429)
    assert answer.headers["Retry-After"] == "60"
    assert files() == []


@on_sqlite
def test_a_key_needs_the_scope_export(town: Town) -> None:
    other = Program(town, "read", "write", "decide", name="other")
    answer = other.get(AUDIENCE)
    refused(answer, 403)
    assert 'scope="export"' in answer.headers["WWW-Authenticate"]
    other.secret = "pck_forged"
    refused(other.get(AUDIENCE), 401)
    assert files() == []


def test_head_says_what_it_would_be_and_takes_nothing(town: Town, tool: Program) -> None:
    """INV-8."""
    town.alice()
    whole = tool.get(AUDIENCE)
    before = rows()
    head = tool.get(AUDIENCE, method="HEAD")
    assert (head.status_code, head.data) == (200, b"")
    for name in ("Content-Type", AS_OF, EVENTS_AFTER, "Cache-Control"):
        assert head.headers[name] == whole.headers[name]
    assert "Content-Length" not in head.headers
    assert tool.get("/api/v1/audience?category=nowhere", method="HEAD").status_code == 404
    assert rows() == before


def test_the_events_go_on_from_the_file(town: Town, tool: Program, now: Clock) -> None:
    """Whoever follows the feed from there knows of everybody who left since."""
    link = town.alice()
    answer = tool.get(AUDIENCE)
    assert lines(answer.text)[-1]["events_after"] == answer.headers[EVENTS_AFTER]
    now.forward(hours=1)
    town.browser.post(f"{link}/stop")
    page = tool.get(f"/api/v1/events?after={answer.headers[EVENTS_AFTER]}").get_json()
    assert [(one["number"], one["kind"]) for one in page["events"]] == [(ALICE, "revoked")]


def test_while_somebody_writes_for_long_the_file_comes_all_the_same(
    town: Town, tool: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.alice()
    monkeypatch.setattr(settled, "tops", lambda: None)
    answer = tool.get(AUDIENCE)
    assert numbers(answer) == [ALICE]
    page = tool.get(f"/api/v1/events?after={answer.headers[EVENTS_AFTER]}").get_json()
    assert [one["kind"] for one in page["events"]] == ["requested", "confirmed"]


def test_a_gap_in_what_we_heard_is_said(town: Town, tool: Program, now: Clock) -> None:
    """REL-14."""
    assert DEGRADED not in tool.get(AUDIENCE).headers
    with writing():
        moment = now.now()
        db.session.add(
            Alarm(name=alarms.MISSED_TEXTS, message="x", since=moment, last_at=moment, count=1)
        )
        db.session.commit()
    answer = tool.get(AUDIENCE)
    assert answer.headers[DEGRADED] == "true"
    assert lines(answer.text)[-1]["degraded"] is True


def test_many_ranges_make_one_file(
    town: Town, tool: Program, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where most of a range is empty, or all of it."""
    everyone = [f"+120255502{n:02}" for n in range(12)]
    for number in everyone:
        town.alice(number)
    with writing():
        gone = sa.update(Person).where(Person.number.in_(everyone[2:9])).values(confirmed_at=None)
        db.session.execute(gone)
        db.session.commit()
    wanted = everyone[:2] + everyone[9:]
    for step in (1, 3, 5, 1000):
        monkeypatch.setattr(audience_feed, "RANGE", step)
        assert numbers(tool.get(AUDIENCE)) == wanted, step


def test_it_may_be_read_on_for_a_day(town: Town, tool: Program, now: Clock) -> None:
    """Longer, and it would still name who left in the first part."""
    town.alice()
    first = tool.get(AUDIENCE)
    again = f"{AUDIENCE}&cursor={people(first)[0]['person']}&as_of={quote(first.headers[AS_OF])}"
    now.forward(hours=api_exports.RESUMABLE_FOR / timedelta(hours=1))
    assert numbers(tool.get(again)) == []
    now.forward(seconds=1)
    refused(tool.get(again), 422, "#/as_of")
    assert datetime.fromisoformat(first.headers[AS_OF]) < now.now()


def test_a_stop_by_text_is_in_no_file_from_its_200_on(
    town: Town, tool: Program, now: Clock
) -> None:
    town.alice()
    now.forward(seconds=5)
    say(town, "STOP")
    assert numbers(tool.get(AUDIENCE)) == []
