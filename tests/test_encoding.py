"""Septets, parts, and look-alikes: GSM 03.38 as the network counts it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.sms.encoding import measure, to_gsm


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 153, "GSM-7", 307, 3),
        ("ñéèàü", "GSM-7", 5, 1),
        ("ç", "UCS-2", 1, 1),
        ("á" * 70, "UCS-2", 70, 1),
        ("á" * 71, "UCS-2", 71, 2),
        ("á" * 134, "UCS-2", 134, 2),
        ("á" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("á" * 66 + "😀" + "á" * 67, "UCS-2", 135, 3),
    ],
)
def test_parts_are_counted_as_the_network_does(
    text: str, encoding: str, units: int, parts: int
) -> None:
    size = measure(text)
    assert (size.encoding, size.units, size.parts) == (encoding, units, parts)


def test_what_makes_a_text_dear_is_named_once_and_in_order() -> None:
    assert measure("a`b’c`").offending == ("`", "’")


def test_look_alikes_save_the_second_part() -> None:
    assert to_gsm("“Más” — así… ç") == '"Mas" - asi... c'
    assert to_gsm("n\u0303andu\u0301") == "ñandu"  # composed first: ñ is in the set
    assert to_gsm("Œuvre, sœur, Łódź\u00a0™") == "OEuvre, soeur, Lodz TM"
    assert to_gsm("Книги") == "Книги"


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str) -> None:
    once = to_gsm(text)
    assert to_gsm(once) == once
    assert measure(once).parts >= 1


@given(st.text(alphabet="a€[\n", max_size=700))
def test_gsm_parts_are_what_cutting_gives(text: str) -> None:
    """Another way to count: lay the septets out and cut, never through an escape."""
    septets = "".join("\x1b" + c if c in "€[" else c for c in text)
    assert measure(text).units == len(septets)
    assert measure(text).parts == (1 if len(septets) <= 160 else _cuts(septets, 153, "\x1b"))


@given(st.text(alphabet="aá😀", min_size=1, max_size=400))
def test_ucs2_parts_are_what_cutting_gives(text: str) -> None:
    size = measure(text + "á")
    units = (text + "á").encode("utf-16-be")
    wide = "".join(chr(int.from_bytes(units[i : i + 2])) for i in range(0, len(units), 2))
    high = "".join({c for c in wide if "\ud800" <= c < "\udc00"})
    assert (size.encoding, size.units) == ("UCS-2", len(wide))
    assert size.parts == (1 if len(wide) <= 70 else _cuts(wide, 67, high))


def _cuts(units: str, room: int, never_last: str) -> int:
    parts = 0
    while units:
        end = room - 1 if len(units) > room and units[room - 1] in (never_last or "\0") else room
        units, parts = units[end:], parts + 1
    return parts
