"""Settings: what is wrong or unsafe refuses to start, in one sentence with the cure (SEC-8)."""

import json
import os
import stat
from pathlib import Path

import pytest

from prefcenter import config
from prefcenter.config import ConfigError, Settings

KEY, OTHER_KEY, THIRD = "0123456789abcdef" * 4, "fedcba9876543210" * 4, "a7c3e1f905b2d468" * 4
PRODUCTION = {
    "PUBLIC_URL": "https://texts.marlow.example",
    "DATABASE_URL": "sqlite:////srv/prefcenter.sqlite3",
    "SECRET_KEYS": KEY,
    "PSEUDONYM_KEYS": OTHER_KEY,
    "BRAND": "Marlow Books",
    "SUPPORT": "help@marlow.example",
    "SENDER": "+12025550100",
    "VONAGE_APPLICATION_ID": "8f1b…",
    "VONAGE_PRIVATE_KEY": "/run/secrets/vonage.pem",
    "VONAGE_API_KEY": "a1b2c3d4",
    "VONAGE_SIGNATURE_SECRETS": THIRD,
}


def read(**changes: str | None) -> Settings:
    """Production, but for these; None takes a setting away. Lower-case names have no prefix."""
    names = {name: value for name, value in (PRODUCTION | changes).items() if value is not None}
    return config.read(
        {(name if name == "FLASK_DEBUG" else f"PREFCENTER_{name}"): names[name] for name in names}
    )


def refusal(**changes: str | None) -> str:
    with pytest.raises(ConfigError) as refused:
        read(**changes)
    return str(refused.value)


def test_a_good_production_starts() -> None:
    settings = read()
    assert settings.env == "production"
    assert settings.sms_backend == "vonage"
    assert settings.countries == ("US",)
    assert settings.site == settings.host == "texts.marlow.example"


UNSAFE: dict[str, tuple[dict[str, str | None], tuple[str, ...]]] = {
    "no key": ({"SECRET_KEYS": None}, ("PREFCENTER_SECRET_KEYS", "openssl rand -hex 32")),
    "no pseudonym key": (
        {"PSEUDONYM_KEYS": None},
        ("PREFCENTER_PSEUDONYM_KEYS", "openssl rand -hex 32"),
    ),
    "short key": ({"SECRET_KEYS": "k3y" * 9}, ("PREFCENTER_SECRET_KEYS", "openssl rand -hex 32")),
    "dull key": ({"SECRET_KEYS": "ab" * 32}, ("PREFCENTER_SECRET_KEYS", "openssl rand -hex 32")),
    "known key": (
        {"PSEUDONYM_KEYS": "changeme-changeme-0123456789-abcdef"},
        ("PREFCENTER_PSEUDONYM_KEYS", "openssl rand -hex 32"),
    ),
    "weak second key": ({"SECRET_KEYS": f"{KEY},short"}, ("PREFCENTER_SECRET_KEYS", "openssl")),
    "key used twice": (
        {"PSEUDONYM_KEYS": KEY},
        ("PREFCENTER_SECRET_KEYS", "PREFCENTER_PSEUDONYM_KEYS", "openssl rand -hex 32"),
    ),
    "key twice in a list": ({"SECRET_KEYS": f"{KEY},{KEY}"}, ("PREFCENTER_SECRET_KEYS", "openssl")),
    "webhook secret is the key": (
        {"VONAGE_SIGNATURE_SECRETS": KEY},
        ("PREFCENTER_VONAGE_SIGNATURE_SECRETS", "openssl rand -hex 32"),
    ),
    "debug": ({"FLASK_DEBUG": "1"}, ("FLASK_DEBUG", "unset")),
    "http": ({"PUBLIC_URL": "http://texts.marlow.example"}, ("PREFCENTER_PUBLIC_URL", "https://")),
    "no webhook secret": (
        {"VONAGE_SIGNATURE_SECRETS": None},
        ("PREFCENTER_VONAGE_SIGNATURE_SECRETS", "dashboard"),
    ),
    "no api key": ({"VONAGE_API_KEY": None}, ("PREFCENTER_VONAGE_API_KEY", "dashboard")),
    "console sender": ({"SMS_BACKEND": "console"}, ("PREFCENTER_SMS_BACKEND", "vonage")),
    "no application": (
        {"VONAGE_APPLICATION_ID": None},
        ("PREFCENTER_VONAGE_APPLICATION_ID", "missing"),
    ),
    "no private key": ({"VONAGE_PRIVATE_KEY": None}, ("PREFCENTER_VONAGE_PRIVATE_KEY", "missing")),
    "no address": ({"PUBLIC_URL": None}, ("PREFCENTER_PUBLIC_URL", "set it")),
    "no brand": ({"BRAND": None}, ("PREFCENTER_BRAND", "set it")),
    "no help": ({"SUPPORT": None}, ("PREFCENTER_SUPPORT", "set it")),
    "no sender": ({"SENDER": None}, ("PREFCENTER_SENDER", "set it")),
    "short lease": ({"LEASE_SECONDS": "20"}, ("PREFCENTER_LEASE_SECONDS", "21 to 600")),
}


