"""Numbers as people type them, and the ones that we never text."""

import unicodedata

import phonenumbers
import pytest
from hypothesis import example, given, settings
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
        ("Tel: +1 (202) 555-0143 (mobile)", ALICE),
        ("tel:+1-202-555-0143", ALICE),
        ("sms:+12025550143?body=hello", ALICE),
        ("my number is 202 555 0143!", ALICE),
        ("Alice <202-555-0143>", ALICE),
        ("“202 555 0143”,", ALICE),
        ("202/555/0143", ALICE),
        ("202_555_0143", ALICE),
        ("202 · 555 · 0143", ALICE),
        ("202 – 555 — 0143", ALICE),
        ("202\u2212555\u22120143", ALICE),  # minus signs
        ("[+1] (202) {555} 0143", ALICE),
        ("(+1) 202 555 0143", ALICE),
        ("＋１ （２０２） ５５５－０１４３", ALICE),
        ("202\u00a0555\u202f0143", ALICE),  # spaces that do not break
        ("2\u200b02\u00ad555\u2060014\ufeff3", ALICE),  # what nobody sees
        ("\u200f+1 202 555 0143\u200e", ALICE),
        ("📱 202 555 0143 👍", ALICE),
        ("2️⃣0️⃣2️⃣ 5️⃣5️⃣5️⃣ 0️⃣1️⃣4️⃣3️⃣", ALICE),
        ("२०२ ५५५ ०१४३", ALICE),  # Devanagari
        ("۲۰۲۵۵۵۰۱۴۳", ALICE),  # Persian
        ("𝟐𝟎𝟐 𝟓𝟓𝟓 𝟎𝟏𝟒𝟑", ALICE),
        ("011 44 7400 123456", Number("+447400123456", "GB")),  # as dialled in the US
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
    ("typed", "countries", "e164"),
    [
        ("010 1 202 555 0143", ("JP", "US"), ALICE.e164),
        ("8~10 1 202 555 0143", ("RU", "US"), ALICE.e164),
        ("0011 1 202 555 0143", ("AU", "US"), ALICE.e164),
        ("00 1 202 555 0143", ("AU", "US"), ALICE.e164),  # not their exit code, and still clear
        ("44 7400 123456", ("GB", "US"), "+447400123456"),
        ("06/12/34/56/78", ("FR",), "+33612345678"),
        ("0151/2345 6789", ("DE",), "+4915123456789"),
        ("090ー1234ー5678", ("JP",), "+819012345678"),
        ("011 1 202 555 0143", ("GB", "US"), None),  # no exit code of theirs
        ("1 202 555 0143", ("GB", "US"), None),  # without plus it is a British number, and wrong
        ("44 7400 123456", ("US", "GB"), None),
        ("001 65 9212 3456", ("KR", "US", "SG"), None),  # +65 9212… or, after 00, +1 659 212…
        ("0151 2345678/9", ("DE",), None),  # two numbers that end in 8 and 9
        ("0151/2345678/9", ("DE",), None),
    ],
)
def test_how_a_country_dials_decides(
    typed: str, countries: tuple[str, ...], e164: str | None
) -> None:
    """SEC-29: where two readings are possible, or none, nothing is guessed."""
    if e164 is None:
        with pytest.raises(NumberError) as refused:
            phone.parse(typed, countries=countries)
        assert refused.value.reason == "unusable"
    else:
        assert phone.parse(typed, countries=countries).e164 == e164


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
        ("202 555 0143 / 202 555 0144", "unusable"),
        ("202 555 0143, 202 555 0144", "unusable"),
        ("202 555 0143 or 0144", "unusable"),
        ("202 555 0143/44", "unusable"),
        ("+1 202 555 0143 +1 202 555 0144", "unusable"),
        ("+12025550143\n+12025550144", "unusable"),
        ("202 555 0143 (24/7)", "unusable"),
        ("2. 202 555 0143", "unusable"),
        ("202 555 0143 ext 5", "unusable"),
        ("202 555 0143 ext. 55", "unusable"),
        ("202 555 0143,,5", "unusable"),  # a pause and what to dial then
        ("202 555 0143p5", "unusable"),
        ("tel:555-0143;phone-context=+1202", "unusable"),
        ("*67 202 555 0143", "unusable"),
        ("202 555 FLWR", "short"),
        ("202 555 014E", "unusable"),
        ("O202 555 0143", "unusable"),
        ("202 555 014³", "unusable"),  # a small three is a footnote
        ("202 555 ⓪143", "unusable"),
        ("202 555½ 0143", "unusable"),
        ("²", "unusable"),
        ("202\x00555\x000143", "unusable"),
        ("202 📱 555 📱 0143", "unusable"),
        ("\u202e202 555 0143", "unusable"),  # shown as 3410 555 202
        ("202 555 0143" + "!" * 200, "unusable"),
        ("0" * 5000, "unusable"),
        ("+1 202 555 0143 000", "unusable"),  # too long
        ("+800 1234 5678", "country"),  # free in many countries
        ("+888 123 456 789", "country"),
        ("+979 123 456 789", "country"),
        ("60070", "short"),  # short codes
        ("+1 60070", "short"),
        ("+999 123 456 789", "unusable"),
        ("+1 500 555 0143", "unusable"),  # follows a person around, at a price
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


