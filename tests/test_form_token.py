"""Form tokens: each has one spelling, one site and one hour (SEC-9, SEC-22)."""

import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import assume, given
from hypothesis import strategies as st

from prefcenter import links
from prefcenter.links import Purpose
from prefcenter.web import form_token
from prefcenter.web.form_token import BadFormToken, Way
from tests.conftest import settings_for

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)
VERSION = "0123456789abcdef"
OTHER_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    app = Flask("tokens")
    app.extensions["prefcenter"] = settings_for(
        "sqlite:////tmp/none.sqlite3", tmp_path_factory.mktemp("tokens")
    )
    with app.app_context():
        yield app


def fresh(site: str = "shop", way: Way = Way.FRAME, now: datetime = NOW) -> str:
    return form_token.make(site, VERSION, way, now=now)


def reason(text: str, *, site: str = "shop", now: datetime = LATER) -> str:
    """Why a token is refused, or "" for one that is taken."""
    try:
        form_token.read(text, site=site, now=now)
    except BadFormToken as error:
        return error.reason
    return ""


@given(
    site=st.from_regex(r"[a-z][a-z0-9-]{0,29}", fullmatch=True),
    version=st.text("0123456789abcdef", min_size=16, max_size=16),
    way=st.sampled_from(Way),
    age=st.integers(2_000, 3_599_999),
    microseconds=st.integers(0, 2 * 10**15),
)
def test_what_was_said_is_read(
    app: Flask, site: str, version: str, way: Way, age: int, microseconds: int
) -> None:
    now = NOW + timedelta(microseconds=microseconds)
    text = form_token.make(site, version, way, now=now)
    token = form_token.read(text, site=site, now=now + timedelta(milliseconds=age))
    assert (token.site, token.text_version, token.way) == (site, version, way)
    assert timedelta(0) <= now - token.issued < timedelta(milliseconds=1)
    assert token.nonce == form_token.nonce_of(text)


@pytest.mark.parametrize(
    ("seconds", "why"),
    [(-60, "young"), (0.1, "young"), (1.999, "young"), (2, ""), (1800, ""), (3600, "")]
    + [(3600.001, "old"), (61 * 60, "old"), (90 * 86_400, "old")],
)
def test_it_is_good_from_two_seconds_to_an_hour(app: Flask, seconds: float, why: str) -> None:
    assert reason(fresh(), now=NOW + timedelta(seconds=seconds)) == why


def test_another_sites_token_is_as_bad_as_a_forged_one(app: Flask) -> None:
    assert reason(fresh("shop"), site="blog") == "forged"
    assert reason(fresh("blog"), site="blog") == ""


_SIGNS = st.sampled_from(string.ascii_letters + string.digits + "-_.=~ \n\x00é") | st.characters()


@given(data=st.data(), kind=st.sampled_from(["replace", "insert", "remove", "swap", "append"]))
def test_no_other_spelling_is_taken(app: Flask, data: st.DataObject, kind: str) -> None:
    """SEC-11, SEC-12: also none that only base64 would take for the same."""
    text = fresh()
    at = data.draw(st.integers(0, len(text) - 1))
    sign = data.draw(_SIGNS)
    changed = {
        "replace": text[:at] + sign + text[at + 1 :],
        "insert": text[:at] + sign + text[at:],
        "remove": text[:at] + text[at + 1 :],
        "swap": text[:at] + text[at:][:2][::-1] + text[at + 2 :],
        "append": text + sign,
    }[kind]
    assume(changed != text)
    assert reason(changed) == "forged"


def test_the_last_sign_has_one_spelling(app: Flask) -> None:
    """Two bits of it carry nothing: a lenient reader would take four spellings."""
    text = fresh()
    others = [text[:-1] + sign for sign in string.ascii_letters + string.digits + "-_"]
    assert [one for one in others if reason(one) == ""] == [text]


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_no_other_text_is_taken(app: Flask, text: str) -> None:
    assert reason(text) == "forged"


def test_parts_of_two_tokens_make_none(app: Flask) -> None:
    """Mallory takes the time of one and the nonce of another."""
    one, two = fresh().split("."), fresh("blog", Way.STEP, LATER).split(".")
    for part in range(len(one)):
        mixed = [*one[:part], two[part], *one[part + 1 :]]
        for site in ("shop", "blog"):
            assert mixed == one or reason(".".join(mixed), site=site) == "forged"


def test_a_link_is_no_form_token_and_the_reverse(app: Flask) -> None:
    """SEC-9: the same secret, another purpose."""
    link = links.make(Purpose.CONFIRM, 5, now=NOW)
    assert reason(link) == "forged"
    with pytest.raises(links.BadLink):
        links.read(Purpose.CONFIRM, fresh(), now=LATER)


@pytest.mark.parametrize(("keep", "why"), [(True, ""), (False, "forged")])
def test_a_new_key_keeps_open_forms_good(app: Flask, keep: bool, why: str) -> None:
    old = app.extensions["prefcenter"]
    keys = [OTHER_KEY, *(old.secret_keys if keep else [])]
    text = fresh()
    later = Flask("later")
    later.extensions["prefcenter"] = settings_for(
        "sqlite:////tmp/none.sqlite3", Path(old.data_dir), SECRET_KEYS=",".join(keys)
    )
    with later.app_context():
        assert reason(text) == why
        assert reason(fresh()) == ""


def test_every_token_has_a_nonce_of_its_own(app: Flask) -> None:
    assert len({form_token.nonce_of(fresh()) for _ in range(500)}) == 500
