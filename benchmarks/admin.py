"""The pages of the people who work here, over a few thousand events and over millions.

Asked over HTTP as an owner does, one page at a time, of two granian processes as `prefcenter
serve` runs them; the sender's share is measured apart (counters.py). What is compared is
compared within one run, the two databases in turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks import counters, places, servers, stories
from benchmarks.desk import Desk
from benchmarks.pages import line
from benchmarks.places import Place
from prefcenter import clock, config, create_app
from prefcenter.database import db
from prefcenter.models import ConsentEvent
from prefcenter.upkeep import history
from tests import postgres

SMALL, MIDDLE = 1_000, 2_000  # people, with 5,000 and 10,000 events
_ASKED = 15  # times for each page and round; the middle counts
_OVERVIEW, _HISTORY, _PEOPLE = "/admin/", "/admin/history", "/admin/people"
_EXPORT = "/admin/history/export"
_DEPTH = 0.98
_MORE_MIB = 16
_FILTERS = {
    "history, one kind of event": "?what=revoked",
    "history, one source": "?through=sms",
    "history, opt-outs": "?action=opt-out",
    "history, one site": "?site=checkout",
    "history, one category": "?category=events",
    "history, one country": "?country=GB",
    "history, one clerk": "?by=Dana",
    "history, a month": "?from={month_ago}&to={today}",
    "history, words of a note": "?note=no+more+texts",
    "history, four filters at once": "?what=requested&site=poster&category=events&country=CA",
}
_REASON = "measured"


class Deployment:
    """One filled database, and its settings."""

    def __init__(self, name: str, env: dict[str, str]) -> None:
        self.name, self.env = name, env
        self.app = create_app(config.read(env), serving=False)


def measure(people: int, database: str, rounds: int, keep: Path | None) -> Iterator[str]:
    """Every figure, as lines for people to read, each as soon as it is known."""
    for name in places.named(database):
        try:
            with places.on(name, keep) as place:
                yield from _on(name, place, people, rounds)
        except postgres.Unavailable as error:
            yield f"SKIP the same on {name}: {error}"


def _on(database: str, place: Place, people: int, rounds: int) -> Iterator[str]:
    found = []
    for count in (SMALL, MIDDLE, people):
        env, seconds = place(count)
        events = count * stories.EVENTS_EACH
        how = f"loaded in {seconds:.0f} s" if seconds else "there already"
        yield f"  {database}: {count:,} people, {events:,} events, {how}"
        deployment = Deployment(f"{events:,}", env)
        yield from counters.anew(database, deployment.app)
        found.append(deployment)
    small, middle, large = found
    empty = create_app(config.read(place(0)[0]), serving=False)
    yield from counters.measure(database, empty, rounds)
    yield from _pages(database, small, large, rounds)
    yield from _downloads(database, middle, large)
    yield from _files(database, middle, large)


def _pages(database: str, small: Deployment, large: Deployment, rounds: int) -> Iterator[str]:
    """Each page over both databases in turns; every round asks each a few times."""
    with ExitStack() as stack:
        desks = []
        for one in (small, large):
            server = stack.enter_context(servers.serving("product", one.env, "/healthz"))
            desks.append(Desk(one.app, server.port))
        deep = [_deep(one) for one in (small, large)]
        times: dict[str, list[tuple[float, float]]] = {}
        for turn in range(rounds + 1):
            for what, found in _round(desks, _paths(deep)).items():
                if turn:  # the first round warms both up
                    times.setdefault(what, []).append(found)
        searches = list(_searches(database, desks, [small.name, large.name]))
    yield line(
        f"{database}: overview over {large.name} events / over {small.name}",
        [big / little for little, big in times["overview"]],
        1.2,
        at_most=True,
    )
    first, last = times["history"], times["history, deep"]
    yield line(
        f"{database}: history page behind {_DEPTH:.0%} of {large.name} events / the first",
        [below[1] / above[1] for above, below in zip(first, last, strict=True)],
        1.1,
        at_most=True,
    )
    for what, pairs in times.items():
        little, big = (statistics.median(pair[at] for pair in pairs) for at in range(2))
        yield f"  {database}, {what}: {little:.1f} ms over {small.name}, {big:.1f} ms over {large.name}"
    yield from searches


def _paths(deep: list[str]) -> dict[str, tuple[str, str]]:
    """What is asked for, over the small and over the large database."""
    now = clock.now()
    month_ago, today = (f"{now - timedelta(days=days):%Y-%m-%d}" for days in (30, 0))
    same = {
        "overview": _OVERVIEW,
        "overview, 12 months": f"{_OVERVIEW}?period=12m",
        "overview, one site": f"{_OVERVIEW}?place=checkout",
        "history": _HISTORY,
    }
    for what, query in _FILTERS.items():
        same[what] = _HISTORY + query.format(month_ago=month_ago, today=today)
    return {what: (path, path) for what, path in same.items()} | {
        "history, deep": (deep[0], deep[1])
    }


def _deep(deployment: Deployment) -> str:
    """The address of the page of history that has this share of all events before it."""
    with deployment.app.app_context():
        newest = history.newest_id()
        query = sa.select(ConsentEvent.at).where(ConsentEvent.id == round(newest * (1 - _DEPTH)))
        at = db.session.scalar(query)
        db.session.rollback()
    assert at is not None
    return f"{_HISTORY}?before={history.Place(at, round(newest * (1 - _DEPTH)))}"


def _round(desks: list[Desk], paths: dict[str, tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Milliseconds of each page over both; all take turns, so that a slow moment hits all."""
    found: dict[str, tuple[list[float], list[float]]] = {what: ([], []) for what in paths}
    for _ in range(_ASKED):
        for what, pair in paths.items():
            for at, (one, path) in enumerate(zip(desks, pair, strict=True)):
                found[what][at].append(one.get(path)[0])
    return {
        what: (statistics.median(small), statistics.median(large))
        for what, (small, large) in found.items()
    }


