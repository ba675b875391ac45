"""Error bars: what they learn is what residuals were made of, and 90 % means 90 %."""

from __future__ import annotations

import numpy as np
import pytest

from eosin.trust import ErrorModel, LeftOver, learn_errors
from eosin.trust.error_model import PROBABILITIES, shape_of, with_normal
from eosin.trust.level_prior import OF_PATIENTS, OF_SLIDES, LevelVariance

N_GENES = 30


def residuals(
    seed: int, n_patients: int, n_slides: int = 1, n_spots: int = 80, common: float = 0.3, own: float = 0.5
) -> LeftOver:
    """Noise of scale 0.5 to 2 by gene, levels of patients in its units, and small ones of slides."""
    rng = np.random.default_rng(seed)
    scale = np.linspace(0.5, 2, N_GENES)
    parts, slide, patient = [], [], []
    for p in range(n_patients):
        level = rng.normal() * np.sqrt(common) + rng.normal(size=N_GENES) * np.sqrt(own)
        for _ in range(n_slides):
            of_slide = 0.2 * rng.normal(size=N_GENES)
            noise = rng.gamma(2, size=(n_spots, N_GENES)) / np.sqrt(2) - np.sqrt(2)  # skewed, of variance 1
            parts.append((noise + level + of_slide) * scale)
            slide += [len(parts)] * n_spots
            patient += [p] * n_spots
    return LeftOver(np.concatenate(parts), np.array(slide), np.array(patient))


def unit() -> np.ndarray:
    """The sd of values within slides, of which the noise is all."""
    return np.linspace(0.5, 2, N_GENES)


def names(n: int) -> tuple[str, ...]:
    return tuple(f"P{i}" for i in range(n))


def covered(bars, truth: np.ndarray, level: float) -> float:
    mean = np.zeros_like(truth)
    return float(
        ((truth >= bars.quantile(mean, (1 - level) / 2)) & (truth <= bars.quantile(mean, (1 + level) / 2))).mean()
    )


def test_scale_and_shape_are_those_of_the_noise() -> None:
    errors = learn_errors(residuals(0, 6, 2), None, unit(), names(6))
    assert np.allclose(errors.new.scale, unit(), rtol=0.1)
    shape = errors.new.shape
    assert shape.mean() == pytest.approx(0, abs=1e-9) and np.square(shape).mean() == pytest.approx(1)
    low, high = np.interp([0.05, 0.95], PROBABILITIES, errors.new.shape)
    assert low > -1.4 and high > 1.75  # a normal one has -1.64 and 1.64


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_intervals_for_new_patients_hold_what_they_promise(level: float) -> None:
    """In the mean over cohorts; levels of patients are the larger part of the variance."""
    found = []
    for seed in range(25):
        errors = learn_errors(residuals(seed, 6, 2), None, unit(), names(6))
        bars = errors.bars("someone new", smallest=None)
        found.append(covered(bars, residuals(1000 + seed, 1).residual, level))
    assert abs(np.mean(found) - level) < 0.035
    assert min(found) < level - 0.02  # a patient is one draw


def test_without_levels_they_would_hold_too_little() -> None:
    """Else the test above would pass whatever is done about levels."""
    errors = learn_errors(residuals(0, 6, 2), None, unit(), names(6))
    low, high = (errors.new.scale * np.interp(q, PROBABILITIES, errors.new.shape) for q in (0.05, 0.95))
    misses = [residuals(1000 + seed, 1).residual for seed in range(25)]
    assert np.mean([((miss >= low) & (miss <= high)).mean() for miss in misses]) < 0.8


def test_a_known_patient_has_narrower_bars_than_a_new_one() -> None:
    new = residuals(0, 4, 3)
    within = residuals(0, 4, 3, common=0, own=0)
    errors = learn_errors(new, within, unit(), names(4))
    known, unknown = errors.bars("P2", smallest=0.0), errors.bars("P9", smallest=0.0)
    assert (known.kind, unknown.kind) == ("known patient", "new patient")
    assert (known.scale < 0.9 * unknown.scale).all() and known.n_patients == 4
    assert "12 slides" in known.basis and "4 training patients" in unknown.basis


