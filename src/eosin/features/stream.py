"""From a slide to features: tiles are read ahead, encoded on the devices, and kept as they come."""

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

_HOPELESS = 256
"""So many tiles at the beginning, none of them readable: the slide is at fault, not a tile."""


@dataclass(frozen=True)
class Encoded:
    """Features of a section's tiles.

    Attributes
    ----------
    values
        float32 [s w f]: w ways to lay a tile; 0 where it cannot be read.
    readable
        bool [s].
    problem
        What was wrong with the first tile that could not be read in this run.
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

    They are read in another order, in which neighbours follow one another. Memory holds the features of all spots and
    the pixels of a few batches.

    Parameters
    ----------
    label
        What the progress is called.
    encoders
        Replicas of one, each on its device.
    ways
        How to lay each tile (`eosin.features.turns`).
    journal
        Holds what an earlier run has done, and takes up what this one does.
    readers
        Threads that read and resize tiles.

    Raises
    ------
    EosinError
        No tile can be read.
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
        for read, made in in_order(tiles, [_worker(one, ways) for one in encoders]):
            stop = read.start + len(made)
            rows = order[read.start : stop]
            values[rows], readable[rows], problem = made, read.readable, problem or read.problem
            if problem is not None and stop >= min(_HOPELESS, len(spots)) and not readable[order[:stop]].any():
                raise problem
            if journal is not None:
                journal.append(read.start, made, read.readable)
            tick(len(made))
    return Encoded(values, readable, problem)


def _worker(encoder: Encoder, ways: Sequence[str]) -> Callable[[Tiles], tuple[Tiles, np.ndarray]]:
    def work(read: Tiles) -> tuple[Tiles, np.ndarray]:
        with torch.inference_mode():
            made = [encoder.encode(turn(read.windows, way)).cpu().numpy() for way in ways]
        made = np.stack(made, 1).astype(np.float32, copy=False)
        made[~read.readable] = 0
        return Tiles(read.start, [], read.readable, read.problem), made

    return work
