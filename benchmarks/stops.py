"""A rush of STOPs: signed webhooks stored, worked, repeated, and survived through kill -9.

`verified` is the same route with the same guard and parsing that stores nothing.
"""

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import count, islice
from pathlib import Path

from flask import Flask

from benchmarks import seed, servers
from benchmarks.pages import CONNECTIONS, cpu_per_request, environment, figures, line, migrated
from benchmarks.servers import Load, Product
from prefcenter import clock
from prefcenter.database import db
from prefcenter.links import Purpose
from prefcenter.upkeep import recount
from tests import postgres, webhooks

IN_A_RUSH = 50_000
_BAR_SECONDS = 30.0  # for so many
_POSTS = 2_000
_AGAIN = 4_000
_PAGE_SECONDS = 3.0
_PAGE_CONNECTIONS = 4
_STUCK_SECONDS = 60.0
_FASTEST = 4_000  # posts a second that the rush beside the pages will not reach
_TABLES = ("inbound", "consent_event", "evidence", "suppression", "outbox", "person")


class Phones:
    """Bodies of STOPs, each from the next subscribed number."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def stops(self, most: int) -> list[bytes]:
        now = clock.now()
        return [
            webhooks.inbound_body("STOP", number=seed.phone_of(number), at=now)
            for number in islice(self._numbers, most)
        ]


def signed(bodies: Sequence[bytes]) -> list[str]:
    """Posts of these bodies, each with a token of its own made now."""
    now = clock.now()
    return [
        servers.post(webhooks.INBOUND, raw.decode(), webhooks.headers(raw, now=now))
        for raw in bodies
    ]


def measure(rounds: int, stops: int = IN_A_RUSH) -> Iterator[str]:
    """Every figure, as lines for people to read, each as soon as it is known."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from _stored("SQLite", _environment(folder / "a"), rounds)
        yield from _on_postgresql(folder / "b", rounds)
        yield from _rush(_environment(folder / "c"), rounds, stops)


def _environment(folder: Path, **more: str) -> dict[str, str]:
    folder.mkdir()
    return environment(folder, **webhooks.SETTINGS, **more)


def _seeded(env: dict[str, str], people: int) -> Flask:
    """With the overview's counts as they are in a shop at work: else the sender would count all
    that was just made up, for minutes, beside what is measured."""
    app = migrated(env)
    seed.people(app, subscribed=people, pending=0, now=clock.now())
    with app.app_context():
        recount.recount()
        db.session.remove()
    return app


def _on_postgresql(folder: Path, rounds: int) -> Iterator[str]:
    try:
        server = postgres.start(fsync=True)
    except postgres.Unavailable as error:
        yield f"SKIP the same on PostgreSQL: {error}"
        return
    with server:
        env = _environment(folder, DATABASE_URL=server.create("stops"))
        yield from _stored("PostgreSQL", env, rounds)
        yield "       its own CPU is not counted"


def _stored(database: str, env: dict[str, str], rounds: int) -> Iterator[str]:
    """A STOP that is stored, against one that is only verified and read."""
    _seeded(env, (rounds + 1) * _POSTS)
    phones, rows = Phones(), []
    with (
        servers.serving("verified", env, "/healthz") as verified,
        servers.serving("product", env, "/healthz") as product,
    ):
        for turn in range(rounds + 1):
            posts = signed(phones.stops(_POSTS))
            floor = cpu_per_request(verified, posts, once=True)
            durable = cpu_per_request(product, posts, once=True)
            if turn:  # the first round warms both up
                rows.append((floor, durable))
    by_rate = [durable["rate"] / floor["rate"] for floor, durable in rows]
    by_cpu = [floor["cpu"] / durable["cpu"] for floor, durable in rows]
    what = f"signed STOP, durable on {database} / only verified"
    yield line(f"{what}, by requests a second", by_rate, 0.3)
    yield line(f"{what}, by CPU", by_cpu, 0.3)
    yield "  only verified " + figures([floor for floor, _ in rows])
    yield "  durable       " + figures([durable for _, durable in rows])


def _rush(env: dict[str, str], rounds: int, stops: int) -> Iterator[str]:
    """As the product is served, its sender working the inbox meanwhile."""
    in_pages = int(_FASTEST * _PAGE_SECONDS)
    app = _seeded(env, stops + (rounds + 1) * (_AGAIN + in_pages))
    database = Path(env["PREFCENTER_DATA_DIR"]) / "prefcenter.sqlite3"
    phones = Phones()
    with _watching(database) as inbox, servers.product(env) as product:
        yield from _killed(product, inbox, phones.stops(stops))
        yield from _repeated(product, inbox, phones, rounds)
        yield from _beside_pages(app, product, inbox, phones, rounds)


