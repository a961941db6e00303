"""The admin log in words: what was done, to what, and what it changed.

Entries hold no number and no secret, but a reason is free text: what looks like a number in it
is masked like everywhere else (SEC-44).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from prefcenter import phone
from prefcenter.models_staff import Role
from prefcenter.staff import activity
from prefcenter.staff.activity import Entry
from prefcenter.web import guards

_LONGEST = 300
_NO_NUMBERS = ("until", "at", "sha256", "receipt")  # of ours, whatever they look like
_SHOWN, _LOOKED_AT = 10, 100  # of what was done to one thing; the log itself has all

ACTIONS = {
    "signed_in": _l("Signed in"),
    "sign_in_failed": _l("Could not sign in"),
    "signed_out": _l("Signed out"),
    "password_changed": _l("Changed the password"),
    "second_factor_on": _l("Turned the second factor on"),
    "second_factor_off": _l("Turned the second factor off"),
    "password_reset": _l("Gave somebody a one-time password"),
    "recovery_code_used": _l("Used a recovery code"),
    "recovery_codes_made": _l("Made new recovery codes"),
    "account_changed": _l("Changed their own account"),
    "staff_added": _l("Added a person to the staff"),
    "staff_changed": _l("Changed somebody of the staff"),
    "staff_disabled": _l("Shut out somebody of the staff"),
    "staff_enabled": _l("Let somebody of the staff in again"),
    "number_shown": _l("Showed a whole number"),
    "number_searched": _l("Looked for a number"),
    "person_revoked": _l("Recorded that somebody stopped"),
    "link_sent": _l("Sent a link to somebody"),
    "number_reassigned": _l("Noted a new owner of a number"),
    "deliverability_corrected": _l("Corrected whether texts arrive"),
    "person_erased": _l("Erased somebody"),
    "certificate_taken": _l("Took a certificate of consent"),
    "history_exported": _l("Exported the history"),
    "record_exported": _l("Exported one person's record"),
    "audience_exported": _l("Exported the audience"),
    "suppressions_exported": _l("Exported the numbers that get nothing"),
    "ledger_exported": _l("Exported the ledger"),
    "review_closed": _l("Closed a review"),
    "review_restored": _l("Turned texts on again after a review"),
    "category_added": _l("Added a category"),
    "category_changed": _l("Changed a category"),
    "category_moved": _l("Moved a category"),
    "category_retired": _l("Retired a category"),
    "category_restored": _l("Brought a category back"),
    "site_added": _l("Added a site"),
    "site_changed": _l("Changed a site"),
    "site_disabled": _l("Turned a site off"),
    "site_enabled": _l("Turned a site on"),
    "site_rotated": _l("Gave a site a new key"),
    "text_changed": _l("Changed a text"),
    "wording_changed": _l("Changed the wording of consent"),
    "campaign_noted": _l("Noted what is registered for 10DLC"),
    "key_added": _l("Made an API key"),
    "key_revoked": _l("Revoked an API key"),
    "webhook_added": _l("Added a webhook"),
    "webhook_disabled": _l("Turned a webhook off"),
    "webhook_enabled": _l("Turned a webhook on"),
    "webhook_rotated": _l("Gave a webhook a new secret"),
    "webhook_replayed": _l("Had a webhook told again"),
    "webhook_tested": _l("Tried a webhook"),
    "breaker_closed": _l("Closed a breaker"),
    "alarm_acknowledged": _l("Acknowledged an alarm"),
}
_FIELDS = {
    "name": _l("Name"),
    "description": _l("Description"),
    "public": _l("Public"),
    "transactional": _l("Not advertising"),
    "age_gate": _l("Age"),
    "position": _l("Place"),
    "people": _l("People"),
    "origins": _l("Websites"),
    "categories": _l("Categories"),
    "language": _l("Language"),
    "country": _l("Country"),
    "color": _l("Colour"),
    "color_dark": _l("Colour on dark pages"),
    "logo": _l("Logo"),
    "daily_budget": _l("Texts a day"),
    "about": _l("What is texted"),
    "key": _l("Key"),
    "until": _l("Until"),
    "scopes": _l("What it may do"),
    "role": _l("Role"),
    "rows": _l("Rows"),
    "by": _l("By"),
    "left": _l("Left"),
    "zone": _l("Time zone"),
    "shortcuts": _l("Single keys as shortcuts"),
}


@dataclass(frozen=True, slots=True)
class Detail:
    """A fact of an entry; with `changed` it went from one value to another."""

    name: str
    after: str
    before: str = ""
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as a page shows it. `link` leads to what it is about, if that can be looked at."""

    id: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    link: str
    reason: str
    details: list[Detail]


def told(entries: Iterable[Entry]) -> list[Line]:
    return [
        Line(
            id=entry.id,
            at=entry.at,
            who=entry.staff_name,
            role=entry.role,
            action=name(entry.action),
            subject=phone.mask_within(entry.subject),
            link=_link(entry.action, entry.subject),
            reason=phone.mask_within(entry.reason),
            details=_details(entry.details),
        )
        for entry in entries
    ]


def about(subject: str, kind: str) -> list[Line]:
    """What was done to one thing, newest first; `kind` is how the names of its actions begin."""
    entries = activity.newest(subject=subject, limit=_LOOKED_AT).entries
    return told([entry for entry in entries if entry.action.startswith(kind)][:_SHOWN])


def name(action: str) -> str:
    """An action in words; one that this page does not know as it is written."""
    return str(ACTIONS.get(action) or action.replace("_", " ").capitalize())


def _details(details: Mapping[str, Any]) -> list[Detail]:
    found = []
    for key, value in details.items():
        if isinstance(value, list) and len(value) == 2 and not _is_names(key, value):
            before, after = (_said(key, one) for one in value)
            found.append(Detail(_field(key), after, before, changed=True))
        else:
            found.append(Detail(_field(key), _said(key, value)))
    return found


def _is_names(key: str, value: list[Any]) -> bool:
    """Two scopes, not a change from one to the other."""
    return key == "scopes" and all(isinstance(one, str) for one in value)


def _field(key: str) -> str:
    """A field in words, `name in es` too."""
    field, _in, language = key.partition(" in ")
    words = str(_FIELDS.get(field) or field.replace("_", " "))
    return f"{words} ({language})" if language else words


def _said(key: str, value: object) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        text = ", ".join(_said(key, one) for one in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{_field(str(name))}: {_said(key, one)}" for name, one in value.items())
    else:
        text = str(value)
    text = text if key in _NO_NUMBERS else phone.mask_within(text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


_OF_PEOPLE = (
    *("person_", "number_shown", "number_reassigned", "link_sent", "deliverability_"),
    *("certificate_", "record_exported"),
)


def _link(action: str, subject: str) -> str:
    """Where what it is about can be looked at, by somebody of the reader's role."""
    may = guards.staff().may
    if not subject:
        return ""
    if action.startswith("category_"):
        return url_for("admin_categories.categories") + f"#{subject}"
    if action.startswith("site_"):
        return url_for("admin_sites.site", slug=subject)
    if action.startswith(_OF_PEOPLE) and _is_public_id(subject):
        return url_for("admin_people.person", public_id=subject)
    if action.startswith("key_") and may(Role.OWNER):
        return url_for("admin_keys.keys")
    if action.startswith("webhook_") and may(Role.OWNER) and _is_public_id(subject):
        return url_for("admin_webhooks.webhook", public_id=subject)
    if action.startswith("staff_") and may(Role.OWNER):
        return url_for("admin_staff.staff")
    return ""


def _is_public_id(subject: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_-]{22}", subject) is not None
