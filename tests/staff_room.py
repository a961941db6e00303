"""The people of the tests who work here: Dana owns, Eve edits, Vic looks.

They come in with a session of their own and without typing a password, which takes a fifth of
a second on purpose; tests/test_entry.py goes through the front door.
"""

import re
import secrets
from datetime import datetime

import sqlalchemy as sa
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models_staff import Role, Staff, StaffAction
from prefcenter.staff import sessions
from tests.cast import Town
from tests.conftest import Browser

PASSWORD = "a lamp beside the sea"
_QUICK = generate_password_hash(PASSWORD, method="scrypt:1024:8:1")  # for tests alone
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def hire(name: str, role: Role = Role.VIEWER, *, now: datetime | None = None) -> Staff:
    """An account whose password is PASSWORD; the one there is, if there is one."""
    moment = now or clock.now()
    with writing():
        staff = db.session.scalar(sa.select(Staff).where(Staff.name == name))
        if staff is None:
            staff = Staff(
                name=name,
                role=role,
                password_hash=_QUICK,
                one_time=False,
                recovery_hashes=[],
                language="en",
                shortcuts=True,
                created_at=moment,
            )
            db.session.add(staff)
        staff.role = role
        db.session.commit()
    return staff


def stranger(where: Flask | Town) -> Browser:
    """A browser in which nobody is signed in."""
    client = (where.browser.application if isinstance(where, Town) else where).test_client()
    client.environ_base["HTTP_HOST"] = "prefs.test"
    assert isinstance(client, Browser)
    return client


def sign_in(where: Flask | Town, role: Role = Role.VIEWER, name: str = "dana") -> Browser:
    """A browser in which somebody of this role is signed in."""
    staff, client = hire(name, role), stranger(where)
    with writing():
        token = sessions.start(staff, whole=True, now=clock.now())
        db.session.commit()
    carry(client, token)
    return client


def carry(client: Browser, token: str) -> None:
    """Put a session's token where the browser keeps it."""
    with client.session_transaction("/admin/") as kept:
        kept["_user_id"] = token
        kept["_fresh"] = True


def dana_owner(where: Flask | Town) -> Browser:
    return sign_in(where, Role.OWNER, "dana")


def eve_editor(where: Flask | Town) -> Browser:
    return sign_in(where, Role.EDITOR, "eve")


def vic_viewer(where: Flask | Town) -> Browser:
    return sign_in(where, Role.VIEWER, "vic")


def form(browser: Browser, path: str = "/admin/account") -> dict[str, str]:
    """What a form of this page sends besides what people type: its CSRF token."""
    page = browser.get(path)
    found = _TOKEN.search(page.text)
    assert found, f"no form on {path} ({page.status_code})"
    return {"csrf_token": found[1]}


def press(
    browser: Browser, path: str, data: dict[str, object] | None = None, **more: object
) -> TestResponse:
    """POST as a form of ours does, with a token that is good for any page of the session."""
    return browser.post(path, data={**token(browser), **(data or {})}, **more)


def token(browser: Browser) -> dict[str, str]:
    """The same, without opening a page: quicker where the page is not what is tried."""
    with browser.session_transaction("/admin/") as kept:
        raw = kept.setdefault("csrf_token", secrets.token_hex(20))
    signer = URLSafeTimedSerializer(browser.application.config["SECRET_KEY"], salt="wtf-csrf-token")
    return {"csrf_token": str(signer.dumps(raw))}


def log(action: str = "") -> list[StaffAction]:
    """The admin log, oldest first; of one kind of action if named."""
    db.session.rollback()
    query = sa.select(StaffAction).order_by(StaffAction.id)
    found = list(db.session.scalars(query.where(StaffAction.action == action) if action else query))
    for entry in found:
        db.session.expunge(entry)  # a rollback would empty it
    db.session.rollback()
    return found
