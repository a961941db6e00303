"""The content categories that an owner offers."""

import re

import sqlalchemy as sa

from prefcenter.database import db
from prefcenter.models import Category

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


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
