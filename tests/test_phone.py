"""Numbers as people type them, and the ones that we never text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prefcenter import phone
from prefcenter.phone import Number, NumberError

OURS = ("US", "GB", "ES")
ALICE = Number("+12025550143", "US")


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+12025550143", ALICE),
        ("202 555 0143", ALICE),
        ("(202) 555-0143", ALICE),
        ("1-202-555-0143", ALICE),
        ("202.555.0143", ALICE),
        ("  +1 (202) 555 0143 \n", ALICE),
        ("00 1 202 555 0143", ALICE),
        ("\u202d+1 202 555 0143\u202c", ALICE),  # copied from a right-to-left page
        ("２０２５５５０１４３", ALICE),  # full-width digits
        ("٢٠٢٥٥٥٠١٤٣", ALICE),  # Arabic digits
        ("+44 7400 123456", Number("+447400123456", "GB")),
        ("+44 (0)7400 123456", Number("+447400123456", "GB")),
        ("0044 7400 123456", Number("+447400123456", "GB")),
        ("+34 612 345 678", Number("+34612345678", "ES")),
    ],
)
def test_a_number_is_read_as_people_type_it(typed: str, number: Number) -> None:
    assert phone.parse(typed, countries=OURS) == number


def test_a_national_number_is_of_the_first_country() -> None:
    """SEC-29: a bare number is never guessed to be of another country."""
    assert phone.parse("07400 123456", countries=("GB", "US")).e164 == "+447400123456"
    with pytest.raises(NumberError):
        phone.parse("07400 123456", countries=("US", "GB"))


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "missing"),
        ("   ", "missing"),
        ("+()-", "missing"),
        ("my number", "missing"),
        ("202 555", "short"),
        ("555 0143", "short"),  # without its area code
        ("+44 7400", "short"),
        ("+1 416 555 0143", "country"),  # Canada shares the +1
        ("+33 6 12 34 56 78", "country"),
        ("+44 7624 123456", "country"),  # Isle of Man shares the +44
        ("+1 900 555 0143", "unusable"),  # premium
        ("+44 909 879 0000", "unusable"),
        ("+34 806 123 456", "unusable"),
        ("+44 845 123 4567", "unusable"),  # shared cost
        ("+34 902 123 456", "unusable"),
        ("+1 800 555 0143", "unusable"),  # toll free
        ("+44 55 1234 5678", "unusable"),  # UAN
        ("+44 7640 123456", "unusable"),  # pager
        ("+44 70 1234 5678", "unusable"),  # personal number: a mobile's looks, premium's price
        ("+44 20 7946 0958", "unusable"),  # landline
        ("+34 912 345 678", "unusable"),
        ("+870 773 123 456", "country"),  # satellite
        ("+881 6 1234 5678", "country"),
        ("+882 16 1234 5678", "country"),
        ("+883 510 012 345 678", "country"),
        ("911", "short"),  # short code
        ("202 555 0143 x5", "unusable"),  # extension
        ("202 555 0143 #5", "unusable"),
        ("+12025550143;ext=5", "unusable"),
        ("2O2 555 O143", "unusable"),  # letters
        ("1-202-FLOWERS", "unusable"),
        ("+44 7700 900123", "unusable"),  # kept for films
        ("202 555 0143 202 555 0144", "unusable"),
    ],
)
def test_other_numbers_are_refused_with_a_reason(typed: str, reason: str) -> None:
    """SEC-29."""
    with pytest.raises(NumberError) as refused:
        phone.parse(typed, countries=OURS)
    assert refused.value.reason == reason


@pytest.mark.parametrize("code", ["870", "881", "882", "883", "888", "979"])
def test_no_satellite_or_shared_world_number_is_ever_read(code: str) -> None:
    """SEC-29, at every length, whatever the list of countries says."""
    for length in range(4, 13):
        with pytest.raises(NumberError):
            phone.parse(f"+{code}" + "612345678912"[:length], countries=OURS)


NUMBERISH = st.text(alphabet="+0123456789 ()-./;=extEXT#*,~٠١٢３４\u200b\u202d", max_size=40)


@settings(max_examples=400, deadline=None)
@given(typed=st.one_of(st.text(max_size=80), NUMBERISH, st.text(alphabet="+0123456789")))
def test_no_text_at_all_does_more_than_being_refused(typed: str) -> None:
    """SEC-5: any text is a number of ours, or NumberError with a reason that has a sentence."""
    try:
        found = phone.parse(typed, countries=OURS)
    except NumberError as error:
        assert error.reason in {"missing", "short", "country", "unusable"}
    else:
        assert found.country in OURS
        assert found.e164.startswith("+")
        assert found.e164[1:].isascii() and found.e164[1:].isdigit()
        assert phone.parse(found.e164, countries=OURS) == found


def test_a_mask_shows_four_digits_and_no_more() -> None:
    """SEC-7, SEC-17."""
    assert phone.mask(ALICE.e164) == "…0143"
    assert phone.mask(None) == "…"
    assert phone.last4(ALICE.e164) == "0143"
    assert phone.prefix(ALICE.e164) == "+1202555"


def test_a_pseudonym_needs_the_key() -> None:
    """RULE-42, SEC-48."""
    ours = phone.pseudonym(ALICE.e164, "k" * 32)
    assert ours == phone.pseudonym(ALICE.e164, "k" * 32)
    assert ours != phone.pseudonym(ALICE.e164, "l" * 32)
    assert ours != phone.pseudonym("+12025550144", "k" * 32)
    assert len(ours) == 64


@pytest.mark.parametrize(
    ("e164", "country"), [("+12025550100", "US"), ("+447700900123", "GB"), ("12", ""), ("+870", "")]
)
def test_the_country_of_our_own_sender(e164: str, country: str) -> None:
    assert phone.country_of(e164) == country


@pytest.mark.parametrize("country", OURS)
def test_the_example_in_a_hint_is_a_number_that_we_would_take(country: str) -> None:
    assert phone.parse(phone.example(country), countries=(country,)).country == country
