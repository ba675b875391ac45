"""Charts about numbers: accuracy per gene, and whether error bars are as wide as the errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eosin.metrics import coverage_of_bars, shares_between_draws
from eosin.reporting.figures import INK, new_figure, to_png
from eosin.scores.results import Summary
from eosin.types import ErrorBars, variance_of_draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#a33a7a", "#2f6f9f", "#c77d1e", "#4b8b5a", "#77797f", "#7a5bb5")
_SOFT = "#c9ced8"
_PROMISED = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)  # shares inside intervals of error bars
_MOST_NAMED = 80  # more gene names than this cannot be read


def gene_chart(genes: Sequence[str], pcc: Mapping[str, np.ndarray]) -> bytes:
    """Pearson correlation of every gene, best first, a dot per model [g]; genes without a value are left out.

    The order is the first model's. Beyond 80 genes only the ranks are on the axis.
    """
    first = next(iter(pcc.values()))
    order = np.argsort(np.where(np.isnan(first), np.inf, -first), kind="stable")
    order = order[~np.isnan(first[order])]
    figure = new_figure(10.5, 3.4, layout="tight")
    axis = figure.subplots()
    place = np.arange(len(order))
    axis.vlines(place, 0, first[order], color=_SOFT, linewidth=min(4.0, 300 / max(len(order), 1)))
    for i, (model, values) in reversed(list(enumerate(pcc.items()))):
        size = 26 if i == 0 else 14
        axis.scatter(
            place, values[order], s=size, color=_COLOURS[i % len(_COLOURS)], label=model, linewidth=0, zorder=3
        )
    axis.axhline(0, color=INK, linewidth=0.8)
    axis.set(xlim=(-0.8, max(len(order) - 0.2, 0.8)), ylim=(min(-0.1, float(np.nanmin(first, initial=0)) - 0.05), 1.0))
    if len(order) <= _MOST_NAMED:
        axis.set_xticks(place, [genes[j][:18] for j in order], rotation=90, fontsize=7.5)
    else:
        axis.set_xlabel("genes, best first")
    axis.set_ylabel("Pearson correlation")
    if len(pcc) > 1:
        axis.legend(frameon=False, fontsize=8, ncols=len(pcc), loc="upper right")
    _plain(axis)
    return to_png(figure)


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


def calibration_chart(found: Calibration, unit: str) -> bytes:
    """Left: do intervals hold what they promise? Right: are the larger error bars on the larger errors?"""
    figure = new_figure(8.4, 3.7, layout="tight")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=_SOFT, linewidth=1.5, label="calibrated")
    left.plot(found.promised, found.measured, "o-", color=_COLOURS[0], markersize=4, label="this model")
    left.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="promised share inside", ylabel="measured share inside")
    left.set_title(found.title, fontsize=10, color=INK)
    left.legend(frameon=False, fontsize=8, loc="upper left")
    sd, error = found.sd, found.error
    top = 1.08 * max(sd.max(), error.max(), 1e-6)
    right.plot([0, top], [0, top], color=_SOFT, linewidth=1.5)
    right.plot(sd, error, "o-", color=_COLOURS[0], markersize=4)
    right.set(xlim=(0, top), ylim=(0, top), aspect="equal", xlabel=f"predicted sd, {unit}", ylabel="actual error (RMS)")
    right.set_title("Error bars against errors", fontsize=10, color=INK)
    for axis in (left, right):
        _plain(axis)
    return to_png(figure)


def models_chart(
    names: Sequence[str],
    families: Sequence[str],
    summaries: Sequence[Sequence[Summary]],
    comparisons: Sequence[Sequence[Mapping[str, Any] | None]],
    metric: str,
) -> bytes:
    """For each family of splits: every model's value with its sd over seeds, and where known its lead over the ridge.

    `summaries` and `comparisons` are [families][models]; a model without a number has no dot.
    """
    compared = any(comparison for row in comparisons for comparison in row)
    columns = 2 if compared else 1
    height = 0.75 + 0.24 * len(names)
    figure = new_figure(10.5, min(height * len(families), 60), layout="tight")
    axes = figure.subplots(len(families), columns, squeeze=False, sharey=True)
    y = np.arange(len(names))
    for i, family in enumerate(families):
        left = axes[i, 0]
        means = np.array([summary.mean for summary in summaries[i]])
        sds = np.array([summary.sd for summary in summaries[i]])
        left.errorbar(means, y, xerr=sds, fmt="o", color=_COLOURS[0], markersize=5, elinewidth=1.2)
        _bound(left, means, means - sds, y)
        left.set_title(family[:60], fontsize=9, color=INK, loc="left")
        left.set_xlabel(f"{metric}, bars: sd over seeds" if sds.any() else metric)
        left.set_yticks(y, [name[:44] for name in names])
        left.set_ylim(len(names) - 0.4, -0.6)
        _plain(left)
        if compared:
            _differences(axes[i, 1], y, comparisons[i])
    return to_png(figure)


def _differences(axis: Axes, y: np.ndarray, comparisons: Sequence[Mapping[str, Any] | None]) -> None:
    """Differences to the ridge with their intervals; those that leave out 0 in full colour."""
    axis.axvline(0, color=INK, linewidth=0.8)
    for place, comparison in zip(y, comparisons):
        if comparison is not None:
            low, high = comparison["low"], comparison["high"]
            sure = low > 0 or high < 0
            colour = _COLOURS[1] if sure else _COLOURS[4]
            axis.hlines(place, low, high, color=colour, linewidth=1.6)
            axis.plot(comparison["difference"], place, "o", color=colour, markersize=5)
    values, lows = (np.array([np.nan if c is None else c[key] for c in comparisons]) for key in ("difference", "low"))
    _bound(axis, values, lows, y)
    axis.locator_params(axis="x", nbins=6)
    axis.set_xlabel("difference to the tuned ridge in PCC, 95 % interval")
    _plain(axis)


def _bound(axis: Axes, values: np.ndarray, lows: np.ndarray, y: np.ndarray) -> None:
    """Leave one value far below all others (a mean that predicts nothing) off the axis, with its number there."""
    ordered = np.sort(lows[np.isfinite(lows)])
    if len(ordered) < 3:
        return
    floor = ordered[1] - 0.3 * max(ordered[-1] - ordered[1], 0.02)
    if ordered[0] >= ordered[1] - 3 * max(np.nanmax(values) - ordered[1], 0.02):
        return
    axis.set_xlim(left=floor)
    place = int(np.nanargmin(values))
    style = {"xytext": (3, 0), "textcoords": "offset points", "va": "center", "fontsize": 8, "color": INK}
    axis.annotate(f"◂ {values[place]:.2f}", (floor, y[place]), **style)


Points = Sequence[tuple[float, float]]
Panel = tuple[str, Mapping[str, Points], Points]
"""Title, lines by name as (x, y), and the ridge's; NaN is not drawn."""


