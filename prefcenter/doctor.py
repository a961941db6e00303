"""What is set, what can be reached, what needs a look: for `prefcenter doctor`."""

import difflib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from prefcenter import clock, config, schema
from prefcenter.config import PREFIX, ConfigError, Settings
from prefcenter.database import db
from prefcenter.models import OutboxMessage, OutboxStatus, Signup
from prefcenter.phone import mask
from prefcenter.sms import alarms, wording
from prefcenter.sms.sender import sender_for

_LATE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `ok` is False for what an operator must look at."""

    what: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """Look at everything once; never raises."""
    settings = config.current()
    findings = [*_settings(settings), *_names(), _templates(), _sender(settings)]
    try:
        reason = schema.fault()
        findings.append(Finding("database", reason is None, reason or _where(settings)))
        if reason is None:
            findings += [*_queue(), *_alarms()]
    except SQLAlchemyError as error:
        findings.append(Finding("database", False, f"it does not answer ({type(error).__name__})"))
    return findings


def _settings(settings: Settings) -> list[Finding]:
    hops = settings.trusted_proxies
    trust = f"{hops} proxies are trusted to name the visitor" if hops else "no proxy is trusted"
    bare = settings.public_url.startswith("https://") and not hops
    if bare:
        trust += (
            f"; what speaks https for us is a proxy, so set {PREFIX}TRUSTED_PROXIES to how many"
            " there are, and let it take slow uploads in whole"
        )
    return [
        Finding("environment", True, settings.env),
        Finding("address", not bare, f"{settings.public_url}, {trust}"),
        Finding("brand", True, f"{settings.brand}; help: {settings.support}"),
        Finding("senders", True, ", ".join(mask(number) for number in settings.senders)),
        Finding("countries", True, ", ".join(settings.countries)),
        Finding(
            "keys",
            True,
            f"{len(settings.secret_keys)} signing, {len(settings.pseudonym_keys)} pseudonym",
        ),
        Finding("rate", True, f"{settings.sends_per_second:g} texts a second at most"),
    ]


def _names() -> list[Finding]:
    """Settings in the environment that nobody reads, which are likely misspelt."""
    known = config.names_and_defaults()
    found = []
    for name in os.environ:
        short = name.removeprefix(PREFIX).removesuffix("_FILE")
        if name.startswith(PREFIX) and short not in known:
            near = difflib.get_close_matches(short, known, 1)
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            found.append(Finding("setting", False, f"{name} is not read by anything{hint}"))
    return found


def _templates() -> Finding:
    try:
        wording.check_templates()
    except wording.WordingError as error:
        return Finding("texts", False, str(error))
    return Finding("texts", True, "every template has the brand and STOP")


def _sender(settings: Settings) -> Finding:
    if settings.sms_backend == "console":
        return Finding("sending", True, "console: nothing leaves this machine")
    try:
        sender_for(settings)
    except ConfigError as error:
        return Finding("sending", False, str(error))
    return _reach(settings.vonage_api_host)


def _reach(api_host: str) -> Finding:
    host, _, port = api_host.partition("/")[0].partition(":")
    try:
        socket.create_connection((host, int(port or 443)), timeout=5).close()
    except OSError as error:
        return Finding("sending", False, f"{api_host} cannot be reached ({type(error).__name__})")
    return Finding("sending", True, f"the key is good and {api_host} can be reached")


def _where(settings: Settings) -> str:
    return "SQLite, migrated" if settings.sqlite else "PostgreSQL, migrated"


def _queue() -> list[Finding]:
    now = clock.now()
    waiting = db.session.execute(
        sa.select(sa.func.count(), sa.func.min(OutboxMessage.due_at)).where(
            OutboxMessage.status == OutboxStatus.QUEUED, OutboxMessage.due_at <= now
        )
    ).one()
    age = _count_age(waiting[1], now.timestamp())
    forms = db.session.execute(sa.select(sa.func.count(), sa.func.min(Signup.created_at))).one()
    forms_age = _count_age(forms[1], now.timestamp())
    unknown = db.session.scalar(
        sa.select(sa.func.count()).where(
            OutboxMessage.status == OutboxStatus.UNKNOWN, OutboxMessage.finished_at.is_not(None)
        )
    )
    return [
        _age("texts due", waiting[0], age),
        _age("forms waiting", forms[0], forms_age),
        Finding("texts that may or may not have left", True, str(unknown)),
    ]


def _age(what: str, count: int, seconds: float) -> Finding:
    late = f", the oldest for {seconds:.0f} s: is a sender running?" if seconds else ""
    return Finding(what, seconds < _LATE_SECONDS, f"{count}{late}")


def _count_age(oldest: object, now: float) -> float:
    stamp: Callable[[], float] | None = getattr(oldest, "timestamp", None)
    return max(0.0, now - stamp()) if stamp else 0.0


def _alarms() -> list[Finding]:
    return [
        Finding("alarm", False, f"{alarm.message} Since {alarm.since:%Y-%m-%d %H:%M} UTC.")
        for alarm in alarms.current()
    ]
