"""Where bars and lines stand: always inside the picture, whatever the figures."""

import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefcenter.web.admin import charts
from prefcenter.web.admin.charts import TALL, Bars, Line, Point

HUGE = 10**15
counts = st.integers(0, HUGE)
series = st.lists(st.tuples(counts, counts), min_size=1, max_size=40)


def points(pairs: list[tuple[int, int]]) -> list[Point]:
    return [Point(str(i), up, down, f"{i}: {up}, {down}") for i, (up, down) in enumerate(pairs)]


def numbers(value: object) -> list[float]:
    """Every number in a chart."""
    if isinstance(value, dict):
        return [n for part in value.values() for n in numbers(part)]
    if isinstance(value, list):
        return [n for part in value for n in numbers(part)]
    return [float(value)] if isinstance(value, int | float) else []


def check(chart: Bars | Line) -> None:
    assert all(math.isfinite(number) for number in numbers(asdict(chart)))
    assert all(0 <= tick.at <= 100 for tick in chart.ticks)
    assert all(0 <= label.at <= 100 for label in chart.labels)
    places = [tick.at for tick in chart.ticks]
    assert places == sorted(places, reverse=True)
    assert 2 <= len(chart.ticks) <= 8
    assert sum(tick.is_base for tick in chart.ticks) == 1


@given(series)
def test_bars_are_inside_and_as_long_as_their_figures(pairs: list[tuple[int, int]]) -> None:
    chart = charts.bars(points(pairs))
    check(chart)
    base = next(tick.at for tick in chart.ticks if tick.is_base)
    whole = chart.ticks[-1].value + (0 if chart.ticks[0].is_base else chart.ticks[0].value)
    for box, (up, down) in zip(chart.boxes, pairs, strict=True):
        assert box.up_y >= -0.02 and box.up_y + box.up == pytest.approx(box.down_y, abs=0.02)
        assert box.down_y + box.down <= TALL + 0.02
        assert box.x >= 0 and box.x + box.width <= chart.wide
        at = chart.top + chart.height * box.down_y / TALL
        assert at == pytest.approx(base, abs=0.02)  # the bars stand on the line that says 0
        for length, figure in ((box.up, up), (box.down, down)):
            assert length == pytest.approx(TALL * figure / whole, abs=0.01)


@given(series)
def test_a_line_goes_through_its_figures(pairs: list[tuple[int, int]]) -> None:
    chart = charts.line(points(pairs))
    check(chart)
    assert chart.starts_at == chart.ticks[0].value <= min(up for up, _ in pairs)
    assert chart.ticks[-1].value >= max(up for up, _ in pairs)
    ys = [float(point.split(",")[1]) for point in chart.points.split()]
    assert all(-0.02 <= y <= TALL + 0.02 for y in ys)
    reach = chart.ticks[-1].value - chart.starts_at
    for y, (up, _down) in zip(ys, pairs, strict=False):
        assert y == pytest.approx(TALL * (1 - (up - chart.starts_at) / reach), abs=0.05)
    assert sum(column.width for column in chart.columns) == pytest.approx(chart.wide, abs=0.1)


def test_nothing_at_all_is_a_line_at_nothing() -> None:
    for pairs in ([], [(0, 0)], [(0, 0)] * 30):
        chart = charts.bars(points(pairs))
        check(chart)
        assert all(box.up == box.down == 0 for box in chart.boxes)
        check(charts.line(points(pairs)))


def test_one_day_is_one_bar_and_a_level_line() -> None:
    chart = charts.bars(points([(3, 1)]))
    assert (len(chart.boxes), [label.at for label in chart.labels]) == (1, [50.0])
    line = charts.line(points([(19_996, 0)]))
    first, last = line.points.split()
    assert first.split(",")[1] == last.split(",")[1]


def test_a_scale_of_round_figures() -> None:
    chart = charts.bars(points([(54, 15), (144, 38)]))
    assert [tick.value for tick in chart.ticks] == [50, 0, 50, 100, 150]
    line = charts.line(points([(18_240, 0), (19_996, 0)]))
    assert line.starts_at == 18_000
    assert line.ticks[-1].value == 20_000


@given(st.lists(st.integers(-5, HUGE), max_size=12))
def test_shares_are_of_the_longest(values: list[int]) -> None:
    shares = charts.shares(values)
    assert all(0 <= share <= 100 for share in shares)
    if max((*values, 0)) > 0:
        assert max(shares) == 100
    assert [v <= 0 for v in values if v <= 0] == [
        s == 0 for v, s in zip(values, shares, strict=True) if v <= 0
    ]
