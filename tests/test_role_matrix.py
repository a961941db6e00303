"""Every address under /admin, every role: who gets in, and that the refused change nothing (SEC-43).

The table below is written by hand. A new address that is not in it fails here, and so does one
whose view names another role than the table, or none.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from prefcenter.staff import sessions
from prefcenter.web import guards
from tests.cast import rows
from tests.conftest import Browser
from tests.staff_room import carry, hire, sign_in, stranger, token

VIEWER, EDITOR, OWNER = Role.VIEWER, Role.EDITOR, Role.OWNER
OPEN = None  # where people sign in and out

TABLE: dict[str, Role | None] = {
    "GET /admin/": VIEWER,
    "GET /admin/account": VIEWER,
    "POST /admin/account": VIEWER,
    "POST /admin/account/password": VIEWER,
    "POST /admin/account/recovery-codes": VIEWER,
    "GET /admin/account/second-factor": VIEWER,
    "POST /admin/account/second-factor": VIEWER,
    "POST /admin/account/second-factor/off": VIEWER,
    "POST /admin/account/sign-out-everywhere": VIEWER,
    "GET /admin/activity": VIEWER,
    "GET /admin/add-site": EDITOR,
    "POST /admin/add-site": EDITOR,
    "GET /admin/add-staff": OWNER,
    "POST /admin/add-staff": OWNER,
    "GET /admin/alarms": VIEWER,
    "POST /admin/alarms/<name>/acknowledge": EDITOR,
    "POST /admin/breakers/<int:breaker_id>/close": EDITOR,
    "GET /admin/campaign": VIEWER,
    "POST /admin/campaign": EDITOR,
    "POST /admin/campaign/as-used": EDITOR,
    "GET /admin/categories": VIEWER,
    "GET /admin/categories/<slug>/change": EDITOR,
    "POST /admin/categories/<slug>/change": EDITOR,
    "POST /admin/categories/<slug>/move": EDITOR,
    "POST /admin/categories/<slug>/restore": EDITOR,
    "GET /admin/categories/<slug>/retire": EDITOR,
    "POST /admin/categories/<slug>/retire": EDITOR,
    "GET /admin/categories/add": EDITOR,
    "POST /admin/categories/add": EDITOR,
    "GET /admin/exports": VIEWER,
    "POST /admin/exports/audience": OWNER,
    "POST /admin/exports/ledger": OWNER,
    "GET /admin/exports/list": VIEWER,
    "POST /admin/exports/suppressions": OWNER,
    "GET /admin/health": VIEWER,
    "GET /admin/history": VIEWER,
    "POST /admin/history/export": OWNER,
    "GET /admin/history/new": VIEWER,
    "POST /admin/history/number": VIEWER,
    "GET /admin/keys": OWNER,
    "POST /admin/keys": OWNER,
    "GET /admin/keys/<int:key_id>/revoke": OWNER,
    "POST /admin/keys/<int:key_id>/revoke": OWNER,
    "GET /admin/new-password": VIEWER,
    "POST /admin/new-password": VIEWER,
    "GET /admin/overview.csv": VIEWER,
    "GET /admin/people": VIEWER,
    "POST /admin/people": VIEWER,
    "GET /admin/people/<public_id>": VIEWER,
    "GET /admin/people/<public_id>/<any(erase, number):act>": OWNER,
    "GET /admin/people/<public_id>/<any(revoke, link, deliverability, owner):act>": EDITOR,
    "POST /admin/people/<public_id>/<any(revoke, link, deliverability, owner):act>": EDITOR,
    "GET /admin/people/<public_id>/certificate": OWNER,
    "POST /admin/people/<public_id>/certificate": OWNER,
    "POST /admin/people/<public_id>/certificate.json": OWNER,
    "POST /admin/people/<public_id>/erase": OWNER,
    "POST /admin/people/<public_id>/number": OWNER,
    "POST /admin/people/unknown": EDITOR,
    "POST /admin/people/unknown/revoke": EDITOR,
    "GET /admin/review": VIEWER,
    "POST /admin/review/<public_id>/no-refusal": EDITOR,
    "POST /admin/review/<public_id>/read": EDITOR,
    "POST /admin/review/<public_id>/refusal": EDITOR,
    "POST /admin/review/unreadable/<int:row_id>/seen": EDITOR,
    "GET /admin/second-factor": VIEWER,
    "POST /admin/second-factor": VIEWER,
    "GET /admin/sign-in": OPEN,
    "POST /admin/sign-in": OPEN,
    "POST /admin/sign-out": OPEN,
    "GET /admin/signed-out": OPEN,
    "GET /admin/site-theme": VIEWER,
    "GET /admin/sites": VIEWER,
    "GET /admin/sites/<slug>": VIEWER,
    "GET /admin/sites/<slug>/change": EDITOR,
    "POST /admin/sites/<slug>/change": EDITOR,
    "GET /admin/sites/<slug>/disable": EDITOR,
    "POST /admin/sites/<slug>/disable": EDITOR,
    "POST /admin/sites/<slug>/enable": EDITOR,
    "GET /admin/sites/<slug>/preview": VIEWER,
    "GET /admin/sites/<slug>/preview/<int:number>": VIEWER,
    "GET /admin/sites/<slug>/rotate": EDITOR,
    "POST /admin/sites/<slug>/rotate": EDITOR,
    "GET /admin/staff": OWNER,
    "GET /admin/staff/<public_id>": OWNER,
    "GET /admin/staff/<public_id>/<any(disable, enable, reset, factor):act>": OWNER,
    "POST /admin/staff/<public_id>/<any(disable, enable, reset, factor):act>": OWNER,
    "POST /admin/staff/<public_id>/role": OWNER,
    "GET /admin/texts": VIEWER,
    "GET /admin/texts/<kind>/<language>": VIEWER,
    "POST /admin/texts/<kind>/<language>": EDITOR,
    "POST /admin/texts/<kind>/<language>/shipped": EDITOR,
    "POST /admin/texts/check": EDITOR,
    "GET /admin/webhooks": OWNER,
    "POST /admin/webhooks": OWNER,
    "GET /admin/webhooks/<public_id>": OWNER,
    "GET /admin/webhooks/<public_id>/<any(disable, rotate):act>": OWNER,
    "POST /admin/webhooks/<public_id>/disable": OWNER,
    "POST /admin/webhooks/<public_id>/enable": OWNER,
    "POST /admin/webhooks/<public_id>/replay": OWNER,
    "POST /admin/webhooks/<public_id>/rotate": OWNER,
    "POST /admin/webhooks/<public_id>/test": OWNER,
}
STEPS = {"/admin/second-factor", "/admin/new-password", "/admin/account/second-factor"}
OTHERS = ("HEAD", "OPTIONS")


def admin_rules(app: Flask) -> list[tuple[str, Rule]]:
    """Method and rule, but for the methods that follow from GET."""
    return [
        (method, rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/admin")
        for method in sorted((rule.methods or set()) - set(OTHERS))
    ]


def filled(rule: str) -> str:
    """An address of this rule, of nothing that exists."""
    choices = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule)
    return re.sub(r"<[^>]+>", "1", choices)


def ask(browser: Browser, method: str, rule: str, **headers: str) -> TestResponse:
    """As a page of ours asks, with a token that is good."""
    data = token(browser) if method == "POST" else None
    return browser.open(filled(rule), method=method, data=data, headers=headers)


def half(app: Flask) -> Browser:
    """Dana the owner has typed her password, and not yet her code."""
    staff, client = hire("dana", OWNER), stranger(app)
    with writing():
        secret = sessions.start(staff, whole=False, now=clock.now())
        db.session.commit()
    carry(client, secret)
    return client


WHO: dict[str, Callable[[Flask], Browser]] = {
    "nobody": stranger,
    "half": half,
    "viewer": lambda app: sign_in(app, VIEWER, "vic"),
    "editor": lambda app: sign_in(app, EDITOR, "eve"),
    "owner": lambda app: sign_in(app, OWNER, "dana"),
}
RANK = {"viewer": 1, "editor": 2, "owner": 3}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_table_names_every_address_and_its_role(app: Flask) -> None:
    found = {
        f"{method} {rule.rule}": guards.role_of(app, rule.endpoint)
        for method, rule in admin_rules(app)
    }
    assert found == TABLE, "write the new address and who may use it into the table"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_address_is_guarded_by_role_but_the_door(app: Flask) -> None:
    for method, rule in admin_rules(app):
        guard = guards.guard_of(app, rule.endpoint)
        if TABLE.get(f"{method} {rule.rule}", VIEWER) is OPEN:
            assert rule.endpoint.startswith("admin_entry."), rule
        else:
            assert guard == "staff, by role", rule


def expected(who: str, method: str, address: str) -> set[int]:
    """The statuses that this answer may have; every one below 500 where they get in."""
    role = TABLE[f"{method} {address}"]
    got_in = set(range(200, 500)) - {401, 403, 405}
    if role is OPEN:
        return got_in
    if who == "half" and address == "/admin/second-factor":
        return got_in
    if who in ("nobody", "half"):
        return {303} if method == "GET" else {401}
    return got_in if RANK[who] >= RANK[role] else {403}


@pytest.mark.parametrize("who", WHO)
def test_who_gets_in_where(app: Flask, who: str) -> None:
    seen = 0
    for method, rule in admin_rules(app):
        browser = WHO[who](app)  # a fresh one, because some addresses sign out
        wanted = expected(who, method, rule.rule)
        before = rows() if not wanted - {303, 401, 403} else None
        answer = ask(browser, method, rule.rule)
        assert answer.status_code in wanted, (who, method, rule.rule)
        if before is not None:
            assert rows() == before, (who, method, rule.rule)
            if answer.status_code == 303:
                there = answer.headers["Location"].partition("?")[0]
                assert there == ("/admin/second-factor" if who == "half" else "/admin/sign-in")
        seen += 1
    assert seen == len(TABLE)


@pytest.mark.parametrize("who", ["nobody", "half", "viewer"])
def test_htmx_is_refused_alike(app: Flask, who: str) -> None:
    """A fragment is no way around: refused requests get 401 or 403, never a part of a page."""
    for method, rule in admin_rules(app):
        wanted = expected(who, method, rule.rule)
        if wanted - {303, 401, 403}:
            continue
        browser = WHO[who](app)
        answer = ask(browser, method, rule.rule, **{"HX-Request": "true"})
        assert answer.status_code == (403 if who == "viewer" else 401), rule.rule
        assert ("HX-Redirect" in answer.headers) == (who != "viewer"), rule.rule


@pytest.mark.parametrize("method", OTHERS)
def test_the_methods_that_follow_from_get_are_guarded_too(app: Flask, method: str) -> None:
    browser = stranger(app)
    for _method, rule in admin_rules(app):
        if method in (rule.methods or ()) and TABLE[f"{_method} {rule.rule}"] is not OPEN:
            assert ask(browser, method, rule.rule).status_code == 303, rule.rule


def test_a_view_without_a_role_refuses_even_the_owner(app: Flask) -> None:
    view = app.view_functions["admin_account.account"]
    browser = sign_in(app, OWNER, "dana")

    def nameless() -> str:
        return "in"

    app.view_functions["admin_account.account"] = nameless
    try:
        assert browser.get("/admin/account").status_code == 403
    finally:
        app.view_functions["admin_account.account"] = view


POLLED = {
    "_exports.html": "admin_exports.listed",
    "_health.html": "admin_overview.health_strip",
    "_history.html": "admin_history.news",
}


def test_what_a_page_asks_for_by_itself_keeps_nobody_signed_in(app: Flask) -> None:
    """SEC-42: an open page is no use; its polls must not put off the end of the session."""
    templates = Path(__file__).parent.parent / "templates" / "admin"
    asking = {path.name for path in templates.iterdir() if 'trigger="every' in path.read_text()}
    assert asking == set(POLLED)
    for endpoint in POLLED.values():
        assert guards.is_quiet(app, endpoint), endpoint
    assert not guards.is_quiet(app, "admin_history.history")
