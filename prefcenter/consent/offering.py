"""What an owner changes about the categories: words, order, who may choose them, their end.

Nothing is ever deleted and no slug changes, so that the ledger stays readable. Nothing here
commits.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from prefcenter import config
from prefcenter.consent import catalog, category_values, sites
from prefcenter.database import db
from prefcenter.models import Category, Person, PersonCategory, Site, Status

Changes = dict[str, list[Any]]  # by field: before and after


class StillNeeded(Exception):
    """Without this category a form would have nothing left to offer; `sites` names whose."""

    def __init__(self, sites: list[str]) -> None:
        super().__init__(
            f"The form of {', '.join(sites)} offers nothing else. Give it another category first:"
            " `prefcenter site change`."
        )
        self.sites = sites


def change(category: Category, **values: Any) -> Changes:
    """Give a category other values, each checked; what is not named stays.

    Values: name, description, translations (by language and field), public, transactional,
    age_gate (years, or None). Gives what changed. Raises ValueError, as a sentence, for what
    cannot be used, and StillNeeded.
    """
    checked = {name: category_values.CHECKS[name](value) for name, value in values.items()}
    if not checked.get("public", True):
        catalog.hold_all()
        if category.public:
            _spare(category)
    before = said(category)
    for name, value in checked.items():
        setattr(category, name, value)
    db.session.flush()
    return differences(before, said(category))


def move(category: Category, *, up: bool) -> bool:
    """Change places with the neighbour that is offered too; False where there is none."""
    catalog.hold_all()  # two people who move at once must not give one place twice
    kinds = [kind for kind in catalog.every() if kind.retired_at is None]
    if category not in kinds:
        return False
    here = kinds.index(category)
    there = here - 1 if up else here + 1
    if not 0 <= there < len(kinds):
        return False
    order = catalog.every()
    one, other = order.index(category), order.index(kinds[there])
    order[one], order[other] = order[other], order[one]
    for position, kind in enumerate(order, 1):
        kind.position = position
    db.session.flush()
    return True


def retire(category: Category, *, now: datetime) -> bool:
    """Offer it nowhere from now on; who takes it keeps it in their record. False when it was
    retired before. Raises StillNeeded."""
    catalog.hold_all()
    if category.retired_at is not None:
        return False
    _spare(category)
    category.retired_at = now
    db.session.flush()
    return True


def restore(category: Category) -> bool:
    """Offer it again, where it stood and also to who took it. False when it is not retired."""
    if category.retired_at is None:
        return False
    category.retired_at = None
    db.session.flush()
    return True


def takers() -> dict[str, int]:
    """How many subscribed people take each category, by slug; retired ones are counted too."""
    kinds, taken, people = Category.__table__.c, PersonCategory.__table__.c, Person.__table__.c
    query = (
        sa.select(kinds.slug, sa.func.count())
        .join_from(PersonCategory.__table__, Person.__table__, taken.person_id == people.id)
        .join(Category.__table__, taken.category_id == kinds.id)
        .where(people.status == Status.SUBSCRIBED)
        .group_by(kinds.slug)
    )
    return {slug: count for slug, count in db.session.execute(query)}


def keywords_for(slug: str) -> list[str]:
    """The owner's words to join by text that ask for a category (PREFCENTER_KEYWORDS)."""
    return [word for word, slugs in config.current().keywords.items() if slug in slugs]


def sites_naming(category: Category) -> list[Site]:
    """The enabled sites whose forms name this category; those that name none offer all."""
    enabled = (site for site in sites.every() if site.disabled_at is None)
    return [site for site in enabled if category.slug in site.categories]


def sites_left_without(category: Category) -> list[Site]:
    """Those that name nothing else that is on offer."""
    others = {kind.slug for kind in catalog.on_offer()} - {category.slug}
    return [site for site in sites_naming(category) if others.isdisjoint(site.categories)]


def _spare(category: Category) -> None:
    if found := sites_left_without(category):
        raise StillNeeded([site.slug for site in found])


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """What differs, for the admin log."""
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def said(category: Category) -> dict[str, Any]:
    """All that may change, flat: `name`, and `name in es` for a translation."""
    fields = ("name", "description", "public", "transactional", "age_gate")
    found: dict[str, Any] = {field: getattr(category, field) for field in fields}
    for language, words in category.translations.items():
        found |= {f"{field} in {language}": text for field, text in words.items()}
    return found
