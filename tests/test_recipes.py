"""docs/recipes.md: each program is run as a reader would, over HTTP, against the app.

The programs are processes of their own and ask for http://prefs.test; the app of this test stands
in for that address, so that its clock and its cast are those of every other test.
"""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from prefcenter import clock
from prefcenter.consent import api_keys
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, EventKind, Person, Source, Status
from prefcenter.upkeep import endpoints, notice_bodies, webhook_keys
from tests.cast import ALICE, BOB, CAROL, Town
from tests.conftest import Clock
from tests.phones import say
from tests.test_api_docs import BLOCK, CLIENT
from tests.watching import until
from tests.web_shop import DAVE

PAGE = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text(encoding="utf-8")
CAMPAIGN, WAREHOUSE, CRM = (text for kind, text in BLOCK.findall(PAGE) if kind == "python")
ERIN = "+12025550147"


class _Quiet(WSGIRequestHandler):
    def log(self, *_said: object) -> None:
        """Nothing."""


@pytest.fixture
def door(app: Flask) -> Iterator[str]:
    """The app at work, as the proxy through which prefs.test is reached."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Reader:
    """Somebody who saved the client and the programs, and has a key."""

    def __init__(self, folder: Path, door: str, now: Clock) -> None:
        self.folder, self.door, self.now = folder, door, now
        self.more: dict[str, str] = {}
        for name, text in (
            ("prefcenter_client", CLIENT),
            ("campaign", CAMPAIGN),
            ("warehouse", WAREHOUSE),
            ("crm", CRM),
        ):
            (folder / f"{name}.py").write_text(text, encoding="utf-8")

    def key(self, *scopes: str) -> None:
        with writing():
            secret = api_keys.make("-".join(scopes), scopes, now=self.now.now())
            db.session.commit()
        self.more["PREFCENTER_KEY"] = secret

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: to for name, to in os.environ.items() if "proxy" not in name.lower()}
        reached = {"PREFCENTER_URL": "http://prefs.test", "http_proxy": self.door}
        return kept | reached | self.more

    def run(self, *command: str, fails: str = "") -> str:
        """What a program prints; with `fails` it ends by an error that says that."""
        db.session.rollback()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == bool(fails), done.stderr
        assert fails in done.stderr if fails else not done.stderr
        return done.stdout

    def file(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")


@pytest.fixture
def reader(tmp_path: Path, door: str, now: Clock) -> Reader:
    folder = tmp_path / "reader"
    folder.mkdir()
    return Reader(folder, door, now)


# --- gate a campaign


def test_the_campaign_reaches_alice_alone(town: Town, reader: Reader, now: Clock) -> None:
    """INV-1, INV-5: of a list with everybody on it. Erin said "once a week", and had hers."""
    now.forward(hours=2)
    town.alice()
    town.bob()
    town.carol()
    town.alice(ERIN)
    with writing():
        db.session.execute(
            sa.update(Person).where(Person.number == ERIN).values(frequency="1/week")
        )
        db.session.commit()
    reader.key("decide")
    (reader.folder / "numbers.txt").write_text("\n".join([ERIN, BOB, CAROL, DAVE, ALICE]))
    said = reader.run("campaign.py")
    assert said == "pending: 1\nunknown_number: 1\nunsubscribed: 1\n"
    assert [line.split()[0] for line in reader.file("sent.txt").splitlines()] == [ERIN, ALICE]
    assert reader.file("later.txt") == ""

    (reader.folder / "sent.txt").unlink()
    reader.run("campaign.py")
    assert [line.split()[0] for line in reader.file("sent.txt").splitlines()] == [ALICE]
    [later] = reader.file("later.txt").splitlines()
    assert later == f"2026-12-01T17:00:00.000Z {ERIN}"


def test_a_text_that_was_not_sent_does_not_count(town: Town, reader: Reader, now: Clock) -> None:
    now.forward(hours=2)
    town.alice()
    with writing():
        db.session.execute(sa.update(Person).values(frequency="1/week"))
        db.session.commit()
    reader.key("decide")
    (reader.folder / "numbers.txt").write_text(ALICE)
    failing = CAMPAIGN.replace(
        '    """Your provider\'s call goes here."""\n',
        '    if os.environ.get("FAILS"):\n        raise NotSent\n',
    )
    assert failing != CAMPAIGN
    (reader.folder / "campaign.py").write_text(failing, encoding="utf-8")
    reader.more["FAILS"] = "1"
    reader.run("campaign.py")
    assert not (reader.folder / "sent.txt").exists()
    del reader.more["FAILS"]
    reader.run("campaign.py")
    assert reader.file("sent.txt").startswith(ALICE)


