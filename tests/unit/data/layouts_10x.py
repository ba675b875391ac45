"""Small outputs of Space Ranger and Xenium, written from arrays. Images are placeholders that no reader needs."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import io as scipy_io
from scipy import sparse

GENES = tuple(f"GENE{i}" for i in range(12))
Counts = np.ndarray | sparse.csr_matrix
COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
MPP = 0.5
VISIUM_PX = 1000.0
"""Where the first spot of the lattice lies, both ways."""


def counts(n: int, seed: int = 0, genes: int = len(GENES), mean: float = 2.0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(mean, (n, genes))


def barcode(i: int) -> str:
    return "".join("ACGT"[(i >> 2 * k) & 3] for k in range(8)) + "-1"


def write_h5(
    file: Path, values: Counts, barcodes: Sequence[str], names: Sequence[str], types: Sequence[str] | None = None
) -> Path:
    """A feature-barcode matrix; `values` [b f]."""
    file.parent.mkdir(parents=True, exist_ok=True)
    matrix = sparse.csr_matrix(values)
    types = ["Gene Expression"] * len(names) if types is None else types
    with h5py.File(file, "w") as out:
        group = out.create_group("matrix")
        group["barcodes"] = np.array(barcodes, dtype="S")
        for key, array in (("data", np.int32), ("indices", np.int64), ("indptr", np.int64)):
            group.create_dataset(key, data=getattr(matrix, key).astype(array), compression="gzip")
        group["shape"] = np.array([len(names), len(barcodes)], dtype=np.int32)
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{i:011d}" for i in range(len(names))], dtype="S")
        features["name"] = np.array(names, dtype="S")
        features["feature_type"] = np.array(types, dtype="S")
        features["genome"] = np.array(["GRCh38"] * len(names), dtype="S")
    return file


def write_mtx(folder: Path, values: Counts, barcodes: Sequence[str], names: Sequence[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.BytesIO()
    scipy_io.mmwrite(text, sparse.coo_matrix(values.T), field="integer", symmetry="general")
    rows = [f"ENSG{i:011d}\t{name}\tGene Expression\n" for i, name in enumerate(names)]
    (folder / "matrix.mtx.gz").write_bytes(gzip.compress(text.getvalue()))
    (folder / "features.tsv.gz").write_bytes(gzip.compress("".join(rows).encode()))
    (folder / "barcodes.tsv.gz").write_bytes(gzip.compress("".join(f"{one}\n" for one in barcodes).encode()))
    return folder


def write_visium(
    outs: Path,
    values: Counts,
    frame: pd.DataFrame,
    names: Sequence[str] = GENES,
    *,
    version: int = 2,
    text: bool = False,
) -> Path:
    """Outputs of one sample: counts [b g] of the positions in tissue, and a table of all positions."""
    inside = list(frame["barcode"][frame["in_tissue"] == 1])
    if text:
        write_mtx(outs / "filtered_feature_bc_matrix", values, inside, names)
    else:
        write_h5(outs / "filtered_feature_bc_matrix.h5", values, inside, names)
    spatial = outs / "spatial"
    spatial.mkdir(parents=True, exist_ok=True)
    name = "tissue_positions_list.csv" if version == 1 else "tissue_positions.csv"
    frame[COLUMNS].to_csv(spatial / name, index=False, header=version > 1)
    factors = {"spot_diameter_fullres": 130.0, "tissue_hires_scalef": 0.2, "tissue_lowres_scalef": 0.06}
    (spatial / "scalefactors_json.json").write_text(json.dumps(factors))
    (spatial / "tissue_hires_image.png").write_bytes(b"not an image, and nobody looks")
    return outs


def visium_positions(n_rows: int = 8, n_columns: int = 8, mpp: float = MPP) -> pd.DataFrame:
    """A hexagonal lattice of 100 µm; the first two positions are off the tissue."""
    row, k = np.divmod(np.arange(n_rows * n_columns), n_columns)
    column = 2 * k + row % 2
    return pd.DataFrame(
        {
            "barcode": [barcode(i) for i in range(len(row))],
            "in_tissue": (np.arange(len(row)) > 1).astype(int),
            "array_row": row,
            "array_col": column,
            "pxl_row_in_fullres": VISIUM_PX + row * np.sqrt(0.75) * 100 / mpp,
            "pxl_col_in_fullres": VISIUM_PX + column * 50 / mpp,
        }
    )


def visium(folder: Path) -> Path:
    """Two samples, of both versions."""
    for i, version in enumerate((1, 2)):
        write_visium(folder / f"S{version}" / "outs", counts(62, i), visium_positions(), version=version)
    return folder


def hd_bins(side: int, size_um: int, mpp: float = 0.25) -> pd.DataFrame:
    """side x side bins of size_um; the last two columns are off the tissue."""
    row, column = np.divmod(np.arange(side * side), side)
    return pd.DataFrame(
        {
            "barcode": [f"s_{size_um:03d}um_{r:05d}_{c:05d}-1" for r, c in zip(row, column)],
            "in_tissue": (column < side - 2).astype(int),
            "array_row": row,
            "array_col": column,
            "pxl_row_in_fullres": 400 + (row + 0.5) * size_um / mpp,
            "pxl_col_in_fullres": 800 + (column + 0.5) * size_um / mpp,
        }
    )


def write_bins(square: Path, frame: pd.DataFrame, values: np.ndarray, mpp: float = 0.25) -> Path:
    inside = frame["in_tissue"] == 1
    write_h5(square / "filtered_feature_bc_matrix.h5", values[inside], list(frame["barcode"][inside]), GENES)
    (square / "spatial").mkdir(parents=True, exist_ok=True)
    frame.to_parquet(square / "spatial" / "tissue_positions.parquet", index=False)
    (square / "spatial" / "tissue_hires_image.png").write_bytes(b"not an image, and nobody looks")
    factors = {"microns_per_pixel": mpp, "bin_size_um": 16.0, "tissue_hires_scalef": 0.1}
    (square / "spatial" / "scalefactors_json.json").write_text(json.dumps(factors))
    return square


def visium_hd(folder: Path, sizes: Sequence[tuple[int, int]] = ((8, 16), (16, 8))) -> Path:
    """(bins along a side, µm): 128 µm of tissue at every size."""
    for side, size_um in sizes:
        frame = hd_bins(side, size_um)
        write_bins(folder / "outs" / "binned_outputs" / f"square_{size_um:03d}um", frame, counts(len(frame), size_um))
    return folder


def transcripts(n: int = 4000, seed: int = 0, width_um: float = 700.0) -> pd.DataFrame:
    """Calls over a square; a tenth of them below quality, one name in 13 a control."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "transcript_id": np.arange(n, dtype=np.uint64),
            "feature_name": rng.choice([*GENES, "NegControlProbe_00042"], n),
            "x_location": rng.uniform(0, width_um, n).astype(np.float32),
            "y_location": rng.uniform(0, width_um, n).astype(np.float32),
            "qv": np.where(rng.random(n) < 0.1, 12.0, 38.0).astype(np.float32),
        }
    )


def xenium(folder: Path, names: Sequence[str] = ("R1", "R2")) -> Path:
    for i, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        transcripts(seed=i).to_parquet(folder / name / "transcripts.parquet", index=False, row_group_size=900)
        (folder / name / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    return folder


def align(folder: Path, matrix: np.ndarray) -> None:
    """An H&E image beside Xenium's outputs; `matrix` maps its pixels to those of the morphology image."""
    (folder / "Slide_he_image.ome.tif").write_bytes(b"not an image, and nobody looks")
    np.savetxt(folder / "Slide_he_imagealignment.csv", matrix, delimiter=",")


LAYOUTS_10X = {"visium": visium, "visium-hd": visium_hd, "xenium": xenium}
