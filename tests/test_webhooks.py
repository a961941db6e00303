"""Everything that can come in by the webhooks: believed once, for ever, or not at all.

Long, because each kind of post has its own way to be odd.
"""

import itertools
import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from prefcenter.consent import audit, suppression
from prefcenter.database import db, is_postgresql, writing
from prefcenter.hearing import Listener
from prefcenter.logs import JsonFormatter
from prefcenter.models import EventKind, Inbound, OutboxMessage, Status, TextKind, Unreadable
from prefcenter.sms import alarms, watch
from tests.cast import ALICE, BOB, CAROL, Town, rows
from tests.conftest import Clock
from tests.phones import heard, say
from tests.watching import listening
from tests.webhooks import (
    FAULTS,
    INBOUND,
    SECRET,
    STATUS,
    headers,
    inbound_body,
    status_body,
)

STRANGER = "+12025550177"
DOORS = [INBOUND, STATUS]
OLD_SECRET = "old-" * 12
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
at_once = pytest.mark.settings(TEXTS_AT_ONCE="10000")
Posted = tuple[bytes, dict[str, str]]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests made this process remember is not ours."""
    for memory in ("_noticed", "_logged", "_came"):
        monkeypatch.setattr(alarms, memory, {})


def beat(town: Town) -> list[str]:
    """What each web process does once a minute; gives the alarms."""
    with writing():
        watch.beat(now=town.now())
        db.session.commit()
    db.session.expire_all()
    return [alarm.name for alarm in alarms.current()]


def genuine(path: str, town: Town, text: str = "STOP", number: str = ALICE) -> bytes:
    """A body for this door about this number."""
    if path == INBOUND:
        return inbound_body(text, number=number, at=town.now())
    return status_body("delivered", message_id="m-1", number=number, at=town.now())


def signed(raw: bytes, town: Town) -> Posted:
    return raw, headers(raw, now=town.now())


def post(town: Town, path: str, raw: bytes, **more: str | None) -> TestResponse:
    """Deliver a body, signed now."""
    return town.browser.post(path, data=raw, headers=headers(raw, now=town.now(), **more))


def is_a_problem(answer: TestResponse, status: int) -> None:
    """For a program, and telling it nothing of what it sent."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json is not None and answer.json["status"] == status
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert ALICE[1:] not in answer.text and "STOP" not in answer.text


def sound() -> None:
    """INV-2, INV-3."""
    assert list(audit.faults()) == []
    assert [what for _person, what in audit.differences()] == []


def all_worked() -> None:
    """Let the sender's process do what the web left to it."""
    listener = Listener()
    while db.session.scalar(sa.select(Inbound.id).where(Inbound.handled_at.is_(None)).limit(1)):
        listener.turn()
        db.session.rollback()


# --- what is not Vonage's


@pytest.mark.parametrize("path", DOORS)
def test_what_is_not_to_be_believed_moves_no_row(town: Town, path: str) -> None:
    """SEC-32, INV-9, INV-11: forged is 401, unsigned 503, and the database is as it was."""
    town.alice()
    before = rows()
    for name, fault in FAULTS.items():
        pairs, body = fault(genuine(path, town), town.now())
        answer = town.browser.post(path, data=body, headers=Headers(pairs))
        is_a_problem(answer, fault.status)
        assert rows() == before, name
    assert town.person(ALICE).status is Status.SUBSCRIBED


@on_sqlite
@pytest.mark.parametrize("path", DOORS)
def test_only_a_post_is_taken(town: Town, path: str) -> None:
    """SEC-34: however well it is signed."""
    before = rows()
    raw, pairs = signed(genuine(path, town), town)
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        for sent in ({}, {"data": raw, "headers": pairs}):
            answer = town.browser.open(path, method=method, **sent)  # type: ignore[arg-type]  # by name
            assert answer.status_code == 405
            assert "POST" in answer.headers["Allow"]
    assert rows() == before


@on_sqlite
@pytest.mark.parametrize("path", DOORS)
def test_a_form_without_a_token_is_asked_to_come_again(town: Town, path: str) -> None:
    """How the SMS API would post: nothing is believed, and nothing is told to go away."""
    before = rows()
    fields = {"to": "12025550100", "msisdn": ALICE[1:], "text": "STOP", "keyword": "STOP"}
    for sent in (
        {"data": fields},
        {"data": fields, "content_type": "multipart/form-data"},
        {"data": b"STOP", "content_type": "text/plain"},
        {"json": fields},
        {"data": b""},
        {"data": genuine(path, town), "headers": {"Authorization": ""}},
    ):
        is_a_problem(town.browser.post(path, **sent), 503)  # type: ignore[arg-type]  # by name
    assert rows() == before


