"""Form tokens: what a form of ours was shown with, and when, without a cookie (SEC-22).

A token names the site, the wording and the way the form came to be, and carries a nonce that is
redeemed once. It is good from 2 seconds to 60 minutes after it was made. Each
token has one spelling: the whole of it is compared with what we would have signed.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from itsdangerous import Signer
from itsdangerous.signer import HMACAlgorithm

from prefcenter import config

YOUNGEST = timedelta(seconds=2)
OLDEST = timedelta(minutes=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_NONCE_BYTES = 15
_SHAPE = re.compile(
    r"(?P<site>[a-z0-9-]{1,40})\.(?P<text_version>[0-9a-f]{16})"
    r"\.(?P<way>[a-z]{1,8})\.(?P<issued>[0-9]{1,15})\.(?P<nonce>[A-Za-z0-9_-]{20})"
    r"\.[A-Za-z0-9_-]{43}"
)


class Way(StrEnum):
    """Where the form stood that a token was made for."""

    SCRIPT = "script"  # our script, on any page: with a proof of work
    FRAME = "frame"  # our own page, where the script was blocked
    STEP = "step"  # the page "One more step", for forms without scripts


class BadFormToken(Exception):
    """A form that is not taken; `reason` picks the sentence shown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FormToken:
    """What a genuine token says."""

    site: str
    text_version: str
    way: Way
    issued: datetime
    nonce: str

    @property
    def until(self) -> datetime:
        return self.issued + OLDEST


def make(site: str, text_version: str, way: Way, *, now: datetime) -> str:
    """A fresh token. Nothing is stored until it is redeemed."""
    issued = (now - _EPOCH) // _MILLISECOND
    nonce = secrets.token_urlsafe(_NONCE_BYTES)
    body = f"{site}.{text_version}.{way}.{issued}.{nonce}"
    return _signed(body, config.current().secret_keys[0])


def nonce_of(token: str) -> str:
    """The nonce of a token that was just made."""
    return token.split(".")[4]


def read(text: str, *, site: str, now: datetime) -> FormToken:
    """What a token says. Raises BadFormToken with reason `forged` (also for another site's),
    `young` or `old`."""
    found = _SHAPE.fullmatch(text)
    if found is None or not _is_ours(text):
        raise BadFormToken("forged")
    token = FormToken(
        site=found["site"],
        text_version=found["text_version"],
        way=Way(found["way"]),
        issued=_EPOCH + int(found["issued"]) * _MILLISECOND,
        nonce=found["nonce"],
    )
    if token.site != site:
        raise BadFormToken("forged")
    if now - token.issued < YOUNGEST:
        raise BadFormToken("young")
    if now > token.until:
        raise BadFormToken("old")
    return token


def _is_ours(text: str) -> bool:
    body = text.rpartition(".")[0]
    keys = config.current().secret_keys
    return any([hmac.compare_digest(_signed(body, key), text) for key in keys])


def _signed(body: str, key: str) -> str:
    return _signer(key).sign(body).decode("ascii")


@lru_cache(maxsize=16)
def _signer(key: str) -> Signer:
    return Signer(
        key,
        salt="prefcenter.form",  # a key of its own: no link is a form token (SEC-9)
        key_derivation="hmac",
        digest_method=hashlib.sha256,
        algorithm=HMACAlgorithm(hashlib.sha256),
    )
