"""`prefcenter webhook`: added with a secret that is printed once, looked at, stopped, told again."""

import json
import re
import secrets
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from prefcenter.models_webhooks import EndpointEnd
from prefcenter.upkeep import endpoints, webhook_keys
from tests import terminal
from tests.cast import rows
from tests.conftest import Clock
from tests.crm import Crm, again, listen, parked, subscriber
from tests.receiver import Receiver
from tests.staff_room import log
from tests.terminal import Run

SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=\Z")
NOBODY = "nobody-nobody-nobody-n"


@pytest.fixture
def run(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Run:
    return terminal.of(app, monkeypatch)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def test_the_secret_is_printed_once_and_stored_encrypted(run: Run, receiver: Receiver) -> None:
    done = run("webhook", "add", receiver.url)
    assert done.exit_code == 0
    secret = done.stdout.strip()
    assert SECRET.match(secret)
    [endpoint] = endpoints.every()
    assert f"Its id is {endpoint.public_id}." in done.stderr
    assert secret not in str(rows()) and secret.removeprefix("whsec_") not in str(rows())
    assert secret not in run("webhook", "list").output
    [entry] = log("webhook_added")
    assert (entry.subject, entry.details) == (endpoint.public_id, {"host": "127.0.0.1"})
    assert receiver.told == [], "nothing is sent by that"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://10.0.0.1/", "https://"),
        ("https://10.0.0.1/", "private network"),
        ("https://169.254.169.254/latest/", "private network"),
        ("crm", "whole address"),
        ("https://nobody.invalid/", "cannot be found"),
    ],
)
def test_an_address_that_may_not_be_told_is_refused(run: Run, url: str, word: str) -> None:
    before = rows()
    done = run("webhook", "add", url)
    assert done.exit_code == 1 and word in done.output
    assert rows() == before


@pytest.mark.settings(SMS_BACKEND="vonage", VONAGE_APPLICATION_ID="a", VONAGE_PRIVATE_KEY="k")
def test_this_machine_is_told_only_where_no_text_leaves_it(run: Run, receiver: Receiver) -> None:
    """Development with a real sender is a real deployment for everybody inside its network."""
    for url in (receiver.url, receiver.url.replace("http:", "https:")):
        assert run("webhook", "add", url).exit_code == 1


def test_the_list_says_what_waits_and_what_is_wrong(run: Run, app: Flask, now: Clock) -> None:
    assert run("webhook", "list").output == "There is no webhook.\n"
    assert run("webhook", "list", "--json").output == "[]\n"
    endpoint, crm = listen(), Crm()
    subscriber(143, now=now.moment)
    crm.down = True
    crm.told(endpoint)
    said = run("webhook", "list").output
    assert (
        f"{endpoint.public_id} http://127.0.0.1:9/: 1 waiting, 0 dead, It answered 500.\n" == said
    )
    [row] = json.loads(run("webhook", "list", "--json").output)
    assert row["id"] == endpoint.public_id and row["waiting"] == 1 and row["failures"] == 1
    assert row["oldest_waiting"] == "2026-11-24T15:00:00+00:00"
    assert row["disabled_at"] is None and "secret" not in row


def test_disabled_and_enabled_again(run: Run, app: Flask, now: Clock) -> None:
    endpoint = listen()
    assert run("webhook", "disable", endpoint.public_id).output.startswith("Disabled")
    assert again(endpoint).disabled_why is EndpointEnd.OWNER
    assert "before" in run("webhook", "disable", endpoint.public_id).output
    assert "disabled 2026-11-24, by you" in run("webhook", "list").output
    assert run("webhook", "enable", endpoint.public_id).output.startswith("Enabled")
    assert "already" in run("webhook", "enable", endpoint.public_id).output
    assert again(endpoint).disabled_at is None
    assert len(log("webhook_disabled")) == len(log("webhook_enabled")) == 1


