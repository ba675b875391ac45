"""Whether an image says the scale that the positions on it were told: else it may be a larger or smaller copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from eosin.errors import EosinError
from eosin.types import Image

_TOLERANCE = 0.1
"""A difference to be said."""
_PLAIN, _MOST = 0.02, 16
"""How near to a whole multiple, or a whole part, a ratio must be, and the largest."""


def own_scale(image: Image, xy_um: np.ndarray, *, is_that_of_positions: bool = True) -> tuple[Image, list[str]]:
    """The image at the scale that holds for it, and a note where its file says another than its positions have.

    Where the image may be another than that of the positions and is a plain multiple of it by its file (twice as large
    at half the scale), the places tell: on one of the two the spots would be off the image.

    Parameters
    ----------
    image
        At the scale of the positions.
    xy_um
        Centres of the spots [s 2].
    is_that_of_positions
        Whether the positions are known to be pixels of this image, since `--mpp` or its size say so.

    Raises
    ------
    EosinError
        By its file the image is a multiple of the picture of the positions, and the spots would lie on both.
    """
    told = _stated(image.path)
    if told is None or abs(told[0] / image.mpp - 1) <= _TOLERANCE:
        return image, []
    own, size_px = told
    ratio = image.mpp / own
    plain = max(1.0, round(ratio)) if ratio > 1 else 1 / max(1.0, round(1 / ratio))
    differs = f"{image.path.name} says {own:.4g} µm/px, {image.mpp:.4g} is used"
    is_plain = plain != 1 and 1 / _MOST <= plain <= _MOST and abs(ratio / plain - 1) <= _PLAIN
    if is_that_of_positions or not is_plain or not len(xy_um):
        return image, [f"{differs}: check that they are of one image"]
    on_it, on_copy = (bool((xy_um <= np.array(size_px) * mpp).all()) for mpp in (image.mpp, image.mpp / plain))
    times = f"{plain:g} x" if plain > 1 else f"1/{1 / plain:g} of"
    if on_it and on_copy:
        says = f"says {own:.4g} µm per pixel, the positions are of {image.mpp:.4g}: is it {times} their picture?"
        raise EosinError(says, file=image.path, fix=f"give their picture, or --mpp {image.mpp:.4g} if this is it")
    if not on_copy:
        return image, [f"{differs}: at its own the spots would be off it"]
    return replace(image, mpp=image.mpp / plain), [
        f"{image.path.name} says {own:.4g} µm/px and is {times} the picture of the positions ({image.mpp:.4g}): scaled"
    ]


def _stated(path: Path) -> tuple[float, tuple[int, int]] | None:
    """What an image says of its scale, and its size in px; None where it says nothing plausible, or does not open."""
    from eosin.slide import scale_of, size_px_of  # image libraries load only where a file is asked

    try:
        own = scale_of(path)
        return None if own is None else (own, size_px_of(path))
    except EosinError:
        return None  # whoever encodes it says what is wrong with it
