"""Open a slide: which library by the file's content, and which scale."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.slide import Slide
from eosin.slide.source import Source
from eosin.slide.tiff import TiffFacts, is_tiff, open_plain, read_facts
from eosin.slide.vendor import OpenSlideSource, TiffSlideSource
from eosin.slide.whole import open_pillow
from eosin.types import check_mpp

_LOG = logging.getLogger("eosin")
_GIVE = "give the scale by --mpp"
_TOLERANCE = 0.02


def open_slide(path: str | Path, *, mpp: float | None = None) -> Slide:
    """Open an image of tissue at a known scale.

    JPEG, PNG, TIFF (plain, pyramidal, BigTIFF, OME), SVS and the other formats of OpenSlide; chosen by content,
    whatever the suffix. OpenSlide reads what it knows, tiffslide the tiled TIFFs that it does not, and JPEG, PNG and
    plain TIFF are decoded once into memory when first read.

    Parameters
    ----------
    path
        The file.
    mpp
        µm per pixel at full resolution; overrides the file's own. Needed where the file has none: a JPEG or PNG
        never has (its dots per inch are a printing default).

    Raises
    ------
    EosinError
        Not an image, damaged, too large to decode whole, or of unknown, implausible or unequal scale.
    """
    path = _existing(path)
    source, scale_xy = _open(path)
    try:
        if mpp is None:
            return Slide(path, source, _agreed(scale_xy, path))
        check_mpp(mpp, path)
        _tell(path, mpp, scale_xy)
        return Slide(path, source, float(mpp))
    except EosinError:
        source.close()
        raise


def scale_of(path: str | Path) -> float | None:
    """The file's own µm per pixel, or None where it says none or none that can be believed."""
    path = _existing(path)
    source, scale_xy = _open(path)
    source.close()
    try:
        return _agreed(scale_xy, path)
    except EosinError:
        return None


def _tell(path: Path, mpp: float, scale_xy: tuple[float, float] | None) -> None:
    """Log a scale that was given, louder where the file says another."""
    if scale_xy is None:
        _LOG.debug("%s: %.4g µm per pixel as given; the file says none", path, mpp)
        return
    differs = max(abs(said / mpp - 1) for said in scale_xy) > _TOLERANCE
    level = logging.WARNING if differs else logging.INFO
    _LOG.log(level, "%s: %.4g µm per pixel as given; the file says %.4g x %.4g", path, mpp, *scale_xy)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise EosinError("a folder, not an image" if path.is_dir() else "no such image", file=path)
    return path


def _open(path: Path) -> tuple[Source, tuple[float, float] | None]:
    import openslide

    try:
        with open(path, "rb") as file:
            tiff = is_tiff(file.read(4))
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor is not None and not tiff:
        source = OpenSlideSource(path)
        return source, source.scale_xy
    return _open_tiff(path, vendor) if tiff else (open_pillow(path), None)


def _open_tiff(path: Path, vendor: str | None) -> tuple[Source, tuple[float, float] | None]:
    if vendor not in (None, "generic-tiff"):
        source: OpenSlideSource | TiffSlideSource = OpenSlideSource(path)
        return source, source.scale_xy or read_facts(path).scale_xy
    facts = read_facts(path)
    if vendor is None and not _worth_tiles(facts):
        return open_plain(path, facts.size_px), facts.scale_xy
    source = OpenSlideSource(path) if vendor is not None else TiffSlideSource(path)
    if vendor is not None and facts.n_levels > len(source.levels):  # OME keeps its levels where OpenSlide looks not
        source.close()
        source = TiffSlideSource(path)
    return source, facts.scale_xy or source.scale_xy


def _worth_tiles(facts: TiffFacts) -> bool:
    return facts.tiled and facts.n_levels > 1


def _agreed(scale_xy: tuple[float, float] | None, path: Path) -> float:
    """One µm per pixel from two, or the error that asks for it."""
    if scale_xy is None:
        raise EosinError("the file does not say its µm per pixel", file=path, fix=_GIVE)
    x, y = scale_xy
    mean = float(np.sqrt(x * y)) if x > 0 and y > 0 else float("nan")
    try:
        check_mpp(mean, path)
    except EosinError:
        raise EosinError(
            f"the file says {x:.4g} x {y:.4g} µm per pixel, which no microscope has", file=path, fix=_GIVE
        ) from None
    if abs(x - y) > _TOLERANCE * max(x, y):
        raise EosinError(f"pixels of {x:.4g} x {y:.4g} µm are not square", file=path, fix=_GIVE)
    return mean
