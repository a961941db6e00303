"""Finding a person by their number, whole or by its last four digits. Only reads.

A number stands in a POST body alone, never in an address or a log (SEC-7, SEC-44).
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from prefcenter import config, phone
from prefcenter.database import read
from prefcenter.models import ConsentEvent, Person, Status

MOST = 50
_RECENT, _LOOK_BACK = 20, 200
_LAST_FOUR = re.compile(r"[^\d+＋]{0,5}([0-9]{4})\Z")  # after a plus they are the first ones
_ABROAD = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_people, _events = Person.__table__.c, ConsentEvent.__table__.c
_SHOWN = (_people.id, _people.public_id, _people.number, _people.country, _people.status)
_BY_NUMBER = sa.select(*_SHOWN).where(_people.number == sa.bindparam("number"))
# The ids alone come from the index of numbers; a person's row is read only when found.
_BY_ENDING = sa.select(*_SHOWN).where(
    _people.id.in_(
        sa.select(_people.id)
        .where(_people.number.like(sa.bindparam("ending")))
        .order_by(_people.id)
        .limit(MOST + 1)
    )
)
_NEWEST = sa.select(_events.person_id, _events.at).order_by(_events.id.desc()).limit(_LOOK_BACK)
_BY_IDS = sa.select(*_SHOWN).where(_people.id.in_(sa.bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody typed: a whole number, or the end of one."""

    number: str = field(default="", repr=False)
    country: str = ""
    ending: str = ""

    @property
    def is_whole(self) -> bool:
        """False for a number abroad, of which more digits may come."""
        return bool(self.country or self.ending)

    @property
    def masked(self) -> str:
        return phone.mask(self.number) if self.number else f"…{self.ending}"


@dataclass(frozen=True, slots=True)
class Found:
    """A person in a list; their number is masked where it is shown."""

    public_id: str
    number: str | None = field(repr=False)
    country: str
    status: Status
    changed_at: datetime | None = None


def read_typed(typed: str) -> Wanted | None:
    """A number in any form that people write, or four digits; None for anything else."""
    typed = typed.strip()
    if found := _LAST_FOUR.fullmatch(typed):
        return Wanted(ending=found[1])
    try:
        number = phone.parse(typed, countries=config.current().countries)
    except phone.NumberError:
        # Numbers that we may not text can have texted us.
        plain = re.sub(r"[\s().\-/]", "", typed)
        return Wanted(number=plain) if _ABROAD.fullmatch(plain) else None
    return Wanted(number=number.e164, country=number.country)


def find(wanted: Wanted) -> list[Found]:
    """Who has this number; of an ending up to MOST people, and one more where there are more."""
    if wanted.number:
        rows = read(_BY_NUMBER, {"number": wanted.number})
    else:
        rows = read(_BY_ENDING, {"ending": f"%{wanted.ending}"})
    return [Found(row.public_id, row.number, row.country, row.status) for row in rows]


def changed_lately() -> list[Found]:
    """Whose ledger grew last, the newest first."""
    last: dict[int, datetime] = {}
    for row in read(_NEWEST, {}):
        if len(last) == _RECENT:
            break
        last.setdefault(row.person_id, row.at)
    rows = {row.id: row for row in read(_BY_IDS, {"ids": list(last)})} if last else {}
    return [
        Found(rows[key].public_id, rows[key].number, rows[key].country, rows[key].status, at)
        for key, at in last.items()
        if key in rows
    ]
