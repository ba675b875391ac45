"""Reader of STImage-1K4M: `{ST,Visium,VisiumHD}/{coord,gene_exp,image}` (Chen et al., NeurIPS 2024).

Positions and the spots' radius `r` are pixels of `image/{slide}.png`, which is often a reduced one. The files say no
µm per pixel: it follows from the radius, since a Visium spot is 55 µm wide and one of legacy ST 100 µm.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eosin.config import need_known
from eosin.data.count_table import BROKEN, TRANSPOSED, read_count_table
from eosin.data.patients_table import patient_of, patients_table
from eosin.data.reader import READERS, Reader
from eosin.data.section_parts import SectionParts, find_image, left_out
from eosin.errors import EosinError
from eosin.genes.columns import GeneNames
from eosin.geometry import nearest_spacing
from eosin.storage.delimited import check_cells
from eosin.types import Image, Section, check_mpp, first_repeat

if TYPE_CHECKING:
    import pandas as pd

DIAMETER_UM = {"ST": 100.0, "Visium": 55.0}
"""Width of a spot. That of a Visium HD bin is 2, 8 or 16 µm, and the collection does not say which."""
_PITCH_UM = {"ST": 200.0, "Visium": 100.0}
_PLATFORM = {"ST": "Spatial Transcriptomics", "Visium": "Visium", "VisiumHD": "Visium HD"}
_PITCH_TOLERANCE = 0.2
_AGAIN = "download it again"


class STImage(Reader):
    """The whole collection, a part of it, or the folder of one of its technologies."""

    name = "stimage"
    platform = "various"
    looks_for = "ST|Visium|VisiumHD/{coord/{slide}_coord.csv, gene_exp/{slide}_count.csv, image/{slide}.png}"
    evidence = "slides with coord/*_coord.csv and gene_exp/*_count.csv"

    def names(self, path: Path) -> list[str]:
        """The slides that have positions and counts."""
        return sorted(_slides(path))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        """One slide; its scale follows from the spots' radius."""
        slides = _slides(path)
        need_known(name, slides, "slide", file=path)
        folder = slides[name]
        technology = folder.resolve().name
        places, table = folder / "coord" / f"{name}_coord.csv", _counts_file(folder, name)
        ids, xy_px, radius_px = _read_places(places)
        mpp, diameter_um, notes = _scale(technology, xy_px, radius_px, mpp, places)
        counts, genes, kept, count_notes = _counts_of(ids, table)
        kept_ids = [ids[row] for row in kept]
        if len(set(kept_ids)) < len(kept_ids):
            problem = f"spot id '{first_repeat(kept_ids)}' occurs twice"
            raise EosinError(problem, file=places, fix="make the spot ids unique")
        patient, patient_notes = _patient(path, name)
        image = find_image([folder / "image" / name])
        return SectionParts(
            table,
            name,
            xy_px[kept] * mpp,
            diameter_um,
            kept_ids,
            counts,
            GeneNames(tuple(genes)),
            patient=patient,
            image=image and Image(image, mpp),
            platform=_PLATFORM.get(technology, "unknown"),
            notes=[*notes, *count_notes, *patient_notes, *([] if image else [f"no image image/{name}.png"])],
        ).section(self.naming)


def _slides(path: Path) -> dict[str, Path]:
    """Slides that have positions and counts, and the folder of their technology."""
    slides = {}
    for folder in (*(path / name for name in _PLATFORM), path):
        for file in sorted((folder / "coord").glob("*_coord.csv")):
            name = file.name.removesuffix("_coord.csv")
            if not name.startswith(".") and _counts_file(folder, name).exists():
                slides.setdefault(name, folder)
    return slides


def _counts_file(folder: Path, name: str) -> Path:
    plain = folder / "gene_exp" / f"{name}_count.csv"
    packed = plain.with_name(f"{plain.name}.gz")
    return packed if packed.exists() and not plain.exists() else plain


