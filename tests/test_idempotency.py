"""`Idempotency-Key`: a write that was sent twice is done once, and answered twice alike."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from prefcenter import config, phone
from prefcenter.consent import api_keys, signup, sites
from prefcenter.database import db, writing
from prefcenter.models import Signup
from prefcenter.models_calls import AnsweredCall
from prefcenter.web import api, api_spec, guards, idempotency
from prefcenter.web.api_spec import Call
from tests import programs
from tests.cast import ALICE, Town, rows
from tests.conftest import Clock
from tests.programs import View, World

KEY = "6f1c0f6e-2f0a-4c55-9b0e-0d9a54f9a7c1"
WRITES = {
    name: view
    for name, view in programs.views().items()
    if api_spec.call_of(view).idempotent  # type: ignore[union-attr]  # they all have one
}
by_write = pytest.mark.parametrize("view", WRITES.values(), ids=WRITES)


@pytest.fixture
def world(town: Town, app: Flask, now: Clock) -> World:
    now.moment += programs.noon()
    return programs.world(town, app)


def hand_in(world: World, key: str | None = KEY, **changes: Any) -> TestResponse:
    """The shop hands a form in, by default with the key."""
    call = api_spec.call_of(api.opt_in)
    assert call is not None
    body = world.real(next(iter(call.asks.values()))) | changes
    headers = {} if key is None else {idempotency.HEADER: key}
    rule = programs.rule_of(api.opt_in, world.app)
    return world.send(rule, json.dumps(body), headers=headers)


def stored() -> list[AnsweredCall]:
    db.session.rollback()
    return list(db.session.scalars(sa.select(AnsweredCall).order_by(AnsweredCall.id)))


def forms() -> int:
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(Signup)) or 0


# --- every call that takes it


def test_every_write_takes_it(app: Flask) -> None:
    """What a key of the scope write may do, it may try again."""
    takes = {rule.endpoint for rule, call in programs.described(app) if call.idempotent}
    writes = {
        rule.endpoint
        for rule, _call in programs.described(app)
        if guards.scope_of(app, rule.endpoint) in ("write", "attest")
    }
    assert takes >= writes


def written(call: Call) -> Any:
    """The example that writes: of decisions the one that reserves a text."""
    return next((ask for ask in call.asks.values() if ask.get("reserve")), first(call))


def first(call: Call) -> Any:
    return next(iter(call.asks.values()))


@by_write
def test_twice_is_done_once_and_answered_alike(world: World, view: View) -> None:
    call, rule = api_spec.call_of(view), programs.rule_of(view, world.app)
    assert call is not None
    path = world.path(rule)
    body = json.dumps(world.real(written(call))) if call.body else None
    headers = {idempotency.HEADER: KEY}
    first = world.send(rule, body, path=path, headers=headers)
    assert first.status_code == call.status, first.text
    assert idempotency.REPLAYED not in first.headers
    before = rows()
    again = world.send(rule, body, path=path, headers=headers)
    assert (again.status_code, again.data, again.mimetype) == (
        first.status_code,
        first.data,
        first.mimetype,
    )
    assert again.headers[idempotency.REPLAYED] == "true"
    assert again.headers["Cache-Control"] == "no-store"
    assert rows() == before, "the second one did something"


# --- what it is


def test_without_the_header_everything_is_done_each_time(world: World) -> None:
    hand_in(world, None)
    hand_in(world, None)
    assert (forms(), stored()) == (2, [])


def test_another_key_is_another_call(world: World) -> None:
    hand_in(world)
    hand_in(world, "another")
    assert (forms(), len(stored())) == (2, 2)


def test_the_same_key_for_something_else_is_422(world: World) -> None:
    hand_in(world)
    before = rows()
    answer = hand_in(world, button="Buy")
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert "Idempotency-Key" in answer.get_json()["detail"]
    assert rows() == before


def test_two_programs_may_choose_the_same_key(world: World, town: Town) -> None:
    """Mallory, who has a key of her own, cannot read Bob's answer or block him by guessing it."""
    hand_in(world)
    with writing():
        world.keys["write"] = api_keys.make("mallory", ["write"], now=town.now())
        db.session.commit()
    answer = hand_in(world)
    assert idempotency.REPLAYED not in answer.headers
    assert forms() == 2


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "naïve", "a\tb", "\x7f"])
def test_a_key_that_cannot_be_is_400_and_nothing_is_done(world: World, key: str) -> None:
    before = rows()
    answer = hand_in(world, key)
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert "255" in answer.get_json()["detail"]
    assert rows() == before


@pytest.mark.parametrize("key", ["x", "x" * 255, f'"{KEY}"', "a b", "~!"])
def test_any_printable_key_will_do(world: World, key: str) -> None:
    assert hand_in(world, key).status_code == 202
    assert hand_in(world, key).headers[idempotency.REPLAYED] == "true"


