"""Starting what is measured, and counting the CPU that it used."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prefcenter import serve

ROOT = Path(__file__).parent.parent


@dataclass
class Server:
    """Two granian processes of a few threads each, as `prefcenter serve` runs them."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """CPU seconds that all its processes have used so far."""
        return sum(_cpu_of(pid) for pid in _family(self.process.pid))

    def forget_peaks(self) -> None:
        """From now on `peak_mib` counts anew."""
        for pid in _family(self.process.pid):
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mib(self) -> float:
        """The most memory that one of its processes has held."""
        return max(_peak_of(pid) for pid in _family(self.process.pid)) / 1024


@contextmanager
def serving(app: str, env: dict[str, str], path: str) -> Iterator[Server]:
    """Serve `benchmarks.apps:APP` until the block ends; `path` answers once it is up."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--factory"]
    command += ["--workers", "2", "--blocking-threads", str(serve.THREADS), "--port", str(port)]
    command += ["--log-level", "error", f"benchmarks.apps:{app}"]
    process = subprocess.Popen(command, env=os.environ | env, cwd=ROOT)
    try:
        _wait(f"http://127.0.0.1:{port}{path}")
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait(20)


class Product:
    """`prefcenter serve`, as its owner starts it: web processes and, on SQLite, the sender."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "prefcenter", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=os.environ | self.env, cwd=ROOT, stderr=subprocess.DEVNULL
        )
        _wait(f"http://127.0.0.1:{self.port}/readyz")

    def kill(self) -> None:
        """kill -9 to every process of it."""
        for pid in _family(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(40)


@contextmanager
def product(env: dict[str, str]) -> Iterator[Product]:
    running = Product(env)
    try:
        yield running
    finally:
        running.stop()


class Load:
    """The load client at work; see load.py for what it takes and gives."""

    def __init__(
        self,
        port: int,
        requests: Iterable[str],
        *,
        connections: int,
        seconds: float,
        until_taken: bool = False,
    ) -> None:
        command = [sys.executable, "-m", "benchmarks.load"]
        command += [str(port), str(connections), str(seconds)]
        self._input = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the result
        self._input.writelines(json.dumps(request) + "\n" for request in requests)
        self._input.seek(0)
        self._process = subprocess.Popen(
            command + ["--until-taken"] * until_taken,
            stdin=self._input,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def result(self) -> dict[str, float]:
        with self._input:
            output = self._process.communicate()[0]
        if self._process.returncode:
            raise RuntimeError("the load client failed")
        found: dict[str, float] = json.loads(output)
        return found


def load(port: int, requests: list[str], *, connections: int, seconds: float) -> dict[str, float]:
    """Let the load client work until it is done."""
    return Load(port, requests, connections=connections, seconds=seconds).result()


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def post(path: str, body: str, headers: dict[str, str] | None = None) -> str:
    named = headers or {"Content-Type": "application/x-www-form-urlencoded"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Length: {len(body)}\r\n{lines}\r\n{body}"
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


def _peak_of(pid: int) -> int:
    """In KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
