"""Calls of the API that were answered, so that the same call again gets the same answer."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class AnsweredCall(Base):
    """A write that came with an `Idempotency-Key`: the same key again gets the same answer."""

    __tablename__ = "answered_call"
    __table_args__ = (sa.UniqueConstraint("api_key_id", "key_sha256"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    api_key_id: Mapped[int] = mapped_column(sa.ForeignKey("api_key.id"))
    key_sha256: Mapped[str] = mapped_column(sa.String(64))
    request_sha256: Mapped[str] = mapped_column(sa.String(64))  # of method, path and body
    status: Mapped[int] = mapped_column(sa.Integer)
    body: Mapped[str] = mapped_column(sa.Text)  # never holds a number
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
