"""Thumbnails of images, for how records show themselves in a notebook."""

from __future__ import annotations

from eosin.errors import EosinError
from eosin.slide.jpeg import THUMBNAIL_PX, jpeg
from eosin.slide.opening import BY_DATA, open_slide
from eosin.types import Image


def thumbnail_of(image: Image) -> bytes | None:
    """A JPEG of the whole image, at most 160 pixels wide and high; None where it cannot be read."""
    try:
        with open_slide(image.path, mpp=image.mpp, told_by=BY_DATA) as slide:
            return jpeg(slide.thumbnail(THUMBNAIL_PX)[0])
    except (EosinError, OSError):
        return None
