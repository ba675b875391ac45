"""Reading Visium HD and Xenium at the size that they have: seconds, and the most memory that a process held.

python benchmarks/read_at_scale.py [--folder FOLDER] [--cases 8um,2um,pooled,hd-cells,xenium-cells] [--scale 1.0]

A folder of Space Ranger's layout is generated (by default in a temporary folder, which is removed): 1 million bins of
8 µm and 4 million bins of 2 µm, 2,000 genes, and half a million cells with outlines, in HDF5, Parquet and GeoJSON as
the instruments write them. Every case is read in a process of its own, whose greatest resident size
(`resource.getrusage`) is printed beside what Python and eosin hold before anything is read. Then a panel of 50 genes is
chosen and taken out densely, which is what training does with a section. `--scale 0.1` makes everything ten times
smaller. One JSON line last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

N_GENES, MPP = 2000, 0.5
N_BINS_8UM, N_BINS_2UM, N_CELLS = 1_000_000, 4_000_000, 500_000
GENES_PER_UNIT = {"8um": 60, "2um": 6, "cells": 120}
"""Genes seen in a unit on average."""
CORNERS = 24
_PIECE = 1 << 18
_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")


def write_matrix(file: Path, names: Iterator[np.ndarray], n_rows: int, n_seen: int, seed: int) -> None:
    """A 10x matrix of `n_rows` rows with about `n_seen` genes each, written piece by piece."""
    rng = np.random.default_rng(seed)
    share = rng.gamma(0.3, size=N_GENES)
    cumulative = np.cumsum(share / share.sum())
    packing = {"compression": "gzip", "compression_opts": 1, "maxshape": (None,), "chunks": (80_000,)}
    with h5py.File(file, "w") as out:
        group = out.create_group("matrix")
        barcodes = None
        data = group.create_dataset("data", (0,), np.int32, **packing)
        indices = group.create_dataset("indices", (0,), np.int64, **packing)
        ends = [np.zeros(1, np.int64)]
        for piece in names:
            if barcodes is None:
                barcodes = group.create_dataset("barcodes", (0,), piece.dtype, **packing)
            _append(barcodes, piece)
            row = np.repeat(np.arange(len(piece)), rng.poisson(n_seen, len(piece)))
            gene = np.searchsorted(cumulative, rng.random(len(row))).clip(max=N_GENES - 1)
            pairs, counted = np.unique(row * N_GENES + gene, return_counts=True)
            _append(data, counted.astype(np.int32))
            _append(indices, pairs % N_GENES)
            per_row = np.bincount(pairs // N_GENES, minlength=len(piece))
            ends.append(ends[-1][-1] + np.cumsum(per_row))
        group.create_dataset("indptr", data=np.concatenate(ends), compression="gzip", compression_opts=1)
        group["shape"] = np.array([N_GENES, n_rows], dtype=np.int32)
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{i:011d}" for i in range(N_GENES)], dtype="S")
        features["name"] = np.array([f"GENE{i}" for i in range(N_GENES)], dtype="S")
        features["feature_type"] = np.array(["Gene Expression"] * N_GENES, dtype="S")


def _append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    n_before = len(dataset)
    dataset.resize(n_before + len(values), axis=0)
    dataset[n_before:] = values


def write_bins(folder: Path, n_bins: int, size_um: int) -> None:
    """One size of bins, all in tissue, as `binned_outputs/square_00Num/`."""
    side = round(n_bins**0.5)
    square = folder / "outs" / "binned_outputs" / f"square_{size_um:03d}um"
    (square / "spatial").mkdir(parents=True)
    factors = {"microns_per_pixel": MPP, "bin_size_um": float(size_um)}
    (square / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))

    def names() -> Iterator[np.ndarray]:
        for start in range(0, side * side, _PIECE):
            row, column = np.divmod(np.arange(start, min(start + _PIECE, side * side)), side)
            yield np.array([f"s_{size_um:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(row, column)], dtype="S")

    write_matrix(
        square / "filtered_feature_bc_matrix.h5", names(), side * side, GENES_PER_UNIT[f"{size_um}um"], size_um
    )
    with pq.ParquetWriter(square / "spatial" / "tissue_positions.parquet", _positions(np.zeros(0), 1, 1).schema) as out:
        for start in range(0, side * side, _PIECE):
            out.write_table(_positions(np.arange(start, min(start + _PIECE, side * side)), side, size_um))


def _positions(number: np.ndarray, side: int, size_um: int) -> pa.Table:
    row, column = np.divmod(number.astype(np.int64), side)
    names = [f"s_{size_um:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(row, column)]
    px = [(axis + 0.5) * size_um / MPP for axis in (row, column)]
    ones = np.ones(len(number), dtype=np.int64)
    return pa.table(dict(zip(_COLUMNS, [pa.array(names, pa.string()), ones, row, column, *px])))


def centres(n_cells: int) -> np.ndarray:
    """Centres [n 2] of cells, µm: a jittered lattice of 11 µm."""
    rng, side = np.random.default_rng(7), int(np.ceil(n_cells**0.5))
    row, column = np.divmod(np.arange(n_cells), side)
    return 50 + 11 * np.stack([column, row], 1) + rng.uniform(-3, 3, (n_cells, 2))


def outlines(n_cells: int) -> np.ndarray:
    """Corners [n c 2] of the cells, µm."""
    angle = 2 * np.pi * np.arange(CORNERS) / CORNERS
    radius = np.random.default_rng(8).uniform(3, 6, n_cells)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    return centres(n_cells)[:, None] + radius[:, None, None] * ring


def write_hd_cells(folder: Path, n_cells: int) -> None:
    """`segmented_outputs/` of Space Ranger 4."""
    place = folder / "outs" / "segmented_outputs"
    (place / "spatial").mkdir(parents=True)
    (place / "spatial" / "scalefactors_json.json").write_text(json.dumps({"microns_per_pixel": MPP}))

    def names() -> Iterator[np.ndarray]:
        for start in range(0, n_cells, _PIECE):
            yield np.array([f"cellid_{i + 1:09d}-1" for i in range(start, min(start + _PIECE, n_cells))], dtype="S")

    write_matrix(place / "filtered_feature_cell_matrix.h5", names(), n_cells, GENES_PER_UNIT["cells"], 3)
    with open(place / "cell_segmentations.geojson", "w", encoding="utf-8") as out:
        out.write('{"type": "FeatureCollection", "features": [\n')
        for i, corners in enumerate(np.round(outlines(n_cells) / MPP, 1).tolist()):
            geometry = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
            feature = {"type": "Feature", "geometry": geometry, "properties": {"cell_id": i + 1}}
            out.write((",\n" if i else "") + json.dumps(feature))
        out.write("\n]}")


def write_xenium_cells(folder: Path, n_cells: int) -> None:
    """Xenium's matrix of cells, their table and their boundaries."""
    folder.mkdir(parents=True)
    (folder / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    ids = [f"cell{i:08d}-1" for i in range(n_cells)]

    def names() -> Iterator[np.ndarray]:
        for start in range(0, n_cells, _PIECE):
            yield np.array(ids[start : start + _PIECE], dtype="S")

    write_matrix(folder / "cell_feature_matrix.h5", names(), n_cells, GENES_PER_UNIT["cells"], 4)
    xy, corners = centres(n_cells), outlines(n_cells)
    area = np.pi * ((corners[:, 0] - xy) ** 2).sum(-1)
    cells = {"cell_id": ids, "x_centroid": xy[:, 0], "y_centroid": xy[:, 1], "cell_area": area}
    pq.write_table(pa.table(cells), folder / "cells.parquet")
    flat = corners.reshape(-1, 2).astype(np.float32)
    table = {"cell_id": np.repeat(ids, CORNERS), "vertex_x": flat[:, 0], "vertex_y": flat[:, 1]}
    pq.write_table(pa.table(table), folder / "cell_boundaries.parquet", row_group_size=1 << 20)


CASES: dict[str, tuple[str, str, dict[str, object]]] = {
    "8um": ("8 µm bins as they are", "hd8", {"bin_um": 8.0}),
    "pooled": ("8 µm bins pooled to 96 µm", "hd8", {"bin_um": 96.0}),
    "2um": ("2 µm bins as they are", "hd2", {"bin_um": 2.0}),
    "2um-pooled": ("2 µm bins pooled to 50 µm", "hd2", {"bin_um": 50.0}),
    "hd-squares": ("HD's cells pooled to 100 µm", "hdc", {}),
    "hd-cells": ("HD's cells as units", "hdc", {"unit": "cells"}),
    "xenium-squares": ("Xenium's cells pooled to 100 µm", "xen", {}),
    "xenium-cells": ("Xenium's cells as units", "xen", {"unit": "cells"}),
}
"""What is read, the folder that holds it, and how."""

MAKERS: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "hd8": (partial(write_bins, size_um=8), N_BINS_8UM),
    "hd2": (partial(write_bins, size_um=2), N_BINS_2UM),
    "hdc": (write_hd_cells, N_CELLS),
    "xen": (write_xenium_cells, N_CELLS),
}

