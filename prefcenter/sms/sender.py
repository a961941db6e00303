"""temporary"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from prefcenter.models import TextKind


class Outcome(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"
    PAUSE = "pause"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Parcel:
    ref: str
    to: str
    sender: str
    body: str
    kind: TextKind


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    reason: str
    message_id: str | None = None
    retry_after: float | None = None


class Sender(Protocol):
    def send(self, parcel: Parcel) -> Verdict: ...


class ConsoleSender:
    def send(self, parcel):
        return Verdict(Outcome.SENT, "", message_id="c-" + parcel.ref)


def sender_for(settings):
    return ConsoleSender()
