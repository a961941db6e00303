"""The health strip of the overview: is everything that should move moving? Reads only."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import url_for
from flask_babel import format_timedelta, ngettext
from flask_babel import gettext as _

from prefcenter import config
from prefcenter.consent import breaker, business_days, reviews
from prefcenter.database import db
from prefcenter.models import OutboxMessage, OutboxStatus
from prefcenter.models_staff import Role
from prefcenter.sms import alarms, delivery, watch
from prefcenter.upkeep import notice_standing
from prefcenter.web import guards
from prefcenter.web.admin.alarms import MEANINGS

_LATE = timedelta(minutes=5)
_SILENT = timedelta(minutes=10)
_SOON = 2  # business days
_REASONS = 3
_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was looked at. `state` is ok, warn or bad; the words say it too."""

    state: str
    title: str
    words: str
    link: str = ""
    link_words: str = ""


def look(now: datetime) -> list[Sign]:
    """Every sign, in an order that stays."""
    return [
        _queue(now),
        _failures(now),
        _sending(now),
        _breakers(now),
        _reviews(now),
        _webhooks(now),
        _notices(now),
        *_alarms(),
    ]


def _queue(now: datetime) -> Sign:
    title = _("Texts waiting")
    due = sa.select(sa.func.count(), sa.func.min(OutboxMessage.due_at)).where(
        OutboxMessage.status == OutboxStatus.QUEUED, OutboxMessage.due_at <= now
    )
    count, oldest = db.session.execute(due).one()
    if not count:
        return Sign("ok", title, _("None, all have left."))
    age = now - oldest
    words = ngettext(
        "%(num)s text waits, the oldest for %(age)s.",
        "%(num)s texts wait, the oldest for %(age)s.",
        count,
        age=format_timedelta(age, granularity="second"),
    )
    if age < _LATE:
        return Sign("ok", title, words)
    return Sign("bad", title, words + " " + _("Is a sender running? `prefcenter doctor` tells."))


def _failures(now: datetime) -> Sign:
    title = _("Failed in 24 hours")
    query = (
        sa.select(OutboxMessage.reason, sa.func.count().label("n"))
        .where(sa.text("status = 'failed'"), OutboxMessage.finished_at > now - _DAY)
        .group_by(OutboxMessage.reason)
        .order_by(sa.desc("n"), OutboxMessage.reason)
    )
    rows = db.session.execute(query).all()
    if not rows:
        return Sign("ok", title, _("No text failed."))
    total = sum(row.n for row in rows)
    named = [f"{row.reason or _('no reason given')} ({row.n})" for row in rows[:_REASONS]]
    if len(rows) > _REASONS:
        named.append(_("other reasons (%(num)s)", num=sum(row.n for row in rows[_REASONS:])))
    words = ngettext("%(num)s text: ", "%(num)s texts: ", total) + ", ".join(named)
    return Sign("warn", title, words)


def _sending(now: datetime) -> Sign:
    title = _("Sending")
    if not delivery.paused(now=now):
        return Sign("ok", title, _("Nothing holds texts back."))
    words = _("Paused: the provider refuses everything. It is tried again in a few minutes.")
    return Sign("bad", title, words, url_for("admin_alarms.alarms"), _("See the reason"))


def _breakers(now: datetime) -> Sign:
    title = _("Breaker")
    found = breaker.open_now(now=now)
    if not found:
        return Sign("ok", title, _("Closed: sign-ups look as if people made them."))
    words = _(
        "Open for %(where)s: hardly anybody confirms there.",
        where=", ".join(row.label for row in found[:_REASONS]),
    )
    return Sign("bad", title, words, url_for("admin_alarms.alarms"), _("Look at it"))


def _reviews(now: datetime) -> Sign:
    title = _("Texts to read")
    due = reviews.oldest_due()
    if due is None:
        return Sign("ok", title, _("None waits for a person."))
    link = url_for("admin_reviews.reviews"), _("Read them")
    waiting = ngettext("%(num)s waits", "%(num)s wait", reviews.open_count())
    days = business_days.left(business_days.day_of(now), due)
    if days < 0:
        return Sign("bad", title, _("%(waiting)s, the first overdue.", waiting=waiting), *link)
    words = ngettext(
        "%(waiting)s, %(num)s of ten business days left.",
        "%(waiting)s, %(num)s of ten business days left.",
        days,
        waiting=waiting,
    )
    return Sign("warn" if days <= _SOON else "ok", title, words, *link)


def _webhooks(now: datetime) -> Sign:
    title = _("Vonage's webhooks")
    last, beat = alarms.last_genuine(), watch.last_beat()
    if last is None:
        words = _("None yet. Text HELP to your number.")
    else:
        words = _("The last one came %(age)s ago.", age=format_timedelta(now - last))
    deaf = beat is not None and now - beat > _SILENT and not config.current().development
    if beat is not None and deaf:
        silent = _("No web process has reported for %(age)s.", age=format_timedelta(now - beat))
        return Sign("bad", title, f"{words} {silent}")
    return Sign("ok", title, words)


def _notices(now: datetime) -> Sign:
    """Programs that are told of changes."""
    title, found = _("Outgoing webhooks"), notice_standing.every()
    may_look = guards.staff().may(Role.OWNER)
    link = (url_for("admin_webhooks.webhooks"), _("Look at it")) if may_look else ("", "")
    if any(one.stopped or one.dead for one in found):
        return Sign("bad", title, _("A program was not told of changes, and is not told."), *link)
    if late := [one.oldest for one in found if one.oldest and one.late(now)]:
        age = format_timedelta(now - min(late))
        return Sign("warn", title, _("A program is behind by %(age)s.", age=age), *link)
    told = any(one.told for one in found)
    return Sign("ok", title, _("All are told.") if told else _("No program is told of changes."))


def _alarms() -> list[Sign]:
    """Alarms that stand for themselves; the sending and the breaker have a sign of their own."""
    own = (alarms.SENDING_PAUSED, alarms.BREAKER, alarms.NOTICES)
    found = [alarm for alarm in alarms.current() if alarm.name not in own]
    title, link = _("Alarms"), url_for("admin_alarms.alarms")
    if not found:
        return [Sign("ok", title, _("None. No texts were missed."))]
    told = [str(MEANINGS[row.name][0]) if row.name in MEANINGS else row.message for row in found]
    words = " · ".join(told)
    return [Sign("bad", title, words, link, _("What to do"))]
