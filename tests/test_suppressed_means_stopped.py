"""Whoever is subscribed is not among the suppressed, whatever happened (INV-1).

The audience is read without a hash of each number because of this; here every rule that
suppresses or lifts is walked through, and a new one must come here, too.
"""

import ast
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import cli
from prefcenter.consent import audit, by_hand, people, suppression
from prefcenter.consent.by_hand import Channel, Wish
from prefcenter.database import db, writing
from prefcenter.models import Person, Status, SuppressionReason
from prefcenter.upkeep import audience_feed
from tests.cast import ALICE, BOB, Town
from tests.conftest import Clock
from tests.phones import reviews, say
from tests.receipts import last_text, take, update
from tests.test_architecture import modules
from tests.test_by_hand import decide, revoke
from tests.test_erasure import erase

RULES = {  # who suppresses, and who lifts it
    "add": {
        "prefcenter.consent.preferences.revoke",
        "prefcenter.consent.provider._stop",
        "prefcenter.consent.stopping._too_old",
        "prefcenter.upkeep.erasure.erase",
    },
    "lift": {
        "prefcenter.consent.preferences.start_again",
        "prefcenter.consent.preferences.turn_on",
        "prefcenter.consent.second_look._put_back",
    },
}


def stop_by_text(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(seconds=10)
    say(town, "STOP")
    town.work()


def stop_on_the_page(town: Town, now: Clock) -> None:
    link = town.alice()
    now.forward(seconds=10)
    town.browser.post(f"{link}/stop")


def stop_at_the_provider(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(seconds=10)
    take(update(last_text(town), "rejected", "1240"), now)


def stop_at_the_provider_after_a_page(town: Town, now: Clock) -> None:
    stop_on_the_page(town, now)
    now.forward(seconds=10)
    take(update(last_text(town), "rejected", "1240"), now)


def stop_at_the_provider_while_pending(town: Town, now: Clock) -> None:
    town.bob(ALICE)
    now.forward(seconds=10)
    take(update(last_text(town), "rejected", "1240"), now)


def stop_by_hand(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(seconds=10)
    wish = Wish(Channel.PHONE, now.now(), "She called.", "dana")
    revoke(town, ALICE, wish)


def erased(town: Town, now: Clock) -> None:
    town.alice()
    now.forward(seconds=10)
    assert erase(town)


def given_to_somebody_else(town: Town, now: Clock) -> None:
    stop_by_text(town, now)
    with writing():
        person = people.by_number(ALICE)
        assert person is not None
        by_hand.new_owner(person, "dana", "She told us.", now=now.now())
        db.session.commit()


def late_stop_while_pending(town: Town, now: Clock) -> None:
    """An older STOP that comes after the request; the number is suppressed and pending."""
    said = now.now()
    now.forward(minutes=30)
    town.bob(ALICE)
    now.forward(minutes=1)
    say(town, "STOP", at=said)
    town.work()


STOPS: list[Callable[[Town, Clock], None]] = [
    stop_by_text,
    stop_on_the_page,
    stop_at_the_provider,
    stop_at_the_provider_after_a_page,
    stop_at_the_provider_while_pending,
    stop_by_hand,
    erased,
    given_to_somebody_else,
    late_stop_while_pending,
]


def in_the_audience(now: Clock) -> list[str]:
    found = audience_feed.pieces("offers", as_of=now.now())
    return [row[1] for piece in found for row in piece.rows]


def holds(now: Clock) -> None:
    """By the check of `prefcenter rebuild --check`, and by looking at everybody."""
    db.session.rollback()
    assert list(audit.differences()) == []
    for person in db.session.scalars(sa.select(Person)):
        if person.number and suppression.contains(person.number):
            assert person.status is not Status.SUBSCRIBED
    db.session.rollback()
    for number in in_the_audience(now):
        assert not suppression.contains(number)


@pytest.mark.parametrize("stop", STOPS)
def test_whoever_is_suppressed_is_not_subscribed(
    town: Town, now: Clock, stop: Callable[[Town, Clock], None]
) -> None:
    stop(town, now)
    assert suppression.contains(ALICE)
    holds(now)
    assert in_the_audience(now) == []
    # And what may bring them back lifts it, or does not bring them back.
    now.forward(minutes=20)
    say(town, "START")
    town.work()
    holds(now)
    now.forward(minutes=1)
    say(town, "YES")
    town.work()
    holds(now)
    assert in_the_audience(now) == [ALICE]


def test_a_form_and_its_link_bring_nobody_back_who_is_suppressed(town: Town, now: Clock) -> None:
    late_stop_while_pending(town, now)
    town.browser.post(town.last_link(ALICE))
    holds(now)


def test_an_undone_stop_is_no_suppression_any_more(town: Town, now: Clock) -> None:
    """On the page within the hour, and by a colleague who reads a text again."""
    link = town.alice()
    now.forward(seconds=10)
    town.browser.post(f"{link}/stop")
    page = town.browser.get(link).text
    version = page.partition('name="text_version" value="')[2].partition('"')[0]
    town.browser.post(f"{link}/start", data={"text_version": version})
    holds(now)
    assert in_the_audience(now) == [ALICE]

    town.alice(BOB)
    now.forward(minutes=10)
    say(town, "No thanks", BOB)
    town.work()
    holds(now)
    assert reviews() and in_the_audience(now) == [ALICE]
    now.forward(minutes=10)
    assert decide(town, verdict=False)
    holds(now)
    assert in_the_audience(now) == [ALICE, BOB]


def test_the_check_finds_one_who_is(app: Flask, town: Town, now: Clock) -> None:
    """Whatever went past the rules: `prefcenter rebuild --check` says so and fails."""
    town.alice()
    with writing():
        suppression.add(ALICE, SuppressionReason.COMPLAINT, now=now.now())
        db.session.commit()
    app.cli.add_command(cli.rebuild)
    result = app.test_cli_runner().invoke(args=["rebuild", "--check"])
    assert result.exit_code == 1
    assert "is subscribed, which its suppression contradicts" in result.output
    assert ALICE not in result.output


def callers(name: str) -> Iterator[str]:
    """Every function that calls suppression.NAME."""
    for module, source in modules().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and f"suppression.{name}(" in ast.unparse(node):
                yield f"{module}.{node.name}"


@pytest.mark.parametrize("name", RULES)
def test_no_other_rule_suppresses_or_lifts(name: str) -> None:
    """A new one is written into the list above, with a walk through it."""
    assert set(callers(name)) == RULES[name]


def test_a_stop_that_waits_counts_before_it_is_worked(town: Town, now: Clock) -> None:
    """Between the 200 to the provider and its effect; then the suppression takes over."""
    town.alice()
    now.forward(seconds=5)
    say(town, "STOP")
    assert in_the_audience(now) == []
    now.forward(minutes=1)
    town.work()
    assert in_the_audience(now) == []
