"""`uns["spatial"]` as CELLxGENE writes it, with a fact beside its library, and as first tools did, without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest

from eosin.data import read
from eosin.types import Section
from unit.data.layouts_10x import visium_positions

POSITIONS = visium_positions()
COUNTS = np.random.default_rng(0).poisson(2.0, (len(POSITIONS), 12)).astype(np.float32)
LIBRARY = {
    "images": {"hires": np.random.default_rng(1).integers(0, 255, (400, 400, 3), dtype=np.uint8)},
    "scalefactors": {"spot_diameter_fullres": 130.0, "tissue_hires_scalef": 0.1, "microns_per_pixel": 0.5},
}


def section(tmp_path: Path, uns: dict[str, Any], **columns: Any) -> list[Section]:
    """Of counts in `raw.X` with Ensembl ids, as CELLxGENE serves them."""
    adata = anndata.AnnData(np.log1p(COUNTS))
    adata.var_names = [f"ENSG{j:011d}" for j in range(12)]
    adata.var["feature_name"] = [f"GENE{j}" for j in range(12)]
    adata.raw = anndata.AnnData(COUNTS, var=adata.var)
    adata.obs_names = list(POSITIONS["barcode"])
    for name in ("in_tissue", "array_row", "array_col"):
        adata.obs[name] = POSITIONS[name].to_numpy()
    for name, values in columns.items():
        adata.obs[name] = values
    adata.obsm["spatial"] = POSITIONS[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy()
    adata.uns["spatial"] = uns
    adata.write_h5ad(tmp_path / "a.h5ad")
    return read(tmp_path / "a.h5ad")


@pytest.mark.parametrize("uns", [{"V1": LIBRARY, "is_single": np.bool_(True)}, {"V1": LIBRARY}, LIBRARY])
def test_a_fact_is_no_library(tmp_path: Path, uns: dict[str, Any]) -> None:
    (one,) = section(tmp_path, uns, donor_id="D1")
    assert (one.name, len(one), one.platform, one.spots.diameter_um) == ("a", 62, "Visium", 65.0)
    assert one.notes == (
        "2 of 64 spots are not in tissue and were left out",
        "counts are from raw.X",
        "no image of the same name beside the file",
    )


def test_a_file_that_says_that_it_is_of_several_sections(tmp_path: Path) -> None:
    (one,) = section(tmp_path, {"V1": LIBRARY, "is_single": np.bool_(False)})
    assert any("is of several sections: name their column of obs by --library" in note for note in one.notes)


def test_libraries_beside_a_fact_are_told_apart(tmp_path: Path) -> None:
    keys = np.where(np.arange(len(POSITIONS)) < 32, "V1", "V2")
    uns = {"V1": LIBRARY, "V2": LIBRARY, "is_single": np.bool_(False)}
    assert [one.name for one in section(tmp_path, uns, sample=keys)] == ["a-V1", "a-V2"]
