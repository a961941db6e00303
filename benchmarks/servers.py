"""Starting what is measured, and counting the CPU that it used."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass
class Server:
    """Two granian processes of one blocking thread each, as `prefcenter serve` runs them."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds that all its processes have used so far."""
        return sum(_cpu_of(pid) for pid in _family(self.process.pid))


@contextmanager
def serving(app: str, env: dict[str, str], path: str) -> Iterator[Server]:
    """Serve `benchmarks.apps:APP` until the block ends; `path` answers once it is up."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"]
    command += ["--workers", "2", "--blocking-threads", "1", "--port", str(port)]
    command += ["--log-level", "error", f"benchmarks.apps:{app}"]
    process = subprocess.Popen(command, env=os.environ | env, cwd=ROOT)
    try:
        _wait(f"http://127.0.0.1:{port}{path}")
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait(20)


def load(port: int, requests: list[str], *, connections: int, seconds: float) -> dict[str, float]:
    """Let the load client work; see load.py for what comes back."""
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(connections), str(seconds)]
    done = subprocess.run(
        command, input=json.dumps(requests).encode(), stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def post(path: str, body: str) -> str:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _wait(url: str) -> None:
    for _ in range(200):
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.1)  # nothing tells when a server is up
    raise RuntimeError(f"{url} does not answer")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grand for child in children for grand in _family(int(child)))]


def _cpu_of(pid: int) -> float:
    """User and system time of all threads, in seconds, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9
