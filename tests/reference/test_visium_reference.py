"""Folders of Space Ranger as scanpy reads them: same counts, positions within half a pixel, same width of spots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image as Picture

from eosin.data import read
from unit.data.layouts_10x import counts, visium_positions, write_visium

scanpy: Any = pytest.importorskip("scanpy")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=[1, 2])
def outs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that scanpy accepts: with true pictures, both scale factors, and the library's name in the matrix."""
    folder = write_visium(tmp_path / "S" / "outs", counts(62), visium_positions(), version=request.param)
    for name, width in (("hires", 400), ("lowres", 120)):
        Picture.new("RGB", (width, width)).save(folder / "spatial" / f"tissue_{name}_image.png")
    factors = {"spot_diameter_fullres": 130.0, "tissue_hires_scalef": 0.2, "tissue_lowres_scalef": 0.06}
    (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    with h5py.File(folder / "filtered_feature_bc_matrix.h5", "r+") as file:
        file.attrs["library_ids"] = np.array([b"S"])
        file.attrs["chemistry_description"] = "Spatial 3' v1"
        file.attrs["software_version"] = "spaceranger-2.0.0"
    return folder


def test_the_folder_is_read_as_scanpy_reads_it(outs: Path) -> None:
    theirs = scanpy.read_visium(outs)
    (ours,) = read(outs)
    assert ours.image is not None and ours.counts is not None and ours.genes is not None
    mpp = ours.image.mpp * 0.2
    at = theirs.obs_names.get_indexer(list(ours.spots.ids))
    assert (at >= 0).all() and len(at) == theirs.n_obs
    assert np.array_equal(theirs[:, list(ours.genes)].X[at].toarray(), ours.counts.toarray())
    assert np.abs(ours.spots.xy_um / mpp - np.asarray(theirs.obsm["spatial"], float)[at]).max() < 0.5


def test_scanpys_file_of_the_folder_is_the_same_section(outs: Path, tmp_path: Path) -> None:
    adata = scanpy.read_visium(outs)
    adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"], float)
    adata.var_names_make_unique()
    adata.write_h5ad(tmp_path / "S.h5ad")
    (folder,), (file,) = read(outs), read(tmp_path / "S.h5ad")
    place = {spot: row for row, spot in enumerate(file.spots.ids)}
    rows = [place[spot] for spot in folder.spots.ids]
    assert file.counts is not None and folder.counts is not None
    assert file.genes == folder.genes and np.array_equal(file.counts.toarray()[rows], folder.counts.toarray())
    assert np.abs(file.spots.xy_um[rows] - folder.spots.xy_um).max() < 0.5  # µm: positions are whole pixels there
    assert (file.platform, file.spots.diameter_um) == ("Visium", pytest.approx(65.0, rel=0.01))


def test_scanpys_concatenation_is_two_sections(outs: Path, tmp_path: Path) -> None:
    import anndata

    parts = []
    for name in ("left", "right"):
        part = scanpy.read_visium(outs, library_id=name)
        part.obsm["spatial"] = np.asarray(part.obsm["spatial"], float)
        part.var_names_make_unique()
        parts.append(part)
    joined = anndata.concat(parts, label="slide", keys=["left", "right"], index_unique="-", uns_merge="unique")
    joined.write_h5ad(tmp_path / "cohort.h5ad")
    assert [(one.name, len(one)) for one in read(tmp_path / "cohort.h5ad")] == [
        ("cohort-left", 62),
        ("cohort-right", 62),
    ]
