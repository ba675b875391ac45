"""The tuned ridge: which components it keeps, how far it smooths, and what it says out of fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

import toy
from eosin.models import Training
from eosin.models.parts import sums
from eosin.types import Batch, GenePanel

PENALTY, MIX, NEAR = 0.3, 0.25, 3
N_COMPONENTS = 2
N_PER_GROUP = 40


@pytest.fixture(scope="module")
def training() -> Training:
    """Three groups; two wide directions of the features say the values, six narrow ones are noise."""
    rng = np.random.default_rng(0)
    n = 3 * N_PER_GROUP
    hidden, loading = rng.normal(size=(n, 2)), rng.normal(size=(2, 8))
    features = (hidden @ loading + rng.normal(0, 0.2, (n, 8))).astype(np.float32) * np.linspace(1, 5, 8) + 3
    target = (hidden @ rng.normal(size=(2, 4)) + rng.normal(0, 0.3, (n, 4)) + 2).astype(np.float32)
    starts = np.array([0, N_PER_GROUP, n])  # one group is a section of its own, the other two share one
    xy = rng.uniform(0, 900, (n, 2))
    batch = Batch(xy, features.astype(np.float32), starts, np.arange(n))
    groups = np.repeat([5, 2, 9], N_PER_GROUP)
    return Training(batch, target, np.round(np.expm1(np.abs(target))), groups, GenePanel(tuple("ABCD")))


def literal(x: np.ndarray, y: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Ridge on the leading principal components of standardised features, as the formulas say."""
    x, y, asked = (a.astype(np.float64) for a in (x, y, asked))
    mean, sd = x.mean(0), x.std(0)
    z = (x - mean) / sd
    axes = np.linalg.svd(z, full_matrices=False)[2][:N_COMPONENTS].T  # largest singular values first
    scores = z @ axes
    weight = np.linalg.solve(
        scores.T @ scores / len(z) + PENALTY * np.eye(N_COMPONENTS), scores.T @ (y - y.mean(0)) / len(z)
    )
    return (asked - mean) / sd @ axes @ weight + y.mean(0)


def smoothed(values: np.ndarray, batch: Batch) -> np.ndarray:
    """1 - MIX of each spot and MIX of the mean of its NEAR nearest others in the section."""
    out = values.copy()
    for a, b in zip(batch.starts[:-1], batch.starts[1:]):
        near = cKDTree(batch.xy_um[a:b]).query(batch.xy_um[a:b], NEAR + 1)[1][:, 1:] + a
        out[a:b] = (1 - MIX) * values[a:b] + MIX * values[near].mean(1)
    return out


def ridge(training: Training, mix: float = MIX, **given: object):
    settings = {"n_components": N_COMPONENTS, "penalties": (PENALTY,), "smoothing": (mix,), "n_neighbours": NEAR}
    settings["centre_sections"] = False  # the formulas above; centred ones are below
    return toy.solved("ridge", training, **{**settings, **given})


def test_leading_components_are_kept(training: Training) -> None:
    features = training.batch.features
    expected = literal(features, training.target, features)
    np.testing.assert_allclose(ridge(training, 0.0).predict(training.batch), expected, atol=1e-6)
    share = np.square(expected - training.target).mean() / training.target.var(0).mean()
    assert share < 0.35  # the toy tells leading from last components: those explain hardly anything


def test_mix_is_the_neighbours_share(training: Training) -> None:
    features = training.batch.features
    plain = literal(features, training.target, features)
    np.testing.assert_allclose(ridge(training).predict(training.batch), smoothed(plain, training.batch), atol=1e-6)


def test_out_of_fold_is_fitted_without_the_group_and_smoothed(training: Training) -> None:
    features, expected = training.batch.features, np.zeros(training.target.shape)
    for label in (2, 5, 9):
        out = training.groups == label
        expected[out] = literal(features[~out], training.target[~out], features[out])
    found = ridge(training).out_of_fold(training)
    np.testing.assert_allclose(found, smoothed(expected, training.batch), atol=1e-6)


def test_a_spot_without_neighbours_is_not_smoothed_and_few_neighbours_are_all(training: Training) -> None:
    model = ridge(training, n_neighbours=8)
    plain = ridge(training, 0.0).predict(training.batch)
    alone = training.batch.regions([np.array([7]), np.array([3, 50, 90])])
    found = model.predict(alone)
    np.testing.assert_allclose(found[0], plain[7], atol=1e-6)
    np.testing.assert_allclose(found[1], (1 - MIX) * plain[3] + MIX * plain[[50, 90]].mean(0), atol=1e-6)


@pytest.mark.parametrize("other", [0.001, 100.0])
def test_the_penalty_is_the_one_that_predicts_other_groups_best(training: Training, other: float) -> None:
    model = ridge(training, penalties=(other, 0.5), smoothing=(0.0,), n_components=8)
    scores = {}
    for penalty in (other, 0.5):
        single = ridge(training, penalties=(penalty,), smoothing=(0.0,), n_components=8)
        held_out = single.out_of_fold(training)
        per_group = [
            np.mean(
                [
                    np.corrcoef(held_out[rows, gene], training.target[rows, gene])[0, 1]
                    for gene in range(training.target.shape[1])
                ]
            )
            for rows in (training.groups == label for label in (2, 5, 9))
        ]
        scores[penalty] = np.mean(per_group)
    assert model.penalty == max(scores, key=lambda penalty: scores[penalty])


