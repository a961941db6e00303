"""Who does what, and when, in the demo's year: made up, and the same for one day.

Sign-ups grow through the year with a weekly rhythm and one campaign; each person has a story of
their own from then on. Nothing here touches the database: demo_year.py carries the plan out.
"""

import math
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from prefcenter import demo_people
from prefcenter.demo_people import Somebody, one_of

DAYS = 365
_WEEK = (1.0, 0.95, 1.0, 1.05, 1.15, 1.4, 0.9)  # Monday to Sunday
CAMPAIGN = "big-read"  # what its posters and pages are called in the proof
_CAMPAIGN_AGO, _CAMPAIGN_DAYS = 80, 14
_HOURS = {8: 3, 9: 5, 10: 6, 11: 7, 12: 9, 13: 7, 14: 5, 15: 5, 16: 6, 17: 8, 18: 9}
_HOURS |= {19: 10, 20: 9, 21: 6, 22: 3}
_OFFSET = {"US": 6, "CA": 6, "GB": 0}  # hours behind UTC, roughly
_DOORS = {"demo": 42, "checkout": 15, "api": 10, "poster": 10, "text": 9, "hosted": 14}
_IN_CAMPAIGN = {"demo": 45, "checkout": 5, "api": 4, "poster": 24, "text": 18, "hosted": 4}
_EVERY = 40  # days between two things that a subscriber does
_DEEDS = {
    **{"choose": 330, "frequency": 130, "less": 70, "pause": 90, "pause_text": 40},
    **{"help": 35, "chat": 25, "mentions": 6, "again": 20, "new_link": 25},
    **{"stop_text": 72, "stop_page": 42, "likely": 9, "blocked": 7, "by_phone": 7},
    **{"reassigned": 7, "dead": 12, "soft": 14},
}
_LOUD = {"stop_text": 140, "stop_page": 80}  # whom a campaign brought leaves sooner
_SECOND, _HOUR, _DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that somebody does. `fails` is the provider's code for the texts that follow."""

    at: datetime
    who: Somebody
    what: str
    values: dict[str, Any] = field(default_factory=dict)
    fails: str = ""


def plan(
    *,
    people: int,
    countries: Collection[str],
    kinds: Sequence[str],
    confirm_hours: int,
    now: datetime,
) -> list[Act]:
    """A year of so many people up to now, oldest first. `kinds` are the categories on offer.

    Nobody where no numbers of these countries are kept for fiction.
    """
    rng = random.Random(f"the year up to {now.date()}")
    first = now.date() - timedelta(days=DAYS - 1)
    weights = [_weight(first + timedelta(days=day), day) for day in range(DAYS)]
    acts: list[Act] = []
    for who in demo_people.crowd(rng, people, countries):
        [day] = rng.choices(range(DAYS), weights)
        loud = 0 <= day - (DAYS - _CAMPAIGN_AGO) < _CAMPAIGN_DAYS
        story = _Story(rng, who, kinds, timedelta(hours=confirm_hours), now, loud)
        acts += story.tell(first + timedelta(days=day))
    acts += _waiting_for_review(rng, acts, now)
    acts = [act for act in acts if act.at <= now]
    return sorted(acts, key=lambda act: (act.at, act.who.number))


def _weight(day: date, number: int) -> float:
    since = number - (DAYS - _CAMPAIGN_AGO)
    peak = 5 * math.exp(-since / 4) if 0 <= since < _CAMPAIGN_DAYS else 0
    return (0.35 + number / DAYS) * _WEEK[day.weekday()] * (1 + peak)


def _waiting_for_review(rng: random.Random, acts: Iterable[Act], now: datetime) -> list[Act]:
    """Likely refusals of the last days that nobody has read yet, from people who were calm."""
    ages = (12, 9, 7, 4, 2, 1, 0.2)  # in days
    last = {act.who.number: act for act in acts if act.at <= now}
    calm = [
        act.who
        for act in last.values()
        if act.what in ("confirm", "choose", "frequency")
        and act.who.texts_us
        and act.at < now - (ages[0] + 1) * _DAY
    ]
    found = []
    for days, who in zip(ages, calm, strict=False):
        words = rng.choice(demo_people.LIKELY[who.language])
        found.append(Act(now - days * _DAY, who, "text", {"words": words}))
    return found


