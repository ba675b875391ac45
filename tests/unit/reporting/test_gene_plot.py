"""Maps of genes as a figure: what stands in each panel, in which colours, and how long the scale bar is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from scipy import sparse

import eosin
from eosin.errors import EosinError
from eosin.reporting.gene_plot import KINDS, gene_figure
from eosin.reporting.thinning import evenly_thinned
from eosin.types import ErrorBars, GenePanel, Likeness, Prediction, Section, Spots

GENES = ("GOOD", "FAIR", "$<script>$")
BARS = ErrorBars(np.array([0.2, 0.3, 0.4]), np.array([0.05, 0.5, 0.95]), np.array([-1.6, 0.0, 1.6]))


def pair(n_side: int = 6, *, draws: int = 4) -> tuple[Prediction, Section]:
    """A section of squares 100 µm apart, and a prediction of it."""
    rng = np.random.default_rng(0)
    xy = np.stack(np.meshgrid(np.arange(n_side), np.arange(n_side)), -1).reshape(-1, 2) * 100.0 + 150
    spots = Spots(xy, 55.0, tuple(f"s{i}" for i in range(len(xy))))
    counts = rng.poisson(6, (len(xy), 3))
    truth = Section("A1", "P", spots, counts=sparse.csr_matrix(counts), genes=GENES)
    mean = np.log1p(counts) + rng.standard_normal(counts.shape) * np.array([0.05, 0.6, 0.9])
    values = mean + 0.3 * rng.standard_normal((draws, *mean.shape))
    return Prediction("A1", spots, GenePanel(GENES), values, "ridge", 0), truth


def discs(figure: Any) -> list[EllipseCollection]:
    return [c for axis in figure.axes for c in axis.collections if isinstance(c, EllipseCollection)]


def titles(figure: Any) -> list[str]:
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def texts(figure: Any) -> str:
    return " ".join(text.get_text() for axis in figure.axes for text in axis.texts) + " ".join(titles(figure))


def test_mean_and_truth_of_a_gene_share_one_range_and_name_their_unit() -> None:
    prediction, truth = pair()
    figure = gene_figure(prediction, ["FAIR"], ["mean", "truth", "difference"], truth=truth)
    mean, measured, difference = (disc.get_clim() for disc in discs(figure))
    assert mean == measured
    assert difference[0] == -difference[1] != mean[0]
    assert [axis.get_ylabel() for axis in figure.axes].count("ln(1 + count)") == 3


def test_spots_have_their_true_width_and_the_scale_bar_its_length_in_um() -> None:
    prediction, _ = pair()
    figure = gene_figure(prediction, ["GOOD"], ["mean"], thumbnail=(np.full((90, 90, 3), 200, np.uint8), 10.0))
    disc = discs(figure)[0]
    np.testing.assert_allclose(2 * disc._widths, 55.0)
    axis = figure.axes[0]
    (bar,) = [line for line in axis.lines if line.get_linewidth() == 2.5]
    label = next(text.get_text() for text in axis.texts if text.get_text().endswith("m"))
    assert np.ptp(bar.get_xdata()) == float(label.removesuffix(" µm"))
    assert disc.get_alpha() is not None and disc.get_alpha() < 1
    (image,) = axis.images
    assert list(image.get_extent()) == [0, 900, 900, 0]


def test_one_number_for_each_gene_is_said_and_never_drawn_as_a_map() -> None:
    prediction, _ = pair()
    likeness = Likeness(np.linspace(0.5, 3, 36), 2.0, 2.0)
    barred = replace(prediction, error_bars=BARS, likeness=likeness)
    figure = gene_figure(barred, ["FAIR"], ["interval", "sd"])
    assert "90 % interval: ±0.48 at every spot" in titles(figure)[0]
    assert "sd 0.30 at every spot" in titles(figure)[1]
    for disc in discs(figure):
        np.testing.assert_allclose(np.asarray(disc.get_array()), likeness.distance)
    without = gene_figure(replace(barred, likeness=None), ["FAIR"], ["interval"])
    assert discs(without) == [] and "No map: the width is the same" in texts(without)
    single = gene_figure(replace(prediction, draws=prediction.draws[:1]), ["FAIR"], ["interval"])
    assert discs(single) == [] and "no error bars: one draw" in texts(single)


def test_draws_that_differ_from_spot_to_spot_are_a_map_of_half_the_interval() -> None:
    prediction, _ = pair(draws=20)
    (disc,) = discs(gene_figure(prediction, ["GOOD"], ["interval"]))
    half = (prediction.quantile(0.95) - prediction.quantile(0.05))[:, 0] / 2
    np.testing.assert_allclose(np.asarray(disc.get_array()), half)
    assert disc.get_clim()[0] == 0


def test_by_default_it_shows_the_best_genes_and_the_truth_where_it_is_given() -> None:
    prediction, truth = pair()
    figure = gene_figure(prediction, truth=truth)
    assert [a.get_ylabel() for a in figure.axes if a.get_ylabel() in GENES] == ["GOOD", "FAIR", "$<script>$"]
    assert titles(figure)[:4] == ["spots (no image given)", "predicted mean", "measured", "half of the 90 % interval"]
    assert "measured" not in titles(gene_figure(prediction))


def test_values_that_are_not_known_have_no_colour() -> None:
    from eosin.reporting.figures import new_figure
    from eosin.reporting.maps import ColouredMap, draw_spots

    prediction, _ = pair(2)
    axis, bar = new_figure(3, 2).subplots(1, 2)
    layer = ColouredMap("x", np.array([0.0, np.nan, 1.0, 2.0]), 0, 2, "viridis", "u")
    draw_spots(axis, bar, prediction.spots, layer)
    known, unknown = axis.collections
    assert len(known.get_offsets()) == 3 and len(unknown.get_offsets()) == 1
    assert unknown.get_facecolor().size == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"genes": ["NOPE"]}, "'NOPE'"),
        ({"show": ["mean", "meen"]}, "no map is called 'meen'"),
        ({"show": ["truth"]}, "'truth' needs the measured section"),
        ({"show": ["difference"]}, "--truth"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(given: dict[str, Any], says: str) -> None:
    with pytest.raises(EosinError, match=says):
        gene_figure(pair()[0], **given)


def test_another_suffix_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"\.png, \.pdf or \.svg"):
        eosin.plot(tmp_path / "absent.h5ad", out=tmp_path / "maps.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_files_are_whole_and_equal_for_equal_input(suffix: str, tmp_path: Path) -> None:
    prediction, truth = pair(3)
    for name in ("a", "b"):
        figure = eosin.plot(
            prediction, genes="GOOD,$<script>$", truth=[truth], out=tmp_path / f"{name}.{suffix}", dpi=50
        )
    first, second = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("a", "b"))
    assert first == second and len(first) > 1000
    assert b"<script>" not in first
    assert type(figure).__module__ == "matplotlib.figure"
    assert len(list(tmp_path.iterdir())) == 2


def test_one_spot_and_every_kind() -> None:
    prediction, truth = pair()
    one = prediction.of_spots(np.array([3]))
    assert len(gene_figure(one, ["GOOD"], KINDS, truth=truth).axes) > len(KINDS)


def test_very_many_spots_are_thinned_evenly_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 10_000, (150_000, 2))
    spots = Spots(xy, 10.0, tuple(map(str, range(len(xy)))))
    many = Prediction("big", spots, GenePanel(("G",)), rng.random((1, len(xy), 1)), "ridge", 0)
    figure = gene_figure(many, ["G"], ["mean"])
    (disc,) = discs(figure)
    n = len(disc.get_offsets())
    assert 20_000 < n <= 100_000 and disc.get_rasterized()
    assert f"{n:,} of 150,000 spots drawn" in figure.texts[0].get_text()


def test_thinning_keeps_the_whole_tissue_and_is_always_the_same() -> None:
    xy = np.random.default_rng(1).uniform(0, 1000, (5000, 2))
    rows = evenly_thinned(xy, 400)
    assert 100 < len(rows) <= 400 and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, evenly_thinned(xy, 400))
    quarters = np.histogram2d(*xy[rows].T, bins=2)[0]
    assert quarters.min() > 0.6 * quarters.max()
    np.testing.assert_array_equal(evenly_thinned(xy[:300], 400), np.arange(300))
    on_a_line = np.stack([np.arange(1000.0), np.zeros(1000)], 1)
    assert 0 < len(evenly_thinned(on_a_line, 50)) <= 50
    assert 0 < len(evenly_thinned(np.zeros((99, 2)), 50)) <= 50
