"""docs/api.md: each example is run as a reader would, against `prefcenter serve`."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from prefcenter import clock, config
from prefcenter.consent import api_keys, sites
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, Source
from prefcenter.web import api, pages
from tests.browser.shop import Shop

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
PYTHON = "\n\n".join(text for kind, text in BLOCKS if kind == "python")
ANSWERS = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
NUMBER = "(415) 555-0143"
VERSION = "3f2a9c0d1e4b5a67"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("api"))
    with shop.app.app_context(), writing():
        sites.add("web-shop", "Web shop", origins=["https://shop.example.com"], now=clock.now())
        db.session.commit()
    yield shop
    shop.close()


@pytest.fixture
def version(shop: Shop) -> str:
    with shop.app.test_request_context():
        return pages.text_version(pages.shown_text("signup", "en"))


def own(text: str, shop: Shop, version: str, number: str = NUMBER) -> str:
    """An example with the reader's own address, text and customer in it."""
    for theirs, ours in ((VERSION, version), (NUMBER, number)):
        assert theirs in text
        text = text.replace(theirs, ours)
    assert "https://prefs.example.com" in text
    return text.replace("https://prefs.example.com", shop.url)


def run_python(shop: Shop, folder: Path, version: str, number: str = NUMBER) -> str:
    with shop.app.app_context(), writing():
        names = [key.name for key in api_keys.every()]
        secret = api_keys.make(f"python-{len(names)}", ["write"], now=clock.now())
        db.session.commit()
    file = folder / "checkout.py"
    file.write_text(own(PYTHON, shop, version, number), encoding="utf-8")
    environ = os.environ | {"PREFCENTER_KEY": secret}
    done = subprocess.run(
        [sys.executable, file], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_shell_examples_hand_alice_in(shop: Shop, version: str, tmp_path: Path) -> None:
    """From a new key to the text on her phone, by copy and paste."""
    key, curl = SHELL
    number = shop.number()
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **shop.environ,
    }
    script = "set -eu\n" + key + own(curl, shop, version, number)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ANSWERS[0]
    assert (tmp_path / "key.header").stat().st_mode & 0o077 == 0
    assert shop.texted(number, "/c/").startswith("/c/")
    with shop.app.app_context():
        event = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert event is not None
        assert (event.source, event.source_detail) == (Source.API, "web-shop")
        db.session.rollback()


def test_the_python_example_hands_bob_in(shop: Shop, version: str, tmp_path: Path) -> None:
    number = shop.number()
    assert run_python(shop, tmp_path, version, number) == "Look at your phone.\n"
    assert shop.texted(number, "/c/").startswith("/c/")


def test_the_python_example_says_what_is_wrong(shop: Shop, version: str, tmp_path: Path) -> None:
    said = run_python(shop, tmp_path, version, "555 0143")
    problem = ANSWERS[1]
    assert said == "#/number " + problem["errors"][0]["detail"] + "\n"
    said = run_python(shop, tmp_path, "0" * 16)
    assert said.startswith("Please read this again: I agree to get")


def test_the_problem_on_the_page_is_the_one_that_is_sent(shop: Shop, version: str) -> None:
    with shop.app.app_context(), writing():
        secret = api_keys.make("reader-of-the-page", ["write"], now=clock.now())
        db.session.commit()
    body = {"site": "web-shop", "number": "415 555", "consent": True, "text_version": version}
    body |= {"page_url": "https://shop.example.com/checkout", "button": "Pay now"}
    answer = shop.app.test_client().post(
        "/api/v1/opt-ins", json=body, headers={"Authorization": f"Bearer {secret}"},
        base_url=shop.url,
    )  # fmt: skip
    assert answer.get_json() == ANSWERS[1]


def test_two_authorization_headers_are_refused_on_the_wire(shop: Shop, version: str) -> None:
    """The server may hand a program both, one, or both in one line: none of them opens."""
    with shop.app.app_context(), writing():
        secret = api_keys.make("twice", ["write"], now=clock.now())
        db.session.commit()
    body = {"site": "web-shop", "number": "415 555", "consent": True, "text_version": version}
    statuses = []
    for keys in ([secret], [secret, secret], [secret, "pck_x"], ["pck_x", secret]):
        parts = urlsplit(shop.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        raw = json.dumps(body).encode()
        connection.putrequest("POST", "/api/v1/opt-ins")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(raw)))
        for key in keys:
            connection.putheader("Authorization", f"Bearer {key}")
        connection.endheaders(raw)
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [422, 401, 401, 401]


def test_every_field_is_in_the_table_and_no_other() -> None:
    named = re.findall(r"^\| `(\w+)` \| (given|`true`|optional)", PAGE, re.MULTILINE)
    fields = api.OptIn.model_fields
    assert [name for name, _must in named] == list(fields)
    for name, must in named:
        assert fields[name].is_required() == (must != "optional"), name
    for language in config.LANGUAGES:
        assert f"`{language}`" in PAGE
