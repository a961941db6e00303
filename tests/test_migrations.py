"""Migrations: one line of them, up and down on filled databases, all or nothing."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import Migrate, downgrade, upgrade

from prefcenter import create_app, schema
from prefcenter.config import ConfigError
from prefcenter.consent import audit
from prefcenter.database import db, writing
from tests import postgres
from tests.cast import ALICE, Town, rows
from tests.conftest import BASE, Clock, settings_for
from tests.staff_room import hire
from tests.test_by_hand import revoke, wish


def script() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    return ScriptDirectory.from_config(config)


def objects() -> set[tuple[str, ...]]:
    """Every table, index and trigger, with its definition, as the database itself tells it."""
    query = """
        SELECT 'column', table_name, column_name, data_type, is_nullable,
               coalesce(character_maximum_length::text, '')
          FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT 'index', tablename, indexname, indexdef, '', ''
          FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT 'constraint', conrelid::regclass::text, conname,
               pg_get_constraintdef(oid), '', '' FROM pg_constraint
          WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), '', ''
          FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'type', typname, typtype::text, '', '', '' FROM pg_type
          WHERE typnamespace = 'public'::regnamespace
        UNION ALL SELECT 'function', p.oid::regprocedure::text, '', '', '', '' FROM pg_proc p
          WHERE pronamespace = 'public'::regnamespace"""
    if db.engine.dialect.name == "sqlite":
        query = "SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"
    db.session.rollback()
    found = {tuple(map(str, row)) for row in db.session.execute(sa.text(query))}
    db.session.rollback()
    return found


def without_bookkeeping(found: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """What is left of us; Alembic keeps its own table when all is undone."""
    return {row for row in found if not any("alembic_version" in part for part in row)}


@pytest.fixture
def migrator(app: Flask) -> Flask:
    Migrate(app, db, directory=str(schema.MIGRATIONS))
    return app


def test_there_is_one_line_of_migrations() -> None:
    assert len(script().get_heads()) == 1
    assert len(script().get_bases()) == 1
    assert schema.head() == script().get_current_head()


def test_the_tables_are_those_of_the_models(app: Flask) -> None:
    """Columns, types, indexes and constraints; Procrastinate's tables are its own."""

    def ours(thing: object, name: str | None, kind: str, *_: object) -> bool:
        return not str(name).startswith("procrastinate")

    options = {"compare_type": True, "compare_server_default": True, "include_object": ours}
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []


