"""The house that tests live in: an app on each database, a client, a clock, the cast."""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_migrate import Migrate, upgrade
from werkzeug.test import TestResponse

from prefcenter import clock, config, create_app, demo_data, schema
from prefcenter.config import Settings
from prefcenter.database import db, writing
from tests import browser_setup, postgres, quick, webhooks
from tests.cast import Town
from tests.postgres_pool import Pool

BASE = {
    "PREFCENTER_ENV": "development",
    "PREFCENTER_PUBLIC_URL": "http://prefs.test",
    "PREFCENTER_BRAND": "Marlow Books",
    "PREFCENTER_SUPPORT": "help@marlow.example",
    "PREFCENTER_SENDER": "+12025550100",
    "PREFCENTER_COUNTRIES": "US,GB,ES",
    "PREFCENTER_SECRET_KEYS": secrets.token_hex(32),
    "PREFCENTER_PSEUDONYM_KEYS": secrets.token_hex(32),
    "PREFCENTER_SENDS_PER_SECOND": "1000",
    **{f"PREFCENTER_{name}": value for name, value in webhooks.SETTINGS.items()},
}

quick.remember_rules()


# Files that take more than half a minute, so that none is begun last while others are idle.
_LONG = (
    *("test_widget_limits", "test_order", "test_serve", "test_crash", "test_many_workers"),
    *("test_stop_rush", "test_widget_trouble", "test_state_machine", "test_widget_many_workers"),
    *("test_admin_settings", "test_seed_history", "test_entry", "test_every_route"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, and spread the browser's tests among the others: those mostly
    wait, these mostly compute."""
    for_browser: dict[Path, bool] = {each.path: "browser" in each.path.parts for each in items}
    many, seen, at = Counter(for_browser.values()), Counter[bool](), {}
    for path, kind in for_browser.items():
        seen[kind] += 1
        at[path] = 0.0 if path.stem in _LONG else seen[kind] / many[kind]
    items.sort(key=lambda each: at[each.path])


class Browser(FlaskClient):
    """A test client that drops whatever the view forgot to commit."""

    def open(self, *args: object, **kwargs: object) -> TestResponse:
        db.session.rollback()
        for name in list(g):  # the fixture's context is shared: a page's language must not stay
            g.pop(name)
        response = super().open(*args, **kwargs)
        db.session.rollback()
        return response


class Clock:
    """The moment that the code under test sees."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def forward(self, **by: float) -> None:
        self.moment += timedelta(**by)


def settings_for(database_url: str, data_dir: Path, **more: str) -> Settings:
    names = {f"PREFCENTER_{name}": value for name, value in more.items()}
    where = {"PREFCENTER_DATABASE_URL": database_url, "PREFCENTER_DATA_DIR": str(data_dir)}
    return config.read(BASE | where | names)


def migrate(settings: Settings) -> None:
    app = create_app(settings, serving=False)
    Migrate(app, db, directory=str(schema.MIGRATIONS))
    with app.app_context():
        upgrade()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file that each test copies."""
    folder = tmp_path_factory.mktemp("sqlite")
    file = folder / "template.sqlite3"
    migrate(settings_for(f"sqlite:///{file}", folder))
    return file


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    try:
        server = postgres.start()
    except postgres.Unavailable as error:
        missing("POSTGRES", str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(
    postgres_server: postgres.Server, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The name of a migrated PostgreSQL database that each test copies."""
    name = f"template_{os.getpid()}"
    migrate(settings_for(postgres_server.create(name), tmp_path_factory.mktemp("pg")))
    return name


@pytest.fixture(scope="session")
def postgres_pool(postgres_server: postgres.Server, postgres_template: str) -> Pool:
    """Databases like the template, for one test after another."""
    return Pool(postgres_server, postgres_template)


def missing(engine: str, reason: str) -> None:
    """Skip, or fail where the environment says that this engine must be here."""
    if os.environ.get(f"REQUIRE_{engine}") == "1":
        pytest.fail(f"{engine} is required: {reason}")
    pytest.skip(reason)


@contextmanager
def fresh_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The address of a migrated database that nobody else has, on the engine `request.param`."""
    if request.param == "sqlite":
        file = folder / "prefcenter.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    server: postgres.Server = request.getfixturevalue("postgres_server")
    pool: Pool = request.getfixturevalue("postgres_pool")
    name = pool.take()
    yield server.url(name)
    pool.give_back(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database of this test's own, on each engine in turn."""
    with fresh_database(request, tmp_path) as url:
        yield url


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(clock, "now", fake.now)
    return fake


@pytest.fixture
def more_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of one test: `@pytest.mark.settings(NAME="value")`."""
    marker = request.node.get_closest_marker("settings")
    return dict(marker.kwargs) if marker else {}


@pytest.fixture
def app(
    database_url: str, tmp_path: Path, now: Clock, more_settings: dict[str, str]
) -> Iterator[Flask]:
    app = create_app(settings_for(database_url, tmp_path, **more_settings))
    app.test_client_class = Browser
    app.jinja_env.bytecode_cache = quick.TEMPLATES
    with app.app_context():
        quick.remember_statements(db.engine)
        with writing():
            demo_data.add()
            db.session.commit()
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> Browser:
    client = app.test_client()
    client.environ_base["HTTP_HOST"] = "prefs.test"
    assert isinstance(client, Browser)
    return client


@pytest.fixture
def town(app: Flask, client: Browser, now: Clock) -> Town:
    """Alice, Bob and Carol, and the phone network that carries our texts to them."""
    return Town(client, now.now)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """How pytest-playwright starts Chromium here."""
    return launch_args()


def launch_args(*, whole: bool = False) -> dict[str, object]:
    """The same for a browser that a test starts itself; `whole` as in browser_setup."""
    try:
        return dict(browser_setup.launch_options(whole=whole))
    except browser_setup.Unavailable as error:
        missing("BROWSER", str(error))
    raise AssertionError