class _Story:
    """What one person does, from the first form on."""

    def __init__(
        self,
        rng: random.Random,
        who: Somebody,
        kinds: Sequence[str],
        patience: timedelta,
        until: datetime,
        loud: bool,
    ) -> None:
        self._rng, self._who, self._kinds = rng, who, kinds
        self._patience, self._until, self._loud = patience, until, loud
        self._acts: list[Act] = []

    def tell(self, day: date) -> list[Act]:
        on = self._sign_up(self._waking(day), tries=2)
        if on is not None:
            self._live(on)
        return self._acts

    def _add(self, at: datetime, what: str, fails: str = "", **values: Any) -> None:
        self._acts.append(Act(at, self._who, what, values, fails))

    def _sign_up(self, at: datetime, *, tries: int) -> datetime | None:
        """Fill in a form or text us; gives when it was confirmed."""
        rng, door = self._rng, one_of(self._rng, _IN_CAMPAIGN if self._loud else _DOORS)
        if door == "text" and not self._who.texts_us:
            door = "poster"
        fate = rng.random()
        fails = rng.choice(("1300", "1310", "1050")) if fate > 0.98 else ""
        if door == "text":
            self._add(at, "text", fails, words="JOIN")
        else:
            picked = demo_people.ticked(rng, self._kinds)
            label = CAMPAIGN if self._loud else ""
            self._add(at, "sign_up", fails, door=door, categories=picked, label=label)
        if fate < 0.76:
            return self._confirm(at, door)
        if fate < 0.80:
            self._add(at + rng.randrange(60, 7200) * _SECOND, "decline")
            return None
        over = at + self._patience + rng.randrange(120, 3600) * _SECOND
        self._add(over, "expire")
        if tries > 1 and not fails and rng.random() < 0.3:
            return self._sign_up(self._after(over, rng.uniform(1, 20)), tries=tries - 1)
        return None

    def _confirm(self, at: datetime, door: str) -> datetime:
        """Some minutes later, in a few cases a day or two."""
        minutes = min(math.exp(self._rng.gauss(math.log(4), 1.2)), 60 * 60)
        then = at + max(minutes * 60, 35) * _SECOND
        by_text = self._who.texts_us and self._rng.random() < (0.8 if door == "text" else 0.15)
        if by_text:
            words = self._rng.choice(
                ("YES", "Yes", "yes") if self._who.language == "en" else ("SI",)
            )
            self._add(then, "text", words=words)
        else:
            self._add(then, "confirm")
        return then

    def _live(self, on: datetime) -> None:
        """One deed after another, until texts are off for good or the year is over."""
        deeds = _DEEDS | (_LOUD if self._loud else {})
        at: datetime | None = on
        while at is not None:
            at = self._after(at, self._rng.expovariate(1 / _EVERY))
            if at >= self._until:
                return
            deed = one_of(self._rng, deeds)
            if not self._who.texts_us and deed in _BY_TEXT:
                deed = "choose"
            at = getattr(self, f"_{deed}", self._plain)(at, deed)

    def _plain(self, at: datetime, deed: str) -> datetime:
        self._add(at, deed, pick=self._rng.random())
        return at

    def _less(self, at: datetime, _deed: str) -> datetime:
        return self._text(at, self._rng.choice(("LESS", "MONTHLY", "WEEKLY")))

    def _help(self, at: datetime, _deed: str) -> datetime:
        return self._text(at, "HELP")

    def _chat(self, at: datetime, _deed: str) -> datetime:
        return self._text(at, self._rng.choice(demo_people.CHAT))

    def _mentions(self, at: datetime, _deed: str) -> datetime:
        self._text(at, self._rng.choice(demo_people.MENTIONS))
        return self._read(at, "It was a question; answered by phone.")

    def _text(self, at: datetime, words: str) -> datetime:
        self._add(at, "text", words=words)
        return at

    def _read(self, at: datetime, note: str) -> datetime:
        """Somebody in the office reads it within days."""
        then = self._after(at, self._rng.uniform(0.5, 5))
        self._add(then, "read", note=note)
        return then

    def _pause(self, at: datetime, _deed: str) -> datetime:
        self._add(at, "pause", length=self._rng.choice(("1w", "1m", "1m", "3m")))
        return self._back(at, self._rng.uniform(1, 5), "resume")

    def _pause_text(self, at: datetime, _deed: str) -> datetime:
        self._text(at, "PAUSE")
        return self._back(at, self._rng.uniform(1, 5), "RESUME")

    def _back(self, at: datetime, days: float, how: str) -> datetime:
        """Some end their break early."""
        if self._rng.random() < 0.6:
            return at
        then = self._after(at, days)
        self._add(then, "resume") if how == "resume" else self._text(then, how)
        return then

    def _soft(self, at: datetime, _deed: str) -> datetime:
        """A text does not arrive; the next one does."""
        self._add(at, "new_link", fails=self._rng.choice(("1180", "1260", "1290")))
        return at

    def _dead(self, at: datetime, _deed: str) -> None:
        self._add(at, "new_link", fails=self._rng.choice(("1190", "1190", "1300")))

    def _blocked(self, at: datetime, _deed: str) -> None:
        self._add(at, "new_link", fails="1240")

    def _by_phone(self, at: datetime, _deed: str) -> None:
        self._add(at, "by_phone")

    def _stop_text(self, at: datetime, _deed: str) -> datetime | None:
        self._text(at, one_of(self._rng, demo_people.STOPS[self._who.language]))
        return self._start_again(at)

    def _stop_page(self, at: datetime, _deed: str) -> datetime | None:
        self._add(at, "stop")
        if self._rng.random() < 0.08:
            then = at + self._rng.randrange(20, 1500) * _SECOND
            self._add(then, "undo")
            return then
        return self._start_again(at) if self._who.texts_us else None

    def _start_again(self, at: datetime) -> datetime | None:
        if self._rng.random() > 0.13:
            return None
        then = self._after(at, self._rng.uniform(1, 60))
        return self._text(then, "START")

    def _likely(self, at: datetime, _deed: str) -> None:
        self._text(at, self._rng.choice(demo_people.LIKELY[self._who.language]))
        self._read(at, "Meant as a stop; texts stay off.")

    def _reassigned(self, at: datetime, _deed: str) -> datetime | None:
        """The number has a new owner, who may like books too."""
        self._add(at, "not_mine")
        if self._rng.random() < 0.5:
            return None
        return self._sign_up(self._after(at, self._rng.uniform(5, 60)), tries=1)

    def _after(self, at: datetime, days: float) -> datetime:
        """That much later, at a waking hour, and later in any case."""
        then = self._waking((at + days * _DAY).date())
        return then if then > at + _HOUR else at + _HOUR + self._rng.randrange(3600) * _SECOND

    def _waking(self, day: date) -> datetime:
        [hour] = self._rng.choices(list(_HOURS), list(_HOURS.values()))
        at = datetime.combine(day, time(hour, tzinfo=UTC)) + self._rng.randrange(3600) * _SECOND
        return at + _OFFSET[self._who.country] * _HOUR


_BY_TEXT = ("less", "pause_text", "help", "chat", "mentions", "stop_text", "likely")
