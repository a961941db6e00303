"""May these numbers be texted about this? Gathers what is known and asks permission.py."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from prefcenter.consent import permission, snapshots
from prefcenter.consent.granting import Grant
from prefcenter.consent.permission import Decision, Kind, Rules, Verdict
from prefcenter.consent.snapshots import Facts, Known
from prefcenter.driver import Within
from prefcenter.sms import alarms


class Answer(NamedTuple):
    """A verdict, and the event that it rests on; None where it is "deny"."""

    verdict: Verdict
    grant: Grant | None
    texts_missed: bool = False  # STOPs may have been missed, and that is not settled (REL-14)


def one(
    number: str,
    slug: str,
    kind: Kind,
    rules: Rules,
    *,
    at: datetime,
    now: datetime,
    within: Within = None,
) -> Answer:
    """The answer for one E.164 number, from what is so now, about a text at a moment."""
    asked, known, missed = snapshots.one(number, slug, rules, now=now, within=within)
    person = known.facts.snapshot() if known else None
    verdict = permission.decide(person, asked, kind, rules, at=at)
    return _cited(verdict, known, missed)


def many(
    numbers: Sequence[str], slug: str, kind: Kind, rules: Rules, *, at: datetime, now: datetime
) -> list[Answer]:
    """The same for many, in their order. Equal facts are judged once."""
    asked, missed = snapshots.category(slug), alarms.texts_missed()
    found = snapshots.many(numbers, slug, rules, now=now)
    unknown = Answer(permission.decide(None, asked, kind, rules, at=at), None, missed)
    verdicts: dict[Facts, Verdict] = {}
    answers: dict[str, Answer] = {}
    for number, known in found.items():
        facts = known.facts
        verdict = verdicts.get(facts)
        if verdict is None:
            verdict = permission.decide(facts.snapshot(), asked, kind, rules, at=at)
            verdicts[facts] = verdict
        answers[number] = _cited(verdict, known, missed)
    return [answers.get(number, unknown) for number in numbers]


def _cited(verdict: Verdict, known: Known | None, missed: bool) -> Answer:
    cites = known is not None and verdict.decision is not Decision.DENY
    return Answer(verdict, known.grant if known and cites else None, missed)
