"""Reader of the legacy Spatial Transcriptomics layout, as the HER2+ breast cancer sections were published.

`ST-cnts/{S}.tsv.gz` spots x genes; `ST-spotfiles/{S}_selection.tsv` array and pixel positions; `ST-imgs/{L}/{S}/*` the
image; labels in `ST-pat/lbl` (pathologist) or `ST-cluster/lbl` (clusters of expression). Andersson et al., Nature
Communications 2021. Spots are 100 µm wide on a square lattice of 200 µm pitch.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eosin.data.array_map import array_map
from eosin.data.count_table import BROKEN, TRANSPOSED, read_count_table
from eosin.data.reader import IMAGE_SUFFIXES, READERS, Reader
from eosin.data.section_parts import SectionParts, left_out
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.geometry import nearest_spacing
from eosin.slide import is_slide
from eosin.storage.delimited import check_cells
from eosin.types import Image, Section, check_mpp

if TYPE_CHECKING:
    import pandas as pd

PITCH_UM = 200.0
DIAMETER_UM = 100.0
UNLABELLED = "unlabelled"
_AGAIN = "the file is cut short or damaged; download it again"
_NAMED = re.compile(r"(-?\d+\.?(\d*))x(-?\d+\.?(\d*))")
"""Rows named by array positions, whole or adjusted."""


class LegacySt(Reader):
    """The her2st layout, also with a leading `data/`."""

    name = "legacy-st"
    platform = "Spatial Transcriptomics"
    looks_for = "ST-cnts/{section}.tsv.gz with ST-spotfiles/{section}_selection.tsv"
    evidence = "count tables in ST-cnts/"

    def names(self, path: Path) -> list[str]:
        """The sections that have a table of counts."""
        tables = [file for file in (_root(path) / "ST-cnts").glob("*") if file.name.endswith((".tsv", ".tsv.gz"))]
        return sorted({file.name.split(".tsv")[0] for file in tables if not file.name.startswith(".")})

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One section; its scale follows from the pitch, its patient from the letter of its name."""
        root = _root(path)
        table = _either(root / "ST-cnts" / f"{name}.tsv.gz", root / "ST-cnts" / f"{name}.tsv")
        places = root / "ST-spotfiles" / f"{name}_selection.tsv"
        ids, genes, counts = read_count_table(table)
        xy_px, rows, keys, notes = _join(ids, genes, places, table)
        ids = [ids[row] for row in rows]
        mpp, scale_note = _scale(xy_px, mpp, places)
        image, image_notes = _image(root, name)
        domains, label_notes = _domains(root, name, keys)
        letters = re.match("[A-Za-z]+", name)
        return SectionParts(
            table,
            name,
            xy_px * mpp,
            DIAMETER_UM,
            ids,
            sparse.csr_matrix(counts[rows]),
            GeneNames(tuple(genes)),
            patient=letters.group() if letters else name,
            image=image and Image(image, mpp),
            domains=domains,
            platform=self.platform,
            notes=[*notes, scale_note, *image_notes, *label_notes],
        ).section(self.naming)


