"""Parts of a prediction are those of the whole, and the whole is never copied."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eosin.reporting import write_report
from eosin.reporting.gene_plot import gene_figure
from eosin.reporting.prediction_part import part_of, variation
from eosin.types import ErrorBars, GenePanel, GeneTrust, Likeness, Prediction, Spots


def made(n: int = 60, g: int = 5, k: int = 3) -> Prediction:
    rng = np.random.default_rng(0)
    spots = Spots(rng.uniform(0, 2000, (n, 2)), 55.0, tuple(map(str, range(n))))
    draws = rng.gamma(2, 1, (k, n, g))
    names = tuple(f"G{j}" for j in range(g))
    trust = GeneTrust(np.linspace(0, 1, g), np.linspace(0, 1, g), "new patient")
    likeness = Likeness(np.arange(n) + 1.0, 2.0, 2.0)
    return Prediction("A1", spots, GenePanel(names), draws, "stem", 0, trust=trust, likeness=likeness)


@pytest.mark.parametrize("with_centre", [False, True])
def test_a_part_equals_the_same_part_of_the_whole(*, with_centre: bool) -> None:
    whole = made()
    if with_centre:
        bars = ErrorBars(np.arange(5) + 1.0, np.array([0.05, 0.95]), np.array([-1.0, 1.0]))
        whole = replace(whole, centre=whole.draws[0] + 1, error_bars=bars)
    rows, columns = np.array([3, 7, 20]), [4, 1]
    part = part_of(whole, rows, columns)
    assert part.panel.names == ("G4", "G1") and part.spots.ids == ("3", "7", "20")
    np.testing.assert_array_equal(part.mean, whole.mean[np.ix_(rows, columns)])
    np.testing.assert_allclose(part.sd, whole.sd[np.ix_(rows, columns)])
    assert part.trust is not None and part.trust.inner_pcc.tolist() == [1.0, 0.25]
    assert part.likeness is not None and part.likeness.distance.tolist() == [4, 8, 21]
    assert len(part_of(whole, None, [0]).spots) == 60
    np.testing.assert_allclose(variation(whole), whole.mean.std(0), rtol=1e-5)


def test_a_page_and_a_figure_of_a_table_on_disk_do_not_copy_it(tmp_path: Path) -> None:
    n, g = 3_000, 4_000  # 48 MB
    table = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float32, shape=(1, n, g))
    table[:] = np.random.default_rng(0).random((1, n, 1)) + np.linspace(0, 1, g, dtype=np.float32)
    xy = np.stack(np.meshgrid(np.arange(60), np.arange(50)), -1).reshape(-1, 2) * 100.0
    bars = ErrorBars(np.ones(g), np.array([0.05, 0.95]), np.array([-1.0, 1.0]))
    spots, panel = Spots(xy, 55.0, tuple(map(str, range(n)))), GenePanel(tuple(f"G{j}" for j in range(g)))
    whole = Prediction("A1", spots, panel, table, "kernel", 0, centre=table[0], error_bars=bars)
    gene_figure(whole, ["G1"], ["mean"])  # imports
    tracemalloc.start()
    try:
        gene_figure(whole, ["G7"], ["mean", "interval"])
        page = write_report(tmp_path / "x.html", predictions=[whole])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * table.nbytes, peak
    assert page.stat().st_size < 2_500_000