def test_every_column_may_be_empty_exactly_where_the_model_says(app: Flask) -> None:
    inspector = sa.inspect(db.engine)
    for table in db.metadata.sorted_tables:
        found = {c["name"]: c["nullable"] for c in inspector.get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
        checks = {check["name"] for check in inspector.get_check_constraints(table.name)}
        named = {c.name for c in table.constraints if isinstance(c, sa.CheckConstraint)}
        assert checks == {str(name) for name in named}, table.name
    db.session.rollback()


def test_down_and_up_again_on_a_filled_database(migrator: Flask, town: Town) -> None:
    """REL-18: what each step up makes, its step down takes away, triggers and types too."""
    town.alice()
    town.carol()
    before = objects()
    db.session.remove()
    downgrade(revision="base")
    assert without_bookkeeping(objects()) == set()
    upgrade()
    assert objects() == before
    assert all(not content for content in rows().values())


def test_each_step_keeps_the_rows_that_it_can(migrator: Flask, town: Town) -> None:
    """REL-18: from the newest step down to the first and up again, rows and proof equal."""
    town.alice()
    town.bob()
    town.carol()
    before, shape = rows(), objects()
    db.session.remove()
    for step in list(script().walk_revisions())[:-1]:
        downgrade(revision=str(step.down_revision))
        upgrade(revision=step.revision)
    upgrade()
    assert objects() == shape
    before["ask"] = []  # what the breaker counts is worth a day, and proves nothing
    assert rows() == before
    assert list(audit.faults()) == []
    assert list(audit.differences()) == []


def test_what_staff_wrote_is_found_again_after_a_step_down_and_up(
    migrator: Flask, town: Town, now: Clock
) -> None:
    """REL-18: the note stands in the evidence, and a second time to be searched."""
    town.alice()
    revoke(town, ALICE, wish(now))
    before = rows()["event_note"]
    assert len(before) == 1
    db.session.remove()
    downgrade(revision="0005")
    upgrade()
    assert rows()["event_note"] == before


def test_a_step_down_forgets_nobody_who_works_here(migrator: Flask) -> None:
    """Their accounts, and with them the log of what they did."""
    hire("dana")
    before = rows()
    db.session.remove()
    with pytest.raises(SystemExit):  # Flask-Migrate has told the reason
        downgrade(revision="0003")
    assert rows() == before


@contextmanager
def empty(engine: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """A database without any table."""
    if engine == "sqlite":
        yield f"sqlite:///{folder / 'empty.sqlite3'}"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    name = f"empty_{os.getpid()}"
    yield server.create(name)
    server.drop(name)


UPGRADE = """
    import os, signal, sys
    import sqlalchemy as sa
    from flask_migrate import Migrate, upgrade
    from prefcenter import create_app, schema
    from prefcenter.database import db

    app = create_app(serving=False)
    Migrate(app, db, directory=str(schema.MIGRATIONS))
    left = int(sys.argv[1])

    with app.app_context():

        @sa.event.listens_for(db.engine, "before_cursor_execute")
        def count(connection, cursor, statement, *rest):
            global left
            left -= statement.lstrip().upper().startswith(("CREATE", "INSERT"))
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        upgrade()
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_migration_killed_half_way_leaves_nothing(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """REL-18: kill -9 after the tenth of its statements, then run again: the same result."""
    with empty(engine, request, tmp_path) as url:
        environ = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PREFCENTER_")},
            **BASE,
            "PREFCENTER_DATABASE_URL": url,
            "PREFCENTER_DATA_DIR": str(tmp_path),
        }

        def run(statements: int) -> int:
            command = [sys.executable, "-c", textwrap.dedent(UPGRADE), str(statements)]
            return subprocess.run(command, env=environ, timeout=60, check=False).returncode

        assert run(10) == -signal.SIGKILL
        app = create_app(settings_for(url, tmp_path), serving=False)
        with app.app_context():
            assert without_bookkeeping(objects()) == set()
            assert schema.fault() is not None
            db.session.remove()
            assert run(-1) == 0
            assert schema.fault() is None
            Migrate(app, db, directory=str(schema.MIGRATIONS))
            again = objects()
            db.session.remove()
            downgrade(revision="base")
            upgrade()
            assert objects() == again
            db.session.remove()
            db.engine.dispose()


KEYS = {
    "ENV": "production",
    "PUBLIC_URL": "https://prefs.test",
    "SMS_BACKEND": "vonage",
    "VONAGE_APPLICATION_ID": "app",
    "VONAGE_PRIVATE_KEY": "key.pem",
    "VONAGE_API_KEY": "a1b2c3d4",
    "VONAGE_SIGNATURE_SECRETS": "a7c3e1f905b2d468" * 4,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("DROP TABLE alembic_version", "has no tables yet"),
        ("UPDATE alembic_version SET version_num = '9999'", "is at 9999"),
        ("DELETE FROM alembic_version", "has no tables yet"),
    ],
    ids=["no tables", "another version", "no version"],
)
def test_production_refuses_a_database_that_it_does_not_know(
    app: Flask, database_url: str, tmp_path: Path, change: str, words: str
) -> None:
    """REL-17, SEC-8: with the cure; commands that mend it still start."""
    production = settings_for(database_url, tmp_path, **KEYS)
    served = create_app(production)
    with writing():
        db.session.execute(sa.text(change))
        db.session.commit()
    with pytest.raises(ConfigError) as refused:
        create_app(production)
    assert words in str(refused.value)
    assert "`prefcenter db upgrade`" in str(refused.value)
    command = create_app(production, serving=False)
    for other in (served, command):
        with other.app_context():
            db.session.remove()
            db.engine.dispose()
