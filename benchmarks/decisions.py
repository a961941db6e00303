"""May this number be texted about this? One number and ten thousand, a thousand people and a
million, over HTTP of two granian processes as `prefcenter serve` runs them.

Measured in turns against the same servers of Flask and JSON alone, and of one query with the bare
driver (apps.py). Half of the numbers are unknown, the others in every state; each round asks
about other ones. By day most who take offers are allowed, at night their answer is a delay.
"""

import json
import random
import secrets
import statistics
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask

from benchmarks import apps, places, servers, stories
from benchmarks.pages import cpu_per_request, figures, line
from benchmarks.places import Place
from benchmarks.servers import Server
from prefcenter import clock, config, create_app
from prefcenter.consent import api_keys
from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import Person, Status
from prefcenter.models_sending import Reservation
from tests import postgres
from tests.decision_load import MOST_NUMBERS, OFFERS, UNLIMITED, by_day, by_night

FEW = 1_000  # people, to compare with
_SINGLES, _BULKS = 4_000, 6  # questions of one round; they go round
_CALLERS = 4  # who ask about ten thousand at once
_TOOL = "benchmark"  # whose reservations are in the database
_SENT_AGO = (timedelta(days=1), timedelta(days=9), timedelta(days=20))
PATH, _HELLO, _RAW, _SAME = "/api/v1/decisions", "/hello", "/raw", "/same"
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Deployment:
    """One filled database, and how a program asks about the people in it."""

    people: int
    env: dict[str, str]
    key: str

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}

    def singles(self, turn: int, at: str, path: str = PATH) -> list[str]:
        numbers = asked_about(self.people, _SINGLES, turn)
        bodies = [json.dumps({"number": number, **OFFERS, "at": at}) for number in numbers]
        return [servers.post(path, body, self.headers()) for body in bodies]

    def bulks(self, turn: int, at: str, path: str = PATH) -> list[str]:
        bodies = [
            json.dumps({"numbers": self.many(turn * _BULKS + part), **OFFERS, "at": at})
            for part in range(_BULKS)
        ]
        return [servers.post(path, body, self.headers()) for body in bodies]

    def many(self, turn: int) -> list[str]:
        return asked_about(self.people, MOST_NUMBERS, turn)


@dataclass(frozen=True, slots=True)
class Round:
    """What each kind of question cost, one after the other."""

    hello: Figures
    raw: Figures
    one: Figures
    one_of_few: Figures
    night: Figures
    same: Figures
    raw_many: Figures
    many: Figures
    many_at_night: Figures


def measure(people: int, database: str, rounds: int, keep: Path | None) -> Iterator[str]:
    """Every figure, as lines for people to read, each as soon as it is known."""
    for name in places.named(database):
        try:
            with places.on(name, keep) as place:
                yield from _on(name, place, people, rounds)
        except postgres.Unavailable as error:
            yield f"SKIP the same on {name}: {error}"


def asked_about(people: int, count: int, turn: int) -> list[str]:
    """Numbers of anybody: half of them signed up here once."""
    rng = random.Random(turn)
    return [stories.phone_of(rng.randrange(2 * people)) for _ in range(count)]


