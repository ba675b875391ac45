"""Reader of Visium HD as Space Ranger writes it: bins of 2, 8 and 16 µm, or the cells that Space Ranger 4 segments.

`outs/binned_outputs/square_016um/` (and others); without them `outs/segmented_outputs/`, whose cells are pooled, or
units where they are asked for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eosin.data.array_map import NEAR, SAME
from eosin.data.pooling import check_width
from eosin.data.reader import READERS
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.samples import Sample, samples_under
from eosin.data.readers.tenx.samples import samples_in as samples_of_spots
from eosin.data.readers.tenx.slide_files import find_slide, image_of, slide_ratio
from eosin.data.readers.tenx.visium_hd_bins import Squares, choose_bins, squares_of_bins
from eosin.data.readers.tenx.visium_hd_cells import cell_folder, squares_of_cells, units_of_cells
from eosin.data.readers.tenx.visium_hd_folders import is_filled, is_hd, sizes
from eosin.data.section_parts import SectionParts
from eosin.errors import EosinError
from eosin.types import check_mpp


class VisiumHd(tenx.TenxReader):
    """Space Ranger's outputs of one HD sample, or a folder of several; bins of 16 µm unless told otherwise."""

    name = "visium-hd"
    platform = "Visium HD"
    looks_for = "[{section}/][outs/]binned_outputs/square_*um/, or segmented_outputs/"

    def __init__(self, bin_um: float | None = None, *, cells: bool = False):
        self.bin_um, self.cells = bin_um, cells

    def pooled(self, bin_um: float) -> VisiumHd:
        """The reader of squares of `bin_um` µm."""
        return VisiumHd(check_width(bin_um))

    def in_cells(self) -> VisiumHd:
        """The reader of segmented cells, also where there are bins."""
        return VisiumHd(cells=True)

    def samples_in(self, folder: Path) -> dict[str, Sample]:
        """The one sample of a folder that holds bins or segmented cells; empty folders beside spots are none."""
        if not sizes(folder) and cell_folder(folder) is None:
            return {}
        return {"": Sample(folder)} if is_hd(folder) or not samples_of_spots(folder) else {}

    def recognise(self, path: Path) -> str | None:
        """The number of samples, and whether they are of bins or of cells."""
        found = samples_under(path, self.samples_in)
        kind = "binned_outputs/" if any(sizes(sample.folder) for sample in found.values()) else "segmented_outputs/"
        return f"{len(found)} Space Ranger outputs with {kind}" if found else None

    def read_outputs(self, sample: Sample, name: str, mpp: float | None) -> SectionParts:
        """Squares of bins, or of cells where there are no bins; or cells."""
        folder = sample.folder
        cells = cell_folder(folder)
        bins = list(sizes(folder).values())
        has_bins = bool(bins) and not self.cells and (cells is None or any(map(is_filled, bins)))
        if self.cells and cells is None:
            fix = "copy what Space Ranger 4 segmented, or leave out --unit cells"
            raise EosinError("no segmented_outputs/", file=folder, fix=fix)
        place = choose_bins(folder, self.bin_um).folder if has_bins else cells or folder
        if not is_filled(place):
            raise EosinError("is empty", file=place, fix="copy all of Space Ranger's outputs again")
        slide, slide_notes = find_slide(sample, name, beside=place)
        ratio, ratio_notes = slide_ratio(slide, Sample(place))
        scale, scale_notes = _scale(place, mpp, ratio)
        if has_bins:
            squares = squares_of_bins(folder, self.bin_um, self.naming)
            _check_pitch(squares, scale, place)
        elif self.cells:
            squares = units_of_cells(place, scale, self.naming)
        else:
            squares = squares_of_cells(place, self.bin_um, scale, self.naming)
        image, image_notes = image_of(slide, Sample(place), scale, ratio)
        return SectionParts(
            squares.folder,
            name,
            squares.px * scale,
            squares.width_um,
            squares.ids,
            squares.counts,
            squares.genes,
            image=image,
            platform=self.platform,
            notes=[*squares.notes, *scale_notes, *ratio_notes, *slide_notes, *image_notes],
            footprints=squares.footprints,
        )


def _scale(square: Path, mpp: float | None, ratio: float) -> tuple[float, list[str]]:
    """µm per pixel of the positions by the scale factors in `square`, else as given, and a note on the latter.

    Raises
    ------
    EosinError
        What is given, µm per pixel of an image `ratio` times larger, contradicts the scale factors; or neither says it.
    """
    file = Sample(square).file("scalefactors_json.json") or square / "spatial" / "scalefactors_json.json"
    stored = tenx.read_factors(square).get("microns_per_pixel")
    if mpp is not None:
        given = check_mpp(mpp, file) * ratio
        if stored is not None and abs(given / stored - 1) > SAME:
            problem = f"--mpp says {mpp:g} µm per pixel, microns_per_pixel says {stored / ratio:g}"
            raise EosinError(problem, file=file, fix="leave --mpp out")
        return given, [f"{mpp:g} µm/px as given"]
    if stored is None:
        raise EosinError("does not say microns_per_pixel", file=file, fix="copy it from Space Ranger, or give --mpp")
    return check_mpp(stored, file), []


def _check_pitch(squares: Squares, scale: float, place: Path) -> None:
    """Refuse a scale by which squares are not as far apart as they are wide."""
    pitch_um = squares.pitch_px * scale
    if np.isfinite(pitch_um) and abs(pitch_um / squares.width_um - 1) > NEAR:
        problem = f"squares of {squares.width_um:g} µm lie {pitch_um:.3g} µm apart at {scale:.4g} µm per pixel"
        fix = "take positions and scalefactors_json.json of one bin size and one run"
        raise EosinError(problem, file=place, fix=fix)


READERS.add(VisiumHd.name, VisiumHd())
