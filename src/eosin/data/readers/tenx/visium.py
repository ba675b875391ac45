"""Reader of Visium as Space Ranger writes it: v1, v2, CytAssist; spots of 55 µm, 100 µm apart on a hexagonal lattice.

`outs/filtered_feature_bc_matrix.h5` (or its folder of text), `outs/spatial/` with positions and scale factors. The
full-resolution image is not among the outputs and lies beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.array_map import PITCH_UM, ArrayMap, array_map
from eosin.data.reader import READERS
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.data.section_parts import SectionParts, left_out
from eosin.errors import EosinError
from eosin.types import Image, check_mpp

if TYPE_CHECKING:
    import pandas as pd

DIAMETER_UM = 55.0
_TOLERANCE = 0.1
_OF_VISIUM_HD = (
    "binned_outputs",
    "segmented_outputs",
    "cell_segmentations.geojson",
    "spatial/tissue_positions.parquet",
)


class Visium(tenx.TenxReader):
    """Space Ranger's outputs of one sample, or a folder of several."""

    name = "visium"
    platform = "Visium"
    looks_for = "[{section}/][outs/]filtered_feature_bc_matrix.h5 with spatial/tissue_positions.csv"
    evidence = "Space Ranger outputs with spatial/tissue_positions"

    def fits(self, folder: Path) -> bool:
        """Whether a folder looks like outputs of Visium, not of Visium HD: its bins have their positions as Parquet."""
        spatial = folder / "spatial"
        if any((folder / name).exists() for name in _OF_VISIUM_HD):
            return False
        names = ("tissue_positions.csv", "tissue_positions_list.csv", "scalefactors_json.json")
        return any((spatial / name).is_file() for name in names)

    def read_outputs(self, folder: Path, name: str, mpp: float | None) -> SectionParts:
        """Spots in tissue with their counts; the reduced image stands in for a slide that is not there."""
        places = tenx.positions_file(folder)
        positions = tenx.read_positions(places)
        file, matrix_notes = tenx.find_matrix(folder)
        slide, slide_notes = tenx.find_slide(folder, name)
        scale, scale_notes = scale_of_lattice(positions, slide, mpp, places)
        with open_matrix(file, self.naming) as matrix:
            rows, kept, row_notes = join(matrix.barcodes, positions, file)
            counts = matrix.rows(rows)
        image, image_notes = image_of(slide, folder, scale)
        return SectionParts(
            file,
            name,
            pixels(kept) * scale,
            DIAMETER_UM,
            tuple(kept["barcode"]),
            counts,
            matrix.genes,
            image=image,
            platform=self.platform,
            notes=[*matrix_notes, *matrix.notes, *row_notes, *scale_notes, *slide_notes, *image_notes],
        )


def join(barcodes: np.ndarray, positions: pd.DataFrame, file: Path) -> tuple[np.ndarray, pd.DataFrame, list[str]]:
    """Rows of the matrix that lie in tissue, their positions in the same order, and notes on the rest."""
    import pandas as pd

    in_tissue = positions[positions["in_tissue"] == 1]
    if in_tissue.empty:
        raise EosinError("no position is marked as in tissue", file=file, fix="detect tissue in Space Ranger again")
    place = pd.Index(np.asarray(in_tissue["barcode"], dtype="S")).get_indexer(pd.Index(barcodes))
    rows = np.flatnonzero(place >= 0)
    if not len(rows):
        example = f"'{barcodes[0].decode()}'" if len(barcodes) else "none"
        problem = f"no barcode of the matrix ({example}) is among the positions in tissue"
        raise EosinError(problem, file=file, fix="pair matrix and spatial/ of one sample")
    notes = left_out(len(barcodes) - len(rows), len(barcodes), "rows of counts are not in tissue")
    notes += left_out(len(in_tissue) - len(rows), len(in_tissue), "positions in tissue have no counts")
    return rows, in_tissue.iloc[place[rows]], notes


def pixels(positions: pd.DataFrame) -> np.ndarray:
    """Centres [s 2] in pixels of the full-resolution image: x is the column, y the row."""
    return positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)


def scale_of_lattice(
    positions: pd.DataFrame, slide: Path | None, mpp: float | None, file: Path
) -> tuple[float, list[str]]:
    """µm per pixel: as given, else as the image says, else from the lattice; and a note on it.

    Raises
    ------
    EosinError
        Image and lattice contradict each other: positions, windows and distances would all be wrong together.
    """
    fitted = lattice_of(positions)
    lattice = None if fitted is None else PITCH_UM / fitted.pitch
    of_image = None if mpp is not None or slide is None else _mpp_of_image(slide)
    known, source = (mpp, "as given") if mpp is not None else (of_image, "as the image says")
    if known is None:
        if lattice is None:
            raise EosinError("too few positions to find the scale from the pitch", file=file, fix="give --mpp")
        return check_mpp(lattice, file), [f"{lattice:.4f} µm/px from the 100 µm pitch"]
    note = f"{known:.4g} µm/px {source}"
    if lattice is not None and abs(known / lattice - 1) > _TOLERANCE:
        note += f", which makes the pitch {PITCH_UM * known / lattice:.0f} µm where 100 is usual"
        if mpp is None:
            fix = f"give the true scale by --mpp; by the pitch it is {lattice:.4g}"
            raise EosinError(f"{slide.name if slide else 'the image'}: {note}", file=file, fix=fix)
    return check_mpp(known, file), [note]


def lattice_of(positions: pd.DataFrame) -> ArrayMap | None:
    """The map from the array to pixels: right also where few spots have a neighbour; None where too few fix it."""
    return array_map(positions[["array_col", "array_row"]].to_numpy(np.float64), pixels(positions), hexagonal=True)


def _mpp_of_image(slide: Path) -> float | None:
    from eosin.slide import scale_of  # image libraries load only where a file is asked

    try:
        return scale_of(slide)
    except EosinError:
        return None  # whoever encodes it says what is wrong with it


def image_of(slide: Path | None, folder: Path, scale: float) -> tuple[Image | None, list[str]]:
    """The slide, else the reduced image of the outputs; `scale` is µm per pixel at full resolution."""
    if slide is not None:
        return Image(slide, scale), []
    file = folder / "spatial" / "tissue_hires_image.png"
    factor = tenx.read_factors(folder).get("tissue_hires_scalef")
    if not file.is_file() or factor is None:
        return None, ["no tissue_hires_image.png with its scale either: no image"]
    reduced = scale / factor
    if not 0.05 <= reduced <= 10:
        return None, [f"tissue_hires_image.png would have {reduced:.3g} µm/px and is not used: no image"]
    return Image(file, reduced), [f"tissue_hires_image.png, {reduced:.3g} µm/px, is used: windows will be coarse"]


READERS.add(Visium.name, Visium())