def _searches(database: str, desks: list[Desk], names: list[str]) -> Iterator[str]:
    for what, typed in (("a number", stories.phone_of(77)), ("four digits", "0077")):
        found = [
            statistics.median(at.post(_PEOPLE, number=typed)[0] for _ in range(_ASKED))
            for at in desks
        ]
        each = ", ".join(f"{ms:.1f} ms over {name}" for ms, name in zip(found, names, strict=True))
        yield f"  {database}, search for {what}: {each}"


def _downloads(database: str, middle: Deployment, large: Deployment) -> Iterator[str]:
    """The whole history as a download, read as it comes."""
    peaks = []
    for one in (middle, large):
        with servers.serving("product", one.env, "/healthz") as server:
            desk = Desk(one.app, server.port)
            desk.take(_EXPORT, format="csv", reason=_REASON, what="reassigned")  # warms up
            server.forget_peaks()
            seconds, rows = desk.take(_EXPORT, format="csv", reason=_REASON)
            peaks.append(server.peak_mib())
        yield (
            f"  {database}, download of the history over {one.name}: {rows:,} rows in"
            f" {seconds:.1f} s, {rows / seconds:,.0f} a second, peak {peaks[-1]:.0f} MiB"
        )
    yield _memory(f"{database}: more memory for the large download", peaks)


def _memory(what: str, peaks: list[float]) -> str:
    more = peaks[1] - peaks[0]
    good = "ok  " if more <= _MORE_MIB else "MISS"
    return f"{good} {what}: {more:.1f} MiB (at most {_MORE_MIB})"


def _files(database: str, middle: Deployment, large: Deployment) -> Iterator[str]:
    """Each export as a command, to a file: rows a second, and the most memory it held."""
    for what in ("ledger", "audience", "suppressions"):
        peaks = []
        for one in (middle, large):
            seconds, rows, peak = _export(what, one)
            peaks.append(peak)
            yield (
                f"  {database}, export of the {what} over {one.name}: {rows:,} rows in"
                f" {seconds:.1f} s, {rows / seconds:,.0f} a second, peak {peak:.0f} MiB"
            )
        yield _memory(f"{database}: more memory for the large export of the {what}", peaks)


def _export(what: str, deployment: Deployment) -> tuple[float, int, float]:
    """Seconds, rows and peak memory in MiB of `prefcenter export`."""
    with tempfile.TemporaryDirectory(prefix="prefcenter-export-") as folder:
        file = Path(folder) / "file"
        command = [sys.executable, "-m", "prefcenter", "export", what, "--output", str(file)]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env=os.environ | deployment.env,
            cwd=servers.ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # What the system tells at the end counts our own memory, from before its program began.
        server, peak = servers.Server(0, process), 0.0
        while process.poll() is None:
            with suppress(OSError, IndexError):  # it ends while we look
                peak = max(peak, server.peak_mib())
            time.sleep(0.02)  # nothing tells when it is done
        if process.returncode:
            raise RuntimeError(f"prefcenter export {what} failed")
        seconds = time.monotonic() - began
        with file.open("rb") as written:
            rows = sum(1 for _ in written)
        return seconds, rows, peak