def test_a_refusal_is_not_kept(world: World) -> None:
    """What was wrong can be mended and sent with the same key."""
    assert hand_in(world, number="12").status_code == 422
    assert stored() == []
    answer = hand_in(world)
    assert answer.status_code == 202 and idempotency.REPLAYED not in answer.headers


def test_what_has_changed_since_does_not_refuse_a_call_that_was_done(world: World) -> None:
    """The text is another by now, so a new form would be 409; this one was taken in already."""
    hand_in(world)
    with writing():
        about = {"en": "sales only", "es": "solo rebajas"}
        sites.change(sites.by_slug("web-shop"), about=about)
        db.session.commit()
    assert hand_in(world, "new").status_code == 409
    again = hand_in(world)
    assert (again.status_code, again.headers[idempotency.REPLAYED]) == (202, "true")
    assert hand_in(world, button="Buy").status_code == 422, "and this is something else"


def test_a_storage_fault_keeps_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is stored with what it tells of, or not at all (REL-16)."""

    def broken(*_args: object, **_named: object) -> None:
        raise sa.exc.OperationalError("INSERT", None, Exception("disk full"))

    before = rows()
    with monkeypatch.context() as trouble:
        trouble.setattr(signup, "receive", broken)
        assert hand_in(world).status_code == 503
    assert rows() == before
    assert idempotency.REPLAYED not in hand_in(world).headers
    assert forms() == 1


# --- what is kept, and how long


def test_neither_numbers_nor_keys_are_readable_in_what_is_kept(world: World) -> None:
    """RULE-42: a call about a number is a number's hash, and as few could be guessed."""
    hand_in(world, ALICE)
    [row] = stored()
    kept = " ".join(map(str, (row.key_sha256, row.request_sha256, row.body)))
    assert ALICE not in kept
    secret = config.current().pseudonym_keys[0]
    assert row.key_sha256 == phone.pseudonym(f"call {ALICE}", secret)
    assert json.loads(row.body) == {"status": "accepted"}


def test_an_answer_with_a_number_is_never_kept(app: Flask, world: World) -> None:
    """SEC-7: who writes such a call notices at once."""
    with app.test_request_context(headers={idempotency.HEADER: KEY}):
        answer = Response(json.dumps({"number": ALICE}))
        with pytest.raises(ValueError, match="no number"):
            idempotency.keep(answer)


def test_after_two_days_it_is_a_new_call(world: World, now: Clock) -> None:
    hand_in(world)
    now.forward(hours=47, minutes=59)
    assert idempotency.REPLAYED in hand_in(world).headers
    now.forward(minutes=1)
    assert idempotency.REPLAYED not in hand_in(world).headers
    assert (forms(), len(stored())) == (2, 1)


def test_old_ones_go_in_small_portions(world: World, now: Clock) -> None:
    hand_in(world)
    [row] = stored()
    with writing():
        for number in range(50):
            values = {"key_sha256": f"old {number}", "at": now.now() - timedelta(days=3)}
            db.session.execute(
                sa.insert(AnsweredCall).values(
                    api_key_id=row.api_key_id, request_sha256="", status=202, body="{}", **values
                )
            )
        db.session.commit()
    counts = []
    for number in range(4):
        hand_in(world, f"new {number}")
        counts.append(sum(row.key_sha256.startswith("old") for row in stored()))
    assert counts == [30, 10, 0, 0]


def test_a_new_pseudonym_key_keeps_what_is_known(
    world: World, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULE-42: the keys are a list, the newest first."""
    hand_in(world)
    settings = config.current()
    object.__setattr__(settings, "pseudonym_keys", ("n" * 64, *settings.pseudonym_keys))
    assert idempotency.REPLAYED in hand_in(world).headers


# --- at once


def at_once(app: Flask, many: int, work: Callable[[], TestResponse]) -> list[TestResponse]:
    """The same in several threads, each with its own session, begun together."""
    ready, answers = threading.Barrier(many), []
    lock = threading.Lock()

    def run() -> None:
        ready.wait(timeout=20)
        answer = work()
        with lock:
            answers.append(answer)

    threads = [threading.Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def test_of_eight_at_once_one_is_done(world: World, app: Flask) -> None:
    """Each waits for the one before, and gets its answer."""
    call = api_spec.call_of(api.opt_in)
    assert call is not None
    body = json.dumps(world.real(next(iter(call.asks.values()))))
    headers = {"Authorization": f"Bearer {world.keys['write']}", idempotency.HEADER: KEY}
    db.session.rollback()

    def work() -> TestResponse:
        return FlaskClient(app, app.response_class).post(
            "/api/v1/opt-ins",
            data=body,
            content_type="application/json",
            headers=headers,
            base_url="http://prefs.test",
        )

    answers = at_once(app, 8, work)
    assert [answer.status_code for answer in answers] == [202] * 8
    assert len({answer.data for answer in answers}) == 1
    done = [answer for answer in answers if idempotency.REPLAYED not in answer.headers]
    assert len(done) == 1
    assert (forms(), len(stored())) == (1, 1)
