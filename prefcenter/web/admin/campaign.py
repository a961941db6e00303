"""What to register with the carriers for a 10DLC campaign, and whether it is so (RULE-56)."""

from dataclasses import dataclass

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response as BaseResponse

from prefcenter import clock, config
from prefcenter.consent import campaign as rules
from prefcenter.consent import catalog, sites
from prefcenter.database import db
from prefcenter.models_staff import Role
from prefcenter.sms import own_texts, versions
from prefcenter.sms.versions import Overtaken
from prefcenter.staff import activity
from prefcenter.web import guards
from prefcenter.web.admin import shell, text_check

bp = Blueprint("admin_campaign", __name__, url_prefix="/admin")

_LONGEST = 4096  # of what somebody pastes
_NAMES = {
    "messageFlow": _l("Call to action: how people opt in"),
    "optinKeywords": _l("Opt-in keywords"),
    "optinMessage": _l("Opt-in message"),
    "optoutKeywords": _l("Opt-out keywords"),
    "optoutMessage": _l("Opt-out message"),
    "helpKeywords": _l("Help keywords"),
    "helpMessage": _l("Help message"),
    "sample1": _l("Sample message 1"),
    "sample2": _l("Sample message 2"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the registration form: what to say there, and what is said there."""

    name: str
    label: str
    ours: str
    theirs: str
    least: int
    most: int
    same: bool

    @property
    def fits(self) -> bool:
        return self.least <= len(self.ours) <= self.most

    @property
    def rows(self) -> int:
        """Lines of the box, so that all of it is seen."""
        return len(self.ours) // 40 + 2

    @property
    def changes(self) -> list[tuple[str, str]]:
        """From what is registered to what we use; keywords one by one, whatever their order."""
        if not self.name.endswith("Keywords"):
            return text_check.difference(self.theirs, self.ours)
        old, new = (_words(value) for value in (self.theirs, self.ours))
        gone = [("gone", word + " ") for word in old if word not in new]
        return [*gone, *(("same" if word in old else "new", word + " ") for word in new)]


@bp.get("/campaign")
@guards.role(Role.VIEWER)
def campaign() -> Response:
    """Each field ready to copy, and a warning where something else is registered."""
    return _page(rules.registered())


@bp.post("/campaign")
@guards.role(Role.EDITOR)
def note() -> BaseResponse:
    """Keep what was pasted as what is registered."""
    return _noted({name: own_texts.clean(_pasted(name)) for name in rules.LIMITS})


@bp.post("/campaign/as-used")
@guards.role(Role.EDITOR)
def as_used() -> BaseResponse:
    """Note that everything is registered just as we use it now."""
    return _noted(rules.fields())


def _noted(values: dict[str, str]) -> BaseResponse:
    guards.begin_staff_write()
    worker, now = guards.staff(), clock.now()
    after = request.form.get("after", default=0, type=int)
    before = rules.registered()
    if values == before:
        return shell.done(url_for(".campaign"), _("Nothing was changed."))
    try:
        number = rules.note(values, after=after, by=worker.name, now=now)
    except Overtaken:
        return _page(values, status=409)
    changed = sorted(name for name in values if values[name] != before[name])
    details = {"version": [number - 1, number], "fields": changed}
    activity.record(worker, "campaign_noted", details=details, now=now)
    db.session.commit()
    return shell.done(url_for(".campaign"), _("Noted as registered."))


def _page(theirs: dict[str, str], *, status: int = 200) -> Response:
    versions.refresh()
    newest = rules.newest_note()
    found = [_field(name, ours, theirs[name]) for name, ours in rules.fields().items()]
    return shell.render(
        "admin/campaign.html",
        status=status,
        fields=found,
        differ=[field for field in found if newest and not field.same],
        newest=newest,
        overtaken=status == 409,
        places=_places(),
        age_gated=any(kind.age_gate for kind in catalog.every()),
    )


def _field(name: str, ours: str, theirs: str) -> Field:
    least, most = rules.LIMITS[name]
    return Field(
        name=name,
        label=str(_NAMES[name]),
        ours=ours,
        theirs=theirs,
        least=least,
        most=most,
        same=rules.is_same(name, ours, theirs),
    )


def _places() -> list[tuple[str, str]]:
    """Addresses that a reviewer may open: where people sign up, and the two documents."""
    settings = config.current()
    here = settings.public_url
    return [
        (_("Sign-up page"), f"{here}/"),
        *((site.name, f"{here}/w/{site.key}") for site in sites.every() if not site.disabled_at),
        (_("Terms"), settings.terms_url or f"{here}/terms"),
        (_("Privacy policy"), settings.privacy_url or f"{here}/privacy"),
    ]


def _pasted(name: str) -> str:
    return request.form.get(name, "")[:_LONGEST]


def _words(value: str) -> list[str]:
    return [word.strip().upper() for word in value.split(",") if word.strip()]
