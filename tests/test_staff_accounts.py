"""Accounts of the people who work here, their passwords, and the log of what they did."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.database import db, is_postgresql, writing
from prefcenter.models_staff import Role, Staff
from prefcenter.staff import accounts, activity, passwords, sessions
from prefcenter.staff.accounts import AccountError
from prefcenter.staff.passwords import WeakPassword
from tests.cast import rows
from tests.conftest import Clock
from tests.staff_room import hire, log

TOLD = passwords.OneTime("kept-nowhere-in-here", "scrypt:1024:8:1$salt$00")


@pytest.mark.parametrize("name", ["dana", "Dana", " dana\t", "ＤＡＮＡ", "da\u200bna"])
def test_two_people_cannot_have_one_name(app: Flask, now: Clock, name: str) -> None:
    hire("dana")
    with writing(), pytest.raises(AccountError, match="dana"):
        accounts.add(name, Role.VIEWER, TOLD, by="test", now=now.now())


@pytest.mark.parametrize("name", ["", " ", "_x", "a b", "<b>", "x" * 81, "a/b", "📧"])
def test_a_name_that_cannot_be_is_refused_with_a_sentence(
    app: Flask, now: Clock, name: str
) -> None:
    with writing(), pytest.raises(AccountError, match=r"A name has letters.*\."):
        accounts.add(name, Role.VIEWER, TOLD, by="test", now=now.now())


@pytest.mark.parametrize("name", ["dana", "j.álvarez", "dana+2@marlow.example", "李", "x" * 80])
def test_a_name_of_any_language_may_be(app: Flask, now: Clock, name: str) -> None:
    with writing():
        accounts.add(name, Role.EDITOR, TOLD, by="test", now=now.now())
        db.session.commit()
    assert accounts.find(name.upper())


def test_the_last_owner_stays(app: Flask, now: Clock) -> None:
    hire("dana", Role.OWNER)
    hire("eve", Role.EDITOR)
    with writing():
        dana = accounts.find("dana")
        assert dana
        for attempt in (
            lambda: accounts.disable(dana, by="test", now=now.now()),
            lambda: accounts.change_role(dana, Role.EDITOR, by="test", now=now.now()),
        ):
            with pytest.raises(AccountError, match="only owner"):
                attempt()
    hire("olga", Role.OWNER)
    with writing():
        dana, olga = accounts.find("dana"), accounts.find("olga")
        assert dana and olga
        accounts.disable(dana, by="test", now=now.now())
        with pytest.raises(AccountError, match="only owner"):
            accounts.disable(olga, by="test", now=now.now())
        db.session.commit()


def test_two_owners_cannot_end_each_other_at_once(app: Flask, now: Clock) -> None:
    """Each sees the other as the owner who stays, unless one waits for the other."""
    hire("dana", Role.OWNER)
    hire("olga", Role.OWNER)
    ready, outcomes = threading.Barrier(2), []

    def end(name: str) -> None:
        with app.app_context():
            ready.wait()
            try:
                with writing():
                    staff = accounts.find(name)
                    assert staff
                    accounts.disable(staff, by="test", now=now.now())
                    db.session.commit()
                outcomes.append("ended")
            except AccountError:
                outcomes.append("stays")
            db.session.remove()

    threads = [threading.Thread(target=end, args=(name,)) for name in ("dana", "olga")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ended", "stays"]


def test_each_change_stands_in_the_log_with_who_and_whom(app: Flask, now: Clock) -> None:
    olga = sessions.worker_of(hire("olga", Role.OWNER))
    with writing():
        eve = accounts.add("eve", Role.VIEWER, TOLD, by="command (root)", now=now.now())
        accounts.change_role(eve, Role.EDITOR, by=olga, now=now.now())
        accounts.change_role(eve, Role.EDITOR, by=olga, now=now.now())  # no change, no line
        accounts.reset(eve, TOLD, by=olga, now=now.now())
        accounts.disable(eve, by=olga, now=now.now())
        accounts.disable(eve, by=olga, now=now.now())
        accounts.enable(eve, TOLD, by=olga, now=now.now())
        db.session.commit()
    found = [(entry.action, entry.staff_name, entry.details) for entry in log()]
    assert found == [
        ("staff_added", "command (root)", {"name": "eve", "role": "viewer"}),
        ("staff_changed", "olga", {"name": "eve", "role": "editor", "before": "viewer"}),
        ("password_reset", "olga", {"name": "eve"}),
        ("staff_disabled", "olga", {"name": "eve"}),
        ("staff_enabled", "olga", {"name": "eve"}),
    ]
    assert {entry.subject for entry in log()} == {eve.public_id}
    assert TOLD.text not in str(rows()) and TOLD.hidden not in str(rows()["staff_action"])


def test_somebody_who_was_let_in_again_must_change_the_password(app: Flask, now: Clock) -> None:
    hire("dana", Role.OWNER)
    hire("eve")
    with writing():
        eve = accounts.find("eve")
        assert eve
        accounts.disable(eve, by="test", now=now.now())
        accounts.enable(eve, TOLD, by="test", now=now.now())
        db.session.commit()
    [eve] = db.session.scalars(sa.select(Staff).where(Staff.name == "eve")).all()
    assert (eve.disabled_at, eve.one_time) == (None, True)


# --- passwords


@pytest.mark.parametrize(
    "password",
    [
        *("", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "123456789012345", "abababababab"),
        *("marlow books", "MarlowBooks2026", "dana-dana-dana", "Dana@MarlowBooks1", "x" * 201),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(app: Flask, password: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        passwords.refuse_weak(password, name="dana")
    assert str(refused.value).endswith(".")
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    [
        "a lamp beside the sea",
        "caballo grapa correcta",
        "ключ под ковриком",
        "dana walks to the river",
        "x7!kQ9#mZ2$p",
    ],
)
def test_a_good_password_is_taken(app: Flask, password: str) -> None:
    passwords.refuse_weak(password, name="dana")


def test_one_keyboard_writes_what_another_reads(app: Flask) -> None:
    """é is one sign or two, and what no encoding knows is no error of ours."""
    hidden = passwords.hide("café au lait, s'il vous plaît")
    assert passwords.fits("cafe\u0301 au lait, s'il vous plai\u0302t", hidden)
    assert not passwords.fits("\udcff", hidden)


def test_one_time_passwords_differ_and_can_be_read_out(app: Flask) -> None:
    made = passwords.one_time()
    assert len(made.text) == 19
    assert not set(made.text) & set("0oO1lIi")
    assert passwords.fits(made.text, made.hidden)
    assert made.text not in repr(made)
    assert passwords.one_time().text != made.text


# --- the log


def entries(number: int, now: Clock) -> None:
    hire("vic")
    with writing():
        for count in range(number):
            action = "number_shown" if count % 2 else "number_searched"
            activity.record("command", action, subject=f"s{count}", now=now.now())
            now.forward(seconds=1)
        db.session.commit()


def test_the_log_is_read_newest_first_and_page_by_page(app: Flask, now: Clock) -> None:
    entries(7, now)
    seen, before = [], None
    while True:
        page = activity.newest(before=before, limit=3)
        seen += [entry.subject for entry in page.entries]
        if page.older is None:
            break
        before = page.older
    assert seen == [f"s{count}" for count in reversed(range(7))]


def test_the_log_is_filtered(app: Flask, now: Clock) -> None:
    start = now.now()
    entries(6, now)
    shown = activity.newest(action="number_shown")
    assert [entry.subject for entry in shown.entries] == ["s5", "s3", "s1"]
    assert activity.newest(staff_name="dana").entries == []
    between = activity.newest(
        since=start + timedelta(seconds=2), until=start + timedelta(seconds=4)
    )
    assert [entry.subject for entry in between.entries] == ["s3", "s2"]
    assert [entry.subject for entry in activity.newest(subject="s4").entries] == ["s4"]
    assert sorted(activity.actions()) == ["number_searched", "number_shown"]


def test_a_long_reason_is_cut_and_never_an_error(app: Flask, now: Clock) -> None:
    with writing():
        activity.record(
            "c" * 500, "number_shown", subject="s" * 500, reason="r" * 5000, now=now.now()
        )
        db.session.commit()
    [entry] = log()
    assert (len(entry.staff_name), len(entry.subject), len(entry.reason)) == (80, 120, 300)


def test_what_is_not_committed_is_not_in_the_log(app: Flask, now: Clock) -> None:
    """The line and what it tells are kept together or not at all."""
    with writing():
        activity.record("command", "number_shown", now=now.now())
    assert log() == []


def test_the_log_costs_the_same_at_any_depth(app: Flask, now: Clock) -> None:
    """It looks from an id on: the plan names the key, and nothing is counted or skipped."""
    entries(3, now)
    query = "SELECT id FROM staff_action WHERE id < 3 ORDER BY id DESC LIMIT 2"
    explain = "EXPLAIN" if is_postgresql() else "EXPLAIN QUERY PLAN"
    if is_postgresql():
        db.session.execute(sa.text("SET enable_seqscan = off"))
    plan = str(db.session.execute(sa.text(f"{explain} {query}")).all())
    db.session.rollback()
    assert "PRIMARY KEY" in plan or "pk_staff_action" in plan
