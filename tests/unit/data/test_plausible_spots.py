"""Spots that cannot be: in another unit, wider than they lie apart; in whichever layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest

from eosin.data import read
from eosin.data.plausible_spots import check_spread, odd_width
from eosin.errors import EosinError
from unit.data.layouts import hest, lattice, legacy_st
from unit.data.readers.test_hest import set_fact


def change(folder: Path, how: Callable[[anndata.AnnData], None]) -> Path:
    file = folder / "st" / "TENX1.h5ad"
    adata = anndata.read_h5ad(file)
    how(adata)
    adata.write_h5ad(file)
    return folder


@pytest.mark.parametrize(("factor", "said"), [(1000.0, "more than any slide"), (0.001, "nearer than any platform's")])
def test_positions_in_another_unit_are_refused(tmp_path: Path, factor: float, said: str) -> None:
    def scale(adata: anndata.AnnData) -> None:
        adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"]) * factor

    with pytest.raises(EosinError, match=rf"TENX1\.h5ad: 36 spots .*{said}; check its unit and scale \(--mpp\)"):
        read(change(hest(tmp_path), scale))


@pytest.mark.parametrize("width_um", [0.055, 300.0])
def test_a_width_that_cannot_be_is_said(tmp_path: Path, width_um: float) -> None:
    set_fact(hest(tmp_path), "TENX1", spot_diameter=width_um)
    one, two = read(tmp_path)
    assert f"spots are {width_um:.3g} µm wide and lie 100 µm apart: is their width in µm?" in one.notes
    assert not any("is their width" in note for note in two.notes)


def test_what_there_is() -> None:
    """Few spots far apart, bins of Stereo-seq, a whole organ of cells; legacy ST and squares that touch."""
    corners = np.array([[0.0, 0.0], [60_000, 0], [0, 25_000]])
    for xy in (corners, lattice(40, 0.5), np.random.default_rng(0).uniform(0, 150_000, (2000, 2)), np.zeros((40, 2))):
        check_spread(xy)
    check_spread(np.column_stack([np.arange(20.0), np.zeros(20)]))
    for width, pitch in ((55.0, 100.0), (100.0, 200.0), (16.0, 16.0), (100.0, 100.0), (2.0, 2.0)):
        assert odd_width(lattice(6, pitch), width) == []


def test_hests_rows_and_axes_are_compared(tmp_path: Path) -> None:
    def tell(adata: anndata.AnnData) -> None:
        xy = np.asarray(adata.obsm["spatial"])
        adata.obs["array_col"], adata.obs["array_row"] = (np.unique(axis, return_inverse=True)[1] for axis in xy.T)
        adata.obs["total_counts"] = np.asarray(adata.X.sum(1)).ravel()

    def exchange(adata: anndata.AnnData) -> None:
        adata.obsm["spatial"] = np.asarray(adata.obsm["spatial"])[:, ::-1].copy()
        adata.obs["total_counts"] = adata.obs["total_counts"].to_numpy()[::-1]

    folder = change(hest(tmp_path), tell)
    assert not any("rows and columns" in note or "total_counts" in note for note in read(folder)[0].notes)
    notes = read(change(folder, exchange))[0].notes
    assert any("rows and columns seem exchanged" in note for note in notes)
    assert any("counts and obs['total_counts'] do not go together" in note for note in notes)


def selection(folder: Path) -> Path:
    return folder / "ST-spotfiles" / "A1_selection.tsv"


def test_spots_at_one_place_are_said_or_refused(tmp_path: Path) -> None:
    """In any layout; legacy ST's as one without positions leaves them."""
    file = selection(legacy_st(tmp_path, names=("A1",), packed=False))
    table = pd.read_csv(file, sep="\t")
    table.loc[[5, 9], ["pixel_x", "pixel_y"]] = 0.0
    table.to_csv(file, sep="\t", index=False)
    (section,) = read(tmp_path)
    assert "1 of 35 spots lie at the place of another, as at (0, 0) µm: have they a position?" in section.notes
    table.loc[5:12, ["pixel_x", "pixel_y"]] = 0.0
    table.to_csv(file, sep="\t", index=False)
    with pytest.raises(EosinError, match=r"7 of 35 spots lie at the place of another.*; leave out spots without a"):
        read(tmp_path)


@pytest.mark.parametrize("factor", [1.5, 0.9])
def test_a_stretched_picture_of_legacy_st_is_said(tmp_path: Path, factor: float) -> None:
    file = selection(legacy_st(tmp_path, names=("A1",), packed=False))
    table = pd.read_csv(file, sep="\t")
    table["pixel_y"] *= factor
    table.to_csv(file, sep="\t", index=False)
    assert any("pixels are stretched by" in note for note in read(tmp_path)[0].notes)
