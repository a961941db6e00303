"""Values out of the environment, checked one by one; what they mean is in config.py."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "PREFCENTER_"


class ConfigError(Exception):
    """A setting is missing, wrong or unsafe. The message names it and the cure."""


class Reader:
    """Takes values out of the environment and remembers every name it was asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.asked: dict[str, str] = {}

    def text(self, name: str, default: str = "") -> str:
        self.asked[name] = default
        value, path = (self.environ.get(PREFIX + name + end, "") for end in ("", "_FILE"))
        if value and path:
            raise ConfigError(f"Set either {PREFIX}{name} or {PREFIX}{name}_FILE, not both.")
        if path:
            try:
                value = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(
                    f"{PREFIX}{name}_FILE names {path}, which cannot be read:"
                    f" {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}."
                ) from error
        return value.strip() or default

    def many(self, name: str, default: str = "") -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name, default).split(",") if part.strip())

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise ConfigError(f"{PREFIX}{name} is {value!r}; set it to {' or '.join(allowed)}.")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        value = self.text(name, str(default))
        digits = value.isascii() and value.isdigit() and len(value) <= 12
        if not (digits and low <= int(value) <= high):
            raise ConfigError(f"{PREFIX}{name} is {value!r}; set a whole number {low} to {high}.")
        return int(value)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.text(name, f"{default:g}")
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if not low <= found <= high:
            raise ConfigError(f"{PREFIX}{name} is {value!r}; set a number {low:g} to {high:g}.")
        return found

    def yes(self, name: str, default: bool) -> bool:
        return self.choice(name, ("yes", "no"), "yes" if default else "no") == "yes"

    def url(self, name: str, default: str = "") -> str:
        value = self.text(name, default).rstrip("/")
        try:
            parts = urlsplit(value)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # a port or an IPv6 address that is none
            good = False
        if value and not good:
            raise ConfigError(f"{PREFIX}{name} is {value!r}; set a full address such as https://…")
        return value

    def checked(self, name: str, default: str, check: Callable[[str], bool], hint: str) -> str:
        value = self.text(name, default)
        if value and not check(value):
            raise ConfigError(f"{PREFIX}{name} is {value!r}; set {hint}.")
        return value
