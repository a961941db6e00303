"""The page GET against a bare page, and the durable confirm against one without a write."""

import secrets
import statistics
import tempfile
from pathlib import Path

from benchmarks import seed, servers
from prefcenter import clock, config, create_app, schema
from prefcenter.database import db
from prefcenter.links import Purpose
from prefcenter.web import pages

SUBSCRIBED = 100_000
CONNECTIONS = 16
_SECONDS = 2.0
_POSTS = 1_500


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Settings of a throw-away deployment on SQLite."""
    names = {
        "ENV": "development",
        "DATA_DIR": str(folder),
        "PUBLIC_URL": "http://127.0.0.1",
        "BRAND": "Marlow Books",
        "SECRET_KEYS": secrets.token_hex(32),
        "PSEUDONYM_KEYS": secrets.token_hex(32),
        **more,
    }
    return {config.PREFIX + name: value for name, value in names.items()}


def migrated(env: dict[str, str]) -> object:
    from flask_migrate import Migrate, upgrade

    app = create_app(config.read(env), serving=False)
    Migrate(app, db, directory=str(schema.MIGRATIONS))
    with app.app_context():
        upgrade()
    return app


def measure(rounds: int) -> list[str]:
    """Both pages, in paired rounds; gives lines for people to read."""
    with tempfile.TemporaryDirectory() as name:
        env = environment(Path(name))
        app = migrated(env)
        now = clock.now()
        pending = _POSTS * (rounds + 1) * 2
        seed.people(app, subscribed=SUBSCRIBED, pending=pending, now=now)
        return [*_get(app, env, rounds), *_post(app, env, rounds)]


def _get(app: object, env: dict[str, str], rounds: int) -> list[str]:
    tokens = seed.tokens(app, Purpose.MANAGE, 1, 5_000, clock.now())
    ours = [servers.get(f"/p/{token}") for token in tokens]
    bare = [servers.get("/page")]
    ratios, figures = [], []
    with (
        servers.serving("bare", env, "/page") as floor,
        servers.serving("product", env, "/healthz") as product,
    ):
        for turn in range(rounds + 1):
            a = cpu_per_request(floor, bare)
            b = cpu_per_request(product, ours)
            if turn:  # the first round warms both up
                ratios.append(a["cpu"] / b["cpu"])
                figures.append((a, b))
    return [
        line("page GET / bare Flask and Jinja page, by CPU", ratios, 0.5),
        "  bare page    " + figures([a for a, _ in figures]),
        "  product page " + figures([b for _, b in figures]),
    ]


def _post(app: object, env: dict[str, str], rounds: int) -> list[str]:
    now = clock.now()
    tokens = iter(seed.tokens(app, Purpose.CONFIRM, SUBSCRIBED + 1, _POSTS * (rounds + 1) * 2, now))
    with app.test_request_context():
        version = pages.text_version(pages.shown_text("confirm"))
    body = f"text_version={version}"
    rows: list[tuple[dict[str, float], dict[str, float], dict[str, float]]] = []
    with (
        servers.serving("unwritten", env, "/healthz") as unwritten,
        servers.serving("least", env, "/healthz") as product,
    ):
        for turn in range(rounds + 1):
            batch = [next(tokens) for _ in range(_POSTS)]
            posts = [servers.post(f"/c/{token}", body) for token in batch]
            least = [servers.post(f"/c/{token}/least", body) for token in batch]
            found = (
                cpu_per_request(unwritten, posts, once=True),
                cpu_per_request(product, least, once=True),
                cpu_per_request(product, posts, once=True),
            )
            if turn:
                rows.append(found)
    same, fewest, durable = ([row[i] for row in rows] for i in range(3))
    return [
        line(
            "confirm POST / the same without its writes, by CPU", _ratios(same, durable, "cpu"), 0.3
        ),
        line(
            f"confirm POST: p99 / p50 at {CONNECTIONS} writers",
            [row["p99"] / row["p50"] for row in durable],
            4.0,
            at_most=True,
        ),
        "       by requests a second, where writers queue for one lock: "
        + _middle(_ratios(durable, same, "rate")),
        f"       against the least such POST, by CPU: {_middle(_ratios(fewest, durable, 'cpu'))}",
        "  the least        " + figures(fewest),
        "  without a write  " + figures(same),
        "  durable          " + figures(durable),
    ]


def _ratios(above: list[dict[str, float]], below: list[dict[str, float]], name: str) -> list[float]:
    return [a[name] / b[name] for a, b in zip(above, below, strict=True)]


def _middle(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f}x"


def cpu_per_request(
    server: servers.Server,
    requests: list[str],
    *,
    once: bool = False,
    connections: int = CONNECTIONS,
    seconds: float = _SECONDS,
) -> dict[str, float]:
    before = server.cpu()
    seen = servers.load(
        server.port, requests, connections=connections, seconds=0 if once else seconds
    )
    wrong = {code for code in seen["statuses"] if code not in ("200", "303")}
    if wrong:
        raise RuntimeError(f"unexpected answers: {seen['statuses']}")
    used = server.cpu() - before
    return {
        "cpu": 1e6 * used / seen["count"],
        "rate": seen["count"] / seen["seconds"],
        "p50": seen["p50"],
        "p99": seen["p99"],
    }


def line(what: str, ratios: list[float], bar: float, *, at_most: bool = False) -> str:
    middle = statistics.median(ratios)
    good = middle <= bar if at_most else middle >= bar
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    sign = "at most" if at_most else "at least"
    return f"{'ok  ' if good else 'MISS'} {what}: {middle:.2f}x ({spread}; {sign} {bar:g}x)"


def figures(rows: list[dict[str, float]]) -> str:
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    return (
        f"{middle['cpu']:6.0f} us CPU, {middle['rate']:6.0f} a second,"
        f" p50 {middle['p50']:.1f} ms, p99 {middle['p99']:.1f} ms"
    )
