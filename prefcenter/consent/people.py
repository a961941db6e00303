"""Finding a person and holding their row until the transaction ends (REL-2)."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter import links
from prefcenter.consent import ledger
from prefcenter.database import db, execute, insert, is_public_id, new_public_id
from prefcenter.links import BadLink, Link
from prefcenter.models import Deliverability, OptInLevel, Person, Status

# The row through Core, held in a Person that no session watches: the ORM's loading and
# flushing cost more than all the rest of a change. ledger.save writes it back.
_columns = Person.__table__.c
_BY_NUMBER, _BY_LINK, _BY_ID, _BY_PUBLIC_ID = (
    sa.select(Person.__table__).where(column == sa.bindparam("key")).with_for_update()
    for column in (_columns.number, _columns.link_id, _columns.id, _columns.public_id)
)


def by_number(number: str) -> Person | None:
    """The person of this number, locked."""
    return _locked(_BY_NUMBER, number)


def by_link(link: Link) -> Person:
    """The person that a genuine link names, locked. Raises BadLink for unknown and erased."""
    person = _locked(_BY_LINK, link.link_id)
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


def by_id(person_id: int) -> Person:
    """The person of this row, locked."""
    person = _locked(_BY_ID, person_id)
    assert person is not None
    return person


def by_public_id(public_id: str) -> Person | None:
    """The person of an address for staff, locked."""
    return _locked(_BY_PUBLIC_ID, public_id) if is_public_id(public_id) else None


def _locked(query: sa.Select[Any], key: str | int) -> Person | None:
    row = execute(query, {"key": key}).one_or_none()
    return Person(**row._mapping) if row is not None else None


def is_lapsed(person: Person) -> bool:
    """True for a subscriber whose number a carrier took out of service: whoever holds it now
    may be somebody else, and must say yes anew (SEC-20)."""
    deactivated = person.deliverability is Deliverability.DEACTIVATED
    return deactivated and person.status is Status.SUBSCRIBED
