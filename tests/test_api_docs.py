"""docs/api.md: each example is run as a reader would, against `prefcenter serve`."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from prefcenter import clock, config
from prefcenter.consent import api_keys, by_hand, elsewhere, objections, sites
from prefcenter.database import db, writing
from prefcenter.models import ConsentEvent, Person, Source
from prefcenter.web import api, api_attest, api_people, guards, pages
from tests.browser.shop import Shop

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
CLIENT, CHECKOUT = (text for kind, text in BLOCKS if kind == "python")
ACCEPTED, ATTESTED, RECORDED, LOOKED_UP, PROBLEM = (
    json.loads(text) for kind, text in BLOCKS if kind == "json"
)
NUMBER, OTHER = "(415) 555-0143", "(415) 555-0144"
VERSION = "3f2a9c0d1e4b5a67"
GIVEN = "2026-09-12T10:40:00-07:00"
HERE = "https://prefs.example.com"


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


def own(text: str, shop: Shop, **ours: str) -> str:
    """An example with the reader's own address, text and customers in it."""
    names = {"number": NUMBER, "other": OTHER, "version": VERSION, "given": GIVEN}
    for name, value in ours.items():
        text = text.replace(names[name], value)
    assert HERE in text
    return text.replace(HERE, shop.url)


def run_shell(shop: Shop, folder: Path, script: str) -> str:
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **shop.environ,
    }
    done = subprocess.run(
        ["bash", "-c", "set -eu\n" + script],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(shop: Shop, folder: Path, version: str, number: str = NUMBER) -> str:
    with shop.app.app_context(), writing():
        names = [key.name for key in api_keys.every()]
        secret = api_keys.make(f"python-{len(names)}", ["write"], now=clock.now())
        db.session.commit()
    (folder / "prefcenter_client.py").write_text(CLIENT, encoding="utf-8")
    file = folder / "checkout.py"
    file.write_text(own(CHECKOUT, shop, version=version, number=number), encoding="utf-8")
    environ = os.environ | {"PREFCENTER_KEY": secret}
    done = subprocess.run(
        [sys.executable, file], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def shape(value: Any) -> Any:
    """The names in an answer, and what kind of value each has."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [shape(one) for one in value]
    return type(value).__name__


def test_the_shell_examples_work_by_copy_and_paste(
    shop: Shop, version: str, tmp_path: Path
) -> None:
    """From new keys to Alice's link, Bob's signature, Alice's refusal and a look at Bob."""
    keys, form, attested, refusal, lookup = SHELL
    alice, bob = shop.number(), shop.number()
    run_shell(shop, tmp_path, keys)
    for name in ("web-shop", "crm", "till"):
        assert (tmp_path / f"{name}.header").stat().st_mode & 0o077 == 0

    said = run_shell(shop, tmp_path, own(form, shop, version=version, number=alice))
    assert json.loads(said) == ACCEPTED
    link = shop.texted(alice, "/c/")
    with shop.app.app_context():
        event = db.session.scalars(sa.select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
        assert event is not None
        assert (event.source, event.source_detail) == (Source.API, "web-shop")
        db.session.rollback()

    given = f"{clock.now() - timedelta(days=70):%Y-%m-%dT%H:%M:%S}-07:00"
    said = run_shell(shop, tmp_path, own(attested, shop, other=bob, given=given))
    assert {**json.loads(said), "event": ATTESTED["event"]} == ATTESTED
    assert shop.texts(bob), "the welcome"

    said = run_shell(shop, tmp_path, own(refusal, shop, number=alice))
    assert {**json.loads(said), "event": RECORDED["event"]} == RECORDED
    assert shop.get(link).status_code in (200, 410)
    shop.post(link)
    assert where(shop, alice) == "unsubscribed"

    said = run_shell(shop, tmp_path, own(lookup, shop, other=bob))
    found = json.loads(said)
    assert shape(found) == shape(LOOKED_UP)
    for name in ("status", "opt_in_level", "categories", "frequency", "language", "country"):
        assert found[name] == LOOKED_UP[name]


def where(shop: Shop, number: str) -> str:
    with shop.app.app_context():
        found = db.session.scalars(sa.select(Person.status).where(Person.number == number)).one()
        db.session.rollback()
        return found.value


def test_the_python_example_hands_bob_in(shop: Shop, version: str, tmp_path: Path) -> None:
    number = shop.number()
    assert run_python(shop, tmp_path, version, number) == "Look at your phone.\n"
    assert shop.texted(number, "/c/").startswith("/c/")


def test_the_python_example_says_what_is_wrong(shop: Shop, version: str, tmp_path: Path) -> None:
    said = run_python(shop, tmp_path, version, "555 0143")
    assert said == "#/number " + PROBLEM["errors"][0]["detail"] + "\n"
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
    assert answer.get_json() == PROBLEM


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


def fields_of(head: str) -> dict[str, str]:
    """The fields in the table that begins so, and whether each must be given."""
    table = PAGE.partition(f"\n| {head} |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (given|`true`|optional)", table, re.MULTILINE))


@pytest.mark.parametrize(
    ("head", "model"),
    [
        ("Field", api.OptIn),
        ("Field of `proof`", api_attest.Elsewhere),
        ("Field of an opt-out", api_people.OptOut),
    ],
)
def test_every_field_is_in_its_table_and_no_other(head: str, model: type[BaseModel]) -> None:
    named, fields = fields_of(head), model.model_fields
    assert list(named) == list(fields)
    for name, must in named.items():
        assert fields[name].is_required() == (must != "optional"), name


def test_what_may_stand_in_a_field_is_on_the_page() -> None:
    table = PAGE.partition("\n| `reason` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(objections.Reason)
    for word in (*config.LANGUAGES, *elsewhere.Method, *by_hand.Channel, *api_keys.SCOPES):
        assert f"`{word}`" in PAGE, word


@pytest.mark.usefixtures("shop")
def test_every_call_of_the_api_is_on_the_page_and_in_the_client(shop: Shop) -> None:
    for rule in shop.app.url_map.iter_rules():
        if guards.guard_of(shop.app, rule.endpoint) != "API key":
            continue
        head, _, rest = rule.rule.removeprefix("/api/v1").partition("<ref>")
        assert f'"{head}' in CLIENT or head in CLIENT, rule.rule
        assert rest in CLIENT
        if not rest:
            assert rule.rule in PAGE, rule.rule
