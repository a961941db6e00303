"""Signed links: one purpose each, short enough for a text, one spelling each.

A token is 31 lower-case base32 characters: 5 bytes of the person's link id, 2 bytes of
issue time and a 96-bit MAC, made by itsdangerous with an algorithm of ours. The issue time
counts minutes; the token carries its low 16 bits and the MAC covers the whole count, so a
reader tries the last 45-day spans, newest first. The MAC also covers the purpose, through
its own derived key (SEC-9 to SEC-13).
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from secrets import randbits

from itsdangerous import Signer
from itsdangerous.encoding import base64_decode
from itsdangerous.signer import SigningAlgorithm

from prefcenter import config

TOKEN_LENGTH = 31
LINK_ID_BITS = 40
_MAC_BYTES = 12
_BODY_BYTES = 7
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_SPAN = 1 << 16  # minutes that two bytes can tell apart: 45.5 days
_SPANS = 64  # how far back a link is still known as ours: 8 years
_AHEAD = 10  # minutes that another host's clock may be fast (REL-15)
# What phones put behind a link when they find it in a text (second folding of SEC-12).
_TRAILING = " \t\r\n.,;:!?)]}>'\"*_~\u2019\u201d\u2026"


class Purpose(StrEnum):
    CONFIRM = "confirm"
    MANAGE = "manage"
    UNSUBSCRIBE = "unsubscribe"
    NEW_LINK = "new-link"


PATHS = {
    Purpose.CONFIRM: "/c/",
    Purpose.MANAGE: "/p/",
    Purpose.UNSUBSCRIBE: "/u/",
    Purpose.NEW_LINK: "/l/",
}


class BadLink(Exception):
    """No link of ours: forged, cut short, mistyped, or of another purpose (SEC-19)."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a genuine token says. `issued` is exact to the minute, UTC."""

    link_id: int
    issued: datetime
    token: str

    @property
    def fingerprint(self) -> str:
        """Names this link in the database without being usable as one."""
        return hashlib.sha256(self.token.encode()).hexdigest()

    def older_than(self, age: timedelta, now: datetime) -> bool:
        return now - self.issued >= age

    def raises_after(self, opted_out_at: datetime | None) -> bool:
        """False when the link is from before an opt-out: it may only lower (SEC-16)."""
        return opted_out_at is None or _minutes(self.issued) > _minutes(opted_out_at)


class _ShortHmac(SigningAlgorithm):
    """HMAC-SHA-256 cut to 96 bits: not guessable, and it fits one text (SEC-11)."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        return hmac.digest(key, value, hashlib.sha256)[:_MAC_BYTES]


@lru_cache(maxsize=32)
def _signer(purpose: Purpose, keys: tuple[str, ...]) -> Signer:
    return Signer(
        list(reversed(keys)),  # itsdangerous wants the newest last
        salt=f"prefcenter.link.{purpose}",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
        algorithm=_ShortHmac(),
    )


def new_link_id() -> int:
    return randbits(LINK_ID_BITS)


def make(
    purpose: Purpose, link_id: int, *, now: datetime, opted_out_at: datetime | None = None
) -> str:
    """A token for a person. It is stamped later than their last opt-out, to the minute."""
    issued = _minutes(now)
    if opted_out_at is not None:
        issued = max(issued, _minutes(opted_out_at) + 1)
    signer = _signer(purpose, config.current().secret_keys)
    mac = base64_decode(signer.get_signature(_signed(link_id, issued)))
    body = link_id.to_bytes(5, "big") + (issued % _SPAN).to_bytes(2, "big")
    return _encode(body + mac)


def url(
    purpose: Purpose, link_id: int, *, now: datetime, opted_out_at: datetime | None = None
) -> str:
    """The whole link, built from PUBLIC_URL alone (SEC-3)."""
    token = make(purpose, link_id, now=now, opted_out_at=opted_out_at)
    return config.current().public_url + PATHS[purpose] + token


def read(purpose: Purpose, token: str, *, now: datetime) -> Link:
    """What a token says, however old it is. Raises BadLink for anything not ours.

    Case and trailing punctuation are folded; every other spelling is refused. A malformed
    token costs as much as a forged one (SEC-12, SEC-19).
    """
    folded = token.rstrip(_TRAILING)
    folded = folded.lower() if folded.isascii() else ""  # "\u212a".lower() is a k
    raw = _decode(folded)
    data = raw if raw is not None else bytes(_BODY_BYTES + _MAC_BYTES)
    link_id = int.from_bytes(data[:5], "big")
    low = int.from_bytes(data[5:7], "big")
    mac = base64.urlsafe_b64encode(data[_BODY_BYTES:]).rstrip(b"=")
    signer = _signer(purpose, config.current().secret_keys)

    newest = _minutes(now) + _AHEAD
    issued = newest - (newest - low) % _SPAN
    for _ in range(_SPANS):
        if issued < 0:
            break
        if signer.verify_signature(_signed(link_id, issued), mac) and raw is not None:
            return Link(link_id, _EPOCH + timedelta(minutes=issued), folded)
        issued -= _SPAN
    raise BadLink


def _signed(link_id: int, issued: int) -> bytes:
    return f"{link_id}:{issued}".encode()


def _minutes(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds() // 60)


def _encode(data: bytes) -> str:
    return base64.b32encode(data).decode("ascii").rstrip("=").lower()


def _decode(token: str) -> bytes | None:
    if len(token) != TOKEN_LENGTH:
        return None
    try:
        data = base64.b32decode(token.upper() + "=")
    except (binascii.Error, ValueError):
        return None
    return data if _encode(data) == token else None
