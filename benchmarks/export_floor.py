"""What an export of the audience cannot cost less than: Flask, the bare driver and csv.writer.

The same people and columns as the product's file, without its checks of texts that wait and
without anything that would keep a spreadsheet from computing. `/cursor` is one cursor for the
whole file, on PostgreSQL a named one; `/keyset` asks for the next rows again and again.
"""

import csv
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from io import StringIO
from typing import Any

import psycopg
from flask import Flask, Response

from prefcenter import config

AT_ONCE = 5_000
_WANTED = (
    "SELECT person.id, number, person.public_id, country, zone, language, frequency, confirmed_at"
    " FROM person JOIN person_category ON person_category.person_id = person.id"
    " JOIN category ON category.id = person_category.category_id"
    " WHERE category.slug = 'offers' AND status = 'subscribed' AND deliverability = 'ok'"
    " AND (paused_until IS NULL OR paused_until <= CURRENT_TIMESTAMP)"
)
_WHOLE = f"{_WANTED} ORDER BY person.id"
_NEXT = f"{_WANTED} AND person.id > {{}} ORDER BY person.id LIMIT {AT_ONCE}"
Parts = Iterator[Sequence[tuple[Any, ...]]]


def exported() -> Flask:
    app = Flask("prefcenter")
    url = config.read().database_url
    sqlite = url.startswith("sqlite")
    address = url.split(":///", 1)[1] if sqlite else url.replace("+psycopg", "")

    @app.get("/")
    def up() -> str:
        return "up"

    @app.get("/cursor")
    def cursor() -> Response:
        parts = _sqlite_cursor(address) if sqlite else _postgresql_cursor(address)
        return Response(_csv(parts), mimetype="text/csv")

    @app.get("/keyset")
    def keyset() -> Response:
        parts = _sqlite_keyset(address) if sqlite else _postgresql_keyset(address)
        return Response(_csv(parts), mimetype="text/csv")

    return app


def _csv(parts: Parts) -> Iterator[str]:
    file = StringIO()
    writer = csv.writer(file)
    for rows in parts:
        writer.writerows(rows)
        yield file.getvalue()
        file.seek(0)
        file.truncate()


def _sqlite_cursor(address: str) -> Parts:
    with closing(sqlite3.connect(address)) as connection:
        cursor = connection.execute(_WHOLE)
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows


def _sqlite_keyset(address: str) -> Parts:
    last = 0
    with closing(sqlite3.connect(address)) as connection:
        while rows := connection.execute(_NEXT.format("?"), (last,)).fetchall():
            last = rows[-1][0]
            yield rows


def _postgresql_cursor(address: str) -> Parts:
    with psycopg.connect(address) as connection, connection.cursor("export") as cursor:
        cursor.execute(_WHOLE)
        while rows := cursor.fetchmany(AT_ONCE):
            yield rows


def _postgresql_keyset(address: str) -> Parts:
    last, statement = 0, _NEXT.format("%s")
    with psycopg.connect(address, autocommit=True) as connection:
        while rows := connection.execute(statement, (last,)).fetchall():
            last = rows[-1][0]
            yield rows
