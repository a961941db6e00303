"""A load client on plain sockets: keeps N connections busy, one request each at a time.

Run as `python -m benchmarks.load PORT CONNECTIONS SECONDS < requests`, where the input is
one JSON list of requests as text; with SECONDS 0 each is sent once, else they go round.
Prints one JSON object: count, seconds, statuses, and the latencies' p50 and p99 in ms.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle


class Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.begun = 0.0
        self.data = b""

    def send(self, request: bytes) -> None:
        self.data = b""
        self.begun = time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> int | None:
        """The status, once the whole answer is here."""
        self.data += self.socket.recv(262_144)
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return None
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n")[0]) if at > 0 else 0
        return int(head[9:12]) if len(body) >= length else None


def run(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    source: Iterator[bytes] = cycle(requests) if seconds else iter(requests)
    selector = selectors.DefaultSelector()
    statuses: Counter[int] = Counter()
    taken: list[float] = []
    began = time.perf_counter()
    open_now = 0
    for _ in range(connections):
        request = next(source, None)
        if request is None:
            break
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request)
        open_now += 1
    while open_now:
        for key, _ in selector.select():
            connection = key.data
            status = connection.answered()
            if status is None:
                continue
            now = time.perf_counter()
            statuses[status] += 1
            taken.append(now - connection.begun)
            request = None if seconds and now - began > seconds else next(source, None)
            if request is None:
                selector.unregister(connection.socket)
                connection.socket.close()
                open_now -= 1
            else:
                connection.send(request)
    taken.sort()
    return {
        "count": len(taken),
        "seconds": time.perf_counter() - began,
        "statuses": dict(statuses),
        "p50": 1000 * taken[len(taken) // 2],
        "p99": 1000 * taken[int(len(taken) * 0.99)],
    }


if __name__ == "__main__":
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    wanted = [text.encode() for text in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(run(port, connections, seconds, wanted)) + "\n")
