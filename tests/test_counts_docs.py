"""docs/counts.md and `prefcenter counts`: each documented query gives the number on the page."""

import json
import re
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import cli_counts, counting
from prefcenter.database import db, writing
from prefcenter.models_counts import DayCount
from prefcenter.upkeep import counted
from prefcenter.upkeep.spans import Scope, Span
from tests import terminal
from tests.cast import Town
from tests.conftest import Clock
from tests.histories import Teller, tell

DOC = (Path(__file__).parents[1] / "docs" / "counts.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"<!-- count: (.+?) -->\n```sql\n(.+?)\n```", DOC, re.S)


@pytest.fixture
def shop(town: Town, now: Clock) -> Clock:
    """Alice, Bob and Carol by the front door, and people to whom everything happens."""
    town.alice()
    town.bob()
    town.carol()
    teller, folk = Teller(11, now.moment), list[int]()
    for _ in range(3):
        tell(teller, folk, 60)
        counting.catch_up(9)
    tell(teller, folk, 20)
    now.moment = teller.now
    return now


def of_the_page(now: Clock) -> dict[str, object]:
    with counted.one_moment() as connection:
        span = Span(date(2026, 1, 1), now.moment.date())
        found = counted.read(connection, Scope(), span, now=now.moment)
    return dict(cli_counts.flat(found.numbers(now.moment)))


def test_every_documented_query_gives_the_number_on_the_page(app: Flask, shop: Clock) -> None:
    """INV-12, and the first thing that issue 5 shows."""
    shown = of_the_page(shop)
    assert len(QUERIES) == 10
    for name, query in QUERIES:
        moment = shop.moment.replace(tzinfo=None) if app_is_sqlite() else shop.moment
        text = sa.text(query)
        values = {"now": moment} if ":now" in query else {}
        if values:
            text = text.bindparams(sa.bindparam("now", type_=sa.DateTime(timezone=True)))
        assert db.session.execute(text, values).scalar_one() == shown.get(name, 0), name
    db.session.rollback()


def app_is_sqlite() -> bool:
    return db.engine.dialect.name == "sqlite"


def test_the_command_counts_what_the_page_shows(
    app: Flask, shop: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = terminal.of(app, monkeypatch)
    said = json.loads(run("counts", "--json", "--from", "2026-01-01").output)
    assert dict(cli_counts.flat(said)) == of_the_page(shop)


def test_days_before_our_time_are_refused_with_a_sentence(app: Flask) -> None:
    result = app.test_cli_runner().invoke(cli_counts.command, ["--from", "0001-01-01"])
    assert result.exit_code == 1
    assert result.output == "Error: --from must not come before 2000-01-01.\n"


def test_a_count_that_somebody_changed_is_found(app: Flask, shop: Clock) -> None:
    assert cli_counts.differences() == []
    with writing():
        one = sa.update(DayCount).where(DayCount.what == "on").values(count=DayCount.count + 1)
        db.session.execute(one)
        db.session.commit()
    assert any("turned_on" in fault for fault in cli_counts.differences())
    cli_counts.anew()
    assert cli_counts.differences() == []
