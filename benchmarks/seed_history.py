"""A million people and five million events in a few minutes, with chains that verify.

    python -m benchmarks.seed_history --people 1000000 --folder /tmp/history

leaves a SQLite database and the settings that open it (`env.json`) in the folder, and uses it
again the next time. The rows go past SQLAlchemy; indexes are made when all rows are there.
"""

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask

from benchmarks import stories
from benchmarks.pages import environment, migrated
from benchmarks.stories import Cast
from prefcenter import clock, config, create_app, demo_data, phone, schema
from prefcenter.consent import ledger
from prefcenter.consent_texts import consent_text
from prefcenter.database import db, writing
from prefcenter.models import Category

PEOPLE = 1_000_000
_CHUNK = 20_000
_TABLES = (
    *("person", "person_category", "consent_event", "evidence", "event_fact", "event_note"),
    *("suppression", "outbox"),
)
_NOT_OK = ("invalid", "deactivated", "soft_failed")
_PERSON = (
    *("id", "public_id", "link_id", "number", "country", "language", "status", "opt_in_level"),
    *("deliverability", "frequency", "paused_until", "requested", "request_ref"),
    *("request_expires_at", "confirmed_at", "opted_out_at", "opt_out_source"),
    *("reassigned_at", "ledger_seq", "ledger_head", "created_at"),
)
_OUTBOX = (
    *("id", "ref", "person_id", "to_number", "sender", "kind", "language", "body", "status"),
    *("reason", "created_at", "due_at", "expires_at", "attempts", "copies", "finished_at"),
)
Rows = Iterable[Sequence[Any]]
Write = Callable[[str, Sequence[str], Rows], None]


def load(app: Flask, people: int, *, now: datetime) -> float:
    """Fill an empty, migrated database; gives the seconds it took."""
    began = time.monotonic()
    with app.app_context():
        cast = stories.cast(people, _texts_shown(now), now=now)
        kinds = _kinds()
        url = config.current().database_url
        with _writer(url) as write:
            _load_events(cast, write)
            write("person", _PERSON, _people(cast, now))
            write("person_category", ("person_id", "category_id"), _taken(cast, kinds))
            write("outbox", _OUTBOX, _texts(cast))
            write("suppression", ("id", "pseudonym", "reason", "since"), _suppressed(cast))
        db.engine.dispose()
    return time.monotonic() - began


def kept(folder: Path, people: int) -> tuple[dict[str, str], float]:
    """Settings of a SQLite database with so many people in this folder, made where it is not
    there yet, and the seconds that took."""
    place = folder / f"history-{people}-{schema.head()}"
    settings = place / "env.json"
    if settings.is_file():
        env: dict[str, str] = json.loads(settings.read_text())
        return env, 0.0
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():  # of a load that was broken off
        left.unlink()
    env = environment(place)
    app = migrated(env)
    assert isinstance(app, Flask)
    seconds = load(app, people, now=clock.now())
    settings.write_text(json.dumps(env))
    return env, seconds


def _texts_shown(now: datetime) -> dict[str, str]:
    """Publish what was shown, in each language; gives the hashes. Commits."""
    settings = config.current()
    with writing():
        demo_data.add()
        found = {}
        for language in config.LANGUAGES:
            text = consent_text("signup", f"{settings.brand} {language}", 4)
            found[language] = ledger.publish("signup", language, text, now=now)
        db.session.commit()
    return found


def _kinds() -> dict[str, int]:
    rows = db.session.execute(sa.select(Category.slug, Category.id)).all()
    db.session.rollback()
    return {row.slug: row.id for row in rows}


def _load_events(cast: Cast, write: Write) -> None:
    rows = stories.events(cast)
    while part := list(islice(rows, _CHUNK)):
        write("consent_event", stories.EVENT_COLUMNS, [one.event for one in part])
        write("evidence", ("event_id", "salt", "body"), [one.evidence for one in part])
        facts = [fact for one in part for fact in one.facts]
        write("event_fact", ("name", "value", "at", "event_id"), facts)
        notes = [note for one in part for note in one.notes]
        write("event_note", ("at", "event_id", "note"), notes)


def _people(cast: Cast, now: datetime) -> Iterator[tuple[Any, ...]]:
    """What the stories have come to."""
    for i in range(cast.people):
        story = cast.story(i)
        times = [cast.at(i, k) for k in range(len(story.steps))]
        row = stories.ended(story.ends, times, cast.asked[i]) | {
            "id": i + 1,
            "public_id": cast.names[i],
            "link_id": (i + 1) << 18 | i * 7919 % (1 << 18),
            "number": None if story.reassigned else stories.phone_of(i),
            "country": stories.country_of(i),
            "deliverability": _deliverability(i, story.reassigned),
            "ledger_seq": len(story.steps),
            "ledger_head": cast.heads[i],
            "created_at": times[0],
        }
        yield tuple(_plain(row[name]) for name in _PERSON)


