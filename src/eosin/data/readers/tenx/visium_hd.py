"""Reader of Visium HD as Space Ranger writes it: bins of 2, 8 and 16 µm, or the cells that Space Ranger 4 segments.

`outs/binned_outputs/square_016um/` (and others); without them `outs/segmented_outputs/`, whose cells are pooled.
"""

from __future__ import annotations

from pathlib import Path

from eosin.data.pooling import check_width
from eosin.data.reader import READERS, Reader, blame, need_known
from eosin.data.readers.tenx import tenx_folder as tenx
from eosin.data.readers.tenx.visium import hires_image
from eosin.data.readers.tenx.visium_hd_bins import sizes, squares_of_bins
from eosin.data.readers.tenx.visium_hd_cells import cell_folder, squares_of_cells
from eosin.errors import EosinError
from eosin.types import Image, Section, Spots, check_mpp


class VisiumHd(Reader):
    """Space Ranger's outputs of one HD sample, or a folder of several; bins of 16 µm unless told otherwise."""

    name = "visium-hd"
    platform = "Visium HD"
    looks_for = "[{section}/][outs/]binned_outputs/square_*um/, or segmented_outputs/"

    def __init__(self, bin_um: float | None = None):
        self.bin_um = bin_um

    def pooled(self, bin_um: float) -> VisiumHd:
        return VisiumHd(check_width(bin_um))

    def recognise(self, path: Path) -> str | None:
        found = tenx.samples(path, _fits)
        what = "binned_outputs/" if any(map(sizes, found.values())) else "segmented_outputs/"
        return f"{len(found)} Space Ranger outputs with {what}" if found else None

    def names(self, path: Path) -> list[str]:
        return list(tenx.samples(path, _fits))

    def read_section(self, path: Path, name: str, *, mpp: float | None = None) -> Section:
        found = tenx.samples(path, _fits)
        need_known(name, found, "section", file=path)
        folder = found[name]
        if sizes(folder):
            squares = squares_of_bins(folder, self.bin_um, self.naming)
            scale, said = _scale(squares.folder, mpp)
        else:
            cells = cell_folder(folder) or folder
            scale, said = _scale(cells, mpp)
            squares = squares_of_cells(cells, self.bin_um, scale, self.naming)
        slide, missing = tenx.find_slide(folder, name)
        image, fallback = (Image(slide, scale), []) if slide else hires_image(squares.folder, scale)
        patient, unnamed = tenx.patient_of(path, name)
        with blame(squares.folder):
            return Section(
                name=name,
                patient=patient,
                spots=Spots(squares.px * scale, squares.width_um, squares.ids),
                image=image,
                counts=squares.counts,
                genes=squares.genes.names,
                ensembl=squares.genes.ensembl,
                symbols=squares.genes.symbols,
                platform=self.platform,
                notes=(*squares.notes, *said, *missing, *fallback, *unnamed),
            )


def _fits(folder: Path) -> bool:
    return bool(sizes(folder)) or cell_folder(folder) is not None


def _scale(square: Path, mpp: float | None) -> tuple[float, list[str]]:
    file = square / "spatial" / "scalefactors_json.json"
    stored = tenx.read_factors(square).get("microns_per_pixel")
    if mpp is not None:
        odd = "" if stored is None or abs(mpp / stored - 1) < 0.02 else f", the file says {stored:.4g}"
        return check_mpp(mpp, file), [f"{mpp:g} µm/px as given{odd}"]
    if stored is None:
        raise EosinError("does not say microns_per_pixel", file=file, fix="copy it from Space Ranger, or give --mpp")
    return check_mpp(stored, file), []


READERS.add(VisiumHd.name, VisiumHd())
