"""Logs: one JSON object a line, constant sentences, facts as fields, nothing personal.

A last filter takes out whatever looks like a number or a link of ours, so that a library's
message cannot leak one either (SEC-7, INV-10).
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from types import TracebackType

from prefcenter.config import Settings

_NUMBER = re.compile(r"\+?\d[\d\s().-]{6,}\d")
_TOKEN = re.compile(r"/([cpul])/[A-Za-z2-7]{20,}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """The text without numbers, link tokens and control characters."""
    text = _TOKEN.sub(r"/\1/…", text)
    text = _NUMBER.sub("…", text)
    return _CONTROL.sub(" ", text)


class JsonFormatter(logging.Formatter):
    """One line a record; an exception becomes its type and the places it passed."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        line["message"] = redact(record.getMessage())
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value if isinstance(value, int | float) else redact(str(value))
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["trace"] = _places(record)
        return json.dumps(line, ensure_ascii=False)


def _places(record: logging.LogRecord) -> str:
    trace = record.exc_info[2] if record.exc_info else None
    found = []
    while trace is not None:
        found.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " < ".join(reversed(found[-12:]))


def crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """For sys.excepthook: a line in our log instead of a traceback with values in it."""
    facts = (kind, error, trace)
    logging.getLogger("prefcenter").critical("stopped by an error", exc_info=facts)


def init_app(settings: Settings) -> None:
    """Send our log to standard error; libraries that speak of texts stay at ERROR."""
    root, ours = logging.getLogger(), logging.getLogger("prefcenter")
    if not ours.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        ours.addHandler(handler)
        ours.propagate = False
        root.addHandler(handler)  # libraries too: their own format would tell numbers
    ours.setLevel(logging.INFO)
    logging.getLogger("vonage").setLevel(logging.ERROR)
