"""The image of a sample of 10x Genomics: which file it is, and whether it is the picture that Space Ranger saw."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from eosin.data.file_names import is_of
from eosin.data.packed import unpack_command
from eosin.data.picture_size import ratio_to_reduced
from eosin.data.reader import IMAGE_SUFFIXES
from eosin.data.readers.tenx.samples import Sample
from eosin.data.readers.tenx.tenx_folder import read_factors
from eosin.data.section_parts import find_image
from eosin.errors import EosinError
from eosin.slide import is_slide
from eosin.types import Image

_REDUCED = ("tissue_hires_image.png", "tissue_hires_image.jpg", "tissue_hires_image.tif")
_LOWRES = ("tissue_lowres_image.png", "tissue_lowres_image.jpg")
_SAME_SIZE, _ROUNDED_PX = 0.01, 2.0
"""How far the sizes of the picture by two reduced copies may differ: as a share, and pixels of the smaller copy."""
_NOT_THE_SLIDE = ("aligned", "detected", "hires", "lowres", "morphology", "fiducial")
_TISSUE, _INSTRUMENT = "tissue_image", re.compile(r"cytassist|^cavg\d+")
"""10x calls the microscope's image of a CytAssist run `*_tissue_image.tif`, and `*_image.tif` that of the CytAssist.

The instrument itself calls its picture by its serial number, `CAVG10539_2023-11-16_....tif`.
"""


def find_slide(sample: Sample, name: str, *, beside: Path | None = None) -> tuple[Path | None, list[str]]:
    """The full-resolution image, which Space Ranger does not copy into its outputs; notes say why there is none.

    A file of the section's name, beside the sample, in it, in its `outs/`, or `beside`; else the only image there, or
    the only one called `tissue_image`; of several samples in one folder, among the files with the sample's prefix.
    """
    folder = sample.folder
    home = folder.parent if folder.name == "outs" else folder
    inside: list[Path] = list(dict.fromkeys((home, folder, beside or folder)))
    if (file := find_image([place / name for place in (*inside, home.resolve().parent)])) is not None:
        return file, []
    own = name if sample.ending else sample.prefix
    images = [
        file
        for place in inside
        for file in sorted(place.glob("*"))
        if _may_be_slide(file) and is_of(file.name, own, sample.others, whole=True)
    ]
    tissue = [file for file in images if file.name.lower().rpartition(".")[0].endswith(_TISSUE)]
    seen_by_instrument = bool(tissue) or any(_INSTRUMENT.search(file.name.lower()) for file in images)
    others = [file for file in images if not _INSTRUMENT.search(file.name.lower())]
    for chosen in (tissue, [] if tissue or (seen_by_instrument and not others) else others):
        if len(chosen) == 1:
            return chosen[0], []
    if len(tissue or others) > 1:
        return None, [f"{len(tissue or others)} images lie beside the counts and none is called {name}.tif"]
    passed = [f"{images[0].name} is the CytAssist's picture, not the microscope's"] if images else []
    return None, [*passed, f"no full-resolution image, as {name}.tif beside the counts"]


def _may_be_slide(file: Path) -> bool:
    name = file.name.lower()
    is_image = name.endswith(IMAGE_SUFFIXES) and not name.startswith(".") and is_slide(file)
    return is_image and not any(word in name for word in _NOT_THE_SLIDE)


def slide_ratio(slide: Path | None, sample: Sample) -> tuple[float, list[str]]:
    """How many times larger the slide is than the picture that Space Ranger saw, and a note unless it is the same.

    A note also says that the reduced copies are of two pictures by their scale factors.

    Raises
    ------
    EosinError
        The slide is another picture: of another shape, or of a ratio that is not plain.
    """
    copies = _reduced_copies(sample)
    notes = _notes_on_copies(copies)
    copy = next(iter(copies), None)
    if copy is None or slide is None:
        return 1.0, notes
    is_used = copy[0] == sample.file(*_REDUCED)
    without = "the reduced one is then used" if is_used else "the section then has none"
    ratio, ratio_notes = ratio_to_reduced(slide, *copy, without=without)
    return ratio, notes + ratio_notes


def _reduced_copies(sample: Sample) -> list[tuple[Path, float]]:
    """The reduced copies of the picture that Space Ranger saw, largest first, and their pixels per pixel of that."""
    factors, copies = read_factors(sample), []
    for names, key in ((_REDUCED, "tissue_hires_scalef"), (_LOWRES, "tissue_lowres_scalef")):
        reduced, factor = sample.file(*names), factors.get(key)
        if reduced is not None and reduced.suffix != ".gz" and factor is not None:
            copies.append((reduced, factor))
    return copies


def _notes_on_copies(copies: list[tuple[Path, float]]) -> list[str]:
    """A note where the picture had two sizes by the sizes and scale factors of its copies: one may be of another."""
    from eosin.slide import size_px_of  # image libraries load only where a file is asked

    try:
        sizes_px = [size_px_of(file) for file, _ in copies]
    except EosinError:
        return []  # whoever uses it says what is wrong with it
    if len(copies) < 2:
        return []
    (first, factor), (second, other) = copies
    seen, also = (np.array(size_px) / one for size_px, one in zip(sizes_px, (factor, other)))
    if np.all(np.abs(also - seen) <= np.maximum(_SAME_SIZE * seen, _ROUNDED_PX / min(factor, other))):
        return []
    told, too = (" x ".join(f"{side:.0f}" for side in size) for size in (seen, also))
    said = f"{first.name} is of a picture of {told} px by its scale factor, {second.name} of {too} px"
    return [f"{said}: are both and scalefactors_json.json of one sample and one run?"]


def image_of(slide: Path | None, sample: Sample, scale: float, ratio: float = 1.0) -> tuple[Image | None, list[str]]:
    """The slide, else the reduced image of the outputs.

    Parameters
    ----------
    scale
        µm per pixel of the picture that Space Ranger saw.
    ratio
        How many times larger the slide is.
    """
    if slide is not None:
        copy = next(iter(_reduced_copies(sample)), None)
        return Image(slide, scale / ratio, reduced=None if copy is None else copy[0]), []
    file, factor = sample.file(*_REDUCED), read_factors(sample).get("tissue_hires_scalef")
    if file is None or factor is None:
        return None, ["no tissue_hires_image.png with its scale either: no image"]
    if file.suffix == ".gz":
        return None, [f"{file.name} is packed and not used ({unpack_command(file)}): no image"]
    reduced = scale / factor
    if not 0.05 <= reduced <= 10:
        return None, [f"{file.name} would have {reduced:.3g} µm/px and is not used: no image"]
    return Image(file, reduced), [f"{file.name}, {reduced:.3g} µm/px, is used: windows will be coarse"]
