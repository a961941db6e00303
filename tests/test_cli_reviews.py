"""`prefcenter review` and `prefcenter unreadable`, as an operator types them."""

import json
import threading
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import cli_reviews
from prefcenter.database import db, writing
from prefcenter.models import Alarm, Inbound, Review, ReviewReason, Unreadable
from prefcenter.sms import alarms, inbox
from tests import terminal
from tests.cast import ALICE, BOB, CAROL, rows
from tests.conftest import Clock
from tests.staff_room import log
from tests.terminal import Run

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LIKELY, MENTIONS = ReviewReason.LIKELY_REFUSAL, ReviewReason.MENTIONS_STOP
WINDOW_TITLE = "\x1b]0;owned\x07\x1b[2K\r\n\u202eSTOP\u2028\x9b1m é 🙏"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def review(
    public_id: str,
    now: Clock,
    text: str = "no thanks",
    *,
    number: str = ALICE,
    due: int = 10,
    reason: ReviewReason = LIKELY,
) -> None:
    """A text that came now and waits for a person, for so many days."""
    with writing():
        row = Inbound(
            message_id=f"m-{public_id}",
            number=number,
            ours="+12025550100",
            text=text,
            received_at=now.now(),
        )
        db.session.add(row)
        db.session.flush()
        facts = {"inbound_id": row.id, "opened_at": now.now(), "reason": reason}
        due_on = date(2026, 11, 24) + timedelta(days=due)
        db.session.add(Review(public_id=public_id, due_on=due_on, **facts))
        db.session.commit()


def keep(body: bytes, reason: str, now: Clock, door: str = "inbound") -> int:
    """A genuine webhook that could not be used, as the door keeps it; gives its id."""
    with writing():
        inbox.keep_unreadable(door, body, reason, now=now.now())
        if reason in alarms.FAULTY:
            alarms.start(alarms.UNREADABLE, now=now.now())
        db.session.commit()
    return db.session.scalars(sa.select(sa.func.max(Unreadable.id))).one()


def raised() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(Alarm.name)))


# --- review


def test_texts_to_read_are_listed_the_first_due_first(run: Run, now: Clock) -> None:
    assert run("review", "list").output == "There is no text to read.\n"
    assert json.loads(run("review", "list", "--json").output) == []
    review("late", now, due=9)
    review("early", now, "when does it end?", number=BOB, due=2, reason=MENTIONS)
    now.forward(hours=1)
    review("start", now, "START", number=CAROL, due=5, reason=ReviewReason.DOUBTFUL_START)
    before = rows()
    result = run("review", "list")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "early: due 2026-11-26, nothing stopped, though a stop word stands in it",
            "    2026-11-24T15:00+00:00 from …0144: when does it end?",
            "start: due 2026-11-29, a START whose time cannot be believed, so nothing started",
            "    2026-11-24T16:00+00:00 from …0145: START",
            "late: due 2026-12-03, likely a refusal, so all texts stopped; was it meant so?",
            "    2026-11-24T15:00+00:00 from …0143: no thanks",
        ],
    )
    found = json.loads(run("review", "list", "--json").output)
    assert [row["id"] for row in found] == ["early", "start", "late"]
    assert found[0] == {
        "id": "early",
        "due_on": "2026-11-26",
        "reason": "mentions_stop",
        "reason_in_words": "nothing stopped, though a stop word stands in it",
        "number": "…0144",
        "received_at": "2026-11-24T15:00+00:00",
        "text": "when does it end?",
    }
    assert rows() == before, "looking closes nothing"


def test_every_reason_has_words() -> None:
    assert cli_reviews.REASONS.keys() == set(ReviewReason)


def test_a_text_cannot_steer_the_terminal_that_shows_it(run: Run, now: Clock) -> None:
    """SEC-38: no colour, no window title, no line of its own, no writing backwards."""
    review("r-1", now, WINDOW_TITLE)
    keep(WINDOW_TITLE.encode() + b"\xff\x00", "not JSON", now)
    safe = r"\x1b]0;owned\x07\x1b[2K\r\n\u202eSTOP\u2028\x9b1m é 🙏"
    for command in ("review", "unreadable"):
        output = run(command, "list").output
        assert len(output.splitlines()) == 2, "one text is one line"
        assert safe in output
        assert all(char.isprintable() for char in output.replace("\n", ""))
    [row] = json.loads(run("review", "list", "--json").output)
    assert row["text"] == safe
    [row] = json.loads(run("unreadable", "list", "--json").output)
    assert row["body"] == safe + "\ufffd\\x00"


def test_a_review_is_closed_once_with_who_and_what(run: Run, now: Clock) -> None:
    """RULE-16, RULE-21."""
    review("r-1", now)
    review("r-2", now)
    now.forward(hours=2)
    note = f"{BOB} was stopped."
    result = run("review", "close", "r-1", "--by", "Dana", "--note", note)
    assert (result.exit_code, result.output) == (0, "Closed r-1.\n")
    [row] = db.session.scalars(sa.select(Review).where(Review.closed_at.is_not(None)))
    facts = (row.public_id, row.closed_by, row.note, row.closed_at)
    assert facts == ("r-1", "Dana", "…0144 was stopped.", now.now())
    [entry] = log("review_closed")
    assert (entry.subject, entry.details) == ("r-1", {"decision": "read", "by": "Dana"})
    for public_id in ("r-1", "nobody-knows"):
        again = run("review", "close", public_id, "--by", "Eve", "--note", "x")
        said = (again.exit_code, again.output)
        assert said == (1, f"Error: There is no open review {public_id}.\n")
    assert "r-1" not in run("review", "list").output
    assert "r-2" in run("review", "list").output


