from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eosin.errors import EosinError
from eosin.types import GenePanel, Section, Spots
from eosin.viewer.gene_values import MeasuredValues, PredictedValues, matching_rows, need_same_scale
from unit.viewer.conftest import Make


def test_one_interval_for_all_spots_is_told_as_such(make: Make) -> None:
    prediction = make()
    values = PredictedValues(prediction, "Predicted").of_gene(1)
    assert set(values.vectors) == {"mean"}
    np.testing.assert_array_equal(values.vectors["mean"], prediction.mean[:, 1])
    interval = values.facts["interval"]
    assert interval["below"] == pytest.approx(0.5, abs=1e-5) and interval["above"] == pytest.approx(0.75, abs=1e-5)
    low = np.maximum(values.vectors["mean"] - interval["below"], interval["smallest"])
    np.testing.assert_allclose(low, prediction.quantile(0.05)[:, 1], atol=1e-5)


def test_the_spread_of_draws_is_a_map(make: Make) -> None:
    prediction = make(bars=False)
    values = PredictedValues(prediction, "Predicted").of_gene(0)
    assert not values.facts
    np.testing.assert_array_equal(values.vectors["low"], prediction.quantile(0.05)[:, 0])
    np.testing.assert_array_equal(values.vectors["high"], prediction.quantile(0.95)[:, 0])


def test_a_point_model_without_error_bars_has_no_interval(make: Make) -> None:
    point = replace(make(), error_bars=None, centre=None)
    values = PredictedValues(point, "Predicted").of_gene(0)
    assert set(values.vectors) == {"mean"} and not values.facts


def test_another_model_is_brought_to_the_shown_spots_and_genes(make: Make) -> None:
    shown = make(genes=("A", "B"))
    other = make(genes=("C", "B"), seed=3).of_spots(np.arange(30)[::-1])
    values = PredictedValues(replace(other, spots=shown.spots.take(np.arange(30)[::-1])), "x", shown.panel, shown.spots)
    assert values.n_shared == (1, 30)
    assert np.isnan(values.of_gene(0).vectors["mean"]).all()
    mean = values.of_gene(1).vectors["mean"]
    np.testing.assert_array_equal(mean[:30], other.mean[::-1, 1])
    assert np.isnan(mean[30:]).all()


def test_measured_values_stand_at_the_predicted_spots(make: Make) -> None:
    prediction = make(genes=("A", "B"))
    rows = np.random.default_rng(0).permutation(60)[:40]
    counts = np.random.default_rng(1).poisson(3, (40, 2)).astype(np.float32)
    section = Section(
        prediction.section, "p", prediction.spots.take(rows), counts=sparse.csr_matrix(counts), genes=("B", "Z")
    )
    measured = MeasuredValues(section, prediction)
    assert measured.n_shared == (1, 40)
    values = measured.of_gene(1).vectors["mean"]
    np.testing.assert_allclose(values[rows], np.log1p(counts[:, 0]), rtol=1e-6)
    assert np.isnan(np.delete(values, rows)).all() and np.isnan(measured.of_gene(0).vectors["mean"]).all()


def test_a_truth_of_other_genes_or_without_counts_is_refused(make: Make) -> None:
    prediction = make(genes=("A",))
    section = Section("s", "p", prediction.spots)
    with pytest.raises(EosinError, match="has no counts"):
        MeasuredValues(section, prediction)
    other = replace(section, counts=sparse.csr_matrix(np.ones((60, 1))), genes=("B",))
    with pytest.raises(EosinError, match="none of the predicted genes"):
        MeasuredValues(other, prediction)
    elsewhere = replace(
        other, genes=("A",), spots=Spots(prediction.spots.xy_um + 1e5, 40.0, tuple(map(str, range(60))))
    )
    with pytest.raises(EosinError, match="none of the predicted spots"):
        MeasuredValues(elsewhere, prediction)


def test_spots_without_a_shared_name_are_found_by_place(make: Make) -> None:
    spots = make().spots
    renamed = Spots(spots.xy_um[::-1] + 0.01, 40.0, tuple(f"x{i}" for i in range(60)))
    assert matching_rows(renamed, spots).tolist() == list(range(59, -1, -1))


def test_other_scales_are_not_compared(make: Make) -> None:
    shown = GenePanel(("ERBB2",), "log2p1")
    with pytest.raises(EosinError, match="is in log1p, the one that is shown in log2p1"):
        need_same_scale(shown, make())
    with pytest.raises(EosinError, match="none of the genes"):
        need_same_scale(GenePanel(("X",)), make())
