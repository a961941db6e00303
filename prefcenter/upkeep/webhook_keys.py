"""The secrets that sign what an endpoint is told, as Standard Webhooks says.

Receivers check the signature with the public libraries. A secret is shown once, and stored
encrypted with a key made of SECRET_KEYS, because signing needs it again; a stolen database does
not hold it.
"""

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from prefcenter import config
from prefcenter.models_webhooks import WebhookEndpoint

log = logging.getLogger(__name__)

PREFIX = "whsec_"
_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def keys_of(endpoint: WebhookEndpoint, *, now: datetime) -> list[bytes]:
    """What signs now, the newest first; none where the SECRET_KEY that sealed them is gone."""
    kept = [endpoint.secret]
    until = endpoint.old_secret_until
    if endpoint.old_secret and until and now < until:
        kept.append(endpoint.old_secret)
    found = [_opened(one) for one in kept]
    if found[0] is None:
        log.error("a webhook's secret cannot be read; its SECRET_KEY is gone")
        return []
    return [key for key in found if key is not None]


def headers_of(
    webhook_id: str, body: bytes, keys: Sequence[bytes], *, now: datetime
) -> dict[str, str]:
    """The headers of Standard Webhooks, with one signature a key."""
    stamp = str(int(now.timestamp()))
    said = f"{webhook_id}.{stamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, said, hashlib.sha256)) for key in keys]
    return {
        "Content-Type": "application/json",
        "User-Agent": "prefcenter",
        "webhook-id": webhook_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{one.decode()}" for one in signatures),
    }


def sealed(secret: str) -> str:
    """As it is stored."""
    return _box().encrypt(secret.encode()).decode()


def resealed(kept: str) -> str:
    """The same, closed with the newest SECRET_KEY; as it is, where nothing opens it."""
    if is_newest(kept) or _opened(kept) is None:
        return kept
    return _box().rotate(kept.encode()).decode()


def _opened(kept: str) -> bytes | None:
    try:
        secret = _box().decrypt(kept.encode()).decode()
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (InvalidToken, binascii.Error):
        return None


def is_newest(kept: str) -> bool:
    """Whether the newest SECRET_KEY alone opens it."""
    try:
        Fernet(_seals()[0]).decrypt(kept.encode())
    except InvalidToken:
        return False
    return True


def _box() -> MultiFernet:
    """Closes with the newest key and opens with any."""
    return MultiFernet([Fernet(key) for key in _seals()])


def _seals() -> list[bytes]:
    """A key of each SECRET_KEY, for this purpose alone (SEC-9)."""
    made = [
        hmac.digest(key.encode(), b"prefcenter.webhook", hashlib.sha256)
        for key in config.current().secret_keys
    ]
    return [base64.urlsafe_b64encode(key) for key in made]
