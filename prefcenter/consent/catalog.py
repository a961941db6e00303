"""The content categories that an owner offers."""

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from prefcenter.database import db, execute
from prefcenter.models import Category, PersonCategory

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


_kinds, _taken = Category.__table__, PersonCategory.__table__
_OF_PERSON: sa.Select[Any] = sa.select(
    _kinds.c.slug,
    (_kinds.c.public & _kinds.c.retired_at.is_(None)).label("public"),
    _kinds.c.age_gate,
    _taken.c.person_id.is_not(None).label("taken"),
).outerjoin(
    _taken,
    (_taken.c.category_id == _kinds.c.id) & (_taken.c.person_id == sa.bindparam("person")),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A category as one person stands to it; `public` ones may be chosen on a page."""

    slug: str
    public: bool
    age_gate: int | None
    taken: bool


def offers(person_id: int) -> list[Offer]:
    """All categories, also private and retired ones, as this person stands to them."""
    return [Offer(**row._mapping) for row in execute(_OF_PERSON, {"person": person_id})]


def taken(person_id: int) -> frozenset[str]:
    """The slugs of the categories that this person takes."""
    return frozenset(offer.slug for offer in offers(person_id) if offer.taken)


def every() -> list[Category]:
    return list(db.session.scalars(sa.select(Category).order_by(Category.position)))


def add(
    slug: str,
    name: str,
    *,
    description: str = "",
    public: bool = True,
    age_gate: int | None = None,
    translations: dict[str, dict[str, str]] | None = None,
) -> Category:
    """Offer one more category, behind the others. Never commits.

    Raises ValueError, as a sentence, for a name that cannot be used or is taken.
    """
    if not _SLUG.match(slug):
        raise ValueError("A slug is lower-case letters, digits and dashes, like new-books.")
    if not name.strip() or len(name) > 80 or len(description) > 200:
        raise ValueError("A name has 1 to 80 characters, a description at most 200.")
    if db.session.scalar(sa.select(Category.id).where(Category.slug == slug)):
        raise ValueError(f"There is a category {slug} already.")
    last = db.session.scalar(sa.select(sa.func.max(Category.position))) or 0
    category = Category(
        slug=slug,
        name=name.strip(),
        description=description.strip(),
        translations=translations or {},
        position=last + 1,
        public=public,
        age_gate=age_gate,
    )
    db.session.add(category)
    db.session.flush()
    return category
