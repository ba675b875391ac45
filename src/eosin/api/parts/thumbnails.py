"""Small images of slides, for pages and for the files of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eosin import data as door
from eosin.data.h5ad import peek_h5ad
from eosin.slide import BY_DATA, is_slide, open_slide
from eosin.types import Prediction


def thumbnails(predictions: Sequence[Prediction], max_px: int = 1000) -> dict[str, tuple[Any, float]]:
    """A small image of each prediction's slide, and its scale in µm per pixel, by section."""
    found = {}
    for prediction in predictions:
        if prediction.image is not None and is_slide(prediction.image.path):
            with open_slide(prediction.image.path, mpp=prediction.image.mpp, told_by=BY_DATA) as slide:
                found[prediction.section] = slide.thumbnail(max_px)
    return found


def stored_thumbnail(path: str | Path) -> tuple[Any, float] | None:
    """The small image that lies in a prediction's `.h5ad`, and its µm per pixel; None where there is none.

    It is read at once, and is there where the slide is no longer where it was.
    """
    return peek_h5ad(path, _stored)


def thumbnail_of_file(path: str | Path, prediction: Prediction) -> tuple[Any, float] | None:
    """A small image of the slide of a prediction's `.h5ad`: the one that lies in the file, else of the slide itself."""
    return stored_thumbnail(path) or thumbnails([prediction]).get(prediction.section)


def _stored(file: Any) -> tuple[Any, float] | None:
    record, libraries = file.get("uns/eosin"), file.get("uns/spatial")
    if record is None or "mpp" not in record or libraries is None or not len(libraries):
        return None
    library = libraries[next(iter(libraries))]
    if "images/hires" not in library or "scalefactors/tissue_hires_scalef" not in library:
        return None
    image = np.asarray(library["images/hires"])
    um_per_px = float(record["mpp"][()]) / float(library["scalefactors/tissue_hires_scalef"][()])
    usable = image.ndim == 3 and image.dtype == np.uint8 and image.size and not (image == 255).all()
    return (image[..., :3], um_per_px) if usable and um_per_px > 0 else None


def save_prediction(prediction: Prediction, path: str | Path, *, keep_draws: bool | None = None) -> None:
    """Write a prediction as `.h5ad` and, where the image is there, its thumbnails.

    Parameters
    ----------
    keep_draws
        Whether to write the draws; None: only where there are no error bars, whose place they take.
    """
    small = None
    if prediction.image is not None and is_slide(prediction.image.path):
        with open_slide(prediction.image.path, mpp=prediction.image.mpp, told_by=BY_DATA) as slide:
            (hires, fine), (lowres, coarse) = slide.thumbnail(1200), slide.thumbnail(400)
        small = door.Thumbnails(hires, lowres, fine, coarse)
    door.write_prediction(prediction, path, draws=keep_draws, thumbnails=small)
