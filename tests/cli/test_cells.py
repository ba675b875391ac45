"""`--unit cells` from the instrument's files to a prediction that other programs open."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cell_layouts import MPP, DrawnCells, hd_bundle, xenium_bundle
from cli.conftest import ENCODER, Run
from unit.data.layouts_10x import visium

N = 70
CELLS = ("--unit", "cells")


def bundles(platform: str, folder: Path) -> dict[str, DrawnCells]:
    make = xenium_bundle if platform == "xenium" else hd_bundle
    return {name: make(folder, name, n=N, seed=seed) for seed, name in enumerate(("S1", "S2", "S3"))}


@pytest.mark.parametrize("platform", ["xenium", "visium-hd"])
def test_from_files_to_a_map_of_cells(platform: str, eosin: Run, caplog: pytest.LogCaptureFixture) -> None:
    drawn = bundles(platform, Path("data"))
    encoder, features = ("--encoder", ENCODER, "--tile-um", "24"), ("--features", "features")
    assert eosin("encode", "data", *CELLS, *encoder, "-o", "features").code == 0
    training = ("--sections", "S1,S2", "--model", "ridge", "--genes", "var:6", "--model.reach-um", "40")
    assert eosin("train", "data", *CELLS, *features, *encoder, *training, "-o", "run").code == 0
    said = eosin("predict", "run", "data", "--section", "S3", *CELLS, *features, "-o", "S3.h5ad")
    assert said.code == 0 and f"S3: {N} spots" in said.out
    assert "where the model learned" not in caplog.text

    adata = anndata.read_h5ad("S3.h5ad")
    assert list(adata.obs_names) == drawn["S3"].ids == list(adata.obs["cell_id"])
    assert np.allclose(adata.obsm["spatial"], drawn["S3"].xy_um / MPP, atol=0.01)
    assert np.allclose(adata.obs["cell_area"], drawn["S3"].area_um2, rtol=0.03)
    outlines = pd.DataFrame(adata.uns["cell_outlines"]).groupby("cell_id", observed=True)[["vertex_x", "vertex_y"]]
    assert np.allclose(outlines.mean().loc[drawn["S3"].ids], adata.obsm["spatial"], atol=0.02)
    width = adata.uns["spatial"]["S3"]["scalefactors"]["spot_diameter_fullres"] * MPP
    assert width == pytest.approx(2 * np.sqrt(np.median(adata.obs["cell_area"]) / np.pi), rel=1e-3)

    assert eosin("export", "S3.h5ad", "-o", "S3.geojson").code == 0
    cells = json.loads(Path("S3.geojson").read_text())["features"]
    assert [cell["properties"]["name"] for cell in cells] == drawn["S3"].ids
    assert all(len(cell["geometry"]["coordinates"][0]) == 17 for cell in cells)  # of 16 corners, closed
    scored = eosin("score", "S3.h5ad", "data", *CELLS, "--json")
    assert json.loads(scored.out)["n_spots"] == N


def test_the_window_is_not_the_footprint(eosin: Run) -> None:
    """What the encoder sees of a cell changes with --tile-um; where its molecules are counted does not."""
    from eosin import read

    xenium_bundle(Path("data"), "S1", n=N)
    sections = {}
    for width in (24, 60):
        flags = ("--encoder", ENCODER, "--tile-um", width, "-o", f"f{width}")
        assert eosin("encode", "data", *CELLS, *flags).code == 0
        seen_by = f"{ENCODER}&tile_um={width}"
        (sections[width],) = read("data", unit="cells", features=f"f{width}", encoder=seen_by)
    narrow, wide = sections[24], sections[60]
    assert not np.allclose(narrow.features.values, wide.features.values)
    assert np.array_equal(narrow.spots.footprints.area_um2, wide.spots.footprints.area_um2)
    assert (narrow.counts != wide.counts).nnz == 0


def test_a_model_of_squares_says_that_cells_are_smaller(eosin: Run, caplog: pytest.LogCaptureFixture) -> None:
    bundles("xenium", Path("data"))
    squares = ("--bin-um", "100", "--encoder", ENCODER)
    assert eosin("encode", "data", *squares, "-o", "features").code == 0
    training = ("--sections", "S1,S2", "--model", "ridge", "--genes", "var:4", "-o", "run")
    assert eosin("train", "data", *squares, "--features", "features", *training).code == 0
    assert eosin("encode", "data", *CELLS, "--encoder", ENCODER, "-o", "of-cells").code == 0
    said = eosin("predict", "run", "data", "--section", "S3", *CELLS, "--features", "of-cells", "-o", "S3.h5ad")
    assert said.code == 0
    assert "where the model learned spots of 100 µm: it predicts counts of those" in caplog.text


@pytest.mark.parametrize("verb", ["info", "encode", "train", "bench"])
def test_cells_of_plain_visium_are_one_line(verb: str, eosin: Run) -> None:
    visium(Path("data"))
    out = () if verb == "info" else ("-o", "out")
    said = eosin(verb, "data", *CELLS, *out)
    assert (
        "reader 'visium' reads units as its files have them and cannot take --unit cells" in said.complaint
        and not Path("out").exists()
    )


def test_cells_and_squares_at_once_are_one_line(eosin: Run) -> None:
    xenium_bundle(Path("data"), "S1", n=N)
    said = eosin("info", "data", *CELLS, "--bin-um", "50")
    assert "--unit cells takes every cell by itself" in said.complaint
    assert "--unit is 'nuclei'; give spots or cells" in eosin("info", "data", "--unit", "nuclei").complaint
