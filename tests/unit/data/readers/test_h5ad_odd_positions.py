"""AnnData whose positions, counts or names went wrong on their way: said, or refused with what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read
from eosin.errors import EosinError
from eosin.types.places import is_finite
from unit.data.layouts import lattice
from unit.data.layouts_10x import barcode, visium_positions

N = 64
COUNTS = np.random.default_rng(0).poisson(2, (N, 6)).astype(np.float32)
LOG = np.log1p(COUNTS * 1.5)


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these files crashes HDF5."""
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def written(path: Path, x: Any = COUNTS, xy: Any = None, **parts: Any) -> Path:
    """A file of 64 spots, 200 px apart."""
    adata = anndata.AnnData(X=x)
    adata.var_names = parts.pop("genes", [f"GENE{i}" for i in range(adata.n_vars)])
    adata.obs_names = parts.pop("spots", [f"s{i}" for i in range(adata.n_obs)])
    adata.obsm["spatial"] = lattice(8, 200.0) if xy is None else xy
    for kind, values in parts.items():
        for key, value in values.items():
            getattr(adata, kind)[key] = value
    adata.write_h5ad(path)
    return path


def test_a_few_spots_at_the_origin_have_no_position(tmp_path: Path) -> None:
    xy = lattice(8, 200.0)
    xy[:2] = 0
    (section,) = read(written(tmp_path / "a.h5ad", xy=xy), mpp=0.5)
    assert len(section) == N - 2 and "2 of 64 spots have no position and were left out" in section.notes
    xy[:20] = 0
    with pytest.raises(EosinError, match=r"20 of 64 spots lie at \(0, 0\), where tools put those without a position"):
        read(written(tmp_path / "a.h5ad", xy=xy), mpp=0.5)


def test_one_spot_at_the_origin_is_a_spot(tmp_path: Path) -> None:
    assert len(read(written(tmp_path / "a.h5ad", xy=lattice(8, 200.0, 0.0)), mpp=0.5)[0]) == N


def test_a_third_number_is_said_and_may_not_be_first(tmp_path: Path) -> None:
    xy, z = lattice(8, 200.0), np.arange(N)[:, None] % 3
    assert not any("columns" in n for n in read(written(tmp_path / "a.h5ad", xy=np.c_[xy, 0 * z]), mpp=0.5)[0].notes)
    (section,) = read(written(tmp_path / "a.h5ad", xy=np.c_[xy, z]), mpp=0.5)
    assert any("has 3 columns, of which the first two are taken" in note for note in section.notes)
    with pytest.raises(EosinError, match="has 3 columns, of which the first is the same for all spots"):
        read(written(tmp_path / "a.h5ad", xy=np.c_[0 * z, xy]), mpp=0.5)


def test_y_that_runs_upwards_is_said(tmp_path: Path) -> None:
    (section,) = read(written(tmp_path / "a.h5ad", xy=lattice(8, 200.0) * (1, -1)), mpp=0.5)
    assert any("y is negative throughout: it seems to run upwards" in note for note in section.notes)


@pytest.mark.parametrize("width", [None, 22.0])
def test_pixels_of_the_reduced_picture_are_refused(tmp_path: Path, width: float | None) -> None:
    frame = visium_positions()
    xy = frame[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)
    picture = np.random.default_rng(0).integers(0, 255, (600, 800, 3), dtype=np.uint8)
    factors = {"tissue_hires_scalef": 0.2} | ({} if width is None else {"spot_diameter_fullres": width})
    more: dict[str, Any] = {
        "uns": {"spatial": {"S1": {"images": {"hires": picture}, "scalefactors": factors}}},
        "obs": {name: frame[name].to_numpy() for name in ("array_row", "array_col")},
    }
    with pytest.raises(EosinError, match="all spots lie within 800 x 600 px, the size of the reduced picture") as error:
        read(written(tmp_path / "a.h5ad", xy=xy * 0.2, **more))
    assert "divide them by the scale factor, 0.2" in str(error.value.fix)
    factors.pop("spot_diameter_fullres", None)
    assert len(read(written(tmp_path / "a.h5ad", xy=xy, **more))[0]) == N


def test_positions_with_decimal_commas_say_what_to_do(tmp_path: Path) -> None:
    table = pd.DataFrame({"x": ["1,5"] * N, "y": ["2,5"] * N}, index=[f"s{i}" for i in range(N)])
    with pytest.raises(EosinError, match="not numeric") as error:
        read(written(tmp_path / "a.h5ad", xy=table), mpp=0.5)
    assert "with a point and no comma" in str(error.value.fix)


def test_positions_under_another_name_are_listed(tmp_path: Path) -> None:
    file = written(tmp_path / "a.h5ad", obsm={"X_spatial": lattice(8, 200.0)})
    with h5py.File(file, "a") as opened:
        del opened["obsm/spatial"]
    with pytest.raises(EosinError, match="has no obsm") as error:
        read(file, mpp=0.5)
    assert "its obsm has X_spatial" in str(error.value.fix)


def test_genes_by_spots_is_to_be_transposed(tmp_path: Path) -> None:
    names = [f"{barcode(i)[:8]}{barcode(i)}" for i in range(6)]
    file = written(tmp_path / "a.h5ad", genes=names)
    with h5py.File(file, "a") as opened:
        del opened["obsm/spatial"]
    with pytest.raises(EosinError, match="is genes x spots") as error:
        read(file, mpp=0.5)
    assert "adata.T" in str(error.value.fix)


