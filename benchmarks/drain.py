"""The outbox drained through the real SDK over TLS, against bare keep-alive POSTs.

`sdk` is the SDK in a loop, `http.client` the standard library's client with a token made
once: neither has a database. Ours claims, asks for consent, sends and records, durably.
"""

import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import seed, servers
from benchmarks.pages import environment, line, migrated
from prefcenter import clock, config, create_app
from prefcenter.models import TextKind
from prefcenter.sms.sender import Parcel
from prefcenter.sms.vonage import VonageSender
from tests.standin import application_key

_TEXTS = 1_500
_SLOW_SECONDS = 60
_SLOW_RATE = 30


@dataclass
class Provider:
    """The stand-in in a process of its own."""

    host: str
    ca: str
    log: Path
    _read: int = 0
    _count: int = 0

    def times(self, since: int) -> list[float]:
        """When each request came, from request number `since` on."""
        lines = self.log.read_text().splitlines()[since:]
        return sorted(json.loads(entry)["at"] for entry in lines)

    def count(self) -> int:
        """How many requests came so far; reads only what is new."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        self._count += new.count(b"\n")
        return self._count


@contextmanager
def provider(folder: Path, *, delay_ms: float = 0) -> Iterator[Provider]:
    folder.mkdir()
    command = [sys.executable, "-m", "tests.standin", "--dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--delay-ms", str(delay_ms)], stdout=subprocess.PIPE, cwd=servers.ROOT
    )
    assert process.stdout is not None
    try:
        where = json.loads(process.stdout.readline())
        yield Provider(where["host"], where["ca"], folder / "requests.ndjson")
    finally:
        process.terminate()
        process.wait(10)


def measure(rounds: int) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        return [*_speed(Path(name), rounds), *_slow(Path(name))]


def _speed(folder: Path, rounds: int) -> list[str]:
    key = application_key()[0]
    with provider(folder / "fast") as vonage:
        env = _environment(folder / "data", vonage, key, rate=10_000)
        ours, sdk, plain = [], [], []
        for turn in range(rounds + 1):
            bare = _rate(vonage, lambda: _run("sdk", vonage, key))
            raw = _rate(vonage, lambda: _run("http.client", vonage, key))
            drained = _rate(vonage, lambda: _drain(env, vonage, _TEXTS))
            if turn:
                sdk.append(bare)
                plain.append(raw)
                ours.append(drained)
    against_sdk = [a / b for a, b in zip(ours, sdk, strict=True)]
    against_plain = [a / b for a, b in zip(ours, plain, strict=True)]
    return [
        line("outbox drain / the SDK's bare keep-alive POSTs", against_sdk, 0.8),
        f"       against http.client's: {statistics.median(against_plain):.2f}x",
        f"  texts a second: drain {statistics.median(ours):.0f},"
        f" SDK alone {statistics.median(sdk):.0f},"
        f" http.client alone {statistics.median(plain):.0f}",
    ]


def _slow(folder: Path) -> list[str]:
    """A provider that takes 200 ms, at 30 a second: kept full, never over."""
    key = application_key()[0]
    with provider(folder / "slow", delay_ms=200) as vonage:
        env = _environment(folder / "slow-data", vonage, key, rate=_SLOW_RATE)
        cpu = _drain(env, vonage, _SLOW_RATE * _SLOW_SECONDS)
        times = vonage.times(0)
    span = times[-1] - times[0]
    rate = (len(times) - 1) / span
    fullest = max(
        sum(1 for t in times[i : i + 100] if t < start + 1) for i, start in enumerate(times)
    )
    return [
        line(f"rate kept over {span:.0f} s with a 200 ms provider", [rate / _SLOW_RATE], 0.98),
        line("texts in its fullest second / the rate", [fullest / _SLOW_RATE], 1, at_most=True),
        f"  {rate:.2f} a second, {100 * cpu / span:.0f} % of one core",
    ]


def _rate(vonage: Provider, work: object) -> float:
    before = vonage.count()
    work()
    times = vonage.times(before)
    return (len(times) - 1) / (times[-1] - times[0])


def _environment(folder: Path, vonage: Provider, key: str, *, rate: float) -> dict[str, str]:
    env = environment(
        folder,
        SMS_BACKEND="vonage",
        VONAGE_APPLICATION_ID="app",
        VONAGE_PRIVATE_KEY=key,
        VONAGE_API_HOST=vonage.host,
        SENDS_PER_SECOND=str(rate),
    )
    app = migrated(env)
    seed.people(app, subscribed=max(_TEXTS, _SLOW_RATE * _SLOW_SECONDS), pending=0, now=clock.now())
    return env | {"REQUESTS_CA_BUNDLE": vonage.ca}


def _drain(env: dict[str, str], vonage: Provider, texts: int) -> float:
    """Run `prefcenter worker` until all are sent; gives the CPU seconds it used."""
    app = create_app(config.read(env))
    seed.texts(app, texts, now=clock.now())
    before = vonage.count()
    process = subprocess.Popen(
        [sys.executable, "-m", "prefcenter", "worker"],
        env=os.environ | env,
        cwd=servers.ROOT,
        stderr=subprocess.DEVNULL,
    )
    server = servers.Server(0, process)
    while vonage.count() - before < texts:
        time.sleep(0.05)  # nothing tells when a text has come
        used = server.cpu()
    process.terminate()
    process.wait(30)
    return used


def _run(what: str, vonage: Provider, key: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.drain", what, vonage.host],
        input=key.encode(),
        env=os.environ | {"REQUESTS_CA_BUNDLE": vonage.ca},
        cwd=servers.ROOT,
        check=True,
    )


def _bare_sdk(host: str, key: str) -> None:
    sender = VonageSender(application_id="app", private_key=key, api_host=host)
    body = "Marlow Books: texts are on, about 4 a month. STOP to end" + "." * 70
    for number in range(_TEXTS):
        to = f"+1202{number:07d}"
        sender.send(Parcel(f"ref-{number}", to, "+12025550100", body, TextKind.WELCOME))


def _bare_http(host: str, key: str) -> None:
    sender = VonageSender(application_id="app", private_key=key, api_host=host)
    token = sender._client().http_client.auth.create_jwt_auth_string().decode()
    context = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection(host, context=context)
    headers = {"Authorization": token, "Content-Type": "application/json"}
    for number in range(_TEXTS):
        body = {"to": f"1202{number:07d}", "from": "12025550100", "text": "x" * 126}
        connection.request("POST", "/v1/messages", json.dumps(body), headers)
        connection.getresponse().read()


if __name__ == "__main__":
    {"sdk": _bare_sdk, "http.client": _bare_http}[sys.argv[1]](sys.argv[2], sys.stdin.read())
