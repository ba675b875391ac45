"""How wide the tiles of another tool's feature file are: as the file says, or as CLAM's file of patches beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.features.store import FeatureFile
from eosin.storage.hdf5 import open_foreign

_PATCHES = "patches"


def width_of_tiles(file: FeatureFile, path: str | Path) -> float | None:
    """Width of a tile in full-resolution pixels, or None where nobody says it.

    CLAM writes `h5_files/{slide}.h5` without attributes; they stand in `patches/{slide}.h5`, which is looked for
    beside the folders above, and believed where it holds the same corners.
    """
    width = tile_width_px(file.attrs)
    if width is not None:
        return width
    found = (_attributes_for(file, one) for one in _patch_files(Path(path)))
    return next((width for attrs in found if (width := tile_width_px(attrs)) is not None), None)


def tile_width_px(attrs: Mapping[str, Any]) -> float | None:
    """Width of a tile in full-resolution pixels, as TRIDENT says it, or from CLAM's patch and downsample."""
    width = number(attrs.get("patch_size_level0"))
    patch = number(attrs.get("patch_size"))
    if width is not None or patch is None:
        return width
    factor = number(attrs.get("downsample"))
    level0 = number(attrs.get("patch_level"), zero=True) == 0
    return patch * factor if factor is not None else patch if level0 else None


def number(value: Any, *, zero: bool = False) -> float | None:
    """A positive number (or 0 where allowed), or the first of a pair of equal ones as CLAM writes; else `None`."""
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        return None
    if not len(numbers) or not np.isfinite(numbers).all() or np.ptp(numbers) > 0.02 * abs(numbers[0]):
        return None
    return float(numbers[0]) if numbers[0] > 0 or (zero and numbers[0] == 0) else None


def _patch_files(path: Path) -> Iterator[Path]:
    """`patches/` of the name, in the folders above the file's own and in those beside them."""
    for folder in path.absolute().parents[1:3]:
        for one in (folder / _PATCHES / path.name, *sorted(folder.glob(f"*/{_PATCHES}/{path.name}"))):
            if one.is_file():
                yield one


def _attributes_for(file: FeatureFile, path: Path) -> Mapping[str, Any]:
    """What CLAM's file of patches says of its corners, if they are those of the features."""
    try:
        with open_foreign(path) as patches:
            coords = patches["coords"]
            same = np.array_equal(np.asarray(coords).reshape(-1, 2), file.origins_px)
            return {**coords.attrs, **patches.attrs} if same else {}
    except (EosinError, OSError, RuntimeError, KeyError, TypeError, ValueError):
        return {}  # it was only looked for; what is missing is said of the features' own file
