"""What `python -m benchmarks decisions` and `race` count, and that they see a fault."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from benchmarks import apps, decisions, race, seed_history, stories
from benchmarks.decisions import FEW, Deployment, Round
from benchmarks.race import Race, Stops
from prefcenter import config
from prefcenter.database import db
from prefcenter.models import Person, Status
from prefcenter.models_sending import Reservation
from tests.cast import ALICE, BOB, CAROL
from tests.conftest import Browser, Clock
from tests.decision_load import MOST_NUMBERS, OFFERS, by_day, by_night

Answer = dict[str, Any]
YES: Answer = {"decision": "allow", "reason": "subscribed"}
LATER: Answer = {"decision": "delay", "reason": "quiet_hours"}
NO: Answer = {"decision": "deny", "reason": "unsubscribed"}


def a_round(**cpu: float) -> Round:
    """Microseconds of CPU of each kind of question, 1,000 where nothing else is said."""
    names = decisions.Round.__dataclass_fields__
    figure = {"rate": 100.0, "p50": 1.0, "p99": 2.0}
    return Round(**{name: figure | {"cpu": cpu.get(name, 1_000.0)} for name in names})


def bars(*rows: Round) -> list[str]:
    """The four lines that have a bar."""
    found = list(decisions.told("SQLite", rows, 1_000_000))
    return [line for line in found if line.startswith(("ok", "MISS"))]


def test_each_bar_is_met_at_its_figure_and_missed_beside_it() -> None:
    good = a_round(hello=200, one=400, one_of_few=400 / 1.3, same=10_000, many=50_000)
    bad = a_round(hello=199, one=400, one_of_few=400 / 1.32, same=9_900, many=50_500)
    assert [line[:4] for line in bars(good)] == ["ok  "] * 4
    assert [line[:4] for line in bars(bad)] == ["MISS"] * 4
    first, second, third, fourth = bars(good)
    assert "0.50x" in first and "0.20x" in second and "80.00x" in third and "1.30x" in fourth


def test_the_middle_round_counts_and_pairs_stay_together() -> None:
    """A slow moment hits what is compared alike, so that no round's ratio moves."""
    rows = [a_round(hello=100 * slow, one=200 * slow) for slow in (1, 5, 2)]
    assert "0.50x (0.50 to 0.50" in bars(*rows)[0]


def test_half_of_the_numbers_are_known_and_every_round_asks_about_others() -> None:
    known = {stories.phone_of(i) for i in range(FEW)}
    asked = decisions.asked_about(FEW, MOST_NUMBERS, 1)
    assert 0.45 < sum(number in known for number in asked) / len(asked) < 0.55
    assert asked == decisions.asked_about(FEW, MOST_NUMBERS, 1)
    assert asked != decisions.asked_about(FEW, MOST_NUMBERS, 2)
    assert len({number[:5] for number in known}) == 10  # eight area codes, Toronto and Britain


@pytest.fixture
def loaded(app: Flask, now: Clock) -> None:
    db.session.remove()
    seed_history.load(app, FEW, now=now.now())


@pytest.mark.usefixtures("loaded")
def test_every_tenth_subscriber_has_texts_that_count(app: Flask, now: Clock) -> None:
    decisions.prepared(app, now=now.now())
    decisions.prepared(app, now=now.now())  # a database that was kept is prepared anew
    with app.app_context():
        count = sa.func.count()
        rows = db.session.execute(
            sa.select(Reservation.person_id, count).group_by(Reservation.person_id)
        ).all()
        subscribed = db.session.scalar(
            sa.select(count).select_from(Person).where(Person.status == Status.SUBSCRIBED)
        )
        sent = db.session.scalars(sa.select(Reservation.sent_at)).all()
    assert 0.07 < len(rows) / (subscribed or 1) < 0.13
    assert {row[1] for row in rows} == {1, 2, 3}
    assert all(moment and (now.now() - moment).days < 30 for moment in sent)


def posted(client: Browser, one: Deployment, body: str) -> list[Answer]:
    answer = client.post(decisions.PATH, data=body, headers=one.headers())
    assert answer.status_code == 200, answer.text
    found: list[Answer] = json.loads(answer.data)
    return found


