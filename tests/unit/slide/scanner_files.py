"""Small TIFFs as scanners write them: what OpenSlide knows as Aperio's, Philips', Leica's SCN and Ventana's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

_LEICA = "http://www.leica-microsystems.com/scn/2010/10/01"


def tags_of(um: float | None) -> dict[str, Any]:
    """Tags of resolution, in pixels per centimetre."""
    return {} if um is None else {"resolution": (1e4 / um, 1e4 / um), "resolutionunit": "CENTIMETER"}


def save_aperio(path: Path, pixels: np.ndarray, mpp: float, tag_um: float | None, maker: str = "Aperio Image") -> Path:
    """An SVS of one level; another maker's name makes it a tiled TIFF that OpenSlide does not know."""
    height, width = pixels.shape[:2]
    text = f"{maker} Library v11\r\n{width}x{height} (128x128) JPEG/RGB Q=70|AppMag = {10 / mpp:g}|MPP = {mpp}"
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "jpeg", "metadata": None}
    tifffile.imwrite(path, pixels, description=text, **options, **tags_of(tag_um))
    return path


def save_philips(path: Path, pixels: np.ndarray, mpp: float, tag_um: float | None) -> Path:
    """Philips' TIFF of one level, whose pixel spacing is in mm."""
    height, width = pixels.shape[:2]
    spacing = f"&quot;{mpp / 1000:.8f}&quot;"
    facts = {
        "DICOM_MANUFACTURER": ("IString", "PHILIPS"),
        "DICOM_PIXEL_SPACING": ("IDoubleArray", f"{spacing} {spacing}"),
        "PIIM_PIXEL_DATA_REPRESENTATION_COLUMNS": ("IUInt16", width),
        "PIIM_PIXEL_DATA_REPRESENTATION_ROWS": ("IUInt16", height),
        "PIIM_PIXEL_DATA_REPRESENTATION_NUMBER": ("IUInt16", 0),
    }
    said = [f'<Attribute Name="{name}" PMSVR="{kind}">{value}</Attribute>' for name, (kind, value) in facts.items()]
    level = f'<DataObject ObjectType="PixelDataRepresentation">{"".join(said[1:])}</DataObject>'
    levels = (
        f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" PMSVR="IDataObjectArray"><Array>{level}</Array>'
    )
    image = f'<Attribute Name="PIM_DP_IMAGE_TYPE" PMSVR="IString">WSI</Attribute>{said[1]}{levels}</Attribute>'
    images = f'<Array><DataObject ObjectType="DPScannedImage">{image}</DataObject></Array>'
    text = (
        f'<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">{said[0]}'
        f'<Attribute Name="PIM_DP_SCANNED_IMAGES" PMSVR="IDataObjectArray">{images}</Attribute></DataObject>'
    )
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "jpeg", "metadata": None}
    tifffile.imwrite(path, pixels, description=text, software="Philips DP v1.0", **options, **tags_of(tag_um))
    return path


def save_leica(
    path: Path, pixels: np.ndarray, view_um: float, tag_um: float, corner_px: tuple[int, int] = (0, 0)
) -> Path:
    """An SCN of one image: µm per pixel by its view in nm, and by the tags, which OpenSlide takes.

    The glass is twice as wide and high as the image, which lies at `corner_px` on it.
    """
    height, width = pixels.shape[:2]
    size_nm, glass_nm = (
        f'sizeX="{round(times * width * view_um * 1000)}" sizeY="{round(times * height * view_um * 1000)}"'
        for times in (1, 2)
    )
    offset_nm = [round(n * view_um * 1000) for n in corner_px]
    settings = "<objectiveSettings><objective>20</objective></objectiveSettings>"
    light = "<illuminationSettings><illuminationSource>brightfield</illuminationSource></illuminationSettings>"
    text = (
        f'<?xml version="1.0"?><scn xmlns="{_LEICA}"><collection name="a" {glass_nm}><image name="a">'
        f'<pixels sizeX="{width}" sizeY="{height}"><dimension sizeX="{width}" sizeY="{height}" r="0" ifd="0"/></pixels>'
        f'<view {size_nm} offsetX="{offset_nm[0]}" offsetY="{offset_nm[1]}"/>'
        f"<scanSettings>{settings}{light}</scanSettings></image></collection></scn>"
    )
    options = {"photometric": "rgb", "tile": (128, 128), "compression": "jpeg", "metadata": None}
    tifffile.imwrite(path, pixels, description=text, **options, **tags_of(tag_um))
    return path
