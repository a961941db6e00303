"""Two programs race for the last text of a week, each at a server of its own (RULE-37).

SLOTS says how often: `SLOTS=1000 pytest tests/test_last_slot.py`.
"""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import clock
from prefcenter.database import db, writing
from prefcenter.models import Person
from prefcenter.models_sending import Reservation
from tests import decision_load
from tests.cast import ALICE, Town
from tests.conftest import BASE, Clock
from tests.decision_load import Deployment, Tool

SLOTS = int(os.environ.get("SLOTS", "40"))
CAP = 2  # texts a week

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc"),
    pytest.mark.settings(FREQUENCIES=f"all,{CAP}/week"),
]


class RealClock(Clock):
    """The servers in their own processes have the real one, so this test has it too."""

    now = staticmethod(clock.now)


@pytest.fixture
def now() -> Clock:
    return RealClock()


@pytest.fixture
def tools(
    app: Flask, town: Town, database_url: str, tmp_path: Path, now: Clock
) -> Iterator[list[Tool]]:
    """Two programs, each with a key and a server of its own; Alice wants two texts a week."""
    link = town.alice()
    town.browser.post(
        link, data={"shown": ["offers"], "categories": ["offers"], "frequency": f"{CAP}/week"}
    )
    _by_day(now)
    keys = [decision_load.key(app, name) for name in ("shop", "mailer")]
    db.session.remove()
    where = {"PREFCENTER_DATABASE_URL": database_url, "PREFCENTER_DATA_DIR": str(tmp_path)}
    deployment = Deployment(BASE | where, tmp_path / "log", [{}, {}])
    deployment.start()
    tools = [Tool(port, key) for port, key in zip(deployment.ports, keys, strict=True)]
    yield tools
    for tool in tools:
        tool.close()
    deployment.stop()


def _by_day(now: Clock) -> None:
    """It is day where Alice is, whenever this runs."""
    zone = decision_load.awake_zone(now.now())
    with writing():
        db.session.execute(sa.update(Person).values(zone=zone))
        db.session.commit()


def counted() -> int:
    """Texts that count now."""
    query = sa.select(sa.func.count()).where(Reservation.released_at.is_(None))
    found = db.session.scalar(query) or 0
    db.session.remove()
    return found


def test_two_programs_never_both_get_the_last_slot(tools: list[Tool]) -> None:
    gate = threading.Barrier(len(tools))

    def reserve(tool: Tool) -> dict[str, Any]:
        gate.wait(20)
        return tool.ask(ALICE, reserve=True)

    with ThreadPoolExecutor(len(tools)) as threads:
        for turn in range(SLOTS):
            early = tools[turn % 2]
            first = early.ask(ALICE, reserve=True)
            assert first["decision"] == "allow", first
            both = list(zip(tools, threads.map(reserve, tools), strict=True))
            said = sorted((answer["decision"], answer["reason"]) for _tool, answer in both)
            assert said == [("allow", "subscribed"), ("delay", "frequency")], f"turn {turn}"
            assert counted() == CAP
            for tool, answer in [(early, first), *both]:
                if "reservation" in answer:
                    tool.release(answer["reservation"]["id"])
            assert counted() == 0
