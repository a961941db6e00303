"""Keys of the API: made once, shown once, kept only as a hash (SEC-39).

A secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back, and looking it
up by that hash takes no time that tells anything about the secret.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from prefcenter.database import db, execute, hold
from prefcenter.driver import Query, Within, moment
from prefcenter.models import ApiKey

PREFIX = "pck_"  # so that people and scanners for lost secrets know what it is
SCOPES = ("decide", "write", "read", "export", "attest")
_BYTES = 32
_LONGEST_NAME = 80
_NOTED_EVERY = timedelta(minutes=1)

_keys = ApiKey.__table__.c
_BY_HASH = Query("""
    SELECT id, name, scopes, last_used_at FROM api_key
     WHERE secret_sha256 = :hash AND revoked_at IS NULL
""")
_USED = (
    sa.update(ApiKey)
    .where(_keys.id == sa.bindparam("key_id"))
    .where(sa.or_(_keys.last_used_at.is_(None), _keys.last_used_at <= sa.bindparam("before")))
    .values(last_used_at=sa.bindparam("used_at"))
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that is valid now, and what it may do."""

    id: int
    name: str
    scopes: frozenset[str]
    last_used_at: datetime | None


def make(name: str, scopes: Iterable[str], *, now: datetime) -> str:
    """Store a new key and give its secret, which is nowhere else. Never commits.

    Raises ValueError, as a sentence, for a name or a scope that cannot be.
    """
    name, wanted = name.strip(), set(scopes)
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"A key has a name of 1 to {_LONGEST_NAME} characters, like web-shop.")
    if unknown := sorted(wanted - set(SCOPES)):
        raise ValueError(f"There is no scope {unknown[0]}; scopes are {', '.join(SCOPES)}.")
    if not wanted:
        raise ValueError(f"A key needs at least one scope; scopes are {', '.join(SCOPES)}.")
    hold("new API key")  # of two who make the same at once, the second reads that it is taken
    if db.session.scalar(sa.select(ApiKey.id).where(ApiKey.name == name)):
        raise ValueError(f"There is, or was, a key {name} already; choose another name.")
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    db.session.add(
        ApiKey(
            name=name,
            secret_sha256=_hidden(secret),
            scopes=[scope for scope in SCOPES if scope in wanted],
            created_at=now,
        )
    )
    db.session.flush()
    return secret


def find(secret: str, *, within: Within = None) -> Key | None:
    """The key that has this secret and was not revoked. Reads past the session, and only reads."""
    rows = _BY_HASH.rows({"hash": _hidden(secret)}, within=within)
    if not rows:
        return None
    id_, name, scopes, used = rows[0]
    known = json.loads(scopes) if isinstance(scopes, str) else scopes
    return Key(id_, name, frozenset(known), moment(used) if used else None)


def touch(key: Key, *, now: datetime) -> None:
    """Note in the caller's write that the key was used, at most once a minute. Never commits."""
    if is_due(key, now=now):
        before = now - _NOTED_EVERY
        execute(_USED, {"key_id": key.id, "before": before, "used_at": now})


def is_due(key: Key, *, now: datetime) -> bool:
    """Whether `touch` would write: what only reads need not begin a write for nothing."""
    return key.last_used_at is None or key.last_used_at <= now - _NOTED_EVERY


def revoke(name: str, *, now: datetime) -> bool:
    """From the commit on the key opens nothing; False when it did not before. Never commits."""
    if not name.isprintable():
        return False
    ended = (
        sa.update(ApiKey)
        .where(ApiKey.name == name, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return bool(db.session.execute(ended.returning(ApiKey.id)).first())


def every() -> list[ApiKey]:
    """All keys, also revoked ones, the oldest first."""
    return list(db.session.scalars(sa.select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)))


def _hidden(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
