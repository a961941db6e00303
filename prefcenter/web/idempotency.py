"""The same write twice: `Idempotency-Key` (an IETF draft's header) gives the first answer again.

The answer is stored in the transaction that does what was asked, so both are there or none is. Of
two copies at once one waits for the other. A refusal is not stored, because it changed nothing:
what was wrong can be mended and sent with the same key.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, current_app, request

from prefcenter import clock, config, phone
from prefcenter.database import db, execute, hold, read
from prefcenter.models_calls import AnsweredCall
from prefcenter.web import api_spec, guards
from prefcenter.web.errors import Problem

HEADER, REPLAYED = "Idempotency-Key", "Idempotent-Replayed"
KEPT_FOR = timedelta(hours=48)
_SWEPT_AT_ONCE = 20  # a call stores one and drops some, so that old ones cannot pile up
_SAID = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?\Z")
_NUMBER = re.compile(r"\+\d{7,15}")

_calls = AnsweredCall.__table__.c
_FOUND = sa.select(_calls.id, _calls.request_sha256, _calls.status, _calls.body, _calls.at).where(
    _calls.api_key_id == sa.bindparam("key"),
    _calls.key_sha256.in_(sa.bindparam("names", expanding=True)),
)
_DROP = sa.delete(AnsweredCall).where(_calls.id == sa.bindparam("gone"))
_OLD = (
    sa.select(_calls.id)
    .where(_calls.at < sa.bindparam("before"))
    .order_by(_calls.at)
    .limit(_SWEPT_AT_ONCE)
    .with_for_update(skip_locked=True)  # another call may sweep at the same time
)


def init_app(app: Flask) -> None:
    """Look for an earlier answer before a view looks at anything.

    What has changed since must not turn a call that was done into a refusal. For the blueprints
    of all calls that take the header, after their guards.
    """
    takes = {
        endpoint.rpartition(".")[0]
        for endpoint, view in app.view_functions.items()
        if (call := api_spec.call_of(view)) and call.idempotent
    }
    for blueprint in takes:
        app.before_request_funcs[blueprint].append(_before)


def _before() -> Response | None:
    if HEADER not in request.headers:
        return None
    call = api_spec.call_of(current_app.view_functions[request.endpoint or ""])
    said = _said() if call and call.idempotent else None
    if said is None or (call and call.judged_anew):
        return None
    rows = read(_FOUND, _values(said))
    return _again(rows[0]) if rows and rows[0].at > clock.now() - KEPT_FOR else None


def earlier(kept_for: timedelta = KEPT_FOR) -> Response | None:
    """The answer that this key and call had before; None for a first time, or without the header.

    Asked for right after the write began, so that of two copies at once one waits for the other.
    One older than `kept_for` is forgotten. Raises Problem for a key that cannot be, and for one
    that came with another call.
    """
    said = _said()
    if said is None:
        return None
    hold(f"call {guards.api_key().id} {_hidden(said)[-1]}")
    row = execute(_FOUND, _values(said)).first()
    if row is None or row.at > clock.now() - kept_for:
        return _again(row) if row else None
    execute(_DROP, {"gone": row.id})
    return None


def _values(said: str) -> dict[str, Any]:
    return {"key": guards.api_key().id, "names": _hidden(said)}


def _again(row: sa.Row[Any]) -> Response:
    if row.request_sha256 not in _hidden(_asked()):
        raise Problem(
            422,
            "This Idempotency-Key was used for something else",
            f"Send a new {HEADER} for a new thing to be done.",
        )
    return Response(row.body, row.status, headers={REPLAYED: "true"}, mimetype="application/json")


def keep(response: Response) -> Response:
    """Store the answer in the transaction that is open, and give it back. Never commits.

    Raises ValueError for an answer with a number in it: those are not kept (SEC-7).
    """
    said = _said()
    if said is None:
        return response
    body = response.get_data(as_text=True)
    if _NUMBER.search(body):
        raise ValueError("an answer that is kept must hold no number")
    now = clock.now()
    _sweep(now - KEPT_FOR)
    db.session.add(
        AnsweredCall(
            api_key_id=guards.api_key().id,
            key_sha256=_hidden(said)[0],
            request_sha256=_hidden(_asked())[0],
            status=response.status_code,
            body=body,
            at=now,
        )
    )
    return response


def _said() -> str | None:
    """The key, as it was sent. Raises Problem for one that cannot be."""
    said = request.headers.get(HEADER)
    if said is None or _SAID.match(said):
        return said
    raise Problem(
        400,
        f"This {HEADER} cannot be",
        f"Send 1 to 255 printable ASCII characters as {HEADER}, such as a random UUID.",
    )


def _asked() -> str:
    body = request.get_data(as_text=True)
    return f"{request.method} {request.full_path} {body}"


def _hidden(text: str) -> list[str]:
    """Keyed hashes, the newest key's first: people's numbers stand in calls (RULE-42)."""
    return [phone.pseudonym(f"call {text}", key) for key in config.current().pseudonym_keys]


def _sweep(before: datetime) -> None:
    old = execute(_OLD, {"before": before}).scalars().all()
    if old:
        execute(_DROP, [{"gone": row} for row in old])