def _written() -> list[tuple[str, str]]:
    """A mobile number of every country whose plan tells it apart, with that country."""
    found = []
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        one = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
        if one is not None and phonenumbers.region_code_for_number(one) == country:
            found.append((country, phonenumbers.format_number(one, _E164)))
    assert len(found) > 220
    return found


_E164 = phonenumbers.PhoneNumberFormat.E164
EVERYWHERE = _written()
UNSEEN = st.text(
    alphabet="\u200b\u200d\u2060\ufeff\u00ad\u200e\u200f\u202a\u2066\u2069", max_size=3
)
GAPS = st.text(alphabet=" -.()[]\u00a0\u2009\u2011\u2013\u2212\t\n·~", max_size=3)
RUBBISH = st.one_of(
    st.sampled_from(
        ["Tel: ", "tel:", "call me at ", "📱 ", "'", "<", "№ ", "رقم ", "電話", "«", "= "]
    ),
    st.text(alphabet=st.characters(categories=["P", "S", "Z"]), max_size=9).filter(
        lambda text: not any(c.isalnum() or c == "+" for c in unicodedata.normalize("NFKC", text))
    ),
)
TAIL = st.sampled_from(
    ["", "!", " (mobile)", ".", " thanks, Alice", "\n", "”", "?", " 👍", " x", "#"]
)
ZEROS = [0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10, 0x1D7CE]  # of eight scripts


@settings(max_examples=600, deadline=None)
@given(
    where=st.sampled_from(EVERYWHERE),
    form=st.sampled_from(["+", "00", "national"]),
    zero=st.sampled_from(ZEROS),
    before=RUBBISH,
    after=TAIL,
    data=st.data(),
)
def test_rubbish_around_a_number_does_not_change_it(
    where: tuple[str, str], form: str, zero: int, before: str, after: str, data: st.DataObject
) -> None:
    """Every country's mobiles, with separators, what nobody sees, other digits, words around."""
    country, e164 = where
    digits = phone.example(country) if form == "national" else e164[1:]
    core = "".join(chr(zero + int(char)) for char in digits if char.isdigit())
    between = st.one_of(UNSEEN, GAPS)
    core = "".join(char + data.draw(between) for char in core[:-1]) + core[-1]
    typed = before + ("" if form == "national" else form) + core + after
    assert phone.parse(typed, countries=(country,)) == Number(e164, country), ascii(typed)


@pytest.mark.parametrize(("country", "e164"), EVERYWHERE)
def test_what_we_show_is_read_as_the_same_number(country: str, e164: str) -> None:
    """ "We will text +1 202-555-0143", copied and pasted, is that number."""
    ours = (*OURS, country)
    for typed in (e164, phone.international(e164), f"We will text {phone.international(e164)}."):
        assert phone.parse(typed, countries=ours) == Number(e164, country)


@settings(max_examples=300, deadline=None)
@given(first=st.sampled_from(EVERYWHERE), second=st.sampled_from(EVERYWHERE), between=GAPS)
@example(first=("US", ALICE.e164), second=("US", ALICE.e164), between=" / ")
def test_two_numbers_in_one_field_are_never_one(
    first: tuple[str, str], second: tuple[str, str], between: str
) -> None:
    both = (first[0], second[0])
    for joined in (f"{first[1]}{between}{second[1]}", f"{first[1]} or {second[1]}"):
        with pytest.raises(NumberError):
            phone.parse(joined, countries=both)


@settings(max_examples=200, deadline=None)
@given(letter=st.characters(categories=["L"]), place=st.integers(1, 9))
def test_a_letter_between_digits_is_never_dropped(letter: str, place: int) -> None:
    """But for the long stroke of Japanese keyboards, which is a dash there."""
    if letter in "\u30fc\uff70":
        return
    with pytest.raises(NumberError) as refused:
        phone.parse("2025550143"[:place] + letter + "2025550143"[place:], countries=OURS)
    assert refused.value.reason == "unusable"


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
