"""Texts that a person should read: opened by the rules, closed by whoever read them.

Each has a last day, ten business days from receipt, because the text may have been a wish to
get no more texts (RULE-21). A closed one stays, with what was done (RULE-16, RULE-31).
"""

from datetime import date, datetime, timedelta

import sqlalchemy as sa

from prefcenter.consent import business_days
from prefcenter.database import db, insert, new_public_id
from prefcenter.models import Inbound, Review, ReviewReason

_REPEATS = timedelta(hours=25)  # Vonage brings a text again for 24 hours (SEC-33)
_LONGEST_NAME, _LONGEST_NOTE = 80, 300


def open_for(
    inbound_id: int, person_id: int | None, reason: ReviewReason, *, now: datetime
) -> None:
    """Have a person read this text; once for each text, whatever it is asked for. Never commits."""
    times = sa.select(Inbound.said_at, Inbound.received_at).where(Inbound.id == inbound_id)
    said_at, received_at = db.session.execute(times).one()
    statement = insert(Review).on_conflict_do_nothing(index_elements=["inbound_id"])
    db.session.execute(
        statement.values(
            public_id=new_public_id(),
            inbound_id=inbound_id,
            person_id=person_id,
            reason=reason,
            opened_at=now,
            due_on=business_days.due(_received(said_at, received_at)),
            closed_by="",
            note="",
        )
    )


def _received(said_at: datetime | None, received_at: datetime) -> datetime:
    """When Vonage had the text, which may be a day before we had it.

    Its time is hostile text too: one that no repeat explains is not believed (REL-12).
    """
    if said_at is not None and received_at - _REPEATS <= said_at <= received_at:
        return said_at
    return received_at


def open_count() -> int:
    query = sa.select(sa.func.count()).select_from(Review).where(Review.closed_at.is_(None))
    return db.session.scalar(query) or 0


def oldest_due() -> date | None:
    """The day by which the most urgent one must be read; None when none is open."""
    return db.session.scalar(
        sa.select(sa.func.min(Review.due_on)).where(Review.closed_at.is_(None))
    )


def waiting(limit: int) -> list[tuple[Review, Inbound]]:
    """Open reviews and their texts, the most urgent first."""
    query = (
        sa.select(Review, Inbound)
        .join(Inbound, Inbound.id == Review.inbound_id)
        .where(Review.closed_at.is_(None))
        .order_by(Review.due_on, Review.id)
        .limit(limit)
    )
    return [(review, inbound) for review, inbound in db.session.execute(query)]


def close(public_id: str, by: str, note: str, now: datetime) -> bool:
    """Say who read it and what was done; False when it is closed already, or unknown.

    The first who closes it stays named. Raises ValueError with a sentence for a name or a
    note that is empty or too long. Never commits.
    """
    by, note = by.strip(), note.strip()
    if not 1 <= len(by) <= _LONGEST_NAME:
        raise ValueError(f"Who closes a review has a name of 1 to {_LONGEST_NAME} characters.")
    if not 1 <= len(note) <= _LONGEST_NOTE:
        raise ValueError(f"What was done needs 1 to {_LONGEST_NOTE} characters.")
    statement = (
        sa.update(Review)
        .where(Review.public_id == public_id, Review.closed_at.is_(None))
        .values(closed_at=now, closed_by=by, note=note)
    )
    return bool(db.session.execute(statement.returning(Review.id)).first())