def test_without_a_key_that_works_nothing_is_sent(town: Town, reader: Reader, now: Clock) -> None:
    """SEC-40: an error is a no."""
    now.forward(hours=2)
    town.alice()
    reader.key("read")
    (reader.folder / "numbers.txt").write_text(ALICE)
    reader.run("campaign.py", fails="prefcenter_client.Refused: 403: Use a key with the scope")
    assert not (reader.folder / "sent.txt").exists()


# --- feed a warehouse


def test_the_warehouse_has_every_event_once(town: Town, reader: Reader, now: Clock) -> None:
    town.alice()
    town.carol()
    reader.key("read")
    (reader.folder / "warehouse.py").write_text(
        WAREHOUSE.replace("events(after=place)", "events(after=place, limit=2)"), encoding="utf-8"
    )
    assert reader.run("warehouse.py") == "5 events\n"
    assert reader.run("warehouse.py") == "5 events\n"
    now.forward(hours=1)
    say(town, "STOP")
    assert reader.run("warehouse.py") == "6 events\n"
    with closing(sqlite3.connect(reader.folder / "warehouse.sqlite3")) as warehouse:
        found = warehouse.execute("SELECT id, kind FROM event ORDER BY rowid").fetchall()
        assert not re.search(r"\+1202555", str(list(warehouse.iterdump()))), "no number"
    db.session.rollback()
    query = sa.select(ConsentEvent.public_id, ConsentEvent.kind).order_by(ConsentEvent.id)
    assert found == [(row.public_id, row.kind.value) for row in db.session.execute(query)]


def test_the_client_streams_the_audience(town: Town, reader: Reader, now: Clock) -> None:
    town.alice()
    town.bob()
    town.carol()
    reader.key("export")
    (reader.folder / "take.py").write_text(
        "import os\n"
        "from prefcenter_client import PrefCenter\n"
        'prefcenter = PrefCenter(os.environ["PREFCENTER_URL"], os.environ["PREFCENTER_KEY"])\n'
        'print([person["number"] for person in prefcenter.audience("offers")])\n'
    )
    assert reader.run("take.py") == f"['{ALICE}']\n"


# --- sync a CRM both ways


@pytest.fixture
def crm(reader: Reader) -> Iterator[str]:
    """The CRM's door, listening; gives its address."""
    reader.key("write")
    reader.more["PREFCENTER_WEBHOOK_SECRET"] = SECRET
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "crm.py", "listen", str(port)],
        cwd=reader.folder,
        env=reader.environ,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        return bool(tell(url, b"{}", {}))

    until(up, "the CRM listens")
    yield url
    process.terminate()
    process.wait(10)


SECRET = webhook_keys.new_secret()


