"""x and y of a table of positions by the names of its columns, never by their order alone."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from eosin.data import read
from eosin.data.h5ad import spatial
from eosin.data.position_columns import position_columns
from eosin.errors import EosinError
from unit.data.layouts import lattice, single


@pytest.mark.parametrize(
    "names",
    [
        ("centroid-0", "centroid-1"),  # scikit-image: row, column
        ("weighted_centroid-0", "weighted_centroid-1"),
        ("axis-0", "axis-1"),  # napari
        ("coord_y", "coord_x"),
        ("spatial_y", "spatial_x"),
        ("pixel_row", "pixel_col"),
        ("pxl_row_in_fullres", "pxl_col_in_fullres"),
        ("Row", "Column"),
        ("Y", "X"),
        ("pos.y", "pos.x"),
        ("CenterY_global_px", "CenterX_global_px"),
        ("Y_pix", "X_pix"),
        ("array_row", "array_col", "Y_pix", "X_pix"),
        ("x", "y", "new_x", "new_y", "pixel_y", "pixel_x"),  # legacy ST: x, y are places on the array
        ("row", "col", "y", "x"),
        ("pixel_y", "pixel_x", "imagerow", "imagecol", "pxl_row_in_fullres", "pxl_col_in_fullres"),
        ("in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"),
    ],
)
def test_the_column_that_says_x_is_x_wherever_it_stands(names: tuple[str, ...]) -> None:
    found = position_columns(names)
    assert found is not None and (found.y, found.x) == names[-2:] and not found.in_um and not found.note


@pytest.mark.parametrize(
    "names", [("y_um", "x_um"), ("y_µm", "x_µm"), ("pixel_x", "pixel_y", "y_centroid", "x_centroid")]
)
def test_columns_in_um_go_first_and_are_known_as_such(names: tuple[str, ...]) -> None:
    found = position_columns(names)
    assert found is not None and (found.y, found.x) == names[-2:] and found.in_um


@pytest.mark.parametrize(
    "names",
    [
        ("in_tissue", "array_row", "array_col"),
        ("a", "b"),
        ("x_min", "y_min", "x_max", "y_max"),
        ("CenterX_local_px", "CenterY_local_px"),
        ("umap-0", "umap-1"),
        ("x", "b"),
    ],
)
def test_names_that_do_not_tell_are_refused_in_one_line(tmp_path: Path, names: tuple[str, ...]) -> None:
    file = single(tmp_path)
    adata = anndata.read_h5ad(file)
    adata.obsm["spatial"] = pd.DataFrame({name: np.arange(36.0) for name in names}, index=adata.obs_names)
    adata.write_h5ad(file)
    with pytest.raises(
        EosinError, match=rf"slide7\.h5ad: the columns of obsm\['spatial'\] \({names[0]}, {names[1]}"
    ) as line:
        read(file)
    assert "call them x and y" in str(line.value) and "\n" not in str(line.value)


@pytest.mark.parametrize("names", [("0", "1"), ("spatial1", "spatial2"), ("V1", "V2"), ("SPATIAL_1", "SPATIAL_2")])
def test_numbered_columns_are_an_arrays_and_that_is_noted(tmp_path: Path, names: tuple[str, str]) -> None:
    file = single(tmp_path)
    adata = anndata.read_h5ad(file)
    adata.obsm["spatial"] = pd.DataFrame(lattice(6, 400.0), index=adata.obs_names, columns=list(names))
    adata.write_h5ad(file)
    assert np.array_equal(spatial(adata, file), lattice(6, 400.0))
    assert f"columns '{names[0]}', '{names[1]}' of obsm['spatial'] are taken as x, y" in read(file)[0].notes
