"""A cheap encoder that another process can import, and that says who called it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from eosin.encoders import Encoder, EncoderCard, View


class ColumnSums(Encoder):
    """Sums of a window's columns; notes the number of the process in a folder."""

    def __init__(self, calls: Path) -> None:
        self.views, self.spec, self.calls = (View(8.0, 16),), "column-sums", calls
        self.card = EncoderCard("column-sums", "", "MIT", True, False, 16, "")

    @property
    def key(self) -> str:
        return "column-sums;1"

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        (self.calls / str(os.getpid())).touch()
        return torch.from_numpy(tiles[0].numpy()[..., 0].sum(1, dtype=np.float32))


class Dies(ColumnSums):
    """Its process is gone when the encoder meets a dark image."""

    def encode(self, tiles: Sequence[torch.Tensor]) -> torch.Tensor:
        if int(tiles[0].max()) < 50:
            os._exit(3)
        return super().encode(tiles)
