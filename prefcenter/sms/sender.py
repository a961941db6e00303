"""What a sender is: something that takes one text, makes one call, and says what came of it."""

import logging
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from prefcenter.config import Settings
from prefcenter.models import TextKind

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """All that the outbox needs to know about a call (delivery.py acts on it)."""

    SENT = "sent"
    RETRY = "retry"  # surely not sent; try again later
    FAILED = "failed"  # surely not sent, and never will be
    PAUSE = "pause"  # surely not sent, and neither will any other be: stop and alarm
    UNKNOWN = "unknown"  # it may have left (REL-4)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One text on its way. Numbers are E.164 with plus; `ref` comes back in receipts."""

    ref: str
    to: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    kind: TextKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a call. `reason` is a short word; `retry_after` is in seconds.

    `code` is the provider's own word for the cause, as codes.py knows it, where it gave one:
    it may say more than what became of this text.
    """

    outcome: Outcome
    reason: str
    message_id: str | None = None
    retry_after: float | None = None
    code: str = ""


class Sender(Protocol):
    def send(self, parcel: Parcel) -> Verdict:
        """One POST at most, and never an exception."""
        ...


class ConsoleSender:
    """Development: nothing leaves; the texts are on /dev/outbox, the log has one line each."""

    def send(self, parcel: Parcel) -> Verdict:
        log.info("text sent to the console", extra={"ref": parcel.ref, "kind": parcel.kind})
        return Verdict(Outcome.SENT, "", message_id=f"console-{parcel.ref}")


def sender_for(settings: Settings) -> Sender:
    """The sender that the settings name. Raises ConfigError for a key that cannot sign."""
    if settings.sms_backend == "console":
        return ConsoleSender()
    from prefcenter.sms.vonage import VonageSender  # 25 MiB that web processes do without

    return VonageSender(
        application_id=settings.vonage_application_id,
        private_key=settings.vonage_private_key,
        api_host=settings.vonage_api_host,
    )
