"""The table of Vonage's error codes: complete, bounded, and cautious with what it does not know."""

import pytest

from prefcenter.models import Deliverability
from prefcenter.sms import codes
from prefcenter.sms.codes import TABLE
from prefcenter.sms.sender import Outcome

# What the rules lean on, written out here once more.
OPTED_OUT = {"1240", "9"}
DEACTIVATED = {"1190", "3"}
INVALID = {"1050", "1170", "1300", "1310", "1430", "4"}
SOFT = {"1180", "1200", "1220", "1260", "1280", "1290", "2", "5", "7", "12", "14", "15"}
ACCOUNT = {
    *("low-balance", "account-suspended", "application-suspended", "unprovisioned"),
    *("1060", "1070", "1080", "1120", "1140", "1420", "1460", "1472", "1476"),
}
TOO_FAST = {"throttled", "1000"}


def test_every_reason_fits_its_column() -> None:
    for code, meaning in TABLE.items():
        assert 0 < len(meaning.reason) <= 80, code
    assert len(codes.of("9" * 500).reason) <= 80


def test_only_an_opt_out_ends_consent() -> None:
    """RULE-51, RULE-54: all other codes say something of a number, of us, or of nobody."""
    assert {code for code, meaning in TABLE.items() if meaning.opted_out} == OPTED_OUT
    assert all(TABLE[code].number is None for code in OPTED_OUT)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (Deliverability.DEACTIVATED, DEACTIVATED),
        (Deliverability.INVALID, INVALID),
        (Deliverability.SOFT_FAILED, SOFT),
    ],
)
def test_what_a_code_says_of_the_number(number: Deliverability, expected: set[str]) -> None:
    assert {code for code, meaning in TABLE.items() if meaning.number is number} == expected


def test_what_a_code_says_of_us() -> None:
    assert {code for code, meaning in TABLE.items() if meaning.account} == ACCOUNT
    assert {code for code, meaning in TABLE.items() if meaning.too_fast} == TOO_FAST
    assert not any(TABLE[code].number for code in ACCOUNT | TOO_FAST)


def test_all_of_the_sms_apis_receipts_are_known() -> None:
    assert {code for code in TABLE if len(code) < 3} == {*map(str, range(1, 16)), "99"}
    assert all(TABLE[code].outcome is Outcome.FAILED for code in TABLE if len(code) < 3)


@pytest.mark.parametrize("code", ["1999", "77", "31337"])
def test_an_unknown_code_is_named_and_has_no_other_effect(code: str) -> None:
    assert codes.of(code) == codes.Code(Outcome.FAILED, f"refused with code {code}")
    assert codes.in_answer(code) is None


@pytest.mark.parametrize("code", ["", "0"])
def test_no_code_is_no_error(code: str) -> None:
    assert codes.of(code).reason == ""


def test_an_answer_is_not_read_by_the_receipts_list() -> None:
    """In an answer of the older API, 9 means an empty account."""
    assert codes.in_answer("1240") is TABLE["1240"]
    assert [codes.in_answer(code) for code in ("9", "3", "99", "None", "")] == [None] * 5