@pytest.mark.usefixtures("loaded")
def test_a_deployment_asks_what_the_product_answers_in_every_way(
    app: Flask, client: Browser, now: Clock
) -> None:
    one = Deployment(FEW, {}, decisions.prepared(app, now=now.now()))
    light = by_day(now.now())
    head, _, body = one.bulks(0, light)[0].partition("\r\n\r\n")
    assert head.startswith("POST /api/v1/decisions HTTP/1.1\r\n")
    answers = posted(client, one, body)
    assert len(answers) == MOST_NUMBERS == len(json.loads(body)["numbers"])
    assert {answer["decision"] for answer in answers} == {"allow", "delay", "deny"}
    _, _, alone = one.singles(0, light)[0].partition("\r\n\r\n")
    assert client.post(decisions.PATH, data=alone, headers=one.headers()).status_code == 200
    night = by_night(now.now())
    _, _, body = one.bulks(0, night)[0].partition("\r\n\r\n")
    answers = posted(client, one, body)
    assert {answer["decision"] for answer in answers} == {"delay", "deny"}


@pytest.fixture
def floor(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> Callable[[list[Answer]], Any]:
    """The app to compare with, which answers so."""

    def make(answers: list[Answer]) -> Any:
        file = tmp_path / "answers.json"
        file.write_text(json.dumps(answers))
        monkeypatch.setenv(apps.ANSWERS, str(file))
        monkeypatch.setattr(config, "read", lambda: SimpleNamespace(database_url=database_url))
        return apps.answers().test_client()

    return make


@pytest.mark.usefixtures("loaded")
def test_the_floor_gives_the_same_json_and_the_driver_finds_the_same_people(
    floor: Callable[[list[Answer]], Any], app: Flask, client: Browser, now: Clock
) -> None:
    one = Deployment(FEW, {}, decisions.prepared(app, now=now.now()))
    numbers = decisions.asked_about(FEW, 500, 3)
    body = {"numbers": numbers, **OFFERS, "at": by_day(now.now())}
    ours = client.post(decisions.PATH, data=json.dumps(body), headers=one.headers())
    answers: list[Answer] = json.loads(ours.data)
    bare = floor(answers)
    assert bare.get("/hello").json == {"hello": "world"}
    same = bare.post("/same", json=body)
    assert same.json == answers
    assert abs(len(same.data) - len(ours.data)) <= len(ours.data) / 50
    raw = [answer["decision"] for answer in bare.post("/raw", json=body).json]
    assert raw.count("allow") > 50
    for answer, said in zip(answers, raw, strict=True):
        assert answer["decision"] == "deny" or said == "allow"
    alone = bare.post("/raw", json={"number": numbers[0], **OFFERS}).json
    assert alone == {"decision": raw[0]}
    bare.application.extensions[apps.DRIVER].close()


def test_who_was_allowed_after_an_answered_stop_is_seen() -> None:
    stops = Stops()
    stops.stopped(CAROL)
    before = stops.before([ALICE, BOB, CAROL])
    stops.judge([ALICE, BOB, CAROL], before, [YES, LATER, NO])
    assert (stops.decisions, stops.judged, stops.broken) == (3, 1, [])
    for answer in (YES, LATER):
        stops.judge([CAROL], stops.before([CAROL]), [answer])
    assert stops.broken == ["subscribed", "quiet_hours"]


def test_what_was_asked_before_the_stop_was_answered_is_not_judged() -> None:
    stops = Stops()
    before = stops.before([CAROL])
    stops.stopped(CAROL)
    stops.judge([CAROL], before, [YES])
    assert (stops.judged, stops.broken) == (0, [])


def test_a_start_on_the_way_excuses_an_answer_and_a_new_stop_does_not_take_it_back() -> None:
    stops = Stops()
    stops.stopped(CAROL)
    before = stops.before([CAROL])
    stops.starts(CAROL)
    stops.judge([CAROL], before, [YES])
    stops.stopped(CAROL)  # a whole round while the question was on its way
    stops.judge([CAROL], before, [YES])
    assert (stops.judged, stops.broken) == (0, [])


def said(broken: list[str], allowed: int, unexpected: list[str]) -> list[str]:
    one = Race([1, 2], "", [ALICE, CAROL], 10)
    one.stops.broken = broken
    one.stops.decisions, one.stops.judged = 10, 5
    one.stops.said.update({"allow subscribed": allowed, "deny unsubscribed": 5})
    lines = race.told("PostgreSQL", one, 1.0, unexpected)
    return [line[:4] for line in lines if line.startswith(("ok", "MISS"))]


def test_a_race_is_lost_by_one_answer_and_by_one_that_nobody_could_lose() -> None:
    assert said([], 5, []) == ["ok  ", "ok  "]
    assert said(["subscribed"], 5, []) == ["MISS", "ok  "]
    assert said([], 0, []) == ["MISS", "ok  "]  # nobody was allowed at all
    assert said([], 5, ["deny stop_waiting"]) == ["ok  ", "MISS"]
