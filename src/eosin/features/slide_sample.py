"""What an encoder must know of a slide: a sample of its windows, read once before its spots are encoded."""

from __future__ import annotations

import logging
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from eosin.encoders.base import Encoder
from eosin.features.read_ahead import READERS, read_ahead
from eosin.slide import Slide

_LOG = logging.getLogger("eosin")
_EVERY = 2
"""One in so many spots is looked at: windows of neighbours overlap."""
_AT_MOST = 500
"""Windows of a slide, at most: 75 MB of 224 px a side, and a second or two of reading."""
_BATCH = 32


def adapted(encoder: Encoder, slide: Slide, xy_um: np.ndarray, section: str) -> Encoder:
    """The encoder for a slide, see `Encoder.for_slide`; the encoder itself where it does not depend on the slide.

    Parameters
    ----------
    encoder
        The encoder.
    slide
        The open slide.
    xy_um
        Centres of the section's spots [s 2], µm.
    section
        Name of the section, for the log.

    Raises
    ------
    EosinError
        The image is decoded whole and cannot be decoded.
    """
    if not encoder.slide_views:
        return encoder
    made = encoder.for_slide(_windows(encoder, slide, xy_um[sample_of(xy_um)]))
    if made.slide_facts:
        told = ", ".join(f"{name} {value:.3g}" for name, value in made.slide_facts.items())
        _LOG.info("section '%s': of its slide, encoder '%s' takes %s", section, encoder.card.name, told)
    for note in made.slide_notes:
        _LOG.warning("section '%s': %s", section, note)
    return made


def sample_of(xy_um: np.ndarray) -> np.ndarray:
    """Rows of the spots to look at, int64: every second, from top to bottom, and no more than 500, evenly spread.

    The order of the spots does not matter, so that a section that was written in another order has the same features.

    Parameters
    ----------
    xy_um
        Centres of the spots [s 2], µm.
    """
    order = np.lexsort((xy_um[:, 0], xy_um[:, 1]))[::_EVERY]
    n = min(len(order), _AT_MOST)
    return order[np.arange(n) * len(order) // max(n, 1)]


def _windows(encoder: Encoder, slide: Slide, centres_um: np.ndarray) -> list[Tensor]:
    """The windows around points [n 2] (µm) that can be read: uint8 [m px px 3] for each of the `slide_views`."""
    views = encoder.slide_views
    kept: list[list[Tensor]] = [[torch.empty(0, view.px, view.px, 3, dtype=torch.uint8)] for view in views]
    with closing(read_ahead(slide, centres_um, views, _BATCH, readers=READERS)) as tiles:
        for read in tiles:
            for parts, windows in zip(kept, read.windows):
                parts.append(windows[torch.from_numpy(read.readable)])
    return [torch.cat(parts) for parts in kept]
