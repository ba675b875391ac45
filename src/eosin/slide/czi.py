"""Windows of a CZI file of Zeiss that OpenSlide refuses, by pylibCZIrw, an extra (LGPL-3.0)."""

from __future__ import annotations

import functools
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import MAX_TILE_PIXELS, Level, check_claim

_LOG = logging.getLogger("eosin")
_DAMAGED = "the file is incomplete or damaged: copy it again"
_CONVERT = "convert it, as by: bfconvert IN OUT.ome.tif"
_WHITE = (1.0, 1.0, 1.0)
_STACKS = {
    "T": "points in time",
    "Z": "planes in depth",
    "C": "channels",
    "R": "rotations",
    "I": "illuminations",
    "H": "phases",
    "V": "views",
    "B": "blocks",
}
"""Dimensions of a CZI beside x and y, and what several of them are."""


class CziSource:
    """A source of pixels by pylibCZIrw; several threads may read at once.

    The picture is the box around all scenes: what no camera saw between them is white.

    Parameters
    ----------
    path
        The file.
    refusal
        Why OpenSlide does not read it, for the message where the library is not installed.

    Attributes
    ----------
    scale_xy
        µm per pixel at full resolution in x and y; None where the metadata do not say them.
    power
        Magnification of the objective; None where they do not say it.

    Raises
    ------
    EosinError
        The library is not installed; not one RGB picture of 8 bit; a damaged file.
    """

    library = "pylibCZIrw"

    def __init__(self, path: Path, refusal: str):
        self._path = path
        self._file = _opened(path, refusal)
        try:
            box = self._file.total_bounding_rectangle_no_pyramid
            self._corner = int(box.x), int(box.y)
            xml = self._file.raw_metadata
            self.scale_xy, self.power = scale_of_czi(xml), power_of_czi(xml)
            _check_picture(self._file, path)
            check_claim(3 * box.w * box.h, path, (box.w, box.h), tiled=True)
            factors = _reductions(self._file, path)
            n_scenes = len(self._file.scenes_bounding_rectangle)
        except EosinError:
            self.close()
            raise
        except Exception as error:  # a damaged file makes the library raise RuntimeError and others
            self.close()
            raise _unreadable(path, error) from error
        self.levels = tuple(Level(box.w // f, box.h // f, float(f)) for f in factors if min(box.w, box.h) >= f)
        if n_scenes > 1:
            _say_scenes(path, n_scenes)

    def region(self, level: int, x: int, y: int, width: int, height: int) -> np.ndarray:
        """RGB uint8 [height width 3] of a rectangle inside the level; white where nothing was stored."""
        factor = int(self.levels[level].downsample)
        corner = self._corner[0] + x * factor, self._corner[1] + y * factor
        roi = (*corner, width * factor, height * factor)
        try:
            bgr = self._file.read(roi=roi, zoom=1.0 / factor, pixel_type="Bgr24", background_pixel=_WHITE)
        except Exception as error:  # as above
            reason = " ".join(str(error).split())[:200]
            fix = _CONVERT if "unsupported" in reason.lower() else _DAMAGED
            raise EosinError(f"cannot be decoded ({reason})", file=self._path, fix=fix) from error
        if bgr.shape != (height, width, 3):
            raise EosinError(f"gives {bgr.shape[:2]} px where {(height, width)} are", file=self._path, fix=_CONVERT)
        return np.ascontiguousarray(bgr[..., ::-1])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def scale_of_czi(xml: str) -> tuple[float, float] | None:
    """µm per pixel in x and y by a CZI's metadata, where they stand in metres; None where they do not.

    Found by regular expressions and not by an XML parser, in which hostile entities could expand without limit.
    """
    sizes = []
    for axis in "XY":
        found = re.search(rf'<Distance\s+Id="{axis}"\s*>\s*(?:<(?!/Distance)[^>]*>[^<]*)*?<Value>\s*([^<\s]+)', xml)
        try:
            sizes.append(float(found[1]) * 1e6 if found else 0.0)
        except ValueError:
            return None
    return (sizes[0], sizes[1]) if min(sizes) > 0 else None


def power_of_czi(xml: str) -> float | None:
    """Magnification of the objective by a CZI's metadata; None where they state none, or several."""
    stated = set(re.findall(r"<NominalMagnification>\s*([\d.]+)\s*<", xml))
    try:
        return float(stated.pop()) if len(stated) == 1 else None
    except ValueError:
        return None


def _opened(path: Path, refusal: str) -> Any:
    try:
        from pylibCZIrw.czi import CziReader
    except ImportError:
        fix = f"pip install 'eosin[czi]', which may read it, or {_CONVERT}"
        raise EosinError(f"a CZI file of Zeiss: {refusal}", file=path, fix=fix) from None
    try:
        return CziReader(str(path.absolute()))
    except Exception as error:  # RuntimeError of libCZI, and others
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> EosinError:
    reason = " ".join(str(error).split())[:200]
    return EosinError(f"pylibCZIrw cannot open it ({reason})", file=path, fix=_DAMAGED)


def _check_picture(file: Any, path: Path) -> None:
    """Refuse a stack, several channels, and pixels that are not RGB of 8 bit."""
    kinds = sorted(set(file.pixel_types.values()))
    if len(file.pixel_types) == 1 and kinds != ["Bgr24"]:
        kind = kinds[0]
        what = "grey pixels" if kind.startswith("Gray") else "pixels"
        raise EosinError(f"{what} of type {kind}, not 8-bit RGB", file=path, fix="export it as 8-bit RGB")
    for name, (start, end) in file.total_bounding_box_no_pyramid.items():
        if name in _STACKS and end - start > 1:
            said = f"{end - start} {_STACKS[name]}, not one picture"
            raise EosinError(said, file=path, fix="export one of them as RGB")


def _reductions(file: Any, path: Path) -> list[int]:
    """Full-resolution pixels per pixel of every level that is stored, finest first; pieces that are too large refused.

    Of levels that are not stored the library would take single pixels of finer ones.
    """
    factors, largest = {1}, 0

    def look(_: int, piece: Any) -> bool:
        nonlocal largest
        stored = piece.physicalSize
        largest = max(largest, stored.w * stored.h)
        if min(stored.w, stored.h) > 0:
            factors.add(max(1, round(piece.logicalRect.w / stored.w)))
        return True

    file.enumerate_subblocks(look)
    if largest > MAX_TILE_PIXELS:
        raise EosinError(f"claims pieces of {largest:,} px", file=path, fix=_CONVERT)
    return sorted(factors)


@functools.lru_cache(maxsize=1024)
def _say_scenes(path: Path, n_scenes: int) -> None:
    _LOG.info("%s: %d scenes, read as one picture of the box around them; white between them", path, n_scenes)
