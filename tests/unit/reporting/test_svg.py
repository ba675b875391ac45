"""Charts inside a page: points where they belong, ticks that can be read, text that is escaped."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from eosin.reporting.charts import Calibration, calibration_charts, study_charts
from eosin.reporting.svg import Axis, Chart, interval_axis, interval_mark


@pytest.mark.parametrize(
    "values", [(0.1, 0.73), (-0.02, 0.05), (5.0, 5.0), (0.0,), (), (float("nan"), 2.0), (1e-9, 3e6)]
)
def test_an_axis_holds_its_values_between_round_ticks(values: tuple[float, ...]) -> None:
    axis = Axis.around(values)
    known = [v for v in values if np.isfinite(v)]
    assert all(axis.low <= v <= axis.high for v in known)
    assert 2 <= len(axis.ticks) <= 12 and axis.low == axis.ticks[0] and axis.high == axis.ticks[-1]
    assert all(len(f"{tick:.6g}") < 9 for tick in axis.ticks)
    assert Axis.around(values, zero=True).low <= 0 <= Axis.around(values, zero=True).high


def test_numbers_of_a_study_are_ticks_and_wide_ones_are_logarithmic() -> None:
    axis = Axis.of_numbers([1, 2, 4, 32])
    assert axis.log and axis.ticks == (1, 2, 4, 32)
    assert axis.place(4) == pytest.approx(0.4)
    assert not Axis.of_numbers([1, 2, 4]).log and not Axis.of_numbers([0, 100]).log
    assert Axis.of_numbers([3]).place(3) == 0.5


def test_points_lie_inside_the_frame_and_what_is_not_known_is_left_out() -> None:
    axis = Axis.around([0, 1])
    chart = Chart(axis, axis, "x <&>", "y", "title")
    chart.line([(0, 0), (0.5, float("nan")), (1, 1)], "c0", dots=True)
    svg = chart.render('said "so"')
    assert svg.count("<circle") == 2 and "x &lt;&amp;&gt;" in svg and 'aria-label="said &#34;so&#34;"' in svg
    (first, last) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert float(first[0]) == chart.LEFT and float(first[1]) == chart.height - chart.BOTTOM
    assert float(last[0]) == chart.width - chart.RIGHT and float(last[1]) == chart.TOP


def test_an_interval_is_drawn_by_what_it_leaves_out() -> None:
    axis = Axis.around([-0.1, 0.1], zero=True)
    assert "dot good" in interval_mark(axis, 0.05, 0.02, 0.08)
    assert "dot bad" in interval_mark(axis, -0.05, -0.08, -0.02)
    assert "dot unsure" in interval_mark(axis, 0.01, -0.02, 0.04)
    alone = interval_mark(axis, 0.01, float("nan"), float("nan"))
    assert "dot unsure" in alone and "bar" not in alone


def test_numbers_of_an_axis_do_not_run_into_one_another() -> None:
    svg = interval_axis(Axis(-0.15, 0.1, (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1)), width=200)
    placed = sorted((float(x), text) for x, text in re.findall(r'<text x="([\d.]+)"[^>]*>([^<]+)<', svg))
    assert "0" in [text for _, text in placed] and placed[0][1] == "−0.15"
    for (x, text), (y, other) in itertools.pairwise(placed):
        assert y - x > 3.9 * (len(text) + len(other))


def test_charts_of_calibration_and_of_a_study_say_their_numbers() -> None:
    found = Calibration(
        "Intervals", np.array([0.9, 0.5]), np.array([0.8, 0.4]), np.array([0.1, 0.3]), np.array([0.2, 0.2])
    )
    held, wide = calibration_charts(found, "ln(1 + count)")
    assert "90% promised, 80% measured" in held and "predicted sd, ln(1 + count)" in wide
    (chart,) = study_charts("draws", [("PCC ↑", {"a": [(1, 0.5), (2, float("nan"))]}, [(1, 0.4), (2, 0.4)])])
    assert "a: 0.5 at 1" in chart and chart.count("<circle") == 1 and "line ridge" in chart
