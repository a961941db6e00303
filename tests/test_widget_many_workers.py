"""Twenty submitters, four web processes and four workers on PostgreSQL: limits to the unit.

All as an operator starts them, each form from the address that the proxy names (SEC-28).
"""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from prefcenter import clock, config, create_app, demo_data
from prefcenter.consent import sites
from prefcenter.database import db, writing
from prefcenter.web.form_token import Way
from tests import mallory, postgres
from tests.conftest import BASE
from tests.watching import until

SUBMITTERS, PROCESSES = 20, 4
SITES = ("shop", "stall", "isles", "plain", "world", "one", "two", "three", "four")
LIMITS = {
    **{"PREFIX_TEXTS_PER_HOUR": "20", "PREFIX_TEXTS_PER_DAY": "20"},
    **{"IP_TEXTS_PER_HOUR": "20", "IP_TEXTS_PER_DAY": "20", "PLAIN_TEXTS_PER_HOUR": "5"},
    **{"COUNTRY_TEXTS_PER_HOUR": "48", "COUNTRY_TEXTS_PER_DAY": "48"},
    **{"TOTAL_TEXTS_PER_HOUR": "171", "TOTAL_TEXTS_PER_DAY": "171"},
    **{"SITE_TEXTS_PER_HOUR": "500", "SITE_TEXTS_PER_DAY": "500"},
    **{"BREAKER_SENDS": "50", "BREAKER_PERCENT": "10", "SENDER_THREADS": "5"},
}
COUNTRIES = ("US", "GB", "ES", "FR", "DE", "IT", "SE", "AU", "MX", "IN", "NO", "DK")


@dataclass(frozen=True)
class Submission:
    """One form, and where it comes from."""

    number: str
    site: str
    ip: str
    way: Way = Way.SCRIPT


class Deployment:
    """What an operator has, and what Mallory sends there."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.port = 30_000 + os.getpid() % 10_000
        more = LIMITS | {
            "DATABASE_URL": url,
            "DATA_DIR": str(folder),
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "TRUSTED_PROXIES": "1",
            "COUNTRIES": ",".join(COUNTRIES),
        }
        self.env = BASE | {f"PREFCENTER_{name}": value for name, value in more.items()}
        self.log = (folder / "log").open("ab")
        self.started = [self._start("worker") for _ in range(PROCESSES)]
        self.started.append(
            self._start("serve", "--port", str(self.port), "--processes", str(PROCESSES))
        )
        self.app = create_app(config.read(self.env))
        self._open_sites()

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "prefcenter", *command],
            env=os.environ | self.env,
            stdout=self.log,
            stderr=self.log,
        )

    def _open_sites(self) -> None:
        with self.app.app_context(), writing():
            demo_data.add()
            for slug in SITES:
                sites.add(
                    slug,
                    slug,
                    origins=["https://shop.example"],
                    daily_budget=7 if slug == "stall" else None,
                    now=clock.now(),
                )
            db.session.commit()

    def is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        return False

    def flood(self, submissions: list[Submission]) -> Counter[tuple[int, str]]:
        """All at once, from twenty submitters; gives how they were answered."""
        random.Random(4).shuffle(submissions)
        with self.app.app_context(), mallory.easy_work():
            posts = [self._post(one) for one in submissions]
        answers: Counter[tuple[int, str]] = Counter()
        gate, counting = threading.Barrier(SUBMITTERS), threading.Lock()

        def submit(turn: int) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            gate.wait(20)
            for path, body, headers in posts[turn::SUBMITTERS]:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                said = (answer.status, json.loads(answer.read())["status"])
                with counting:
                    answers[said] += 1
            connection.close()

        threads = [threading.Thread(target=submit, args=(n,)) for n in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        until(lambda: not self.rows("SELECT id FROM signup"), "forms still wait", seconds=120)
        return answers

    def _post(self, one: Submission) -> tuple[str, str, dict[str, str]]:
        place = sites.find(one.site, now=clock.now())
        assert place is not None
        fields = mallory.form(place, one.number, now=clock.now(), way=one.way)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            "Origin": "https://shop.example",
            "X-Forwarded-For": one.ip,
        }
        return f"/o/{one.site}", urllib.parse.urlencode(fields), headers

    def rows(self, query: str) -> list[tuple[object, ...]]:
        engine = sa.create_engine(self.url, poolclass=NullPool)
        with engine.connect() as database:
            return [tuple(row) for row in database.execute(sa.text(query))]

    def texts(self) -> list[str]:
        return [str(row[0]) for row in self.rows("SELECT to_number FROM outbox")]

    def stop(self) -> None:
        for process in self.started:
            process.terminate()
        for process in self.started:
            process.wait(40)
        self.log.close()
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def deployment(
    tmp_path: Path, postgres_server: postgres.Server, postgres_template: str
) -> Iterator[Deployment]:
    name = f"flood_{os.getpid()}"
    deployment = Deployment(tmp_path, postgres_server.create(name, template=postgres_template))
    yield deployment
    deployment.stop()
    postgres_server.drop(name)


def within_an_hour() -> None:
    """Counts begin anew with the clock's hour: not while we count."""
    until(lambda: (clock.now() + timedelta(seconds=90)).hour == clock.now().hour, "", seconds=120)