@on_sqlite
@pytest.mark.parametrize("path", DOORS)
def test_a_text_that_the_sms_api_sends_by_get_is_heard_of(town: Town, path: str) -> None:
    """VONAGE 7: it has no signature, and where nobody hears of it STOPs are missed for days."""
    assert town.browser.get(path).status_code == 405
    assert beat(town) == [], "somebody only looked"
    fields = {"to": "12025550100", "msisdn": ALICE[1:], "text": "STOP", "keyword": "STOP"}
    before = rows()
    assert town.browser.get(path, query_string=fields).status_code == 405
    assert rows() == before
    assert beat(town) == [alarms.UNSIGNED_WEBHOOKS]


@on_sqlite
@pytest.mark.parametrize("path", DOORS)
def test_too_much_and_too_vague(town: Town, path: str) -> None:
    """SEC-5: 64 KiB at most, and a length with it, before anything is read."""
    before = rows()
    long = inbound_body("STOP " * 14_000, at=town.now())
    assert len(long) > 70_000
    is_a_problem(post(town, path, long), 413)
    is_a_problem(town.browser.post(path, data=long), 413)
    raw, pairs = signed(genuine(path, town), town)
    unmeasured = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    answer = town.browser.post(
        path,
        data=raw,
        headers=pairs | {"Transfer-Encoding": "chunked"},
        environ_overrides=unmeasured,
    )
    is_a_problem(answer, 411)
    assert rows() == before


@on_sqlite
def test_a_token_carries_the_body_it_was_made_for(town: Town) -> None:
    """SEC-32: TLS is no substitute; a token seen once must not carry a START."""
    town.carol()
    before = rows()
    raw, pairs = signed(inbound_body("STOP", number=CAROL, at=town.now()), town)
    for other in (
        raw.replace(b"STOP", b"START"),
        raw.replace(CAROL[1:].encode(), BOB[1:].encode()),
        raw + b"\n",
        raw.replace(b'"channel":', b'"channel": '),
    ):
        is_a_problem(town.browser.post(INBOUND, data=other, headers=pairs), 401)
    assert rows() == before


@on_sqlite
@pytest.mark.settings(VONAGE_SIGNATURE_SECRETS=f"{SECRET},{OLD_SECRET}")
def test_two_secrets_while_one_replaces_the_other(app: Flask, town: Town) -> None:
    """REL-19: both count until the old one is taken out, and then only that one is refused."""
    for secret, number in ((OLD_SECRET, ALICE), (SECRET, BOB)):
        town.alice(number)
        raw = inbound_body("STOP", number=number, at=town.now())
        assert post(town, INBOUND, raw, secret=secret).status_code == 200
        assert town.person(number).status is Status.UNSUBSCRIBED
    settings = app.extensions["prefcenter"]
    app.extensions["prefcenter"] = replace(settings, vonage_signature_secrets=(SECRET,))
    before = rows()
    is_a_problem(post(town, INBOUND, raw, secret=OLD_SECRET), 401)
    assert rows() == before
    assert post(town, INBOUND, raw, secret=SECRET).status_code == 200


# --- what is Vonage's, and of no use


def unusable(town: Town) -> dict[str, bytes]:
    """Genuine, and nothing that the door for texts can act on."""

    def body(**changes: object) -> bytes:
        fields = json.loads(inbound_body("STOP", at=town.now())) | changes
        return json.dumps({name: value for name, value in fields.items() if value}).encode()

    return {
        "not JSON": b"to=12025550100&msisdn=12025550143&text=STOP",
        "not UTF-8": b'{"channel":"sms","text":"\xff\x00"}',
        "a list": b'["STOP"]',
        "a key twice": body().replace(b'"text":', b'"text":"START", "text":'),
        "WhatsApp": body(channel="whatsapp"),
        "to somebody else": body(to="12025550109"),
        "to nobody": body(to=""),
        "from a name": body(**{"from": "Marlow"}),
        "from a short code": body(**{"from": "88222"}),
        "from nobody": body(**{"from": None}),
        "no id": body(message_uuid=None),
        "an id too long": body(message_uuid="x" * 65),
        "a picture": body(text=None, message_type="image", image={"url": "https://x.example/1"}),
        "a text that is none": body(text=["STOP"]),
    }


