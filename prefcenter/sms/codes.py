"""Vonage's error codes in one table: what each means for a text, its number and the account.

The names and the four digits stand in answers to our POST and in receipts, one or two digits
only in receipts of the older SMS API. The meanings are from Vonage's lists of errors (API
errors, Messages API, and SMS delivery error codes), as they stood in 2026.
"""

from dataclasses import dataclass

from prefcenter.models import Deliverability
from prefcenter.sms.sender import Outcome

THROTTLED = "throttled"
_LONGEST_OF_SMS_API = 2  # digits


@dataclass(frozen=True, slots=True)
class Code:
    """`outcome` is what becomes of a call that is answered so; a receipt ends its text."""

    outcome: Outcome
    reason: str
    number: Deliverability | None = None  # what it says of the number, never of consent (RULE-51)
    opted_out: bool = False  # the person stopped at the provider (RULE-54)
    too_fast: bool = False  # all of us must send more slowly for a while
    in_doubt: bool = False  # in a receipt: the text, or a part of it, may have arrived

    @property
    def account(self) -> bool:
        """True when our account is at fault, so that no other text would fare better."""
        return self.outcome is Outcome.PAUSE


_INVALID, _SOFT = Deliverability.INVALID, Deliverability.SOFT_FAILED
_DEACTIVATED = Deliverability.DEACTIVATED
_FAILED, _RETRY, _PAUSE, _UNKNOWN = Outcome.FAILED, Outcome.RETRY, Outcome.PAUSE, Outcome.UNKNOWN
_OPTED_OUT = Code(_FAILED, "opted out at the provider", opted_out=True)
_FRAUD_DEFENDER = Code(_FAILED, "stopped by Fraud Defender")
_UNREGISTERED = Code(_FAILED, "not registered as the country demands")

TABLE: dict[str, Code] = {
    # Names: behind the # of a problem's type.
    THROTTLED: Code(_RETRY, "throttled", too_fast=True),
    "low-balance": Code(_PAUSE, "the Vonage account has no credit"),
    "account-suspended": Code(_PAUSE, "the Vonage account is suspended"),
    "application-suspended": Code(_PAUSE, "the Vonage application is suspended"),
    "unprovisioned": Code(_PAUSE, "the Vonage account may not use the Messages API"),
    # The Messages API.
    "1000": Code(_RETRY, "throttled", too_fast=True),
    "1030": Code(_UNKNOWN, "error inside Vonage"),
    "1050": Code(_FAILED, "number barred", _INVALID),
    "1060": Code(_PAUSE, "the Vonage account is barred (1060)"),
    "1070": Code(_PAUSE, "the Vonage quota is used up (1070)"),
    "1080": Code(_PAUSE, "the Vonage account may not use the Messages API (1080)"),
    "1100": Code(_RETRY, "not submitted"),
    "1120": Code(_PAUSE, "our sender number is not allowed (1120)"),
    "1140": Code(_PAUSE, "the Vonage account lacks a facility (1140)"),
    "1160": Code(_FAILED, "not on the trial account's list"),
    "1170": Code(_FAILED, "not a number", _INVALID),
    "1180": Code(_RETRY, "unreachable for now", _SOFT),
    "1190": Code(_FAILED, "number unreachable for good", _DEACTIVATED),
    "1200": Code(_FAILED, "lost when the number changed its carrier", _SOFT),
    "1210": Code(_FAILED, "taken for spam"),
    "1220": Code(_RETRY, "handset busy", _SOFT),
    "1230": Code(_RETRY, "network failure"),
    "1240": _OPTED_OUT,
    "1241": Code(_RETRY, "too many texts to this number"),
    "1250": Code(_FAILED, "no route to this number"),
    "1251": Code(_FAILED, "no route to this number"),
    "1260": Code(_FAILED, "destination unreachable", _SOFT),
    "1270": Code(_FAILED, "stopped by an age restriction"),
    "1280": Code(_FAILED, "blocked by the carrier", _SOFT),
    "1282": Code(_FAILED, "blocked by the carrier's rules"),
    "1290": Code(_FAILED, "no credit on the person's phone", _SOFT),
    "1300": Code(_FAILED, "no such number in the network", _INVALID),
    "1310": Code(_FAILED, "a device that takes no texts", _INVALID),
    "1320": Code(_UNKNOWN, "sent before, says Vonage", in_doubt=True),
    "1360": Code(_FAILED, "expired at the provider"),
    "1420": Code(_PAUSE, "our sender number is not valid (1420)"),
    "1430": Code(_FAILED, "not a number", _INVALID),
    "1460": Code(_PAUSE, "the 10DLC campaign has used up its day (1460)"),
    "1470": _FRAUD_DEFENDER,
    "1472": Code(_PAUSE, "Fraud Defender's burst limit is reached (1472)"),
    "1473": _FRAUD_DEFENDER,
    "1474": _FRAUD_DEFENDER,
    "1475": _FRAUD_DEFENDER,
    "1476": Code(_PAUSE, "our sender number is on a do-not-originate list (1476)"),
    "1480": _UNREGISTERED,
    "1481": _UNREGISTERED,
    "1482": _UNREGISTERED,
    "1483": _UNREGISTERED,
    "1490": Code(_UNKNOWN, "not all parts are accounted for", in_doubt=True),
    # Receipts of the SMS API.
    "1": Code(_FAILED, "not delivered, for no known reason"),
    "2": Code(_FAILED, "unreachable for now", _SOFT),
    "3": Code(_FAILED, "number unreachable for good", _DEACTIVATED),
    "4": Code(_FAILED, "barred by the person's network", _INVALID),
    "5": Code(_FAILED, "lost when the number changed its carrier", _SOFT),
    "6": Code(_FAILED, "taken for spam"),
    "7": Code(_FAILED, "handset busy", _SOFT),
    "8": Code(_FAILED, "network failure"),
    "9": _OPTED_OUT,
    "10": Code(_FAILED, "refused as invalid"),
    "11": Code(_FAILED, "no route to this number"),
    "12": Code(_FAILED, "destination unreachable", _SOFT),
    "13": Code(_FAILED, "stopped by an age restriction"),
    "14": Code(_FAILED, "blocked by the carrier", _SOFT),
    "15": Code(_FAILED, "no credit on the person's phone", _SOFT),
    "99": Code(_FAILED, "not delivered, for no known reason"),
}
_NO_ERROR = Code(_FAILED, "")


def of(code: str) -> Code:
    """What a code means; one that is not in the table only ends its text, and is named."""
    if code in ("", "0"):
        return _NO_ERROR
    return TABLE.get(code) or Code(_FAILED, f"refused with code {code[:16]}")


def in_answer(code: str) -> Code | None:
    """What a code in an answer to our POST means; None where only the HTTP status counts.

    One and two digits mean something else there, and never come from the Messages API.
    """
    return TABLE.get(code) if len(code) > _LONGEST_OF_SMS_API else None
