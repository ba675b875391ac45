"""From a slide to features: tiles are read ahead, encoded on the devices, and written to the journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from eosin.encoders.base import Encoder
from eosin.errors import EosinError
from eosin.features.devices import in_order
from eosin.features.journal import Journal
from eosin.features.read_ahead import READERS, Tiles, read_ahead
from eosin.features.turns import turn
from eosin.progress import task
from eosin.slide import Slide, reading_order
from eosin.types import Spots

_MOST_UNREADABLE = 256
"""If none of the first tiles, this many, can be read, encoding stops: the fault is the slide's, not a tile's."""


@dataclass(frozen=True)
class Encoded:
    """Features of a section's tiles.

    Attributes
    ----------
    values
        float32 [s w f] for w symmetries of the tile; 0 where it cannot be read.
    readable
        bool [s].
    problem
        Why the first tile that was unreadable in this run could not be read; None where there was none.
    """

    values: np.ndarray
    readable: np.ndarray
    problem: EosinError | None


def encode_tiles(
    label: str,
    slide: Slide,
    spots: Spots,
    encoders: Sequence[Encoder],
    *,
    ways: Sequence[str],
    batch: int,
    journal: Journal | None = None,
    readers: int = READERS,
) -> Encoded:
    """Features of the tiles around all spots, in the order of the spots.

    Tiles are read in the order of `eosin.slide.reading_order`. Memory holds the features of all spots and the pixels of
    a few batches.

    Parameters
    ----------
    label
        Name of the section, for the progress.
    slide, spots
        What to encode.
    encoders
        Copies of one encoder, each on its device.
    ways
        Symmetries (w) under which each tile is encoded (`eosin.features.turns`).
    batch
        Spots per call of an encoder.
    journal
        Holds the rows of an earlier, interrupted run; new rows are added.
    readers
        Number of threads that read and resize tiles.

    Raises
    ------
    EosinError
        None of the first tiles can be read, or the journal cannot be written.
    """
    encoder = encoders[0]
    values = np.zeros((len(spots), len(ways), encoder.n_features), np.float32)
    readable = np.ones(len(spots), bool)
    order = reading_order(spots.xy_um, slide.mpp)
    done = 0 if journal is None else journal.recover(values, readable, order)
    problem = None
    pinned = encoder.device.type == "cuda"
    tiles = read_ahead(slide, spots.xy_um[order], encoder.views, batch, start=done, pinned=pinned, readers=readers)
    with closing(tiles), task(f"encode {label}", len(spots) - done, "tiles") as tick:
        for read, encoded in in_order(tiles, [_worker(replica, ways) for replica in encoders]):
            stop = read.start + len(encoded)
            rows = order[read.start : stop]
            values[rows], readable[rows], problem = encoded, read.readable, problem or read.problem
            if problem is not None and stop >= min(_MOST_UNREADABLE, len(spots)) and not readable[order[:stop]].any():
                raise problem
            if journal is not None:
                journal.append(read.start, encoded, read.readable)
            tick(len(encoded))
    return Encoded(values, readable, problem)


def _worker(encoder: Encoder, ways: Sequence[str]) -> Callable[[Tiles], tuple[Tiles, np.ndarray]]:
    """A function from tiles to the same without their windows, and features float32 [b w f]."""

    def work(read: Tiles) -> tuple[Tiles, np.ndarray]:
        with torch.inference_mode():
            parts = [encoder.encode(turn(read.windows, way)).cpu().numpy() for way in ways]
        values = np.stack(parts, 1).astype(np.float32, copy=False)  # [b w f]
        values[~read.readable] = 0
        return Tiles(read.start, [], read.readable, read.problem), values

    return work
