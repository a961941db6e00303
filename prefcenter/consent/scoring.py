"""How well the keywords and refusals read a labelled set of messages. Pure.

A refusal that is read as none is a text sent against somebody's will; a question that is
read as a refusal is a customer lost. So all refusals must stop (RULE-19), and fewer than
two of a hundred other messages may.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from prefcenter.consent.keywords import Reading, Refusal, Word, read

_CLASSES = {"stop_sure": Refusal.SURELY, "stop_likely": Refusal.LIKELY}
NEUTRAL = "neutral"
LABELS = (*_CLASSES, NEUTRAL, *(word.value for word in Word if word is not Word.STOP))
_MOST_NEUTRAL_STOPPED = 0.02


@dataclass(frozen=True, slots=True)
class Miss:
    """A message that was not read as its label says."""

    text: str
    language: str
    label: str
    reading: Reading

    def __str__(self) -> str:
        found = self.reading.word or f"refusal {self.reading.refusal}"
        why = f" ({self.reading.matched})" if self.reading.matched else ""
        return f"{self.label}, {self.language or '?'}: {self.text!r} was read as {found}{why}"


@dataclass(slots=True)
class Report:
    """Counts per label, and every miss."""

    total: dict[str, int] = field(default_factory=dict)
    right: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, int] = field(default_factory=dict)
    same_class: int = 0
    misses: list[Miss] = field(default_factory=list)

    @property
    def refusals_stopped(self) -> float:
        """The share of the refusals, sure and likely, that stop."""
        return self._share(self.stopped, _CLASSES, of_none=1.0)

    @property
    def neutral_stopped(self) -> float:
        """The share of the neutral messages that stop."""
        return self._share(self.stopped, (NEUTRAL,), of_none=0.0)

    @property
    def class_agreement(self) -> float:
        """The share of the refusals of which sure or likely was read as labelled."""
        every = self._count(self.total, _CLASSES)
        return self.same_class / every if every else 1.0

    @property
    def ok(self) -> bool:
        """Does this reach both bars?"""
        return self.refusals_stopped == 1.0 and self.neutral_stopped < _MOST_NEUTRAL_STOPPED

    def lines(self) -> Iterator[str]:
        """The report for a person at a terminal."""
        for label in LABELS:
            if label in self.total:
                yield f"{label:12} {self.right.get(label, 0):5} of {self.total[label]:5} read right"
        yield f"Refusals that stop: {self.refusals_stopped:.1%} (must be 100 %)."
        yield f"Neutral messages that stop: {self.neutral_stopped:.1%} (must be under 2 %)."
        yield f"Sure or likely as labelled: {self.class_agreement:.1%} (for information)."
        yield from (f"missed: {miss}" for miss in self.misses)
        yield "The score is good." if self.ok else "The score is not good enough."

    def _share(self, part: dict[str, int], labels: Iterable[str], *, of_none: float) -> float:
        names = tuple(labels)
        every = self._count(self.total, names)
        return self._count(part, names) / every if every else of_none

    @staticmethod
    def _count(counts: dict[str, int], labels: Iterable[str]) -> int:
        return sum(counts.get(label, 0) for label in labels)


def score(rows: Iterable[tuple[str, str, str]]) -> Report:
    """Read each (text, language, label) and compare.

    Raises ValueError, as a sentence, for a label that is none of LABELS.
    """
    report = Report()
    for text, language, label in rows:
        if label not in LABELS:
            raise ValueError(f"There is no label {label!r}; the labels are {', '.join(LABELS)}.")
        reading = read(text)
        _add(report.total, label)
        if reading.refusal is not Refusal.NOT:
            _add(report.stopped, label)
        report.same_class += reading.refusal is _CLASSES.get(label)
        if _is_right(reading, label):
            _add(report.right, label)
        else:
            report.misses.append(Miss(text, language, label, reading))
    return report


def _is_right(reading: Reading, label: str) -> bool:
    """A refusal is right when it stops at all; a keyword when it is that keyword."""
    stops = reading.refusal is not Refusal.NOT
    if label in _CLASSES:
        return stops
    return not stops if label == NEUTRAL else reading.word == label


def _add(counts: dict[str, int], label: str) -> None:
    counts[label] = counts.get(label, 0) + 1
