"""`eosin.tissue`: the tissue of an image, and its outlines for QuPath."""

from __future__ import annotations

from pathlib import Path

from eosin.errors import EosinError
from eosin.slide import Tissue, find_tissue, open_slide, warn_of_little, write_tissue


def tissue(path: str | Path, *, out: str | Path | None = None, mpp: float | None = None) -> Tissue:
    """Find the tissue of an image; with `out`, write its outlines as GeoJSON for QuPath, and for `predict`.

    Parameters
    ----------
    path
        A slide or a bare image.
    out
        The `.geojson` to write, in pixels of full resolution.
    mpp
        µm per pixel at full resolution, for an image that does not say it.

    Raises
    ------
    EosinError
        No image, no scale, no tissue, or an `out` that is not called as GeoJSON is.

    Examples
    --------
    >>> found = eosin.tissue("data/images/A1.jpg", out="mask.geojson", mpp=2.0)
    >>> 0 < found.area_um2 < 1e6
    True
    """
    if out is not None and Path(out).suffix.lower() not in (".geojson", ".json"):
        raise EosinError("outlines are written as GeoJSON", file=out, fix="call it .geojson, so that others know it")
    with open_slide(path, mpp=mpp) as slide:
        found = find_tissue(slide)
        if not found.mask.any():
            raise EosinError("no tissue was found", file=path, fix="check the image, or draw a mask in QuPath")
        warn_of_little(slide.path.name, slide.mpp, found.area_um2)
        if out is not None:
            write_tissue(out, found, slide.mpp)
    return found
