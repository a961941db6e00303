"""`prefcenter alarm` and `prefcenter keywords`, as an operator types them."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.database import db, writing
from prefcenter.models import Alarm
from prefcenter.sms import alarms
from tests import terminal
from tests.conftest import Clock
from tests.terminal import Run
from tests.watching import listening

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MESSAGES = Path(__file__).parent / "data" / "messages.csv"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


def alarm(name: str, message: str, now: Clock) -> None:
    with writing():
        alarms.start(name, message, now=now.now())
        db.session.commit()


# --- alarm


def test_alarms_are_listed_the_oldest_first(run: Run, now: Clock) -> None:
    assert run("alarm", "list").output == "There is no alarm.\n"
    assert json.loads(run("alarm", "list", "--json").output) == []
    alarm(alarms.MISSED_TEXTS, "Texts may have been missed.", now)
    now.forward(hours=1)
    alarm(alarms.SENDING_PAUSED, "Sending is paused: 402.", now)
    alarm(alarms.MISSED_TEXTS, "Texts may have been missed.", now)
    result = run("alarm", "list")
    assert (result.exit_code, result.output.splitlines()) == (
        0,
        [
            "missed_texts: Texts may have been missed.",
            "    since 2026-11-24 15:00 UTC, last 2026-11-24 16:00 UTC, seen 2 times",
            "sending_paused: Sending is paused: 402.",
            "    since 2026-11-24 16:00 UTC, last 2026-11-24 16:00 UTC, seen 1 times",
        ],
    )
    [first, second] = json.loads(run("alarm", "list", "--json").output)
    assert second["name"] == "sending_paused"
    assert first == {
        "name": "missed_texts",
        "message": "Texts may have been missed.",
        "since": "2026-11-24T15:00:00+00:00",
        "last_at": "2026-11-24T16:00:00+00:00",
        "count": 2,
    }


def test_an_alarm_is_acknowledged_once(run: Run, now: Clock) -> None:
    alarm(alarms.MISSED_TEXTS, "Texts may have been missed.", now)
    alarm(alarms.SENDING_PAUSED, "Sending is paused: 402.", now)
    with listening() as heard:
        result = run("alarm", "acknowledge", "missed_texts")
    assert (result.exit_code, result.output) == (0, "Ended missed_texts.\n")
    [line] = [json.loads(line) for line in heard.getvalue().splitlines()]
    assert (line["level"], line["message"]) == ("warning", "alarm acknowledged")
    assert db.session.scalars(sa.select(Alarm.name)).all() == ["sending_paused"]
    again = run("alarm", "acknowledge", "missed_texts")
    assert (again.exit_code, again.output) == (1, "Error: There is no alarm missed_texts now.\n")


@on_sqlite
def test_a_misspelt_alarm_is_told_the_names(run: Run, now: Clock) -> None:
    alarm(alarms.MISSED_TEXTS, "Texts may have been missed.", now)
    result = run("alarm", "acknowledge", "missed-texts")
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no alarm missed-texts now. Names are missed_")
    assert db.session.scalars(sa.select(Alarm.name)).all() == ["missed_texts"]


# --- keywords


@on_sqlite
@pytest.mark.settings(KEYWORDS="JAZZ=offers", STOP_WORDS="enough now", HELP_WORDS="wat")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Stop!\n", "stop (surely): STOP"),
        ("STOP texting me", "stop (surely): STOP"),
        ("enough now", "stop (surely): ENOUGH NOW"),
        ("wat\r\n", "help: WAT"),
        ("jazz", "join: JAZZ"),
        ("the sale will end", "no refusal, but a person should read it: END"),
        ("see you tomorrow", "nothing we know"),
        ("", "nothing we know"),
        (b"\xff\xfe\x00", "nothing we know"),
    ],
)
def test_it_explains_how_a_text_is_read(run: Run, text: str | bytes, said: str) -> None:
    """The settings' own words count as they would by text."""
    result = run("keywords", "explain", stdin=text)
    assert (result.exit_code, result.output) == (0, f"{said}\n")


@on_sqlite
def test_it_explains_a_refusal_in_free_words(run: Run) -> None:
    result = run("keywords", "explain", stdin="please don't text me ever again")
    assert result.output.startswith("a refusal in free words (")


@on_sqlite
def test_a_file_of_texts_is_checked(run: Run, tmp_path: Path) -> None:
    good = run("keywords", "check", str(MESSAGES))
    assert good.exit_code == 0, good.output
    report = json.loads(run("keywords", "check", str(MESSAGES), "--json").output)
    assert report == {"ok": True, "lines": good.output.splitlines()}
    bad = tmp_path / "bad.csv"
    bad.write_text("text,language,label\nhello,en,stop_sure\nSTOP,en,neutral\n")
    result = run("keywords", "check", str(bad))
    assert result.exit_code == 1
    assert "missed: stop_sure, en: 'hello' was read as refusal not" in result.output.splitlines()
    assert not json.loads(run("keywords", "check", str(bad), "--json").output)["ok"]


@on_sqlite
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The first line must name text, language, label."),
        (b"text,label\nSTOP,stop\n", "The first line must name text, language, label."),
        (b"text,language,label\nSTOP,en,stop_sure\nSTOP\n", "Line 3 has too few columns."),
        (b"text,language,label\n", "There are no texts in that file."),
        (b"text,language,label\nSTOP,en,none\n", "There is no label 'none'; the labels are "),
        (b"text,language,label\n\xff,en,neutral\n", "The file is not a CSV file in UTF-8"),
        (b"text,language,label\n" + b"x" * 200_000, "The file is not a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused(
    run: Run, tmp_path: Path, content: bytes, sentence: str
) -> None:
    file = tmp_path / "texts.csv"
    file.write_bytes(content)
    result = run("keywords", "check", str(file))
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {sentence}")
    assert run("keywords", "check", str(tmp_path / "none.csv")).exit_code == 2
