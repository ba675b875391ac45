"""STFlow's geometry of a batch: neighbours, offsets along local axes, and memory that all layers share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from eosin.models.parts.spot_geometry import SpotGeometry
from eosin.models.stflow.edge_ops import Neighbourhood, is_compiled
from eosin.row_blocks import row_blocks

_CHUNK_EDGES = 4096
"""Edges (times draws) of the spots that a thread takes at once at inference."""

_KEPT_EDGES = 65_536
"""Edges whose inner values training keeps for the way back (about 2.5 GB as published); above, it recomputes."""


@dataclass
class EdgeGeometry(SpotGeometry):
    """The spots of a batch, who neighbours whom, and where: tensors on the denoiser's device.

    Attributes
    ----------
    index, valid
        [s n] neighbours' rows and which of them exist; `valid` is None when all do.
    edges
        [s n 3] offsets along the neighbourhood's two axes, and the distance.
    edge_states
        [layers s n e/2] of each edge for each layer, once they are kept for all steps and draws.
    buffers, parts
        Memory, and neighbourhoods of some rows, that all layers and steps share.
    """

    index: Tensor
    valid: Tensor | None
    edges: Tensor
    edge_states: Tensor | None = None
    buffers: dict[str, Tensor] = field(default_factory=dict)
    parts: dict[tuple[int, int], Neighbourhood] = field(default_factory=dict)

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory that all layers and steps share: fresh pages cost more here than the arithmetic on them."""
        known = self.buffers.get(name)
        if known is None or known.shape != shape or known.dtype != like.dtype:
            self.buffers[name] = known = large_memory(shape, like)
        return known

    def chunks(self, k: int = 1) -> list[slice]:
        """Rows that go through a layer at once with k draws."""
        edges = _KEPT_EDGES if torch.is_grad_enabled() else _CHUNK_EDGES
        return list(row_blocks(len(self.index), budget=edges, per_row=k * max(self.index.shape[1], 1)))

    def near(self, rows: slice) -> Neighbourhood:
        """The neighbours of some rows; remembered, since every layer and step asks."""
        key = rows.start, rows.stop
        if key not in self.parts:
            self.parts[key] = Neighbourhood(self.index[rows], len(self.index))
        return self.parts[key]


def large_memory(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory for a large result; NumPy asks the system for large pages, which torch does not."""
    if not is_compiled(like):
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, np.float32))
