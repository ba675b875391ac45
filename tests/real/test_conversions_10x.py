"""A published section, written as the outputs of 10x's instruments and read back the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read
from eosin.types import Section
from unit.data.layouts_10x import COLUMNS, write_h5, write_visium

HER2ST = Path(__file__).resolve().parents[2] / "../shared/data/her2st"
pytestmark = pytest.mark.skipif(not HER2ST.is_dir(), reason="no real sections in ../shared/data/her2st")


@pytest.fixture(scope="module")
def c6() -> Section:
    return read(HER2ST, sections=["C6"])[0]


def positions(one: Section, *, whole: bool) -> pd.DataFrame:
    """As Space Ranger lists them, behind a hundred that are off the tissue; pixels whole as in v1, or not."""
    assert one.image is not None
    px = one.spots.xy_um / one.image.mpp
    inside = pd.DataFrame({"barcode": one.spots.ids, "in_tissue": 1})
    inside[["array_col", "array_row"]] = [list(map(int, spot.split("x"))) for spot in one.spots.ids]
    inside[["pxl_col_in_fullres", "pxl_row_in_fullres"]] = np.rint(px).astype(int) if whole else px
    outside = inside.iloc[:100].assign(in_tissue=0, barcode=[f"off-{i}" for i in range(100)])
    return pd.concat([outside, inside])[COLUMNS]


@pytest.mark.parametrize(("version", "text"), [(1, False), (1, True), (2, False), (2, True)])
def test_visium(c6: Section, tmp_path: Path, version: int, *, text: bool) -> None:
    assert c6.counts is not None and c6.genes is not None and c6.image is not None
    outs = tmp_path / "C6" / "outs"
    table = positions(c6, whole=version == 1)
    write_visium(outs, c6.counts, table, c6.genes, version=version, text=text)
    (tmp_path / "C6.jpg").symlink_to(c6.image.path.resolve())
    (one,) = read(tmp_path, mpp=c6.image.mpp)
    assert one.spots.ids == c6.spots.ids and one.genes == c6.genes and one.counts is not None
    assert (one.counts != c6.counts).nnz == 0
    off_px = np.abs(one.spots.xy_um - c6.spots.xy_um).max() / c6.image.mpp
    assert off_px < (1 if version == 1 else 1e-6)
    assert one.image is not None and one.image.path.resolve() == c6.image.path.resolve()


def test_xenium_of_one_transcript_per_count(c6: Section, tmp_path: Path) -> None:
    """Molecules strewn over a spot come back to it when squares are as wide as the pitch and lie on the lattice."""
    assert c6.counts is not None and c6.genes is not None
    genes = np.asarray(c6.counts.sum(0)).ravel().argsort()[-40:]
    some = sparse.coo_matrix(c6.counts[:, genes])
    spots, n = np.repeat(some.row, some.data.astype(int)), int(some.data.sum())
    square = np.array([list(map(int, spot.split("x"))) for spot in c6.spots.ids])[spots]
    strewn = np.random.default_rng(0).uniform(0, 200, (n, 2))
    xy_um = (square * 200 + strewn).astype(np.float32)
    names = np.asarray(c6.genes, dtype=object)[genes][np.repeat(some.col, some.data.astype(int))]
    (tmp_path / "C6").mkdir()
    pd.DataFrame({"feature_name": names, "x_location": xy_um[:, 0], "y_location": xy_um[:, 1], "qv": 40.0}).to_parquet(
        tmp_path / "C6" / "transcripts.parquet"
    )
    (one,) = read(tmp_path, bin_um=200)
    assert one.counts is not None and one.genes is not None
    row_of = {f"200um-{y}x{x}": i for i, (x, y) in enumerate(spot.split("x") for spot in c6.spots.ids)}
    rows = [row_of[spot] for spot in one.spots.ids]
    columns = [c6.genes.index(gene) for gene in one.genes]
    moved = abs(one.counts - c6.counts[rows][:, columns]).sum() / one.counts.sum()
    assert moved < 1e-4  # float32 puts a molecule in ten thousand on the far edge
    assert len(rows) == len(set(rows)) and one.counts.sum() == n


def test_cells_of_a_real_table(c6: Section, tmp_path: Path) -> None:
    assert c6.counts is not None and c6.genes is not None
    (tmp_path / "C6").mkdir()
    write_h5(tmp_path / "C6" / "cell_feature_matrix.h5", c6.counts, c6.spots.ids, c6.genes)
    cells = pd.DataFrame({"cell_id": c6.spots.ids})
    cells[["x_centroid", "y_centroid"]] = c6.spots.xy_um
    cells.to_parquet(tmp_path / "C6" / "cells.parquet")
    (one,) = read(tmp_path, bin_um=400)
    assert one.counts is not None and one.counts.sum() == c6.counts.sum() and len(one) < len(c6) / 2
    assert one.genes == tuple(sorted(c6.genes))
    assert one.genes is not None
    total = np.asarray(c6.counts.sum(0)).ravel()[[c6.genes.index(gene) for gene in one.genes]]
    assert np.array_equal(np.asarray(one.counts.sum(0)).ravel(), total)
