"""Reader of one task of the HEST benchmark: `splits/`, `adata/`, `patches/` and `var_50genes.json`.

The spots of a sample are those of its patch file, in that order; the counts come from `adata`. There is no slide: the
patch file holds the images (224 x 224 px of 112 µm).
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from eosin.config import need_known
from eosin.data.h5ad import read_h5ad, spatial
from eosin.data.reader import READERS, Reader, blame
from eosin.data.readers.hest import genes_only
from eosin.data.section_parts import SectionParts
from eosin.data.splits import Split
from eosin.data.uns_spatial import foreign_diameter_px
from eosin.errors import EosinError
from eosin.storage.files import read_json
from eosin.storage.hdf5 import open_foreign
from eosin.types import Section, check_mpp

PATCH_UM = 112.0
_COLUMNS = ("sample_id", "patches_path", "expr_path")
_AGAIN = "download the task again"


class HestBench(Reader):
    """A folder of one benchmark task, as `IDC/`."""

    name = "hest-bench"
    platform = "various"
    looks_for = "splits/train_0.csv with adata/{id}.h5ad and patches/{id}.h5"

    def recognise(self, path: Path) -> str | None:
        """The number of splits, where counts lie beside them."""
        n_splits = len(list((path / "splits").glob("train_*.csv")))
        return f"{n_splits} splits in splits/train_*.csv" if n_splits and (path / "adata").is_dir() else None

    def names(self, path: Path) -> list[str]:
        """The samples that any split names."""
        return sorted(_samples(path))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One sample, its spots those of its patch file."""
        patches, file = _find(path, name)
        barcodes, stored = _read_patches(patches)
        adata = read_h5ad(file)
        if not adata.obs_names.is_unique:
            raise EosinError("spot names repeat", file=file, fix=_AGAIN)
        rows = adata.obs_names.astype(str).get_indexer(barcodes)
        if (rows < 0).any():
            first = barcodes[int(np.flatnonzero(rows < 0)[0])]
            fix = "patches and counts must be of one release"
            raise EosinError(f"{(rows < 0).sum()} patches have no counts, first '{first}'", file=file, fix=fix)
        mpp, scale_note = (
            (check_mpp(mpp, file), f"{mpp:g} µm/px as given") if mpp is not None else _mpp(stored, patches)
        )
        counts, genes, notes = genes_only(adata, file)
        diameter_um = foreign_diameter_px(adata) * mpp
        if not diameter_um:
            diameter_um = 100.0
            notes.append("spot diameter assumed to be 100 µm")
        if n_without := adata.n_obs - len(rows):
            notes.append(f"{n_without} of {adata.n_obs} spots have no patch and were left out, as the benchmark does")
        notes += [scale_note, "the patient is not in the task's files; use the task's own splits"]
        return SectionParts(
            file,
            name,
            (spatial(adata, file) * mpp)[rows],
            diameter_um,
            barcodes,
            sparse.csr_matrix(counts[rows]),
            genes,
            platform="HEST benchmark",
            notes=[*notes, f"images are in {patches.name}"],
        ).section(self.naming)

    def describe(self, path: Path) -> dict[str, Any]:
        """The task's own splits."""
        return {"splits": [{"name": s.name, "train": list(s.train), "test": list(s.test)} for s in hest_splits(path)]}


def hest_splits(path: str | Path) -> list[Split]:
    """The task's own splits, by patient as its authors grouped them.

    Raises
    ------
    EosinError
        A split file is missing its partner, a column or its rows, or a sample is on both sides.
    """
    folder = Path(path) / "splits"
    if not _numbers(folder):
        raise EosinError("no splits/train_*.csv", file=path, fix="give the folder of one benchmark task")
    own_splits = []
    for number in _numbers(folder):
        sides = [[row["sample_id"] for row in _rows(folder / f"{side}_{number}.csv")] for side in ("train", "test")]
        with blame(folder / f"test_{number}.csv"):
            own_splits.append(Split(f"split {number}", tuple(sides[0]), tuple(sides[1]), "by the benchmark's authors"))
    return own_splits


def hest_genes(path: str | Path, file: str = "var_50genes.json") -> list[str]:
    """The task's gene panel. It was chosen on all its samples, those to test on included.

    Raises
    ------
    EosinError
        The file is missing or has no list of genes.
    """
    file_path = Path(path) / file
    stored = read_json(file_path)
    genes = stored.get("genes") if isinstance(stored, dict) else None
    if not isinstance(genes, list) or not genes or not all(isinstance(gene, str) for gene in genes):
        raise EosinError("has no list 'genes'", file=file_path, fix=_AGAIN)
    return genes


