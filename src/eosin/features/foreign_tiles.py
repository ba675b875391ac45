"""Width of the tiles in another tool's feature file: from its attributes, or from CLAM's file of patches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.feature_file import FeatureFile
from eosin.storage.hdf5 import open_foreign

_PATCHES = "patches"


def width_of_tiles(file: FeatureFile, path: str | Path) -> float | None:
    """Width of a tile in full-resolution pixels, or None where no file states it.

    CLAM writes `h5_files/{slide}.h5` without attributes; they are in `patches/{slide}.h5`, which is searched in the two
    folders above the file's own and in their subfolders, and used if it holds the same corners.

    Parameters
    ----------
    file
        What the feature file holds.
    path
        The feature file.
    """
    width = tile_width_px(file.attrs)
    if width is not None:
        return width
    candidates = (_attributes_of_patches(file, patches) for patches in _patch_files(Path(path)))
    return next((width for attrs in candidates if (width := tile_width_px(attrs)) is not None), None)


def tile_width_px(attrs: Mapping[str, Any]) -> float | None:
    """Width of a tile in full-resolution pixels: TRIDENT's attribute, or the product of CLAM's patch and downsample."""
    width = number(attrs.get("patch_size_level0"))
    patch = number(attrs.get("patch_size"))
    if width is not None or patch is None:
        return width
    factor = number(attrs.get("downsample"))
    level0 = number(attrs.get("patch_level"), zero=True) == 0
    return patch * factor if factor is not None else patch if level0 else None


def number(value: Any, *, zero: bool = False) -> float | None:
    """The number in an attribute, or None where it holds no positive number.

    Parameters
    ----------
    value
        A number, or a pair of nearly equal ones, as CLAM writes; the first is returned.
    zero
        Whether 0 is allowed.
    """
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        return None
    if not len(numbers) or not np.isfinite(numbers).all() or np.ptp(numbers) > 0.02 * abs(numbers[0]):
        return None
    return float(numbers[0]) if numbers[0] > 0 or (zero and numbers[0] == 0) else None


def _patch_files(path: Path) -> Iterator[Path]:
    """Files `patches/NAME` in the two folders above the file's own, and in their subfolders."""
    for folder in path.absolute().parents[1:3]:
        for candidate in (folder / _PATCHES / path.name, *sorted(folder.glob(f"*/{_PATCHES}/{path.name}"))):
            if candidate.is_file():
                yield candidate


def _attributes_of_patches(file: FeatureFile, path: Path) -> Mapping[str, Any]:
    """Attributes in CLAM's file of patches, if its corners are those of the features; else none."""
    try:
        with open_foreign(path) as patches:
            coords = patches["coords"]
            same = np.array_equal(np.asarray(coords).reshape(-1, 2), file.origins_px)
            return {**coords.attrs, **patches.attrs} if same else {}
    except (EosinError, OSError, RuntimeError, KeyError, TypeError, ValueError):
        return {}  # no error: the caller reports that the feature file lacks the width
