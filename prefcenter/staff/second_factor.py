"""The second factor: six digits from an authenticator app, or a recovery code (RFC 6238).

The secret is encrypted with keys made of SECRET_KEYS, so a stolen database does not hold it.
Each code works once, also for whoever looked over a shoulder; recovery codes are 80 random
bits each, kept as plain SHA-256. A password reset does not touch any of this (SEC-41).
"""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from prefcenter import config
from prefcenter.database import db
from prefcenter.models_staff import Staff
from prefcenter.staff import activity, sessions
from prefcenter.staff.sessions import Worker

log = logging.getLogger(__name__)

_CODES = 10
_DRIFT = (0, -1, 1)  # steps of 30 seconds that a phone's clock may be wrong
_OFFER_SECONDS = 3600


def offer(worker: Worker, *, now: datetime) -> str:
    """A fresh secret, sealed for the form that asks for its first code. Nothing is stored."""
    text = f"{worker.public_id} {pyotp.random_base32()}".encode()
    return _box().encrypt_at_time(text, int(now.timestamp())).decode()


def offered(sealed: str, worker: Worker, *, now: datetime) -> str | None:
    """The secret of an offer, or None for one that is another's, forged or an hour old."""
    token, moment = sealed.encode("utf-8", "replace"), int(now.timestamp())
    try:
        text = _box().decrypt_at_time(token, _OFFER_SECONDS, moment).decode()
    except InvalidToken:
        return None
    owner, _space, secret = text.partition(" ")
    return secret if owner == worker.public_id else None


def address(secret: str, name: str) -> str:
    """What the QR code says: otpauth://…"""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=config.current().brand)


def turn_on(staff: Staff, secret: str, code: str, *, by: Worker, now: datetime) -> list[str] | None:
    """Keep the secret once its first code was typed; gives the recovery codes. Never commits.

    None where the code is not of that secret. Every browser is signed out.
    """
    step = _step_of(secret, code, now)
    if step is None:
        return None
    staff.totp_secret, staff.totp_last = _sealed(secret, now), step
    sessions.end_all(staff.id)
    _record(by, "second_factor_on", staff, now)
    return _new_codes(staff)


def turn_off(staff: Staff, *, by: Worker, now: datetime) -> None:
    """Never commits."""
    staff.totp_secret, staff.totp_last, staff.recovery_hashes = None, None, []
    _record(by, "second_factor_off", staff, now)


def renew_codes(staff: Staff, *, by: Worker, now: datetime) -> list[str]:
    """Ten new recovery codes; the old ones end. Never commits."""
    _record(by, "recovery_codes_made", staff, now)
    return _new_codes(staff)


def is_right(staff: Staff, typed: str, *, now: datetime) -> bool:
    """Whether that is a code that was not used before; from the commit on it is used."""
    plain = "".join(char for char in typed if char.isalnum())
    if plain.isdecimal() and len(plain) == 6:
        return _use_code(staff, plain, now)
    return _use_recovery(staff, plain.lower(), now)


def _use_code(staff: Staff, code: str, now: datetime) -> bool:
    if staff.totp_secret is None:
        return False
    try:
        secret = _box().decrypt(staff.totp_secret.encode()).decode()
    except InvalidToken:
        log.error("a second factor cannot be read; its SECRET_KEY is gone")
        return False
    step = _step_of(secret, code, now)
    if step is None:
        return False
    used = (
        sa.update(Staff)
        .where(Staff.id == staff.id)
        .where(sa.or_(Staff.totp_last.is_(None), Staff.totp_last < step))
        .values(totp_last=step, totp_secret=_sealed(secret, now))
    )
    return db.session.execute(used.returning(Staff.id)).first() is not None


def _use_recovery(staff: Staff, code: str, now: datetime) -> bool:
    """The row is held, so that two browsers cannot use one code. Each that is used is in the
    log, with how many are left: it may have been found."""
    db.session.refresh(staff, with_for_update=True)
    hidden = _hidden(code)
    matches = [one for one in staff.recovery_hashes if hmac.compare_digest(one, hidden)]
    staff.recovery_hashes = [one for one in staff.recovery_hashes if one not in matches]
    db.session.flush()
    if matches:
        details = {"name": staff.name, "left": len(staff.recovery_hashes)}
        by = sessions.worker_of(staff)
        activity.record(by, "recovery_code_used", subject=staff.public_id, details=details, now=now)
    return bool(matches)


def _sealed(secret: str, now: datetime) -> str:
    """With the newest key: each use of a code moves the secret to it."""
    return _box().encrypt_at_time(secret.encode(), int(now.timestamp())).decode()


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is. Every step is compared, so time tells nothing."""
    totp = pyotp.TOTP(secret)
    current = totp.timecode(now)
    digits = "".join(char for char in code if char.isalnum()).encode("utf-8", "replace")
    steps = [current + drift for drift in _DRIFT]
    right = [s for s in steps if hmac.compare_digest(totp.generate_otp(s).encode(), digits)]
    return max(right) if right else None


def _new_codes(staff: Staff) -> list[str]:
    raw = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _code in range(_CODES)]
    staff.recovery_hashes = [_hidden(code) for code in raw]
    return [_grouped(code) for code in raw]


def _grouped(code: str) -> str:
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _hidden(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()


def _record(by: Worker, action: str, staff: Staff, now: datetime) -> None:
    activity.record(by, action, subject=staff.public_id, details={"name": staff.name}, now=now)


def _box() -> MultiFernet:
    """Closes with the newest key and opens with any."""
    return MultiFernet([Fernet(key) for key in _keys(config.current().secret_keys)])


def _keys(secret_keys: Sequence[str]) -> list[bytes]:
    """A key of each for this purpose alone (SEC-9)."""
    made = [hmac.digest(key.encode(), b"prefcenter.totp", hashlib.sha256) for key in secret_keys]
    return [base64.urlsafe_b64encode(key) for key in made]
