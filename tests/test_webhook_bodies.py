"""What stands in a webhook is read strictly, and a STOP is read even from a sloppy one.

Long, because it is mostly tables of bodies.
"""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prefcenter.sms import webhook
from prefcenter.sms.webhook import InboundText, StatusUpdate, Unusable
from tests.cast import ALICE
from tests.webhooks import SENDER, inbound_body, status_body

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
SENDERS = (SENDER, "+442071838750")


def inbound(raw: bytes) -> InboundText:
    return webhook.read_inbound(raw, senders=SENDERS)


def changed(raw: bytes, changes: dict[str, object]) -> bytes:
    """The body with other fields; None leaves one out."""
    fields = json.loads(raw) | changes
    kept = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(kept).encode()


def body(**changes: object) -> bytes:
    return changed(inbound_body("STOP", at=NOW), changes)


def refused(raw: bytes) -> str:
    """The word for why an inbound text is left to a person."""
    with pytest.raises(Unusable) as caught:
        inbound(raw)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def test_an_inbound_text_is_read() -> None:
    raw = inbound_body("  Stop it ", number=ALICE, message_id="aaaaaaaa-bbbb", at=NOW)
    assert inbound(raw) == InboundText("aaaaaaaa-bbbb", ALICE, SENDER, "  Stop it ", NOW)


def test_a_receipt_is_read() -> None:
    raw = status_body("rejected", message_id="m-1", ref="r-1", at=NOW, code="1240")
    read = webhook.read_status(raw)
    assert read == StatusUpdate("m-1", "r-1", ALICE, "rejected", NOW, "1240")


def test_what_people_wrote_does_not_show_when_printed() -> None:
    """SEC-7: a number or a text may come into a log by way of repr."""
    printed = repr(inbound(body())) + repr(
        webhook.read_status(status_body("x", message_id="m", at=NOW))
    )
    assert ALICE not in printed and ALICE[1:] not in printed and "STOP" not in printed


def shown(value: object) -> str:
    """A name for a case; some are long."""
    return repr(value)[:50]


DEEP = {"channel": "sms", "x": json.loads("[" * 31 + "]" * 31)}  # 32 levels with the object
DEEPER = {"channel": "sms", "x": json.loads("[" * 16 + '{"y":' * 16 + "1" + "}" * 16 + "]" * 16)}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"to=12025550100&msisdn=12025550143&text=STOP", "not JSON"),  # the SMS API's form
        (b'{"channel":"sms"}x', "not JSON"),
        (b'{"channel":"sms","text":"\xff"}', "not JSON"),
        (b'\xef\xbb\xbf{"channel":"sms"}', "not JSON"),
        ('{"channel":"sms"}'.encode("utf-16"), "not JSON"),
        (b'{"channel":"sms","price":NaN}', "not JSON"),
        (b'{"channel":"sms","price":-Infinity}', "not JSON"),
        (b'{"channel":"sms","price":' + b"9" * 5000 + b"}", "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'{"a":' * 10_000, "not JSON"),
        (b'{"channel":"sms","text":"a\x00b"}', "not JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b'"STOP"', "not an object"),
        (b"7", "not an object"),
        (b'{"channel":"sms","text":"START","text":"STOP"}', "a key twice"),
        (b'{"channel":"sms","sms":{"keyword":"A","keyword":"B"}}', "a key twice"),
        (json.dumps(DEEPER).encode(), "nested too deep"),
        (b"{}", "not an SMS"),
        (b'{"channel":["sms"]}', "not an SMS"),
        (b'{"channel":"whatsapp"}', "not an SMS"),
    ],
    ids=shown,
)
def test_a_body_must_be_one_plain_object(raw: bytes, reason: str) -> None:
    """SEC-5, and SEC-34: all of these are for a person."""
    assert refused(raw) == reason
    with pytest.raises(Unusable, match=reason):
        webhook.read_status(raw)


def test_32_levels_are_still_read() -> None:
    assert refused(json.dumps(DEEP).encode()) == "not our number"
    assert refused(json.dumps({"channel": "sms", "x": DEEP}).encode()) == "nested too deep"


