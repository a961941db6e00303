"""Two people add the same thing at the same moment: one gets it, the other reads that it is there."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from prefcenter import clock
from prefcenter.consent import api_keys, catalog, sites
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from prefcenter.staff import accounts
from prefcenter.staff.passwords import OneTime
from prefcenter.upkeep import endpoints
from tests.cast import Town, rows
from tests.settings_room import errors
from tests.staff_room import dana_owner, press

HOOK = "https://8.8.8.8/hook"  # nothing is ever posted there
SHOP = {"name": "Shop", "origins": "https://shop.example", "language": "en", "country": "US"}
ADDED: dict[str, tuple[Callable[[], Any], str, dict[str, object], str]] = {
    "staff": (
        lambda: accounts.add("heidi", Role.VIEWER, OneTime("x", "x"), by="cron", now=clock.now()),
        "/admin/add-staff",
        {"name": "heidi", "role": "viewer"},
        "There is, or was, somebody called heidi; choose another name.",
    ),
    "category": (
        lambda: catalog.add("talks", "Talks"),
        "/admin/categories/add",
        {"slug": "talks", "name": "Talks", "public": "on"},
        "There is a category with this short name already.",
    ),
    "site": (
        lambda: sites.add("shop", "Shop", origins=["https://shop.example"], now=clock.now()),
        "/admin/add-site",
        {"slug": "shop", **SHOP},
        "no name that a site has or had",
    ),
    "api_key": (
        lambda: api_keys.make("till", ["write"], now=clock.now()),
        "/admin/keys",
        {"name": "till", "scopes": "write"},
        "There is, or was, a key of this name.",
    ),
    "webhook_endpoint": (
        lambda: endpoints.add(HOOK, after=0, now=clock.now()),
        "/admin/webhooks",
        {"url": HOOK},
        "There is one for this address already.",
    ),
}


@pytest.mark.parametrize("table", ADDED)
def test_the_second_reads_that_there_is_one(app: Flask, town: Town, table: str) -> None:
    """REL-16, INV-11: no fault of the database's; on PostgreSQL nothing else keeps them apart."""
    add, path, data, sentence = ADDED[table]
    dana, before = dana_owner(town), len(rows()[table])
    added, over = threading.Event(), threading.Event()

    def first() -> None:
        with app.app_context(), writing():
            add()
            added.set()
            over.wait(0.7)  # the other is at it meanwhile
            db.session.commit()

    thread = threading.Thread(target=first)
    thread.start()
    assert added.wait(10)
    answer = press(dana, path, data)
    over.set()
    thread.join(10)
    [said, *_more] = errors(answer)
    assert sentence in said
    assert len(rows()[table]) == before + 1