def first_wave() -> list[Submission]:
    """Each group runs into one limit of its own, and into no other."""
    own = (f"10.0.{n >> 8}.{n & 255}" for n in range(1024))
    us = iter(mallory.mobiles("US", 100, apart=True))
    found = [Submission("+12125550144", "shop", next(own)) for _ in range(60)]
    found += [Submission(f"+1312555{n}", "shop", next(own)) for n in range(1000, 1060)]
    found += [Submission(next(us), "shop", "203.0.113.9") for _ in range(60)]
    found += [Submission(next(us), "stall", next(own)) for _ in range(40)]
    gb, es = (mallory.mobiles(country, 60, apart=True) for country in ("GB", "ES"))
    found += [Submission(number, "isles", next(own)) for number in gb]
    found += [Submission(number, "plain", next(own), Way.STEP) for number in es]
    return found


def everywhere(at: Sequence[str], skip: int, count: int) -> list[Submission]:
    """Numbers of ten other countries, each with a block and an address of its own, at some sites."""
    numbers = [mallory.mobiles(c, skip + count, apart=True)[skip:] for c in COUNTRIES[2:]]
    return [
        Submission(number, at[n % len(at)], f"10.{skip + 1}.{country}.{n}")
        for country, found in enumerate(numbers)
        for n, number in enumerate(found)
    ]


def test_texts_to_the_unit(deployment: Deployment) -> None:
    until(deployment.is_up, "the server does not come up", seconds=40)
    within_an_hour()
    wave = first_wave()
    sent = {(200, "sent")}

    assert set(deployment.flood(wave)) == sent
    texts = Counter(deployment.texts())
    at = {one.number: one.site for one in wave}
    assert max(texts.values()) == 1
    assert texts["+12125550144"] == 1
    assert sum(to.startswith("+1312555") for to in texts) == 20  # one block
    assert sum(to.startswith("+1201") and at[to] == "shop" for to in texts) == 20  # one address
    by_site = Counter(at[to] for to in texts)
    assert by_site == {"shop": 41, "stall": 7, "isles": 48, "plain": 5}  # isles: one country
    tallies = deployment.rows("SELECT scope, sum(count) FROM tally GROUP BY scope")
    counted = {str(scope): int(str(count)) for scope, count in tallies}
    assert counted["total/hour"] == counted["site/day"] == len(texts) == 101

    assert set(deployment.flood(everywhere(["world"], 0, 12))) == sent
    assert len(deployment.texts()) == 151  # fifty of a site that nobody confirms, then its breaker
    trips = deployment.rows("SELECT scope, key FROM breaker")
    assert trips == [("site", "world")]

    assert set(deployment.flood(everywhere(SITES[5:], 12, 6))) == sent
    assert len(deployment.texts()) == 171  # the whole system
    assert len(set(deployment.texts())) == 171
