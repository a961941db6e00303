"""Signed links: one spelling, one purpose, one person, old ones known, forged ones not."""

import base64
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from prefcenter import links
from prefcenter.config import Settings
from prefcenter.links import BadLink, Purpose
from tests.conftest import settings_for

TODAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
OPENING_DAY = datetime(2026, 1, 10, tzinfo=UTC)  # one span to try, so a read is cheap
MINUTE = timedelta(minutes=1)
ALICE, BOB = 0x0102030405, 0x0102030406
ALPHABET = string.ascii_lowercase + "234567"
OLD_KEY, NEW_KEY = "0f" * 32, "a1b2c3d4" * 8
IDS = st.integers(0, (1 << links.LINK_ID_BITS) - 1)
MOMENTS = st.integers(0, 7 * 365 * 1440 * 60).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


class Owner:
    """The deployment whose links these are; its keys can be changed."""

    def __init__(self, settings: Settings) -> None:
        self.app = Flask("links")
        self.settings = settings

    def use_keys(self, *keys: str) -> None:
        self.app.extensions["prefcenter"] = replace(self.settings, secret_keys=keys)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder: Path = tmp_path_factory.mktemp("links")
    owner = Owner(settings_for(f"sqlite:///{folder / 'none.sqlite3'}", folder))
    with owner.app.app_context():
        yield owner


@pytest.fixture(autouse=True)
def usual_keys(owner: Owner) -> None:
    owner.use_keys(NEW_KEY)


def accepted(purpose: Purpose, token: str, now: datetime = TODAY) -> bool:
    try:
        links.read(purpose, token, now=now)
    except BadLink:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(
    purpose=st.sampled_from(Purpose), link_id=IDS, issued=MOMENTS, age=st.integers(0, 366 * 1440)
)
def test_a_link_says_what_it_was_made_for(
    purpose: Purpose, link_id: int, issued: datetime, age: int
) -> None:
    """SEC-12, SEC-13: person and minute of issue come back, at any age up to a year."""
    token = links.make(purpose, link_id, now=issued)
    assert len(token) == links.TOKEN_LENGTH == 31
    assert set(token) <= set(ALPHABET)

    found = links.read(purpose, token, now=issued + timedelta(minutes=age))

    assert found.link_id == link_id
    assert found.issued == issued.replace(second=0, microsecond=0)
    assert found.token == token


@settings(max_examples=60, deadline=None)
@given(link_id=IDS, issued=MOMENTS, other=IDS)
def test_no_other_purpose_or_person_takes_it(link_id: int, issued: datetime, other: int) -> None:
    """SEC-9, SEC-13: the MAC of one link is no good for another."""
    token = links.make(Purpose.MANAGE, link_id, now=issued)
    for purpose in set(Purpose) - {Purpose.MANAGE}:
        assert not accepted(purpose, token, issued)
    if other != link_id:
        raw = decoded(token)
        assert not accepted(Purpose.MANAGE, spelled(other.to_bytes(5, "big") + raw[5:]), issued)


def decoded(token: str) -> bytes:
    return base64.b32decode(token.upper() + "=")


def spelled(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


FOLDED: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "first letter large": str.title,
    "full stop": lambda t: t + ".",
    "bracket and comma": lambda t: t + "),",
    "quote and new line": lambda t: t + "\u201d…\n",
    "several": lambda t: t + "'!? ",
}
REFUSED: dict[str, Callable[[str], str]] = {
    "leading full stop": lambda t: "." + t,
    "leading space": lambda t: " " + t,
    "padding": lambda t: t + "=",
    "one more": lambda t: t + "a",
    "one less": lambda t: t[:-1],
    "hyphen inside": lambda t: t[:15] + "-" + t[15:],
    "space inside": lambda t: t[:15] + " " + t[15:],
    "percent inside": lambda t: t[:15] + "%20" + t[15:],
    "kelvin sign": lambda t: t.replace("k", "\u212a"),  # .lower() makes it a k
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) for c in t),
    "slash": lambda t: t + "/",
    "nul": lambda t: t + "\x00",
    "nothing": lambda t: "",
    "full stops alone": lambda t: "." * 31,
    "many times": lambda t: t * 40,
}


@pytest.mark.parametrize("fold", FOLDED.values(), ids=FOLDED)
def test_case_and_trailing_punctuation_are_folded(fold: Callable[[str], str]) -> None:
    """SEC-12: the two foldings; rules see one token whatever was typed."""
    token = links.make(Purpose.CONFIRM, ALICE, now=TODAY)
    found = links.read(Purpose.CONFIRM, fold(token), now=TODAY)
    assert found == links.read(Purpose.CONFIRM, token, now=TODAY)
    assert found.token == token


@pytest.mark.parametrize("spell", REFUSED.values(), ids=REFUSED)
def test_every_other_spelling_is_refused(spell: Callable[[str], str]) -> None:
    """SEC-12."""
    minutes = (TODAY + count * MINUTE for count in range(500))
    tokens = (links.make(Purpose.CONFIRM, ALICE, now=minute) for minute in minutes)
    token = next(token for token in tokens if "k" in token)
    now = TODAY + 500 * MINUTE
    assert accepted(Purpose.CONFIRM, token, now)
    assert not accepted(Purpose.CONFIRM, spell(token), now)


def test_the_last_character_has_one_spelling() -> None:
    """SEC-12: 31 characters hold 3 bits more than the token needs; they must be zero."""
    token = links.make(Purpose.MANAGE, ALICE, now=TODAY)
    last = [token[:-1] + char for char in ALPHABET]
    assert [spelling for spelling in last if accepted(Purpose.MANAGE, spelling)] == [token]


