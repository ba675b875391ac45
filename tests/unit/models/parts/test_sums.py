"""Sums of groups give the covariances of any union of them, without a row being read twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import toy
from eosin.models.parts import sums as module
from eosin.models.parts.patients import within_sections
from eosin.models.parts.principal import Fit, mean_and_scale
from eosin.models.parts.sums import KeptSums, gather_sums, in_few_folds, renumbered, total, without_each

N, F, G = 90, 6, 3
SECTION = np.repeat([0, 1, 2], 30)


@pytest.fixture(params=[2**22, 100])
def data(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Features far from 0 of very different sizes; in one block of rows or in many."""
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", request.param)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, F)) * 10.0 ** np.arange(-3, 3) + 50 + SECTION[:, None]
    return x, (x[:, :G] - 50) @ rng.normal(size=(G, G)) + SECTION[:, None]


@pytest.mark.parametrize("labels", [SECTION, np.arange(N) % 4, np.where(SECTION == 2, -1, SECTION), np.zeros(N, int)])
def test_what_is_fitted_without_a_group_is_what_its_rows_give(data, labels: np.ndarray) -> None:
    x, y = data
    groups, own = gather_sums(lambda rows: x[rows], F, y, SECTION, [labels, SECTION])
    assert set(own) == {0, 1, 2}
    seen = []
    for label, sums in without_each(groups):
        rows = labels != label if len(np.unique(labels)) > 1 else labels == label
        seen.append(label)
        assert sums.n_spots == rows.sum()
        np.testing.assert_allclose(sums.mean_x(), x[rows].mean(0), rtol=1e-12)
        np.testing.assert_allclose(sums.mean_y(), y[rows].mean(0), rtol=1e-12)
        np.testing.assert_allclose(sums.covariance(), np.cov(x[rows].T, ddof=0), rtol=1e-9, atol=1e-15)
        apart = x[rows] - x[rows].mean(0)
        for within, values in ((True, within_sections(y[rows], SECTION[rows])), (False, y[rows] - y[rows].mean(0))):
            found = sums.covariance_with_values(within_sections=within)
            np.testing.assert_allclose(found, apart.T @ values / rows.sum(), rtol=1e-9, atol=1e-12)
            fit = Fit.of_sums(sums, 4, within_sections=within)
            literal = Fit.of(x[rows], within_sections(y[rows], SECTION[rows]) if within else y[rows], 4)
            for penalty in (1e-3, 1.0):
                one, other = (f.components(x) @ f.weights(penalty) + f.intercept for f in (fit, literal))
                np.testing.assert_allclose(one, other, atol=1e-8)
    assert seen == sorted(label for label in np.unique(labels) if label >= 0)


def test_a_feature_that_is_constant_without_a_group_says_nothing_of_it(data) -> None:
    """Subtracting the group's sums from all would leave rounding, which standardising would blow up."""
    x, y = data
    x = x.copy()
    x[:, 0] = np.where(SECTION == 1, x[:, 0] * 1e6, 0.1)
    (groups,) = gather_sums(lambda rows: x[rows], F, y, SECTION, [SECTION])
    scale = {label: Fit.of_sums(sums, 4, within_sections=True).scale[0] for label, sums in without_each(groups)}
    assert np.isinf(scale[1]) and np.isfinite(scale[0])
    assert scale[0] == pytest.approx(mean_and_scale(x[SECTION != 0])[1][0])


def test_correlations_need_no_predictions(data) -> None:
    x, y = data
    y = np.hstack([y, np.full((N, 1), 7.0)])
    (groups,) = gather_sums(lambda rows: x[rows], F, y, SECTION, [SECTION])
    fit = Fit.of_sums(total(groups), 4, within_sections=False)
    components = fit.components(x[:50])
    found = fit.correlations(components, y[:50], (0.01, 3.0))
    for row, penalty in zip(found, (0.01, 3.0)):
        predicted = components @ fit.weights(penalty)
        expected = [np.corrcoef(predicted[:, gene], y[:50, gene])[0, 1] for gene in range(G)]
        np.testing.assert_allclose(row[:G], expected, atol=1e-10)
    assert np.isnan(found[:, G]).all()


def test_one_pass_answers_later_questions_until_the_spots_are_gone() -> None:
    training, passes, kept = toy.training(20), [], KeptSums()
    features = training.batch.features

    def rows_of(rows: np.ndarray) -> np.ndarray:
        passes.append(len(rows))
        return features[rows].astype(np.float64)

    part = training.batch.part_of_spot()
    first = kept.of(training, rows_of, toy.N_FEATURES, [part, part // 2])
    assert sum(passes) == len(part)
    assert kept.of(training, rows_of, toy.N_FEATURES, [part // 2])[0] is first[1] and sum(passes) == len(part)
    kept.of(training, rows_of, toy.N_FEATURES, [part % 2])
    assert sum(passes) == 2 * len(part)
    other = replace(training, target=training.target + 1)
    moved = kept.of(other, rows_of, toy.N_FEATURES, [part])[0]
    np.testing.assert_allclose(moved[0].mean_y(), first[0][0].mean_y() + 1, atol=1e-6)
    del training, other
    assert kept._known == []


def test_many_groups_are_held_out_several_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = renumbered(np.array([7, -3, 9, 7, 12, 30, -3]))
    assert labels.tolist() == [0, -1, 1, 0, 2, 3, -1]
    assert in_few_folds(labels, 10) is labels
    monkeypatch.setattr(module, "MOST_BYTES", 3 * 8 * 10**2)
    assert in_few_folds(labels, 10).tolist() == [0, -1, 1, 0, 2, 0, -1]
