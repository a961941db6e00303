"""PostgreSQL databases that tests use one after another, each found as if it were new.

To make a database costs more than most tests need. So one that a test is through with gets the
rows and the counters of the template back. Whatever else was changed in it, or grew much, is
noticed, and the database is dropped then.
"""

import secrets

import psycopg
from psycopg import sql

from tests.postgres import Server

_GROWN = 1 << 20  # bytes more in the tables: a new one costs less than what they leave behind

# Each row of these catalogues carries the transaction that wrote it, so nothing that is made,
# changed or dropped in the schema leaves all of these figures as they are.
_SCHEMA = """
SELECT
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_class),
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_attribute),
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_trigger),
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_constraint),
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_proc),
    (SELECT (count(*), max(xmin::text::bigint)) FROM pg_index),
    (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0)
"""
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY relname
"""
_FILLED = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
AND pg_relation_size(oid) > 0
"""
_SIZE = """
SELECT sum(pg_relation_size(oid)) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
"""
_OTHERS = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Pool:
    """Databases on one server, all like one template."""

    def __init__(self, server: Server, template: str) -> None:
        self._server = server
        self._template = template
        self._free: list[str] = []
        self._schemas: dict[str, object] = {}
        self._clean: sql.Composed | None = None
        self._size = 0

    def take(self) -> str:
        """The name of a database that looks new and that nobody else has."""
        if self._free:
            return self._free.pop()
        name = f"{self._template}_{secrets.token_hex(4)}"
        self._server.create(name, template=self._template)
        with self._connect(name) as connection:
            if self._clean is None:
                self._clean = _cleaning(connection)
                self._size = _one(connection, _SIZE)
            self._schemas[name] = connection.execute(_SCHEMA).fetchone()
        return name

    def give_back(self, name: str) -> None:
        """A test is through with it."""
        schema = self._schemas[name]
        if self._was_cleaned(name, schema):
            self._free.append(name)
        else:
            del self._schemas[name]
            self._server.drop(name)

    def _was_cleaned(self, name: str, schema: object) -> bool:
        assert self._clean is not None
        try:
            with self._connect(name) as connection:
                connection.execute(_OTHERS)
                if _one(connection, _SIZE) > self._size + _GROWN:
                    return False
                if connection.execute(_SCHEMA).fetchone() != schema:
                    return False
                connection.execute(self._clean)
                # Rows of the next test then lie in the order in which it writes them.
                filled = [sql.Identifier(name) for (name,) in connection.execute(_FILLED)]
                connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(filled)))
        except psycopg.Error:
            return False
        return True

    def _connect(self, name: str) -> psycopg.Connection:
        address = self._server.url(name).replace("+psycopg", "")
        return psycopg.connect(address, autocommit=True)


def _cleaning(connection: psycopg.Connection) -> sql.Composed:
    """One statement that brings a database back to how it is now."""
    steps = [sql.SQL("SET LOCAL session_replication_role = replica;")]  # no trigger, no key
    tables = [sql.Identifier(name) for (name,) in connection.execute(_TABLES)]
    for table in tables:
        steps.append(sql.SQL("DELETE FROM {};").format(table))
        query = sql.SQL("SELECT row_to_json(one)::text FROM {} AS one").format(table)
        for (row,) in connection.execute(query):
            insert = "INSERT INTO {} SELECT * FROM json_populate_record(NULL::{}, {});"
            steps.append(sql.SQL(insert).format(table, table, sql.Literal(row)))
    query = "SELECT sequencename, last_value, start_value FROM pg_sequences"
    for name, last, start in connection.execute(query):
        reached = (name, start if last is None else last, last is not None)
        reset = sql.SQL("PERFORM setval({}::regclass, {}, {});")
        steps.append(reset.format(*map(sql.Literal, reached)))
    body = sql.Composed(steps).as_string(connection)
    return sql.SQL("DO {}").format(sql.Literal(f"BEGIN {body} END"))


def _one(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
