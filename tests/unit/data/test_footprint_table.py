"""Cells in `.h5ad` files: what scanpy's users find there, what comes back, and what an altered file says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from cell_layouts import cells, xenium_bundle
from eosin.data import read, read_prediction, to_anndata, write_prediction, write_sections
from eosin.data.h5ad import write_h5ad
from eosin.errors import EosinError
from eosin.types import Footprints, GenePanel, Image, Outlines, Prediction, Spots

N, CORNERS = 20, 16


def prediction(mpp: float | None = 0.5, *, outlines: bool = True) -> Prediction:
    """Cells of which the fourth has no outline and the fifth no area."""
    drawn = cells(N)
    rings = [ring if i != 3 else ring[:0] for i, ring in enumerate(drawn.outlines_um(CORNERS))]
    starts = np.concatenate([[0], np.cumsum([len(ring) for ring in rings])])
    area = np.where(np.arange(N) == 4, np.nan, drawn.area_um2)
    footprints = Footprints(area, Outlines(np.concatenate(rings), starts) if outlines else None)
    spots = Spots(drawn.xy_um, 9.0, tuple(drawn.ids), footprints)
    image = None if mpp is None else Image(Path("slide.tif"), mpp)
    values = np.random.default_rng(0).normal(1, 0.1, (1, N, 3))
    return Prediction("R1", spots, GenePanel(("A", "B", "C"), "log1p"), values, "ridge", 0, image)


def same(one: Footprints | None, other: Footprints | None) -> None:
    assert one is not None and other is not None
    assert np.array_equal(one.area_um2, other.area_um2, equal_nan=True)
    assert (one.outlines is None) == (other.outlines is None)
    if one.outlines is not None and other.outlines is not None:
        assert np.array_equal(one.outlines.starts, other.outlines.starts)
        assert np.allclose(one.outlines.corners_um, other.outlines.corners_um, rtol=1e-6)


@pytest.mark.parametrize("mpp", [0.5, None])
@pytest.mark.parametrize("outlines", [True, False])
def test_cells_come_back(mpp: float | None, tmp_path: Path, *, outlines: bool) -> None:
    made = prediction(mpp, outlines=outlines)
    write_prediction(made, tmp_path / "p.h5ad")
    found = read_prediction(tmp_path / "p.h5ad")
    assert found.spots.ids == made.spots.ids and found.spots.unit == "cells"
    assert np.array_equal(found.spots.xy_um, made.spots.xy_um)
    same(made.spots.footprints, found.spots.footprints)


def test_what_users_of_anndata_find(tmp_path: Path) -> None:
    made = prediction(0.5)
    write_prediction(made, tmp_path / "p.h5ad")
    adata = anndata.read_h5ad(tmp_path / "p.h5ad")
    assert list(adata.obs["cell_id"]) == list(adata.obs_names) == list(made.spots.ids)
    assert np.array_equal(adata.obs["cell_area"], made.spots.footprints.area_um2, equal_nan=True)
    assert adata.uns["eosin"]["unit"] == "cells"
    table = pd.DataFrame(adata.uns["cell_outlines"])  # as Xenium's cell_boundaries, in pixels
    assert list(table.columns) == ["cell_id", "vertex_x", "vertex_y"] and len(table) == CORNERS * (N - 1)
    middle = table.groupby("cell_id", observed=True)[["vertex_x", "vertex_y"]].mean()
    known = adata[middle.index]
    assert np.allclose(middle, known.obsm["spatial"], atol=1e-2)


def test_predictions_of_spots_hold_nothing_of_cells(tmp_path: Path) -> None:
    spots = prediction().spots
    made = replace(prediction(), spots=Spots(spots.xy_um, 9.0, spots.ids))
    adata = to_anndata(made)
    assert "cell_id" not in adata.obs and "cell_outlines" not in adata.uns and adata.uns["eosin"]["unit"] == "spots"
    write_prediction(made, tmp_path / "p.h5ad")
    assert read_prediction(tmp_path / "p.h5ad").spots.footprints is None


def test_rows_may_be_dropped_and_sorted(tmp_path: Path) -> None:
    """Outlines are told by ids: a file that was subset by another tool still has the right ones."""
    made = prediction()
    adata = to_anndata(made)
    rows = np.array([7, 3, 12, 0])
    write_h5ad(adata[rows].copy(), tmp_path / "p.h5ad")
    same(made.spots.take(rows).footprints, read_prediction(tmp_path / "p.h5ad").spots.footprints)


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ({"cell_id": ["a"], "vertex_x": [1.0]}, r"uns\['cell_outlines'\] is no table of cell_id"),
        ({"cell_id": ["a"], "vertex_x": [1.0], "vertex_y": ["left"]}, r"uns\['cell_outlines'\] is no table"),
        ({"cell_id": ["a"], "vertex_x": [1.0, 2.0], "vertex_y": [1.0, 2.0]}, r"uns\['cell_outlines'\] is no table"),
        (7, r"uns\['cell_outlines'\] is no table"),
    ],
)
def test_an_altered_table_is_one_line(altered: object, said: str, tmp_path: Path) -> None:
    adata = to_anndata(prediction())
    adata.uns["cell_outlines"] = altered
    write_h5ad(adata, tmp_path / "p.h5ad")
    with pytest.raises(EosinError, match=said) as error:
        read_prediction(tmp_path / "p.h5ad")
    assert error.value.file == tmp_path / "p.h5ad"


def test_sections_of_cells_are_written_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)
    xenium_bundle(tmp_path / "raw", n=N)
    (section,) = read(tmp_path / "raw", unit="cells")
    write_sections([section], tmp_path / "own")
    (again,) = read(tmp_path / "own")
    assert again.fingerprint() == section.fingerprint() and again.spots.diameter_um == section.spots.diameter_um
    same(section.spots.footprints, again.spots.footprints)
    (twice,) = read(tmp_path / "own", mpp=1.0)
    same(section.spots.footprints.scaled(2.0), twice.spots.footprints)


def test_cells_of_another_tools_h5ad_keep_their_areas(tmp_path: Path) -> None:
    drawn = cells(N)
    adata = anndata.AnnData(drawn.counts.astype(np.float32))
    adata.var_names = [f"GENE{i}" for i in range(adata.n_vars)]
    adata.obs_names, adata.obs["cell_area"] = drawn.ids, drawn.area_um2
    adata.obsm["spatial"] = drawn.xy_um
    adata.write_h5ad(tmp_path / "X.h5ad")
    (section,) = read(tmp_path / "X.h5ad", positions_um=True)
    assert section.spots.unit == "cells" and np.allclose(section.spots.footprints.area_um2, drawn.area_um2)