def test_one_patient_says_that_the_prior_stands_for_patients() -> None:
    few, many = residuals(3, 1, 4), residuals(3, 8, 4)
    one = learn_errors(few, None, unit(), names(1)).bars("x", smallest=None)
    assert one.basis.startswith("prior for patients") and "one training patient" in one.basis and one.n_patients == 1
    prior = OF_PATIENTS.for_panel(N_GENES).around_mean_of(1).total
    assert np.allclose(one.scale**2, few.scale() ** 2 + prior * unit() ** 2)
    assert "prior for" not in learn_errors(many, None, unit(), names(8)).bars("x", smallest=None).basis


def test_slides_of_one_patient_tell_how_slides_differ() -> None:
    bars = learn_errors(residuals(3, 1, 4), None, unit(), names(1)).bars("P0", smallest=None)
    assert "4 slides" in bars.basis
    alone = learn_errors(residuals(3, 1, 1), None, unit(), names(1)).bars("P0", smallest=None)
    assert alone.basis.startswith("prior for slides")


def test_the_prior_gives_way_to_a_cohort() -> None:
    """Variance of levels 4 times the prior's: more patients, wider bars."""
    width = [
        learn_errors(residuals(5, n, common=2, own=4), None, unit(), names(n)).new.level.mean() for n in (1, 3, 12, 24)
    ]
    assert width[0] < width[1] < width[3]
    assert width[3] == pytest.approx(np.sqrt(6) * unit().mean(), rel=0.3)


def test_weaker_panels_and_fewer_patients_change_the_prior_as_measured() -> None:
    assert OF_PATIENTS.for_panel(5000).total == pytest.approx(0.27, abs=0.01)  # 0.54 for two patients
    assert OF_PATIENTS.for_panel(50) == OF_PATIENTS and OF_PATIENTS.for_panel(3) == OF_PATIENTS.for_panel(20)
    assert OF_PATIENTS.around_mean_of(1).total == pytest.approx(2 * OF_PATIENTS.total)
    assert OF_SLIDES.updated(np.zeros((0, 4)), np.zeros(0)) == OF_SLIDES


@pytest.mark.parametrize("of_what", ["patients", "slides of a patient"])
def test_held_out_misses_lie_around_a_mean_of_one_fewer(of_what: str) -> None:
    """A held-out one of three lies around the mean of two others, a new one around the mean of all three."""
    rng, n, n_genes, found = np.random.default_rng(0), 3, 40, []
    nothing = LevelVariance(0.0, 0.0, "nothing", worth=1e-9)
    for _ in range(150):
        level = rng.normal(0, 2, (n, n_genes))
        miss = (level - (level.sum(0) - level) / (n - 1)).repeat(30, 0) + rng.normal(0, 1e-3, (n * 30, n_genes))
        slide = np.arange(n).repeat(30)
        one = np.zeros(n * 30, int)
        if of_what == "patients":
            errors = learn_errors(LeftOver(miss, slide, slide), None, np.ones(n_genes), names(n), of_patients=nothing)
            found.append(np.square(errors.new.level).mean())
        else:
            left_over = LeftOver(miss, slide, one)
            errors = learn_errors(left_over, None, np.ones(n_genes), names(1), of_slides=nothing)
            found.append(np.square(errors.known.level).mean())
    assert np.mean(found) == pytest.approx(4 * (1 + 1 / n), rel=0.04)


def test_slides_of_one_patient_count_once() -> None:
    shifts = np.array([[3.0, 3.0]] * 5 + [[0.0, 0.0], [2.0, 0.0]])
    found = OF_PATIENTS.updated(shifts, np.array([0, 0, 0, 0, 0, 1, 2]))
    assert found.common == pytest.approx((0.5 * OF_PATIENTS.common + 9 + 0 + 1) / 3.5)
    assert found.own == pytest.approx((0.1 * OF_PATIENTS.own + 0 + 0 + 1) / 3.1)
    assert found.worth == 3.5 and found.source == OF_PATIENTS.source


