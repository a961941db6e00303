"""A million decisions while twenty writers stop and start: none allows after an answered STOP.

Two servers as behind a balancer. The first leaves each text to the sender's process, the second
works it before it answers. Each writer asks about its STOP at the other server with its next
request; beside them a few programs ask about one number, some, or all at once.
"""

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Any

from benchmarks import places, stories
from prefcenter import clock, config, create_app
from prefcenter.config import PREFIX
from tests import decision_load, postgres
from tests.decision_load import Deployment, Tool, by_day
from tests.watching import until
from tests.webhooks import SETTINGS, Vonage

DECISIONS = 1_000_000
WRITERS, _ASKERS = 20, 4
_EACH = 50  # numbers of one writer
_PEOPLE = 3 * WRITERS * _EACH  # of five about two may be texted about offers
_SECOND = timedelta(seconds=1)  # so exact is the provider's time
_SIZES = (1, 10, 100, WRITERS * _EACH)
_PATIENCE = 600.0


class Stops:
    """Who has an answered STOP, as the writers know it, and what was said of them all the same.

    Only what was asked after the STOP was answered, and answered before a START left, is judged:
    what comes in between may be either.
    """

    def __init__(self) -> None:
        self._answered: dict[str, int] = {}
        self._turns = count(1)
        self._counting = threading.Lock()
        self.decisions, self.judged = 0, 0
        self.said = Counter[str]()
        self.broken: list[str] = []  # reasons that allowed it

    def stopped(self, number: str) -> None:
        """The STOP was answered with 200."""
        self._answered[number] = next(self._turns)

    def starts(self, number: str) -> None:
        """A START is about to leave."""
        self._answered.pop(number, None)

    def has(self, number: str) -> bool:
        return number in self._answered

    def before(self, numbers: Sequence[str]) -> list[int | None]:
        """Take this before the question leaves."""
        return [self._answered.get(number) for number in numbers]

    def judge(
        self,
        numbers: Sequence[str],
        before: Sequence[int | None],
        answers: Sequence[dict[str, Any]],
    ) -> None:
        """Count the answers, once they are here."""
        after = self.before(numbers)
        judged = [
            answer
            for answer, was, is_ in zip(answers, before, after, strict=True)
            if was is not None and was == is_
        ]
        with self._counting:
            self.decisions += len(answers)
            self.judged += len(judged)
            self.said.update(f"{one['decision']} {one['reason']}" for one in answers)
            self.broken += [one["reason"] for one in judged if one["decision"] != "deny"]


