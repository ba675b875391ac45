"""Open a slide: choose the library by the file's content, and find the scale."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.slide.czi import CziSource
from eosin.slide.dicom import slide_of_folder
from eosin.slide.direct_tiles import with_direct_tiles
from eosin.slide.foreign_formats import check_upright, refuse_part, refuse_unread, warn_of_grey, warn_of_twins
from eosin.slide.ngff import is_ome_zarr
from eosin.slide.ome_zarr import OmeZarrSource
from eosin.slide.slide import Slide
from eosin.slide.slide_path import need_slide, state_of
from eosin.slide.source import Source, check_claim
from eosin.slide.tiff import APERIO_YCBCR, TiffFacts, check_facts, is_tiff, open_plain, read_facts
from eosin.slide.tiff_tiles import TiffTiles, check_seen
from eosin.slide.told_scale import ToldScale, contradiction_of
from eosin.slide.vendor import OpenSlideSource, TiffSlideSource
from eosin.slide.whole import open_pillow
from eosin.types import check_mpp

_LOG = logging.getLogger("eosin")
BY_DATA = "as its data or --mpp say"
"""Where the scale of a section's image comes from: the reader, who may have been given it."""
_FIX = "give the scale by --mpp"
_CZI = b"ZISRAWFILE"
_FINEST_MPP = 0.08
"""µm per pixel of the finest scanners of H&E (100x under oil); a file that says less is wrong, mostly by ten."""
_TOLERANCE = 0.02
_LEAST_PRODUCT, _USUAL_PRODUCT, _MOST_PRODUCT = 4.0, 10.0, 20.0
"""µm per pixel times magnification; scanners that have a lens behind the objective, or small pixels, have 4.4 to 5."""


@dataclass(frozen=True)
class _Stated:
    """µm per pixel in x and y as a file states them, and in words what else it states that contradicts this."""

    xy: tuple[float, float] | None
    contradiction: str | None = None


def open_slide(path: str | Path, *, mpp: float | None = None, told_by: str = "as given") -> Slide:
    """Open an image of tissue at a known scale.

    JPEG, PNG, TIFF (plain, pyramidal, BigTIFF, OME), SVS and the other formats of OpenSlide; recognised by content,
    whatever the suffix. OpenSlide reads the formats that it supports, tiffslide other tiled TIFFs with reduced levels,
    tifffile those of planes, JPEG 2000 and WebP; JPEG, PNG and plain TIFF are decoded once into memory when first read.
    OME-Zarr is read by zarr, CZI by pylibCZIrw where it is installed. Which library reads a file is `Slide.library`.

    Parameters
    ----------
    path
        The file; of OME-Zarr its folder; of DICOM any file of the slide, or a folder that holds nothing else.
    mpp
        µm per pixel at full resolution; overrides the file's own. Needed where the file has none, which is always so
        for JPEG and PNG (their dots per inch are a printing default).
    told_by
        Where `mpp` comes from, for the warning where the file says another.

    Raises
    ------
    EosinError
        Not an image, damaged, too large to decode whole, marked to be turned, or of unknown, implausible or unequal
        scale.
    """
    path = need_slide(Path(path))
    source, stated = _open(path)
    try:
        if mpp is None:
            if stated.xy == (1.0, 1.0):
                _warn_of_default(path)
            return Slide(path, source, _agreed(stated, path))
        check_mpp(mpp, path)
        _warn_of_other_scale(path, mpp, stated.xy, told_by)
        return Slide(path, source, float(mpp))
    except EosinError:
        source.close()
        raise


def scale_of(path: str | Path) -> float | None:
    """The file's own µm per pixel; None where it states none, or one that is implausible or unequal in x and y.

    Raises
    ------
    EosinError
        Not an image, damaged, or too large to decode whole.
    """
    path = need_slide(Path(path))
    _, stated = _stated(path, *state_of(path))
    try:
        return _agreed(stated, path)
    except EosinError:
        return None


def size_px_of(path: str | Path) -> tuple[int, int]:
    """Width and height of an image at full resolution, whether or not it says its scale; nothing is decoded.

    Raises
    ------
    EosinError
        Not an image, damaged, or too large to decode whole.
    """
    path = need_slide(Path(path))
    return _stated(path, *state_of(path))[0]


