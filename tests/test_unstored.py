"""REL-16: while a STOP could not be recorded no program is told "allow", in any process."""

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from prefcenter import create_app, write_lock
from prefcenter.database import db
from prefcenter.hearing import Listener
from prefcenter.models import Inbound, Status
from prefcenter.sms import unstored
from prefcenter.sms.unstored import HOLD, Unstored
from prefcenter.sms.webhook import InboundText
from tests.cast import ALICE, BOB, Town
from tests.conftest import Browser, Clock, settings_for
from tests.test_storage_faults import each_transaction, locked_by_file, locked_by_sqlite
from tests.test_webhook_faults import deliver, full, full_at_commit, read_only
from tests.test_webhooks import genuine, signed
from tests.tools import Tool, noon
from tests.watching import listening
from tests.webhooks import INBOUND

LOST = ("deny", "stop_unrecorded")
YES = ("allow", "subscribed")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Fault = Callable[[str], Iterator[None]]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_lock, "WAIT_SECONDS", 0.2)
    monkeypatch.setattr(unstored, "rest_seconds", 0.0)


@pytest.fixture
def tool(town: Town, now: Clock) -> Tool:
    """Alice and Bob may be texted now."""
    town.alice()
    town.alice(BOB)
    noon(now)
    found = Tool(town)
    assert found.says() == found.says(BOB) == YES
    return found


@contextmanager
def elsewhere(
    tool: Tool, database_url: str, folder: Path
) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Another process of this machine, asked about a number."""
    other = create_app(settings_for(database_url, folder))
    other.test_client_class = Browser
    browser = other.test_client()
    browser.environ_base["HTTP_HOST"] = "prefs.test"
    assert isinstance(browser, Browser)
    there = copy.copy(tool)
    there.town = Town(browser, tool.town.now)

    def says(number: str) -> tuple[str, str]:
        with other.app_context():
            return there.says(number)

    yield says
    with other.app_context():
        db.session.remove()
        db.engine.dispose()


FAULTS = [
    pytest.param("sqlite", locked_by_file, id="locked by a writer of ours"),
    pytest.param("sqlite", locked_by_sqlite, id="locked by another program"),
    pytest.param("sqlite", full_at_commit, id="full, SQLite"),
    pytest.param("postgresql", full_at_commit, id="full, PostgreSQL"),
    pytest.param("postgresql", full, id="full server"),
    pytest.param("postgresql", read_only, id="read-only server"),
]


@pytest.mark.parametrize(("database_url", "fault"), FAULTS, indirect=["database_url"])
def test_nobody_is_allowed_while_a_stop_cannot_be_stored(
    town: Town, tool: Tool, tmp_path: Path, database_url: str, fault: Fault
) -> None:
    """In this process and another one; and all is well again by itself, without the repeat."""
    stop = signed(genuine(INBOUND, town), town)
    db.session.remove()
    with elsewhere(tool, database_url, tmp_path) as other, listening() as said:
        assert other(BOB) == YES
        with fault(database_url):  # type: ignore[attr-defined]  # a context manager
            assert deliver(town, stop).status_code == 503
            assert tool.says() == tool.says(BOB) == other(ALICE) == other(BOB) == LOST
            assert [one["reason"] for one in tool.ask_many([ALICE, BOB])] == [LOST[1]] * 2
        assert tool.says(BOB) == YES, "what was owed is stored before the answer"
        assert tool.says() == other(ALICE) == ("deny", "stop_waiting")
        assert other(BOB) == YES
    assert ALICE not in said.getvalue()
    Listener().turn()
    assert town.person(ALICE).status is Status.UNSUBSCRIBED
    assert deliver(town, stop).status_code == 200, "the repeat comes, and adds nothing"
    db.session.rollback()
    assert db.session.scalar(sa.select(sa.func.count(Inbound.id))) == 1
    assert tool.says() == ("deny", "unsubscribed")


@on_sqlite
def test_reserving_is_no_way_round(town: Town, tool: Tool, database_url: str) -> None:
    stop = signed(genuine(INBOUND, town), town)
    with each_transaction("PRAGMA max_page_count = 1"):
        unstored.current().note(None, now=town.now())
    assert tool.says(BOB, reserve=True) == LOST
    assert deliver(town, stop).status_code == 200


def test_without_the_text_the_hold_runs_out(
    tool: Tool, now: Clock, tmp_path: Path, database_url: str
) -> None:
    """A process that died with it in memory: Vonage has repeated it by then."""
    with elsewhere(tool, database_url, tmp_path) as other:
        unstored.current().note(None, now=now.moment)
        now.forward(minutes=14, seconds=59)
        assert tool.says() == other(ALICE) == LOST
        now.forward(seconds=1)
        assert tool.says() == other(ALICE) == YES


def test_a_text_of_tomorrow_holds_too(town: Town, tool: Tool, now: Clock) -> None:
    """Our clock is behind, so Vonage's post is refused for now: it may be a STOP."""
    stop = signed(genuine(INBOUND, town), town)
    now.forward(minutes=-10)
    assert deliver(town, stop).status_code == 503
    assert tool.says() == LOST


