"""Finding a person and holding their row until the transaction ends (REL-2)."""

from datetime import datetime

import sqlalchemy as sa

from prefcenter import links
from prefcenter.consent import ledger
from prefcenter.database import db, insert, new_public_id
from prefcenter.links import BadLink, Link
from prefcenter.models import Deliverability, OptInLevel, Person, Status


def by_number(number: str) -> Person | None:
    """The person of this number, locked."""
    return _locked(Person.number == number)


def by_link(link: Link) -> Person:
    """The person that a genuine link names, locked. Raises BadLink for unknown and erased."""
    person = _locked(Person.link_id == link.link_id)
    if person is None or person.status is Status.REDACTED:
        raise BadLink
    return person


def enrol(number: str, country: str, language: str, *, now: datetime) -> Person:
    """The person of this number, locked; made first where there was none."""
    statement = insert(Person).values(
        public_id=new_public_id(),
        link_id=links.new_link_id(),
        number=number,
        country=country,
        language=language,
        status=Status.NOT_SUBSCRIBED,
        opt_in_level=OptInLevel.UNKNOWN,
        deliverability=Deliverability.OK,
        frequency="all",
        requested=[],
        ledger_seq=0,
        ledger_head=ledger.FIRST,
        created_at=now,
    )
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["number"]))
    person = by_number(number)
    assert person is not None
    return person


def _locked(which: sa.ColumnElement[bool]) -> Person | None:
    query = sa.select(Person).where(which).with_for_update(of=Person)
    return db.session.scalar(query.execution_options(populate_existing=True))
