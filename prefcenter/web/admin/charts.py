"""Charts as figures for a template to draw: where each bar, line and label stands, in percent.

The drawing is plain SVG with no script, no style attribute and no `calc()`: labels and grid
lines stand at percentages, bars and lines in a box of their own that is stretched (DESIGN 6).
Pure; the words are the caller's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TALL = 1000  # units of the stretched box
WIDE = 10  # units of it that one bar has
_GAP = 1.5
_TICKS = 4
_LABELS = 4
_NICE = (1, 2, 2.5, 5, 10)
_PLOT = 88.0  # percent of the height; the rest is for the labels under it
_EDGE = 3.0  # percent that stays free at the top, for half a label


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across and its value."""

    value: int
    at: float  # percent from the top
    is_base: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """Words under the chart; `anchor` is as SVG has it."""

    text: str
    at: float  # percent from the start
    anchor: str


@dataclass(frozen=True, slots=True)
class Box:
    """One bar: what is drawn up and down, and the whole column, which has the words."""

    x: float
    width: float
    column: float
    up_y: float
    up: float
    down_y: float
    down: float
    words: str


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars up and down from one line."""

    ticks: list[Tick]
    labels: list[Label]
    boxes: list[Box]
    top: float
    height: float  # of the stretched box, in percent
    wide: int
    tall: int = TALL


@dataclass(frozen=True, slots=True)
class Line:
    """A line with the room under it filled."""

    ticks: list[Tick]
    labels: list[Label]
    points: str
    area: str
    columns: list[Box]
    top: float
    height: float
    wide: int
    starts_at: int  # the value of the lowest line
    tall: int = TALL


@dataclass(frozen=True, slots=True)
class Point:
    """One place along the chart: its label, its values, and the words for whoever points at it."""

    label: str
    up: int
    down: int
    words: str


def bars(points: Sequence[Point]) -> Bars:
    """Bars for each point; with nothing to show there is still one line."""
    most_up = max((point.up for point in points), default=0)
    most_down = max((point.down for point in points), default=0)
    step = nice_step(most_up + most_down)
    above, below = _reach(most_up, step) or step, _reach(most_down, step)
    whole = above + below
    scale = TALL / whole
    base = above * scale
    boxes = [
        Box(
            x=i * WIDE + _GAP,
            width=WIDE - 2 * _GAP,
            column=i * WIDE,
            up_y=round(base - point.up * scale, 2),
            up=round(point.up * scale, 2),
            down_y=round(base, 2),
            down=round(point.down * scale, 2),
            words=point.words,
        )
        for i, point in enumerate(points)
    ]
    ticks = [
        Tick(abs(value), _percent((above - value) / whole), is_base=value == 0)
        for value in range(-below, above + 1, step)
    ]
    labels = _labels([point.label for point in points])
    return Bars(ticks, labels, boxes, _EDGE, _PLOT - _EDGE, WIDE * max(1, len(points)))


def line(points: Sequence[Point]) -> Line:
    """A line through the points' `up` values. The scale starts near the lowest, and says so."""
    values = [point.up for point in points] or [0]
    low, high = min(values), max(values)
    step = nice_step(high - low)
    bottom = low // step * step
    top = _reach(high, step)
    top = top if top > bottom else bottom + step
    scale = TALL / (top - bottom)
    heights = [round(TALL - (value - bottom) * scale, 2) for value in values]
    wide = WIDE * max(1, len(values) - 1)
    heights = heights * 2 if len(heights) == 1 else heights  # one day is a level line
    path = " ".join(f"{i * WIDE:g},{y:g}" for i, y in enumerate(heights))
    ticks = [
        Tick(value, _percent((top - value) / (top - bottom)), is_base=value == bottom)
        for value in range(bottom, top + 1, step)
    ]
    labels = _labels([point.label for point in points], ends=True)
    return Line(
        ticks=ticks,
        labels=labels,
        points=path,
        area=f"0,{TALL} {path} {wide},{TALL}",
        columns=_columns(points, wide),
        top=_EDGE,
        height=_PLOT - _EDGE,
        wide=wide,
        starts_at=bottom,
    )


def shares(values: Sequence[int]) -> list[float]:
    """Each value as percent of the largest, for bars behind words."""
    most = max((*values, 0))
    return [round(100 * value / most, 1) if most and value > 0 else 0.0 for value in values]


def nice_step(reach: int) -> int:
    """A round number so that about four of them are as much as `reach`."""
    if reach <= _TICKS:
        return 1
    rough = reach / _TICKS
    size: float = 10.0 ** math.floor(math.log10(rough))
    factor = next(f for f in _NICE if f * size >= rough * 0.999999)
    return max(1, math.ceil(factor * size))


def _reach(value: int, step: int) -> int:
    """The first whole step that is at least as much, exact for any size."""
    return -(-value // step) * step


def _percent(share: float) -> float:
    return round(_EDGE + share * (_PLOT - _EDGE), 2)


def _columns(points: Sequence[Point], wide: int) -> list[Box]:
    width = wide / max(1, len(points))
    return [
        Box(0, round(width, 3), round(i * width, 3), 0, 0, 0, 0, point.words)
        for i, point in enumerate(points)
    ]


def _labels(texts: Sequence[str], *, ends: bool = False) -> list[Label]:
    """As many as have room: the first, the last and some between; of a line, only the ends."""
    count = len(texts)
    if count <= 1:
        return [Label(text, 50.0, "middle") for text in texts]
    some = 2 if ends else min(_LABELS, count)
    chosen = sorted({round(i * (count - 1) / (some - 1)) for i in range(some)})
    found = []
    for i in chosen:
        anchor, at = "middle", 100 * (i + 0.5) / count
        if i == 0:
            anchor, at = "start", 0.0
        elif i == count - 1:
            anchor, at = "end", 100.0
        found.append(Label(texts[i], round(at, 2), anchor))
    return found
