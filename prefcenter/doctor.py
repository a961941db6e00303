"""What is set, what can be reached, what needs a look: for `prefcenter doctor`."""

import difflib
import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from prefcenter import clock, config, schema
from prefcenter.config import PREFIX, ConfigError, Settings
from prefcenter.consent import business_days, catalog, reviews, send_windows, sites
from prefcenter.database import db
from prefcenter.models import Inbound, OutboxMessage, OutboxStatus, Signup
from prefcenter.phone import mask
from prefcenter.sms import alarms, watch, wording
from prefcenter.sms.sender import sender_for
from prefcenter.upkeep import notice_standing

_LATE_SECONDS = 300
_UNHEARD_SECONDS = 60
_SILENT = timedelta(minutes=10)
_SOON = 2  # business days
_CURE = ": see `prefcenter webhook list`, and whether a sender is running"
_OLD = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `ok` is False for what an operator must look at."""

    what: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """Look at everything once; never raises."""
    settings = config.current()
    findings = [*_settings(settings), *_names(), _templates(), _quiet_hours(settings)]
    findings.append(_sender(settings))
    try:
        reason = schema.fault()
        findings.append(Finding("database", reason is None, reason or _where(settings)))
        if reason is None:
            findings += [*_queue(), *_alarms(), *_own_keywords(settings), *_sites()]
            findings += [_heard(), *_unreadable(), _reviews()]
            findings += [_heartbeat(settings), _genuine(settings), _notices()]
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
        Finding("replies", True, "; ".join(_who_replies(settings, n) for n in settings.senders)),
        Finding("countries", True, ", ".join(settings.countries)),
        Finding(
            "keys",
            True,
            f"{len(settings.secret_keys)} signing, {len(settings.pseudonym_keys)} pseudonym",
        ),
        Finding("rate", True, f"{settings.sends_per_second:g} texts a second at most"),
    ]


def _who_replies(settings: Settings, sender: str) -> str:
    """Who answers the keywords that are texted to one of our numbers (RULE-29)."""
    network = sender in settings.network_senders
    if sender in settings.toll_free_senders:
        help_by = "the network" if network else "prefcenter"
        who = f"the carriers answer STOP and START (it is toll-free), {help_by} HELP"
    elif network:
        who = "the network answers STOP, START and HELP"
    else:
        who = "prefcenter answers"
    return f"{mask(sender)}: {who}"


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


def _quiet_hours(settings: Settings) -> Finding:
    """Whether the hours can be read, and how long ago somebody compared ours with the law."""
    try:
        book = send_windows.read(settings.quiet_hours)
    except send_windows.WindowsError as error:
        return Finding("quiet hours", False, str(error))
    own = f", and {settings.quiet_hours} beside it" if settings.quiet_hours else ""
    detail = f"the list of the laws was checked on {book.checked}{own}"
    if clock.now().date() - book.checked <= _OLD:
        return Finding("quiet hours", True, detail)
    cure = f"take a newer version, or write what changed into {PREFIX}QUIET_HOURS"
    return Finding("quiet hours", False, f"{detail}, more than a year ago: {cure}")


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
    age = _seconds_since(waiting[1], now)
    forms = db.session.execute(sa.select(sa.func.count(), sa.func.min(Signup.created_at))).one()
    forms_age = _seconds_since(forms[1], now)
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


def _age(what: str, count: int, seconds: float, most: float = _LATE_SECONDS) -> Finding:
    late = f", the oldest for {seconds:.0f} s: is a sender running?" if seconds else ""
    return Finding(what, seconds < most, f"{count}{late}")


def _seconds_since(oldest: datetime | None, now: datetime) -> float:
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def _alarms() -> list[Finding]:
    return [
        Finding("alarm", False, f"{alarm.message} Since {alarm.since:%Y-%m-%d %H:%M} UTC.")
        for alarm in alarms.current()
    ]


def _own_keywords(settings: Settings) -> list[Finding]:
    """The owner's words to join by text, each for categories that there are."""
    ages = {kind.slug: kind.age_gate for kind in catalog.every() if kind.retired_at is None}
    asked = [(word, slug) for word, slugs in settings.keywords.items() for slug in slugs]
    faults = [
        f"{word} asks for {slug}, which is not a category, or a retired one"
        for word, slug in asked
        if slug not in ages
    ]
    faults += [
        f"{word} asks for {slug}, which is for people of {age} and older: a text states no age,"
        " so nobody gets it by that word (RULE-10)"
        for word, slug in asked
        if (age := ages.get(slug)) is not None
    ]
    if faults:
        return [Finding("own keyword", False, fault) for fault in faults]
    return [Finding("own keywords", True, ", ".join(settings.keywords) or "none")]