def _join(
    ids: list[str], genes: list[str], places: Path, table: Path
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Pixel positions [s 2] of the rows of the count table that have one, those rows, their keys, and notes.

    Rows are named by whole array positions `{x}x{y}`, or by adjusted ones, which the file of positions has as `new_x`
    and `new_y`. Positions that are not `selected` are beside the tissue.
    """
    spots = read_columns(places, ("x", "y", "pixel_x", "pixel_y"))
    keys = _keys(spots)
    if len(set(keys)) != len(keys):
        n_twice = len(keys) - len(set(keys))
        raise EosinError(f"{n_twice} array positions occur twice", file=places, fix="keep one of each")
    row_of = dict(zip(keys, range(len(keys))))
    notes = []
    if not row_of.keys() & set(ids) and (adjusted := _adjusted(spots, ids)):
        row_of, notes = adjusted, ["rows of counts are named by adjusted positions (new_x, new_y)"]
    on_tissue = _selected(spots)
    with_counts = np.array([row for row, spot in enumerate(ids) if spot in row_of], dtype=int)
    if len(with_counts) == 0 and row_of.keys() & set(genes):
        raise EosinError(TRANSPOSED, file=table, fix="transpose it: one row a spot, one column a gene")
    if len(with_counts) == 0:
        raise EosinError(
            f"no row of the table has a position in {places.name}: '{ids[0]}' here, '{keys[0] if keys else ''}' there",
            file=table,
            fix="pair the right files",
        )
    notes += left_out(len(ids) - len(with_counts), len(ids), "rows of counts have no position")
    at = np.array([row_of[ids[row]] for row in with_counts])
    on = on_tissue[at]
    notes += left_out(int((~on).sum()), len(on), "spots are beside the tissue (selected = 0)")
    without = on_tissue.copy()
    without[at] = False
    notes += left_out(int(without.sum()), len(keys), "positions have no counts")
    at = at[on]
    xy_px = spots[["pixel_x", "pixel_y"]].to_numpy(np.float64)[at]
    notes += _exchanged(spots[["x", "y"]].to_numpy(np.float64)[at], xy_px)
    return xy_px, with_counts[on], [keys[place] for place in at], notes


def _exchanged(array: np.ndarray, xy_px: np.ndarray) -> list[str]:
    """A note where pixels run against the places on the array, as exchanged columns do, or are stretched."""
    found = array_map(array, xy_px, hexagonal=False)
    if found is not None and found.is_stretched:
        return [f"by x, y of the array pixels are stretched by {found.stretch:.0%} along one axis: is the picture so?"]
    if found is None or not found.is_lattice or np.linalg.det(found.per_step) > 0:
        return []
    what = "pixel_x and pixel_y run against x and y of the array, exchanged or mirrored"
    return [f"{what}: see whether the spots lie on the tissue"]


def _selected(spots: pd.DataFrame) -> np.ndarray:
    """Which positions are in tissue by the column `selected` (or `in_tissue`); all where it is not there, or selects
    none."""
    column = next((column for column in ("selected", "in_tissue") if column in spots), None)
    if column is None:
        return np.ones(len(spots), bool)
    selected = spots[column].astype(str).str.strip().str.lower().isin(("1", "1.0", "true")).to_numpy()
    return selected if selected.any() else np.ones(len(spots), bool)


def _adjusted(spots: pd.DataFrame, ids: list[str]) -> dict[str, int]:
    """The position of each row that is named by adjusted places, `9.98x12.03`; empty where none is.

    The number of digits in the names is the table's, so that both are compared as numbers to the coarser of the two.
    """
    if not {"new_x", "new_y"} <= set(spots):
        return {}
    try:
        places = spots[["new_x", "new_y"]].to_numpy(np.float64)
    except ValueError:
        return {}
    parsed = [_NAMED.fullmatch(spot) for spot in ids]
    n_digits = max((len(part) for match in parsed if match for part in match.group(2, 4)), default=0)
    key = {tuple(place): row for row, place in enumerate(np.round(places, n_digits).tolist())}
    if len(key) < len(places):
        return {}
    found = {}
    for spot, match in zip(ids, parsed):
        if match is not None:
            row = key.get((round(float(match.group(1)), n_digits), round(float(match.group(3)), n_digits)))
            if row is not None:
                found[spot] = row
    return found


def read_columns(file: Path, numeric: tuple[str, ...], text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read named columns of a tab-separated file; `numeric` ones as finite numbers."""
    import pandas as pd

    try:
        frame = check_cells(pd.read_csv(file, sep="\t", dtype=str), file)
    except FileNotFoundError:
        raise EosinError("no such file", file=file, fix="every count table needs its file of positions") from None
    except BROKEN as error:
        raise EosinError(f"not readable as a table ({error})", file=file, fix=_AGAIN) from error
    missing = [column for column in (*numeric, *text) if column not in frame]
    if missing:
        raise EosinError(f"has no column '{missing[0]}'", file=file, fix=f"its columns are {', '.join(frame.columns)}")
    for column in numeric:
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise EosinError(
                f"'{frame[column].iloc[row]}' in column '{column}', line {row + 2}, is no number", file=file, fix=_AGAIN
            )
        frame[column] = numbers
    return frame


def _keys(frame: pd.DataFrame) -> list[str]:
    """`{x}x{y}` of whole array positions; the pathologist's files hold fractional ones near the whole."""
    whole = np.rint(frame[["x", "y"]].to_numpy(np.float64)).astype(int)
    return [f"{x}x{y}" for x, y in whole]


def _scale(xy_px: np.ndarray, mpp: float | None, file: Path) -> tuple[float, str]:
    """µm per pixel as given, else by the pitch, and a note on which of the two."""
    pitch_px = nearest_spacing(xy_px)
    if mpp is not None:
        pitch_um = pitch_px * mpp
        odd = f", which makes the pitch {pitch_um:.0f} µm where 200 is usual" if not 150 < pitch_um < 250 else ""
        return check_mpp(mpp, file), f"{mpp:g} µm/px as given{odd}"
    if not pitch_px > 0:
        raise EosinError("too few positions to find the scale from the pitch", file=file, fix="give --mpp")
    scale = PITCH_UM / pitch_px
    return check_mpp(scale, file), f"{scale:.3f} µm/px from the 200 µm pitch"


def _image(root: Path, name: str) -> tuple[Path | None, list[str]]:
    """The section's image, and a note where there is none or a choice."""
    files = sorted(root.glob(f"ST-imgs/*/{name}/*")) + sorted(root.glob(f"ST-imgs/{name}/*"))
    named = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
    images = [file for file in named if is_slide(file)]
    if not images:
        return None, [f"no image in ST-imgs/*/{name}/"]
    return images[0], [f"{len(images)} images, {images[0].name} is used"] if len(images) > 1 else []


def _domains(root: Path, name: str, keys: list[str]) -> tuple[tuple[str, ...] | None, list[str]]:
    """A label per spot: the pathologist's where there is one, else the cluster's."""
    choices = [
        root / "ST-pat" / "lbl" / f"{name}_labeled_coordinates.tsv",
        root / "ST-cluster" / "lbl" / f"{name}-cluster-annotation.tsv.gz",
        root / "ST-cluster" / "lbl" / f"{name}-cluster-annotation.tsv",
    ]
    file = next((file for file in choices if file.is_file()), None)
    if file is None:
        return None, []
    frame = read_labels(file)
    label = dict(zip(_keys(frame), frame["label"].fillna(UNLABELLED)))
    domains = tuple(str(label.get(spot, UNLABELLED)) for spot in keys)
    n_unlabelled = domains.count(UNLABELLED)
    return domains, [f"{n_unlabelled} spots have no label in {file.name}"] if n_unlabelled else []


def read_labels(file: Path) -> pd.DataFrame:
    """Columns `x`, `y`, `label`; rows without a position (the pathologist's files have some) are left out."""
    import pandas as pd

    try:
        frame = check_cells(pd.read_csv(file, sep="\t", dtype=str), file)
    except BROKEN as error:
        raise EosinError(f"not readable as a table of labels ({error})", file=file, fix=_AGAIN) from error
    for column in ("x", "y", "label"):
        if column not in frame:
            raise EosinError(f"has no column '{column}'", file=file, fix=f"its columns are {', '.join(frame.columns)}")
    frame[["x", "y"]] = frame[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    return frame[np.isfinite(frame[["x", "y"]]).all(axis=1)]


def _root(path: Path) -> Path:
    return path / "data" if (path / "data" / "ST-cnts").is_dir() else path


def _either(first: Path, second: Path) -> Path:
    return second if second.is_file() and not first.is_file() else first


READERS.add(LegacySt.name, LegacySt())
