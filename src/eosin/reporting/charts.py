"""Charts about numbers: accuracy per gene, and whether the error bars mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from eosin.reporting.maps import new_figure, to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#a33a7a", "#2f6f9f", "#c77d1e", "#4b8b5a", "#77797f", "#7a5bb5")
_INK, _SOFT = "#3b4252", "#c9ced8"
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
    axis.axhline(0, color=_INK, linewidth=0.8)
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


def calibration(truth: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nominal and observed coverage of the intervals between ordered draws.

    With k draws from the truth's own distribution, the truth falls between the j-th smallest and the j-th largest with
    probability (k + 1 - 2 j) / (k + 1), whatever the distribution: exact for few draws, where estimated quantiles are
    not. Both are [k // 2], the widest interval first. `truth` is [s g], `draws` [k s g].
    """
    k = len(draws)
    ordered = np.sort(draws, 0)
    j = np.arange(1, k // 2 + 1)
    observed = [((truth >= ordered[i - 1]) & (truth <= ordered[k - i])).mean() for i in j]
    return (k + 1 - 2 * j) / (k + 1), np.array(observed)


def spread_and_error(truth: np.ndarray, draws: np.ndarray, n_bins: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Mean predicted sd and root mean squared error in bins of equally many predictions, by predicted sd."""
    sd = draws.std(0, ddof=1).ravel()
    error = (draws.mean(0) - truth).ravel()
    groups = np.array_split(np.argsort(sd, kind="stable"), min(n_bins, sd.size))
    return np.array([sd[g].mean() for g in groups]), np.array([np.sqrt((error[g] ** 2).mean()) for g in groups])


def calibration_chart(truth: np.ndarray, draws: np.ndarray, unit: str) -> bytes:
    """Left: do intervals hold what they promise? Right: are the larger error bars on the larger errors?"""
    figure = new_figure(8.4, 3.7, layout="tight")
    left, right = figure.subplots(1, 2)
    nominal, observed = calibration(truth, draws)
    left.plot([0, 1], [0, 1], color=_SOFT, linewidth=1.5, label="calibrated")
    left.plot(nominal, observed, "o-", color=_COLOURS[0], markersize=4, label="this model")
    left.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="promised share inside", ylabel="measured share inside")
    left.set_title("Intervals between draws", fontsize=10, color=_INK)
    left.legend(frameon=False, fontsize=8, loc="upper left")
    sd, error = spread_and_error(truth, draws)
    top = 1.08 * max(sd.max(), error.max(), 1e-6)
    right.plot([0, top], [0, top], color=_SOFT, linewidth=1.5)
    right.plot(sd, error, "o-", color=_COLOURS[0], markersize=4)
    right.set(xlim=(0, top), ylim=(0, top), aspect="equal", xlabel=f"predicted sd, {unit}", ylabel="actual error (RMS)")
    right.set_title("Error bars against errors", fontsize=10, color=_INK)
    for axis in (left, right):
        _plain(axis)
    return to_png(figure)


def bench_chart(splits: Sequence[str], means: Mapping[str, np.ndarray], sds: Mapping[str, np.ndarray]) -> bytes:
    """A dot with its spread over seeds per model and split; means and sds are [splits], NaN where not run."""
    figure = new_figure(10.5, min(0.7 + 0.42 * len(splits) + 0.1 * len(means), 14), layout="tight")
    axis = figure.subplots()
    for i, (model, values) in enumerate(means.items()):
        y = np.arange(len(splits)) + (i - (len(means) - 1) / 2) * min(0.14, 0.7 / max(len(means), 1))
        colour = _COLOURS[i % len(_COLOURS)]
        axis.errorbar(values, y, xerr=np.nan_to_num(sds[model]), fmt="o", color=colour, markersize=5, label=model)
    axis.set_yticks(np.arange(len(splits)), [split[:40] for split in splits])
    axis.set(ylim=(len(splits) - 0.4, -0.6), xlabel="mean Pearson correlation, bars: sd over seeds")
    axis.legend(frameon=False, fontsize=8, bbox_to_anchor=(1, 1), loc="upper left")
    axis.grid(axis="y", color=_SOFT, linewidth=0.5)
    _plain(axis)
    return to_png(figure)


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(_SOFT)
    axis.tick_params(colors=_INK, labelsize=8)
    axis.grid(axis="x" if axis.get_ylim()[0] > axis.get_ylim()[1] else "y", color=_SOFT, linewidth=0.4)
    axis.set_axisbelow(True)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set(color=_INK, fontsize=9)
