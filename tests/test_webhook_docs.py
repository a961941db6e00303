"""docs/webhooks.md: its receiver verifies what we send, and its commands and its example are true."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from flask import Flask

from prefcenter import telling
from prefcenter.clock import now as real_now
from prefcenter.database import db, writing
from prefcenter.models import EventKind
from prefcenter.upkeep import endpoints, notice_bodies, notice_outcomes, notices, webhook_keys
from tests import terminal
from tests.cast import ALICE, Town
from tests.conftest import Clock
from tests.crm import Crm, happens, listen, subscriber
from tests.receiver import Receiver
from tests.watching import until

PAGE = (Path(__file__).parents[1] / "docs" / "webhooks.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
[PROGRAM] = [text for kind, text in BLOCKS if kind == "python"]
[EXAMPLE] = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
COMMANDS = [
    line.partition(" > ")[0].removeprefix("prefcenter ")
    for kind, text in BLOCKS
    if kind == "sh"
    for line in text.splitlines()
    if line.startswith("prefcenter ")
]

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def free_port() -> int:
    with Receiver() as taken:
        return taken.port


@on_sqlite
def test_the_receiver_of_the_page_takes_what_is_genuine_and_keeps_the_newest(
    town: Town, now: Clock, tmp_path: Path
) -> None:
    now.moment = real_now()  # the library looks at the real clock
    port, file, kept = free_port(), tmp_path / "hook.py", tmp_path / "kept.json"
    store = '            people[data["person"]] = data\n'
    assert store in PROGRAM
    tell = f"            open({str(kept)!r}, 'w').write(json.dumps(people))\n"
    file.write_text(PROGRAM.replace(store, store + tell), encoding="utf-8")
    with writing():
        endpoint, secret = endpoints.add(f"http://127.0.0.1:{port}/", after=0, now=now.moment)
        db.session.commit()
    env = os.environ | {"PREFCENTER_WEBHOOK_SECRET": secret, "PORT": str(port)}
    errors = (tmp_path / "errors").open("w+")
    program = subprocess.Popen([sys.executable, file], env=env, stderr=errors)
    try:
        keys = [webhook_keys.keys_of(endpoint, now=now.moment)]
        url = endpoint.url

        def listens() -> bool:
            assert program.poll() is None, (tmp_path / "errors").read_text()
            return endpoints.ping(url, keys[0], now=real_now()).taken

        until(listens, "the program listens")
        forged = [b"forged" * 6]
        until(lambda: endpoints.ping(url, forged, now=real_now()).status == 401, "the refusal")
        link = town.alice()
        town.browser.post(f"{link}/stop")
        telling.Round(endpoint.id, telling.post, threading.Event()).run()
        [alice] = json.loads(kept.read_text()).values()
        assert (alice["number"], alice["status"]) == (ALICE, "unsubscribed")
    finally:
        program.terminate()
        program.wait(10)
        errors.close()


@on_sqlite
def test_the_example_has_the_fields_that_are_sent(app: Flask, now: Clock) -> None:
    endpoint, crm = listen(), Crm()
    subscriber(143, now=now.moment)
    crm.told(endpoint)
    said = json.loads(crm.taken[0].body)
    assert said["type"] == EXAMPLE["type"] and said.keys() == EXAMPLE.keys()
    assert said["data"].keys() == EXAMPLE["data"].keys()
    for name, value in EXAMPLE["data"].items():
        assert type(said["data"][name]) is type(value), name


@on_sqlite
def test_the_page_names_every_type_and_kind(app: Flask) -> None:
    for kind, name in notice_bodies.TYPES.items():
        assert f"| `{name}` |" in PAGE
        assert f"`{kind}`" in PAGE


def test_the_page_names_the_waits() -> None:
    hours = [f"{s // 3600}" for s in notice_outcomes.RETRY if s >= 7200]
    assert f"{', '.join(hours[:-1])} and {hours[-1]} hours" in PAGE
    assert notice_outcomes.RETRY[:3] == (5, 300, 1800)
    assert "after 5 seconds, 5 minutes, 30 minutes, " in PAGE.replace("\n", " ").replace("  ", " ")
    assert f"After {['five'][notices.IN_A_ROW - 5]} failures in a row" in PAGE
    assert "ten\naddresses at most" in PAGE and endpoints.MOST == 10


@on_sqlite
def test_the_commands_of_the_page_work(
    app: Flask, now: Clock, monkeypatch: pytest.MonkeyPatch, receiver_url: str
) -> None:
    run = terminal.of(app, monkeypatch)
    assert len(COMMANDS) == 3
    add, dead, one = COMMANDS
    url, event = "https://crm.example.com/hooks/consent", "0aH-Xn2V4mTzq8yKc1LrWg"
    assert url in add and event in one
    added = run(*shlex.split(add.replace(url, receiver_url)))
    assert added.exit_code == 0, added.output
    subscriber(143, now=now.moment)
    happens(1, EventKind.REVOKED)
    crm = Crm()
    crm.told(endpoints.every()[0])
    assert run(*shlex.split(dead)).exit_code == 0
    told = run(*shlex.split(one.replace(event, crm.taken[0].webhook_id)))
    assert (told.exit_code, told.output) == (0, "1 is told again.\n")


@pytest.fixture
def receiver_url() -> str:
    return f"http://127.0.0.1:{free_port()}/"
