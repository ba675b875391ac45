"""Noise in space: what is fitted is what was there, and draws are as the fit says."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.generative.matern_field import matern
from eosin.models.parts.spatial_noise import MOST_FACTORS, PITCHES, SpatialNoise, _lags

PITCH = 100.0
SIDE = 24


def lattice(side: int = SIDE) -> np.ndarray:
    return PITCH * np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(float)


def fields(xy: np.ndarray, length: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Exact draws [s n] of a Matérn field, by the root of its covariance."""
    away = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    return np.linalg.cholesky(matern(away, length) + 1e-8 * np.eye(len(xy))) @ rng.normal(size=(len(xy), n))


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noise of four genes on six slides: alone, short with a partner, its mirror image, and long."""
    rng, xy = np.random.default_rng(0), lattice()
    slides = []
    for _ in range(6):
        short, long = fields(xy, PITCHES[0] * PITCH, 1, rng)[:, 0], fields(xy, PITCHES[1] * PITCH, 1, rng)[:, 0]
        own = rng.normal(size=(len(xy), 4))
        slides.append(np.stack([own[:, 0], 0.9 * short + 0.436 * own[:, 1], -0.9 * short + 0.436 * own[:, 2], long], 1))
    return np.concatenate(slides), np.repeat(np.arange(6), len(xy)), np.tile(xy, (6, 1))


def test_fit_finds_who_is_smooth_and_who_goes_with_whom(seen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    found = SpatialNoise.fit(*seen)
    np.testing.assert_allclose(found.lengths_um, np.array(PITCHES) * PITCH)
    np.testing.assert_allclose(np.diag(found.correlation(0.0)), 1, atol=1e-5)
    near, far = found.correlation(PITCH), found.correlation(4 * PITCH)
    wanted = 0.81 * matern(np.array(PITCH), PITCHES[0] * PITCH)
    np.testing.assert_allclose(near[1, 1], wanted, atol=0.08)
    np.testing.assert_allclose(near[1, 2], -wanted, atol=0.08)
    assert abs(near[0, 0]) < 0.08 and abs(near[0, 1]) < 0.08
    assert far[3, 3] > 0.35 and abs(far[1, 1]) < 0.2


def test_pairs_in_a_bin_are_those_of_a_double_loop() -> None:
    rng = np.random.default_rng(1)
    xy, scores = rng.uniform(0, 500, size=(40, 2)), rng.normal(size=(40, 3))
    n_pairs, distance, products = _lags(scores, xy)
    away = np.linalg.norm(xy[:, None] - xy[None], axis=-1)
    pitch = float(np.median(np.sort(away, 1)[:, 1]))
    sums, number, total = np.zeros((3, 3)), 0, 0.0
    for i in range(40):
        for j in range(i):
            if 1.25 * pitch < away[i, j] <= 2.25 * pitch:
                sums += np.outer(scores[i], scores[j]) / 2 + np.outer(scores[j], scores[i]) / 2
                number, total = number + 1, total + away[i, j] / pitch
    assert n_pairs[2] == number > 0
    np.testing.assert_allclose(products[2], sums / number)
    np.testing.assert_allclose(distance[2], total / number)
    np.testing.assert_allclose(products[0], scores.T @ scores / 40)


def drawn(noise: SpatialNoise, xy: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    result = np.zeros((n, len(xy), noise.loadings.shape[1]), dtype=np.float32)
    for rows, block in noise.draws(xy, n, np.random.default_rng(seed)):
        result[:, rows] = block
    return result


def test_draws_have_the_correlations_of_the_fit(seen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    noise = SpatialNoise.fit(*seen)
    draws = np.concatenate([drawn(noise, lattice(12), 20, seed) for seed in range(20)])  # other waves for every seed
    np.testing.assert_allclose(draws.mean((0, 1)), 0, atol=0.05)
    np.testing.assert_allclose(draws.std((0, 1)), 1, atol=0.04)
    tiles = draws.reshape(400, 12, 12, 4)
    side_by_side = np.einsum("kija,kijb->ab", tiles[:, :, :-1], tiles[:, :, 1:]) / (400 * 12 * 11)
    np.testing.assert_allclose(side_by_side, noise.correlation(PITCH), atol=0.06)


def test_a_block_of_spots_draws_as_before(
    seen: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    noise, xy = SpatialNoise.fit(*seen), lattice()
    assert np.array_equal(drawn(noise, xy, 3), drawn(noise, xy, 3))
    assert not np.array_equal(drawn(noise, xy, 3), drawn(noise, xy, 3, seed=1))
    monkeypatch.setattr("eosin.models.parts.spatial_noise._ROWS_AT_ONCE", 50)
    blocks = drawn(noise, xy, 200)
    smooth_gene = blocks[:, :, 3]
    across = np.mean(smooth_gene[:, 49] * smooth_gene[:, 50])  # neighbours on either side of a block's edge
    assert xy[50, 1] == xy[49, 1] and across > 0.6


def test_many_genes_keep_their_variance_and_partners() -> None:
    rng, xy = np.random.default_rng(2), lattice(16)
    n_genes = MOST_FACTORS + 40
    shared = fields(xy, PITCHES[1] * PITCH, 1, rng)
    values = 0.8 * shared * np.where(np.arange(n_genes) % 2, 1, -1) + 0.6 * rng.normal(size=(len(xy), n_genes))
    values = (values - values.mean(0)) / values.std(0)
    noise = SpatialNoise.fit(values, np.zeros(len(xy), dtype=int), xy)
    assert noise.loadings.shape == (3, n_genes, MOST_FACTORS) and (noise.alone > 0).all()
    together = noise.correlation(0.0)
    np.testing.assert_allclose(np.diag(together), 1, atol=1e-5)
    assert together[0, 2] > 0.3 and together[0, 1] < -0.3
    np.testing.assert_allclose(drawn(noise, xy, 60).std((0, 1)), 1, atol=0.15)


@pytest.mark.parametrize(
    ("n_spots", "n_genes"),
    [pytest.param(1, 3, id="one spot"), (2, 3), pytest.param(3, 200, id="more genes than spots")],
)
def test_few_spots_give_noise_of_variance_one(n_spots: int, n_genes: int) -> None:
    values = np.random.default_rng(0).normal(size=(n_spots, n_genes))
    values[:, 1] = 0  # a constant gene
    noise = SpatialNoise.fit(values, np.zeros(n_spots, dtype=int), lattice()[:n_spots])
    np.testing.assert_allclose(np.diag(noise.correlation(0.0)), 1, atol=1e-4)
    assert np.isfinite(drawn(noise, lattice(4), 2)).all()


def test_spots_on_one_place_are_no_error() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    noise = SpatialNoise.fit(values, np.zeros(20, dtype=int), np.zeros((20, 2)))
    assert (noise.lengths_um > 0).all()


def test_it_comes_back_from_its_arrays(seen: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    noise = SpatialNoise.fit(*seen)
    assert np.array_equal(drawn(SpatialNoise.of_arrays(noise.arrays()), lattice(5), 2), drawn(noise, lattice(5), 2))
