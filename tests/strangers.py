"""Mallory at a served product: who is known, new or stopped, and how its answers differ."""

import http.client
import time
import urllib.parse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from flask import Flask

from prefcenter import phone
from prefcenter.consent import sites, suppression
from prefcenter.database import db, writing
from prefcenter.models import Person, Status, SuppressionReason
from tests import mallory

SHOP = "https://shop.example"
# Each number is tried once and must cause all that it can: no limit may make them alike.
NO_LIMITS = {
    f"{scope}_TEXTS_PER_{time_}": "1000000"
    for scope in ("IP", "SITE", "PREFIX", "COUNTRY", "TOTAL")
    for time_ in ("HOUR", "DAY")
} | {"BREAKER_PERCENT": "0", "COUNTRIES": "US"}


@dataclass(frozen=True, slots=True)
class Try:
    """One form, ready to be posted."""

    kind: str
    number: str
    body: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back, with the number taken out, and the seconds it took."""

    kind: str
    seconds: float
    answer: str


def open_shop(app: Flask, *, now: datetime) -> None:
    with app.app_context(), writing():
        sites.add("shop", "Shop", origins=[SHOP], now=now)
        db.session.commit()


def stop(app: Flask, numbers: Sequence[str], *, now: datetime) -> None:
    """These people have stopped all texts; as bulk, so without the proof of it."""
    with app.app_context(), writing():
        for number in numbers:
            suppression.add(number, SuppressionReason.KEYWORD, now=now)
        there = Person.number.in_(numbers)
        db.session.execute(sa.update(Person).where(there).values(status=Status.UNSUBSCRIBED))
        db.session.commit()


def tries(app: Flask, people: Sequence[tuple[str, str]], *, now: datetime) -> list[Try]:
    """A form with a good token for each of (kind, number)."""
    with app.app_context(), mallory.easy_work():
        place = sites.find("shop", now=now)
        assert place is not None
        return [
            Try(kind, number, urllib.parse.urlencode(mallory.form(place, number, now=now)))
            for kind, number in people
        ]


def post_all(port: int, forms: Sequence[Try], *, accept: str = "application/json") -> list[Heard]:
    """One after another on one connection, as a patient listener would."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": accept,
        "Origin": SHOP,
    }
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        return [_post(connection, form, headers) for form in forms]


def _post(connection: http.client.HTTPConnection, form: Try, headers: dict[str, str]) -> Heard:
    began = time.perf_counter()
    connection.request("POST", "/o/shop", form.body, headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    seconds = time.perf_counter() - began
    kept = [pair for pair in answer.getheaders() if pair[0].lower() != "date"]
    told = f"{answer.status} {kept} {body}"
    last4 = phone.last4(form.number)
    for typed in (phone.international(form.number), f'"{last4}"', f"to={last4}"):
        told = told.replace(typed, "…")
    return Heard(form.kind, seconds, told)


def auc(these: Sequence[float], those: Sequence[float]) -> float:
    """How well one threshold on the time tells these from those: 0.5 is a coin, 1 is always."""
    order = sorted([(value, True) for value in these] + [(value, False) for value in those])
    ranks, at = 0.0, 0
    while at < len(order):
        end = at
        while end < len(order) and order[end][0] == order[at][0]:
            end += 1
        middle = (at + 1 + end) / 2  # ties share their middle rank
        ranks += middle * sum(mine for _, mine in order[at:end])
        at = end
    wins = ranks - len(these) * (len(these) + 1) / 2
    return wins / (len(these) * len(those))
