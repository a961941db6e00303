"""What makes the history quick to filter, and the files that people here have taken out."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime, new_public_id, words

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class EventFact(Base):
    """What an event is about that is no column of it: a category it names, a country.

    Written by a trigger in the transaction of the event, so that none lacks it. In the order
    in which the history is read, so that a page of any filter is one walk along the key.
    """

    __tablename__ = "event_fact"
    __table_args__ = ({"sqlite_with_rowid": False},)

    name: Mapped[str] = mapped_column(sa.String(12), primary_key=True)  # category or country
    value: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    event_id: Mapped[int] = mapped_column(_RowId, primary_key=True, autoincrement=False)


class EventNote(Base):
    """What somebody who works here wrote about an event, as it is searched; goes with the
    evidence that it stands in."""

    __tablename__ = "event_note"
    __table_args__ = ({"sqlite_with_rowid": False},)

    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    event_id: Mapped[int] = mapped_column(
        sa.ForeignKey("evidence.event_id", ondelete="CASCADE"), primary_key=True, unique=True
    )
    note: Mapped[str] = mapped_column(sa.Text)  # as ledger.searchable writes it


class ExportKind(StrEnum):
    """What a file holds."""

    HISTORY = "history"
    LEDGER = "ledger"
    AUDIENCE = "audience"
    SUPPRESSIONS = "suppressions"


class ExportState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    BROKEN_OFF = "broken_off"  # whoever took it hung up before the end
    FAILED = "failed"


class Export(Base):
    """One file that was taken out: by whom, why, of what, and how far it got (SEC-44)."""

    __tablename__ = "export"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    kind: Mapped[ExportKind] = mapped_column(words(ExportKind))
    format: Mapped[str] = mapped_column(sa.String(8))  # csv or ndjson
    by: Mapped[str] = mapped_column("by_name", sa.String(80))
    reason: Mapped[str] = mapped_column(sa.String(300))
    filters: Mapped[dict[str, Any]] = mapped_column(sa.JSON)  # never a number
    state: Mapped[ExportState] = mapped_column(words(ExportState))
    rows_done: Mapped[int] = mapped_column(sa.BigInteger)
    rows_total: Mapped[int | None] = mapped_column(sa.BigInteger)  # None: not counted
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)  # when it was last known to go on