@functools.lru_cache(maxsize=1024)
def _stated(path: Path, changed_ns: int, n_bytes: int) -> tuple[tuple[int, int], _Stated]:
    """Size and scale that an image states, kept as long as the file is not changed: readers ask for both."""
    del changed_ns, n_bytes
    source, stated = _open(path)
    source.close()
    return (source.levels[0].width, source.levels[0].height), stated


@functools.lru_cache(maxsize=1024)
def _warn_of_other_scale(path: Path, mpp: float, scale_xy: tuple[float, float] | None, told_by: str) -> None:
    """Warn, once per file, that the scale that is used differs from the file's own by more than 2 %."""
    if scale_xy is not None and max(abs(own / mpp - 1) for own in scale_xy) > _TOLERANCE:
        _LOG.warning("%s: %.4g µm per pixel %s; the file says %.4g x %.4g", path, mpp, told_by, *scale_xy)


@functools.lru_cache(maxsize=1024)
def _warn_of_default(path: Path) -> None:
    said = "%s: the file says exactly 1 µm per pixel, as programs write where they know no scale (--mpp)"
    _LOG.warning(said, path)


def _open(path: Path) -> tuple[Source, _Stated]:
    import openslide

    if path.is_dir():
        if not is_ome_zarr(path):
            return _open_by_openslide(slide_of_folder(path))
        source = OmeZarrSource(path)
        return source, _Stated(source.scale_xy, source.contradiction)
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except OSError as error:
        raise EosinError(f"cannot be read ({error.strerror})", file=path, fix="check its permissions") from error
    vendor = openslide.OpenSlide.detect_format(path)
    refuse_part(head, path, vendor)
    if is_tiff(head):
        return _open_tiff(path, vendor)
    if vendor is not None or head.startswith(_CZI):
        return _open_czi(path) if head.startswith(_CZI) else _open_by_openslide(path)
    refuse_unread(head, path)
    return open_pillow(path), _Stated(None)


def _open_by_openslide(path: Path, tags: tuple[float, float] | None = None) -> tuple[OpenSlideSource, _Stated]:
    """A slide of a scanner's format; `tags` is the scale by its tags of resolution, where these are not all it says."""
    source = OpenSlideSource(path)
    scale, power = source.scale_xy, source.power
    if scale is None:
        return source, _Stated(tags)
    if power is not None:
        _warn_of_power(path, scale[0], power)
    told = ToldScale("its scanner's metadata", scale)
    others = source.scale_beside, None if tags is None else ToldScale("its tags of resolution", tags)
    return source, _Stated(scale, contradiction_of([told, *others]))


def _open_czi(path: Path) -> tuple[Source, _Stated]:
    """A CZI by OpenSlide, else by pylibCZIrw: OpenSlide refuses some, as those that have an axis Z of one plane."""
    try:
        return _open_by_openslide(path)
    except EosinError as error:
        source = CziSource(path, error.problem)
        _say_fallback(path, error.problem, source.library)
        if source.scale_xy is not None and source.power is not None:
            _warn_of_power(path, source.scale_xy[0], source.power)
        return source, _Stated(source.scale_xy)


def _open_tiff(path: Path, vendor: str | None) -> tuple[Source, _Stated]:
    if vendor not in (None, "generic-tiff"):
        return _open_scanner(path, vendor)
    facts = read_facts(path)
    check_upright(facts.orientation, path)
    whole = facts.n_levels == 1 and not facts.sparse and (vendor is None or facts.n_planes > 1)
    if not facts.tiled or whole:
        source: Source = open_plain(path, facts)
    else:
        check_facts(facts, path, whole=False)
        check_seen(path, facts)
        source = _open_tiles(path, facts, by_openslide=vendor is not None)
    if facts.grey:
        warn_of_grey(path)
    if facts.n_twins:
        warn_of_twins(path, facts.n_twins)
    return source, _Stated(facts.scale_xy or getattr(source, "scale_xy", None), facts.contradiction)


def _open_tiles(path: Path, facts: TiffFacts, *, by_openslide: bool) -> Source:
    """A tiled TIFF by the first library that reads it; the log says where it is not the first."""
    refused: list[EosinError] = []
    for library, opens in _libraries(path, facts, by_openslide=by_openslide).items():
        try:
            source = opens()
        except EosinError as error:
            refused.append(error)
            continue
        if _has_all(source, facts):
            if refused:
                _say_fallback(path, refused[0].problem, library)
            return source
        source.close()
        missing = f"{library} does not find all of its {facts.n_levels} levels"
        refused.append(EosinError(missing, file=path, fix="export it again as a tiled pyramidal TIFF"))
    raise refused[-1]