def study_chart(quantity: str, panels: Sequence[Panel]) -> bytes:
    """A panel per metric, its lines against the number that a study varies."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(10.5, 2.9 * rows + 0.4, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    names = list(panels[0][1])
    for axis, (title, lines, ridge) in zip(axes, panels):
        for i, name in enumerate(names):
            x, y = np.array(lines[name], dtype=float).T
            axis.plot(x, y, "o-", color=_COLOURS[i % len(_COLOURS)], markersize=4, linewidth=1.3, label=name)
        axis.plot(*np.array(ridge, dtype=float).T, color=INK, linewidth=0.9, linestyle="--")
        shown = sorted({x for line in lines.values() for x, _ in line})
        if shown[0] > 0 and shown[-1] / shown[0] >= 8:
            axis.set_xscale("log")
        axis.set_xticks(shown, [f"{x:g}" for x in shown])
        axis.minorticks_off()
        axis.set_title(title, fontsize=9.5, color=INK, loc="left")
        axis.set_xlabel(quantity)
        _plain(axis)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    if len(names) > 1:
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, fontsize=8, ncols=min(len(names), 5), loc="outside lower center")
    return to_png(figure)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(_SOFT)
    axis.tick_params(colors=INK, labelsize=8)
    axis.grid(axis="x" if axis.get_ylim()[0] > axis.get_ylim()[1] else "y", color=_SOFT, linewidth=0.4)
    axis.set_axisbelow(True)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set(color=INK, fontsize=9)
