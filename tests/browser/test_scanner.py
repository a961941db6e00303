"""Phones and carriers open links by themselves: nothing may come of it (SEC-1, SEC-2)."""

import http.client
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from prefcenter import models_counts
from prefcenter.database import Base
from prefcenter.links import Purpose
from prefcenter.models import OutboxStatus
from tests.browser.shop import Shop, until

# What the server writes by itself as time goes by: its heartbeat, the overview's sums of what
# happened, and form tokens that are too old to be of use.
_BY_ITSELF = ("heartbeat", "spent") + tuple(
    str(mapper.local_table)
    for mapper in Base.registry.mappers
    if mapper.class_.__module__ == models_counts.__name__
)


@pytest.fixture
def links(shop: Shop) -> list[str]:
    """Every kind of link, of people in every state that a link can meet."""
    bob, alice, old, carol, dave = (shop.number() for _ in range(5))
    found = [shop.bob(bob), shop.alice(alice), shop.alice(carol), shop.alice(old)]
    found += [shop.link(alice, purpose) for purpose in Purpose]
    found += [shop.link(old, purpose, days_old=40) for purpose in Purpose]
    shop.stop_by_text(carol)
    left = shop.alice(dave)
    shop.post(f"{left}/stop")
    found.append(left)
    until(lambda: len(shop.texts(dave)) == 3, "the last text")
    return found


def settled(shop: Shop) -> set[tuple[str, tuple[object, ...]]]:
    """Those rows, once the sender has nothing left to do."""
    under_way = {OutboxStatus.QUEUED, OutboxStatus.SENDING}
    until(lambda: not [row for row in shop.rows()["outbox"] if under_way & {*row}], "the sender")
    return asked_for(shop)


def asked_for(shop: Shop) -> set[tuple[str, tuple[object, ...]]]:
    """All rows that are there because somebody asked for something, with their table's name."""
    tables = shop.rows().items()
    return {(name, row) for name, rows in tables if name not in _BY_ITSELF for row in rows}


def test_a_scanner_that_reads_every_link_100_times_changes_nothing(
    shop: Shop, links: list[str]
) -> None:
    before = settled(shop)
    below = ("stop", "pause", "resume", "start", "not-mine", "decline", "fewer", "sent")
    connection = http.client.HTTPConnection(urlsplit(shop.url).netloc, timeout=10)
    for link in links:
        looks = [("GET", link)] * 100 + [("HEAD", link)] * 10
        looks += [(method, f"{link}/{word}") for word in below for method in ("GET", "HEAD")]
        for method, path in looks:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 500
    connection.close()
    assert asked_for(shop) ^ before == set()


def test_a_browser_that_opens_every_link_and_waits_changes_nothing(
    shop: Shop, links: list[str], page: Page
) -> None:
    before = settled(shop)
    methods: set[str] = set()
    page.on("request", lambda request: methods.add(request.method))
    page.clock.install()
    for link in links:
        page.goto(link)
        page.mouse.move(180, 300)
        page.clock.run_for(30_000)
    page.wait_for_load_state("networkidle")
    assert methods == {"GET"}
    assert asked_for(shop) ^ before == set()