@on_sqlite
def test_nobody_and_nothing_close_no_review(run: Run, now: Clock) -> None:
    review("r-1", now)
    for by, note in (("", "x"), ("Dana", " "), ("x" * 81, "x"), ("Dana", "x" * 301)):
        result = run("review", "close", "r-1", "--by", by, "--note", note)
        assert result.exit_code == 1 and " characters.\n" in result.output
    assert run("review", "close", "r-1", "--by", "Dana").exit_code == 2
    assert "r-1" in run("review", "list").output


@on_sqlite
@pytest.mark.parametrize(
    "public_id", ["-dX9_3vJq0hT3xW9bYc2Lm", "--b-3vJq0hT3xW9bYc2LmK", "-bynote"]
)
def test_an_id_may_begin_with_a_dash(run: Run, now: Clock, public_id: str) -> None:
    """One in sixty-four does."""
    review(public_id, now)
    result = run("review", "close", public_id, "--by", "Dana", "--note", "Read.")
    assert (result.exit_code, result.output) == (0, f"Closed {public_id}.\n")


# --- unreadable


def test_kept_webhooks_are_listed_faults_first(run: Run, now: Clock) -> None:
    assert run("unreadable", "list").output == "There is no webhook that nobody has seen.\n"
    assert json.loads(run("unreadable", "list", "--json").output) == []
    picture = keep(b'{"image":1}', "not a text", now)
    now.forward(minutes=5)
    form = keep(b"to=1&text=STOP", "not JSON", now)
    receipt = keep(b"{}", "no status", now, door="status")
    before = rows()
    result = run("unreadable", "list")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            f"{form}: inbound, 2026-11-24T15:05+00:00, not JSON",
            "    to=1&text=STOP",
            f"{receipt}: status, 2026-11-24T15:05+00:00, no status",
            "    {}",
            f"{picture}: inbound, 2026-11-24T15:00+00:00, not a text",
            '    {"image":1}',
        ],
    )
    found = json.loads(run("unreadable", "list", "--json").output)
    assert [row["id"] for row in found] == [form, receipt, picture]
    assert found[0] == {
        "id": form,
        "door": "inbound",
        "reason": "not JSON",
        "received_at": "2026-11-24T15:05+00:00",
        "body": "to=1&text=STOP",
    }
    assert rows() == before, "looking is not saying that somebody has read it"


def test_a_long_body_is_cut(run: Run, now: Clock) -> None:
    whole, long, odd = b"x" * 500, "🙏".encode() * 9_000, b"\x1b" * 60_000
    for body in (whole, long, odd):
        keep(body, "not JSON", now)
    bodies = [row["body"] for row in json.loads(run("unreadable", "list", "--json").output)]
    assert bodies == ["x" * 500, "🙏" * 499 + "…", (r"\x1b" * 125)[:499] + "…"]


def test_one_is_seen_once_and_the_alarm_ends_with_the_last_fault(run: Run, now: Clock) -> None:
    picture = keep(b"p", "not a text", now)
    first, second = keep(b"1", "not JSON", now), keep(b"2", "no status", now)
    now.forward(hours=1)
    result = run("unreadable", "seen", str(first))
    assert (result.exit_code, result.output) == (0, f"Seen {first}.\n")
    assert raised() == [alarms.UNREADABLE], "one is left"
    for missing in (first, 2**63 - 1):
        again = run("unreadable", "seen", str(missing))
        assert again.exit_code == 1
        assert again.output == f"Error: There is no webhook {missing} that nobody has seen.\n"
    for odd in ("0", "-1", str(2**63), "x"):
        assert run("unreadable", "seen", odd).exit_code == 2
    assert run("unreadable", "seen", str(second)).exit_code == 0
    assert raised() == [], "a picture raises nothing"
    seen = dict(db.session.execute(sa.select(Unreadable.id, Unreadable.seen_at)).all())
    assert seen == {first: now.now(), second: now.now(), picture: None}
    output = run("unreadable", "list").output
    assert output.startswith(f"{picture}: ") and len(output.splitlines()) == 2


def test_a_fault_that_is_kept_meanwhile_keeps_its_alarm(app: Flask, now: Clock) -> None:
    """Whoever sees the last one waits for a door that keeps another, and looks again then."""
    first, done = keep(b"1", "not JSON", now), threading.Event()

    def see() -> None:
        with app.app_context(), writing():
            assert alarms.seen(first, now=now.now())
            db.session.commit()
        done.set()

    thread = threading.Thread(target=see)
    with writing():
        inbox.keep_unreadable("inbound", b"2", "not JSON", now=now.now())
        alarms.start(alarms.UNREADABLE, now=now.now())
        thread.start()
        assert not done.wait(0.5)
        db.session.commit()
    assert done.wait(20)
    thread.join(20)
    assert raised() == [alarms.UNREADABLE]


@on_sqlite
def test_without_tables_each_says_so(run: Run) -> None:
    with writing():
        db.session.execute(sa.text("DROP TABLE alembic_version"))
        db.session.commit()
    for words in (
        ("review", "list"),
        ("review", "close", "x", "--by", "x", "--note", "x"),
        ("unreadable", "list"),
        ("unreadable", "seen", "1"),
    ):
        result = run(*words)
        assert result.exit_code == 1 and "run `prefcenter db upgrade`" in result.output
