"""Bodies of Vonage's webhooks (Messages API v1), read at the door into two small classes.

Whatever stands in them is hostile text (SEC-38): no dict goes further than this file. It asks
for what the rules need and forgives the rest, because what it refuses waits for a person
(SEC-34), and a STOP must not wait.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

MAX_TEXT = 5000  # characters; 3,200 is the most that Vonage itself sends
MAX_DEPTH = 32  # SEC-5
_CHANNELS = ("sms", "mms")  # some phones send a STOP as MMS, and it is a STOP
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})\Z")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
_STATUS = re.compile(r"[a-z_-]{1,24}\Z")
_REF = re.compile(r"[!-~]{1,100}\Z")
_CODE = re.compile(r"[1-9][0-9]{0,7}\Z")  # 0 is no error
_CODE_IN_TYPE = re.compile(r"#([1-9][0-9]{0,7})\Z")
_SPACED_ZONE = re.compile(r" ([+-][0-9:]{4,6}|Z)\Z")  # "2026-11-24 15:00:00 +0000"
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")  # NUL, which PostgreSQL refuses, and half characters

Fields = dict[str, Any]


class Unusable(Exception):
    """Genuine, but nothing to act on: kept as it came, for a person (SEC-34).

    `reason` is one of our own words, never theirs.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class InboundText:
    """A text to one of our numbers. Numbers are E.164 with plus.

    `said_at` is Vonage's time, cut to whole seconds (its SMS times have no more), or None
    where there is none to read. It may lie in 1970 or far ahead: the rules judge it (REL-12).
    """

    message_id: str
    number: str = field(repr=False)
    ours: str
    text: str = field(repr=False)
    said_at: datetime | None


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """What became of a text of ours. `ref` is our own reference, `code` Vonage's error or ""."""

    message_id: str
    ref: str | None
    number: str | None = field(repr=False)
    status: str
    said_at: datetime | None
    code: str


def read_inbound(raw: bytes, *, senders: Collection[str]) -> InboundText:
    """Read an inbound text; `senders` are our numbers. Raises Unusable and nothing else."""
    fields = _fields(raw)
    ours = _number(fields.get("to"))
    if ours is None or ours not in senders:
        raise Unusable("not our number")
    number = _number(fields.get("from"))
    if number is None:
        raise Unusable("no number to answer")
    return InboundText(
        message_id=_message_id(fields),
        number=number,
        ours=ours,
        text=_text(fields),
        said_at=_time(fields.get("timestamp")),
    )


def read_status(raw: bytes) -> StatusUpdate:
    """Read a receipt. Raises Unusable and nothing else."""
    fields = _fields(raw)
    status = _string(fields.get("status")).lower()
    if not _STATUS.match(status):
        raise Unusable("no status")
    return StatusUpdate(
        message_id=_message_id(fields),
        ref=_ref(fields.get("client_ref")),
        number=_number(fields.get("to")),
        status=status,
        said_at=_time(fields.get("timestamp")),
        code=_code(fields),
    )


def _fields(raw: bytes) -> Fields:
    """The one JSON object that the body must be (SEC-5), about a text message."""
    try:
        found = _JSON.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unusable("not JSON") from None
    if not isinstance(found, dict):
        raise Unusable("not an object")
    opened = raw.count(b"{") + raw.count(b"[")  # asked first, because it costs nothing
    if opened > MAX_DEPTH and _deeper(found, MAX_DEPTH):
        raise Unusable("nested too deep")
    if _string(found.get("channel")).lower() not in _CHANNELS:
        raise Unusable("not an SMS")
    return found


def _deeper(value: object, levels: int) -> bool:
    """True for objects and lists nested in more than so many levels."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(one, levels - 1) for one in inner)


def _once(pairs: list[tuple[str, Any]]) -> Fields:
    """A key twice means two readings of one message, so neither is taken."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusable("a key twice")
    return found


def _no_constant(_: str) -> NoReturn:
    raise Unusable("not JSON")  # NaN and Infinity


# Made once: to make one costs more than to read a body with it.
_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _digits(value: object) -> str:
    """Vonage writes numbers and codes as strings; a plain JSON number does no harm."""
    return str(value) if isinstance(value, int) else _string(value)


def _number(value: object) -> str | None:
    """E.164 with plus; None for names, short codes and anything else nobody can be texted at."""
    found = _NUMBER.match(_digits(value))
    return f"+{found[1]}" if found else None


def _message_id(fields: Fields) -> str:
    value = _string(fields.get("message_uuid"))
    if not _MESSAGE_ID.match(value):
        raise Unusable("no message id")
    return value


def _text(fields: Fields) -> str:
    """The text, "" for none, without what no database takes: a STOP with a NUL is a STOP."""
    value = fields.get("text")
    if value is not None and not isinstance(value, str):
        raise Unusable("not a text")
    if not value and _string(fields.get("message_type")).lower() not in ("", "text"):
        raise Unusable("not a text")  # a picture with words is as good as its words
    return _NOT_TEXT.sub("", value or "")[:MAX_TEXT]


def _ref(value: object) -> str | None:
    return value if isinstance(value, str) and _REF.match(value) else None


def _time(value: object) -> datetime | None:
    """Vonage's time in UTC, whole seconds; None if there is none, or none of one moment."""
    text = _string(value)
    if len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(_SPACED_ZONE.sub(r"\1", text))
        return moment.astimezone(UTC).replace(microsecond=0) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _code(fields: Fields) -> str:
    """Vonage's error number: the title, or the end of the type's address, or the older field."""
    error = fields.get("error")
    if isinstance(error, dict):
        title = _digits(error.get("title"))
        if _CODE.match(title):
            return title
        found = _CODE_IN_TYPE.search(_string(error.get("type")))
        if found:
            return found[1]
    legacy = _digits(fields.get("err-code"))
    return legacy if _CODE.match(legacy) else ""
