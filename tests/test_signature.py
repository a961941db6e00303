"""Webhooks are believed when Vonage signed them, for this body, of late; never otherwise."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from prefcenter.sms import signature
from prefcenter.sms.signature import BadToken, ClockTrouble, Keys, Unsigned
from tests import webhooks
from tests.webhooks import APPLICATION_ID, FAULTS, SECRET, Fault, claims, sign, token

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
RAW = webhooks.inbound_body("STOP", message_id="1-a", at=NOW)
KEYS = Keys(webhooks.API_KEY, (SECRET,), APPLICATION_ID, application_required=True)
OLD_SECRET = "old" * 12


def verdict(
    authorization: list[str], raw: bytes = RAW, *, keys: Keys = KEYS, now: datetime = NOW
) -> tuple[int, str]:
    """The status that the answer will have, and the word for the log. Nothing else may come."""
    try:
        signature.verify(authorization, raw, keys, now=now)
    except Unsigned:
        return 503, "unsigned"
    except ClockTrouble:
        return 503, "clock"
    except BadToken as error:
        assert str(error) == error.reason
        assert error.__context__ is None or error.__suppress_context__  # no token in a traceback
        return 401, error.reason
    return 200, ""


def judged(made: str, **more: object) -> tuple[int, str]:
    return verdict([f"Bearer {made}"], **more)  # type: ignore[arg-type]  # by name


def test_a_genuine_post_is_believed() -> None:
    assert verdict([webhooks.headers(RAW, now=NOW)["Authorization"]]) == (200, "")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_fault_is_believed_and_each_has_its_own_answer(fault: Fault) -> None:
    """SEC-32: nothing at all is 503, because Vonage repeats it; whatever is wrong is 401."""
    pairs, body = fault(RAW, NOW)
    authorization = [value for name, value in pairs if name == "Authorization"]
    assert verdict(authorization, body) == (fault.status, fault.reason)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", " \tBearer \t"])
def test_the_scheme_may_be_written_in_any_case(scheme: str) -> None:
    assert verdict([scheme + token(RAW, now=NOW) + " "]) == (200, "")


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ([], (503, "unsigned")),
        ([""], (503, "unsigned")),
        ([" \t "], (503, "unsigned")),
        (["", ""], (401, "two headers")),
        (["Bearer a", ""], (401, "two headers")),
        (["Bearer\ta.b.c"], (401, "scheme")),
        (["Bearerx a.b.c"], (401, "scheme")),
        (["Bearer a b c"], (401, "signature")),
        (["Bearer .."], (401, "signature")),
        (["Bearer \ud800"], (401, "token")),
        (["\x00"], (401, "scheme")),
        (["Bearer " + "." * 8193], (401, "token")),
    ],
)
def test_what_may_come_in_the_header(authorization: list[str], expected: tuple[int, str]) -> None:
    assert verdict(authorization) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0, 200), (1, 200), (23, 200), (24.9, 200), (25, 200), (25.1, 401), (26, 401), (87_660, 401)],
)
def test_a_repeat_is_believed_for_25_hours(hours: float, expected: int) -> None:
    """SEC-33: Vonage repeats for 24 hours, and whether it signs again nobody knows."""
    made = token(RAW, now=NOW)
    status, reason = judged(made, now=NOW + timedelta(hours=hours))
    assert (status, reason) == (expected, "too old" if expected == 401 else "")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-301, (503, "clock")), (-300, (200, "")), (-60, (200, "")), (300, (200, ""))],
)
def test_clocks_may_differ_by_five_minutes(seconds: int, expected: tuple[int, str]) -> None:
    """REL-15. Beyond that it is ours that is wrong, most likely: a 4xx would lose the text."""
    made = token(RAW, now=NOW)
    assert judged(made, now=NOW + timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize("seconds", [-299, 0, 300])
def test_expiry_and_start_have_the_same_five_minutes(seconds: int) -> None:
    at = int(NOW.timestamp())
    assert judged(token(RAW, now=NOW, nbf=at + seconds)) == (200, "")
    assert judged(token(RAW, now=NOW, exp=at + seconds)) == (200, "")
    assert judged(token(RAW, now=NOW, exp=at - 300)) == (401, "expired")


def test_a_start_ahead_together_with_the_issue_is_our_clock_too() -> None:
    ahead = NOW + timedelta(minutes=10)
    made = token(RAW, now=ahead, nbf=int(ahead.timestamp()))
    assert judged(made) == (503, "clock")
    assert judged(made, now=ahead) == (200, "")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "x"}, "issuer"),
        ({"api_key": "x"}, "account"),
        ({"application_id": "x"}, "application"),
        ({"payload_hash": "x"}, "body"),
        ({"jti": 1}, "jti"),
        ({"exp": 1}, "expired"),
        ({"nbf": 99_999_999_999}, "not yet"),
    ],
)
def test_a_faulty_token_that_is_ahead_is_faulty(changes: dict[str, object], reason: str) -> None:
    """503 says "try again", and is for the genuine alone."""
    assert judged(token(RAW, now=NOW + timedelta(minutes=10), **changes)) == (401, reason)


def test_secrets_change_without_a_gap() -> None:
    """REL-19: old and new work side by side; taking the old one out ends exactly that one."""
    old, new = (token(RAW, now=NOW, secret=secret) for secret in (OLD_SECRET, SECRET))
    both = replace(KEYS, secrets=(SECRET, OLD_SECRET))
    assert judged(old, keys=both) == judged(new, keys=both) == (200, "")
    assert judged(old) == (401, "signature")
    assert judged(new) == (200, "")


@pytest.mark.parametrize("secrets", [(), ("",), ("", "")])
def test_without_a_secret_nothing_is_believed(secrets: tuple[str, ...]) -> None:
    keys = replace(KEYS, secrets=secrets)
    assert judged(token(RAW, now=NOW), keys=keys) == (401, "signature")
    assert judged(token(RAW, now=NOW, secret=""), keys=keys) == (401, "signature")


def test_nothing_equals_a_setting_that_is_missing() -> None:
    keys = replace(KEYS, api_key="", application_id="")
    assert judged(token(RAW, now=NOW, api_key=""), keys=keys) == (401, "account")
    keys = replace(KEYS, application_id="")
    assert judged(token(RAW, now=NOW, application_id=""), keys=keys) == (401, "application")


def test_a_short_secret_of_vonage_is_taken_in_silence() -> None:
    """PyJWT would warn at each post (and warnings are errors here)."""
    keys = replace(KEYS, secrets=("s3cret",))
    assert judged(token(RAW, now=NOW, secret="s3cret"), keys=keys) == (200, "")


@pytest.mark.parametrize(
    ("said", "required", "expected"),
    [
        (APPLICATION_ID, False, (200, "")),
        (None, False, (200, "")),
        (None, True, (401, "application")),
        ("another", False, (401, "application")),
        ("", False, (401, "application")),
        (7, False, (401, "application")),
    ],
)
def test_the_application_must_be_ours_where_one_is_named(
    said: object, required: bool, expected: tuple[int, str]
) -> None:
    keys = replace(KEYS, application_required=required)
    assert judged(token(RAW, now=NOW, application_id=said), keys=keys) == expected


def test_a_null_application_counts_as_none() -> None:
    made = sign(claims(RAW, now=NOW) | {"application_id": None})
    assert judged(made) == (401, "application")
    assert judged(made, keys=replace(KEYS, application_required=False)) == (200, "")


@pytest.mark.parametrize(
    "changes",
    [
        {"payload_hash": str(claims(RAW, now=NOW)["payload_hash"]).upper()},
        {"iat": NOW.timestamp() + 0.25},
        {"aud": "https://elsewhere.example"},
        {"aud": ["\ud800", 1, None, {}]},
        {"aud": 10**400},
        {"sub": 7, "anything": [{}]},
    ],
)
def test_what_vonage_may_also_say(changes: dict[str, object]) -> None:
    assert judged(token(RAW, now=NOW, **changes)) == (200, "")


def test_a_header_may_say_more_than_it_must() -> None:
    assert judged(sign(claims(RAW, now=NOW), kid="one", cty="x", typ=None)) == (200, "")


def test_whoever_lacks_the_secret_reaches_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("parsed before it was believed")

    monkeypatch.setattr(signature._JWS, "decode_complete", parsed)
    signature._is_hs256.cache_clear()
    assert judged(token(RAW, now=NOW, secret="x" * 44)) == (401, "signature")
    with pytest.raises(AssertionError, match="parsed"):
        judged(token(RAW, now=NOW))


def test_secrets_do_not_show_when_keys_are_printed() -> None:
    assert SECRET not in repr(KEYS)


def test_it_does_without_the_sdk() -> None:
    """The SDK is 25 MiB that web processes do without."""
    check = (
        "import sys, prefcenter.sms.signature, prefcenter.sms.webhook\n"
        "sys.exit(any(name.startswith('vonage') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


# Anything at all. GOOD is one genuine token, to be spoilt.
GOOD = token(RAW, now=NOW)
ALPHABET = "ABCXYZabcxyz0189-_.=+/ ,\x00\xe9"
BELIEVED = (200, "")


@given(st.integers(0, len(GOOD) - 1), st.sampled_from(ALPHABET), st.sampled_from("rid"))
@example(len(GOOD) - 1, "-", "r")
def test_a_token_with_one_character_changed_is_refused(where: int, char: str, how: str) -> None:
    """The last character of base64 has several spellings elsewhere; here a token has one."""
    middle = {"r": char, "i": char + GOOD[where], "d": ""}[how]
    spoilt = GOOD[:where] + middle + GOOD[where + 1 :]
    assume(spoilt.strip(" \t") != GOOD)
    assert judged(spoilt)[0] == 401


def test_every_spelling_of_the_last_character_but_one_is_refused() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    believed = [one for one in letters if judged(GOOD[:-1] + one) == BELIEVED]
    assert believed == [GOOD[-1]]


@given(st.integers(0, len(RAW)), st.binary(max_size=4))
def test_a_body_with_anything_changed_is_refused(where: int, more: bytes) -> None:
    changed = RAW[:where] + more + RAW[where + 1 :]
    assume(changed != RAW)
    assert judged(GOOD, raw=changed) == (401, "body")


@given(st.lists(st.text(), max_size=3), st.binary(max_size=50))
def test_any_header_has_an_answer(authorization: list[str], raw: bytes) -> None:
    assert verdict(authorization, raw)[0] in (401, 503)


@given(st.text(), st.text())
def test_any_token_has_an_answer(head: str, tail: str) -> None:
    for made in (head, f"{head}.{tail}", f"{head}.{tail}.{head}", f"{GOOD}.{tail}", head + GOOD):
        assume(made.strip(" \t") != GOOD)
        assert judged(made)[0] == 401


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 2 * 10**9)
    | st.floats()
    | st.text(st.characters()),  # half characters too
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = ["iat", "jti", "iss", "payload_hash", "api_key", "application_id", "exp", "nbf", "aud"]


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
def test_any_claims_have_an_answer(odd: dict[str, object]) -> None:
    """Even from somebody who knows the secret."""
    status, reason = judged(sign(claims(RAW, now=NOW) | odd))
    assert reason in {
        *("", "token", "issuer", "account", "application", "body", "jti"),
        *("iat", "exp", "nbf", "too old", "expired", "not yet", "clock"),
    }
    assert (status == 200) == (reason == "")


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku"]), VALUES))
def test_any_header_below_a_signature_has_an_answer(header: dict[str, object]) -> None:
    status, reason = judged(sign(claims(RAW, now=NOW), **header))
    assert reason in ("", "token", "algorithm")
    assert (status == 200) == (reason == "")
    assert status == 401 or header.get("alg", "HS256") == "HS256"


@given(st.binary(max_size=200))
@example(b"\xff")
@example(b'"\\ud800"')
@example(b"[" * 5000)
@example(b'{"iat":NaN}')
@example(b"1" * 5000)
@example(b"null")
def test_any_signed_bytes_have_an_answer(said: bytes) -> None:
    assert judged(sign(said))[0] == 401