@pytest.mark.parametrize("channel", ["sms", "SMS", "Sms", "mms"], ids=shown)
def test_the_channel_may_be_written_in_any_case(channel: str) -> None:
    assert inbound(body(channel=channel)).number == ALICE


@pytest.mark.parametrize(
    ("to", "ours"),
    [
        ("12025550100", SENDER),
        ("+12025550100", SENDER),
        (12025550100, SENDER),
        ("442071838750", "+442071838750"),
    ],
    ids=shown,
)
def test_it_must_be_to_a_number_of_ours(to: object, ours: str) -> None:
    assert inbound(_to(to)).ours == ours


def _to(to: object) -> bytes:
    return json.dumps(json.loads(body()) | {"to": to}).encode()


@pytest.mark.parametrize(
    "to",
    [
        *(None, "", "12025550101", "++12025550100", "12025550100 ", "0012025550100", "Vonage"),
        *(True, 1.5, 1e11, -12025550100, 10**400, ["12025550100"], {"type": "sms"}, "1202555010०"),
    ],
    ids=shown,
)
def test_to_anybody_else_is_for_a_person(to: object) -> None:
    """SEC-34."""
    assert refused(_to(to)) == "not our number"


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("12025550143", "+12025550143"),
        ("+12025550143", "+12025550143"),
        (12025550143, "+12025550143"),
        ("1234567", "+1234567"),
        ("123456789012345", "+123456789012345"),
    ],
    ids=shown,
)
def test_it_is_from_a_number(number: object, read: str) -> None:
    assert inbound(body(**{"from": number})).number == read


@pytest.mark.parametrize(
    "number",
    [
        *("", "Vonage", "72345", "123456", "1234567890123456", "0712345678", "+0712345678"),
        *("++12025550143", "+", "12025550143\n", "1 202 555 0143", "١٢٠٢٥٥٥٠١٤٣", "1202555０143"),
        *(True, False, 0, -12025550143, 10**15, 10**400, 1.5, [], {"number": "12025550143"}),
    ],
    ids=shown,
)
def test_names_short_codes_and_the_rest_cannot_be_answered(number: object) -> None:
    assert refused(body(**{"from": number})) == "no number to answer"


def test_a_text_from_nobody_is_for_a_person() -> None:
    assert refused(body(**{"from": None})) == "no number to answer"


@pytest.mark.parametrize(
    "value", ["a", "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "A" * 64, "0-Z"], ids=shown
)
def test_a_message_id(value: str) -> None:
    assert inbound(body(message_uuid=value)).message_id == value
    assert webhook.read_status(status_body("x", message_id=value, at=NOW)).message_id == value


@pytest.mark.parametrize(
    "value",
    ["", "A" * 65, "a b", "a\n", "a_b", "é", "\ud800", "a\x00", 7, True, ["a"], {}],
    ids=shown,
)
def test_without_a_message_id_a_repeat_cannot_be_told(value: object) -> None:
    """SEC-33: the id is what makes a replay harmless."""
    raw = json.dumps(json.loads(body()) | {"message_uuid": value}).encode()
    assert refused(raw) == "no message id"
    raw = json.dumps({"channel": "sms", "status": "x", "message_uuid": value}).encode()
    with pytest.raises(Unusable, match="no message id"):
        webhook.read_status(raw)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('"STOP"', "STOP"),
        ('""', ""),
        ("null", ""),
        ('" Stop\\n"', " Stop\n"),
        ('"S\\u0000TOP\\u0000"', "STOP"),
        ('"ST\\ud800OP\\udfff"', "STOP"),
        ('"\\udc00\\ud83d\\ude00\\ud83d"', "😀"),
        ('"\\u200bSTOP"', "\u200bSTOP"),  # keywords are not read here
        ('"' + "\\u0000" * 5000 + 'STOP"', "STOP"),
        ('"' + "é" * 6000 + '"', "é" * 5000),
    ],
    ids=shown,
)
def test_a_stop_with_a_nul_is_a_stop(text: str, read: str) -> None:
    raw = body(text=None)[:-1] + f',"text":{text}}}'.encode()
    assert inbound(raw).text == read


def test_no_text_at_all_is_an_empty_text() -> None:
    assert inbound(body(text=None)).text == ""


