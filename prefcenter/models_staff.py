"""Tables of the people who work here: their accounts, sessions, and the log of what they did."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime, new_public_id, words

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Role(StrEnum):
    """What somebody may do; each may all that the one before it may."""

    VIEWER = "viewer"  # masked numbers, counts, history
    EDITOR = "editor"  # categories, sites, texts, reviews, record a revocation
    OWNER = "owner"  # staff, keys, reveal, export, erase


class Staff(Base):
    """Somebody who may sign in. Never deleted, because the log names them."""

    __tablename__ = "staff"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)  # what they type to sign in
    role: Mapped[Role] = mapped_column(words(Role))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    one_time: Mapped[bool] = mapped_column(sa.Boolean)  # the password must be changed first
    one_time_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # it opens nothing then
    totp_secret: Mapped[str | None] = mapped_column(sa.String(255))  # encrypted
    totp_last: Mapped[int | None] = mapped_column(sa.BigInteger)  # last time step that was used
    recovery_hashes: Mapped[list[str]] = mapped_column(sa.JSON)
    language: Mapped[str] = mapped_column(sa.String(8))
    zone: Mapped[str | None] = mapped_column(sa.String(64))  # IANA name; None is the deployment's
    shortcuts: Mapped[bool] = mapped_column(sa.Boolean, default=True)  # single-key shortcuts
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class StaffSession(Base):
    """One signed-in browser. Gone with log-out and with a change of password or role (SEC-42)."""

    __tablename__ = "staff_session"

    token_sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    whole: Mapped[bool] = mapped_column(sa.Boolean)  # False: the second factor is still to come
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class StaffAction(Base):
    """One entry of the admin log: append-only, like the ledger (SEC-44)."""

    __tablename__ = "staff_action"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    staff_id: Mapped[int | None] = mapped_column(sa.ForeignKey("staff.id"))  # None: a command
    staff_name: Mapped[str] = mapped_column(sa.String(80))
    role: Mapped[str] = mapped_column(sa.String(12))
    action: Mapped[str] = mapped_column(sa.String(40), index=True)
    subject: Mapped[str] = mapped_column(sa.String(120))  # a public id or slug, never a number
    reason: Mapped[str] = mapped_column(sa.String(300))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)  # never a number or a secret