def hest_patches(path: str | Path, name: str) -> Path:
    """The file that holds the images of a sample: `img` uint8 [s 224 224 3], rows as the section's spots."""
    return _find(Path(path), name)[0]


def _find(path: Path, name: str) -> tuple[Path, Path]:
    known = _samples(path)
    need_known(name, known, "sample", file=path)
    return known[name]


def _samples(path: Path) -> dict[str, tuple[Path, Path]]:
    """Patch file and count file of every sample that a split names."""
    known = {}
    for number in _numbers(path / "splits"):
        for side in ("train", "test"):
            for row in _rows(path / "splits" / f"{side}_{number}.csv"):
                known[row["sample_id"]] = _within(path, row["patches_path"]), _within(path, row["expr_path"])
    return known


def _within(path: Path, file: str) -> Path:
    """A file that a table names, which must lie in the task's folder: tables come from elsewhere."""
    if Path(file).is_absolute() or ".." in Path(file).parts or "\0" in file:
        raise EosinError(f"a split names '{file}', which leads out of the folder", file=path, fix=_AGAIN)
    return path / file


def _numbers(folder: Path) -> list[int]:
    """Numbers of the splits that have a file on either side; a missing partner is for `_rows` to tell."""
    matches = (re.fullmatch(r"(?:train|test)_(\d+)\.csv", file.name) for file in folder.glob("t*.csv"))
    return sorted({int(match.group(1)) for match in matches if match})


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with open(file, encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except FileNotFoundError:
        raise EosinError("no such file", file=file, fix="every split needs train_*.csv and test_*.csv") from None
    except (OSError, ValueError, csv.Error) as error:
        raise EosinError(f"not readable as a table ({error})", file=file, fix=_AGAIN) from error
    for row in rows:
        if missing := [column for column in _COLUMNS if not row.get(column)]:
            raise EosinError(f"a row has no '{missing[0]}'", file=file, fix=_AGAIN)
        if None in row:  # where csv keeps the cells beyond the heading
            raise EosinError("a row has more cells than the heading", file=file, fix=_AGAIN)
    if not rows:
        raise EosinError("names no samples", file=file, fix=_AGAIN)
    return rows


def _read_patches(file: Path) -> tuple[list[str], dict[str, float]]:
    """Barcodes of a patch file and the numbers among its attributes; the images stay on disk."""
    if not file.is_file():
        raise EosinError("no such file", file=file, fix=_AGAIN)
    try:
        with open_foreign(file) as stored:
            raw = np.asarray(stored["barcode"][()]).ravel()
            images = stored["img"]
            attributes = dict(stored.attrs) | dict(stored["coords"].attrs if "coords" in stored else {})
            n_images, width = images.shape[:2]
            attributes |= dict(images.attrs) | {"width": width}
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EosinError(f"not readable as a patch file ({error})", file=file, fix=_AGAIN) from error
    barcodes = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in raw]
    if not barcodes:
        raise EosinError("holds no patches", file=file, fix=_AGAIN)
    if n_images != len(barcodes):
        raise EosinError(f"holds {n_images} images but {len(barcodes)} barcodes", file=file, fix=_AGAIN)
    numbers = {key: value for key, value in attributes.items() if np.ndim(value) == 0 and _is_number(value)}
    return barcodes, {key: float(value) for key, value in numbers.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _mpp(stored: dict[str, float], file: Path) -> tuple[float, str]:
    """µm per full-resolution pixel from the width of a patch there, which is 112 µm by construction."""
    width_px = stored.get("patch_size_src", stored.get("patch_size", 0.0))
    downsample = stored.get("downsample", 0.0)
    if downsample > 0 and abs(downsample * stored["width"] - width_px) <= 1:
        width_px = downsample * stored["width"]  # the same before rounding to whole pixels
    elif width_px <= 0 or ("patch_size_src" not in stored and width_px == stored["width"]):
        fix = "give --mpp, the µm per pixel of the full-resolution image"  # patch_size may be that of the stored patch
        raise EosinError("does not say how wide a patch is on the slide", file=file, fix=fix)
    mpp = PATCH_UM / width_px
    return check_mpp(mpp, file), f"{mpp:.4f} µm/px from patches of {width_px:.0f} px and {PATCH_UM:g} µm"


READERS.add(HestBench.name, HestBench())
