"""The product at work: `prefcenter serve` on a database file of its own, and its customers."""

import atexit
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TypeVar

import requests
import sqlalchemy as sa

from prefcenter import clock, config, create_app, demo_data, links
from prefcenter.consent import ledger, people, preferences
from prefcenter.database import db, writing
from prefcenter.models import OutboxMessage, Person, Source, SuppressionReason
from tests.conftest import BASE, migrate

_T = TypeVar("_T")

ROOT = Path(__file__).parents[2]
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
_NO_LIMITS = {
    f"PREFCENTER_{scope}_TEXTS_PER_{span}": "1000000"
    for scope in ("IP", "PREFIX", "SITE", "COUNTRY", "TOTAL")
    for span in ("HOUR", "DAY")
} | {"PREFCENTER_PLAIN_TEXTS_PER_HOUR": "1000000", "PREFCENTER_BREAKER_PERCENT": "0"}


def until(look: Callable[[], _T | None], what: str, seconds: float = 10) -> _T:
    """The first thing that `look` finds. Fails the test after so many seconds."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        pause.wait(0.05)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class Shop:
    """A running server. The same settings are in this process too, for what no page can do."""

    def __init__(self, folder: Path, **more: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.file = folder / "prefcenter.sqlite3"
        self.log = folder / "serve.log"
        names = BASE | _NO_LIMITS
        names |= {
            "PREFCENTER_PUBLIC_URL": self.url,
            "PREFCENTER_DATA_DIR": str(folder),
            "PREFCENTER_DATABASE_URL": f"sqlite:///{self.file}",
            "PREFCENTER_SAVES_PER_HOUR": "20",
            "PREFCENTER_WEB_PROCESSES": "1",
        }
        names |= {f"PREFCENTER_{name}": value for name, value in more.items()}
        self.environ = names
        self.settings = config.read(names)
        migrate(self.settings)
        self.app = create_app(self.settings)
        with self.app.app_context(), writing():
            demo_data.add()
            db.session.commit()
        self._numbers = count(2000)
        self._process = self._serve(port, os.environ | names)

    def _serve(self, port: int, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "prefcenter", "serve", "--port", str(port)]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environ, stdout=log, stderr=log, start_new_session=True
            )
        atexit.register(process.terminate)  # where a fixture fails before it can close the shop

        def up() -> bool:
            assert process.poll() is None, self.log.read_text()
            try:
                return requests.get(f"{self.url}/healthz", timeout=5).ok
            except requests.ConnectionError:
                return False

        until(up, "the server", 30)
        return process

    def close(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    # --- people ------------------------------------------------------------------------------

    def number(self) -> str:
        """A number that nobody had yet."""
        return f"+1202555{next(self._numbers)}"

    def sign_up(self, number: str, *categories: str) -> None:
        """Fill in the form at / and send it, over plain HTTP."""
        fields = _FIELD.findall(self.get("/").text)
        shown = [value for name, value in fields if name == "shown"]
        form = {"number": number, "consent": "yes", "text_version": dict(fields)["text_version"]}
        answer = self.post("/", {**form, "shown": shown, "categories": list(categories)})
        assert answer.headers["Location"] == f"/sent?to={number[-4:]}"

    def bob(self, number: str, *categories: str) -> str:
        """Somebody who signed up; gives the path of the link they were texted."""
        self.sign_up(number, *(categories or ("offers", "events")))
        return self.texted(number, "/c/")

    def alice(self, number: str, *categories: str) -> str:
        """Somebody who said yes; gives the path of their preferences."""
        answer = self.post(self.bob(number, *categories))
        return answer.headers["Location"].partition("?")[0]

    def stop_by_text(self, number: str) -> None:
        """They reply STOP, which comes in by text and not by a page."""
        with self.app.app_context(), writing():
            person = people.by_number(number)
            assert person is not None
            proof = ledger.Proof(source=Source.SMS, answer={"text": "STOP"})
            preferences.revoke(person, proof, reason=SuppressionReason.KEYWORD, now=clock.now())
            db.session.commit()

    def age_texts(self, number: str, *, minutes: int) -> None:
        """As if all their texts had been sent so long ago."""
        with self.app.app_context(), writing():
            query = sa.select(OutboxMessage).where(OutboxMessage.to == number)
            for text in db.session.scalars(query):
                text.created_at -= timedelta(minutes=minutes)
            db.session.commit()

    def link(self, number: str, purpose: links.Purpose, *, days_old: int = 0) -> str:
        """The path of a genuine link of this person, issued so long ago."""
        with self.app.app_context():
            query = sa.select(Person.link_id).where(Person.number == number)
            link_id = db.session.scalars(query).one()
            issued = clock.now() - timedelta(days=days_old)
            return links.PATHS[purpose] + links.make(purpose, link_id, now=issued)

    # --- what happened -----------------------------------------------------------------------

    def texts(self, number: str) -> list[str]:
        """The texts to this number, oldest first."""
        with self.app.app_context():
            query = sa.select(OutboxMessage.body).where(OutboxMessage.to == number)
            return list(db.session.scalars(query.order_by(OutboxMessage.id)))

    def texted(self, number: str, kind: str) -> str:
        """The path of the newest link of a kind (`/c/`) that this number got; waits for it."""

        def look() -> str | None:
            links = re.findall(rf"{self.url}({kind}[a-z2-7]{{31}})", " ".join(self.texts(number)))
            return links[-1] if links else None

        return until(look, f"a link {kind} for {number[-4:]}")

    def rows(self) -> dict[str, list[tuple[object, ...]]]:
        """The whole content of the database file, opened read-only."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
            names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            return {
                name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr)
                for (name,) in names.fetchall()
            }

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, timeout=10, allow_redirects=False)

    def post(self, path: str, data: object = None) -> requests.Response:
        return requests.post(self.url + path, data=data, timeout=10, allow_redirects=False)
