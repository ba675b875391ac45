"""Measured spots of a patient: the level is found, the look is used where it helps, the width follows the misses."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.trust.error_model import PROBABILITIES, KindOfErrors
from eosin.trust.patient_update import PatientUpdate

N_GENES = 30


def errors(level: float = 1.0, common: float = 0.4) -> KindOfErrors:
    shape = np.linspace(-1.7, 1.7, len(PROBABILITIES))
    scale = np.linspace(0.5, 2.0, N_GENES)
    return KindOfErrors(scale, level * scale, shape, "prior for patients", common=common)


def seen(
    m: int, rng: np.random.Generator, share: float, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Looks [m], the kernel between them, and misses [m g] of a known level and of a smooth function of the look."""
    look = rng.uniform(0, 6, size=m)
    kernel = np.exp(-np.square(look[:, None] - look) / 2)
    level = rng.normal(0, 1, size=N_GENES) + 0.5
    smooth = np.sin(look[:, None] * 1.3 + np.arange(N_GENES)) * np.sqrt(2 * share)
    misses = level + smooth + noise * np.sqrt(1 - share) * rng.normal(size=(m, N_GENES))
    return look, kernel, misses * errors().scale


def test_level_is_drawn_to_what_is_usual_and_known_better_with_more_spots() -> None:
    rng = np.random.default_rng(0)
    _, kernel, missed = seen(200, rng, 0.0)
    few, many = (PatientUpdate.of(missed[:n], kernel[:n, :n], errors()) for n in (3, 200))
    np.testing.assert_allclose(many.level, missed.mean(0), atol=0.05)
    assert (many.level_sd < few.level_sd).all()
    none = PatientUpdate.of(missed[:3], kernel[:3, :3], errors(level=1e-6))
    np.testing.assert_allclose(none.level, 0, atol=1e-3)  # levels that cannot differ are not learned


def test_posterior_of_the_level_is_bayes_rule() -> None:
    """With own levels only: prior variance v, m spots of noise 1 -> mean m v / (m v + 1) of theirs."""
    rng = np.random.default_rng(1)
    _, kernel, missed = seen(5, rng, 0.0)
    found = PatientUpdate.of(missed, kernel, errors(level=0.7, common=0.0))
    v = 0.7**2
    np.testing.assert_allclose(found.level, missed.mean(0) * 5 * v / (5 * v + 1), atol=1e-9)
    np.testing.assert_allclose(found.level_sd, errors().scale * np.sqrt(v / (5 * v + 1)), atol=1e-9)


def test_posterior_of_a_level_that_genes_share_is_that_of_a_joint_normal() -> None:
    """Covariance of the genes' mean misses: shared + (own + 1/m) on the diagonal; asked for: shared + own."""
    rng = np.random.default_rng(2)
    m, common, level = 4, 0.6, 0.8
    missed = (0.9 + rng.normal(size=(m, N_GENES))) * errors().scale
    found = PatientUpdate.of(missed, np.eye(m), errors(level=level, common=common))
    shared, own = common * level**2, (1 - common) * level**2
    seen_covariance = shared + (own + 1 / m) * np.eye(N_GENES)
    gain = (shared + own * np.eye(N_GENES)) @ np.linalg.inv(seen_covariance)
    expected = gain @ (missed / errors().scale).mean(0)
    np.testing.assert_allclose(found.level / errors().scale, expected, atol=1e-9)


def test_the_look_is_used_where_misses_follow_it_and_not_else() -> None:
    rng = np.random.default_rng(2)
    look, kernel, missed = seen(120, rng, 0.6)
    found = PatientUpdate.of(missed, kernel, errors())
    assert found.share >= 0.4
    new = rng.uniform(0.5, 5.5, size=50)
    between = np.exp(-np.square(new[:, None] - look) / 2)
    wanted = np.sin(new[:, None] * 1.3 + np.arange(N_GENES)) * np.sqrt(1.2)
    added = (found.added(between) - found.level) / errors().scale
    assert np.corrcoef(added.ravel(), wanted.ravel())[0, 1] > 0.9
    noise = PatientUpdate.of(seen(120, rng, 0.0)[2], kernel, errors())
    assert noise.share <= 0.05
    few = PatientUpdate.of(missed[:4], kernel[:4, :4], errors())
    assert few.share <= 4 / 24


def test_update_is_that_of_a_gaussian_process() -> None:
    """The literal formula: centred kernel, covariance of mean diagonal 1, in units of the noise."""
    rng = np.random.default_rng(3)
    look, kernel, missed = seen(60, rng, 0.6)
    found = PatientUpdate.of(missed, kernel, errors())
    assert found.share > 0
    m = len(look)
    centring = np.eye(m) - np.ones((m, m)) / m
    centred = centring @ kernel @ centring
    size = np.trace(centred) / m
    covariance = found.share * centred / size + (1 - found.share) * np.eye(m)
    left = (missed - found.level) / errors().scale
    literal = found.level + errors().scale * (found.share * centred / size @ np.linalg.inv(covariance) @ left)
    np.testing.assert_allclose(found.added(kernel), literal, atol=1e-8)
    inverse = np.linalg.inv(covariance)
    from_others = (inverse @ left) / np.diag(inverse)[:, None]
    width = np.sqrt((20 + np.square(from_others).sum() / N_GENES) / (20 + m))
    assert found.width == pytest.approx(width)


@pytest.mark.parametrize(("noise", "low", "high"), [(0.5, 0.5, 0.65), (1.0, 0.9, 1.1), (2.0, 1.7, 2.1)])
def test_width_follows_the_misses(noise: float, low: float, high: float) -> None:
    _, kernel, missed = seen(150, np.random.default_rng(4), 0.0, noise)
    assert low < PatientUpdate.of(missed, kernel, errors()).width < high


def test_one_spot_and_errors_around_it() -> None:
    _, kernel, missed = seen(1, np.random.default_rng(5), 0.0)
    found = PatientUpdate.of(missed, kernel, errors())
    assert found.share == 0 and np.isfinite(found.level).all() and found.width > 0
    here, elsewhere = found.errors_at(None, 1), found.errors_at(np.full(N_GENES, 0.3), 1)
    assert (elsewhere.level > here.level).all() and here.basis.startswith("1 measured spot of the patient")
