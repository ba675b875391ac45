"""Charts about numbers: whether error bars are as wide as the errors, and metrics against what a study varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eosin.metrics import coverage_of_bars, shares_between_draws
from eosin.reporting.html import Markup
from eosin.reporting.svg import Axis, Chart
from eosin.types import ErrorBars, variance_of_draws

_PROMISED = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)  # shares inside intervals of error bars


def calibration(truth: np.ndarray, draws: np.ndarray, *, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Nominal and observed coverage of the intervals between ordered draws.

    The nominal one is that of draws from the truth's own distribution (`eosin.metrics.shares_between_draws`): exact
    for few draws, where estimated quantiles are not. Both are [k // 2], the widest interval first. `truth` is [s g],
    `draws` [k s g].
    """
    k = len(draws)
    ordered = np.sort(draws, 0)
    j = np.arange(1, k // 2 + 1)
    observed = [((truth >= ordered[i - 1]) & (truth <= ordered[k - i])).mean() for i in j]
    return shares_between_draws(k, mirrored=mirrored), np.array(observed)


def spread_and_error(
    truth: np.ndarray, draws: np.ndarray, n_bins: int = 10, *, mirrored: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Mean predicted sd and root mean squared error in bins of equally many predictions, by predicted sd."""
    sd = np.sqrt(variance_of_draws(draws, mirrored=mirrored)).ravel()
    error = (draws.mean(0) - truth).ravel()
    groups = np.array_split(np.argsort(sd, kind="stable"), min(n_bins, sd.size))
    return np.array([sd[g].mean() for g in groups]), np.array([np.sqrt((error[g] ** 2).mean()) for g in groups])


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether error bars are as wide as the errors.

    Attributes
    ----------
    title
        What the intervals are made of.
    promised, measured
        [i] shares of values inside intervals, the widest one first.
    sd, error
        [b] predicted sd and root mean squared error, in bins by predicted sd.
    """

    title: str
    promised: np.ndarray
    measured: np.ndarray
    sd: np.ndarray
    error: np.ndarray

    @classmethod
    def of_draws(cls, truth: np.ndarray, draws: np.ndarray, *, mirrored: bool = False) -> Calibration:
        """Of the intervals between ordered draws [k s g] around truth [s g]."""
        curve = calibration(truth, draws, mirrored=mirrored)
        return cls("Intervals between draws", *curve, *spread_and_error(truth, draws, mirrored=mirrored))

    @classmethod
    def of_bars(cls, sections: Sequence[tuple[np.ndarray, np.ndarray, ErrorBars]], n_bins: int = 10) -> Calibration:
        """Of (truth [s g], mean [s g], error bars) of sections; the bins are of genes, for each has one sd."""
        n_values = sum(truth.size for truth, _, _ in sections)
        measured = [
            sum(coverage_of_bars(*section, level) * section[0].size for section in sections) / max(n_values, 1)
            for level in _PROMISED
        ]
        squares = np.mean([np.square(truth - mean).mean(0) for truth, mean, _ in sections], axis=0)
        scale = np.sqrt(np.mean([np.square(bars.scale) for _, _, bars in sections], axis=0))
        groups = np.array_split(np.argsort(scale, kind="stable"), min(n_bins, len(scale)))
        sd, error = ([float(np.sqrt(x[g].mean())) for g in groups] for x in (np.square(scale), squares))
        return cls("Intervals", np.array(_PROMISED), np.array(measured), np.array(sd), np.array(error))


def calibration_charts(found: Calibration, unit: str) -> list[Markup]:
    """Do intervals hold what they promise? Are the larger error bars on the larger errors?"""
    share = Axis(0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    held = Chart(share, share, "promised share inside", "measured share inside", found.title)
    held.line([(0.0, 0.0), (1.0, 1.0)], "ideal")
    pairs = list(zip(found.promised.tolist(), found.measured.tolist()))
    held.line(pairs, "c0", dots=True)
    numbers = "; ".join(f"{p:.0%} promised, {m:.0%} measured" for p, m in pairs[:: max(1, len(pairs) // 5)])
    size = Axis.around([*found.sd.tolist(), *found.error.tolist()], zero=True)
    wide = Chart(size, size, f"predicted sd, {unit}", "actual error (RMS)", "Error bars against errors")
    wide.line([(size.low, size.low), (size.high, size.high)], "ideal")
    wide.line(list(zip(found.sd.tolist(), found.error.tolist())), "c0", dots=True)
    spans = f"predicted sd from {found.sd.min():.2g} to {found.sd.max():.2g}, errors from {found.error.min():.2g} to "
    return [
        held.render(f"{found.title}: {numbers}"),
        wide.render(f"Error bars against errors: {spans}{found.error.max():.2g}"),
    ]


Points = Sequence[tuple[float, float]]
Panel = tuple[str, Mapping[str, Points], Points]
"""Title, lines by name as (x, y), and the ridge's; NaN is not drawn."""


def study_charts(quantity: str, panels: Sequence[Panel]) -> list[Markup]:
    """A chart for each metric, its lines against the number that a study varies, in the colours of `line_names`."""
    charts = []
    for title, lines, ridge in panels:
        x = Axis.of_numbers([place for line in lines.values() for place, _ in line])
        y = Axis.around([value for line in (*lines.values(), ridge) for _, value in line])
        chart = Chart(x, y, quantity, "", title)
        chart.line(sorted(ridge), "ridge")
        for i, line in enumerate(lines.values()):
            chart.line(line, f"c{i % N_COLOURS}", dots=True)
        told = "; ".join(
            f"{name}: " + ", ".join(f"{value:.3g} at {place:g}" for place, value in line if np.isfinite(value))
            for name, line in lines.items()
        )
        charts.append(chart.render(f"{title} against {quantity}. {told}"))
    return charts


N_COLOURS = 6
"""Lines of a chart that have colours of their own in the style sheet."""
