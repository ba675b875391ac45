"""TIFF by tifffile: layout and scale, and the pixels where a file is decoded whole."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eosin.errors import EosinError
from eosin.slide.source import MAX_TILE_PIXELS, check_claim, quiet
from eosin.slide.tiff_scale import contradiction_in, scale_by_tags, scale_of_tiff
from eosin.slide.whole import WholeImage, check_opacity, check_size

_LOG = logging.getLogger("eosin")
TO_RGB = "export it as 8-bit RGB, as by: vips colourspace IN OUT.tif[tile,pyramid,compression=jpeg] srgb"
"""The way out for pixels that are not 8-bit RGB."""
_AGAIN = "the file is incomplete or damaged: copy or export it again"
_COLOURS = {"r", "red", "g", "green", "b", "blue"}
_PLANAR = 2
_ASSOCIATED_ALPHA = 1
APERIO_YCBCR = "APERIO_JP2000_YCBC"
"""JPEG 2000 whose numbers are no RGB although they are marked so: OpenSlide alone converts them."""
_MOST_IMAGES, _LOOKS_BACK = 5000, 100
"""Images in one file, levels and planes included: a slide has a dozen."""


@dataclass(frozen=True)
class TiffFacts:
    """Layout of the largest image in a TIFF.

    Attributes
    ----------
    size_px
        Width and height at full resolution.
    n_bytes
        Size of the decoded image, bytes; at least that of RGB.
    tile_bytes
        Size of the largest decoded tile of any level, bytes; 0 where the image is stored in strips.
    tiled
        Whether the image is stored in tiles.
    n_levels
        Number of resolutions.
    scale_xy
        µm per pixel in x and y; None where the file does not state it.
    odd
        Why the pixels cannot be read as 8-bit RGB or grey; None where they can.
    n_planes
        Grey planes, each an image of its own, that make one picture: 3 for red, green and blue; else 1.
    planar
        Whether red, green and blue lie apart within one image.
    premultiplied
        Whether colours are stored multiplied by their opacity.
    orientation
        The orientation tag: 1 where rows run down and columns to the right.
    codec
        How tiles or strips are compressed, as tifffile calls it.
    contradiction
        That its OME metadata, tags of resolution or description state two plausible scales, in words; None where not.
    grey
        Whether there is one channel only.
    scale_by_tags
        µm per pixel by the tags of resolution alone.
    sparse
        Whether tiles were left out, as of blank glass.
    opacity
        Whether a fourth channel says how opaque each pixel is.
    marked_grey
        Whether red, green and blue are marked as shades of grey.
    n_twins
        Further images of the same size in the file, of which none is read.
    """

    size_px: tuple[int, int]
    n_bytes: int
    tile_bytes: int
    tiled: bool
    n_levels: int
    scale_xy: tuple[float, float] | None
    odd: str | None
    n_planes: int = 1
    planar: bool = False
    premultiplied: bool = False
    orientation: int = 1
    codec: str = "NONE"
    contradiction: str | None = None
    grey: bool = False
    scale_by_tags: tuple[float, float] | None = None
    sparse: bool = False
    opacity: bool = False
    marked_grey: bool = False
    n_twins: int = 0


def is_tiff(head: bytes) -> bool:
    """Whether a file's first bytes are those of a TIFF or BigTIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_facts(path: Path) -> TiffFacts:
    """Facts of the largest image of a TIFF.

    Raises
    ------
    EosinError
        The file is not a TIFF, or is damaged.
    """
    import tifffile

    try:
        with quiet(), path.open("rb") as handle, tifffile.TiffFile(handle) as file:
            levels = largest_image(file).levels
            page: Any = levels[0].keyframe
            sizes = dict(zip(levels[0].axes, levels[0].shape))
            facts = TiffFacts(
                (page.imagewidth, page.imagelength),
                max(levels[0].nbytes, 3 * page.imagewidth * page.imagelength),
                max(_tile_bytes(level.keyframe) for level in levels),
                page.is_tiled,
                len(levels),
                scale_of_tiff(file, page),
                _oddity(page, sizes),
                sizes.get("C", 1),
                _is_planar(page),
                is_premultiplied(page),
                _orientation(page),
                page.compression.name,
                contradiction_in(file, page),
                page.samplesperpixel == 1 and sizes.get("C", 1) == 1,
                scale_by_tags(page),
                any(min(level.keyframe.databytecounts, default=1) == 0 for level in levels),
                page.samplesperpixel == 4,
                page.samplesperpixel > 1 and page.photometric.name == "MINISBLACK",
                _n_twins(file, page),
            )
    except Exception as error:  # a damaged TIFF makes its parser raise anything
        raise EosinError(f"not readable as TIFF ({error})", file=path, fix=_AGAIN) from error
    return facts


def check_facts(facts: TiffFacts, path: Path, *, whole: bool) -> None:
    """Refuse a TIFF that claims more pixels than its file can hold, or whose pixels are not 8-bit RGB or grey.

    Parameters
    ----------
    facts, path
        What `read_facts` returned for the file.
    whole
        Whether it is decoded whole.

    Raises
    ------
    EosinError
        It is refused.
    """
    if whole:
        check_size(*facts.size_px, path)
    check_claim(facts.n_bytes, path, facts.size_px, tiled=not whole)
    if facts.tile_bytes > max(3 * MAX_TILE_PIXELS, 4 * facts.n_bytes if whole else 0):
        fix = "convert it to a TIFF with tiles of 256 or 512 px"
        raise EosinError(f"claims tiles of {facts.tile_bytes:,} bytes", file=path, fix=fix)
    if facts.odd is not None:
        raise EosinError(facts.odd, file=path, fix=TO_RGB)


