"""Passwords: scrypt, the same work for every answer, and never too many at once (SEC-41).

One check takes 96 MB and a fifth of a second on purpose. So only two run at a time in each
process, and never in a database transaction: else a crowd at the sign-in page would take
memory and the write lock away from the people who text STOP.
"""

import contextlib
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask_babel import gettext as _
from werkzeug.security import check_password_hash, generate_password_hash

from prefcenter import config

METHOD = "scrypt:32768:8:3"
SHORTEST, LONGEST = 12, 200
_FEWEST_KINDS = 5  # different characters
_FEWEST_OWN = 8  # letters and digits that are neither the name nor the brand
_ONE_TIME_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike
_AT_ONCE = threading.BoundedSemaphore(2)
_PATIENCE = 4.0  # seconds


class Busy(Exception):
    """Too many passwords are being checked; nothing was done."""


class WeakPassword(ValueError):
    """A password that cannot be taken; the message says why."""


@dataclass(frozen=True, slots=True)
class OneTime:
    """A password to be told to somebody, who must change it first; `text` is kept nowhere."""

    text: str = field(repr=False)
    hidden: str = field(repr=False)


def hide(password: str) -> str:
    """What to keep of a password. Raises Busy."""
    with _turn():
        return generate_password_hash(_folded(password), METHOD)


def fits(password: str, hidden: str | None) -> bool:
    """Whether that is the password. Nobody's takes as long as somebody's. Raises Busy."""
    if len(password) > LONGEST:
        password, hidden = "", None
    with _turn():
        if hidden is None:
            generate_password_hash(_folded(password), METHOD)
            return False
        return check_password_hash(hidden, _folded(password))


def one_time() -> OneTime:
    """A fresh one, of 79 bits, in groups to read out. Raises Busy."""
    letters = [secrets.choice(_ONE_TIME_LETTERS) for _letter in range(16)]
    text = "-".join("".join(letters[start : start + 4]) for start in range(0, 16, 4))
    return OneTime(text, hide(text))


def refuse_weak(password: str, *, name: str) -> None:
    """Raises WeakPassword for one that is short, of few characters, or our own words."""
    brand = config.current().brand
    if len(password) < SHORTEST:
        raise WeakPassword(_("Use at least %(count)s characters.", count=SHORTEST))
    if len(password) > LONGEST:
        raise WeakPassword(_("Use at most %(count)s characters.", count=LONGEST))
    if len(set(password)) < _FEWEST_KINDS or password.isdecimal():
        raise WeakPassword(
            _("That is too easy to guess. Try four words that do not belong together.")
        )
    plain = _plain(password)
    for word in (name, brand):
        plain = plain.replace(_plain(word), "") if _plain(word) else plain
    if plain != _plain(password) and len(plain) < _FEWEST_OWN:
        raise WeakPassword(_("Do not use your name or %(brand)s as the password.", brand=brand))


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    if not _AT_ONCE.acquire(timeout=_PATIENCE):
        raise Busy
    try:
        yield
    finally:
        _AT_ONCE.release()


def _folded(password: str) -> str:
    """One form for what keyboards spell in two, such as é; without what cannot be encoded."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace").decode()


def _plain(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
