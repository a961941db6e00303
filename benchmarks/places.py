"""Databases of many people for the measurements, on each engine."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask

from benchmarks import seed_history
from benchmarks.pages import environment, migrated
from prefcenter import clock
from tests import postgres

Place = Callable[[int], tuple[dict[str, str], float]]  # settings for so many people, and seconds
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def named(database: str) -> list[str]:
    """The engines that an argument stands for; "" is both."""
    return [_NAMES[database]] if database else list(_NAMES.values())


@contextmanager
def on(name: str, keep: Path | None) -> Iterator[Place]:
    """Makes databases on this engine until the block ends; SQLite's stay in the folder `keep`.

    Raises postgres.Unavailable.
    """
    with tempfile.TemporaryDirectory() as folder:
        if name == "SQLite":
            yield _on_sqlite(keep or Path(folder))
            return
        with postgres.start(fsync=True) as server:
            yield _on_postgresql(server, Path(folder))


def _on_sqlite(folder: Path) -> Place:
    def place(people: int) -> tuple[dict[str, str], float]:
        if people:
            return seed_history.kept(folder, people)
        env = environment(Path(tempfile.mkdtemp(dir=folder)))
        migrated(env)
        return env, 0.0

    return place


def _on_postgresql(server: postgres.Server, folder: Path) -> Place:
    def place(people: int) -> tuple[dict[str, str], float]:
        url = server.create(f"history_{people}")
        env = environment(Path(tempfile.mkdtemp(dir=folder)), DATABASE_URL=url)
        app = migrated(env)
        assert isinstance(app, Flask)
        return env, seed_history.load(app, people, now=clock.now()) if people else 0.0

    return place
