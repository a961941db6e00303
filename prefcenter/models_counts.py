"""Tables of what the overview counts. All of it can be made again from the ledger.

A count belongs to a scope: all people, or those of one place, category, country and sign-up
language, where `*` stands for any. Every event is counted in each scope that it belongs to, so
that a page reads ready sums whatever its filters say.
"""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NO_ROWID = {"sqlite_with_rowid": False}  # these are read along their key alone

ANY = "*"


class CountMark(Base):
    """How far the counting has come; one row. `generation` says which scopes are in force."""

    __tablename__ = "count_mark"

    id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    generation: Mapped[int] = mapped_column(sa.Integer)
    zone: Mapped[str] = mapped_column(sa.String(64))  # whose days are counted
    event_id: Mapped[int] = mapped_column(sa.BigInteger)  # every event up to here is counted
    text_id: Mapped[int] = mapped_column(sa.BigInteger)  # and every text of the outbox
    suppressed: Mapped[int] = mapped_column(sa.Integer)  # without the rows of suppression_change


class CountScope(Base):
    """Whose events are counted together."""

    __tablename__ = "count_scope"
    __table_args__ = (sa.UniqueConstraint("generation", "place", "kind", "country", "language"),)

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    generation: Mapped[int] = mapped_column(sa.Integer)
    place: Mapped[str] = mapped_column(sa.String(220))  # where they asked for texts
    kind: Mapped[str] = mapped_column(sa.String(40))  # a category's slug
    country: Mapped[str] = mapped_column(sa.String(2))
    language: Mapped[str] = mapped_column(sa.String(8))


class DayCount(Base):
    """What happened on one day, such as `on` (texts turned on) by `widget`."""

    __tablename__ = "day_count"
    __table_args__ = _NO_ROWID

    scope_id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    what: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    label: Mapped[str] = mapped_column(sa.String(24), primary_key=True)
    count: Mapped[int] = mapped_column(sa.Integer)


class RunningCount(Base):
    """How many people stand somewhere now, such as `standing` on `subscribed`."""

    __tablename__ = "running_count"
    __table_args__ = _NO_ROWID

    scope_id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    what: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    label: Mapped[str] = mapped_column(sa.String(24), primary_key=True)
    count: Mapped[int] = mapped_column(sa.Integer)


class TextCount(Base):
    """How many texts that were written on one day have left."""

    __tablename__ = "text_count"
    __table_args__ = _NO_ROWID

    generation: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    count: Mapped[int] = mapped_column(sa.Integer)


class SuppressionChange(Base):
    """A number that was suppressed (+1) or let go (-1) since that was last added up.

    Written by triggers of the database, whoever changes the table.
    """

    __tablename__ = "suppression_change"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    change: Mapped[int] = mapped_column(sa.Integer)
