"""The proof of work: what a browser computes for half a second before a form is taken (SEC-31).

Challenges are ALTCHA's, version 2, made and checked by its package. Each is bound to one form
token by the token's nonce, so it is good for one form and as long as the token: an end of its
own would be checked against another clock than ours.
"""

import hashlib
import hmac
import secrets
from typing import Any

import altcha

from prefcenter import config

_ALGORITHM = "PBKDF2/SHA-256"
_COST, _HARD_COST = 1_000, 5_000  # rounds for each try
_FEWEST, _MOST = 300, 600  # tries until it is found
_LONGEST = 4_096  # characters that an answer may have; ours have some 600


def challenge(nonce: str, *, hard: bool) -> dict[str, Any]:
    """A challenge for the form whose token has this nonce, as its script reads it."""
    key = config.current().secret_keys[0]
    made = altcha.create_challenge(
        _ALGORITHM,
        _HARD_COST if hard else _COST,
        counter=_FEWEST + secrets.randbelow(_MOST - _FEWEST + 1),
        data={"n": nonce},
        hmac_secret=_derived(key, "challenge"),
        hmac_key_secret=_derived(key, "answer"),
    )
    return dict(made.to_dict())


def is_done(answer: str, nonce: str) -> bool:
    """True for the solved challenge of this nonce."""
    if not 0 < len(answer) <= _LONGEST:
        return False
    try:
        payload = altcha.Payload.from_base64(answer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    if payload.challenge.parameters.data != {"n": nonce}:
        return False
    return any(_solves(payload, key) for key in config.current().secret_keys)


def _solves(payload: altcha.Payload, key: str) -> bool:
    found = altcha.verify_solution(
        payload,
        _derived(key, "challenge"),
        hmac_key_secret=_derived(key, "answer"),
    )
    return bool(found.verified)


def _derived(key: str, use: str) -> bytes:
    """A key for this purpose alone (SEC-9)."""
    return hmac.digest(key.encode(), f"prefcenter.work.{use}".encode(), hashlib.sha256)
