"""Reader of Visium as Space Ranger writes it: v1, v2, CytAssist; spots of 55 µm, 100 µm apart on a hexagonal lattice.

`outs/filtered_feature_bc_matrix.h5` (or its folder of text), `outs/spatial/` with positions and scale factors. The
full-resolution image is not among the outputs and lies beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eosin.data.array_map import LEAST_SHARE, MOST_SHARE, NEAR, PITCH_UM, SAME, ArrayMap, array_map
from eosin.data.plausible_spots import MOST_SHARED
from eosin.data.reader import READERS
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.barcodes import check_filtered, match_barcodes, no_match
from eosin.data.readers.tenx.samples import Sample, find_matrix, joint_positions, positions_of, samples_in
from eosin.data.readers.tenx.slide_files import find_slide, image_of, slide_ratio
from eosin.data.readers.tenx.tenx_matrix import open_matrix
from eosin.data.readers.tenx.visium_hd_folders import is_hd
from eosin.data.section_parts import SectionParts, left_out
from eosin.errors import EosinError
from eosin.types import check_mpp

if TYPE_CHECKING:
    import pandas as pd

DIAMETER_UM = 55.0


class Visium(tenx.TenxReader):
    """Space Ranger's outputs of one sample, or a folder of several."""

    name = "visium"
    platform = "Visium"
    looks_for = "[{section}/][outs/]filtered_feature_bc_matrix.h5 with spatial/tissue_positions.csv"
    evidence = "Space Ranger outputs with spatial/tissue_positions"

    def samples_in(self, folder: Path) -> dict[str, Sample]:
        """The samples in a folder; none where it is of Visium HD, whose positions are those of bins."""
        return {} if is_hd(folder) else samples_in(folder)

    def read_outputs(self, sample: Sample, name: str, mpp: float | None) -> SectionParts:
        """Spots in tissue with their counts; the reduced image stands in for a slide that is not there."""
        places = positions_of(sample)
        positions = tenx.read_positions(places)
        if joint_positions(sample) is not None:
            positions = positions[positions["barcode"].str.endswith(sample.ending)].reset_index(drop=True)
        file, matrix_notes = find_matrix(sample)
        slide, slide_notes = find_slide(sample, name)
        ratio, ratio_notes = slide_ratio(slide, sample)
        factors = tenx.read_factors(sample)
        nowhere = _without_place(positions, places)
        placed = positions[~nowhere]
        scale, scale_notes = scale_of_lattice(placed, slide, mpp, places, ratio=ratio)
        _check_stored(factors.get("microns_per_pixel"), scale, mpp, ratio, places)
        _check_width(placed, factors.get("spot_diameter_fullres"), places)
        with open_matrix(file, self.naming) as matrix:
            rows, kept, row_notes = join(matrix.barcodes, positions, file, sample.ending)
            has_place = ~nowhere[kept.index.to_numpy()]
            row_notes += left_out(int((~has_place).sum()), len(rows), "spots have no position of their own")
            rows, kept = rows[has_place], kept[has_place]
            counts = matrix.rows(rows)
        image, image_notes = image_of(slide, sample, scale, ratio)
        notes = [*row_notes, *scale_notes, *ratio_notes, *slide_notes, *image_notes]
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
            notes=[*matrix_notes, *matrix.notes, *notes],
        )


def _without_place(positions: pd.DataFrame, file: Path) -> np.ndarray:
    """Which rows [p] share their place with others, as spots that a tool put at (0, 0) or (-1, -1) do.

    Raises
    ------
    EosinError
        Over a twentieth of those in tissue do: their places are lost.
    """
    place = ["pxl_row_in_fullres", "pxl_col_in_fullres"]
    in_tissue = (positions["in_tissue"] == 1).to_numpy()
    shared = positions.duplicated(place, keep=False).to_numpy()
    shared[in_tissue] = positions[in_tissue].duplicated(place, keep=False).to_numpy()  # those off tissue are not read
    n_shared, n_all = int((shared & in_tissue).sum()), int(in_tissue.sum())
    if n_shared > MOST_SHARED * n_all:
        x, y = pixels(positions[shared & in_tissue])[0]
        problem = f"{n_shared} of {n_all} positions in tissue share their place with others, as ({x:g}, {y:g})"
        raise EosinError(problem, file=file, fix="copy it from Space Ranger's outputs again")
    return shared


