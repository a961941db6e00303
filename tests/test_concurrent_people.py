"""Twenty threads press at one person's buttons at once: no event is lost, none is doubled."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from flask import Flask

from prefcenter import links
from prefcenter.consent import audit
from prefcenter.database import db
from prefcenter.links import PATHS, Purpose
from prefcenter.models import ConsentEvent, OutboxStatus, Status, TextKind
from tests.cast import ALICE, BOB, Town
from tests.watching import listening

THREADS, PRESSES = 20, 5
SLUGS = ["offers", "new-books", "events", "in-stock"]
Press = tuple[str, dict[str, object]]
many_saves = pytest.mark.settings(SAVES_PER_HOUR="1000000")


def press_all(app: Flask, presses: Callable[[int], Iterator[Press]]) -> Counter[int]:
    """Each thread posts what `presses` gives it, all beginning at the same moment."""
    answers: Counter[int] = Counter()
    counting, start = threading.Lock(), threading.Barrier(THREADS)

    def one(thread: int) -> None:
        client = app.test_client()
        with app.app_context():
            start.wait(20)
            for path, data in presses(thread):
                with client.post(path, data=data, headers={"Host": "prefs.test"}) as answer:
                    code = answer.status_code
                with counting:
                    answers[code] += 1

    threads = [threading.Thread(target=one, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    db.session.rollback()
    db.session.expire_all()
    return answers


def links_of(town: Town, number: str) -> tuple[str, str]:
    """A confirm link and a preferences link, both fresh."""
    person = town.person(number)
    confirm, manage = (
        PATHS[purpose] + links.make(purpose, person.link_id, now=town.now())
        for purpose in (Purpose.CONFIRM, Purpose.MANAGE)
    )
    return confirm, manage


def nothing_is_lost(town: Town, number: str) -> Counter[str]:
    """The chain is whole and counts every event; gives how often each kind is in it."""
    person = town.person(number)
    query = sa.select(sa.func.count()).where(ConsentEvent.person_id == person.id)
    assert person.ledger_seq == db.session.scalar(query)
    assert list(audit.faults()) == []
    assert [what for _person, what in audit.differences()] == []
    return Counter(str(kind) for kind in town.events(number))


@many_saves
def test_saves_pauses_confirmations_and_a_stop_at_once(app: Flask, town: Town) -> None:
    """REL-2, RULE-24: whichever came first, the stop holds and is answered once."""
    town.alice()
    confirm, manage = links_of(town, ALICE)

    def presses(thread: int) -> Iterator[Press]:
        for turn in range(PRESSES):
            chosen = SLUGS[(thread + turn) % 4]
            yield manage, {"shown": SLUGS, "categories": [chosen], "frequency": "all"}
            yield f"{manage}/pause", {"pause": ("1w", "1m", "3m")[(thread + turn) % 3]}
            yield confirm, {}
            if turn == 2 and thread % 4 == 0:
                yield f"{manage}/stop", {}

    with listening() as heard:
        answers = press_all(app, presses)
    assert set(answers) <= {200, 303, 409, 410}, answers
    assert ALICE not in heard.getvalue()
    kinds = nothing_is_lost(town, ALICE)
    assert kinds["requested"] == kinds["confirmed"] == kinds["revoked"] == 1
    assert kinds["changed"] > 1 and kinds["paused"] > 1
    assert town.events(ALICE)[-1] == "revoked"
    assert town.person(ALICE).status is Status.UNSUBSCRIBED

    assert [text.kind for text in town.work()] == [TextKind.UNSUBSCRIBED]
    replies = [m for m in town.outbox(ALICE) if m.kind is TextKind.UNSUBSCRIBED]
    assert [reply.status for reply in replies] == [OutboxStatus.SENT]
    queued = [m for m in town.outbox(ALICE) if m.status is OutboxStatus.QUEUED]
    assert queued == []


@many_saves
def test_one_yes_counts_however_often_it_is_pressed(app: Flask, town: Town) -> None:
    """SEC-15: one confirmation, one welcome, and every save after it is kept."""
    town.bob()
    confirm, manage = links_of(town, BOB)

    def presses(thread: int) -> Iterator[Press]:
        for turn in range(PRESSES):
            yield confirm, {}
            chosen = SLUGS[(thread + turn) % 4]
            yield manage, {"shown": SLUGS, "categories": [chosen], "frequency": "all"}

    answers = press_all(app, presses)
    assert set(answers) <= {200, 303, 409, 410}, answers
    kinds = nothing_is_lost(town, BOB)
    assert kinds["requested"] == kinds["confirmed"] == 1
    assert town.person(BOB).status is Status.SUBSCRIBED
    assert [m.kind for m in town.outbox(BOB)].count(TextKind.WELCOME) == 1
    assert len(town.person(BOB).categories) == 1


@many_saves
def test_of_saves_of_one_version_one_is_kept(app: Flask, town: Town) -> None:
    """No lost update: every page showed the same state, so one of them may change it."""
    town.alice()
    _, manage = links_of(town, ALICE)
    version = town.person(ALICE).ledger_seq
    pairs = [[a, b] for a in SLUGS for b in SLUGS if a < b]

    def presses(thread: int) -> Iterator[Press]:
        data = {"shown": SLUGS, "categories": pairs[thread % len(pairs)], "frequency": "all"}
        yield manage, data | {"version": version}

    answers = press_all(app, presses)
    assert nothing_is_lost(town, ALICE)["changed"] == 1
    same = -(-THREADS // len(pairs))  # who wanted the same is told that it is so
    assert 1 <= answers[303] <= same
    assert answers[409] == THREADS - answers[303]
