"""The content categories that an owner offers: what there is, and how a person stands to it.

A category is never deleted, because the ledger names it. A retired one is offered nowhere; who
took it keeps it in their record, and it counts again from the moment it is brought back.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from prefcenter.consent import category_values
from prefcenter.database import db, execute, hold
from prefcenter.models import Category, PersonCategory

_kinds, _taken = Category.__table__, PersonCategory.__table__
_OFFERED = _kinds.c.public & _kinds.c.retired_at.is_(None)
_OF_PERSON: sa.Select[Any] = sa.select(
    _kinds.c.slug,
    _OFFERED.label("public"),
    _kinds.c.age_gate,
    _taken.c.person_id.is_not(None).label("taken"),
    _kinds.c.retired_at.is_(None).label("live"),
).outerjoin(
    _taken,
    (_taken.c.category_id == _kinds.c.id) & (_taken.c.person_id == sa.bindparam("person")),
)
_STILL = sa.select(_kinds.c.slug).where(
    _kinds.c.slug.in_(sa.bindparam("slugs", expanding=True)), _OFFERED
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A category as one person stands to it; `public` ones may be chosen on a page, and nothing
    may be texted about one that is not `live`."""

    slug: str
    public: bool
    age_gate: int | None
    taken: bool
    live: bool = True


def offers(person_id: int) -> list[Offer]:
    """All categories, also private and retired ones, as this person stands to them."""
    return [Offer(**row._mapping) for row in execute(_OF_PERSON, {"person": person_id})]


def taken(person_id: int) -> frozenset[str]:
    """The slugs of the categories in this person's record, also of retired ones."""
    return frozenset(offer.slug for offer in offers(person_id) if offer.taken)


def live(person_id: int) -> frozenset[str]:
    """The slugs of the categories that this person takes and that there still are."""
    return frozenset(offer.slug for offer in offers(person_id) if offer.taken and offer.live)


def still_offered(slugs: Collection[str]) -> list[str]:
    """Those that people may choose now, in the order of their slugs."""
    if not slugs:
        return []
    return sorted(row.slug for row in execute(_STILL, {"slugs": list(slugs)}))


def lapsed(slugs: Collection[str]) -> bool:
    """True when a request named kinds of text and none of them is on offer any more."""
    return bool(slugs) and not still_offered(slugs)


def every() -> list[Category]:
    """All of them, also private and retired ones, in the owner's order."""
    return list(db.session.scalars(sa.select(Category).order_by(Category.position, Category.id)))


def on_offer() -> list[Category]:
    """What anybody may choose, in the owner's order."""
    return [kind for kind in every() if kind.public and kind.retired_at is None]


def find(slug: str) -> Category | None:
    known = slug.isprintable() and len(slug) <= 40
    return db.session.scalar(sa.select(Category).where(Category.slug == slug)) if known else None


def hold_all() -> None:
    """From here to the commit nobody else adds, moves or takes away a category; what they did
    is seen."""
    hold("categories")
    db.session.flush()
    db.session.expire_all()


def add(slug: str, name: str, **more: Any) -> Category:
    """Offer one more category, behind the others; `more` is as in offering.change(). Never commits.

    Raises ValueError, as a sentence, for what cannot be used or is taken.
    """
    category_values.slug(slug)
    given = {"name": name, **more}
    values = {field: category_values.CHECKS[field](value) for field, value in given.items()}
    hold_all()  # of two who add the same at once, the second reads that it is there
    if find(slug):
        raise ValueError(f"There is a category {slug} already.")
    last = db.session.scalar(sa.select(sa.func.max(Category.position))) or 0
    usual = {"description": "", "public": True, "age_gate": None, "translations": {}}
    category = Category(slug=slug, position=last + 1, **(usual | values))
    db.session.add(category)
    db.session.flush()
    return category