@pytest.mark.parametrize("text", ["7", "false", "[]", '{"body":"STOP"}'], ids=shown)
def test_a_text_that_is_no_text_is_for_a_person(text: str) -> None:
    raw = body(text=None)[:-1] + f',"text":{text}}}'.encode()
    assert refused(raw) == "not a text"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"message_type": "text"}, "STOP"),
        ({"message_type": "TEXT", "text": None}, ""),
        ({"message_type": 7, "text": None}, ""),
        ({"message_type": "image"}, "STOP"),  # words beside a picture are words
        ({"message_type": "image", "text": None}, Unusable),
        ({"message_type": "unsupported", "text": ""}, Unusable),
    ],
    ids=shown,
)
def test_a_picture_without_words_is_for_a_person(
    changes: dict[str, object], expected: object
) -> None:
    if expected is Unusable:
        assert refused(body(**changes)) == "not a text"
    else:
        assert inbound(body(**changes)).text == expected


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2026-11-24T15:00:00Z", NOW),
        ("2026-11-24T15:00:00.000Z", NOW),
        ("2026-11-24T15:00:00.999Z", NOW),
        ("2026-11-24T15:00:00.123456789Z", NOW),
        ("2026-11-24T15:00:00+00:00", NOW),
        ("2026-11-24T16:30:00+01:30", NOW),
        ("2026-11-24T07:00:00.5-08:00", NOW),
        ("2026-11-24 15:00:00 +0000", NOW),
        ("2026-11-24 15:00:00.250 +00:00", NOW),
        ("2026-11-24 10:00:00 -0500", NOW),
        ("2026-11-24 15:00:00+0000", NOW),
        ("2026-11-24 15:00:00 Z", NOW),
        ("20261124T150000Z", NOW),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("9998-01-01T00:00:00Z", datetime(9998, 1, 1, tzinfo=UTC)),
        ("2016-12-31T23:59:59.999Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        # One moment cannot be told.
        ("2026-11-24T15:00:00", None),
        ("2026-11-24 15:00:00", None),
        ("2026-11-24", None),
        # There is no such time.
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("10000-01-01T00:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("2016-12-31T23:59:60Z", None),
        ("2026-11-24T15:00:00+99:99", None),
        # It is not a time.
        ("", None),
        ("yesterday", None),
        ("\ud800", None),
        ("2026-11-24T15:00:00\ud800Z", None),
        ("２０２６-11-24T15:00:00Z", None),
        ("2026-11-24T15:00:00." + "0" * 99 + "Z", None),
        (1795532400, None),
        (True, None),
        (["2026-11-24T15:00:00Z"], None),
    ],
    ids=shown,
)
def test_times_are_cut_to_seconds_and_doubt_is_none(value: object, read: datetime | None) -> None:
    """REL-12: a time far ahead or in 1970 stays what it is; the rules judge it."""
    raw = json.dumps(json.loads(body()) | {"timestamp": value}).encode()
    found = inbound(raw).said_at
    assert found == read
    assert found is None or found.tzinfo is UTC
    raw = json.dumps({"channel": "sms", "message_uuid": "m", "status": "x", "timestamp": value})
    assert webhook.read_status(raw.encode()).said_at == read


def test_no_time_at_all_is_none() -> None:
    assert inbound(body(timestamp=None)).said_at is None


def receipt(**changes: object) -> StatusUpdate:
    raw = status_body("submitted", message_id="m", at=NOW)
    return webhook.read_status(changed(raw, changes))


@pytest.mark.parametrize(
    "status", ["submitted", "delivered", "rejected", "undeliverable", "read"], ids=shown
)
def test_a_status_is_read_in_small_letters(status: str) -> None:
    assert receipt(status=status.upper()).status == status


@pytest.mark.parametrize(
    "status",
    [None, "", "x" * 25, "two words", "delivered\n", "déliv", "7", 7, True, ["delivered"]],
    ids=shown,
)
def test_a_status_that_is_no_word_is_for_a_person(status: object) -> None:
    with pytest.raises(Unusable, match="no status"):
        receipt(status=status)


def test_a_status_that_vonage_has_yet_to_invent_is_kept() -> None:
    assert receipt(status="partly-delivered_x").status == "partly-delivered_x"


