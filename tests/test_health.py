"""What anybody may ask: alive, ready, and which alarms there are. /readyz is 200 all the while."""

import pytest
import sqlalchemy as sa

from prefcenter.database import db, writing
from prefcenter.sms import alarms
from tests.conftest import Browser, Clock

SECRET = "+12025550143 said secret things to account 4711"


def raise_all(now: Clock) -> None:
    with writing():
        for name in sorted(alarms.NAMES):
            alarms.start(name, SECRET, now=now.now())
            now.forward(seconds=1)
        db.session.commit()


def test_all_is_well(client: Browser) -> None:
    assert client.get("/healthz").json == {"status": "alive"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json == {"status": "ready", "alarms": [], "detail": []}


def test_every_alarm_is_named_and_we_still_serve(client: Browser, now: Clock) -> None:
    raise_all(now)
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json and set(ready.json["alarms"]) == alarms.NAMES


def test_what_an_alarm_says_is_shown_where_anybody_may_read_it(client: Browser, now: Clock) -> None:
    """SEC-7: not why the provider refuses us, and nothing that came with a post."""
    raise_all(now)
    ready = client.get("/readyz")
    assert ready.json
    detail = {alarm["name"]: alarm["message"] for alarm in ready.json["detail"]}
    said = {name: alarms.SENTENCES[name] for name in detail if name in alarms.SENTENCES}
    assert detail == {alarms.MISSED_TEXTS: SECRET} | said, "this one is all our own words"
    assert detail.keys() == {
        *(alarms.MISSED_TEXTS, alarms.UNSIGNED_WEBHOOKS, alarms.REFUSED_WEBHOOKS),
        *(alarms.UNREADABLE, alarms.WEBHOOK_CLOCK),
    }
    assert ready.text.count("4711") == 1


def test_it_says_since_when(client: Browser, now: Clock) -> None:
    with writing():
        alarms.start(alarms.WEBHOOK_CLOCK, now=now.now())
        db.session.commit()
    now.forward(hours=2)
    with writing():
        alarms.start(alarms.WEBHOOK_CLOCK, now=now.now())
        db.session.commit()
    ready = client.get("/readyz")
    assert ready.json
    [alarm] = ready.json["detail"]
    assert alarm["since"] == "2026-11-24T15:00:00+00:00"
    assert alarm["message"] == alarms.SENTENCES[alarms.WEBHOOK_CLOCK]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_without_tables_nothing_is_ready(client: Browser) -> None:
    with writing():
        db.session.execute(sa.text("DROP TABLE alembic_version"))
        db.session.commit()
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json and ready.json.keys() == {"status", "reason"}
