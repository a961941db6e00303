"""A customer's phone, to read and to answer: development with the console sender only."""

import re
import uuid
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, redirect, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup, escape
from werkzeug.wrappers import Response

from prefcenter import clock, config, phone
from prefcenter.consent import inbound
from prefcenter.database import begin_write, db
from prefcenter.models import Inbound, OutboxMessage
from prefcenter.phone import NumberError
from prefcenter.sms import inbox
from prefcenter.sms.encoding import measure
from prefcenter.sms.webhook import InboundText
from prefcenter.web import htmx, pages

bp = Blueprint("dev", __name__)

PATH = "/dev/outbox"
OTHER = "other"  # the form for a phone that has no thread yet
_NEWEST = 200
_LONGEST = 1600
_LONGEST_NUMBER = 40
_QUICK = ("STOP", "HELP", "START", "YES")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_BESIDE_DIGITS = re.compile(r"[\s().-]")

# What the rows say, in plain words. A word that stands in none of these is shown as it is.
STATUSES = {
    "queued": _l("waiting"),
    "sending": _l("being sent"),
    "sent": _l("sent"),
    "delivered": _l("delivered"),
    "unknown": _l("maybe sent"),
    "failed": _l("not delivered"),
    "cancelled": _l("taken back"),
    "expired": _l("too late to send"),
}
READINGS = {
    "surely": _l("taken as a refusal"),
    "likely": _l("taken as a likely refusal"),
    "flagged": _l("no command, but a stop word stands in it"),
    "other": _l("no command"),
}
OUTCOMES = {
    "added": _l("more kinds of text chosen"),
    "again": _l("stopped before"),
    "already_subscribed": _l("texts were on"),
    "asked": _l("asked to confirm"),
    "asked_before": _l("asked to confirm before"),
    "confirmed": _l("texts are on"),
    "declined": _l("not signed up"),
    "doubtful": _l("in doubt, for somebody to read"),
    "frequency": _l("how often changed"),
    "helped": _l("asked for help"),
    "kept": _l("nothing changed"),
    "kept_some": _l("some texts are on again"),
    "menu": _l("asked for the choices"),
    "not_textable": _l("nothing changed"),
    "nothing_open": _l("there was nothing to confirm"),
    "overtaken": _l("something newer counts"),
    "paused": _l("paused"),
    "programme_stopped": _l("the texts of this number stopped"),
    "resumed": _l("pause ended"),
    "started_again": _l("texts are on again"),
    "stopped": _l("stopped"),
}
REPLIES = {
    "app": _l("answered by us"),
    "capped": _l("answered often enough"),
    "network": _l("answered by the network"),
    "nobody": _l("no answer"),
    "not_textable": _l("no answer, because we cannot text this number"),
    "too_late": _l("too late to answer"),
}


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was just sent, from which form of the page: a thread's key, OTHER, or "" for none."""

    form: str = ""
    number: str = ""
    text: str = ""
    errors: dict[str, str] = field(default_factory=dict)  # by field; empty once it is stored


_NOTHING = _Sent()


@bp.get("/dev/outbox")
def outbox() -> Response:
    return _page()


