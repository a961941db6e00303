"""What somebody must look at: alarms and open breakers, what they mean, and saying it was done."""

from collections.abc import Mapping
from types import MappingProxyType

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock
from prefcenter.consent import breaker, sites
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.sms import alarms as rules
from prefcenter.staff import activity
from prefcenter.web import guards
from prefcenter.web.admin import breakers, shell, typed

bp = Blueprint("admin_alarms", __name__, url_prefix="/admin")

_LONGEST_REASON = 200
# By name: what it is, and what to do. What a program wrote stands on the page besides.
MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        rules.SENDING_PAUSED: (
            _l("Sending is paused"),
            _l(
                "Vonage refuses our texts for a reason that waiting does not cure, such as the"
                " account's balance or its key. Put that right in Vonage's dashboard. Nothing is"
                " lost: texts wait until they are too old to be of use."
            ),
        ),
        rules.MISSED_TEXTS: (
            _l("We may have missed texts from people"),
            _l(
                "Nobody could text us for longer than Vonage tries again, so a STOP may be lost."
                " Look in Vonage's dashboard for texts that came in meanwhile, and record each"
                " STOP by hand on the page of its number."
            ),
        ),
        rules.REFUSED_WEBHOOKS: (
            _l("Webhooks are refused"),
            _l(
                "Their signature, account or application is not ours; there may be a STOP among"
                " them. Compare the settings for Vonage with its dashboard. If strangers post"
                " them, acknowledge the alarm."
            ),
        ),
        rules.UNSIGNED_WEBHOOKS: (
            _l("Webhooks come without a signature"),
            _l(
                "In Vonage's API settings choose the Messages API, switch signed webhooks on and"
                " link the number to the application. If strangers post them, acknowledge the"
                " alarm."
            ),
        ),
        rules.WEBHOOK_CLOCK: (
            _l("This machine's clock is slow"),
            _l(
                "Webhooks are dated more than five minutes ahead of it and wait. Put the clock"
                " right within a day, because then Vonage gives up."
            ),
        ),
        rules.UNREADABLE: (
            _l("Vonage sent something unreadable"),
            _l(
                "It is kept as it came. Whoever runs the server looks at it with `prefcenter"
                " unreadable list`. To acknowledge the alarm says that all of them were seen."
            ),
        ),
        rules.TEXT_NOT_WORKED: (
            _l("A text that came in could not be worked"),
            _l(
                "Nothing is sent to its number meanwhile. The log of the sender says why; it is"
                " tried again when the sender starts anew."
            ),
        ),
        rules.WRONG_KEYS: (
            _l("Somebody guesses API keys"),
            _l(
                "Many keys that are none of ours came from one address, which has to wait now. If"
                " it is a program of yours with a former key, give it a new one."
            ),
        ),
        rules.UNKNOWN_NUMBERS: (
            _l("An API key asks about very many unknown numbers"),
            _l(
                "It may be a search for who is a customer, so that key has to wait now. Ask whoever"
                " uses it, and revoke it if nobody can say why."
            ),
        ),
        rules.NOTICES: (
            _l("A program was not told of changes"),
            _l(
                "It did not take them for days, or wants no more. The page of outgoing webhooks"
                " says which and why. The alarm ends when nothing is left to be told again."
            ),
        ),
        rules.BREAKER: (
            _l("A breaker is open"),
            _l(
                "Hardly anybody confirms in one place, so nothing more is sent there. Look at who"
                " signs up, then close the breaker above; the alarm ends with the last one."
            ),
        ),
    }
)


@bp.get("/alarms")
@guards.role(Role.VIEWER)
def alarms() -> Response:
    return _page()


@bp.post("/alarms/<name>/acknowledge")
@guards.role(Role.EDITOR)
def acknowledge(name: str) -> BaseResponse:
    """Somebody has looked at it. It comes back when its cause does."""
    guards.begin_staff_write()
    now, reason = clock.now(), typed.text("reason")
    if name not in {alarm.name for alarm in rules.current()}:
        return shell.done(url_for(".alarms"), _("That alarm is over already."))
    if name == rules.BREAKER and breaker.open_now(now=now):
        return shell.done(url_for(".alarms"), _("It ends when its breakers are closed."))
    if fault := _reason_fault(reason):
        return _page(fault=fault, reasons={name: reason})
    rules.acknowledge(name, now=now)
    activity.record(guards.staff(), "alarm_acknowledged", subject=name, reason=reason, now=now)
    db.session.commit()
    return shell.done(url_for(".alarms"), _("The alarm has ended."))


@bp.post("/breakers/<int:breaker_id>/close")
@guards.role(Role.EDITOR)
def close(breaker_id: int) -> BaseResponse:
    """Let texts go there again; counting begins anew."""
    guards.begin_staff_write()
    now, reason = clock.now(), typed.text("reason")
    found = breaker.find(breaker_id, now=now)
    if found is None:
        return shell.done(_back(), _("That breaker is closed already."))
    if fault := _reason_fault(reason):
        return _page(fault=fault, reasons={breaker_id: reason})
    breaker.close(found, guards.staff().name, now=now)
    activity.record(
        *(guards.staff(), "breaker_closed"),
        subject=str(breaker_id),
        reason=reason,
        details={"where": found.label},
        now=now,
    )
    db.session.commit()
    return shell.done(_back(), _("The breaker is closed. Counting begins anew."))


def _page(*, fault: str = "", reasons: Mapping[str | int, str] | None = None) -> Response:
    """`fault` is what is wrong with the reason that was typed for one of them."""
    return shell.render(
        "admin/alarms.html",
        status=422 if fault else 200,
        alarms=rules.current(),
        meanings=MEANINGS,
        breakers=breakers.open_ones(now=clock.now()),
        fault=fault,
        reasons=reasons or {},
    )


def _reason_fault(reason: str) -> str:
    if reason and len(reason) <= _LONGEST_REASON:
        return ""
    words: str = _("Say in a few words what you saw; at most 200 characters.")
    return words


def _back() -> str:
    """The page that the button stood on: that of a site, or all alarms."""
    slug = typed.text("back")
    try:
        return url_for("admin_sites.site", slug=sites.by_slug(slug).slug)
    except ValueError:
        return url_for(".alarms")