def _plain(value: Any) -> Any:
    return stories.stamp(value.isoformat()) if isinstance(value, datetime) else value


def _deliverability(i: int, reassigned: bool) -> str:
    if reassigned:
        return "reassigned"
    return _NOT_OK[i % 3] if i % 40 == 11 else "ok"


def _taken(cast: Cast, kinds: dict[str, int]) -> Iterator[tuple[int, int]]:
    for i in range(cast.people):
        for slug in cast.story(i).ends.categories:
            yield i + 1, kinds[slug]


def _texts(cast: Cast) -> Iterator[tuple[Any, ...]]:
    """One delivered text for each person's first request, oldest first."""
    body = "Marlow Books: confirm that you want our texts, about 4 a month: https://… STOP to end."
    for i in range(cast.people):
        at = _plain(cast.at(i, 0))
        yield (
            *(i + 1, cast.names[i], i + 1, stories.phone_of(i), "+12025550100"),
            *("confirm_request", "en", body, "delivered", "", at, at, at, 0, 1, at),
        )


def _suppressed(cast: Cast) -> Iterator[tuple[Any, ...]]:
    key = config.current().pseudonym_keys[0]
    for i in range(cast.people):
        ends = cast.story(i).ends
        if ends.status == "unsubscribed":
            since = _plain(cast.at(i, int(ends.opted_out_at or 0)))
            source = str(ends.opt_out_source)
            reason = {"sms": "keyword", "admin": "admin"}.get(source, "preference_page")
            yield i + 1, phone.pseudonym(stories.phone_of(i), key), reason, since


@contextmanager
def _writer(url: str) -> Iterator[Write]:
    db.session.remove()
    db.engine.dispose()
    made = _to_sqlite(url) if url.startswith("sqlite") else _to_postgresql(url)
    with made as write:
        yield write


@contextmanager
def _to_sqlite(url: str) -> Iterator[Write]:
    with closing(sqlite3.connect(url.split(":///", 1)[1], isolation_level=None)) as connection:
        fast = ("journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF")
        for pragma in (*fast, "locking_mode = EXCLUSIVE", "cache_size = -1000000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            f" AND tbl_name IN ({','.join('?' * len(_TABLES))})",
            _TABLES,
        ).fetchall()
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
            " AND tbl_name = 'consent_event'"
        ).fetchall()  # what they would write is loaded, too
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            connection.execute(f'DROP TRIGGER "{name}"')
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')

        def write(table: str, columns: Sequence[str], rows: Rows) -> None:
            marks = ",".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})"
            connection.executemany(statement, rows)

        yield write
        for _, made in (*indexes, *triggers):
            connection.execute(made)
        connection.execute("COMMIT")


@contextmanager
def _to_postgresql(url: str) -> Iterator[Write]:
    address = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address) as connection:
        # Neither foreign keys nor triggers are asked row by row; suppressions are counted by one.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET timezone = 'UTC'")
        connection.execute("SET maintenance_work_mem = '1GB'")
        indexes = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " AND tablename = ANY(%s) AND NOT EXISTS"
            " (SELECT 1 FROM pg_constraint WHERE conname = indexname)",
            [list(_TABLES)],
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')  # type: ignore[arg-type]  # a name of ours

        def write(table: str, columns: Sequence[str], rows: Rows) -> None:
            if table == "suppression":
                connection.execute("SET session_replication_role = DEFAULT")
            names = ",".join(columns)
            with connection.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:  # type: ignore[arg-type]  # names of ours
                waiting = iter(rows)
                while part := list(islice(waiting, 2_000)):
                    copy.write("".join("\t".join(map(_as_text, row)) + "\n" for row in part))

        yield write
        for _, made in indexes:
            connection.execute(made)
        for table in ("person", "consent_event", "suppression", "outbox"):
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # type: ignore[arg-type]  # see above
            )
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")  # as the server's own vacuum would have by now


def _as_text(value: Any) -> str:
    return "\\N" if value is None else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seed_history")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    env, seconds = kept(given.folder, given.people)
    app = create_app(config.read(env), serving=False)
    with app.app_context():
        found = db.session.scalar(sa.text("SELECT max(id) FROM consent_event"))
        file = config.current().sqlite_file
    size = file.stat().st_size / 2**20 if file else 0
    sys.stdout.write(f"{given.people:,} people, {found:,} events, {size:,.0f} MiB: ")
    sys.stdout.write(f"{seconds:.0f} s. {file}\n" if seconds else f"there already. {file}\n")


if __name__ == "__main__":
    main()
