"""A refusal that came another way and that another program passes on (RULE-20, RULE-31).

It counts for every number: for one that nobody knows it is as if that number had texted STOP, so
that no form signs it up. It can only lower. None of it commits.
"""

from collections.abc import Collection
from datetime import datetime

from prefcenter import config
from prefcenter.consent import by_hand, catalog, ledger, order, people, preferences
from prefcenter.consent.by_hand import Wish
from prefcenter.models import Action, EventKind, Person, Status, TextKind
from prefcenter.phone import Number


def record(number: Number, wish: Wish, refused: Collection[str] = (), *, now: datetime) -> str:
    """Stop all texts to a number, or only those of the `refused` categories; gives the public id
    of the event, which there is each time. Raises ValueError as Wish.check does."""
    wish.check(now=now)
    person = people.by_number(number.e164) or people.enrol(
        number.e164, number.country, config.current().default_language, now=now
    )
    if not refused or _is_all(person, refused):
        by_hand.revoke(person, wish, now=now)
    else:
        _leave(person, wish, frozenset(refused), now)
    return order.newest(person)


def _is_all(person: Person, refused: Collection[str]) -> bool:
    """True where nothing would be left: that is a revocation (RULE-65)."""
    return person.status is Status.SUBSCRIBED and not catalog.live(person.id) - set(refused)


def _leave(person: Person, wish: Wish, refused: frozenset[str], now: datetime) -> None:
    """Take these categories away; where there are none of them, it is on record all the same."""
    proof, said = wish.proof(person.language), wish.said("leave", refused=sorted(refused))
    if person.status is Status.PENDING and refused.issuperset(person.requested):
        preferences.decline(person, proof, now=now, said=said)
        return
    on = person.status is Status.SUBSCRIBED
    dropped = sorted(refused & catalog.taken(person.id)) if on else []
    if not dropped:
        ledger.record(person, EventKind.NOTED, proof, now=now, changes=said)
        return
    changes, action = {**said, "dropped": dropped}, Action.OPT_OUT
    ledger.record(person, EventKind.CHANGED, proof, now=now, action=action, changes=changes)
    by_hand.acknowledge(person, wish.received_at, now=now, kind=TextKind.CHANGED)
