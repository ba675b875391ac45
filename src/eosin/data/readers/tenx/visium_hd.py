"""Reader of Visium HD as Space Ranger writes it: bins of 2, 8 and 16 µm, or the cells that Space Ranger 4 segments.

`outs/binned_outputs/square_016um/` (and others); without them `outs/segmented_outputs/`, whose cells are pooled.
"""

from __future__ import annotations

from pathlib import Path

from eosin.data.pooling import check_width
from eosin.data.reader import READERS
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.visium import image_of
from eosin.data.readers.tenx.visium_hd_bins import sizes, squares_of_bins
from eosin.data.readers.tenx.visium_hd_cells import cell_folder, squares_of_cells
from eosin.data.section_parts import SectionParts
from eosin.errors import EosinError
from eosin.types import check_mpp


class VisiumHd(tenx.TenxReader):
    """Space Ranger's outputs of one HD sample, or a folder of several; bins of 16 µm unless told otherwise."""

    name = "visium-hd"
    platform = "Visium HD"
    looks_for = "[{section}/][outs/]binned_outputs/square_*um/, or segmented_outputs/"

    def __init__(self, bin_um: float | None = None):
        self.bin_um = bin_um

    def pooled(self, bin_um: float) -> VisiumHd:
        """The reader of squares of `bin_um` µm."""
        return VisiumHd(check_width(bin_um))

    def fits(self, folder: Path) -> bool:
        """Whether a folder holds bins or segmented cells."""
        return bool(sizes(folder)) or cell_folder(folder) is not None

    def recognise(self, path: Path) -> str | None:
        """The number of samples, and whether they are of bins or of cells."""
        folders = tenx.samples(path, self.fits)
        kind = "binned_outputs/" if any(map(sizes, folders.values())) else "segmented_outputs/"
        return f"{len(folders)} Space Ranger outputs with {kind}" if folders else None

    def read_outputs(self, folder: Path, name: str, mpp: float | None) -> SectionParts:
        """Squares of bins, or of cells where there are no bins."""
        if sizes(folder):
            squares = squares_of_bins(folder, self.bin_um, self.naming)
            scale, scale_notes = _scale(squares.folder, mpp)
            width_um = squares.width_um * scale / (tenx.read_factors(squares.folder).get("microns_per_pixel") or scale)
        else:
            cells = cell_folder(folder) or folder
            scale, scale_notes = _scale(cells, mpp)
            squares = squares_of_cells(cells, self.bin_um, scale, self.naming)
            width_um = squares.width_um
        slide, slide_notes = tenx.find_slide(folder, name)
        image, image_notes = image_of(slide, squares.folder, scale)
        return SectionParts(
            squares.folder,
            name,
            squares.px * scale,
            width_um,
            squares.ids,
            squares.counts,
            squares.genes,
            image=image,
            platform=self.platform,
            notes=[*squares.notes, *scale_notes, *slide_notes, *image_notes],
        )


def _scale(square: Path, mpp: float | None) -> tuple[float, list[str]]:
    """µm per pixel as given, else by the scale factors in `square`, and a note on a contradiction."""
    file = square / "spatial" / "scalefactors_json.json"
    stored = tenx.read_factors(square).get("microns_per_pixel")
    if mpp is not None:
        odd = "" if stored is None or abs(mpp / stored - 1) < 0.02 else f", the file says {stored:.4g}"
        return check_mpp(mpp, file), [f"{mpp:g} µm/px as given{odd}"]
    if stored is None:
        raise EosinError("does not say microns_per_pixel", file=file, fix="copy it from Space Ranger, or give --mpp")
    return check_mpp(stored, file), []


READERS.add(VisiumHd.name, VisiumHd())
