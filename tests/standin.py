"""Stands in for Vonage's Messages API: real TLS, a real socket, every way to fail.

In a test: `with Standin(folder) as vonage: ...`. As a process:
`python -m tests.standin --dir FOLDER [--port N]` prints one JSON line with host and CA file.
Each request it takes is a line of FOLDER/requests.ndjson.
"""

import argparse
import json
import re
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_PROBLEM = "https://developer.vonage.com/api-errors/messages#{code}"
_STATUS = re.compile(r"(\d{3})(?:-([\w-]+))?\Z")


def application_key() -> tuple[str, str]:
    """A Vonage application's key pair: private and public PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


class Standin:
    """`mode` is what happens to the next requests; `modes` are used up one by one first.

    Modes: accept, accept-and-drop, accept-and-reset, hang, cut, rubbish, no-id, a status such
    as 401 or 503, and a status with an error code of Vonage, such as 422-1240.
    """

    def __init__(self, folder: Path, port: int = 0, *, public_key: str | None = None) -> None:
        self.folder = folder
        self.public_key = public_key
        self.mode = "accept"
        self.modes: list[str] = []
        self.delay = 0.0  # seconds before each answer
        self.requests: list[dict[str, Any]] = []
        self.handshakes = 0
        self._lock = threading.Lock()
        self._log = (folder / "requests.ndjson").open("a", buffering=1)
        self._stopping = threading.Event()
        authority = trustme.CA()
        self.ca = folder / "vonage-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self._tls)
        self._socket = socket.create_server(("127.0.0.1", port), backlog=128)
        self.host = f"localhost:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "Standin":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._socket.close()
        self._log.close()

    @property
    def texts(self) -> list[dict[str, Any]]:
        """The bodies of all POSTs to /v1/messages."""
        return [seen["body"] for seen in self.requests if seen["path"] == "/v1/messages"]

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(plain,), daemon=True).start()

    def _connection(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.handshakes += 1
        with suppress(OSError), self._tls.wrap_socket(plain, server_side=True) as connection:
            for head, body in _requests_of(connection):
                if not self._answer(connection, head, body):
                    return

    def _answer(self, connection: ssl.SSLSocket, head: bytes, body: bytes) -> bool:
        """Note the request, then do as the mode says; False to close the connection."""
        with self._lock:
            mode = self.modes.pop(0) if self.modes else self.mode
            self._note(head, body, mode)
        if self.delay:
            time.sleep(self.delay)  # a slow provider is what this plays
        if mode == "hang":
            self._stopping.wait(30)
            return False
        if mode == "accept-and-drop":
            return False
        if mode == "accept-and-reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        connection.sendall(_response(mode))
        return mode != "cut"

    def _note(self, head: bytes, body: bytes, mode: str) -> None:
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value for name, value in (x.split(": ", 1) for x in lines)}
        seen = {
            "at": time.time(),  # noqa: TID251 - the far side's own clock
            "method": method,
            "path": path,
            "headers": headers,
            "body": json.loads(body) if body else None,
            "mode": mode,
        }
        if self.public_key:
            token = headers["authorization"].removeprefix("Bearer ")
            seen["jwt"] = jwt.decode(token, self.public_key, algorithms=["RS256"])
        self.requests.append(seen)
        self._log.write(json.dumps(seen) + "\n")


def _requests_of(connection: ssl.SSLSocket) -> Iterator[tuple[bytes, bytes]]:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(data) < length:
            data += connection.recv(65536)
        yield head, data[:length]
        data = data[length:]


def _response(mode: str) -> bytes:
    if mode == "redirect-307":
        return b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    if mode == "rubbish":
        return _http(200, b"<html>It works</html>", "text/html")
    if mode == "no-id":
        return _http(202, b"{}")
    if mode == "cut":
        return _http(202, b'{"message_uuid": "' + b"x" * 36)[:-20]
    refused = _STATUS.match(mode)
    if refused:
        return _problem(int(refused[1]), refused[2] or "")
    return _http(202, json.dumps({"message_uuid": str(uuid.uuid4())}).encode())


def _problem(status: int, code: str) -> bytes:
    problem = {"type": _PROBLEM.format(code=code), "title": "Refused", "detail": "no"}
    extra = {
        "": "Retry-After: 7\r\n" if status == 429 else "",
        "date": "Retry-After: Wed, 01 Jan 2200 00:00:00 GMT\r\n",
        "past": "Retry-After: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
        "odd": "Retry-After: soon\r\n",
    }
    body = json.dumps(problem).encode()
    return _http(status, body, "application/problem+json", extra.get(code, extra[""]))


def _http(status: int, body: bytes, kind: str = "application/json", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{extra}\r\n".encode() + body


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=0)
    parser.add_argument("--mode", default="accept")
    arguments = parser.parse_args()
    with Standin(arguments.dir, arguments.port) as vonage:
        vonage.delay, vonage.mode = arguments.delay_ms / 1000, arguments.mode
        sys.stdout.write(json.dumps({"host": vonage.host, "ca": str(vonage.ca)}) + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
