"""Hundreds of sign-ups through the widget's own door: texts to the unit, never one more (SEC-28).

Every limit is also reached, so that none of these tests could pass with nothing sent.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter.consent import breaker, signup, sites
from prefcenter.database import db, is_postgresql, writing
from prefcenter.models import BreakerScope, OutboxMessage, Signup, TextKind
from prefcenter.web.form_token import Way
from tests import mallory
from tests.cast import ALICE, BOB, Town
from tests.conftest import Clock
from tests.forms import admit, fill
from tests.test_limits import together

CAUSED = (TextKind.CONFIRM_REQUEST, TextKind.ALREADY_SUBSCRIBED)
SCOPES = ("IP", "SITE", "PREFIX", "COUNTRY", "TOTAL")
WIDE = {f"{scope}_TEXTS_PER_{time}": "100000" for scope in SCOPES for time in ("HOUR", "DAY")}
WIDE |= {"PLAIN_TEXTS_PER_HOUR": "100000", "BREAKER_PERCENT": "0"}
COUNTRIES = (
    *("US", "GB", "ES", "FR", "DE", "IT", "PT", "NL", "BE", "AT", "CH", "SE"),
    *("NO", "DK", "FI", "IE", "PL", "CZ", "GR", "AU", "NZ", "ZA", "MX", "IN"),
)
JSON = {"Accept": "application/json", "Origin": "https://shop.example"}


def only(**narrow: str) -> pytest.MarkDecorator:
    """No limit but these."""
    return pytest.mark.settings(**(WIDE | narrow))


def documented(**more: str) -> pytest.MarkDecorator:
    """The limits as docs/settings.md has them; the breaker has a test of its own."""
    return pytest.mark.settings(BREAKER_PERCENT="0", **more)


class Flood:
    """Mallory at the shop's form, from as many addresses as she likes."""

    def __init__(self, town: Town, clock: Clock) -> None:
        self.town, self.clock, self.visitors = town, clock, 0
        with writing():
            for slug in ("shop", "stall", "blog"):
                budget = 7 if slug == "stall" else None
                sites.add(
                    slug,
                    slug,
                    origins=["https://shop.example"],
                    daily_budget=budget,
                    now=clock.now(),
                )
            db.session.commit()

    def post(self, number: str, *, ip: str = "", site: str = "shop", way: Way = Way.SCRIPT) -> None:
        """One form, from an address of its own unless told otherwise; it is answered as ever."""
        place, self.visitors = sites.find(site, now=self.clock.now()), self.visitors + 1
        assert place is not None
        ip = ip or f"10.{self.visitors >> 16}.{self.visitors >> 8 & 255}.{self.visitors & 255}"
        answer = self.town.browser.post(
            f"/o/{site}",
            data=mallory.form(place, number, now=self.clock.now(), way=way),
            headers=JSON,
            environ_base={"REMOTE_ADDR": ip},
        )
        assert (answer.status_code, answer.json and answer.json["status"]) == (200, "sent")

    def admit(self) -> int:
        """A sender looks at all that came; gives how many texts there are in all."""
        while db.session.scalar(sa.select(sa.func.count(Signup.id))):
            self.town.work()
        return len(self.texts())

    def texts(self) -> list[tuple[str, datetime]]:
        db.session.rollback()
        query = sa.select(OutboxMessage.to, OutboxMessage.created_at)
        found = db.session.execute(query.where(OutboxMessage.kind.in_(CAUSED)))
        rows = [(to, at) for to, at in found]
        db.session.rollback()
        return rows


@pytest.fixture
def flood(town: Town, now: Clock) -> Iterator[Flood]:
    with mallory.easy_work():
        yield Flood(town, now)


def _hundreds() -> int:
    """Sign-ups; half of them on PostgreSQL, which takes three times as long for each."""
    return 250 if is_postgresql() else 500


def blocks(count: int) -> list[str]:
    """Numbers of five blocks in turn."""
    areas = ("202", "212", "312", "415", "503")
    return [f"+1{areas[n % 5]}555{1000 + n}" for n in range(count)]


def one_block(count: int) -> list[str]:
    return [f"+1202555{last:04d}" for last in range(1000, 1000 + count)]


@documented()
def test_five_hundred_at_once_for_one_number(flood: Flood) -> None:
    """One text, and after ten minutes the one resend that RULE-7 allows."""
    for _ in range(_hundreds()):
        flood.post(BOB)
    assert flood.admit() == 1
    flood.clock.forward(minutes=9, seconds=59)
    flood.post(BOB)
    assert flood.admit() == 1
    flood.clock.forward(seconds=1)
    flood.post(BOB)
    assert flood.admit() == 2
    flood.clock.forward(minutes=11)
    flood.post(BOB)
    assert flood.admit() == 2


