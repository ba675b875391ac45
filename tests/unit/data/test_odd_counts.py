"""Counts and positions that contradict what the file says beside them, or that their type could not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from scipy import sparse

from eosin.data import read
from eosin.data.odd_counts import cut_off
from eosin.errors import EosinError
from eosin.types import Section
from unit.data.layouts import lattice

N, GENES = 64, 40
XY_PX = lattice(8, 200.0)
COUNTS = np.random.default_rng(0).negative_binomial(2, 0.6, (N, GENES)).astype(np.float32)
COUNTS *= np.linspace(1, 5, N).round()[:, None].astype(np.float32)


def made(values: Any = COUNTS, xy: Any = XY_PX) -> anndata.AnnData:
    adata = anndata.AnnData(values)
    adata.var_names = [f"GENE{j}" for j in range(adata.n_vars)]
    adata.obsm["spatial"] = xy
    return adata


def read_one(tmp_path: Path, adata: anndata.AnnData, mpp: float = 0.5) -> Section:
    adata.write_h5ad(tmp_path / "a.h5ad")
    return read(tmp_path / "a.h5ad", mpp=mpp)[0]


def has_note(section: Section, text: str) -> bool:
    return any(text in note for note in section.notes)


@pytest.mark.parametrize("column", ["total_counts", "nCount_Spatial", "n_counts"])
def test_totals_of_other_spots_are_said(tmp_path: Path, column: str) -> None:
    adata = made()
    adata.obs[column] = COUNTS.sum(1)
    assert not has_note(read_one(tmp_path, adata), column)
    adata.obs[column] = COUNTS.sum(1)[::-1]
    said = f"counts and obs['{column}'] do not go together"
    assert has_note(read_one(tmp_path, adata), said)


def test_totals_of_more_genes_or_of_other_values_are_said(tmp_path: Path) -> None:
    adata = made()
    adata.obs["total_counts"] = 3 * COUNTS.sum(1)
    assert has_note(read_one(tmp_path, adata), "add up to 0.33 of obs['total_counts']: genes were left out")
    adata.obs["total_counts"] = COUNTS.sum(1) / 2
    assert has_note(read_one(tmp_path, adata), "add up to 2 of obs['total_counts']: are they raw counts?")
    adata.obs["total_counts"] = 1e4  # after scaling
    assert not has_note(read_one(tmp_path, adata), "total_counts")
    adata.obs["total_counts"] = "many"
    assert not has_note(read_one(tmp_path, adata), "total_counts")


def shuffled_layer(adata: anndata.AnnData) -> None:
    adata.layers["counts"] = COUNTS[::-1].copy()


def shuffled_raw(adata: anndata.AnnData) -> None:
    adata.raw = made(COUNTS[::-1].copy())


@pytest.mark.parametrize("sparsely", [False, True])
@pytest.mark.parametrize("put", [shuffled_layer, shuffled_raw])
def test_counts_of_a_layer_in_another_order_than_x_are_said(
    tmp_path: Path, put: Callable[[anndata.AnnData], None], *, sparsely: bool
) -> None:
    values = np.log1p(COUNTS)
    adata = made(sparse.csr_matrix(values) if sparsely else values)
    adata.layers["counts"] = COUNTS
    assert not has_note(read_one(tmp_path, adata), "where X is not 0")
    del adata.layers["counts"]
    put(adata)
    assert has_note(read_one(tmp_path, adata), "are they of the same spots, in the same order?")


def test_scaled_values_have_no_zeros_to_compare(tmp_path: Path) -> None:
    adata = made(COUNTS - COUNTS.mean(0))
    adata.layers["counts"] = COUNTS
    assert not has_note(read_one(tmp_path, adata), "where X is not 0")


def test_rounded_logarithms_are_said(tmp_path: Path) -> None:
    adata = made(np.round(np.log1p(COUNTS)))
    adata.uns["log1p"] = {"base": None}
    assert has_note(read_one(tmp_path, adata), "uns['log1p'] says that X was log-transformed")
    adata = made(COUNTS * 4)
    adata.uns["log1p"] = {"base": None}  # left from before the counts were put back
    assert not has_note(read_one(tmp_path, adata), "log1p")


def test_genes_that_only_raw_has_are_said(tmp_path: Path) -> None:
    adata = made()[:, :10].copy()
    adata.raw = made()
    assert has_note(read_one(tmp_path, adata), "X has 10 of the 40 genes of raw.X")


@pytest.mark.parametrize(("kind", "largest"), [("uint8", 255), ("uint16", 65_535)])
def test_counts_that_their_type_cut_off_are_said(tmp_path: Path, kind: str, largest: int) -> None:
    values = np.minimum(COUNTS * (largest / 8), largest).astype(kind)
    assert has_note(read_one(tmp_path, made(values)), f"counts are {largest} and none is larger")


def test_a_count_of_255_by_itself_says_nothing() -> None:
    values = np.arange(230, 256, dtype=np.float32)
    assert cut_off(sparse.csr_matrix(values[None])) == [] and cut_off(sparse.csr_matrix((2, 2))) == []


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16"])
def test_positions_that_their_type_cannot_hold_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(EosinError, match=rf"obsm\['spatial'\] is of type {kind}, which is too small for positions"):
        read_one(tmp_path, made(xy=(XY_PX * 30).astype(np.int64).astype(kind)))


def test_positions_of_16_bit_that_fit_are_read(tmp_path: Path) -> None:
    assert np.allclose(read_one(tmp_path, made(xy=XY_PX.astype(np.int16))).spots.xy_um, XY_PX / 2)


@pytest.mark.parametrize(("factor", "said"), [(1e-3, "in mm times 1000"), (1e3, "in nm by 1000")])
def test_positions_in_another_unit_are_refused(tmp_path: Path, factor: float, said: str) -> None:
    with pytest.raises(EosinError, match=rf"as those of no platform do; give the true scale .*{said}"):
        read_one(tmp_path, made(xy=XY_PX * factor))