@bp.post("/dev/outbox/reply")
def reply() -> Response:
    """Text us from any phone, on the same road as the webhook behind its signature."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        abort(403)  # another site's page must not text in a developer's name
    form = request.form
    # A quick button's word comes after what stands in the box.
    text = "".join(form.getlist("text")[-1:]).replace("\x00", "")[:_LONGEST]
    ours = form.get("ours") or config.current().senders[0]
    if ours not in config.current().senders:
        abort(400)
    number, errors = _checked(form.get("number", "")[:_LONGEST_NUMBER], text)
    if not errors:
        _take(number, ours, text)
        if not htmx.wanted():
            return redirect(f"{htmx.in_language(PATH)}#to-{_key(number)}", code=303)
    sent_from = OTHER if form.get(OTHER) else _key(number)
    return _page(_Sent(sent_from, number, text, errors))


def _take(number: str, ours: str, text: str) -> None:
    """Store the text, then do what it asks for: two transactions, as for the webhook."""
    now = clock.now()
    said = InboundText(f"dev-{uuid.uuid4()}", number, ours, text, now.replace(microsecond=0))
    begin_write()
    [row_id] = inbox.store([(said, now)])
    db.session.commit()
    if row_id is not None:
        begin_write()
        inbound.handle(row_id, now=clock.now())
        db.session.commit()


def _checked(typed: str, text: str) -> tuple[str, dict[str, str]]:
    """The number in E.164, or as it was typed; and what is wrong, by field."""
    errors: dict[str, str] = {}
    try:
        typed = _as_the_network_says(typed)
    except NumberError:
        example = phone.example(config.current().countries[0])
        errors["number"] = _("We cannot read that number. Write it like %(it)s", it=example)
    if not text.strip():
        errors["text"] = _("Write a text first")
    return typed, errors


def _as_the_network_says(typed: str) -> str:
    """Anybody may text us, also from where we send nothing; so only nonsense is refused."""
    try:
        return phone.parse(typed, countries=config.current().countries).e164
    except NumberError as error:
        digits = _BESIDE_DIGITS.sub("", typed)
        if error.reason in ("missing", "short") or not _E164.fullmatch(digits):
            raise
        return digits


def _page(sent: _Sent = _NOTHING) -> Response:
    """All threads, each with its form, and the form for another phone."""
    threads = _threads()
    if sent is not _NOTHING and sent.form not in (thread.key for thread in threads):
        sent = replace(sent, form=OTHER)
    return htmx.render(
        "dev/outbox.html",
        status=422 if sent.errors else 200,
        threads=threads,
        sent=sent,
        other=OTHER,
        senders=config.current().senders,
        example=phone.example(config.current().countries[0]),
        quick=_QUICK,
        longest=_LONGEST,
        here=htmx.in_language(PATH),
        reply_url=htmx.in_language(f"{PATH}/reply"),
    )


def _threads() -> list[SimpleNamespace]:
    """One for each phone, that with the newest text first; texts in the order of time."""
    found: dict[str, list[Any]] = {}
    for text in sorted([*_from_us(), *_from_them()], key=lambda text: text.order):
        found.setdefault(text.number, []).append(text)
    newest_first = sorted(found.items(), key=lambda item: item[1][-1].order, reverse=True)
    return [
        pages.view(number=number, key=_key(number), texts=texts, ours=_last_sender(texts))
        for number, texts in newest_first
    ]


def _key(number: str) -> str:
    return number.removeprefix("+")


def _last_sender(texts: list[Any]) -> str:
    """Which of our numbers a reply goes to: the one that texted last."""
    senders = config.current().senders
    used = [text.ours for text in texts if text.by_us and text.ours in senders]
    return used[-1] if used else senders[0]


def _from_us() -> list[SimpleNamespace]:
    query = sa.select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(_NEWEST)
    return [_ours(message) for message in db.session.scalars(query)]


def _from_them() -> list[SimpleNamespace]:
    query = sa.select(Inbound).order_by(Inbound.id.desc()).limit(_NEWEST)
    return [_theirs(row) for row in db.session.scalars(query)]


def _ours(message: OutboxMessage) -> SimpleNamespace:
    size = measure(message.body)
    return pages.view(
        by_us=True,
        id=f"out-{message.id}",
        number=message.to,
        ours=message.sender,
        at=message.created_at,
        order=(message.created_at, 1, message.id),
        body=_linked(message.body),
        language=message.language,
        kind=message.kind.value,
        status=STATUSES.get(message.status.value, message.status.value),
        parts=size.parts,
        septets=size.units,
    )


def _theirs(row: Inbound) -> SimpleNamespace:
    return pages.view(
        by_us=False,
        id=f"in-{row.id}",
        number=row.number,
        ours=row.ours,
        at=row.received_at,
        order=(row.received_at, 0, row.id),
        body=row.text,
        worked=row.handled_at is not None,
        word="" if row.reading in READINGS else row.reading.upper(),
        reading=READINGS.get(row.reading, ""),
        outcome=OUTCOMES.get(row.outcome, row.outcome),
        reply=REPLIES.get(row.reply, row.reply),
    )


def _linked(body: str) -> Markup:
    """The text with our own links clickable, as phones make them."""
    ours = re.escape(str(escape(config.current().public_url)))
    return Markup(re.sub(rf"({ours}/\S+)", r'<a href="\1">\1</a>', str(escape(body))))
