"""Tissue is found; glass, borders, shadows and pens are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from eosin.slide import find_tissue, open_slide, tissue
from unit.slide import pictures

GLASS, PINK, PURPLE = (242, 240, 243), (222, 150, 190), (110, 70, 150)


def _glass(rng: np.random.Generator, colour: tuple[int, int, int] = GLASS) -> np.ndarray:
    return np.clip(rng.normal(colour, 2.5, (500, 600, 3)), 0, 255).astype(np.uint8)


def _disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.indices((500, 600)) + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def _found(tmp_path: Path, picture: np.ndarray):
    with open_slide(pictures.save_image(tmp_path / "s.png", picture), mpp=4.0) as slide:
        return find_tissue(slide, um_per_px=8.0)


def _agreement(mask: np.ndarray, truth: np.ndarray) -> float:
    truth = truth[::2, ::2]
    return (mask & truth).sum() / (mask | truth).sum()


def test_stained_disc_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture, disc = _glass(rng), _disc(300, 250, 140)
    picture[disc] = PINK
    picture[disc & (rng.random(disc.shape) < 0.3)] = PURPLE
    tissue = _found(tmp_path, picture)
    assert tissue.mask.shape == (250, 300) and tissue.um_per_px == pytest.approx(8.0)
    assert _agreement(tissue.mask, disc) > 0.95
    assert tissue.area_um2 == pytest.approx(np.pi * (140 * 4.0) ** 2, rel=0.05)


def test_borders_pens_and_dust_are_not_tissue(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    picture, disc = _glass(rng), _disc(330, 260, 110)
    picture[disc] = np.where(rng.random((disc.sum(), 1)) < 0.3, PURPLE, PINK)
    picture[:25], picture[:, :25] = 5, 5  # cover-slip border
    picture[460:480, 60:560] = (150, 150, 150)  # grey shadow
    picture[60:75, 60:300] = (40, 60, 200)  # blue pen
    picture[90:105, 60:300] = (40, 160, 80)  # green pen
    picture[430:434, 80:84] = PINK  # dust
    assert _agreement(_found(tmp_path, picture).mask, disc) > 0.9


PENS = {
    "blue": (40, 60, 200),
    "navy": (20, 30, 110),
    "green": (40, 160, 80),
    "black": (25, 22, 28),
    "red": (215, 35, 50),
}


@pytest.mark.parametrize("pen", PENS)
def test_soft_rims_of_pens_are_not_tissue(tmp_path: Path, pen: str) -> None:
    """Where a stroke fades into the glass, its colour passes through those of stain."""
    picture = _glass(np.random.default_rng(4)).astype(float)
    disc = _disc(330, 330, 110)
    picture[disc] = PINK
    stroke = gaussian_filter((_disc(150, 120, 70) & ~_disc(150, 120, 45)).astype(float), 7)[..., None]
    picture = (1 - stroke) * picture + stroke * np.array(PENS[pen])
    mask = _found(tmp_path, picture.astype(np.uint8)).mask
    assert _agreement(mask, disc) > 0.95
    assert not mask[:100, :120].any()


def test_haze_beside_the_tissue_is_not_tissue(tmp_path: Path) -> None:
    """Eosin that ran out over the glass is as pink as pale tissue, but it fades slowly and has no grain."""
    rng = np.random.default_rng(5)
    picture, disc = _glass(rng).astype(float), _disc(300, 250, 110)
    haze = gaussian_filter(_disc(360, 300, 150).astype(float), 30)[..., None]
    picture += haze * (np.array([245, 197, 226]) - GLASS)  # saturation 48 at its strongest
    pale = np.array([240, 190, 222]) + rng.normal(0, 1, (500, 600, 1)) * 30  # as pale as the haze, but with grain
    picture[disc] = np.where(_disc(300, 250, 60)[..., None], pale, np.array(PINK))[disc]
    mask = _found(tmp_path, np.clip(picture, 0, 255).astype(np.uint8)).mask
    assert _agreement(mask, disc) > 0.93
    assert mask[125, 150] and not mask[190, 210]


def test_coarse_scales_do_not_make_the_mask_endless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tissue, "MOST_PX", 10_000)
    picture, disc = _glass(np.random.default_rng(6)), _disc(300, 250, 140)
    picture[disc] = PINK
    found = _found(tmp_path, picture)
    assert found.mask.size <= 10_200 and found.um_per_px > 20
    assert found.area_um2 == pytest.approx(np.pi * (140 * 4.0) ** 2, rel=0.1)


def test_empty_glass_has_none_and_full_tissue_is_all(tmp_path: Path) -> None:
    """One mode only: Otsu alone would cut either in two."""
    rng = np.random.default_rng(2)
    assert _found(tmp_path, _glass(rng)).mask.mean() < 0.01
    assert _found(tmp_path, _glass(rng, PINK)).mask.mean() > 0.98


def test_holes_close_and_lumens_stay(tmp_path: Path) -> None:
    picture, disc = _glass(np.random.default_rng(3)), _disc(300, 250, 200)
    small, large = _disc(220, 250, 10), _disc(380, 250, 60)
    picture[disc & ~small & ~large] = PINK
    mask = _found(tmp_path, picture).mask
    assert mask[125, 110] and not mask[125, 190]
