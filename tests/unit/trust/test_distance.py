"""Distance from training: slides like those of training are near, others far, and nothing of a spot is invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eosin.errors import EosinError
from eosin.trust import Distance
from eosin.trust.distance import FeatureSpace
from eosin.types import Likeness

N_FEATURES = 40
MIX = np.random.default_rng(0).normal(size=(6, N_FEATURES))


def slide(seed: int, n: int = 120, shift: float = 0.0) -> np.ndarray:
    """Features of a few causes, with a level of the slide, and noise."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, 6)) + 0.3 * rng.normal(size=6) + shift
    return causes @ MIX + 0.5 * rng.normal(size=(n, N_FEATURES))


def trained(n_slides: int = 5) -> Distance:
    features = np.concatenate([slide(seed) for seed in range(n_slides)])
    number = np.repeat(np.arange(n_slides), 120)
    return Distance.of(features, number, np.zeros(len(features)))


def test_training_spots_have_a_usual_distance_of_one() -> None:
    features = slide(0, 400)
    space = FeatureSpace.of(features)
    assert np.sqrt(np.mean(space.distances(features) ** 2)) == pytest.approx(1, abs=0.02)


def test_an_unseen_slide_of_the_kind_is_like_training() -> None:
    distance = trained()
    found = [distance.likeness(slide(seed)) for seed in range(100, 120)]
    assert sum(likeness.verdict == "like training" for likeness in found) >= 19
    assert np.mean([likeness.is_far.mean() for likeness in found]) == pytest.approx(0.05, abs=0.03)


def other_scale(features: np.ndarray) -> np.ndarray:
    return 2 * features


def other_noise(features: np.ndarray) -> np.ndarray:
    return features + 2.5 * np.random.default_rng(9).normal(size=features.shape)


def other_texture(features: np.ndarray) -> np.ndarray:
    return features[:, ::-1].copy()


@pytest.mark.parametrize("spoil", [other_scale, other_noise, other_texture])
def test_a_spoilt_slide_is_unlike_training(spoil) -> None:
    likeness = trained().likeness(spoil(slide(100)))
    assert likeness.verdict == "unlike training" and likeness.is_far.mean() > 0.5
    assert "not to be trusted" in likeness.line()


def test_another_patient_in_training_widens_what_is_usual() -> None:
    one, other = slide(0), slide(1, shift=1.5)
    features, number = np.concatenate([one, slide(2), other, slide(3, shift=1.5)]), np.repeat(np.arange(4), 120)
    known = Distance.of(features, number, np.repeat([0, 0, 1, 1], 120))
    alone = Distance.of(features, number, np.zeros(480))
    assert known.slide_limit > 1.1 * alone.slide_limit


def test_very_many_spots_are_thinned_and_one_slide_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.trust.distance._MOST_SPOTS", 60)
    features = slide(0)
    few = Distance.of(features, np.zeros(120), np.zeros(120))
    assert few.likeness(slide(0)).ratio < 1
    assert Distance.of(features[:1], np.zeros(1), np.zeros(1)).likeness(features).distance.shape == (120,)


def test_a_constant_feature_counts_for_nothing() -> None:
    features = np.concatenate([slide(0), np.ones((120, 1))], 1)
    distance = Distance.of(features, np.zeros(120), np.zeros(120))
    changed = features.copy()
    changed[:, -1] = 7
    assert np.allclose(distance.likeness(features).distance, distance.likeness(changed).distance)


def test_arrays_rebuild_it() -> None:
    distance = trained(2)
    again = Distance.of_arrays(distance.arrays())
    one, other = distance.likeness(slide(7)), again.likeness(slide(7))
    assert np.array_equal(one.distance, other.distance) and one.line() == other.line()


def test_verdicts_stand_at_their_limits() -> None:
    at = Likeness(np.full(5, 1.0), 2.0, 1.0)
    assert at.verdict == "further than training" and not at.is_far.any()
    assert replace(at, slide_limit=1.01).verdict == "like training"
    assert replace(at, slide_limit=1 / 1.31).verdict == "unlike training"
    assert Likeness(np.zeros(0), 1.0, 1.0).verdict == "like training"
    for wrong in ({"distance": np.array([np.nan])}, {"slide_limit": 0.0}):
        with pytest.raises(EosinError):
            replace(at, **wrong)


def test_one_slide_alone_does_not_know_how_slides_differ() -> None:
    """Its margin is larger, so that others of the kind are not refused; what is spoilt still is."""
    features = slide(0)
    alone = Distance.of(features, np.zeros(120), np.zeros(120))
    assert alone.slide_limit == pytest.approx(1.5 * np.median(FeatureSpace.of(features).distances(features)))
    assert all(alone.likeness(slide(seed)).verdict != "unlike training" for seed in range(100, 120))
    assert alone.likeness(other_scale(slide(100))).verdict == "unlike training"
