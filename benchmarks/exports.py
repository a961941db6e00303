"""The audience of a million people over HTTP: rows a second, memory, and the database's log.

Read as it comes by one client, in turns with Flask, the bare driver and csv.writer on the same
server and database (export_floor.py). Five of six people take the category; the others stopped,
never confirmed, take another one or have paused.
"""

import http.client
import os
import secrets
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from benchmarks import places, seed_history, servers, stories
from benchmarks.pages import environment, line, migrated
from benchmarks.servers import Server
from prefcenter import clock, config, demo_data
from prefcenter.consent import api_keys, ledger
from prefcenter.database import db, writing
from prefcenter.models import Category
from tests import postgres

FEW = 10_000  # rows, to compare the memory with
_MORE_MIB, _MOST_MIB, _MOST_WAL_MIB = 16, 143, 64  # 143 MiB are 150 MB
_CHUNK = 1 << 16
_PATH = "/api/v1/audience?category=offers"
_CSV, _NDJSON = "text/csv", "application/x-ndjson"
_SLOWLY = 0.002  # seconds that a slow reader waits between two chunks
_OTHERS: tuple[dict[str, Any], ...] = (
    {"status": "unsubscribed", "confirmed_at": None},
    {"status": "pending", "confirmed_at": None},
    {"takes": "events"},
    {"paused": True},
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A filled database, its settings, and a key for it."""

    people: int  # in the audience
    env: dict[str, str]
    key: str

    def headers(self, accept: str = _CSV) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Accept": accept}


@dataclass(frozen=True, slots=True)
class Taken:
    seconds: float
    cpu: float
    rows: int

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def measure(people: int, database: str, rounds: int) -> Iterator[str]:
    """Every figure, as lines for people to read, each as soon as it is known."""
    for name in places.named(database):
        try:
            with _makes(name) as make:
                yield from _on(name, make, people, rounds)
        except postgres.Unavailable as error:
            yield f"SKIP the same on {name}: {error}"


def _on(name: str, make: Callable[[], dict[str, str]], people: int, rounds: int) -> Iterator[str]:
    began = time.monotonic()
    small, large = (filled(make(), count) for count in (FEW, people))
    yield f"  {name}: {FEW:,} and {people:,} who may be texted, {time.monotonic() - began:.0f} s"
    yield from _speed(name, large, rounds)
    yield from _memory(name, small, large)
    if name == "SQLite":
        yield _log(large)


@contextmanager
def _makes(name: str) -> Iterator[Callable[[], dict[str, str]]]:
    """Settings of a new database each time."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "SQLite":
            yield lambda: environment(Path(tempfile.mkdtemp(dir=folder)))
            return
        with postgres.start(fsync=True) as server:
            yield lambda: environment(
                Path(tempfile.mkdtemp(dir=folder)),
                DATABASE_URL=server.create(f"audience_{secrets.token_hex(4)}"),
            )


def filled(env: dict[str, str], audience: int) -> Deployment:
    """So many who may be texted about offers, and a fifth as many others, without a history."""
    app = migrated(env)
    assert isinstance(app, Flask)
    people = audience * 6 // 5
    with app.app_context():
        with writing():
            demo_data.add()
            key = api_keys.make("benchmark", ["export"], now=clock.now())
            kinds = dict(db.session.execute(sa.select(Category.slug, Category.id)).tuples().all())
            db.session.commit()
        with seed_history._writer(config.current().database_url) as write:
            now = clock.now()
            at, until = (_stamp(now + timedelta(days=days)) for days in (-30, 30))
            rows = (_person(i, at, until) for i in range(people))
            write("person", seed_history._PERSON, rows)
            takes = ((i + 1, kinds[_differs(i).get("takes", "offers")]) for i in range(people))
            write("person_category", ("person_id", "category_id"), takes)
        db.engine.dispose()
    return Deployment(audience, env, key)


def _differs(i: int) -> dict[str, Any]:
    """What keeps somebody out of the audience; of six people the last."""
    return _OTHERS[i // 6 % len(_OTHERS)] if i % 6 == 5 else {}


def _stamp(moment: datetime) -> str:
    return stories.stamp(moment.isoformat())


def _person(i: int, at: str, until: str) -> tuple[Any, ...]:
    differs = _differs(i)
    row = {
        "id": i + 1,
        "public_id": f"{i:022}",
        "link_id": i + 1,
        "number": stories.phone_of(i),
        "country": stories.country_of(i),
        "language": "es" if i % 7 == 3 else "en",
        "status": differs.get("status", "subscribed"),
        "opt_in_level": "confirmed_opt_in",
        "deliverability": "ok",
        "frequency": ("all", "1/week", "4/month")[i % 3],
        "paused_until": until if "paused" in differs else None,
        "requested": "[]",
        "confirmed_at": differs.get("confirmed_at", at),
        "ledger_seq": 0,
        "ledger_head": ledger.FIRST,
        "created_at": at,
    }
    return tuple(row.get(name) for name in seed_history._PERSON)


def _speed(name: str, one: Deployment, rounds: int) -> Iterator[str]:
    """Each kind of file in turns, so that a slow moment hits all."""
    found: dict[str, list[Taken]] = {}
    with (
        servers.serving("exported", one.env, "/") as floor,
        servers.serving("product", one.env, "/healthz") as product,
    ):
        for turn in range(rounds + 1):
            files = {
                "cursor": _take(floor, "/cursor", {}),
                "keyset": _take(floor, "/keyset", {}),
                "csv": _take(product, _PATH, one.headers(_CSV)),
                "ndjson": _take(product, _PATH, one.headers(_NDJSON)),
            }
            for what, file in files.items():
                extra = {"csv": 2, "ndjson": 1}.get(what, 0)  # the head, and the end
                if file.rows != one.people + extra:
                    raise RuntimeError(f"{what}: {file.rows} rows of {one.people}")
                if turn:  # the first round warms both up
                    found.setdefault(what, []).append(file)
    floor_files = found["cursor"]
    for what, title in (("csv", "CSV"), ("ndjson", "NDJSON")):
        by_time = [a.seconds / b.seconds for a, b in zip(floor_files, found[what], strict=True)]
        by_cpu = [a.cpu / b.cpu for a, b in zip(floor_files, found[what], strict=True)]
        yield line(f"{name}: audience as {title} / raw cursor and csv.writer", by_time, 0.8)
        yield f"       the same by CPU: {statistics.median(by_cpu):.2f}x"
    for what, files_of in found.items():
        rate = statistics.median(one.rate for one in files_of)
        cpu = statistics.median(1e6 * one.cpu / one.rows for one in files_of)
        yield f"  {name}, {what}: {rate:9,.0f} rows a second, {cpu:.2f} us CPU a row"


def _memory(name: str, small: Deployment, large: Deployment) -> Iterator[str]:
    peaks = []
    for one in (small, large):
        with servers.serving("product", one.env, "/healthz") as server:
            before = server.peak_mib()
            for _ in range(4):  # warms both processes up
                _take(server, _PATH, one.headers())
            server.forget_peaks()
            _take(server, _PATH, one.headers())
            peaks.append(server.peak_mib())
        yield f"  {name}: peak of {one.people:,} rows {peaks[-1]:.1f} MiB, {before:.1f} before any"
    yield _at_most(f"{name}: more memory for {large.people:,} rows", peaks[1] - peaks[0], _MORE_MIB)
    yield _at_most(f"{name}: memory for {large.people:,} rows", peaks[1], _MOST_MIB)


def _at_most(what: str, found: float, most: float) -> str:
    return f"{'ok  ' if found <= most else 'MISS'} {what}: {found:.1f} MiB (at most {most})"


def _log(one: Deployment) -> str:
    """SQLite's log while somebody reads slowly and somebody else commits without a break."""
    file = Path(config.read(one.env).database_url.split(":///", 1)[1])
    done, most, commits = threading.Event(), 0.0, 0

    def write() -> None:
        nonlocal most, commits
        with closing(sqlite3.connect(file, isolation_level=None, timeout=30)) as connection:
            while not done.is_set():
                connection.execute(
                    "INSERT INTO heartbeat (name, at) VALUES ('benchmark', '2026-01-01 00:00:00.0')"
                    " ON CONFLICT (name) DO UPDATE SET at = excluded.at"
                )
                commits += 1
                with suppress(FileNotFoundError):
                    most = max(most, Path(f"{file}-wal").stat().st_size / 2**20)

    with servers.serving("product", one.env, "/healthz") as server:
        thread = threading.Thread(target=write)
        thread.start()
        taken = _take(server, _PATH, one.headers(), wait=_SLOWLY)
        done.set()
        thread.join()
    what = f"SQLite: log beside {commits:,} commits and a reader of {taken.seconds:.0f} s"
    return _at_most(what, most, _MOST_WAL_MIB)


def _take(server: Server, path: str, headers: dict[str, str], *, wait: float = 0.0) -> Taken:
    """A file, read as it comes and kept nowhere."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)) as connection:
        cpu, began, rows = _cpu(server), time.monotonic(), 0
        connection.request("GET", path, headers={"Host": "127.0.0.1", **headers})
        answer = connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        while part := answer.read(_CHUNK):
            rows += part.count(b"\n")
            if wait:
                time.sleep(wait)  # somebody far away
        return Taken(time.monotonic() - began, _cpu(server) - cpu, rows)


def _cpu(server: Server) -> float:
    """CPU seconds of all its processes, also of threads that have ended since."""
    total = 0
    for pid in servers._family(server.process.pid):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