@documented()
def test_five_hundred_in_a_day_for_one_subscriber(flood: Flood) -> None:
    """Three in 24 hours, ten minutes apart: what strangers may cause, however they spread it."""
    flood.town.alice()
    flood.clock.forward(hours=25)
    before = set(flood.texts())
    began = flood.clock.now()
    for turn in range(_hundreds()):
        flood.clock.moment = began + turn * timedelta(hours=23.9) / _hundreds()
        flood.post(ALICE)
        flood.admit()
    times = sorted(at for to, at in set(flood.texts()) - before if to == ALICE)
    assert len(times) == 3
    assert all(b - a >= timedelta(minutes=10) for a, b in zip(times, times[1:], strict=False))
    flood.clock.moment = times[0] + timedelta(days=1)
    flood.post(ALICE)
    assert flood.admit() == len(before) + 4


@documented()
def test_five_hundred_in_one_block(flood: Flood) -> None:
    """20 an hour and 50 a day, each number from an address of its own."""
    sent = []
    numbers = iter(one_block(500))
    for hour in range(5):
        for _ in range(100):
            flood.post(next(numbers))
        sent.append(flood.admit())
        flood.clock.forward(hours=1)
        assert hour < 4 or flood.clock.now().day == 24
    assert sent == [20, 40, 50, 50, 50]
    assert len({to for to, _ in flood.texts()}) == 50
    flood.clock.forward(hours=4)  # midnight, UTC
    for number in one_block(530)[500:]:
        flood.post(number)
    assert flood.admit() == 70


@documented(PREFIX_TEXTS_PER_HOUR="99", PREFIX_TEXTS_PER_DAY="999", SITE_TEXTS_PER_HOUR="37")
def test_one_address_one_site(flood: Flood) -> None:
    """20 an hour for an address; and what its own limit refused was not counted for the site."""
    numbers = blocks(140)
    for number in numbers[:40]:
        flood.post(number, ip="198.51.100.7")
    assert flood.admit() == 20
    for number in numbers[40:100]:
        flood.post(number)
    assert flood.admit() == 37
    for number in numbers[100:]:
        flood.post(number, site="blog")
    assert flood.admit() == 2 * 37


@only()
def test_a_site_with_a_daily_budget(flood: Flood) -> None:
    """Seven a day, whatever the hour; another site goes on, and so does tomorrow."""
    numbers = iter(blocks(60))
    for _ in range(3):
        for _ in range(10):
            flood.post(next(numbers), site="stall")
        assert flood.admit() == 7
        flood.clock.forward(hours=1)
    for _ in range(10):
        flood.post(next(numbers), site="blog")
    assert flood.admit() == 17
    flood.clock.forward(hours=6)
    for _ in range(10):
        flood.post(next(numbers), site="stall")
    assert flood.admit() == 24


@only()
def test_what_came_before_a_site_was_closed_causes_nothing(flood: Flood) -> None:
    """SEC-21: also the forms that nobody has looked at yet."""
    flood.post(BOB)
    flood.post(ALICE, site="blog")
    with writing():
        sites.disable(sites.by_slug("shop"), now=flood.clock.now())
        db.session.commit()
    assert flood.admit() == 1
    assert [to for to, _ in flood.texts()] == [ALICE]


@only(COUNTRIES=",".join(COUNTRIES), COUNTRY_TEXTS_PER_HOUR="3")
def test_twenty_four_countries(flood: Flood) -> None:
    """Each has its own limit, and each reaches it."""
    texts = _sign_up_everywhere(flood)
    assert texts == dict.fromkeys(COUNTRIES, 3)


@only(COUNTRIES=",".join(COUNTRIES), COUNTRY_TEXTS_PER_DAY="3", TOTAL_TEXTS_PER_HOUR="61")
def test_all_countries_together(flood: Flood) -> None:
    """The whole system's limit cuts in before the last countries have reached theirs."""
    texts = _sign_up_everywhere(flood)
    assert sum(texts.values()) == 61
    assert max(texts.values()) == 3
    flood.clock.forward(hours=1)
    assert sum(_sign_up_everywhere(flood, first=5).values()) == 24 * 3


def _sign_up_everywhere(flood: Flood, *, first: int = 0) -> dict[str, int]:
    """Five numbers of each of 24 countries; gives how many texts each country got so far."""
    people = {country: mallory.mobiles(country, first + 5)[first:] for country in COUNTRIES}
    for turn in range(5):
        for country in COUNTRIES:
            flood.post(people[country][turn])
    flood.admit()
    earlier = {country: mallory.mobiles(country, first + 5) for country in COUNTRIES}
    owner = {number: country for country, numbers in earlier.items() for number in numbers}
    return dict(Counter(owner[to] for to, _ in flood.texts()))