def join(
    barcodes: np.ndarray, positions: pd.DataFrame, file: Path, ending: str = ""
) -> tuple[np.ndarray, pd.DataFrame, list[str]]:
    """Rows of the matrix that lie in tissue, their positions in the same order, and notes on the rest.

    `ending` is that of the sample's barcodes in a matrix of several samples, whose other rows are not looked at.

    Raises
    ------
    EosinError
        No barcode is among the positions in tissue, or a filtered matrix holds spots beside the tissue.
    """
    in_tissue = (positions["in_tissue"] == 1).to_numpy()
    if not in_tissue.any():
        raise EosinError("no position is marked as in tissue", file=file, fix="detect tissue in Space Ranger again")
    wanted = np.flatnonzero(np.char.endswith(barcodes, ending.encode())) if ending else np.arange(len(barcodes))
    place, notes = match_barcodes(barcodes[wanted], np.asarray(positions["barcode"], dtype="S"), file)
    check_filtered(place, in_tissue, file)
    on = (place >= 0) & in_tissue[place]
    notes += left_out(int((~on).sum()), len(on), "rows of counts are not in tissue")
    notes += left_out(int(in_tissue.sum() - on.sum()), int(in_tissue.sum()), "positions in tissue have no counts")
    if not on.any():
        raise no_match(barcodes, file)
    return wanted[on], positions.iloc[place[on]], notes


def _check_stored(stored: float | None, scale: float, mpp: float | None, ratio: float, file: Path) -> None:
    """Refuse a scale, as given or as measured, that the scale factors contradict where they hold one."""
    if stored is None or abs(scale / stored - 1) <= (NEAR if mpp is None else SAME):
        return
    told = "--mpp says" if mpp is not None else "image or lattice say"
    problem = f"{told} {scale / ratio:.4g} µm per pixel, microns_per_pixel says {stored / ratio:.4g}"
    fix = "leave --mpp out" if mpp is not None else "take positions and scalefactors_json.json of one run"
    raise EosinError(problem, file=file, fix=fix)


def _check_width(positions: pd.DataFrame, width_px: float | None, file: Path) -> None:
    """Refuse scale factors of another sample: a spot is as wide as they say, and as the distance of spots tells."""
    fitted = lattice_of(positions)
    if width_px is None or fitted is None or not fitted.is_lattice:
        return
    share = width_px / fitted.pitch
    if not LEAST_SHARE < share < MOST_SHARE:
        problem = f"spots lie {fitted.pitch:.4g} px apart, and the scale factors say that one is {width_px:.4g} px wide"
        fix = "take positions and scalefactors_json.json of one sample and one run; a spot is 0.55 to 0.65 of the pitch"
        raise EosinError(problem, file=file, fix=fix)


def pixels(positions: pd.DataFrame) -> np.ndarray:
    """Centres [s 2] in pixels of the full-resolution image: x is the column, y the row."""
    return positions[["pxl_col_in_fullres", "pxl_row_in_fullres"]].to_numpy(np.float64)


def scale_of_lattice(
    positions: pd.DataFrame, slide: Path | None, mpp: float | None, file: Path, *, ratio: float = 1.0
) -> tuple[float, list[str]]:
    """µm per pixel of the positions: as given, else as the image says, else from the lattice; and a note on it.

    Where the image is `ratio` times larger than the picture of the positions, what is given or what it says is its own.

    Raises
    ------
    EosinError
        Image and lattice contradict each other: positions, windows and distances would all be wrong together.
    """
    fitted = lattice_of(positions)
    lattice = None if fitted is None else PITCH_UM / fitted.pitch
    odd = [] if fitted is None else fitted.note()
    of_image = None if mpp is not None or slide is None else _mpp_of_image(slide)
    known, source = (mpp, "as given") if mpp is not None else (of_image, "as the image says")
    if known is None:
        if lattice is None:
            raise EosinError("too few positions to find the scale from the pitch", file=file, fix="give --mpp")
        return check_mpp(lattice, file), [f"{lattice:.4f} µm/px from the 100 µm pitch", *odd]
    note = f"{known:.4g} µm/px {source}"
    check_mpp(known, file)
    if lattice is not None and abs(known * ratio / lattice - 1) > NEAR:
        note += f", which makes the pitch {PITCH_UM * known * ratio / lattice:.0f} µm where 100 is usual"
        if mpp is None:
            fix = f"give the true scale by --mpp; by the pitch it is {lattice / ratio:.4g}"
            raise EosinError(f"{slide.name if slide else 'the image'}: {note}", file=file, fix=fix)
    return known * ratio, [note, *odd]


def lattice_of(positions: pd.DataFrame) -> ArrayMap | None:
    """The map from the array to pixels: right also where few spots have a neighbour; None where too few fix it."""
    return array_map(positions[["array_col", "array_row"]].to_numpy(np.float64), pixels(positions), hexagonal=True)


def _mpp_of_image(slide: Path) -> float | None:
    from eosin.slide import scale_of  # image libraries load only where a file is asked

    try:
        return scale_of(slide)
    except EosinError:
        return None  # whoever encodes it says what is wrong with it


READERS.add(Visium.name, Visium())