# What means that set-up or format is wrong; the rest is what anybody may text.
FAULTY = (
    *("not JSON", "not UTF-8", "a list", "a key twice", "to somebody else", "to nobody"),
    *("no id", "an id too long"),
)


def test_what_cannot_be_used_is_kept_once_for_a_person(town: Town) -> None:
    """SEC-34: 200, because a 4xx would lose it; and repeats are the same one."""
    town.alice()
    before = rows()
    bodies = unusable(town)
    for name, raw in bodies.items():
        assert post(town, INBOUND, raw).status_code == 200, name
        assert post(town, INBOUND, raw).status_code == 200, name
    kept = db.session.scalars(sa.select(Unreadable).order_by(Unreadable.id)).all()
    assert [(row.door, row.body) for row in kept] == [("inbound", raw) for raw in bodies.values()]
    assert all(row.reason and row.seen_at is None for row in kept)
    [alarm] = alarms.current()
    assert (alarm.name, alarm.count) == (alarms.UNREADABLE, len(FAULTY))
    assert {row.body for row in kept if row.reason in alarms.FAULTY} == {bodies[f] for f in FAULTY}
    after = rows()
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {"unreadable", "alarm"}
    answers = all_at_once(
        town, [(INBOUND, signed(raw, town)) for raw in bodies.values() for _ in range(2)]
    )
    assert set(answers) == {200}
    assert rows() == after
    assert town.person(ALICE).status is Status.SUBSCRIBED


def test_what_anybody_may_text_wakes_nobody(town: Town) -> None:
    """A picture, a text from a name: kept as all the rest, and no alarm."""
    bodies = [raw for name, raw in unusable(town).items() if name not in FAULTY]
    for raw in bodies:
        assert post(town, INBOUND, raw).status_code == 200
    kept = sa.select(Unreadable.body).order_by(Unreadable.id)
    assert db.session.scalars(kept).all() == bodies
    assert alarms.current() == []
    assert beat(town) == []


def test_a_receipt_that_cannot_be_used_is_kept_once_too(town: Town) -> None:
    for raw in (b"STOP", b"{}", status_body("", message_id="m", at=town.now())):
        for _ in range(2):
            assert post(town, STATUS, raw).status_code == 200
    kept = db.session.scalars(sa.select(Unreadable.door)).all()
    assert kept == ["status"] * 3


# --- what an operator hears of it


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize(
    "fault", [name for name, fault in FAULTS.items() if fault.status == 401][::4]
)
def test_a_refused_webhook_is_an_alarm_without_a_row(town: Town, path: str, fault: str) -> None:
    """It may be a STOP below a secret that was mistyped, and Vonage may not repeat it."""
    before = rows()
    pairs, body = FAULTS[fault](genuine(path, town), town.now())
    is_a_problem(town.browser.post(path, data=body, headers=Headers(pairs)), 401)
    assert rows() == before
    assert beat(town) == [alarms.REFUSED_WEBHOOKS]
    assert alarms.last_genuine() is None, "nobody has shown to be Vonage"


@on_sqlite
def test_a_flood_of_forgeries_is_logged_once_a_minute_for_each_reason(
    town: Town, now: Clock
) -> None:
    raw = genuine(INBOUND, town)
    with listening() as log:
        for _ in range(3):
            for name in ("wrong secret", "wrong api_key", "wrong application_id"):
                pairs, body = FAULTS[name](raw, town.now())
                for _ in range(10):
                    town.browser.post(INBOUND, data=body, headers=Headers(pairs))
            now.forward(seconds=30)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    refused = [line["reason"] for line in lines if line["message"] == "a webhook is refused"]
    assert refused == ["signature", "account", "application"] * 2
    assert [line["alarm"] for line in lines if line["message"] == "alarm"] == [
        alarms.REFUSED_WEBHOOKS
    ] * 2


@on_sqlite
@pytest.mark.settings(VONAGE_WEBHOOKS="application")
def test_webhooks_of_an_account_under_the_wrong_setting_are_an_alarm(town: Town) -> None:
    """Their tokens name no application, so every one of them is refused."""
    answer = post(town, INBOUND, genuine(INBOUND, town), application_id=None)
    is_a_problem(answer, 401)
    assert beat(town) == [alarms.REFUSED_WEBHOOKS]


