"""A bare image as a section to predict: spots laid on its tissue."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from eosin.data.contents import other_file
from eosin.data.reader import blame
from eosin.errors import EosinError
from eosin.plurals import counted
from eosin.slide import Layout, OnTissue, is_slide_folder, open_slide
from eosin.types import Image, Section

log = logging.getLogger("eosin")

ON_TISSUE = OnTissue()
"""A square lattice, 100 µm apart, on the tissue that is found."""


def is_bare_image(data: Any, reader: str | None = None) -> bool:
    """Whether what is given is an image, a file or a folder that is one slide, and not measured sections."""
    if not isinstance(data, str | Path) or reader is not None:
        return False
    path = Path(data)
    return is_slide_folder(path) or (path.is_file() and path.suffix.lower() not in {".h5ad", ".h5"})


def need_no_layout(layout: Layout, path: Path) -> None:
    """Refuse a wish where spots should lie if they have been measured."""
    if layout != ON_TISSUE:
        fix = "leave out --lattice, --pitch-um, --spot-um, --points and --tissue, or give the image alone"
        raise EosinError("is no image: spots of measured sections are where they were measured", file=path, fix=fix)


def name_of_image(path: Path) -> str:
    """What the section of a bare image is called: its file name without the format."""
    if path.is_dir() and path.suffix.lower() != ".zarr":  # of DICOM, or an image within a store: called anything
        return path.resolve().name
    stem = path.stem.removesuffix(".ome") if path.stem.strip(".") else path.name
    return stem or path.name


def section_of_image(path: str | Path, layout: Layout = ON_TISSUE, *, mpp: float | None = None) -> Section:
    """A section without counts: spots laid on a bare image."""
    if (error := other_file(Path(path))) is not None:
        raise error
    with blame(path), open_slide(path, mpp=mpp) as slide:
        spots = layout.lay(slide)
        image = Image(Path(path), slide.mpp)
    name = name_of_image(Path(path))
    log.info("%s: %s, %g µm wide", name, counted(len(spots), "spot"), spots.diameter_um)
    return Section(name, name, spots, image=image, platform="image")
