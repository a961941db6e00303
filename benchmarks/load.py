"""A load client on plain sockets: keeps N connections busy, one request each at a time.

Run as `python -m benchmarks.load PORT CONNECTIONS SECONDS [--until-taken] < requests`, where
each line of the input is a request as a JSON string; with SECONDS 0 each is sent once, else
they go round. With --until-taken a request comes again until it is answered 200, on a new
connection where the old one broke, as a provider repeats what nobody took.
Prints one JSON object: count, seconds, statuses, the latencies' p50 and p99 in ms, how many
came again, and the longest time in which nothing was answered.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from itertools import cycle

_UP_AGAIN = 30.0  # seconds that a server may be away


# One connection in so many answers is closed and opened anew, as those of providers and proxies
# are: else, after a restart, all would stay with the process that was up first.
_RENEWED = 100


class Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self.request = b""
        self.data = bytearray()
        self.length = 0  # of the whole answer, once its head is here

    def send(self, request: bytes) -> None:
        self.request, self.data, self.length = request, bytearray(), 0
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """The status, once the whole answer is here. Raises OSError when it never will be."""
        came = self.socket.recv(262_144)
        if not came:
            raise ConnectionResetError
        self.data += came
        if not self.length:
            head, found, _body = self.data.partition(b"\r\n\r\n")
            if not found:
                return None
            at = head.lower().find(b"content-length:")
            body = int(head[at + 15 :].split(b"\r\n")[0]) if at > 0 else 0
            self.length = len(head) + len(found) + body
        return int(self.data[9:12]) if len(self.data) >= self.length else None


class Run:
    """Requests on their way, and what came back."""

    def __init__(self, port: int, seconds: float, requests: list[bytes], until_taken: bool) -> None:
        self.port, self.seconds, self.until_taken = port, seconds, until_taken
        self.source: Iterator[bytes] = cycle(requests) if seconds else iter(requests)
        self.repeats: deque[bytes] = deque()
        self.selector = selectors.DefaultSelector()
        self.statuses: Counter[int] = Counter()
        self.taken: list[float] = []
        self.again, self.silence = 0, 0.0
        self.began = self.last = time.perf_counter()

    def begin(self, connections: int) -> None:
        for _ in range(connections):
            self._next(self._connect())
        while self.selector.get_map():
            for key, _ in self.selector.select():
                self._hear(key.data)

    def _connect(self) -> Connection:
        connection = Connection(self.port)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _close(self, connection: Connection) -> None:
        self.selector.unregister(connection.socket)
        connection.socket.close()

    def _next(self, connection: Connection) -> None:
        over = self.seconds and time.perf_counter() - self.began > self.seconds
        request = self.repeats.popleft() if self.repeats else next(self.source, None)
        if over or request is None:
            self._close(connection)
            return
        try:
            connection.send(request)
        except OSError:
            self._broken(connection)

    def _hear(self, connection: Connection) -> None:
        try:
            status = connection.answered()
        except OSError:
            self._broken(connection)
            return
        if status is None:
            return
        now = time.perf_counter()
        self.statuses[status] += 1
        self.taken.append(now - connection.begun)
        self.silence, self.last = max(self.silence, now - self.last), now
        if status != 200 and self.until_taken:
            self.again += 1
            self.repeats.append(connection.request)
        if self.until_taken and len(self.taken) % _RENEWED == 0:
            self._close(connection)
            connection = self._connect()
        self._next(connection)

    def _broken(self, connection: Connection) -> None:
        """The server is gone: the request waits until it is back."""
        if not self.until_taken:
            raise ConnectionResetError
        self._close(connection)
        self.again += 1
        self.repeats.append(connection.request)
        deadline = time.perf_counter() + _UP_AGAIN
        while True:
            try:
                fresh = self._connect()
                break
            except OSError:
                if time.perf_counter() > deadline:
                    raise
                time.sleep(0.02)  # nothing tells when a server is back
        self._next(fresh)

    def found(self) -> dict[str, object]:
        taken = sorted(self.taken)
        return {
            "count": len(taken),
            "seconds": self.last - self.began,
            "statuses": dict(self.statuses),
            "p50": 1000 * taken[len(taken) // 2],
            "p99": 1000 * taken[int(len(taken) * 0.99)],
            "again": self.again,
            "silence": self.silence,
        }


if __name__ == "__main__":
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    wanted = [json.loads(text).encode() for text in sys.stdin]
    run = Run(port, seconds, wanted, "--until-taken" in sys.argv)
    run.begin(connections)
    sys.stdout.write(json.dumps(run.found()) + "\n")