@on_sqlite
def test_a_strangers_post_holds_nothing(town: Town, tool: Tool) -> None:
    """Or anybody could end a campaign."""
    raw = genuine(INBOUND, town)
    assert town.browser.post(INBOUND, data=raw).status_code == 503
    forged = [("Authorization", "Bearer a.b.c"), ("Content-Type", "application/json")]
    assert town.browser.post(INBOUND, data=raw, headers=forged).status_code == 401
    assert tool.says() == YES


class Shop:
    """Two processes that share a file."""

    def __init__(self, folder: Path) -> None:
        self.file, self.database = folder / "mark", folder / "db"
        for path in (self.file, self.database):
            path.touch()
        self.one, self.two = (Unstored(self.file, self.database) for _ in range(2))


def test_who_set_it_alone_takes_it_back_and_nobody_else(tmp_path: Path, now: Clock) -> None:
    shop = Shop(tmp_path)
    assert not shop.two.holds(now=now.moment)
    shop.one.note(None, now=now.moment)
    assert shop.two.holds(now=now.moment)
    shop.two._unmark()
    assert shop.two.holds(now=now.moment), "it was not theirs"
    shop.one._unmark()
    assert not shop.two.holds(now=now.moment)
    for owes in (shop.one, shop.two):
        now.forward(seconds=1)
        owes.note(None, now=now.moment)
    for owes in (shop.one, shop.two):
        owes._unmark()
    assert Unstored(shop.file, shop.database).holds(now=now.moment), "both owe; it runs out"


BOBS = InboundText("b" * 36, BOB, "+12025550100", "STOP", None)


@on_sqlite
@pytest.mark.parametrize("lost", [None, BOBS], ids=["unreadable", "no room"])
def test_what_is_not_kept_holds_though_the_rest_is_stored(
    town: Town,
    tool: Tool,
    now: Clock,
    monkeypatch: pytest.MonkeyPatch,
    lost: InboundText | None,
) -> None:
    """Alice's STOP is stored soon after; what came beside it may be one, too."""
    stop = signed(genuine(INBOUND, town), town)
    db.session.remove()
    monkeypatch.setattr(unstored, "_MOST", 1)
    with full_at_commit("sqlite"):
        assert deliver(town, stop).status_code == 503
    unstored.current().note(lost, now=now.moment)
    assert tool.says(BOB) == LOST
    assert tool.says() == ("deny", "stop_waiting"), "that one is stored"
    assert tool.says(BOB) == LOST
    now.forward(seconds=HOLD.total_seconds())
    assert tool.says(BOB) == YES


def test_a_clock_that_was_put_back_does_not_hold_for_ever(tmp_path: Path, now: Clock) -> None:
    """REL-15."""
    shop = Shop(tmp_path)
    shop.one.note(None, now=now.moment + timedelta(days=400))
    assert not shop.two.holds(now=now.moment)
    assert shop.two.holds(now=now.moment + timedelta(days=400) + HOLD / 2)


def test_a_disk_that_is_read_only_takes_no_stop(
    tmp_path: Path, now: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a mark: each process sees it by itself."""
    shop = Shop(tmp_path)
    assert not shop.one.holds(now=now.moment)
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (shop.database, os.W_OK))
    assert shop.one.holds(now=now.moment)


def test_without_a_file_this_process_still_knows(now: Clock, tmp_path: Path) -> None:
    for file in (None, tmp_path / "gone" / "mark"):
        alone = Unstored(file, None)
        alone.note(None, now=now.moment)
        assert alone.holds(now=now.moment) and not alone.holds(now=now.moment + HOLD)