@pytest.mark.parametrize("layer", ["raw", "UMI", "umi_counts", "counts_raw"])
def test_counts_are_found_in_layers_of_other_names(tmp_path: Path, layer: str) -> None:
    (section,) = read(written(tmp_path / "a.h5ad", LOG, layers={layer: COUNTS}), mpp=0.5)
    assert section.counts is not None and section.counts.sum() == COUNTS.sum()


def test_a_layer_that_may_hold_counts_is_named(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match=r"layers\['spliced'\] holds whole numbers"):
        read(written(tmp_path / "a.h5ad", LOG, layers={"spliced": COUNTS}), mpp=0.5)


def test_true_and_false_are_no_counts(tmp_path: Path) -> None:
    with pytest.raises(EosinError, match="holds true and false"):
        read(written(tmp_path / "a.h5ad", COUNTS > 0), mpp=0.5)


def test_genes_called_by_numbers_have_lost_their_names(tmp_path: Path) -> None:
    numbers = [str(i) for i in range(6)]
    with pytest.raises(EosinError, match="genes are called 0 to 5: their names are lost"):
        read(written(tmp_path / "a.h5ad", genes=numbers), mpp=0.5)
    named = {"gene_name": [f"SYM{i}" for i in range(6)], "gene_id": [f"ENSG{i:011d}" for i in range(6)]}
    (section,) = read(written(tmp_path / "a.h5ad", genes=numbers, var=named), mpp=0.5)
    assert section.genes == tuple(named["gene_name"]) and section.ensembl == tuple(named["gene_id"])
    named.pop("gene_name")
    assert read(written(tmp_path / "a.h5ad", genes=numbers, var=named), mpp=0.5)[0].genes == tuple(named["gene_id"])


@pytest.mark.parametrize("resolution", [500, "500"])
def test_a_given_scale_is_compared_with_stereopys(tmp_path: Path, resolution: object) -> None:
    file = written(tmp_path / "a.h5ad", uns={"resolution": resolution, "bin_size": 100, "bin_type": "bins"})
    assert read(file, mpp=0.5)[0].spots.diameter_um == 50
    with pytest.raises(EosinError, match=r"--mpp says 0.7 µm per pixel, uns\['resolution'\] says 0.5 \(in nm\)"):
        read(file, mpp=0.7)


@pytest.mark.parametrize("key", ["data", "indices", "indptr"])
@pytest.mark.parametrize("value", [np.zeros(0), np.float64(0.5), np.arange(3), np.full(65, 2**40), np.full(333, -1)])
def test_a_sparse_matrix_that_contradicts_itself_is_one_line(tmp_path: Path, key: str, value: Any) -> None:
    file = written(tmp_path / "a.h5ad", sparse.csr_matrix(COUNTS))
    with h5py.File(file, "a") as opened:
        del opened[f"X/{key}"]
        opened["X"].create_dataset(key, data=value)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(EosinError):
        read(file, mpp=0.5)


def test_numbers_beyond_all_floats_are_not_finite() -> None:
    assert not is_finite(2**70000) and not is_finite(1j) and is_finite(2**70)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.uint32])
def test_places_of_small_types_are_read(tmp_path: Path, kind: type) -> None:
    file = written(tmp_path / "a.h5ad", sparse.csr_matrix(COUNTS))
    with h5py.File(file, "a") as opened:
        places = np.asarray(opened["X/indices"]).astype(kind)
        del opened["X/indices"]
        opened["X"].create_dataset("indices", data=places)  # pyright: ignore[reportAttributeAccessIssue]
    (section,) = read(file, mpp=0.5)
    assert section.counts is not None and section.counts.sum() == COUNTS.sum()


def test_y_before_x_is_seen_by_columns_of_obs(tmp_path: Path) -> None:
    xy = lattice(8, 200.0) + np.array([0, 37])
    own = {"x_centroid": xy[:, 0], "y_centroid": xy[:, 1]}
    assert np.allclose(read(written(tmp_path / "a.h5ad", xy=xy, obs=own))[0].spots.xy_um, xy)
    with pytest.raises(EosinError, match="holds y before x: its second column is obs"):
        read(written(tmp_path / "a.h5ad", xy=xy[:, ::-1].copy(), obs=own), mpp=0.5)


@pytest.mark.parametrize(("yes", "no"), [("yes", "no"), ("TRUE", "FALSE"), ("1", "0"), ("T", "F")])
def test_spots_beside_the_tissue_are_told_in_any_words(tmp_path: Path, yes: str, no: str) -> None:
    (section,) = read(written(tmp_path / "a.h5ad", obs={"in_tissue": [yes] * 50 + [no] * 14}), mpp=0.5)
    assert len(section) == 50


def test_words_that_say_nothing_of_tissue_are_said(tmp_path: Path) -> None:
    (section,) = read(written(tmp_path / "a.h5ad", obs={"in_tissue": ["inside"] * 50 + ["off"] * 14}), mpp=0.5)
    assert len(section) == N
    assert any("says 'inside', 'off', which is neither yes nor no: all spots are kept" in n for n in section.notes)


def test_a_copy_of_a_section_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a", "b"):
        written(tmp_path / f"{name}.h5ad")
    with caplog.at_level("WARNING", "eosin"):
        read(tmp_path, mpp=0.5)
    assert "'b' has the counts of 'a': are they one section?" in caplog.text
    caplog.clear()
    written(tmp_path / "b.h5ad", COUNTS[::-1].copy())
    with caplog.at_level("WARNING", "eosin"):
        read(tmp_path, mpp=0.5)
    assert "are they one section" not in caplog.text