def _read_places(file: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Spot ids, centres [s 2] in px, x before y, and radii [s] in px."""
    frame = _frame(file)
    missing = [column for column in ("xaxis", "yaxis", "r") if column not in frame]
    if missing:
        fix = f"its columns are {', '.join(map(str, frame.columns[:8]))}"
        raise EosinError(f"has no column '{missing[0]}'", file=file, fix=fix)
    ids = frame.iloc[:, 0].astype(str).tolist()
    if not ids:
        raise EosinError("holds no positions", file=file, fix=_AGAIN)
    try:
        values = frame[["xaxis", "yaxis", "r"]].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise EosinError(f"a position is no number ({error})", file=file, fix=_AGAIN) from error
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise EosinError(f"the position of spot '{ids[row]}' is not a finite number", file=file, fix=_AGAIN)
    return ids, values[:, :2], values[:, 2]


def _frame(file: Path, separator: str = ",") -> pd.DataFrame:
    import pandas as pd

    try:
        return check_cells(pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False), file)
    except FileNotFoundError:
        raise EosinError("no such file", file=file, fix=_AGAIN) from None
    except BROKEN as error:
        raise EosinError(f"not readable as a table ({error})", file=file, fix=_AGAIN) from error


def _scale(
    technology: str, xy_px: np.ndarray, radius_px: np.ndarray, mpp: float | None, file: Path
) -> tuple[float, float, list[str]]:
    """µm per pixel, the spots' width in µm, and notes on where they came from."""
    usual_px = float(np.median(radius_px))
    if not usual_px > 0:
        raise EosinError(f"the spots' radius is {usual_px:g} px", file=file, fix=_AGAIN)
    notes = ["the spots' radii differ, the median is taken"] if np.ptp(radius_px) > 0.01 * usual_px else []
    diameter_um = DIAMETER_UM.get(technology)
    if mpp is not None:
        scale = check_mpp(mpp, file)
        notes.append(f"{mpp:g} µm/px as given")
    elif diameter_um is None:
        fix = "give --mpp, the µm per pixel of image/*.png; the folder's name is none of ST and Visium"
        raise EosinError("does not say how wide a spot is in µm", file=file, fix=fix)
    else:
        scale = check_mpp(diameter_um / (2 * usual_px), file)
        notes.append(f"{scale:.3f} µm/px from the spots' radius of {usual_px:.1f} px, {diameter_um / 2:g} µm")
    pitch_um = nearest_spacing(xy_px) * scale
    expected = _PITCH_UM.get(technology, pitch_um)
    if np.isfinite(pitch_um) and abs(pitch_um / expected - 1) > _PITCH_TOLERANCE:
        notes.append(f"the spots lie {pitch_um:.0f} µm apart where {expected:.0f} is usual: the radius may be wrong")
    return scale, diameter_um or 2 * usual_px * scale, notes


def _counts_of(ids: list[str], table: Path) -> tuple[sparse.csr_matrix, list[str], np.ndarray, list[str]]:
    """Counts [k g] of the spots with a position, genes, the rows of `ids` they belong to, and notes on the rest."""
    named, genes, counts = read_count_table(table, ",")
    row_of = {spot: row for row, spot in enumerate(named)}
    if len(row_of) != len(named):
        raise EosinError(f"{len(named) - len(row_of)} rows have the name of another", file=table, fix=_AGAIN)
    rows = np.array([row_of.get(spot, -1) for spot in ids])
    kept = np.flatnonzero(rows >= 0)
    if not len(kept) and set(ids) & set(genes):
        raise EosinError(TRANSPOSED, file=table, fix="transpose it: one row a spot, one column a gene")
    if not len(kept):
        raise EosinError("no row of the table has a position", file=table, fix="counts and positions must be a pair")
    notes = left_out(len(rows) - len(kept), len(rows), "positions have no counts")
    notes += left_out(len(named) - len(set(ids) & row_of.keys()), len(named), "rows of counts have no position")
    return sparse.csr_matrix(counts[rows[kept]]), genes, kept, notes


def _patient(path: Path, name: str) -> tuple[str, list[str]]:
    """The patient from `patients.csv`, or the collection's table; else the slide, and a note that it is not known."""
    if patients_table(path) is not None:
        return patient_of(path, name)
    unknown = (
        "the patient is not in the files: slides of one may land on both sides of a split (patients.csv would tell)"
    )
    root = path if (path / "meta").is_dir() else path.resolve().parent
    for file in sorted(root.glob("meta/meta_all*.csv"), reverse=True):  # the newest has a date in its name
        separator = "\t" if "\t" in _first_line(file) else ","
        frame = _frame(file, separator)
        column = next((c for c in frame.columns if str(c).lower() in ("patient", "patient_id", "donor")), None)
        row = frame[frame["slide"] == name] if "slide" in frame else frame[:0]
        if column is not None and len(row) and (patient := str(row[column].iloc[0])):
            study = str(row["pmid"].iloc[0]) if "pmid" in frame else ""
            return (f"{study}/{patient}" if study else patient), []
    return name, [unknown]


def _first_line(file: Path) -> str:
    try:
        with open(file, encoding="utf-8") as text:
            return text.readline(1_000_000)
    except (OSError, ValueError) as error:
        raise EosinError(f"not readable as a table ({error})", file=file, fix=_AGAIN) from error


READERS.add(STImage.name, STImage())