def test_the_sum_of_noise_and_level_has_the_moments_of_a_sum() -> None:
    gamma = np.random.default_rng(0).gamma(2, size=200_000)
    shape = shape_of((gamma - 2) / np.sqrt(2))
    for ratio in (0.0, 0.5, 3.0):
        summed = with_normal(shape, ratio)
        assert summed.mean() == pytest.approx(0, abs=1e-9) and np.square(summed).mean() == pytest.approx(1)
        assert (np.diff(summed) >= 0).all()
        expected = (shape**3).mean() / (1 + ratio) ** 1.5
        assert (summed**3).mean() == pytest.approx(expected, rel=0.06)


def test_arrays_rebuild_it() -> None:
    errors = learn_errors(residuals(0, 3, 2), residuals(1, 3, 2), unit(), names(3))
    again = ErrorModel.of_arrays(errors.arrays())
    assert again.patients == errors.patients
    for patient in ("P1", "new"):
        one, other = errors.bars(patient, smallest=0.0), again.bars(patient, smallest=0.0)
        assert np.array_equal(one.scale, other.scale) and np.array_equal(one.shape, other.shape)
        assert one.basis == other.basis


@pytest.mark.parametrize("n_spots", [1, 2, 3])
def test_very_few_spots_give_finite_bars(n_spots: int) -> None:
    bars = learn_errors(residuals(0, 1, 1, n_spots), None, unit(), names(1)).bars("x", smallest=0.0)
    assert np.isfinite(bars.scale).all() and np.isfinite(bars.shape).all()


def test_a_constant_gene_has_a_level_but_no_noise() -> None:
    left_over = residuals(0, 3)
    left_over.residual[:, 4] = 0
    errors = learn_errors(left_over, None, np.where(np.arange(N_GENES) == 4, 0.0, unit()), names(3))
    bars = errors.bars("x", smallest=0.0)
    assert bars.scale[4] < 1e-4 and np.isfinite(bars.shape).all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("width", [0.05, 3.0])
def test_a_models_own_draws_are_as_wide_as_the_error_bars(width: float, *, mirrored: bool) -> None:
    """Whatever the network thinks of its own width; around the mean that is given, and with levels of the slide."""
    errors = learn_errors(residuals(0, 6, 2), None, unit(), names(6))
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(200, 40, N_GENES)) * width
    if mirrored:
        noise[1::2] = -noise[::2]
    mean = np.full((40, N_GENES), 50.0)
    made = errors.of_own_draws(mean + 7 + noise, mean, "someone new", 0, mirrored=mirrored)
    assert made.dtype == np.float32
    within = made - made.mean(1, keepdims=True)
    assert np.allclose(within.std((0, 1)), errors.new.scale, rtol=0.05)
    assert np.allclose(made.std((0, 1)), errors.new.total, rtol=0.2)
    assert np.abs(made.mean((0, 1)) - 50).max() < 5 * errors.new.total.max() / np.sqrt(200)


def test_own_draws_that_are_all_alike_get_levels_only() -> None:
    errors = learn_errors(residuals(0, 6, 2), None, unit(), names(6))
    made = errors.of_own_draws(np.full((3, 5, N_GENES), 9.0), np.full((5, N_GENES), 9.0), "new", 0, mirrored=False)
    assert np.isfinite(made).all() and np.allclose(made, made[:, :1])


def test_a_single_draw_stands_at_the_mean_it_is_given() -> None:
    """As that of a patient of whom spots were measured, whose mean was moved."""
    errors = learn_errors(residuals(0, 6, 2), None, unit(), names(6))
    mean = np.full((5, N_GENES), 50.0)
    made = errors.of_own_draws(np.full((1, 5, N_GENES), 9.0), mean, "new", 0, mirrored=True)
    assert np.allclose(made, made[:, :1]) and np.abs(made - 50).max() < 6 * errors.new.level.max()