def tell(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST to the CRM past any proxy; 0 while nobody listens."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError:
        return 0


def notices() -> list[tuple[str, bytes]]:
    """What an endpoint is told of every event, oldest first."""
    db.session.rollback()
    with db.engine.connect() as connection:
        rows = connection.execute(
            sa.select(ConsentEvent.id, ConsentEvent.person_id)
            .where(ConsentEvent.kind.not_in(notice_bodies.SILENT))
            .order_by(ConsentEvent.id)
        )
        wanted = {row.id: row.person_id for row in rows}
        return list(notice_bodies.bodies(connection, wanted).values())


def signed(name: str, body: bytes) -> dict[str, str]:
    """With the real time: the CRM has no other clock."""
    key = b64decode(SECRET.removeprefix(webhook_keys.PREFIX))
    real = datetime.now(UTC)  # noqa: TID251  # not the clock of this test
    return webhook_keys.headers_of(name, body, [key], now=real)


def known(reader: Reader) -> dict[str, str]:
    with closing(sqlite3.connect(reader.folder / "crm.sqlite3")) as crm:
        return dict(crm.execute("SELECT number, status FROM consent").fetchall())


def test_the_crm_knows_what_is_so_here(town: Town, reader: Reader, crm: str) -> None:
    town.alice()
    town.carol()
    for name, body in notices():
        assert tell(crm, body, signed(name, body)) == 204
    assert known(reader) == {ALICE: "subscribed", CAROL: "unsubscribed"}
    for name, body in notices()[:2]:  # once more, and late
        assert tell(crm, body, signed(name, body)) == 204
    assert known(reader) == {ALICE: "subscribed", CAROL: "unsubscribed"}


def test_the_crm_takes_a_ping(town: Town, reader: Reader, crm: str) -> None:
    """What `prefcenter webhook test` posts has no person in it."""
    key = b64decode(SECRET.removeprefix(webhook_keys.PREFIX))
    real = datetime.now(UTC)  # noqa: TID251  # the CRM has no other clock
    answer = endpoints.ping(crm, [key], now=real)
    assert (answer.status, answer.error) == (204, "")


def test_mallorys_notices_are_refused(town: Town, reader: Reader, crm: str) -> None:
    town.alice()
    [(name, body)] = notices()
    genuine = signed(name, body)
    old = str(int(genuine["webhook-timestamp"]) - 301)
    no_header: dict[str, str] = {}
    for headers, said in (
        (no_header, body),
        (genuine, body.replace(b"subscribed", b"redacted")),
        (genuine | {"webhook-id": "other"}, body),
        (genuine | {"webhook-timestamp": old}, body),
        (genuine | {"webhook-timestamp": "never"}, body),
        (genuine | {"webhook-signature": "v1,AAAA"}, body),
    ):
        assert tell(crm, said, headers) == 401
    assert not (reader.folder / "crm.sqlite3").exists()


def test_what_the_crm_was_told_arrives_here_once(town: Town, reader: Reader, now: Clock) -> None:
    """Killed between the call and its own note, the CRM passes the same on again."""
    town.alice()
    reader.key("write")
    reader.more["PREFCENTER_WEBHOOK_SECRET"] = SECRET
    assert reader.run("crm.py", "pass-on") == "0 passed on\n"
    row = [ALICE, "phone", "2026-11-24T14:30:00Z", "Told our help desk."]
    with closing(sqlite3.connect(reader.folder / "crm.sqlite3")) as crm, crm:
        crm.execute("INSERT INTO refusal VALUES (7, ?, ?, ?, ?, NULL)", row)
    assert reader.run("crm.py", "pass-on") == "1 passed on\n"
    assert reader.run("crm.py", "pass-on") == "0 passed on\n"
    with closing(sqlite3.connect(reader.folder / "crm.sqlite3")) as crm, crm:
        [event] = crm.execute("SELECT event FROM refusal").fetchone()
        crm.execute("UPDATE refusal SET event = NULL")
    assert reader.run("crm.py", "pass-on") == "1 passed on\n"
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert town.events(ALICE).count(EventKind.REVOKED) == 1
    query = sa.select(ConsentEvent.public_id).where(ConsentEvent.kind == EventKind.REVOKED)
    found = db.session.execute(query.add_columns(ConsentEvent.source)).one()
    assert tuple(found) == (event, Source.API)
    db.session.rollback()
    [_confirmed, (_name, body)] = notices()
    assert json.loads(body)["type"] == "preference.revoked"
    assert clock.now() == now.now()