def _libraries(path: Path, facts: TiffFacts, *, by_openslide: bool) -> dict[str, Callable[[], Source]]:
    """The libraries that may read a tiled TIFF, in the order in which they are tried.

    OpenSlide takes the first of several grey planes or samples for the picture; tiffslide reads neither planes nor
    premultiplied colours, and gives black for tiles that were left out.
    """
    libraries: dict[str, Callable[[], Source]] = {}
    if by_openslide and facts.n_planes == 1 and not facts.marked_grey:
        libraries["OpenSlide"] = lambda: with_direct_tiles(OpenSlideSource(path), path, facts, "generic-tiff")
    odd = facts.n_planes > 1 or facts.planar or facts.premultiplied or facts.sparse
    if not odd and facts.n_levels > 1 and facts.codec != APERIO_YCBCR:
        libraries["tiffslide"] = lambda: TiffSlideSource(path)
    libraries["tifffile"] = lambda: TiffTiles(path, facts)
    return libraries


def _has_all(source: Source, facts: TiffFacts) -> bool:
    """Whether a library found the largest image, and its levels: OpenSlide does not find those of OME-TIFF."""
    size_px = source.levels[0].width, source.levels[0].height
    found = getattr(source, "n_stored", 0) >= facts.n_levels or isinstance(source, TiffTiles)
    return size_px == facts.size_px and found


@functools.lru_cache(maxsize=1024)
def _say_fallback(path: Path, problem: str, library: str) -> None:
    """Say, once per file, that another library than the first reads it."""
    _LOG.info("%s: read by %s (%s)", path, library, problem)


def _open_scanner(path: Path, vendor: str) -> tuple[Source, _Stated]:
    """A TIFF of a scanner format that OpenSlide reads. Where tifffile can read it too, its facts are checked."""
    try:
        facts = read_facts(path)
    except EosinError:
        facts = None
    if facts is not None:
        check_facts(facts, path, whole=False)
    source, stated = _open_by_openslide(path, None if facts is None else facts.scale_by_tags)
    size_px = source.levels[0].width, source.levels[0].height
    try:
        check_claim(3 * size_px[0] * size_px[1], path, size_px, tiled=True)
    except EosinError:
        source.close()
        raise
    if facts is None:
        return source, stated
    source = with_direct_tiles(source, path, facts, vendor)
    if stated.contradiction is not None:
        return source, stated
    return source, _Stated(stated.xy or facts.scale_xy, facts.contradiction)


@functools.lru_cache(maxsize=1024)
def _warn_of_power(path: Path, scale: float, power: float) -> None:
    """Warn, once per file, that scale and magnification do not fit: 40x is 0.22 to 0.27 µm per pixel."""
    if not _LEAST_PRODUCT < scale * power < _MOST_PRODUCT:
        said = "%s: the file says %.4g µm per pixel and a magnification of %g, where %.2g is usual (--mpp)"
        _LOG.warning(said, path, scale, power, _USUAL_PRODUCT / power)


def _agreed(stated: _Stated, path: Path) -> float:
    """µm per pixel, the geometric mean of x and y; an `EosinError` where it is unknown, implausible or unequal."""
    if stated.xy is None:
        raise EosinError("the file does not say its µm per pixel", file=path, fix=_FIX)
    if stated.contradiction is not None:
        raise EosinError(stated.contradiction, file=path, fix=f"{_FIX}, by the scanner's documents")
    x, y = stated.xy
    mean = float(np.sqrt(x * y)) if x > 0 and y > 0 else float("nan")
    try:
        check_mpp(mean, path)
    except EosinError:
        raise EosinError(
            f"the file says {x:.4g} x {y:.4g} µm per pixel, which no microscope has", file=path, fix=_FIX
        ) from None
    if mean < _FINEST_MPP:
        said = f"the file says {mean:.4g} µm per pixel, finer than any scanner of H&E ({_FINEST_MPP:g})"
        raise EosinError(said, file=path, fix=f"{_FIX}, for example {10 * mean:.3g} where a digit slipped")
    if abs(x - y) > _TOLERANCE * max(x, y):
        raise EosinError(f"pixels of {x:.4g} x {y:.4g} µm are not square", file=path, fix=_FIX)
    return mean
