"""Slides in DICOM with tiles in JPEG, a file for each level, as scanners and archives have them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unit.slide import pictures


def save_dicom(
    folder: Path, pixels: np.ndarray, mpp: float, *, n_levels: int = 3, uid: str = "1.2.3", **more: Any
) -> list[Path]:
    """The files of one slide, finest level first, as `{uid}-{level}.dcm`; `more` is said beside what has to be."""
    files = []
    for level in range(n_levels):
        file = folder / f"{uid}-{level}.dcm"
        _instance(pixels, mpp * 2**level, uid, level, **more).save_as(file, enforce_file_format=True)
        files.append(file)
        pixels = pictures.halved(pixels)
    return files


def _instance(pixels: np.ndarray, mpp: float, uid: str, level: int, tile: int = 128, **more: Any) -> Any:
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID, JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = UID(f"{uid}.{level + 1}")
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    frames = [_jpeg(pixels[y : y + tile, x : x + tile], tile) for y, x in _corners(pixels, tile)]
    spacing, shared, path = Dataset(), Dataset(), Dataset()
    spacing.PixelSpacing = [f"{mpp / 1000:.10f}"] * 2
    shared.PixelMeasuresSequence = [spacing]
    path.OpticalPathIdentifier = "0"
    facts = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyInstanceUID": f"{uid}.100",
        "SeriesInstanceUID": f"{uid}.200",
        "FrameOfReferenceUID": f"{uid}.300",
        "Modality": "SM",
        "ImageType": [
            "ORIGINAL" if level == 0 else "DERIVED",
            "PRIMARY",
            "VOLUME",
            "NONE" if level == 0 else "RESAMPLED",
        ],
        "InstanceNumber": level + 1,
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_FULL_422",
        "PlanarConfiguration": 0,
        "Rows": tile,
        "Columns": tile,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "TotalPixelMatrixColumns": pixels.shape[1],
        "TotalPixelMatrixRows": pixels.shape[0],
        "TotalPixelMatrixFocalPlanes": 1,
        "NumberOfOpticalPaths": 1,
        "DimensionOrganizationType": "TILED_FULL",
        "OpticalPathSequence": [path],
        "SharedFunctionalGroupsSequence": [shared],
        "NumberOfFrames": len(frames),
        "PixelData": encapsulate(frames),
    } | more
    for name, value in facts.items():
        setattr(made, name, value)
    made["PixelData"].is_undefined_length = True
    return made


def _corners(pixels: np.ndarray, tile: int) -> list[tuple[int, int]]:
    return [(y, x) for y in range(0, pixels.shape[0], tile) for x in range(0, pixels.shape[1], tile)]


def _jpeg(pixels: np.ndarray, tile: int) -> bytes:
    whole = np.full((tile, tile, 3), 255, np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    stored = io.BytesIO()
    Image.fromarray(whole).save(stored, "JPEG", quality=95, subsampling=0)
    return stored.getvalue()
