"""Densities of a slide's stains: measured where there is tissue, scaled within limits, and said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eosin.encoders import get_encoder
from eosin.encoders.parts.slide_densities import SlideDensities, unit_rows

GLASS = torch.full((3, 224, 224, 3), 245, dtype=torch.uint8)


def tissue(seed: int = 0, *, haematoxylin: float = 1.0, eosin: float = 1.0, n: int = 6) -> torch.Tensor:
    """Windows uint8 [n 224 224 3] of drawn tissue: nuclei on a background of eosin, with that much of either stain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:224, :224]
    amounts = np.zeros((n, 224, 224, 3))
    for window in amounts:
        window[..., 1] = 0.45 + 0.1 * np.sin(x / rng.uniform(6, 20)) * np.cos(y / rng.uniform(6, 20))
        for _ in range(rng.integers(30, 80)):
            at, radius = rng.uniform(0, 224, 2), rng.uniform(2, 5)
            window[(x - at[0]) ** 2 + (y - at[1]) ** 2 < radius**2, 0] = rng.uniform(0.6, 1.1)
    amounts[..., :2] += rng.normal(0, 0.01, amounts[..., :2].shape)
    density = amounts * [haematoxylin, eosin, 1] @ unit_rows()
    return torch.from_numpy(np.clip(np.round(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8))


def test_a_darker_slide_has_nearly_the_same_features():
    """All densities times 1.4: version 1 sees another tissue, version 2 nearly the same."""
    usual, darker = tissue(), tissue(haematoxylin=1.4, eosin=1.4)
    distance = {}
    for version in (1, 2):
        encoder = get_encoder(f"stain?version={version}")
        here, there = (encoder.for_slide([w] * len(encoder.slide_views)).encode([w, w]) for w in (usual, darker))
        between = here.std(0) + 1e-3
        distance[version] = float(((here - there).abs() / between).mean())
    assert distance[2] < 0.2 * distance[1], distance


@pytest.mark.parametrize("turn", [lambda w: w.rot90(1, (1, 2)), lambda w: w.flip(1), lambda w: w.flip(0)])
def test_turning_mirroring_and_reordering_the_slide_change_no_factor(turn):
    """Beyond the choice of every fifth pixel."""
    windows = tissue()
    np.testing.assert_allclose(SlideDensities.of(turn(windows)).factors, SlideDensities.of(windows).factors, rtol=0.02)


def test_factors_undo_each_stain_by_itself():
    usual, other = SlideDensities.of(tissue()), SlideDensities.of(tissue(haematoxylin=0.8, eosin=1.3))
    ratio = np.divide(usual.factors, other.factors)
    np.testing.assert_allclose(ratio, (0.8, 1.3), rtol=0.05)


def test_glass_is_not_measured():
    with_glass = SlideDensities.of(torch.cat([tissue(), GLASS]))
    np.testing.assert_allclose(with_glass.percentiles, SlideDensities.of(tissue()).percentiles, rtol=1e-12)


@pytest.mark.parametrize("windows", [GLASS, GLASS[:0], tissue()[:1, :96, :96]])
def test_too_little_tissue_leaves_pixels_as_they_are(windows):
    found = SlideDensities.of(windows)
    assert found.factors == (1.0, 1.0) and found.percentiles == ()
    assert found.facts() == {"haematoxylin_factor": 1.0, "eosin_factor": 1.0}
    (note,) = found.notes
    assert note.startswith("too little tissue to measure the slide's stains")
    rgb = tissue()[:1].permute(0, 3, 1, 2)
    assert torch.equal(found.applied(rgb), rgb)


def test_limits_act_and_are_said_once():
    pale = tissue(haematoxylin=0.4, eosin=0.9)
    both = get_encoder("stain+stain?tile_um=100,660").for_slide([pale])
    (note,) = both.slide_notes
    assert "haematoxylin is unusual" in note and both.slide_facts["haematoxylin_factor"] == 2.0
    assert list(both.slide_facts) == ["haematoxylin_p99", "eosin_p99", "haematoxylin_factor", "eosin_factor"]
    green = torch.randint(60, 90, (2, 224, 224, 3), dtype=torch.uint8)
    green[..., 1] = 250  # nothing absorbs green: the density of eosin is negative
    assert SlideDensities.of(green).factors[1] == 2.0


def test_usual_tissue_is_silent():
    assert not SlideDensities.of(tissue(haematoxylin=1.5)).notes