def test_twenty_one_countries_that_we_do_not_text(flood: Flood) -> None:
    """SEC-29: told beside the field, and nothing is stored; our three are taken."""
    place = sites.find("shop", now=flood.clock.now())
    assert place is not None
    for country in COUNTRIES[3:]:
        [number] = mallory.mobiles(country, 1)
        data = mallory.form(place, number, now=flood.clock.now())
        answer = flood.town.browser.post("/o/shop", data=data, headers=JSON)
        assert (answer.status_code, answer.json and answer.json["status"]) == (422, "invalid")
    assert flood.admit() == 0
    for country in COUNTRIES[:3]:
        flood.post(mallory.mobiles(country, 1)[0])
    assert flood.admit() == 3


@only(PLAIN_TEXTS_PER_HOUR="6")
def test_forms_without_a_proof_of_work(flood: Flood) -> None:
    """Six an hour for one site; work is not held back by it, nor is another site."""
    numbers = iter(blocks(100))
    for _ in range(30):
        flood.post(next(numbers), way=Way.STEP)
    assert flood.admit() == 6
    for _ in range(10):
        flood.post(next(numbers))
    assert flood.admit() == 16
    for _ in range(10):
        flood.post(next(numbers), site="blog", way=Way.STEP)
    assert flood.admit() == 22
    flood.clock.forward(hours=1)
    for _ in range(10):
        flood.post(next(numbers), way=Way.STEP)
    assert flood.admit() == 28


@pytest.mark.settings(**(WIDE | {"BREAKER_PERCENT": "10"}))
def test_the_breaker_stops_a_flood_that_no_limit_would(flood: Flood) -> None:
    """SEC-30: 50 of 150 texts; the block's breaker opens, and so does the site's."""
    for number in blocks(150):
        flood.post(number)
    assert flood.admit() == 50
    found = [row.scope for row in breaker.open_now(now=flood.clock.now())]
    assert BreakerScope.SITE in found
    flood.post(mallory.mobiles("GB", 1)[0], site="blog")
    assert flood.admit() == 51


def _many(scope: str) -> list[tuple[str, str]]:
    """Sixty numbers and sites that have this in common, and nothing else."""
    shops = ["shop", "blog", "stall2", "stall3"]
    if scope == "site":
        apart = [mallory.mobiles(country, 3, apart=True) for country in COUNTRIES[:20]]
        return [(found[n], "shop") for n in range(3) for found in apart]
    numbers = mallory.mobiles("GB", 60, apart=scope == "country")
    return [(number, shops[n % 4]) for n, number in enumerate(numbers)]


@pytest.mark.parametrize("scope", BreakerScope)
@pytest.mark.settings(**(WIDE | {"BREAKER_PERCENT": "10", "COUNTRIES": ",".join(COUNTRIES)}))
def test_the_breaker_counts_twenty_at_once(app: Flask, flood: Flood, scope: BreakerScope) -> None:
    """SEC-30: fifty, not one more, whoever looks at the forms in the same moment."""
    many, moment = _many(scope), flood.clock.now()
    for number, site in many[:40]:
        admit(fill(number, site=site), moment)
    with writing():
        for number, site in many[40:]:
            signup.receive(fill(number, site=site), now=moment)
        db.session.commit()
    waiting = signup.waiting(100)
    db.session.rollback()

    def look(row: int) -> None:
        with writing():
            signup.admit(row, now=moment)
            db.session.commit()

    assert together(app, [partial(look, row) for row in waiting]) == []
    assert len(waiting) == 20
    assert len(flood.texts()) == 50
    tripped = [row.scope for row in breaker.open_now(now=moment)]
    assert scope in tripped and len(set(tripped)) == len(tripped)


@only(IP_TEXTS_PER_HOUR="3")
def test_a_header_is_no_address(app: Flask, flood: Flood) -> None:
    """SEC-28: without a proxy of ours, X-Forwarded-For is what a stranger typed."""
    place = sites.find("shop", now=flood.clock.now())
    assert place is not None
    for visitor, number in enumerate(blocks(12)):
        claims: dict[str, Any] = dict.fromkeys(
            ("X-Forwarded-For", "X-Real-IP", "Forwarded"), f"192.0.2.{visitor}"
        )
        data = mallory.form(place, number, now=flood.clock.now())
        flood.town.browser.post("/o/shop", data=data, headers=JSON | claims)
    assert flood.admit() == 3
