"""Settings: read once from the environment, checked, frozen.

Every name stands in the environment with `PREFCENTER_` before it; `PREFCENTER_NAME_FILE`
reads the value from a file instead (for secrets). docs/settings.md lists them all. The file
is long because it is one list, and a setting is found faster in one list than in three.
"""

import contextlib
import json
import os
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from flask import current_app

from prefcenter import phone, texting
from prefcenter.environment import PREFIX as PREFIX
from prefcenter.environment import ConfigError as ConfigError
from prefcenter.environment import Reader

LANGUAGES = ("en", "es")
ROLES = ("viewer", "editor", "owner")
MIN_KEY_BYTES = 32
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "[::1]", "::1"}
_WEAK_WORDS = ("secret", "changeme", "password", "example", "dev", "default", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this deployment is; lengths of time are in the unit that the name says."""

    env: str
    public_url: str
    data_dir: Path
    database_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    pseudonym_keys: tuple[str, ...] = field(repr=False)
    trusted_proxies: int
    brand: str
    brand_color: str
    brand_color_dark: str | None
    logo: Path | None
    support: str
    senders: tuple[str, ...]
    network_senders: frozenset[str]
    toll_free_senders: frozenset[str]
    revocation_scope: str
    programmes: Mapping[str, tuple[str, ...]]
    ask_which: bool
    which_hours: int
    keywords: Mapping[str, tuple[str, ...]]
    stop_words: tuple[str, ...]
    help_words: tuple[str, ...]
    text_commands: frozenset[str]
    replies_per_day: int
    help_gap_minutes: int
    stop_reply_minutes: int
    texts_at_once: int
    gap_hours: int
    countries: tuple[str, ...]
    default_language: str
    terms_url: str | None
    privacy_url: str | None
    privacy_version: str
    texts_per_month: int
    frequencies: tuple[str, ...]
    sms_backend: str
    vonage_application_id: str
    vonage_private_key: str = field(repr=False)
    vonage_api_key: str
    vonage_signature_secrets: tuple[str, ...] = field(repr=False)
    vonage_webhooks: str
    vonage_api_host: str
    sends_per_second: float
    sender_threads: int
    web_processes: int
    confirm_hours: int
    link_days: int
    oldest_consent_days: int
    undo_minutes: int
    web_stop_reply: bool
    lease_seconds: int
    receipt_wait_seconds: int
    number_texts_per_day: int
    number_gap_minutes: int
    ip_texts_per_hour: int
    ip_texts_per_day: int
    site_texts_per_hour: int
    site_texts_per_day: int
    prefix_texts_per_hour: int
    prefix_texts_per_day: int
    country_texts_per_hour: int
    country_texts_per_day: int
    total_texts_per_hour: int
    total_texts_per_day: int
    saves_per_hour: int
    plain_texts_per_hour: int
    breaker_sends: int
    breaker_percent: int
    breaker_rest_minutes: int
    time_zone: str
    admin_idle_minutes: int
    admin_session_hours: int
    admin_totp_for: frozenset[str]
    api_calls_per_minute: int
    api_wrong_keys_per_minute: int
    api_unknown_per_hour: int
    brand_cap: str
    quiet_hours: Path | None

    @property
    def site(self) -> str:
        """The host of PUBLIC_URL as people read it (`prefs.example.com`)."""
        return urlsplit(self.public_url).netloc

    @property
    def host(self) -> str:
        """The host name alone, without a port."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def lock_file(self) -> Path | None:
        """Held by whoever writes to the SQLite file (database.py)."""
        file = self.sqlite_file
        return file.with_name(file.name + ".lock") if file else None

    @property
    def sender_lock_file(self) -> Path | None:
        """Held by the one sender process of a SQLite file."""
        file = self.sqlite_file
        return file.with_name(file.name + ".sender") if file else None

    @property
    def unstored_file(self) -> Path | None:
        """Its time says that texts could not be stored (sms/unstored.py)."""
        if self.sqlite_file:
            return self.sqlite_file.with_name(self.sqlite_file.name + ".unstored")
        return self.data_dir / "prefcenter.unstored" if self.data_dir.is_dir() else None

    @property
    def development(self) -> bool:
        return self.env == "development"

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def sqlite_file(self) -> Path | None:
        """The database file, or None on PostgreSQL."""
        return Path(self.database_url.split(":///", 1)[1]) if self.sqlite else None


def current() -> Settings:
    """The settings of the app whose context we are in."""
    settings: Settings = current_app.extensions["prefcenter"]
    return settings


def read(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting. Raises ConfigError with one sentence to act on."""
    return _read(Reader(os.environ if environ is None else environ))


def names_and_defaults() -> dict[str, str]:
    """Every setting's name (without prefix) and its default, for docs/settings.md."""
    keys = ",".join(secrets.token_hex(32) for _ in range(1))
    reader = Reader(
        {
            PREFIX + "ENV": "development",
            PREFIX + "SECRET_KEYS": keys,
            PREFIX + "PSEUDONYM_KEYS": secrets.token_hex(32),
        }
    )
    _read(reader)
    return reader.asked


def _read(get: Reader) -> Settings:
    env = get.choice("ENV", ("production", "development"), "production")
    data_dir = Path(get.text("DATA_DIR", "instance")).expanduser().absolute()
    development = env == "development"
    senders = _senders(get, development)
    scope = get.choice("REVOCATION_SCOPE", ("all", "programme"), "all")
    settings = Settings(
        env=env,
        public_url=get.url("PUBLIC_URL", "http://127.0.0.1:8000" if development else ""),
        data_dir=data_dir,
        database_url=_database_url(get, data_dir),
        secret_keys=_keys(get, "SECRET_KEYS", data_dir if development else None),
        pseudonym_keys=_keys(get, "PSEUDONYM_KEYS", data_dir if development else None),
        trusted_proxies=get.whole("TRUSTED_PROXIES", 0, 0, 9),
        brand=get.text("BRAND", "Demo Brand" if development else ""),
        brand_color=get.checked("BRAND_COLOR", "#1f5c48", _is_color, "a colour such as #1f5c48"),
        brand_color_dark=get.checked("BRAND_COLOR_DARK", "", _is_color, "a colour such as #7fcbab")
        or None,
        logo=_logo(get),
        support=get.text("SUPPORT", "help@example.com" if development else ""),
        senders=senders,
        network_senders=texting.network_senders(get, senders),
        toll_free_senders=texting.toll_free_senders(senders),
        revocation_scope=scope,
        programmes=texting.programmes(get, senders, scope),
        ask_which=get.yes("ASK_WHICH", False),
        which_hours=get.whole("WHICH_HOURS", 24, 1, 72),
        keywords=texting.keywords(get),
        stop_words=get.many("STOP_WORDS"),
        help_words=get.many("HELP_WORDS"),
        text_commands=texting.commands(get),
        replies_per_day=get.whole("REPLIES_PER_DAY", 10, 1, 100),
        help_gap_minutes=get.whole("HELP_GAP_MINUTES", 10, 1, 1440),
        stop_reply_minutes=get.whole("STOP_REPLY_MINUTES", 5, 1, 5),
        texts_at_once=get.whole("TEXTS_AT_ONCE", 20, 0, 10_000),
        gap_hours=get.whole("GAP_HOURS", 24, 1, 24),
        countries=_countries(get, senders),
        default_language=get.choice("DEFAULT_LANGUAGE", LANGUAGES, "en"),
        terms_url=get.url("TERMS_URL") or None,
        privacy_url=get.url("PRIVACY_URL") or None,
        privacy_version=get.text("PRIVACY_VERSION", "1"),
        texts_per_month=get.whole("TEXTS_PER_MONTH", 4, 1, 60),
        frequencies=_frequencies(get),
        sms_backend=get.choice("SMS_BACKEND", ("console", "vonage"), _backend(development)),
        vonage_application_id=get.text("VONAGE_APPLICATION_ID"),
        vonage_private_key=get.text("VONAGE_PRIVATE_KEY"),
        vonage_api_key=get.text("VONAGE_API_KEY"),
        vonage_signature_secrets=get.many("VONAGE_SIGNATURE_SECRETS"),
        vonage_webhooks=get.choice("VONAGE_WEBHOOKS", ("application", "account"), "application"),
        vonage_api_host=get.text("VONAGE_API_HOST", "api.nexmo.com"),
        sends_per_second=get.number("SENDS_PER_SECOND", 25, 0.01, 10_000),
        sender_threads=get.whole("SENDER_THREADS", 8, 1, 64),
        web_processes=get.whole("WEB_PROCESSES", 2, 1, 64),
        confirm_hours=get.whole("CONFIRM_HOURS", 72, 1, 72),
        link_days=get.whole("LINK_DAYS", 30, 1, 30),
        oldest_consent_days=get.whole("OLDEST_CONSENT_DAYS", 1095, 1, 1825),
        undo_minutes=get.whole("UNDO_MINUTES", 60, 1, 60),
        web_stop_reply=get.yes("WEB_STOP_REPLY", True),
        lease_seconds=get.whole("LEASE_SECONDS", 45, 21, 600),
        receipt_wait_seconds=get.whole("RECEIPT_WAIT_SECONDS", 120, 1, 3600),
        number_texts_per_day=get.whole("NUMBER_TEXTS_PER_DAY", 3, 1, 10),
        number_gap_minutes=get.whole("NUMBER_GAP_MINUTES", 10, 1, 1440),
        ip_texts_per_hour=get.whole("IP_TEXTS_PER_HOUR", 20, 1, 10**9),
        ip_texts_per_day=get.whole("IP_TEXTS_PER_DAY", 60, 1, 10**9),
        site_texts_per_hour=get.whole("SITE_TEXTS_PER_HOUR", 1000, 1, 10**9),
        site_texts_per_day=get.whole("SITE_TEXTS_PER_DAY", 5000, 1, 10**9),
        prefix_texts_per_hour=get.whole("PREFIX_TEXTS_PER_HOUR", 20, 1, 10**9),
        prefix_texts_per_day=get.whole("PREFIX_TEXTS_PER_DAY", 50, 1, 10**9),
        country_texts_per_hour=get.whole("COUNTRY_TEXTS_PER_HOUR", 1000, 1, 10**9),
        country_texts_per_day=get.whole("COUNTRY_TEXTS_PER_DAY", 5000, 1, 10**9),
        total_texts_per_hour=get.whole("TOTAL_TEXTS_PER_HOUR", 2000, 1, 10**9),
        total_texts_per_day=get.whole("TOTAL_TEXTS_PER_DAY", 10000, 1, 10**9),
        saves_per_hour=get.whole("SAVES_PER_HOUR", 60, 1, 10**6),
        plain_texts_per_hour=get.whole("PLAIN_TEXTS_PER_HOUR", 60, 0, 10**9),
        breaker_sends=get.whole("BREAKER_SENDS", 50, 50, 10**6),
        breaker_percent=get.whole("BREAKER_PERCENT", 10, 0, 100),
        breaker_rest_minutes=get.whole("BREAKER_REST_MINUTES", 60, 1, 10_080),
        time_zone=get.checked("TIME_ZONE", "UTC", is_zone, "a name such as Europe/Madrid"),
        admin_idle_minutes=get.whole("ADMIN_IDLE_MINUTES", 30, 5, 1440),
        admin_session_hours=get.whole("ADMIN_SESSION_HOURS", 12, 1, 168),
        admin_totp_for=_roles(get),
        api_calls_per_minute=get.whole("API_CALLS_PER_MINUTE", 60_000, 1, 10**9),
        api_wrong_keys_per_minute=get.whole("API_WRONG_KEYS_PER_MINUTE", 30, 1, 10**9),
        api_unknown_per_hour=get.whole("API_UNKNOWN_PER_HOUR", 100_000, 1, 10**9),
        brand_cap=get.checked("BRAND_CAP", "all", is_frequency, "all, N/week or N/month"),
        quiet_hours=_file(get, "QUIET_HOURS"),
    )
    _check(settings, get)
    return settings


def _check(settings: Settings, get: Reader) -> None:
    """What must hold together, in every environment and then in production (SEC-8)."""
    for name in ("PUBLIC_URL", "BRAND", "SUPPORT", "SENDER"):
        if not getattr(settings, "senders" if name == "SENDER" else name.lower()):
            raise ConfigError(f"{PREFIX}{name} is missing; set it (docs/settings.md has examples).")
    parts = urlsplit(settings.public_url)
    if parts.path or parts.query or parts.fragment or parts.username:
        raise ConfigError(
            f"{PREFIX}PUBLIC_URL must be a bare address such as https://prefs.example.com."
        )
    if settings.sms_backend == "vonage":
        for name in ("VONAGE_APPLICATION_ID", "VONAGE_PRIVATE_KEY"):
            if not getattr(settings, name.lower()):
                raise ConfigError(f"{PREFIX}{name} is missing; SMS_BACKEND=vonage needs it.")
    if not settings.development:
        _check_production(settings, get)


def _check_production(settings: Settings, get: Reader) -> None:
    if get.environ.get("FLASK_DEBUG", "0").lower() not in ("", "0", "false", "no"):
        raise ConfigError("FLASK_DEBUG is on; unset it in production.")
    host = settings.host
    if not settings.public_url.startswith("https://") and host not in _LOCAL_HOSTS:
        raise ConfigError(f"{PREFIX}PUBLIC_URL must start with https:// in production.")
    if settings.sms_backend != "vonage":
        raise ConfigError(
            f"{PREFIX}SMS_BACKEND must be vonage in production; console sends nothing."
        )
    if not settings.vonage_signature_secrets or not settings.vonage_api_key:
        raise ConfigError(
            f"{PREFIX}VONAGE_SIGNATURE_SECRETS and {PREFIX}VONAGE_API_KEY are needed, so that"
            " only Vonage's own webhooks are believed; copy both from the Vonage dashboard."
        )
    every = [*settings.secret_keys, *settings.pseudonym_keys, *settings.vonage_signature_secrets]
    if len(set(every)) != len(every):
        raise ConfigError(
            f"The same value stands twice among {PREFIX}SECRET_KEYS, {PREFIX}PSEUDONYM_KEYS and"
            f" {PREFIX}VONAGE_SIGNATURE_SECRETS; make each its own: `openssl rand -hex 32`."
        )


def _keys(get: Reader, name: str, data_dir: Path | None) -> tuple[str, ...]:
    """Keys, newest first. Development makes its own and keeps them in the data folder."""
    keys = get.many(name)
    if not keys and data_dir is not None:
        keys = (_development_key(data_dir, name),)
    if not keys:
        raise ConfigError(
            f"{PREFIX}{name} is missing; set it to the output of `openssl rand -hex 32`."
        )
    for key in keys:
        weak = len(key.encode()) < MIN_KEY_BYTES or len(set(key)) < 8
        wordy = len(set(key)) < 24 and any(word in key.lower() for word in _WEAK_WORDS)
        if weak or wordy:
            raise ConfigError(
                f"{PREFIX}{name} holds a weak key (shorter than {MIN_KEY_BYTES} bytes, or easy to"
                " guess); use the output of `openssl rand -hex 32`."
            )
    return keys


def _development_key(data_dir: Path, name: str) -> str:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / f"{name.lower()}.json"
    if not path.exists():
        half = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(json.dumps(secrets.token_hex(32)))
        with contextlib.suppress(FileExistsError):
            os.link(half, path)  # whole or not at all, and the first one stays
        half.unlink()
    key: str = json.loads(path.read_text())
    return key


def _senders(get: Reader, development: bool) -> tuple[str, ...]:
    senders = get.many("SENDER", "+12025550100" if development else "")
    for sender in senders:
        digits = sender.removeprefix("+")
        if not (
            sender.startswith("+")
            and digits.isascii()
            and digits.isdigit()
            and 7 <= len(digits) <= 15
        ):
            raise ConfigError(
                f"{PREFIX}SENDER holds {sender!r}; write our numbers like +12025550100."
            )
    return senders


def _countries(get: Reader, senders: tuple[str, ...]) -> tuple[str, ...]:
    default = phone.country_of(senders[0]) if senders else ""
    countries = tuple(code.upper() for code in get.many("COUNTRIES", default))
    for code in countries:
        if not phone.is_country(code):
            raise ConfigError(
                f"{PREFIX}COUNTRIES holds {code!r}; write ISO codes such as US,CA,GB."
            )
    if senders and not countries:
        raise ConfigError(f"{PREFIX}COUNTRIES is missing; write ISO codes such as US,CA,GB.")
    return countries


def _database_url(get: Reader, data_dir: Path) -> str:
    url = get.text("DATABASE_URL") or f"sqlite:///{data_dir / 'prefcenter.sqlite3'}"
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            url = "postgresql+psycopg://" + url.removeprefix(short)
    plain = url.startswith("sqlite:////") and "?" not in url
    if not plain and not url.startswith("postgresql+psycopg://"):
        raise ConfigError(
            f"{PREFIX}DATABASE_URL must be sqlite:////full/path/file.sqlite3 or postgresql://…"
        )
    return url


def _frequencies(get: Reader) -> tuple[str, ...]:
    values = get.many("FREQUENCIES", "all,1/week,1/month")
    for value in values:
        if not is_frequency(value):
            raise ConfigError(f"{PREFIX}FREQUENCIES holds {value!r}; write all, N/week or N/month.")
    if "all" not in values:
        raise ConfigError(f"{PREFIX}FREQUENCIES must offer `all`.")
    return values


def is_frequency(value: str) -> bool:
    """True for `all`, `N/week` and `N/month` with N from 1 to 99 (RULE-37)."""
    count, slash, unit = value.partition("/")
    numeric = count.isascii() and count.isdigit() and len(count) <= 2 and count[:1] != "0"
    return value == "all" or bool(slash and numeric and unit in ("week", "month"))


def _file(get: Reader, name: str) -> Path | None:
    path = get.text(name)
    if path and not Path(path).expanduser().is_file():
        raise ConfigError(f"{PREFIX}{name} names {path}, which is no file.")
    return Path(path).expanduser() if path else None


def _logo(get: Reader) -> Path | None:
    name = get.text("LOGO")
    if not name:
        return None
    path = Path(name).expanduser()
    if path.suffix not in (".svg", ".png") or not path.is_file() or path.stat().st_size > 20_480:
        raise ConfigError(f"{PREFIX}LOGO must name an SVG or PNG file of 20 KiB at most.")
    return path


def is_zone(name: str) -> bool:
    """True for a time zone of the IANA database, such as Europe/Madrid."""
    return name in _zones()


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones() - {"localtime", "Factory"})


def _roles(get: Reader) -> frozenset[str]:
    """Whose second factor is not optional."""
    found = frozenset(get.many("ADMIN_TOTP_FOR"))
    if unknown := sorted(found - set(ROLES)):
        raise ConfigError(f"{PREFIX}ADMIN_TOTP_FOR holds {unknown[0]!r}; write {','.join(ROLES)}.")
    return found


def _is_color(value: str) -> bool:
    return (
        len(value) == 7
        and value[0] == "#"
        and all(c in "0123456789abcdef" for c in value[1:].lower())
    )


def _backend(development: bool) -> str:
    return "console" if development else "vonage"