def test_mallory_changes_a_token_200_000_times_and_none_is_accepted() -> None:
    """SEC-11. A fifth of the million asked for, so that the suite stays quick."""
    chance = random.Random(11)
    token = links.make(Purpose.MANAGE, ALICE, now=OPENING_DAY)
    bob = links.make(Purpose.MANAGE, BOB, now=OPENING_DAY)
    other = links.make(Purpose.CONFIRM, ALICE, now=OPENING_DAY)
    ours = {token, bob}
    tried = 0
    for changed in mutations(token, bob, other, chance):
        if changed not in ours:
            tried += 1
            assert not accepted(Purpose.MANAGE, changed, OPENING_DAY), changed
        if tried == 200_000:
            return


def mutations(token: str, bob: str, other: str, chance: random.Random) -> Iterator[str]:
    """Every near miss first, then chance."""
    raw = decoded(token)
    for bit in range(len(raw) * 8):
        flipped = int.from_bytes(raw, "big") ^ (1 << bit)
        yield spelled(flipped.to_bytes(len(raw), "big"))
    for place in range(len(token)):
        yield from (token[:place] + char + token[place + 1 :] for char in ALPHABET)
        yield token[:place] + token[place + 1 :]
        yield token[:place] + bob[place:]
        yield bob[:place] + token[place:]
        yield other[:place] + token[place:]
    for minute in range(1 << 16):  # every time of issue
        yield spelled(raw[:5] + minute.to_bytes(2, "big") + raw[7:])
    for _ in range(70_000):  # every id near hers, and any MAC
        yield spelled(((ALICE + chance.randrange(2, 1 << 20)).to_bytes(5, "big")) + raw[5:])
    while True:
        yield spelled(raw[:7] + chance.randbytes(12))


def test_a_key_lives_until_it_is_taken_off_the_list(owner: Owner) -> None:
    """REL-19: rotation breaks no link; removal breaks exactly those of the removed key."""
    owner.use_keys(OLD_KEY)
    before = links.make(Purpose.MANAGE, ALICE, now=TODAY)
    owner.use_keys(NEW_KEY, OLD_KEY)
    after = links.make(Purpose.MANAGE, ALICE, now=TODAY)
    assert after != before
    assert accepted(Purpose.MANAGE, before)
    assert accepted(Purpose.MANAGE, after)
    owner.use_keys(NEW_KEY)
    assert not accepted(Purpose.MANAGE, before)
    assert accepted(Purpose.MANAGE, after)
    owner.use_keys(OLD_KEY)
    assert accepted(Purpose.MANAGE, before)
    assert not accepted(Purpose.MANAGE, after)


@pytest.mark.parametrize("days", [0, 44, 45, 46, 91, 137, 366, 5 * 365])
def test_age_is_exact_beyond_what_two_bytes_can_tell(days: int) -> None:
    """SEC-14: a lowering link lives a year and more, and its age is not mistaken."""
    token = links.make(Purpose.UNSUBSCRIBE, ALICE, now=TODAY)
    found = links.read(Purpose.UNSUBSCRIBE, token, now=TODAY + timedelta(days=days))
    assert found.issued == TODAY
    assert found.older_than(timedelta(days=days), TODAY + timedelta(days=days))
    assert not found.older_than(timedelta(days=days, seconds=1), TODAY + timedelta(days=days))


@pytest.mark.parametrize(("ahead", "known"), [(1, True), (5, True), (10, True), (11, False)])
def test_a_host_whose_clock_is_fast_makes_links_that_work(ahead: int, known: bool) -> None:
    """REL-15: five minutes of skew change nothing; a link from the far future is not ours."""
    token = links.make(Purpose.CONFIRM, ALICE, now=TODAY + timedelta(minutes=ahead))
    assert accepted(Purpose.CONFIRM, token) is known


def test_no_link_from_before_an_opt_out_raises_after_it() -> None:
    """SEC-16, also within the same minute."""
    stopped = TODAY + timedelta(seconds=40)

    def link(issued: datetime, opted_out_at: datetime | None = None) -> links.Link:
        token = links.make(Purpose.CONFIRM, ALICE, now=issued, opted_out_at=opted_out_at)
        return links.read(Purpose.CONFIRM, token, now=TODAY + timedelta(minutes=2))

    assert link(TODAY).raises_after(None)
    assert not link(TODAY - timedelta(minutes=5)).raises_after(stopped)
    assert not link(TODAY).raises_after(stopped)
    assert not link(TODAY + timedelta(seconds=50)).raises_after(stopped)
    later = link(TODAY + timedelta(seconds=50), opted_out_at=stopped)
    assert later.issued == TODAY + MINUTE
    assert later.raises_after(stopped)
    assert link(TODAY + MINUTE).raises_after(stopped)


def test_a_whole_link_is_short_and_comes_from_the_public_url_alone(owner: Owner) -> None:
    """SEC-3; RULES: 54 characters at most with a 12-character host."""
    owner.settings = replace(owner.settings, public_url="https://txt.shop.com")
    owner.use_keys(NEW_KEY)
    for purpose in Purpose:
        whole = links.url(purpose, ALICE, now=TODAY)
        assert whole.startswith("https://txt.shop.com" + links.PATHS[purpose])
        assert len(whole) <= 54


def test_a_malformed_token_costs_as_many_macs_as_a_forged_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """SEC-19: time does not tell which of the two it was."""
    made: list[int] = []
    real = links._ShortHmac.get_signature
    monkeypatch.setattr(
        links._ShortHmac,
        "get_signature",
        lambda self, key, value: made.append(1) or real(self, key, value),
    )
    counts = []
    for token in ("a" * 31, "not a token", "", "é" * 31):
        made.clear()
        assert not accepted(Purpose.MANAGE, token)
        counts.append(len(made))
    assert len(set(counts)) == 1
    assert counts[0] > 1