class Race:
    """The writers and the askers, until so many decisions were given."""

    def __init__(self, ports: Sequence[int], key: str, numbers: Sequence[str], most: int) -> None:
        self.ports, self.key, self.numbers, self.most = ports, key, numbers, most
        self.at = by_day(clock.now())
        self.stops = Stops()
        self.texts = Counter[str]()
        self.failed: list[BaseException] = []

    def run(self) -> float:
        """Gives the seconds it took. Raises what a writer or an asker met."""
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._try, args=(self._write, n)) for n in range(WRITERS)
        ]
        threads += [threading.Thread(target=self._try, args=(self._ask, n)) for n in range(_ASKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.failed:
            raise self.failed[0]
        return time.monotonic() - began

    @property
    def over(self) -> bool:
        return bool(self.failed) or self.stops.decisions >= self.most

    def _try(self, work: Any, turn: int) -> None:
        try:
            work(turn)
        except BaseException as error:
            self.failed.append(error)

    def _write(self, turn: int) -> None:
        """STOP and, the next time round, START of each number of one's own, at either server."""
        rng = random.Random(turn)
        doors = [Vonage("127.0.0.1", port, now=clock.now) for port in self.ports]
        tools = [Tool(port, self.key) for port in reversed(self.ports)]  # each at the other server
        said_at = dict.fromkeys(self.numbers[turn::WRITERS], clock.now() - _SECOND)
        for number in cycle(said_at):
            if self.over:
                break
            here, word = rng.randrange(2), "START" if self.stops.has(number) else "STOP"
            said_at[number] = max(said_at[number] + _SECOND, clock.now())
            if word == "START":
                self.stops.starts(number)
            answered = doors[here].post_inbound(word, number, at=said_at[number])
            if answered != 200:
                raise RuntimeError(f"{word} was answered {answered}")
            if word == "STOP":
                self.stops.stopped(number)
                before = self.stops.before([number])
                self.stops.judge([number], before, [tools[here].ask(number, at=self.at)])
            self.texts[word] += 1
        for tool in tools:
            tool.close()

    def _ask(self, turn: int) -> None:
        rng, tools = random.Random(turn), [Tool(port, self.key) for port in self.ports]
        while not self.over:
            numbers = rng.sample(self.numbers, min(rng.choice(_SIZES), len(self.numbers)))
            before = self.stops.before(numbers)
            self.stops.judge(numbers, before, rng.choice(tools).ask_all(numbers, at=self.at))
        for tool in tools:
            tool.close()

    def settled(self) -> list[str]:
        """Wait until every text is worked; what is said then that the writers do not expect."""
        tool = Tool(self.ports[0], self.key)
        answers: list[dict[str, Any]] = []

        def worked() -> bool:
            answers[:] = tool.ask_all(self.numbers, at=self.at)
            return all(one["reason"] != "stop_waiting" for one in answers)

        until(worked, "texts still wait", seconds=_PATIENCE)
        tool.close()
        return [
            f"{one['decision']} {one['reason']}"
            for number, one in zip(self.numbers, answers, strict=True)
            if one["decision"] != ("deny" if self.stops.has(number) else "allow")
        ]


def measure(decisions: int, database: str) -> Iterator[str]:
    """Every figure, as lines for people to read."""
    name = places.named(database or "postgresql")[0]
    try:
        with places.on(name, None) as place:
            yield from _on(name, place(_PEOPLE)[0], decisions)
    except postgres.Unavailable as error:
        yield f"SKIP the race: {error}"


def _on(name: str, env: dict[str, str], decisions: int) -> Iterator[str]:
    env = env | {PREFIX + key: value for key, value in SETTINGS.items()}
    app = create_app(config.read(env), serving=False)
    secret = decision_load.key(app, "race")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        each = [{"TEXTS_AT_ONCE": "0"}, {"TEXTS_AT_ONCE": "10000"}]
        deployment = Deployment(env, folder / "log", each)
        stack.callback(deployment.stop)
        deployment.start(processes=2)
        race = Race(deployment.ports, secret, _allowed(deployment.ports[0], secret), decisions)
        seconds = race.run()
        unexpected = race.settled()
    yield from told(name, race, seconds, unexpected)


def _allowed(port: int, secret: str) -> list[str]:
    """Those who may be texted to begin with, as many as the writers need."""
    tool, numbers = Tool(port, secret), [stories.phone_of(i) for i in range(_PEOPLE)]
    answers = tool.ask_all(numbers, at=by_day(clock.now()))
    tool.close()
    found = [
        number
        for number, answer in zip(numbers, answers, strict=True)
        if answer["decision"] == "allow"
    ]
    return found[: WRITERS * _EACH]


def told(name: str, race: Race, seconds: float, unexpected: Sequence[str]) -> Iterator[str]:
    stops, texts = race.stops, race.texts
    allowed = sum(found for word, found in stops.said.items() if word.startswith("allow"))
    yield _verdict(
        not stops.broken and allowed > 0 and stops.judged > 0,
        f"{name}: not denied after an answered STOP: {len(stops.broken)}"
        f" of {stops.decisions:,} decisions",
    )
    yield (
        f"  {stops.judged:,} of them were about stopped numbers; {allowed:,} of the others allowed;"
        f" {texts['STOP']:,} STOPs and {texts['START']:,} STARTs by {WRITERS} writers"
        f" to {len(race.numbers):,} numbers in {seconds:.0f} s"
    )
    yield "  " + ", ".join(f"{word}: {found:,}" for word, found in stops.said.most_common())
    yield _verdict(not unexpected, f"at rest otherwise than the last word: {len(unexpected)}")
    for word, found in Counter([*stops.broken, *unexpected]).most_common():
        yield f"  {word}: {found:,}"


def _verdict(good: bool, what: str) -> str:
    return f"{'ok  ' if good else 'MISS'} {what}"
