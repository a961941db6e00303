"""Stands in for a program of the owner's that is told of changes: a real socket on this machine,
with TLS where it matters, and every way to fail."""

import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme


@dataclass(frozen=True, slots=True)
class Told:
    """One request that it got."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = self.said["data"]
        return found


class Receiver:
    """`answers` are used up one by one, then it says 204.

    An answer is a status, or a status with a header (`503 Retry-After: 60`), or one of: drop
    (close without a word), drip (a byte now and then, for ever), flood ("Continue", for ever).
    """

    def __init__(self, certificate: trustme.LeafCert | None = None) -> None:
        self.told: list[Told] = []
        self.answers: list[str] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(self._tls)
        self._stopping = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"{'https://localhost' if certificate else 'http://127.0.0.1'}:{self.port}/hook"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "Receiver":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(plain,), daemon=True).start()

    def _connection(self, plain: socket.socket) -> None:
        with suppress(OSError), plain:
            if self._tls is None:
                self._talk(plain)
            else:
                with self._tls.wrap_socket(plain, server_side=True) as secure:
                    self._talk(secure)

    def _talk(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as file:
            start = file.readline().decode(errors="replace").split()
            headers = {}
            if start[:1] != ["POST"]:
                return
            while line := file.readline().decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            body = file.read(int(headers.get("content-length", "0")))
        self.told.append(Told(start[1], headers, body))
        self._answer(connection, self.answers.pop(0) if self.answers else "204")

    def _answer(self, connection: socket.socket, answer: str) -> None:
        if answer == "drop":
            return
        if answer in ("drip", "flood"):
            piece = b"HTTP/1.1 100 Continue\r\n\r\n" * 200 if answer == "flood" else b"H"
            while not self._stopping.wait(0.0 if answer == "flood" else 0.05):
                connection.sendall(piece)
        status, _, header = answer.partition(" ")
        more = f"{header}\r\n" if header else ""
        connection.sendall(
            f"HTTP/1.1 {status} As asked\r\n{more}Content-Length: 2\r\n\r\nok".encode()
        )


def authority(folder: Path) -> tuple[trustme.CA, str]:
    """A certificate authority, and the file that makes a program trust it."""
    made, file = trustme.CA(), folder / "authority.pem"
    made.cert_pem.write_to_path(str(file))
    return made, str(file)
