"""Is this post Vonage's own? Reads the signed token that comes with each webhook.

Vonage signs with a secret that both sides know: a JWT (HS256) in the Authorization header,
with a hash of the body inside. Its SDK checks the secret alone, so that a token seen once
would carry any other body for ever; hence this verifier (SEC-32, SEC-33). Pure: no request,
no database, no clock, and none of the SDK's 25 MiB.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

LEEWAY = 5 * 60  # seconds between Vonage's clock and ours (SEC-33 asks for 60 at least)
LONGEST = 25 * 3600  # seconds: Vonage repeats a post for 24 hours, perhaps with its old token
MAX_TOKEN = 8192  # characters; Vonage's have about 400
_LAST_MOMENT = 10**11  # no claim about time lies beyond the year 5100
_JWS = PyJWS(algorithms=["HS256"])

Claims = dict[str, Any]


class Unsigned(Exception):
    """No token at all: answer 503 and alarm.

    Vonage says that this happens, rarely, and that a 5xx gets a signed repeat. It is also how
    posts look when the account is set to the SMS API, so nothing may be lost meanwhile.
    """


class BadToken(Exception):
    """A token, and not one to believe: answer 401. `reason` is one of our words, for logs."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ClockTrouble(Exception):
    """Genuine, but issued more than five minutes ahead of our clock: answer 503 and alarm.

    Our clock is the likelier fault, and a 4xx would lose the text.
    """


@dataclass(frozen=True, slots=True)
class Keys:
    """What Vonage's tokens are checked against; two secrets while one replaces the other."""

    api_key: str
    secrets: tuple[str, ...] = field(repr=False)
    application_id: str  # "" where none is set: then any may stand there
    application_required: bool  # False for accounts whose webhooks belong to no application


def verify(authorization: Sequence[str], raw: bytes, keys: Keys, *, now: datetime) -> None:
    """Return if these Authorization headers make `raw` a post of Vonage's; raise otherwise.

    The signature comes first: whoever does not know the secret reaches no parser.
    """
    token = _token(authorization)
    claims = _claims(token, keys.secrets)
    _check_origin(claims, keys)
    digest = hashlib.sha256(raw).hexdigest()
    if not _same(_text(claims, "payload_hash").lower(), digest):  # hex may come in capitals
        raise BadToken("body")
    _check_times(claims, now.timestamp())


def _token(authorization: Sequence[str]) -> bytes:
    """The one Bearer token. A blank header says nothing, so it counts as none."""
    if not authorization:
        raise Unsigned
    if len(authorization) > 1:
        raise BadToken("two headers")
    scheme, _, token = authorization[0].strip(" \t").partition(" ")
    if not scheme:
        raise Unsigned
    if scheme.lower() != "bearer":
        raise BadToken("scheme")
    token = token.strip(" \t")
    if len(token) > MAX_TOKEN or not token.isascii():
        raise BadToken("token")
    return token.encode("ascii")


def _claims(token: bytes, secrets: Sequence[str]) -> Claims:
    """What the token says, once one of our secrets has signed it."""
    signed, _, signature = token.rpartition(b".")
    if not any(_signed_by(secret, signed, signature) for secret in secrets):
        raise BadToken("signature")
    head, _, payload = signed.partition(b".")
    try:
        if not _is_hs256(head):
            raise BadToken("algorithm")
        claims = json.loads(_decoded(payload))
    except (PyJWTError, ValueError, RecursionError):
        raise BadToken("token") from None
    if not isinstance(claims, dict):
        raise BadToken("token")
    return claims


@lru_cache(maxsize=16)
def _is_hs256(head: bytes) -> bool:
    """Whether this is how a token of Vonage's begins; raises what PyJWT raises for no JWT.

    Kept, because all begin alike and PyJWT takes longer for it than all the rest of the check.
    PyJWT sees no more than this of a token, whose signature is good by now: it would parse
    before it checks, once for each secret, and warn at every post about a secret under 32
    bytes, which Vonage allows.
    """
    header = _JWS.decode_complete(head + b"..", options={"verify_signature": False})["header"]
    return header.get("alg") == "HS256" and "crit" not in header


def _decoded(segment: bytes) -> bytes:
    padded = segment + b"=" * (-len(segment) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _signed_by(secret: str, signed: bytes, signature: bytes) -> bool:
    """HMAC-SHA-256 whatever the token names; compared as base64, which has one spelling."""
    mac = hmac.digest(secret.encode(), signed, "sha256")
    expected = base64.urlsafe_b64encode(mac).rstrip(b"=")
    return bool(secret) and hmac.compare_digest(expected, signature)


def _check_origin(claims: Claims, keys: Keys) -> None:
    """Made by Vonage, for our account and our application."""
    if claims.get("iss") != "Vonage":
        raise BadToken("issuer")
    if not _same(_text(claims, "api_key"), keys.api_key):
        raise BadToken("account")
    unnamed = claims.get("application_id") is None or not keys.application_id
    if unnamed and not keys.application_required:
        return
    if not _same(_text(claims, "application_id"), keys.application_id):
        raise BadToken("application")


def _check_times(claims: Claims, now: float) -> None:
    """Issued within the last 25 hours. Being ahead is told last, and never to a forger."""
    if not _text(claims, "jti"):
        raise BadToken("jti")
    issued = _moment(claims, "iat")
    if issued < now - LONGEST:
        raise BadToken("too old")
    if "exp" in claims and _moment(claims, "exp") <= now - LEEWAY:
        raise BadToken("expired")
    # With our clock behind, both lie ahead, and only a start after the issue is a fault.
    if "nbf" in claims and _moment(claims, "nbf") > max(now, issued) + LEEWAY:
        raise BadToken("not yet")
    if issued > now + LEEWAY:
        raise ClockTrouble


def _text(claims: Claims, name: str) -> str:
    """A claim that must be text; "" stands for anything else."""
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _moment(claims: Claims, name: str) -> float:
    """Seconds since 1970. True, "1", NaN and 5,000 digits are no moments."""
    value: Any = claims.get(name)
    if type(value) not in (int, float) or not 0 <= value <= _LAST_MOMENT:
        raise BadToken(name)
    return float(value)


def _same(theirs: str, ours: str) -> bool:
    """Compared in constant time. Nothing equals a setting that is missing."""
    return bool(ours) and hmac.compare_digest(
        theirs.encode("utf-8", "surrogatepass"), ours.encode()
    )
