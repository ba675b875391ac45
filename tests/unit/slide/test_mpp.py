"""`--mpp` is µm per pixel of the full-resolution image, in whichever verb and from whichever level pixels are read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

import eosin
from eosin.slide import open_slide, read_points
from unit.slide import pictures


@pytest.fixture
def pyramid(tmp_path: Path) -> Path:
    """Grainy pink tissue, 800 px wide, with two reduced levels; the file says 0.5 µm per pixel."""
    rng = np.random.default_rng(0)
    picture = np.full((1000, 1200, 3), 245, np.uint8)
    picture[100:900, 100:900] = np.array([190, 90, 150]) + rng.integers(-40, 40, (800, 800, 1))
    return pictures.save_ome(tmp_path / "s.ome.tif", picture, 0.5)


@pytest.mark.parametrize("mpp", [0.25, 2.0])
def test_every_verb_takes_it_as_that(tmp_path: Path, pyramid: Path, mpp: float) -> None:
    facts = eosin.info(pyramid, mpp=mpp)
    assert facts["mpp"] == mpp and facts["size_um"] == [1200 * mpp, 1000 * mpp]
    assert eosin.tissue(pyramid, mpp=mpp).area_um2 == pytest.approx((800 * mpp) ** 2, rel=0.1)
    (section,) = eosin.encode(pyramid, mpp=mpp, out=tmp_path / "f", encoder="pixels?px=8", pitch_um=100 * mpp)
    assert section.image.mpp == mpp and len(section) == pytest.approx(64, abs=20)
    (file,) = (tmp_path / "f").rglob("*.h5")
    with h5py.File(file) as stored:
        assert float(dict(stored.attrs, **stored["coords"].attrs)["mpp"]) == mpp
        np.testing.assert_allclose(section.spots.xy_um.max(), np.max(section.spots.xy_um / mpp) * mpp)
    (tmp_path / "p.csv").write_text("x,y\n100,200\n")
    with open_slide(pyramid, mpp=mpp) as slide:
        assert read_points(tmp_path / "p.csv", slide).xy_um.tolist() == [[100 * mpp, 200 * mpp]]


def test_reduced_levels_do_not_change_its_meaning(pyramid: Path) -> None:
    with open_slide(pyramid, mpp=2.0) as slide:
        for px in (400, 100, 30):
            window = slide.read((1000.0, 1000.0), 800.0, px)
            assert window.mean((0, 1)) == pytest.approx([190, 90, 150], abs=8)
    with tifffile.TiffFile(pyramid) as file:
        assert file.series[0].levels[2].shape[:2] == (250, 300)  # so that the coarsest window is of a reduced level
