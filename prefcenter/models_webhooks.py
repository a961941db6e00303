"""Addresses of the owner's that are told about changes, and what each still has to be told."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from prefcenter.database import Base, UtcDateTime, new_public_id, words

_RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class EndpointEnd(StrEnum):
    """Why an endpoint is told nothing any more."""

    OWNER = "owner"
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # it took nothing for days


class WebhookEndpoint(Base):
    """An address of the owner's that is told about changes, and how far it was told."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(22), unique=True, default=new_public_id)
    url: Mapped[str] = mapped_column(sa.String(500))
    secret: Mapped[str] = mapped_column(sa.String(255))  # encrypted
    old_secret: Mapped[str | None] = mapped_column(sa.String(255))  # encrypted; signs beside it
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_event_id: Mapped[int] = mapped_column(
        sa.BigInteger
    )  # events up to here are done or parked
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_why: Mapped[EndpointEnd | None] = mapped_column(words(EndpointEnd))
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when it last took a notice
    failures: Mapped[int] = mapped_column(sa.Integer, default=0)  # in a row, up to now
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rests_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # nothing is tried before
    last_error: Mapped[str] = mapped_column(sa.String(120), default="")
    held_by: Mapped[str | None] = mapped_column(sa.String(22))  # the one process that tells it
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ParkedNotice(Base):
    """An event that an endpoint has not taken yet; later ones of the same person wait behind."""

    __tablename__ = "parked_notice"
    __table_args__ = (
        sa.UniqueConstraint("endpoint_id", "event_id"),
        sa.Index(
            "ix_parked_notice_person",
            *("endpoint_id", "person_id", "event_id"),
            sqlite_where=sa.text("dead_at IS NULL"),
            postgresql_where=sa.text("dead_at IS NULL"),
        ),
        sa.Index(
            "ix_parked_notice_due",
            *("endpoint_id", "due_at", "event_id"),
            sqlite_where=sa.text("dead_at IS NULL"),
            postgresql_where=sa.text("dead_at IS NULL"),
        ),
        sa.Index(
            "ix_parked_notice_dead",
            *("endpoint_id", "event_id"),
            sqlite_where=sa.text("dead_at IS NOT NULL"),
            postgresql_where=sa.text("dead_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(_RowId, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(sa.ForeignKey("webhook_endpoint.id"))
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("consent_event.id"))
    person_id: Mapped[int] = mapped_column(sa.ForeignKey("person.id"))
    parked_at: Mapped[datetime] = mapped_column(UtcDateTime)  # or when its turn came
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: behind another
    attempts: Mapped[int] = mapped_column(sa.Integer)
    last_error: Mapped[str] = mapped_column(sa.String(120))
    dead_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