_CHILD = """
import json, logging, resource, sys, time
import eosin.data
from eosin.genes import choose_panel
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)
found = {"before_mb": peak()}
start, used = time.perf_counter(), time.process_time()
(section,) = eosin.data.read(sys.argv[1], **json.loads(sys.argv[2]))
found |= {"read_s": time.perf_counter() - start, "cpu_s": time.process_time() - used, "read_mb": peak()}
found["units"] = len(section)
found["values"] = int(section.counts.nnz)
counts = section.counts
found["held_mb"] = (counts.data.nbytes + counts.indices.nbytes + counts.indptr.nbytes) / 2**20
start = time.perf_counter()
values = section.expression(choose_panel("var:50", [section]).names)
found |= {"panel_s": time.perf_counter() - start, "panel_mb": peak()}
print(json.dumps(found))
"""


def measured(folder: Path, options: dict[str, object]) -> dict[str, float]:
    """Seconds, by the clock and of the processor, and MB of a process that reads a folder and takes out 50 genes."""
    command = [sys.executable, "-c", _CHILD, str(folder), json.dumps(options)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr)
    return json.loads(finished.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where generated data is kept; a temporary folder without it")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eosin-read-") as temporary:
        home = given.folder or Path(temporary)
        results = {}
        print(f"{'':34}{'units':>10}{'values':>12}{'read s':>8}{'cpu s':>8}{'peak MB':>9}", end="")
        print(f"{'counts MB':>11}{'panel s':>9}{'MB':>8}", flush=True)
        for case in given.cases.split(","):
            about, name, options = CASES[case]
            make, n_units = MAKERS[name]
            folder = home / f"{name}-{given.scale:g}"
            if not folder.exists():
                maker = multiprocessing.get_context("spawn").Process(
                    target=make, args=(folder, round(n_units * given.scale))
                )
                maker.start()  # by itself: a process inherits the greatest size of the one that starts it
                maker.join()
                if maker.exitcode:
                    raise SystemExit(f"could not make {folder}")
            r = results[case] = measured(folder, options)
            size = f"{r['units']:>10,}{r['values']:>12,}"
            print(
                f"{about:34}{size}{r['read_s']:>8.1f}{r['cpu_s']:>8.1f}{r['read_mb']:>9.0f}{r['held_mb']:>11.0f}"
                f"{r['panel_s']:>9.1f}{r['panel_mb']:>8.0f}",
                flush=True,
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
