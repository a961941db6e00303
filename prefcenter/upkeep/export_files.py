"""How rows become a file: CSV that a spreadsheet cannot be tricked with, or a JSON line each.

In CSV every cell stands in quotes. Where a spreadsheet could take a text for a formula, at its
start or behind a semicolon, tab or line end in it, it gets one apostrophe there, and so does an
apostrophe in such a place: whoever takes those away again has what was there. The places
within a text matter because Excel, in much of the world, cuts at semicolons and knows quotes
only where a cell begins. Numbers are written as `tel:+12025550143` (RFC 3966), which no
spreadsheet turns into 1.2E+10 and every parser of numbers reads (SEC-47). JSON lines hold
everything as it is. Pure: no database.
"""

import csv
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from typing import Any

_BOM = "\ufeff"  # without it Excel takes UTF-8 for something else
_PLACE = "(?:^|(?<=[;\t\r\n]))"
# Spaces of any kind, and signs that nobody sees.
_UNSEEN = (
    "[\0-\x08\x0b\x0c\x0e- \x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff]*"
)
# What begins a formula, the wide, small, raised and lowered forms too.
_SIGN = (
    "[=+@|%'＝＋－＠｜％＇\u207a-\u207c\u208a-\u208c\u2212\ufb29\ufe62\ufe63\ufe66\ufe6a\ufe6b-]"
)
_ODD = re.compile(f"^(?=[\t\r\n])|{_PLACE}(?={_UNSEEN}{_SIGN})")
_MARKED = re.compile(f"{_PLACE}'")


class Format(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"

    @property
    def mimetype(self) -> str:
        return "text/csv" if self is Format.CSV else "application/x-ndjson"


class Number(str):
    """A phone number in E.164 with plus."""

    __slots__ = ()


def head(format_: Format, columns: Sequence[str]) -> bytes:
    """What stands before the rows."""
    return (_BOM + _line(columns)).encode() if format_ is Format.CSV else b""


def body(format_: Format, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Some rows; values are text, numbers, moments, None, or lists and dicts of such."""
    if format_ is Format.CSV:
        file = StringIO()
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([_cell(value) for value in row] for row in rows)
        return file.getvalue().encode(errors="replace")
    lines = (
        json.dumps(dict(zip(columns, row, strict=True)), default=iso, ensure_ascii=False)
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines).encode(errors="replace")


def iso(moment: datetime) -> str:
    """`2026-11-24T15:00:00.000000Z`."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def safe(text: str) -> str:
    """Text as a cell that no spreadsheet computes; `plain` undoes it."""
    return _ODD.sub("'", text)


def plain(cell: str) -> str:
    """The text that `safe` was given."""
    return _MARKED.sub("", cell)


def _line(cells: Sequence[str]) -> str:
    file = StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow(cells)
    return file.getvalue()


def _cell(value: Any) -> str:
    if type(value) is str:  # nearly all of them
        return safe(value)
    if value is None:
        return ""
    if isinstance(value, Number):
        return f"tel:{value}"
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, (dict, list)):
        return safe(json.dumps(value, ensure_ascii=False))
    return str(value)
