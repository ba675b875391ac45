"""The field's own readers read the same from the same files: counts, names, places within 0.5 px, scale.

Skipped where squidpy or spatialdata-io is not installed (the extra `scverse` has them; the lock has not, for they pin
an older imagecodecs). Last seen equal with spatialdata-io 0.7.1, squidpy 1.8.2 and scanpy 1.11.5.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import cell_layouts
import eosin
from eosin.options import ReadOptions
from eosin.types import Section
from unit.data import layouts_10x as layouts

pytestmark = pytest.mark.filterwarnings("ignore")  # of libraries about one another


def oracle(module: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(module, reason=f"{module} is not installed")


def check_same(
    section: Section, names: list[str], genes: list[str], counts: Any, xy_um: np.ndarray, near: float
) -> None:
    """Same spots whatever their order; the same counts of every gene that the other reader has; the same places."""
    assert section.counts is not None and section.genes is not None
    assert sorted(section.spots.ids) == sorted(names)
    order = pd.Index(names).get_indexer(list(section.spots.ids))
    dense = np.asarray(counts.todense() if hasattr(counts, "todense") else counts)[order]
    ours = pd.DataFrame(section.counts.toarray(), columns=list(section.genes))
    assert set(section.genes) <= set(genes)
    for column, gene in enumerate(genes):
        if gene in ours:
            np.testing.assert_array_equal(ours[gene], dense[:, column])
        else:
            assert "NegControl" in gene
    np.testing.assert_allclose(section.spots.xy_um, np.asarray(xy_um, dtype=float)[order], atol=near)


def visium(folder: Path, **how: Any) -> Path:
    outs = layouts.write_visium(folder / "S" / "outs", layouts.counts(62), layouts.visium_positions(), **how)
    with h5py.File(outs / "filtered_feature_bc_matrix.h5", "a") as file:
        file.attrs["library_ids"] = np.array([b"S"])  # as Space Ranger writes it, and squidpy asks for
    for name in ("hires", "lowres"):
        picture(outs / "spatial" / f"tissue_{name}_image.png")
    return outs


def picture(file: Path, side: int = 400) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(180, 255, (side, side, 3), dtype=np.uint8)).save(file)


@pytest.mark.parametrize("version", [1, 2])
def test_visium_as_squidpy_reads_it(version: int, tmp_path: Path) -> None:
    squidpy = oracle("squidpy")
    outs = visium(tmp_path, version=version)
    (section,) = eosin.read(tmp_path / "S")
    theirs = squidpy.read.visium(outs, library_id="S")
    xy_px = theirs.obsm["spatial"]  # x, y
    check_same(
        section, list(theirs.obs_names), list(theirs.var_names), theirs.X, xy_px * layouts.MPP, 0.5 * layouts.MPP
    )
    assert theirs.obs["in_tissue"].all()


def test_visium_as_spatialdata_io_reads_it(tmp_path: Path) -> None:
    io = oracle("spatialdata_io")
    outs = visium(tmp_path)
    (section,) = eosin.read(tmp_path / "S")
    store = io.visium(outs, dataset_id="S")
    (table,) = store.tables.values()
    discs = store.shapes["S"]
    names = list(table.obs_names)
    xy_px = np.stack([discs.geometry.x, discs.geometry.y], 1)
    spot_of = pd.Index(table.obs["spot_id"]).get_indexer(discs.index)  # discs are keyed by number
    ordered = np.empty_like(xy_px)
    ordered[spot_of] = xy_px
    check_same(section, names, list(table.var_names), table.X, ordered * layouts.MPP, 0.5 * layouts.MPP)
    assert discs["radius"].iloc[0] * 2 * layouts.MPP == pytest.approx(130 * layouts.MPP)


def test_visium_hd_as_spatialdata_io_reads_it(tmp_path: Path) -> None:
    io, mpp = oracle("spatialdata_io"), 0.25
    outs = layouts.visium_hd(tmp_path / "H") / "outs"
    layout = {"file_format": "1.0"}
    metadata = {"hd_layout_json": json.dumps(layout), "transform_matrices": {}}
    with h5py.File(outs / "feature_slice.h5", "w") as file:
        file.attrs["metadata_json"] = json.dumps(metadata)
    spatial = outs / "spatial"
    shutil.copytree(outs / "binned_outputs" / "square_008um" / "spatial", spatial)
    for name in ("hires", "lowres"):
        picture(spatial / f"tissue_{name}_image.png", 64)
    for square in (outs / "binned_outputs").iterdir():
        for name in ("hires", "lowres"):
            picture(square / "spatial" / f"tissue_{name}_image.png", 64)
        factors = json.loads((square / "spatial" / "scalefactors_json.json").read_text())
        width_um = float(square.name[7:10])
        factors |= {"bin_size_um": width_um, "spot_diameter_fullres": width_um / mpp, "tissue_lowres_scalef": 0.01}
        (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
        (square / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    (section,) = eosin.read(tmp_path / "H", reading=ReadOptions(bin_um=8))
    bins = io.visium_hd(outs, dataset_id="H", bin_size=8, bins_as_squares=False, load_all_images=False)
    table = bins.tables["square_008um"]
    discs = bins.shapes["H_square_008um"]
    centres = np.stack([discs.geometry.x, discs.geometry.y], 1)
    place = pd.Index(discs.index).get_indexer(table.obs["location_id"])
    check_same(section, list(table.obs_names), list(table.var_names), table.X, centres[place] * mpp, 0.5 * mpp)
    assert section.spots.diameter_um == 8


def test_cells_of_xenium_as_spatialdata_io_reads_them(tmp_path: Path) -> None:
    io = oracle("spatialdata_io")
    zarr = oracle("zarr")
    drawn = cell_layouts.xenium_bundle(tmp_path / "X", image=False)
    place = tmp_path / "X" / "R1"
    specs = json.loads((place / "experiment.xenium").read_text())
    specs |= {"analysis_sw_version": "xenium-1.0.2.0", "region_name": "R1"}  # ids of any form
    (place / "experiment.xenium").write_text(json.dumps(specs))
    table = pd.read_parquet(place / "cells.parquet").set_index("cell_id").loc[drawn.ids].reset_index()
    table.to_parquet(place / "cells.parquet", index=False)  # they ask for the order of the matrix
    with zarr.storage.ZipStore(place / "cells.zarr.zip", mode="w") as store:
        zarr.create_group(store).create_array("cell_id", data=np.arange(len(drawn.ids), dtype=np.uint32))
    (section,) = eosin.read(tmp_path / "X", reading=ReadOptions(unit="cells"))
    nothing = dict.fromkeys(
        ("nucleus_boundaries", "cells_labels", "nucleus_labels", "transcripts", "morphology_mip", "morphology_focus"),
        False,
    )
    store = io.xenium(place, cells_boundaries=True, aligned_images=False, cells_table=True, **nothing)
    table = store.tables["table"]
    names = list(table.obs["cell_id"])
    check_same(section, names, list(table.var_names), table.X, table.obsm["spatial"], 1e-3)
    areas = dict(zip(names, table.obs["cell_area"]))
    assert section.spots.footprints is not None
    ours = section.spots.footprints.area_um2
    np.testing.assert_allclose(ours, [areas[one] for one in section.spots.ids], rtol=1e-3)
    outlines = store.shapes["cell_boundaries"].loc[list(section.spots.ids)]
    np.testing.assert_allclose(ours, outlines.area, rtol=0.03)  # polygons of 16 corners


@pytest.mark.parametrize("text", [False, True])
def test_counts_as_scanpy_reads_them(*, text: bool, tmp_path: Path) -> None:
    scanpy = oracle("scanpy")
    values = layouts.counts(62, seed=3)
    outs = layouts.write_visium(tmp_path / "S" / "outs", values, layouts.visium_positions(), text=text)
    (section,) = eosin.read(tmp_path / "S")
    read: Callable[..., Any] = scanpy.read_10x_mtx if text else scanpy.read_10x_h5
    theirs = read(outs / ("filtered_feature_bc_matrix" if text else "filtered_feature_bc_matrix.h5"))
    check_same(section, list(theirs.obs_names), list(theirs.var_names), theirs.X, section.spots.xy_um, 1e-9)


def test_an_anndata_of_squidpy_is_read_as_its_folder(tmp_path: Path) -> None:
    squidpy = oracle("squidpy")
    outs = visium(tmp_path)
    (folder,) = eosin.read(tmp_path / "S")
    adata = squidpy.read.visium(outs, library_id="S")
    adata.write_h5ad(tmp_path / "S.h5ad")
    shutil.rmtree(tmp_path / "S")
    (file,) = eosin.read(tmp_path / "S.h5ad", reading=ReadOptions(mpp=layouts.MPP))
    assert file.counts is not None
    check_same(folder, list(file.spots.ids), list(file.genes or ()), file.counts, file.spots.xy_um, 0.5 * layouts.MPP)