@pytest.mark.parametrize(("changes", "words"), UNSAFE.values(), ids=UNSAFE)
def test_production_refuses_what_is_unsafe(
    changes: dict[str, str | None], words: tuple[str, ...]
) -> None:
    """SEC-8: one sentence that names the setting and the cure, and no secret."""
    sentence = refusal(**changes)
    for word in words:
        assert word in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for secret in (KEY, OTHER_KEY, THIRD, "changeme-"):
        assert secret not in sentence


WRONG = {
    "ENV": ("staging", ""),
    "PUBLIC_URL": (
        "texts.marlow.example",
        "ftp://x.example",
        "https://",
        "https://[",
        "https://a:b",
    ),
    "TERMS_URL": ("/terms",),
    "DATABASE_URL": ("sqlite:///file.sqlite3", "mysql://x", "sqlite://"),
    "TRUSTED_PROXIES": ("-1", "10", "one", "1.0", "٢", "1_0", "0" * 12 + "99"),
    "BRAND_COLOR": ("green", "#12345", "#12345g"),
    "BRAND_COLOR_DARK": ("#1234567",),
    "LOGO": ("/nowhere/logo.svg", __file__),
    "SENDER": ("12025550100", "+1 202 555 0100", "+12", "+1202555010٠", "MARLOW"),
    "COUNTRIES": ("UK", "US;GB", "USA"),
    "DEFAULT_LANGUAGE": ("fr",),
    "FREQUENCIES": ("1/week", "all,daily", "all,0/week", "all,100/week", "all,1/day"),
    "TEXTS_PER_MONTH": ("0", "61"),
    "SENDS_PER_SECOND": ("0", "fast", "nan", "inf", "1e9"),
    "CONFIRM_HOURS": ("73", "0"),
    "LINK_DAYS": ("31",),
    "WEB_STOP_REPLY": ("true",),
    "NUMBER_TEXTS_PER_DAY": ("0", "11", "9" * 5000),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{index}")
        for name, values in WRONG.items()
        for index, value in enumerate(values)
        if value
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, value: str) -> None:
    sentence = refusal(**{name: value})
    assert f"PREFCENTER_{name}" in sentence
    assert any(cure in sentence for cure in ("set ", "write ", "must "))


def test_an_empty_setting_counts_as_not_set() -> None:
    assert read(TRUSTED_PROXIES="", BRAND_COLOR=" ").brand_color == "#1f5c48"


def test_this_machine_may_be_served_without_https() -> None:
    assert read(PUBLIC_URL="http://127.0.0.1:8000/").public_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_spelling_of_postgresql_is_taken(scheme: str) -> None:
    settings = read(DATABASE_URL=f"{scheme}://me@db/prefcenter")
    assert settings.database_url == "postgresql+psycopg://me@db/prefcenter"
    assert settings.sqlite_file is None


def test_keys_are_a_list_newest_first() -> None:
    """SEC-9, REL-19."""
    new = "b4d8f2a6c0e19375" * 4
    assert read(SECRET_KEYS=f"{new}, {KEY}").secret_keys == (new, KEY)


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n")
    assert read(SECRET_KEYS=None, SECRET_KEYS_FILE=str(file)).secret_keys == (KEY,)


def test_a_file_and_a_value_at_once_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY)
    sentence = refusal(SECRET_KEYS_FILE=str(file))
    assert "PREFCENTER_SECRET_KEYS" in sentence
    assert "not both" in sentence


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"], ids=["missing", "no text"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    sentence = refusal(SECRET_KEYS=None, SECRET_KEYS_FILE=str(file))
    assert "PREFCENTER_SECRET_KEYS_FILE" in sentence
    assert str(file) in sentence


def test_settings_do_not_show_secrets_and_cannot_be_changed() -> None:
    """SEC-7."""
    settings = read()
    for secret in (KEY, OTHER_KEY, THIRD, "vonage.pem"):
        assert secret not in repr(settings)
    with pytest.raises(AttributeError):
        settings.brand = "Mallory"  # type: ignore[misc]  # what it must refuse


def test_development_makes_its_own_keys_and_keeps_them(tmp_path: Path) -> None:
    """Safe keys, mode 0600 whatever the umask, the same at the next start."""
    environ = {"PREFCENTER_ENV": "development", "PREFCENTER_DATA_DIR": str(tmp_path / "data")}
    before = os.umask(0)
    try:
        first = config.read(environ)
    finally:
        os.umask(before)
    assert config.read(environ) == first
    assert first.secret_keys != first.pseudonym_keys
    files = sorted((tmp_path / "data").iterdir())
    assert [file.name for file in files] == ["pseudonym_keys.json", "secret_keys.json"]
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(bytes.fromhex(json.loads(file.read_text()))) == 32


def test_production_makes_no_keys(tmp_path: Path) -> None:
    refusal(SECRET_KEYS=None, DATA_DIR=str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()
