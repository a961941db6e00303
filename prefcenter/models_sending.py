"""What other programs told us that they will send, or have sent."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime, new_public_id

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class Reservation(Base):
    """A marketing text that counts against a person's frequency (RULE-37).

    It counts from the answer on. One that is neither said to be sent nor released stops to count
    at `expires_at`.
    """

    __tablename__ = "reservation"
    __table_args__ = (sa.Index("ix_reservation_person_id_at", "person_id", "at"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    category: Mapped[str] = mapped_column(sa.String(40))  # its slug
    api_key: Mapped[str] = mapped_column(sa.String(80))  # the name of the key that asked
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
