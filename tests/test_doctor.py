"""What doctor says about texts that come in; the rest of it is in test_cli.py."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from flask import Flask

from prefcenter import config, doctor
from prefcenter.consent import reviews, sites
from prefcenter.database import db, writing
from prefcenter.doctor import Finding
from prefcenter.models import Category, Heartbeat, Inbound, Review, ReviewReason, Unreadable
from prefcenter.sms import watch
from tests.cast import ALICE, Town
from tests.conftest import Clock

FIRST, SECOND, FREE = "+12025550100", "+12025550101", "+18005550100"


def add(*rows: object) -> None:
    with writing():
        db.session.add_all(rows)
        db.session.commit()


def inbound(now: Clock, message_id: str = "m-1") -> Inbound:
    return Inbound(
        message_id=message_id, number=ALICE, ours=FIRST, text="secret", received_at=now.now()
    )


def category(slug: str, **more: Any) -> Category:
    facts = {"name": slug, "description": "", "translations": {}, "position": 9, "public": True}
    return Category(slug=slug, **facts, **more)


def findings(what: str) -> list[Finding]:
    db.session.rollback()
    return [finding for finding in doctor.examine() if finding.what == what]


def says(what: str) -> tuple[bool, str]:
    [finding] = findings(what)
    return finding.ok, finding.detail


def in_production(app: Flask) -> None:
    app.extensions["prefcenter"] = replace(config.current(), env="production")


def test_a_fresh_installation_has_nothing_to_look_at(app: Flask) -> None:
    in_production(app)
    look = [finding for finding in doctor.examine() if not finding.ok]
    assert look == []


@pytest.mark.settings(
    SENDER=f"{FIRST},{SECOND},{FREE}", REPLIES_BY=f"app,{SECOND}=network", COUNTRIES="US"
)
def test_it_says_who_answers_each_of_our_numbers(app: Flask) -> None:
    """RULE-29."""
    ok, detail = says("replies")
    first, second, free = detail.split("; ")
    assert ok
    assert first.endswith(": prefcenter answers")
    assert second.endswith(": the network answers STOP, START and HELP")
    assert free.endswith(": the carriers answer STOP and START (it is toll-free), prefcenter HELP")
    assert not any(number in detail for number in (FIRST, SECOND, FREE)), "masked"


@pytest.mark.settings(SENDER=FREE, REPLIES_BY="network", COUNTRIES="US")
def test_a_toll_free_number_may_be_answered_by_the_network_too(app: Flask) -> None:
    assert says("replies")[1].endswith("(it is toll-free), the network HELP")


def test_texts_that_wait_for_a_minute_are_looked_at(app: Flask, now: Clock) -> None:
    assert says("texts that came in and wait") == (True, "0")
    add(inbound(now))
    now.forward(seconds=59)
    assert says("texts that came in and wait")[0]
    add(inbound(now, "m-2"))
    now.forward(seconds=2)
    late = "2, the oldest for 61 s: is a sender running?"
    assert says("texts that came in and wait") == (False, late)


def test_unreadable_webhooks_that_nobody_saw_are_counted(app: Flask, now: Clock) -> None:
    what = "unreadable webhooks that nobody has seen"
    assert says(what) == (True, "0")
    assert says("other messages") == (True, "0 webhooks kept unread")
    facts = {"door": "inbound", "body": b"x", "reason": "not JSON", "received_at": now.now()}
    add(Unreadable(body_sha256="1", **facts), Unreadable(body_sha256="2", seen_at=None, **facts))
    add(Unreadable(body_sha256="3", seen_at=now.now(), **facts))
    assert says(what) == (
        False,
        "2: read them with `prefcenter unreadable list`, then `prefcenter unreadable seen ID`",
    )
    assert says("other messages") == (True, "0 webhooks kept unread")


def test_what_anybody_may_text_is_counted_and_needs_no_look(app: Flask, now: Clock) -> None:
    facts = {"door": "inbound", "body": b"x", "received_at": now.now()}
    for turn, reason in enumerate(("not a text", "not an SMS", "no number to answer")):
        add(Unreadable(body_sha256=str(turn), reason=reason, **facts))
    add(Unreadable(body_sha256="9", reason="not a text", seen_at=now.now(), **facts))
    assert says("unreadable webhooks that nobody has seen") == (True, "0")
    ok, detail = says("other messages")
    assert ok and detail.startswith("3 webhooks kept unread, ")
    assert "`prefcenter unreadable list`" in detail


@pytest.mark.parametrize(
    ("due", "ok", "detail"),
    [
        (date(2026, 11, 23), False, "1, overdue since 2026-11-23"),
        (date(2026, 11, 24), False, "1, the first due on 2026-11-24"),
        (date(2026, 11, 27), False, "1, the first due on 2026-11-27"),  # Thursday is a holiday
        (date(2026, 11, 30), True, "1, the first due on 2026-11-30"),
    ],
)
def test_a_review_that_is_soon_due_is_looked_at(
    app: Flask, now: Clock, due: date, ok: bool, detail: str
) -> None:
    """RULE-21. Today is Tuesday the 24th; two business days on is Friday the 27th."""
    what = "texts for a person to read"
    assert says(what) == (True, "0")
    text = inbound(now)
    add(text)
    row = Review(
        inbound_id=text.id, reason=ReviewReason.MENTIONS_STOP, opened_at=now.now(), due_on=due
    )
    add(row)
    cure = "read them with `prefcenter review list`, then `prefcenter review close ID`"
    assert says(what) == (ok, f"{detail}: {cure}")
    with writing():
        reviews.close(row.public_id, "Dana", "Read.", now.now())
        db.session.commit()
    assert says(what) == (True, "0")


@pytest.mark.settings(KEYWORDS="JAZZ=offers,ROCK=news+gone,BLUES=old")
def test_own_keywords_that_cannot_work_are_named(app: Flask, now: Clock) -> None:
    add(category("news"), category("old", retired_at=now.now()))
    found = findings("own keyword")
    assert not any(finding.ok for finding in found)
    assert [finding.detail for finding in found] == [
        "ROCK asks for gone, which is not a category, or a retired one",
        "BLUES asks for old, which is not a category, or a retired one",
    ]
    assert findings("own keywords") == []


@pytest.mark.settings(KEYWORDS="JAZZ=offers")
def test_own_keywords_that_work_are_listed(app: Flask) -> None:
    assert says("own keywords") == (True, "JAZZ")


@pytest.mark.settings(KEYWORDS="JAZZ=offers,WINE=wine+offers,OLDWINE=port")
def test_an_own_keyword_for_what_has_an_age_is_looked_at(app: Flask, now: Clock) -> None:
    """RULE-10: a text states no age, so that word gets nobody there."""
    add(category("wine", age_gate=21), category("port", age_gate=21, retired_at=now.now()))
    found = findings("own keyword")
    assert [(finding.ok, finding.detail.partition(": ")[0]) for finding in found] == [
        (False, "OLDWINE asks for port, which is not a category, or a retired one"),
        (False, "WINE asks for wine, which is for people of 21 and older"),
    ]
    assert "a text states no age" in found[1].detail


def test_a_site_whose_widget_can_ask_for_nothing_is_looked_at(app: Flask, now: Clock) -> None:
    """RULE-10: the widget shows no statement of age, so such a site would text nobody."""
    add(category("wine", age_gate=21))
    with writing():
        for slug, named in (("cellar", ["wine"]), ("bistro", ["wine", "offers"]), ("shop", [])):
            origins = ["https://shop.example"]
            sites.add(slug, slug, origins=origins, categories=named, now=now.now())
        db.session.commit()
    [found] = findings("site")
    assert not found.ok
    assert found.detail.startswith("the widget of cellar asks for nothing; all its categories")
    with writing():
        sites.disable(sites.by_slug("cellar"), now=now.now())
        db.session.commit()
    assert findings("site") == []


# --- the last genuine webhook


def test_before_the_first_text_no_webhook_is_missed(app: Flask) -> None:
    in_production(app)
    assert says("Vonage's webhooks") == (True, "none yet: text HELP to your number")


def test_the_last_genuine_webhook_is_told_and_none_is_looked_at(
    app: Flask, town: Town, now: Clock
) -> None:
    what = "Vonage's webhooks"
    none = (True, "none yet: text HELP to your number")
    town.bob()
    assert says(what) == none, "in development nothing leaves"
    in_production(app)
    assert says(what) == (False, "none yet: text HELP to your number")
    add(Heartbeat(name="genuine_webhook", at=now.now()))
    now.forward(days=9)
    assert says(what) == (True, "the last genuine webhook came 2026-11-24 15:00 UTC")


# --- the heartbeat (REL-14)


def test_a_beat_of_the_last_ten_minutes_is_enough(app: Flask, now: Clock) -> None:
    in_production(app)
    add(Heartbeat(name=watch.WEBHOOKS, at=now.now()))
    now.forward(minutes=9)
    assert says("webhooks") == (True, "a web process could take them at 15:00 UTC")
    now.forward(minutes=1)
    ok, detail = says("webhooks")
    assert not ok
    assert "`prefcenter serve` has reported since 2026-11-24 15:00 UTC" in detail


def test_none_is_wanted_once_texts_came_or_went(app: Flask, town: Town, now: Clock) -> None:
    in_production(app)
    ok, detail = says("webhooks")
    assert ok and "no web process of `prefcenter serve` has reported yet" in detail
    town.bob()
    assert not says("webhooks")[0]


def test_a_text_that_came_in_is_reason_enough(app: Flask, now: Clock) -> None:
    in_production(app)
    add(inbound(now))
    assert not says("webhooks")[0]


def test_development_is_not_asked_to_run_all_day(app: Flask, town: Town, now: Clock) -> None:
    town.bob()
    assert says("webhooks")[0]
    add(Heartbeat(name=watch.WEBHOOKS, at=now.now()))
    now.forward(days=3)
    ok, detail = says("webhooks")
    assert ok and "since 2026-11-24" in detail
