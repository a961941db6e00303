"""docs/decisions-api.md: each example is run as a reader would, against `prefcenter serve`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
import sqlalchemy as sa

from prefcenter import clock
from prefcenter.consent import api_keys, reserving
from prefcenter.consent.send_windows import is_zone
from prefcenter.database import db, writing
from prefcenter.models import Person
from prefcenter.models_sending import Reservation
from prefcenter.sms.unstored import HOLD
from prefcenter.web import api_decisions
from tests.browser.shop import Shop

PAGE = (Path(__file__).parents[1] / "docs" / "decisions-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KEY, ONE, MANY = (text for kind, text in BLOCKS if kind == "sh")
PYTHON = "\n\n".join(text for kind, text in BLOCKS if kind == "python")
[ANSWER] = (json.loads(text) for kind, text in BLOCKS if kind == "json")
[MORE] = (json.loads("{" + text + "}") for kind, text in BLOCKS if kind == "text")
ALICE, NOBODY = "+14155550143", "+14155550199"
WORDS = ("decision", "reason", "detail", "degraded")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(tmp_path_factory.mktemp("decisions"))
    yield shop
    shop.close()


@pytest.fixture
def alice(shop: Shop) -> str:
    """Somebody who just said yes, and lives where it is noon."""
    number, now = shop.number(), clock.now()
    shop.alice(number)
    zones = sorted(available_timezones())
    zone = next(z for z in zones if is_zone(z) and now.astimezone(ZoneInfo(z)).hour == 12)
    with shop.app.app_context(), writing():
        db.session.execute(sa.update(Person).where(Person.number == number).values(zone=zone))
        db.session.commit()
    return number


def own(text: str, shop: Shop, number: str) -> str:
    """An example with the reader's own address and customer in it."""
    assert "https://prefs.example.com" in text and ALICE in text
    return text.replace("https://prefs.example.com", shop.url).replace(ALICE, number)


def run(shop: Shop, folder: Path, script: str) -> str:
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **shop.environ,
    }
    done = subprocess.run(
        ["bash", "-c", "set -eu\n" + script],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shell_examples(shop: Shop, alice: str, tmp_path: Path) -> None:
    """From a new key to both answers, by copy and paste."""
    one = json.loads(run(shop, tmp_path, KEY + own(ONE, shop, alice)))
    assert list(one) == list(ANSWER) and list(one["evidence"]) == list(ANSWER["evidence"])
    assert [one[word] for word in WORDS] == [ANSWER[word] for word in WORDS]
    assert len(one["evidence"]["wording_sha256"]) == len(ANSWER["evidence"]["wording_sha256"])
    many = json.loads(run(shop, tmp_path, own(MANY, shop, alice)))
    assert [answer["reason"] for answer in many] == ["subscribed", "unknown_number"]
    assert NOBODY in MANY


def test_the_python_example_texts_alice_once(shop: Shop, alice: str, tmp_path: Path) -> None:
    with shop.app.app_context(), writing():
        names = {key.name for key in api_keys.every()}
        secret = api_keys.make(f"python-{len(names)}", ["decide"], now=clock.now())
        db.session.commit()
    file = tmp_path / "campaign.py"
    file.write_text(own(PYTHON, shop, alice), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, file], env=os.environ | {"PREFCENTER_KEY": secret},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "sent\nunknown_number\n"), done.stderr
    with shop.app.app_context():
        held = db.session.scalars(sa.select(Reservation)).all()
        assert [one.sent_at is not None for one in held] == [True]
        db.session.rollback()


def test_every_field_is_in_the_table_and_no_other() -> None:
    named = re.findall(r"^\| `(\w+)` \| (given|this|or this|optional) \|", PAGE, re.MULTILINE)
    fields = api_decisions.Question.model_fields
    assert [name for name, _must in named] == list(fields)
    assert {name for name, must in named if must == "given"} == {
        name for name, field in fields.items() if field.is_required()
    }


def test_the_numbers_on_the_page_are_those_of_the_code() -> None:
    assert f"{api_decisions.MOST_NUMBERS:,} numbers" in PAGE
    assert f"{api_decisions.MOST_BYTES // 1024} KiB" in PAGE
    assert f"{HOLD.total_seconds() / 60:.0f} minutes" in PAGE
    assert reserving.HELD_FOR.total_seconds() == 3600 and "after one hour" in PAGE
    assert list(MORE["reservation"]) == ["id", "expires_at"]