class Inbox:
    """What the database says, asked from outside."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._ask = connection.execute

    def one(self, query: str) -> int:
        found: int = self._ask(query).fetchone()[0]
        return found

    def rows(self) -> dict[str, int]:
        return {table: self.one(f"SELECT count(*) FROM {table}") for table in _TABLES}

    def stored(self) -> int:
        """How many came in so far; nothing is ever deleted."""
        return self.one("SELECT coalesce(max(id), 0) FROM inbound")

    def worked(self) -> float:
        """Wait until nothing waits; gives the seconds it took."""
        began = moved = time.monotonic()
        left = before = self.waiting()
        while left:
            time.sleep(0.2)  # nothing tells when the last one is worked
            left = self.waiting()
            if left != before:
                before, moved = left, time.monotonic()
            if time.monotonic() - moved > _STUCK_SECONDS:
                raise RuntimeError(f"{left} texts wait and nobody works them")
        return time.monotonic() - began

    def waiting(self) -> int:
        return self.one("SELECT count(*) FROM inbound WHERE handled_at IS NULL")


@contextmanager
def _watching(database: Path) -> Iterator[Inbox]:
    uri = f"{database.as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield Inbox(connection)


def _post_all(product: Product, posts: list[str]) -> Load:
    return Load(product.port, posts, connections=CONNECTIONS, seconds=0, until_taken=True)


def _killed(product: Product, inbox: Inbox, bodies: list[bytes]) -> Iterator[str]:
    """The whole rush, with kill -9 of every process in the middle of it."""
    stops = len(bodies)
    posts = signed(bodies)
    load = _post_all(product, posts)
    while inbox.stored() < stops // 2:
        time.sleep(0.1)  # nothing tells when the half is stored
    product.kill()
    product.start()
    first = load.result()
    waiting = inbox.waiting()
    missing = stops - inbox.one("SELECT count(*) FROM inbound")
    bar = _BAR_SECONDS * stops / IN_A_RUSH
    yield _verdict(
        first["seconds"] <= bar,
        f"{stops:,} signed STOPs answered in {first['seconds']:.1f} s, kill -9 and restart included"
        f" (at most {bar:g} s)",
    )
    yield (
        f"  {first['silence']:.1f} s of it nothing was answered, {first['again']} posts came again;"
        f" p50 {first['p50']:.0f} ms, p99 {first['p99']:.0f} ms; {first['statuses']}"
    )
    yield _verdict(missing == 0, f"answered 200 and missing after kill -9: {missing}")
    drained = inbox.worked()
    yield (
        f"  {waiting:,} waited for their effect when the last was answered; all worked"
        f" {drained:.1f} s later ({waiting / max(drained, 0.001):.0f} a second)"
    )
    off = inbox.one("SELECT count(*) FROM person WHERE status = 'unsubscribed'")
    events = inbox.one("SELECT count(*) FROM consent_event WHERE kind = 'revoked'")
    yield _verdict(
        off == events == stops, f"unsubscribed: {off:,} numbers, {events:,} events in the ledger"
    )
    before = inbox.rows()
    again = _post_all(product, signed(bodies)).result()
    inbox.worked()
    added = sum(inbox.rows().values()) - sum(before.values())
    yield _verdict(added == 0, f"rows that the same {stops:,}, signed anew, add: {added}")
    yield f"  answered in {again['seconds']:.1f} s"


def _repeated(product: Product, inbox: Inbox, phones: Phones, rounds: int) -> Iterator[str]:
    """New STOPs and then the same again, signed anew; no kill."""
    ratios, rates = [], []
    for turn in range(rounds + 1):
        bodies = phones.stops(_AGAIN)
        first = _post_all(product, signed(bodies)).result()
        inbox.worked()
        again = _post_all(product, signed(bodies)).result()
        if turn:
            ratios.append(first["seconds"] / again["seconds"])
            rates.append((_AGAIN / first["seconds"], _AGAIN / again["seconds"]))
    yield line("the same rush again / the first, by requests a second", ratios, 0.9)
    new, old = (statistics.median(rate[i] for rate in rates) for i in range(2))
    yield f"  {new:.0f} a second, again {old:.0f} a second"


def _beside_pages(
    app: Flask, product: Product, inbox: Inbox, phones: Phones, rounds: int
) -> Iterator[str]:
    """The customer page while a rush runs, against the same clients alone."""
    tokens = seed.tokens(app, Purpose.MANAGE, 1, 5_000, clock.now())
    gets = [servers.get(f"/p/{token}") for token in tokens]
    alone, beside, stored = [], [], []
    for turn in range(rounds + 1):
        quiet = _pages(product, gets).result()
        rush = Load(
            product.port,
            signed(phones.stops(int(_FASTEST * _PAGE_SECONDS))),
            connections=CONNECTIONS,
            seconds=_PAGE_SECONDS,
        )
        busy = _pages(product, gets).result()
        taken = rush.result()
        inbox.worked()
        if turn:
            alone.append(quiet)
            beside.append(busy)
            stored.append(taken["count"] / taken["seconds"])
    ratios = [b["p99"] / a["p99"] for a, b in zip(alone, beside, strict=True)]
    yield line("p99 of the page during a rush / without", ratios, 3, at_most=True)
    yield f"  alone       {_latency(alone)}"
    yield f"  in the rush {_latency(beside)}; {statistics.median(stored):.0f} STOPs a second"


def _pages(product: Product, gets: list[str]) -> Load:
    return Load(product.port, gets, connections=_PAGE_CONNECTIONS, seconds=_PAGE_SECONDS)


def _latency(rows: list[dict[str, float]]) -> str:
    p50, p99 = (statistics.median(row[name] for row in rows) for name in ("p50", "p99"))
    rate = statistics.median(row["count"] / row["seconds"] for row in rows)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {rate:.0f} pages a second"


def _verdict(good: bool, what: str) -> str:
    return f"{'ok  ' if good else 'MISS'} {what}"