def _sites() -> list[Finding]:
    """Open sites whose forms ask for nothing: whoever signs up there gets no text, and no word."""
    found = [sites.find(site.key, now=clock.now()) for site in sites.every()]
    cure = "all its categories are retired, private or need a stated age: `prefcenter site change`"
    return [
        Finding("site", False, f"the widget of {place.slug} asks for nothing; {cure}")
        for place in found
        if place and not sites.offered(place) and catalog.on_offer()
    ]


def _heard() -> Finding:
    """Texts that came in. Nothing is sent to their numbers until they are worked."""
    query = sa.select(sa.func.count(), sa.func.min(Inbound.received_at))
    count, oldest = db.session.execute(query.where(Inbound.handled_at.is_(None))).one()
    age = _seconds_since(oldest, clock.now())
    return _age("texts that came in and wait", count, age, _UNHEARD_SECONDS)


def _unreadable() -> list[Finding]:
    """Kept webhooks that mean a fault, and the rest, which is what anybody may text."""
    faulty, rest = alarms.unseen(faulty=True), alarms.unseen(faulty=False)
    cure = ": read them with `prefcenter unreadable list`, then `prefcenter unreadable seen ID`"
    show = ", such as pictures: `prefcenter unreadable list` shows them"
    what = "unreadable webhooks that nobody has seen"
    return [
        Finding(what, faulty == 0, f"{faulty}{cure if faulty else ''}"),
        Finding("other messages", True, f"{rest} webhooks kept unread{show if rest else ''}"),
    ]


def _reviews() -> Finding:
    """Texts for a person to read, with ten business days for it (RULE-21)."""
    due = reviews.oldest_due()
    if due is None:
        return Finding("texts for a person to read", True, "0")
    today = business_days.day_of(clock.now())
    late = "overdue since" if due < today else "the first due on"
    in_time = due > business_days.after(today, _SOON)
    detail = (
        f"{reviews.open_count()}, {late} {due}: read them with `prefcenter review list`, then"
        " `prefcenter review close ID`"
    )
    return Finding("texts for a person to read", in_time, detail)


def _heartbeat(settings: Settings) -> Finding:
    """Whether a web process watches for gaps in which texts are missed (REL-14).

    A look is asked for in production alone, and not before the first text came or went.
    """
    last = watch.last_beat()
    if last is not None and clock.now() - last < _SILENT:
        return Finding("webhooks", True, f"a web process could take them at {last:%H:%M} UTC")
    since = f"since {last:%Y-%m-%d %H:%M} UTC" if last else "yet"
    detail = (
        f"no web process of `prefcenter serve` has reported {since}; without one nobody notices"
        " when texts were missed (other WSGI servers do not report)"
    )
    wanted = not settings.development and (last is not None or _any_texts())
    return Finding("webhooks", not wanted, detail)


def _genuine(settings: Settings) -> Finding:
    """Whether Vonage's webhooks reach us and are believed: each text that leaves causes one."""
    last = alarms.last_genuine()
    if last is not None:
        detail = f"the last genuine webhook came {last:%Y-%m-%d %H:%M} UTC"
        return Finding("Vonage's webhooks", True, detail)
    wanted = not settings.development and _any_texts()
    return Finding("Vonage's webhooks", not wanted, "none yet: text HELP to your number")


def _notices() -> Finding:
    """Programs that are told of changes: each is told within minutes, or stopped or rests."""
    found, now = notice_standing.every(), clock.now()
    dead = sum(one.dead for one in found)
    stopped, late = sum(one.stopped for one in found), sum(one.late(now) for one in found)
    detail = f"{sum(one.told for one in found)} told, {late} late, {stopped} stopped, {dead} notices given up"
    bad = bool(dead or stopped or late)
    return Finding("outgoing webhooks", not bad, detail + (_CURE if bad else ""))


def _any_texts() -> bool:
    either = sa.exists(sa.select(Inbound.id)) | sa.exists(sa.select(OutboxMessage.id))
    return bool(db.session.scalar(sa.select(either)))