def two_patients(shift: float) -> Training:
    """Sections of two patients whose level and features differ: `shift` moves both of the second one."""
    from eosin.engine.train import gather
    from eosin.genes import choose_panel

    sections = [toy.section(name, 50) for name in ("A1", "A2", "B1")]
    training = gather(sections, choose_panel("var:6", sections))
    features, target = training.batch.features.copy(), training.target.copy()
    features[100:] += shift
    target[100:] += shift
    return replace(training, batch=replace(training.batch, features=features), target=target)


def test_a_second_patient_is_not_explained_by_features() -> None:
    """The effects of features are the same in both patients; without centring the shift hides them."""
    test = toy.section("A9", 80)
    batch = Batch.of([test])
    truth = np.log1p(test.expression(two_patients(0).panel.names))

    def correlation(**given: object) -> float:
        found = toy.solved("ridge", two_patients(5), penalties=(0.01,), smoothing=(0.0,), **given).predict(batch)
        return float(np.mean([np.corrcoef(truth[:, g], found[:, g])[0, 1] for g in range(truth.shape[1])]))

    assert correlation() > correlation(centre_sections=False) + 0.02


def test_a_patient_of_training_has_their_own_level() -> None:
    training = two_patients(5)
    model = toy.solved("ridge", training, penalties=(0.1,), smoothing=(0.0,))
    test = Batch.of([toy.section("X9", 40)])
    found = {name: model.predict(replace(test, patients=(name,))).mean(0, np.float64) for name in ("A", "B", "Z")}
    own = {"A": training.target[:100].mean(0), "B": training.target[100:].mean(0), "Z": training.target.mean(0)}
    for name in own:
        np.testing.assert_allclose(found[name] - found["Z"], own[name] - own["Z"], atol=2e-6)
    chosen = toy.solved("ridge", training)  # a penalty of its own for patients of training
    levels = [chosen.predict(replace(test, patients=(name,))).mean(dtype=np.float64) for name in ("A", "B")]
    assert levels[1] - levels[0] == pytest.approx(own["B"].mean() - own["A"].mean(), abs=1e-6)
    assert model.remarks(test) == {"level": "new patient"}
    assert model.remarks(replace(test, patients=("B",))) == {"level": "known patient"}
    fresh = toy.made("ridge", training)
    fresh.load_arrays(model.arrays())
    assert np.array_equal(fresh.predict(replace(test, patients=("B",))).mean(0, np.float64), found["B"])


def test_one_section_gives_the_same_centred_or_not() -> None:
    sections = [toy.section("A1", 60)]
    from eosin.engine.train import gather
    from eosin.genes import choose_panel

    training = gather(sections, choose_panel("var:6", sections))
    plain, centred = (toy.solved("ridge", training, centre_sections=flag) for flag in (False, True))
    np.testing.assert_allclose(centred.predict(training.batch), plain.predict(training.batch), atol=1e-6)
    assert set(centred.arrays()) == {"weight", "intercept", "chosen", "mean"} | {
        f"levels.{name}" for name in ("overall", "own", "patients")
    }
    assert set(plain.arrays()) == {"weight", "intercept", "chosen"}  # as in checkpoints of before


def test_smoothing_is_chosen_where_neighbours_agree() -> None:
    """Values that vary slowly over the section, features that say them with much noise."""
    rng = np.random.default_rng(1)
    xy = np.stack(np.meshgrid(np.arange(9), np.arange(9)), -1).reshape(-1, 2) * 100.0
    slow = np.concatenate([np.sin(xy / 250.0 + shift).sum(1) for shift in (0, 1, 2)])
    features = (slow[:, None] + rng.normal(0, 1.5, (len(slow), 4))).astype(np.float32)
    fast = rng.normal(size=len(slow))
    batch = Batch(np.tile(xy, (3, 1)), features, np.arange(4) * 81, np.arange(len(slow)))
    panel, groups = GenePanel(("A",)), batch.part_of_spot()
    smooth = Training(batch, slow[:, None].astype(np.float32), np.zeros((len(slow), 1)), groups, panel)
    rough_batch = Batch(batch.xy_um, np.repeat(fast[:, None], 4, 1).astype(np.float32), batch.starts, np.arange(243))
    rough = Training(rough_batch, fast[:, None].astype(np.float32), np.zeros((len(slow), 1)), groups, panel)
    assert [toy.solved("ridge", t, smoothing=(0.0, 0.75)).mix for t in (smooth, rough)] == [0.75, 0.0]


def test_wide_features_are_fitted_from_rows_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums of features with features would take more memory than the features."""
    training = two_patients(2)
    models = [toy.solved("ridge", training)]
    monkeypatch.setattr(sums, "MOST_BYTES", 8)
    monkeypatch.setattr(sums, "gather_sums", None)
    models.append(toy.solved("ridge", training))
    for name, values in models[0].arrays().items():
        np.testing.assert_allclose(models[1].arrays()[name].numpy(), values.numpy(), atol=1e-6, err_msg=name)
    one, other = (model.out_of_fold(training) for model in models)
    np.testing.assert_allclose(one, other, atol=1e-6)