def _on(name: str, place: Place, people: int, rounds: int) -> Iterator[str]:
    found = []
    for count in (FEW, people):
        env, seconds = place(count)
        events = count * stories.EVENTS_EACH
        how = f"loaded in {seconds:.0f} s" if seconds else "there already"
        yield f"  {name}: {count:,} people, {events:,} events, {how}"
        app = create_app(config.read(env), serving=False)
        found.append(Deployment(count, env | UNLIMITED, prepared(app, now=clock.now())))
    rows = []
    with ExitStack() as stack:
        few, all_ = (
            stack.enter_context(servers.serving("product", one.env, "/healthz")) for one in found
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        by_light = _answers(all_, found[1], by_day(clock.now()))
        at_night = _answers(all_, found[1], by_night(clock.now()))
        yield f"  {name}: by day {_mix(by_light)}; at night {_mix(at_night)}"
        file = folder / "answers.json"
        file.write_text(json.dumps(by_light))
        floor = stack.enter_context(
            servers.serving("answers", found[1].env | {apps.ANSWERS: str(file)}, _HELLO)
        )
        for turn in range(rounds + 1):
            row = _round(found, [few, all_], floor, turn)
            if turn:  # the first round warms all up
                rows.append(row)
    yield from told(name, rows, people)


def prepared(app: Flask, *, now: datetime) -> str:
    """Give every tenth subscriber texts that count, one to three; the secret of a new key."""
    held = Reservation.__table__.c
    person = Person.__table__.c
    with app.app_context(), writing():
        db.session.execute(sa.delete(Reservation).where(Reservation.api_key == _TOOL))
        for turn, ago in enumerate(_SENT_AGO):
            public_id = sa.literal(f"{turn}-") + sa.cast(person.id, sa.String)
            when = sa.literal(now - ago, held.at.type)
            columns = (held.public_id, held.person_id, held.category, held.api_key)
            times = (held.at, held.expires_at, held.sent_at)
            chosen = (person.id % 10 == 0, person.id // 10 % len(_SENT_AGO) >= turn)
            rows = sa.select(
                public_id, person.id, sa.literal("offers"), sa.literal(_TOOL), when, when, when
            ).where(person.status == Status.SUBSCRIBED, *chosen)
            db.session.execute(sa.insert(Reservation).from_select([*columns, *times], rows))
        secret = api_keys.make(f"{_TOOL}-{secrets.token_hex(4)}", ("decide",), now=now)
        if is_postgresql():
            db.session.execute(sa.text("ANALYZE reservation"))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
    return secret


def _answers(server: Server, one: Deployment, at: str) -> list[dict[str, Any]]:
    """What is said of ten thousand numbers. Raises RuntimeError when nobody is allowed by day."""
    body = json.dumps({"numbers": one.many(0), **OFFERS, "at": at}).encode()
    url = f"http://127.0.0.1:{server.port}{PATH}"
    with urllib.request.urlopen(urllib.request.Request(url, body, one.headers())) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())
    if {said["decision"] for said in found} == {"deny"}:
        raise RuntimeError("nobody may be texted, so there is nothing to measure")
    return found


def _mix(answers: Sequence[dict[str, Any]]) -> str:
    count = Counter(said["decision"] for said in answers)
    return ", ".join(f"{word} {count[word]:,}" for word in ("allow", "delay", "deny"))


def _round(found: list[Deployment], asked: list[Server], floor: Server, turn: int) -> Round:
    few, all_ = found
    day, night = by_day(clock.now()), by_night(clock.now())
    ones = all_.singles(turn, day)
    return Round(
        hello=cpu_per_request(floor, [servers.get(_HELLO)]),
        raw=cpu_per_request(floor, all_.singles(turn, day, _RAW)),
        one=cpu_per_request(asked[1], ones),
        one_of_few=cpu_per_request(asked[0], few.singles(turn, day)),
        night=cpu_per_request(asked[1], all_.singles(turn, night)),
        same=_many(floor, all_.bulks(turn, day, _SAME)),
        raw_many=_many(floor, all_.bulks(turn, day, _RAW)),
        many=_many(asked[1], all_.bulks(turn, day)),
        many_at_night=_many(asked[1], all_.bulks(turn, night)),
    )


def _many(server: Server, questions: list[str]) -> Figures:
    return cpu_per_request(server, questions, connections=_CALLERS)


def told(name: str, rows: Sequence[Round], people: int) -> Iterator[str]:
    """The bars, then the figures behind them."""
    yield line(
        f"{name}: one decision, the key checked / bare hello, by CPU",
        [row.hello["cpu"] / row.one["cpu"] for row in rows],
        0.5,
    )
    yield line(
        f"{name}: {MOST_NUMBERS:,} numbers / the same JSON without looking, by CPU",
        [row.same["cpu"] / row.many["cpu"] for row in rows],
        0.2,
    )
    yield line(
        f"{name}: a number alone / one of {MOST_NUMBERS:,}, by CPU",
        [row.one["cpu"] * MOST_NUMBERS / row.many["cpu"] for row in rows],
        80,
    )
    yield line(
        f"{name}: one decision among {people:,} people / among {FEW:,}, by CPU",
        [row.one["cpu"] / row.one_of_few["cpu"] for row in rows],
        1.3,
        at_most=True,
    )
    for what, above, below in (
        ("one decision / one query with the bare driver", "raw", "one"),
        ("the same at night", "raw", "night"),
        (f"{MOST_NUMBERS:,} numbers / the same query of all", "raw_many", "many"),
        ("the same at night", "raw_many", "many_at_night"),
    ):
        ratios = [getattr(row, above)["cpu"] / getattr(row, below)["cpu"] for row in rows]
        yield f"       {what}, by CPU: {statistics.median(ratios):.2f}x"
    for what, field in (
        ("hello             ", "hello"),
        ("bare driver, one  ", "raw"),
        ("one decision      ", "one"),
        (f"  of {FEW:,} people ", "one_of_few"),
        ("  at night        ", "night"),
        ("JSON alone        ", "same"),
        ("bare driver, all  ", "raw_many"),
        (f"{MOST_NUMBERS:,} numbers    ", "many"),
        ("  at night        ", "many_at_night"),
    ):
        yield f"  {what} {figures([getattr(row, field) for row in rows])}"
    rate = statistics.median(row.many["rate"] for row in rows) * MOST_NUMBERS
    yield f"  {rate:,.0f} numbers a second in bulk"
    if name == "PostgreSQL":
        yield "       its own CPU is not counted"