@pytest.mark.parametrize("path", DOORS)
def test_when_the_last_genuine_one_came_is_known_after_the_beat(
    town: Town, now: Clock, path: str
) -> None:
    """Also of one that cannot be used, or was seen before: it has shown that set-up is good."""
    for raw in (genuine(path, town), genuine(path, town), b"picture"):
        assert post(town, path, raw).status_code == 200
        came = town.now()
        assert alarms.last_genuine() != came, "a request does not write it"
        now.forward(seconds=20)
        beat(town)
        assert alarms.last_genuine() == came
        now.forward(minutes=1)


def test_the_alarms_of_refusal_end_after_the_next_genuine_one(town: Town, now: Clock) -> None:
    raw = genuine(INBOUND, town)
    for name in ("wrong secret", "no header", "iat 10 min ahead"):
        pairs, body = FAULTS[name](raw, town.now())
        assert town.browser.post(INBOUND, data=body, headers=Headers(pairs)).status_code > 400
    raised = {alarms.REFUSED_WEBHOOKS, alarms.UNSIGNED_WEBHOOKS, alarms.WEBHOOK_CLOCK}
    assert set(beat(town)) == raised
    now.forward(minutes=5)
    assert post(town, INBOUND, raw).status_code == 200
    assert set(beat(town)) == raised
    now.forward(minutes=1)
    assert post(town, INBOUND, raw).status_code == 200
    assert beat(town) == []


# --- the same once more


def test_a_replay_is_harmless_for_a_day_and_refused_after_it(town: Town, now: Clock) -> None:
    """SEC-33, REL-11: Vonage may repeat with its old token, and so may a thief."""
    town.alice()
    raw, pairs = signed(inbound_body("STOP", at=town.now()), town)
    assert town.browser.post(INBOUND, data=raw, headers=pairs).status_code == 200
    town.work()
    now.forward(minutes=1)
    say(town, "START")
    town.work()
    assert town.person(ALICE).status is Status.SUBSCRIBED
    before, posted = rows(), now.moment - timedelta(minutes=1)
    for age in (timedelta(hours=1), timedelta(hours=23), timedelta(hours=24, minutes=59)):
        now.moment = posted + age
        assert town.browser.post(INBOUND, data=raw, headers=pairs).status_code == 200
        assert rows() == before, age
    now.moment = posted + timedelta(hours=25, minutes=1)
    is_a_problem(town.browser.post(INBOUND, data=raw, headers=pairs), 401)
    assert rows() == before
    assert post(town, INBOUND, raw).status_code == 200, "signed anew it is known for ever"
    assert rows() == before


def test_of_one_message_id_the_first_stands(town: Town) -> None:
    """Whatever comes later below the same id is no other message."""
    town.alice()
    town.alice(BOB)
    say(town, "STOP", message_id="m-1")
    before = rows()
    say(town, "START", message_id="m-1")
    say(town, "STOP", BOB, message_id="m-1")
    say(town, "STOP", message_id="m-1", at=town.now() + timedelta(hours=1))
    assert rows() == before
    assert town.person(BOB).status is Status.SUBSCRIBED


# --- many at once


