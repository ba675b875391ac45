"""Only keys that are known to be µm per pixel of the full resolution are trusted; others are said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from eosin.data import read
from eosin.data.scale_keys import may_be_scales
from eosin.errors import EosinError
from unit.data.layouts import hest, lattice
from unit.data.readers.test_hest import set_fact

XY_PX = lattice(6, 200.0)


def write(path: Path, **uns: Any) -> Path:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(rng.poisson(3.0, (len(XY_PX), 8)).astype(np.float32))
    adata.var_names = [f"GENE{j}" for j in range(8)]
    adata.obsm["spatial"] = XY_PX
    adata.uns.update(uns)
    adata.write_h5ad(path)
    return path


@pytest.mark.parametrize("key", ["mpp", "MPP", "microns_per_pixel", "um_per_px", "pixel_size_um", "pixelsize"])
def test_a_key_that_may_be_the_scale_is_said_and_not_taken(tmp_path: Path, key: str) -> None:
    file = write(tmp_path / "a.h5ad", **{key: 0.25})
    with pytest.raises(EosinError, match=rf"uns\['{key}'\] says 0\.25, which may be of another picture: give it"):
        read(file)
    (section,) = read(file, mpp=0.5)
    assert f"uns['{key}'] says 0.25, 0.5 µm/px is used" in section.notes
    assert not any("is used" in note for note in read(file, mpp=0.25)[0].notes)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e6, "fast", [0.25, 0.3], True, {"x": 1}])
def test_what_cannot_be_a_scale_is_not_said(value: Any) -> None:
    assert may_be_scales({"mpp": value}, {}) == []
    assert may_be_scales({"summary": 0.5, "resolution": 0.8, "mppx": 1.0}, {"tissue_hires_scalef": 0.1}) == []


def test_a_scale_factor_of_another_name_is_said(tmp_path: Path) -> None:
    factors = {"tissue_hires_scalef": 0.1, "spot_diameter_fullres": 100.0, "pixel_size": "0.4"}
    file = write(tmp_path / "a.h5ad", spatial={"L": {"scalefactors": factors, "images": {}}})
    with pytest.raises(EosinError, match=r"the scale factor pixel_size says 0\.4"):
        read(file)


def test_hests_two_keys_are_compared(tmp_path: Path) -> None:
    """As TENX114 has them (mahmoodlab/HEST, issue 106): 0.2125 by the image, 0.1369 by the positions."""
    folder = hest(tmp_path / "hest")
    set_fact(folder, "TENX1", pixel_size_um_embedded=0.2125)
    one, two = read(folder)
    assert one.image is not None and one.image.mpp == 0.5
    assert "pixel_size_um_embedded says 0.2125 µm/px, pixel_size_um_estimated 0.5, which is used" in one.notes
    assert not any("embedded" in note for note in two.notes)
    set_fact(folder, "TENX1", pixel_size_um_embedded=0.51)
    assert not any("embedded" in note for note in read(folder)[0].notes)
    assert "0.25 µm/px as given, pixel_size_um_estimated says 0.5" in read(folder, mpp=0.25)[0].notes
    set_fact(folder, "TENX1", pixel_size_um_estimated=None, pixel_size_um_embedded=0.4)
    assert read(folder)[0].image.mpp == 0.4
    file = write(tmp_path / "b.h5ad", pixel_size_um_estimated=0.5, pixel_size_um_embedded=1.0)
    assert any("pixel_size_um_embedded says 1 µm/px" in note for note in read(file)[0].notes)
