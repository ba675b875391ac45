"""What a map of the interval's half-width would tell on six sections of two patients (her2st).

    python benchmarks/halfwidth_her2st.py DATA --features FOLDER [--models ridge,kernel] [--only lso,b-c,c-b]

Everything is learned on training sections. For each model and split, over its test sections: the share of values whose
interval is cut at the smallest possible value, and rank correlations over the spots of a gene (median over genes; nan
where all spots are equal), of the half-width with the predicted mean, and of the size of misses with the half-width,
with the mean and with the distance from training. A map of half-widths is worth a look where misses follow it better
than they follow the mean.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from kernel_her2st import test_sections
from scipy.stats import spearmanr

from eosin.engine import predict
from eosin.genes import target
from eosin.types import Prediction

LOW, HIGH = 0.05, 0.95


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Median over genes of the rank correlation over spots [s g]."""
    pairs = [(x, y) for x, y in zip(a.T, b.T) if min(np.ptp(x), np.ptp(y)) > 1e-6]
    return float(np.median([spearmanr(x, y)[0] for x, y in pairs])) if pairs else float("nan")


def row(made: Prediction, truth: np.ndarray) -> list[float]:
    """The numbers of one test section."""
    low, high, miss = made.quantile(LOW), made.quantile(HIGH), np.abs(truth - made.mean)
    bars, likeness = made.error_bars, made.likeness
    assert bars is not None and bars.smallest is not None and likeness is not None
    half, distance = (high - low) / 2, np.broadcast_to(likeness.distance[:, None], made.mean.shape)
    cut = float((low <= bars.smallest).mean())
    pairs = (half, made.mean), (miss, half), (miss, made.mean), (miss, distance)
    return [cut, *(correlation(a, b) for a, b in pairs)]


def main(arguments: Sequence[str]) -> None:
    print("| model | split | cut | half-width and mean | miss and half-width | miss and mean | miss and distance |")
    print("|---|---|---|---|---|---|---|")
    for model, split, judged in test_sections(__doc__, arguments):
        rows = [row(predict(trained, section), target(section, trained.panel)) for trained, section in judged]
        print(f"| {model} | {split} | " + " | ".join(f"{value:.2f}" for value in np.nanmean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
