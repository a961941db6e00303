"""The desk of somebody who works here: signed in, over one connection that stays open."""

import http.client
import secrets
import time
from urllib.parse import urlencode

from flask import Flask
from itsdangerous import URLSafeTimedSerializer

from prefcenter import clock, config
from prefcenter.database import db, writing
from prefcenter.models_staff import Role
from prefcenter.staff import sessions
from tests import staff_room

_CHUNK = 1 << 16


class Desk:
    """Requests of an owner to a server that serves the same database as `app`."""

    def __init__(self, app: Flask, port: int) -> None:
        with app.app_context():
            staff = staff_room.hire("benchmark", Role.OWNER)
            with writing():
                token = sessions.start(staff, whole=True, now=clock.now())
                db.session.commit()
            self._origin = config.current().public_url
        csrf = secrets.token_hex(20)
        signed = app.session_interface.get_signing_serializer(app).dumps(  # type: ignore[attr-defined]  # ours is the signed one
            {"_user_id": token, "_fresh": True, "csrf_token": csrf}
        )
        self._csrf = str(URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token").dumps(csrf))
        self._cookie = f"{app.config['SESSION_COOKIE_NAME']}={signed}"
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)

    def get(self, path: str) -> tuple[float, str]:
        """Milliseconds until the whole page was there, and the page."""
        return self._ask("GET", path)

    def post(self, path: str, **fields: str) -> tuple[float, str]:
        return self._ask("POST", path, urlencode(fields | {"csrf_token": self._csrf}))

    def take(self, path: str, **fields: str) -> tuple[float, int]:
        """Seconds and lines of a file, read as it comes and kept nowhere."""
        body = urlencode(fields | {"csrf_token": self._csrf}) if fields else None
        began = time.monotonic()
        answer = self._send("POST" if body else "GET", path, body)
        lines = 0
        while part := answer.read(_CHUNK):
            lines += part.count(b"\n")
        return time.monotonic() - began, lines

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[float, str]:
        began = time.perf_counter()
        answer = self._send(method, path, body)
        page = answer.read()
        return 1000 * (time.perf_counter() - began), page.decode()

    def _send(self, method: str, path: str, body: str | None) -> http.client.HTTPResponse:
        headers = {"Cookie": self._cookie, "Host": "127.0.0.1", "Accept": "text/html"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers |= {"Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        if answer.status not in (200, 303):  # one hit of a search leads on to its page
            answer.read()
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return answer