@pytest.mark.parametrize(
    ("ref", "read"),
    [("r-1", "r-1"), ("x" * 100, "x" * 100), (None, None), ("", None), ("x" * 101, None)]
    + [("a b", None), ("a\x00", None), ("é", None), ("\ud800", None), (7, None), (["r"], None)],
    ids=shown,
)
def test_our_reference_comes_back_or_none_does(ref: object, read: str | None) -> None:
    raw = json.dumps({"channel": "sms", "message_uuid": "m", "status": "x", "client_ref": ref})
    assert webhook.read_status(raw.encode()).ref == read


def test_a_receipt_may_lack_its_number() -> None:
    """It is found by its id and its reference."""
    assert receipt(to="Vonage").number is None
    assert receipt(to=None).number is None


LINK = "https://developer.vonage.com/api-errors/messages#"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, ""),
        ({"error": {"title": "1240", "type": LINK + "1000"}}, "1240"),
        ({"error": {"title": "Illegal Number", "type": LINK + "1240"}}, "1240"),
        ({"error": {"type": LINK + "1240"}}, "1240"),
        ({"error": {"type": LINK}}, ""),
        ({"error": {"title": 1240}}, "1240"),
        ({"error": {"type": 1240}}, ""),
        ({"error": {"title": True}}, ""),
        ({"error": {"title": "1240\n"}}, ""),
        ({"error": {"title": "1" * 9}}, ""),
        ({"error": {"title": "١٢٤٠"}}, ""),
        ({"error": "1240"}, ""),
        ({"error": ["1240"]}, ""),
        ({"error": {}, "err-code": "9"}, "9"),
        ({"err-code": "9"}, "9"),
        ({"err-code": 9}, "9"),
        ({"err-code": "0"}, ""),
        ({"err-code": 0}, ""),
        ({"err-code": True}, ""),
        ({"err-code": 10**400}, ""),
        ({"err-code": "<b>"}, ""),
    ],
    ids=shown,
)
def test_the_error_code_is_found_where_vonage_puts_it(
    changes: dict[str, object], code: str
) -> None:
    assert receipt(**changes).code == code


# Anything at all: Unusable, or a value that every column and page can hold.
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["sms", "12025550100", "STOP", "delivered", "2026-11-24T15:00:00Z"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    *("channel", "message_uuid", "to", "from", "timestamp", "text", "message_type"),
    *("status", "client_ref", "error", "err-code"),
]


def read_both(raw: bytes) -> list[InboundText | StatusUpdate]:
    """Whatever comes out; Unusable is a fair answer, and any other exception fails the test."""
    found: list[InboundText | StatusUpdate] = []
    for read in (inbound, webhook.read_status):
        try:
            found.append(read(raw))
        except Unusable as error:
            assert error.reason.isascii() and len(error.reason) < 24
    return found


@given(st.binary(max_size=300) | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\x00")
@example(b"-")
def test_any_bytes_have_an_answer(raw: bytes) -> None:
    assert read_both(raw) == []


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.booleans())
def test_any_fields_give_clean_values_or_none(fields: dict[str, object], ascii_only: bool) -> None:
    """SEC-38: what is kept can be stored and shown; it holds no NUL and no half character."""
    genuine = {"status": "delivered"} | json.loads(body())
    text = json.dumps(genuine | fields, ensure_ascii=ascii_only)
    for read in read_both(text.encode("utf-8", "surrogatepass")):
        assert read.said_at is None or (read.said_at.tzinfo is UTC and not read.said_at.microsecond)
        text = read.text if isinstance(read, InboundText) else f"{read.ref}{read.code}{read.status}"
        text.encode()
        assert "\x00" not in text and len(text) <= webhook.MAX_TEXT


@given(st.text(st.characters(), max_size=40))
def test_any_time_is_one_or_none(value: str) -> None:
    raw = json.dumps(json.loads(body()) | {"timestamp": value}).encode()
    assert inbound(raw).said_at is None or value[:1].isdigit()


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_a_time_with_its_zone_is_that_moment(moment: datetime) -> None:
    raw = json.dumps(json.loads(body()) | {"timestamp": moment.isoformat()}).encode()
    said = inbound(raw).said_at
    try:
        expected = moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        assert said is None
    else:
        assert said == expected
