"""Texts and wordings that people here have written."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class TextVersion(Base):
    """Words that somebody saved. Never edited: the newest of a kind and language is in force,
    and going back to the words that we ship is one more version (RULE-14)."""

    __tablename__ = "text_version"
    __table_args__ = (sa.UniqueConstraint("kind", "language", "number"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    kind: Mapped[str] = mapped_column(sa.String(24))  # a TextKind, a consent text, the campaign
    language: Mapped[str] = mapped_column(sa.String(8))
    number: Mapped[int] = mapped_column(sa.Integer)  # 1, 2, 3 … per kind and language
    body: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(sa.String(80))  # their name, as it was then
