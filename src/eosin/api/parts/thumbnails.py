"""Small images of slides, for pages and for the files of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eosin import data as door
from eosin.slide import open_slide
from eosin.types import Prediction


def thumbnails(predictions: Sequence[Prediction], max_px: int = 700) -> dict[str, tuple[Any, float]]:
    """A small image of each prediction's slide, and its scale in µm per pixel, by section."""
    found = {}
    for prediction in predictions:
        if prediction.image is not None and prediction.image.path.is_file():
            with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
                found[prediction.section] = slide.thumbnail(max_px)
    return found


def save_prediction(prediction: Prediction, path: str | Path, *, keep_draws: bool | None = None) -> None:
    """Write a prediction as `.h5ad` and, where the image is there, its thumbnails.

    Parameters
    ----------
    keep_draws
        Whether to write the draws; None: only where there are no error bars, whose place they take.
    """
    small = None
    if prediction.image is not None and prediction.image.path.is_file():
        with open_slide(prediction.image.path, mpp=prediction.image.mpp) as slide:
            (hires, fine), (lowres, coarse) = slide.thumbnail(1200), slide.thumbnail(400)
        small = door.Thumbnails(hires, lowres, fine, coarse)
    door.write_prediction(prediction, path, draws=keep_draws, thumbnails=small)
