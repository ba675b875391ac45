"""Tissue is found; glass, borders, shadows and pens are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eosin.slide import find_tissue, open_slide
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
