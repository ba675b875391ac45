"""Pixels as JPEG, for thumbnails in a notebook."""

from __future__ import annotations

import io

import numpy as np

THUMBNAIL_PX = 160
"""Longer side of a thumbnail."""


def jpeg(pixels: np.ndarray) -> bytes:
    """Pixels uint8 [h w 3] as JPEG."""
    from PIL import Image as Picture

    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
