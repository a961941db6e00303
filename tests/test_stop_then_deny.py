"""STOP, answered 200, and the next answer of another process is no: again and again.

STOPS says how often: `STOPS=10000 pytest tests/test_stop_then_deny.py -s`.
"""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from benchmarks import seed_history, stories
from prefcenter import clock
from prefcenter.database import db
from tests import decision_load
from tests.conftest import BASE, Clock
from tests.decision_load import Deployment, Tool
from tests.watching import until
from tests.webhooks import Vonage

STOPS = int(os.environ.get("STOPS", "200"))
PEOPLE = 3 * STOPS + 200  # of five about two may be texted about offers

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


class RealClock(Clock):
    """The servers in their own processes have the real one, so this test has it too."""

    now = staticmethod(clock.now)


@pytest.fixture
def now() -> Clock:
    return RealClock()


@pytest.fixture
def deployment(app: Flask, database_url: str, tmp_path: Path, now: Clock) -> Iterator[Deployment]:
    """Two servers: the first leaves each text to the sender, the second works it at once."""
    db.session.remove()
    seed_history.load(app, PEOPLE, now=now.now())
    where = {"PREFCENTER_DATABASE_URL": database_url, "PREFCENTER_DATA_DIR": str(tmp_path)}
    each = [{"TEXTS_AT_ONCE": "0"}, {"TEXTS_AT_ONCE": "10000"}]
    deployment = Deployment(BASE | where, tmp_path / "log", each)
    deployment.start()
    yield deployment
    deployment.stop()


def test_who_stopped_is_denied_in_the_next_answer_of_another_process(
    app: Flask, deployment: Deployment, now: Clock
) -> None:
    """SEC-40, INV-1, on both ways that a STOP takes: worked before the 200, or after it."""
    secret, at = decision_load.key(app, "tool"), decision_load.by_day(now.now())
    db.session.remove()
    doors = [Vonage("127.0.0.1", port, now=now.now) for port in deployment.ports]
    tools = [Tool(port, secret) for port in reversed(deployment.ports)]
    everybody = [stories.phone_of(i) for i in range(PEOPLE)]
    answers = zip(everybody, tools[0].ask_all(everybody, at=at), strict=True)
    alices = [number for number, answer in answers if answer["decision"] == "allow"][:STOPS]
    assert len(alices) == STOPS

    reasons = [Counter[str](), Counter[str]()]
    for turn, number in enumerate(alices):
        here = turn % 2
        assert tools[here].ask(number, at=at)["decision"] == "allow"
        assert doors[here].post_inbound("STOP", number) == 200
        answer = tools[here].ask(number, at=at)
        assert answer["decision"] == "deny", f"turn {turn}"
        reasons[here][answer["reason"]] += 1

    assert set(reasons[0]) <= {"stop_waiting", "unsubscribed"}
    assert set(reasons[1]) <= {"stop_waiting", "unsubscribed"}
    assert reasons[0]["stop_waiting"] and reasons[1]["unsubscribed"]
    sys.stdout.write(f"\n{STOPS} STOPs: {dict(reasons[0])} left to the sender,")
    sys.stdout.write(f" {dict(reasons[1])} worked at once\n")

    def worked() -> bool:
        found = {one["reason"] for one in tools[0].ask_all(alices, at=at)}
        return found == {"unsubscribed"}

    until(worked, "a STOP was never worked", seconds=60 + STOPS / 20)
    for tool in tools:
        tool.close()
