"""Matrices and bins of millions of rows: read in blocks, they are the same, and take little more than they hold."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from eosin.data import read
from eosin.data.pooling import Pool
from eosin.data.readers.tenx import tenx_matrix
from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.data.readers.tenx.visium_hd_bins import read_bins
from eosin.errors import EosinError
from unit.data.layouts_10x import hd_bins, visium_hd, write_h5


@pytest.fixture(autouse=True)
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eosin.storage.hdf5.probe", lambda path: None)


def wide(n_rows: int, n_genes: int = 50, seed: int = 0) -> sparse.csr_matrix:
    matrix = sparse.random_array((n_rows, n_genes), density=0.2, rng=np.random.default_rng(seed), format="csr")
    matrix.data = np.ceil(matrix.data * 5)
    return sparse.csr_matrix(matrix)


@pytest.mark.parametrize("others", [False, True])
def test_rows_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, others: bool) -> None:
    """All or some, whether a block holds none of them, and with features that are left out."""
    monkeypatch.setattr(tenx_matrix, "_BLOCK", 300)
    values = wide(400)
    types = ["Gene Expression", "Antibody Capture"] * 25 if others else None
    file = write_h5(tmp_path / "m.h5", values, [f"c{i}" for i in range(400)], [f"G{i}" for i in range(50)], types)
    columns = slice(None, None, 2) if others else slice(None)
    for wanted in (np.arange(400), np.arange(3, 390, 7), np.array([250, 251]), np.zeros(0, dtype=int)):
        with open_matrix(file) as matrix:
            found = matrix.rows(wanted)
        assert found.dtype == np.float32 and np.array_equal(found.toarray(), values.toarray()[wanted][:, columns])


def test_rows_take_little_more_memory_than_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenx_matrix, "_BLOCK", 1 << 14)
    values, n = wide(60_000), 60_000
    file = write_h5(tmp_path / "m.h5", values, [f"c{i:06d}" for i in range(n)], [f"G{i}" for i in range(50)])
    with open_matrix(file) as matrix:
        tracemalloc.start()
        found = matrix.rows(np.arange(n))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    held = found.data.nbytes + found.indices.nbytes + found.indptr.nbytes
    assert found.nnz == values.nnz and peak < 1.5 * held


@pytest.mark.parametrize("in_order", [True, False])
def test_a_name_that_occurs_twice_is_found_in_any_order(tmp_path: Path, *, in_order: bool) -> None:
    names = [f"c{i:03d}" for i in range(50)]
    names = names if in_order else names[::-1]
    write_h5(tmp_path / "m.h5", wide(50), names, [f"G{i}" for i in range(50)])
    with open_matrix(tmp_path / "m.h5") as matrix:
        assert list(matrix.barcodes.astype(str)) == names
    names[40] = names[3]
    write_h5(tmp_path / "n.h5", wide(50), names, [f"G{i}" for i in range(50)])
    with pytest.raises(EosinError, match="a barcode occurs twice"), open_matrix(tmp_path / "n.h5"):
        pass


@pytest.mark.parametrize("kind", ["text", "large text", "bytes", "of several lengths", "categories"])
def test_positions_are_the_same_however_barcodes_are_stored(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = hd_bins(9, 8).sample(frac=1, random_state=0).reset_index(drop=True)
    names = list(frame["barcode"])
    if kind == "of several lengths":
        names[0] += "0"
    column = {
        "text": pa.array(names, pa.string()),
        "large text": pa.array(names, pa.large_string()),
        "bytes": pa.array([name.encode() for name in names], pa.binary()),
        "of several lengths": pa.array(names, pa.string()),
        "categories": pa.array(names, pa.string()).dictionary_encode(),
    }[kind]
    table = pa.Table.from_pandas(frame, preserve_index=False).set_column(0, "barcode", column)
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=20)
    bins = read_bins(tmp_path / "p.parquet")
    told = pd.DataFrame(
        {"name": bins.barcodes.astype(str), "row": bins.array[:, 1], "x": bins.px[:, 0], "in": bins.in_tissue}
    )
    expected = frame.assign(barcode=names if kind != "bytes" else frame["barcode"]).sort_values("barcode")
    assert list(told["name"]) == list(expected["barcode"]) and list(told["row"]) == list(expected["array_row"])
    assert np.array_equal(told["x"], expected["pxl_col_in_fullres"]) and list(told["in"]) == list(
        expected["in_tissue"] == 1
    )


def test_squares_of_bins_far_from_the_origin(tmp_path: Path) -> None:
    """Numbers of squares are multiplied: 32 bits would not hold them at the far corner of a slide of 2 µm bins."""
    path = visium_hd(tmp_path / "H", sizes=((8, 16),))
    file = path / "outs/binned_outputs/square_016um/spatial/tissue_positions.parquet"
    near = read(path, bin_um=32)[0]
    frame = pd.read_parquet(file)
    frame[["array_row", "array_col"]] += 60_000
    frame.to_parquet(file, index=False)
    far = read(path, bin_um=32)[0]
    assert np.array_equal(far.counts.toarray(), near.counts.toarray())
    assert np.array_equal(far.spots.xy_um, near.spots.xy_um)


def test_rows_that_are_pooled_are_their_sum() -> None:
    rng, values = np.random.default_rng(1), wide(300)
    squares = rng.integers(-4, 4, (300, 2)).astype(np.int32)
    by_rows, by_entries = Pool(), Pool()
    entries = sparse.coo_matrix(values)
    by_entries.add(squares[entries.row], entries.col.astype(np.int64), entries.data)
    for start in range(0, 300, 70):
        by_rows.add_rows(squares[start : start + 70], values[start : start + 70])
    for found, expected in zip(by_rows.finish(50), by_entries.finish(50)):
        assert (found != expected).sum() == 0


def test_an_empty_pool_has_no_squares() -> None:
    squares, counts = Pool().finish(5)
    assert squares.shape == (0, 2) and counts.shape == (0, 5)