def all_at_once(town: Town, posts: Sequence[tuple[str, Posted]]) -> Counter[int]:
    """Each from a thread of its own, all beginning at the same moment."""
    app = town.browser.application
    answers: Counter[int] = Counter()
    counting, start = threading.Lock(), threading.Barrier(len(posts))

    def one(path: str, raw: bytes, pairs: dict[str, str]) -> None:
        client = app.test_client()
        with app.app_context():
            start.wait(20)
            answer = client.post(path, data=raw, headers=pairs | {"Host": "prefs.test"})
        with counting:
            answers[answer.status_code] += 1

    threads = [threading.Thread(target=one, args=(path, *posted)) for path, posted in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(answers.values()) == len(posts), "a thread failed or hangs"
    db.session.rollback()
    db.session.expire_all()
    return answers


def texts(town: Town, words: Sequence[str], numbers: Sequence[str]) -> list[tuple[str, Posted]]:
    """A text of its own for each word, the numbers taking turns."""
    return [
        (INBOUND, signed(genuine(INBOUND, town, word, numbers[turn % len(numbers)]), town))
        for turn, word in enumerate(words)
    ]


def replies(number: str) -> Counter[TextKind]:
    """Everything that was queued for a number."""
    db.session.rollback()
    query = sa.select(OutboxMessage.kind).where(OutboxMessage.to == number)
    return Counter(db.session.scalars(query))


@at_once
@pytest.mark.parametrize("copies", [16, 100])
def test_copies_of_one_stop_at_once_have_one_effect(town: Town, copies: int) -> None:
    """REL-11, RULE-24: some with the old token, some with a new one, nobody knows which."""
    town.alice()
    raw = inbound_body("STOP", message_id="m-1", at=town.now())
    same = signed(raw, town)
    posts = [(INBOUND, same if turn % 2 else signed(raw, town)) for turn in range(copies)]
    answers = all_at_once(town, posts)
    assert set(answers) <= {200, 503}, answers
    assert answers[200] > 0
    assert all_at_once(town, posts[: answers[503] or 1])[200] == (answers[503] or 1)

    [row] = heard()
    assert (row.outcome, row.reply) == ("stopped", "app")
    assert town.events(ALICE).count(EventKind.REVOKED) == 1
    assert town.events(ALICE)[-1] is EventKind.REVOKED
    assert replies(ALICE)[TextKind.UNSUBSCRIBED] == 1
    assert suppression.contains(ALICE)
    sound()


@at_once
def test_a_hundred_texts_of_one_number_at_once(town: Town) -> None:
    """REL-2, REL-12: no deadlock, no 500; of one second the STOP wins, whoever came first."""
    town.alice()
    words = ["STOP", "START", "HELP", "STOP", "MENU"] * 20
    answers = all_at_once(town, texts(town, words, [ALICE]))
    assert set(answers) == {200}, answers
    all_worked()
    assert Counter(row.reading for row in heard()) == {
        **{"stop": 40, "start": 20, "help": 20, "menu": 20},
    }
    assert all(row.handled_at for row in heard())
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert town.events(ALICE).count(EventKind.REVOKED) == 1
    found = replies(ALICE)
    assert found[TextKind.UNSUBSCRIBED] == found[TextKind.HELP] == 1
    assert sum(found.values()) - found[TextKind.WELCOME] - found[TextKind.CONFIRM_REQUEST] <= 10
    sound()


@at_once
def test_texts_of_many_strangers_at_once(town: Town) -> None:
    """Rows that all of them count in are taken in one order, so nobody waits in a circle."""
    numbers = [f"+120255{n:05d}" for n in range(50_200, 50_220)]
    words = ["START"] * 20 + ["STOP"] * 20 + ["HELP"] * 20
    answers = all_at_once(town, texts(town, words, numbers))
    assert set(answers) == {200}, answers
    all_worked()
    for number in numbers:
        assert town.person(number).status is Status.UNSUBSCRIBED
        assert town.events(number).count(EventKind.REVOKED) == 1
        assert replies(number)[TextKind.UNSUBSCRIBED] == replies(number)[TextKind.HELP] == 1
    sound()


@at_once
def test_a_stranger_who_asks_twenty_times_at_once_is_helped_once(town: Town) -> None:
    """SEC-36: at most once in ten minutes, also where there is no person's row to lock."""
    answers = all_at_once(town, texts(town, ["HELP"] * 20, [STRANGER]))
    assert set(answers) == {200}, answers
    all_worked()
    assert replies(STRANGER) == {TextKind.HELP: 1}
    assert Counter(row.reply for row in heard(STRANGER)) == {"app": 1, "capped": 19}


# --- what people and carriers write


ODD_TIMES = (
    *(None, "", "yesterday", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z"),
    *("2026-11-24T15:00:00", "2026-11-24 15:00:00 +0000", "2026-11-24T15:00:60Z"),
)


@at_once
def test_every_word_at_every_odd_time_is_worked(town: Town) -> None:
    """REL-12: a time that cannot be is read, stored and judged; no text is left behind by it."""
    town.alice()
    numbers = itertools.cycle((ALICE, STRANGER))
    for word in ("HELP", "START", "YES", "LESS", "PAUSE", "STOP", "START"):
        for odd in ODD_TIMES:
            say(town, word, next(numbers), timestamp=odd)
    waiting = [(row.text, row.said_at) for row in heard() + heard(STRANGER) if not row.handled_at]
    assert waiting == []
    for number in (ALICE, STRANGER):
        assert town.person(number).status is Status.UNSUBSCRIBED
    sound()


ODD_STOPS = (
    *("stop\x00", "STOP\ud800", "ＳＴＯＰ", "S\u200bTOP", "\u202eSTOP", "STOP 🙏", "Stop.\r\n"),
    *("STOP " + "x" * 6000, "STOP <script>alert(1)</script>", "STOP'); DROP TABLE person;--"),
)


@at_once
def test_an_odd_stop_stops(town: Town) -> None:
    """SEC-35, SEC-38: whatever else stands in it, and however the post calls itself."""
    kinds = itertools.cycle(("application/json", "text/plain", "", "application/json; charset=x"))
    for turn, text in enumerate(ODD_STOPS):
        number = f"+1202555{7000 + turn}"
        raw = json.dumps(json.loads(genuine(INBOUND, town, "STOP", number)) | {"text": text})
        pairs = headers(raw.encode(), now=town.now()) | {"Content-Type": next(kinds)}
        answer = town.browser.post(INBOUND, data=raw.encode(), headers=pairs)
        assert answer.status_code == 200
        assert town.person(number).status is Status.UNSUBSCRIBED, text[:40]
    sound()


# --- what is said about it


class Records(logging.Handler):
    """Every record as it was made, before any filter of ours takes something out."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.made: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        facts = {k: v for k, v in vars(record).items() if k not in ("exc_info", "args")}
        line = JsonFormatter().format(record)
        self.made.append(f"{record.getMessage()} {record.args} {facts} {line}")


@pytest.fixture
def records() -> Iterator[Records]:
    """Ours at every level; libraries at theirs."""
    found, ours = Records(), logging.getLogger("prefcenter")
    level = ours.level
    ours.setLevel(logging.DEBUG)
    for logger in (ours, logging.getLogger()):
        logger.addHandler(found)
    yield found
    ours.setLevel(level)
    for logger in (ours, logging.getLogger()):
        logger.removeHandler(found)


@contextmanager
def refusing(table: str, condition: str = "1 = 1", *, code: str = "23514") -> Iterator[None]:
    """The database refuses new rows of a table, with a number and a text in its own words."""
    trigger = f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
    said = f"no room for {ALICE} and qjxkzw"
    if is_postgresql():
        raised = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{said}'; END"
        made = [
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {raised} $$",
            f"{trigger} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()",
        ]
        dropped = ["DROP FUNCTION refuse CASCADE"]
    else:
        raised = f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
        made, dropped = [f"{trigger} WHEN {condition} {raised}"], ["DROP TRIGGER refuse"]
    run(*made)
    try:
        yield
    finally:
        run(*dropped)


def run(*statements: str) -> None:
    with writing():
        for statement in statements:
            db.session.execute(sa.text(statement))
        db.session.commit()


@at_once
def test_no_log_tells_a_number_a_text_or_a_token(town: Town, records: Records) -> None:
    """SEC-7, INV-10: at no level, for good and bad posts, and when the rules fail."""
    secrets = {SECRET, ALICE[1:], BOB[1:], "qjxkzw"}

    def send(raw: bytes, pairs: Sequence[tuple[str, str]], path: str = INBOUND) -> None:
        for name, value in pairs:
            if name == "Authorization" and len(value) > 40:
                parts = value.removeprefix("Bearer ").split(".")
                secrets.update(part for part in parts if len(part) > 8)  # shorter ones are words
        town.browser.post(path, data=raw, headers=Headers(pairs))

    def good(text: str, number: str = ALICE) -> tuple[bytes, list[tuple[str, str]]]:
        raw = genuine(INBOUND, town, text, number)
        return raw, list(headers(raw, now=town.now()).items())

    send(*good("STOP qjxkzw"))
    send(*good("qjxkzw"))
    for fault in FAULTS.values():
        pairs, body = fault(genuine(INBOUND, town, "STOP qjxkzw"), town.now())
        send(body, pairs)
    for raw in unusable(town).values():
        send(raw, list(headers(raw, now=town.now()).items()))
    with refusing("consent_event"):
        send(*good("STOP qjxkzw", BOB))
    assert heard(BOB)[-1].handled_at is None, "the rules did not fail"

    said = "\n".join(records.made)
    assert "a webhook is refused" in said and "cannot be used" in said and "waits" in said
    assert [secret for secret in secrets if secret in said] == []
