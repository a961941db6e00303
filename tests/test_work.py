"""The proof of work: one challenge, one form token, and nothing else is an answer."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import altcha
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.web import work
from tests.conftest import settings_for

NONCE = "a" * 20
OTHER_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = Flask("work")
    app.extensions["prefcenter"] = settings_for(
        "sqlite:////tmp/none.sqlite3", tmp_path_factory.mktemp("work")
    )
    with app.app_context():
        yield app


def solved(challenge: dict[str, Any]) -> str:
    """What Alice's browser sends after its half second."""
    asked = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(asked)
    assert solution is not None
    return altcha.Payload(asked, solution).to_base64()


@pytest.fixture(scope="module")
def answer(app: Flask) -> str:
    return solved(work.challenge(NONCE, hard=False))


def test_alices_work_is_taken_for_her_form_alone(app: Flask, answer: str) -> None:
    assert work.is_done(answer, NONCE)
    assert not work.is_done(answer, "b" * 20)  # Mallory solves once and sends a hundred forms


def test_it_takes_some_hundred_tries_and_more_rounds_when_it_is_hard(app: Flask) -> None:
    easy, hard = (work.challenge(NONCE, hard=hard)["parameters"] for hard in (False, True))
    assert (easy["algorithm"], easy["cost"]) == ("PBKDF2/SHA-256", 1_000)
    assert hard["cost"] == 5_000
    tries = altcha.solve_challenge(altcha.Challenge.from_dict(work.challenge(NONCE, hard=False)))
    assert tries is not None and 300 <= tries.counter <= 600


def test_mallory_cannot_make_it_easier(app: Flask, answer: str) -> None:
    """A cheaper challenge, another nonce and a made-up key are all refused."""
    said = json.loads(base64.b64decode(answer))
    for change in (
        {"cost": 1},
        {"keyPrefix": "00"},
        {"data": {"n": "b" * 20}},
        {"keySignature": None},
        {"data": None},
    ):
        parameters = said["challenge"]["parameters"] | change
        forged = {
            "challenge": said["challenge"] | {"parameters": parameters},
            "solution": said["solution"],
        }
        text = base64.b64encode(json.dumps(forged).encode()).decode()
        assert not work.is_done(text, parameters["data"]["n"] if parameters["data"] else NONCE)
    unsolved = said | {"solution": {"counter": 1, "derivedKey": "00" * 32}}
    assert not work.is_done(base64.b64encode(json.dumps(unsolved).encode()).decode(), NONCE)
    made_at_home = altcha.create_challenge(
        "PBKDF2/SHA-256", 1, counter=1, data={"n": NONCE}, hmac_secret="x", hmac_key_secret="y"
    )
    assert not work.is_done(solved(made_at_home.to_dict()), NONCE)
    unsigned = altcha.create_challenge("PBKDF2/SHA-256", 1, counter=1, data={"n": NONCE})
    assert not work.is_done(solved(unsigned.to_dict()), NONCE)


def test_work_survives_a_new_key_and_not_a_strangers(app: Flask, answer: str) -> None:
    settings = app.extensions["prefcenter"]
    folder = Path(settings.data_dir)
    for keys, good in (((OTHER_KEY, settings.secret_keys[0]), True), ((OTHER_KEY,), False)):
        later = Flask("later")
        later.extensions["prefcenter"] = settings_for(
            "sqlite:////tmp/none.sqlite3", folder, SECRET_KEYS=",".join(keys)
        )
        with later.app_context():
            assert work.is_done(answer, NONCE) is good


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_PARAMETERS = st.dictionaries(
    st.sampled_from(
        ["algorithm", "cost", "nonce", "salt", "data", "expiresAt", "keySignature", "keyPrefix"]
    ),
    _JSON,
)
_SHAPED = st.fixed_dictionaries(
    {
        "challenge": st.fixed_dictionaries({"parameters": _PARAMETERS | _JSON, "signature": _JSON})
        | _JSON,
        "solution": st.fixed_dictionaries({"counter": _JSON, "derivedKey": _JSON}) | _JSON,
    }
)


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_no_text_is_an_answer(app: Flask, text: str) -> None:
    assert not work.is_done(text, NONCE)


@given(_JSON | _SHAPED)
def test_no_json_is_an_answer(app: Flask, value: object) -> None:
    text = base64.b64encode(json.dumps(value).encode()).decode()
    assert not work.is_done(text, NONCE)


def test_a_huge_or_deep_answer_is_refused_at_once(app: Flask, answer: str) -> None:
    deep = base64.b64encode(b"[" * 3_000).decode()
    for text in ("", deep, answer + " " * 4_096, "A" * 100_000):
        assert not work.is_done(text, NONCE)