def test_an_id_is_never_taken_for_an_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["-edGoMzNdn9-dySiRzLO3w", "--dGoMzNdn9-dySiRzLO3w", "edGoMzNdn9-dySiRzLO3w-"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _: next(drawn))
    endpoint = listen()
    assert run("webhook", "disable", endpoint.public_id).output.startswith("Disabled")


def test_a_new_secret(run: Run, app: Flask, now: Clock) -> None:
    endpoint = listen()
    old = webhook_keys.keys_of(endpoint, now=now.moment)
    done = run("webhook", "rotate", endpoint.public_id)
    assert SECRET.match(done.stdout.strip())
    keys = webhook_keys.keys_of(again(endpoint), now=now.moment)
    assert len(keys) == 2 and keys[1:] == old
    assert len(log("webhook_rotated")) == 1


def test_what_was_given_up_is_told_again(run: Run, app: Flask, now: Clock) -> None:
    endpoint, crm = listen(), Crm()
    crm.refuses = {subscriber(143, now=now.moment)}
    crm.told(endpoint)
    now.moment += timedelta(days=4)
    crm.told(endpoint)
    assert "1 dead" in run("webhook", "list").output
    assert run("webhook", "replay", "--dead").output == "1 is told again.\n"
    assert run("webhook", "replay", "--dead").output == "0 are told again.\n"
    assert [row.dead_at for row in parked()] == [None]
    assert [entry.details for entry in log("webhook_replayed")] == [
        {"host": "127.0.0.1", "notices": 1}
    ]
    assert "There is no alarm" in run("alarm", "list").output
    crm.refuses = set()
    crm.told(endpoint)
    event = crm.taken[0].webhook_id
    assert run("webhook", "replay", event).output == "1 is told again.\n"
    assert run("webhook", "replay", event, "--to", endpoint.public_id).exit_code == 0
    assert len(crm.told(endpoint)) == 1


def test_whoever_is_disabled_is_told_again_once_it_is_enabled(
    run: Run, app: Flask, now: Clock
) -> None:
    endpoint, crm = listen(), Crm()
    crm.refuses = {subscriber(143, now=now.moment)}
    crm.told(endpoint)
    now.moment += timedelta(days=4)
    crm.told(endpoint)
    run("webhook", "disable", endpoint.public_id)
    event = crm.tried[0].webhook_id
    done = run("webhook", "replay", event, "--to", endpoint.public_id)
    assert done.exit_code == 1 and "that an enabled webhook is told" in done.output
    done = run("webhook", "replay", "--dead")
    assert done.stdout == "1 is told again.\n"
    assert (
        f"{endpoint.public_id} is disabled: it is told its own once it is enabled." in done.stderr
    )
    run("webhook", "enable", endpoint.public_id)
    crm.refuses = set()
    assert len(crm.told(endpoint)) == 1


def test_a_ping(run: Run, receiver: Receiver) -> None:
    run("webhook", "add", receiver.url)
    [endpoint] = endpoints.every()
    assert run("webhook", "test", endpoint.public_id).output == "It answered 204.\n"
    assert receiver.told[0].said["type"] == "webhook.ping"
    receiver.answers = ["302 Location: http://127.0.0.1/"]
    done = run("webhook", "test", endpoint.public_id)
    assert done.exit_code == 1 and "not followed" in done.output


@pytest.mark.parametrize("command", ["disable", "enable", "rotate", "test"])
@pytest.mark.parametrize("id_", [NOBODY, "x" * 300, "%", "\udcff"])
def test_an_unknown_one_is_said_to_be_unknown(run: Run, command: str, id_: str) -> None:
    done = run("webhook", command, id_)
    assert done.exit_code == 1 and "There is no webhook" in done.output


def test_replay_wants_an_event_or_all_that_is_dead(run: Run, app: Flask) -> None:
    listen()
    for words in ([], [NOBODY, "--dead"]):
        assert run("webhook", "replay", *words).exit_code == 2
    for event in (NOBODY, "\udcff"):
        done = run("webhook", "replay", event)
        assert done.exit_code == 1 and "no event" in done.output