def open_plain(path: Path, facts: TiffFacts) -> WholeImage:
    """A TIFF that is decoded whole when first read, checked by `check_facts`."""
    check_facts(facts, path, whole=True)
    if facts.sparse:
        raise EosinError("lacks some of its strips, which would be black", file=path, fix=_AGAIN)
    if facts.codec == APERIO_YCBCR:
        raise EosinError("strips of JPEG 2000 in YCbCr, which are not read", file=path, fix=TO_RGB)
    return WholeImage(facts.size_px, lambda: _decode(path), "tifffile")


def largest_image(file: Any) -> Any:
    """The series of the largest image of an open `TiffFile`: the first may be a label or a thumbnail.

    Raises
    ------
    ValueError
        Its list of images has no end, or very many of them: tifffile would follow a circle for ever.
    """
    with contextlib.suppress(IndexError):
        file.pages[_LOOKS_BACK]  # here tifffile looks for a circle, and cuts the list there
    with contextlib.suppress(IndexError):
        file.pages[_MOST_IMAGES]
        raise ValueError(f"lists over {_MOST_IMAGES:,} images")
    return max(file.series, key=lambda series: series.keyframe.imagewidth * series.keyframe.imagelength)


def _n_twins(file: Any, page: Any) -> int:
    """How many images beside the one that is read are of its size and have colours as it has."""
    like = [one.keyframe for one in file.series if one.keyframe.shape == page.shape]
    return max(0, len(like) - 1)


def is_premultiplied(page: Any) -> bool:
    """Whether a page stores colours multiplied by their opacity (TIFF's associated alpha)."""
    return [int(kind) for kind in page.extrasamples] == [_ASSOCIATED_ALPHA]


def order_of_planes(file: Any, path: Path) -> tuple[int, int, int]:
    """Which of three grey planes are red, green and blue: by their names in OME-XML, else in their order.

    Three planes of a microscope need not be colours: names that say something else are told in a warning.
    """
    names = re.findall(r'<(?:\w+:)?Channel\b[^>]*?\bName="([^"]*)"', file.ome_metadata or "")[:3]
    colours = [name.strip().lower()[:1] if name.strip().lower() in _COLOURS else "" for name in names]
    if sorted(colours) == ["b", "g", "r"]:
        return colours.index("r"), colours.index("g"), colours.index("b")
    if any(names):
        _warn_of_planes(path, ", ".join(names)[:80])
    return 0, 1, 2


@functools.lru_cache(maxsize=1024)
def _warn_of_planes(path: Path, names: str) -> None:
    _LOG.warning("%s: three grey planes called %s are taken for red, green and blue", path, names)


def _is_planar(page: Any) -> bool:
    return page.samplesperpixel > 1 and int(page.planarconfig) == _PLANAR


def _orientation(page: Any) -> int:
    tag = page.tags.get("Orientation")
    return 1 if tag is None else int(tag.value)


def _oddity(page: Any, sizes: dict[str, int]) -> str | None:
    """Why the stored numbers of an image are not 8-bit RGB or grey; None where they are.

    tifffile returns numbers as they are stored, and converts only the colours of JPEG.
    """
    if page.dtype != np.uint8:
        return f"pixels of type {page.dtype}, not 8-bit"
    colours, stored = page.photometric.name, page.compression.name
    if not (colours in ("RGB", "MINISBLACK") or (colours == "YCBCR" and stored.endswith(("JPEG", APERIO_YCBCR)))):
        return f"colours stored as {colours}, not as RGB"
    n_channels = sizes.get("C", 1) * sizes.get("S", 1)
    if n_channels not in (1, 3) and not (n_channels == 4 and colours == "RGB" and page.extrasamples):
        return f"{n_channels} channels, not an RGB image"
    if any(n > 1 for axis, n in sizes.items() if axis not in "YXCS"):
        return f"a stack of images ({' x '.join(map(str, sizes.values()))}), not one"
    return None


def _tile_bytes(page: Any) -> int:
    """Size of one tile, decoded; 0 for strips, which are no larger than the image."""
    if not page.is_tiled:
        return 0
    return int(np.prod([int(n) for n in page.chunks], dtype=object)) * page.dtype.itemsize


def _decode(path: Path) -> np.ndarray:
    import tifffile

    try:
        with quiet(), path.open("rb") as handle, tifffile.TiffFile(handle) as file:
            level: Any = largest_image(file).levels[0]
            pixels, axes, premultiplied = level.asarray(), level.axes, is_premultiplied(level.keyframe)
            if axes == "CYX" and len(pixels) == 3:
                pixels = pixels[list(order_of_planes(file, path))]
    except Exception as error:  # decoders raise anything on damaged strips
        raise EosinError(f"cannot be decoded ({error})", file=path, fix=_AGAIN) from error
    if axes in ("CYX", "SYX"):
        pixels = np.moveaxis(pixels, 0, -1)
    return check_opacity(pixels, path, premultiplied=premultiplied)
