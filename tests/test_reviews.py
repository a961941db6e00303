"""Texts for a person to read: one each, due in ten business days, closed with what was done."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from prefcenter.consent import reviews
from prefcenter.database import db, writing
from prefcenter.models import Inbound, Review, ReviewReason
from tests.cast import ALICE
from tests.conftest import Clock

pytestmark = pytest.mark.usefixtures("app")
LIKELY, MENTIONS = ReviewReason.LIKELY_REFUSAL, ReviewReason.MENTIONS_STOP


def text_in(message_id: str, received_at: datetime, said_at: datetime | None = None) -> int:
    """A text that came in."""
    row = Inbound(
        message_id=message_id,
        number=ALICE,
        ours="+12025550100",
        text="please no more of these",
        said_at=said_at,
        received_at=received_at,
    )
    with writing():
        db.session.add(row)
        db.session.commit()
    return row.id


def review(inbound: int, now: Clock, reason: ReviewReason = LIKELY) -> None:
    with writing():
        reviews.open_for(inbound, None, reason, now=now.now())
        db.session.commit()


def close(public_id: str, now: Clock, by: str = "Dana", note: str = "It was a refusal.") -> bool:
    with writing():
        closed = reviews.close(public_id, by, note, now.now())
        db.session.commit()
    return closed


def rows() -> list[Review]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(sa.select(Review).order_by(Review.id)))


def test_a_text_is_opened_once_whatever_it_is_asked_for(now: Clock) -> None:
    inbound = text_in("m-1", now.now())
    review(inbound, now)
    now.forward(days=3)
    review(inbound, now, MENTIONS)
    [row] = rows()
    assert (row.reason, row.person_id, row.closed_at) == (LIKELY, None, None)
    assert row.opened_at == datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
    assert row.due_on == date(2026, 12, 9), "over Thanksgiving"
    assert len(row.public_id) == 22
    assert reviews.open_count() == 1


def test_nothing_is_kept_without_the_callers_commit(now: Clock) -> None:
    inbound = text_in("m-1", now.now())
    with writing():
        reviews.open_for(inbound, None, LIKELY, now=now.now())
    assert rows() == []
    review(inbound, now)
    [row] = rows()
    with writing():
        assert reviews.close(row.public_id, "Dana", "Done.", now.now())
    assert reviews.open_count() == 1


@pytest.mark.parametrize(
    ("said", "due"),
    [
        (timedelta(days=-1), date(2026, 12, 8)),  # repeated by Vonage for a day
        (timedelta(days=-2), date(2026, 12, 9)),  # no repeat explains that
        (timedelta(hours=3), date(2026, 12, 9)),  # not said yet
        (-timedelta(days=20_000), date(2026, 12, 9)),  # 1970
        (None, date(2026, 12, 9)),
    ],
)
def test_days_are_counted_from_receipt_not_from_when_we_got_to_it(
    now: Clock, said: timedelta | None, due: date
) -> None:
    """RULE-21. Vonage had the text first, but its word for when is not believed blindly."""
    came = now.now()
    inbound = text_in("m-1", came, came + said if said else None)
    now.forward(days=5)
    review(inbound, now)
    assert rows()[0].due_on == due


def test_the_most_urgent_comes_first(now: Clock) -> None:
    assert (reviews.open_count(), reviews.oldest_due(), reviews.waiting(9)) == (0, None, [])
    late = text_in("m-late", now.now())
    early = text_in("m-early", now.now() - timedelta(days=7))
    other = text_in("m-other", now.now() + timedelta(days=7))
    for inbound in (late, early, other):
        review(inbound, now)
    assert reviews.open_count() == 3
    assert reviews.oldest_due() == date(2026, 12, 2)
    found = reviews.waiting(2)
    assert [text.message_id for _review, text in found] == ["m-early", "m-late"]
    assert [row.inbound_id for row, _text in found] == [early, late]
    assert close(found[0][0].public_id, now)
    assert reviews.open_count() == 2
    assert reviews.oldest_due() == date(2026, 12, 9)
    assert [text.message_id for _review, text in reviews.waiting(9)] == ["m-late", "m-other"]


def test_the_first_who_closes_it_stays_named(now: Clock) -> None:
    """RULE-16: the request and the action taken are kept."""
    review(text_in("m-1", now.now()), now)
    [row] = rows()
    closed_at = now.now()
    assert close(row.public_id, now, " Dana ", " Stopped by hand. ")
    now.forward(hours=1)
    assert not close(row.public_id, now, "Eve", "Nothing to do.")
    assert not close("nobody-knows-this-one-", now)
    [row] = rows()
    assert (row.closed_by, row.note, row.closed_at) == ("Dana", "Stopped by hand.", closed_at)


@pytest.mark.parametrize(
    ("by", "note"), [("", "Done."), ("x" * 81, "Done."), ("Dana", " \n"), ("Dana", "x" * 301)]
)
def test_nobody_and_nothing_close_no_review(now: Clock, by: str, note: str) -> None:
    review(text_in("m-1", now.now()), now)
    with pytest.raises(ValueError, match="characters"):
        close(rows()[0].public_id, now, by, note)
    assert reviews.open_count() == 1
    assert close(rows()[0].public_id, now, "x" * 80, "y" * 300)
