"""STFlow's denoiser: E(2)-invariant local attention (Huang et al. 2025, section 3.3, equations 4 to 9).

Written to be fast and exactly equal to the literal formulas of `tests/reference/stflow_literal.py`:

- The first linear map of the attention's MLP acts on [q_i, k_j, e_ij, y_j - y_i]. It is split by its columns:
  what depends on i or on j alone is projected once per spot, then gathered and added (equation 7).
- Frame averages are taken before the second linear map of the edge MLP, which commutes with them (equation 6).
- Edge features depend on neither time nor expression: at inference they are computed once for all steps.
- Spots go through in chunks, so that `[s, n, heads, wide]` never exists for a whole section.
- On the CPU what happens at an edge is compiled (`edge_ops.py`, and at inference the whole layer, which is
  `stflow_compiled.py` in the place of `spatial_layer.py`).

Where the paper is silent this follows the authors' release: SwiGLU blocks with a LayerNorm between the two
linear maps, the uncentred distance as third edge input, no norm before the feed-forward map, dropout at the end
of each block. One difference: that dropout acts on the frame average, not on each frame.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from eosin.config import Settings
from eosin.errors import EosinError
from eosin.geometry import local_frames, neighbours
from eosin.models.parts.pieces import Hop
from eosin.models.stflow.edge_geometry import EdgeGeometry, large_memory
from eosin.models.stflow.edge_ops import frame_average, is_compiled
from eosin.models.stflow.spatial_layer import SpatialLayer
from eosin.models.stflow.stflow_compiled import CompiledLayer
from eosin.parallel import each
from eosin.types import Batch


class STFlowNetwork(Settings, ABC):
    """What the denoiser can be set to."""

    n_layers: int = Field(2, ge=1, description="attention layers; each widens the context by one ring of neighbours")
    width: int = Field(64, ge=8, description="width of a spot's state")
    edge_width: int = Field(64, ge=8, description="width of a neighbour relation's state")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide both widths")
    n_neighbours: int = Field(8, ge=1, description="nearest spots that a spot attends to")
    reach_um: float | None = Field(
        None, gt=0, description="a spot further away than this, µm, is no neighbour; without it however far"
    )
    include_ties: bool = Field(False, description="attend to all spots as near as the last one, not to some of them")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate in every block")
    length_um: float = Field(100.0, gt=0, description="µm that count as 1 in the geometry")
    min_gap: float = Field(0.01, ge=0, le=1, description="smallest relative eigenvalue gap at which axes are trusted")
    frame_averaging: bool = Field(True, description="False removes the geometry (the paper's 'w/o FA')")
    absolute_expression: bool = Field(True, description="also feed Y_t itself to each spot, not only differences")


def _in_turn(function: Callable[[slice], None], chunks: list[slice]) -> None:
    for rows in chunks:
        function(rows)


class Denoiser(nn.Module):
    """f(features, geometry, Y_t, t) -> expression at t = 1 (equation 2), a mean over the layers' guesses."""

    def __init__(self, n_features: int, n_genes: int, settings: STFlowNetwork):
        super().__init__()
        s = self.settings = settings
        if s.width % s.n_heads or s.edge_width % s.n_heads:
            raise EosinError(
                f"{s.n_heads} heads do not divide widths {s.width} and {s.edge_width}",
                fix="choose --model.n-heads that does",
            )
        self.embed = nn.Linear(n_features, s.width)
        self.embed_time = nn.Sequential(nn.Linear(256, s.width), nn.SiLU(), nn.Linear(s.width, s.width))
        self.embed_expression = nn.Linear(n_genes, s.width) if s.absolute_expression else None
        shape = s.width, s.edge_width, s.n_heads, n_genes, s.dropout
        self.layers = nn.ModuleList(SpatialLayer(*shape, use_edges=s.frame_averaging) for _ in range(s.n_layers))

    @property
    def heads(self) -> list[nn.Linear]:
        """What makes each layer's change of the expression."""
        return [layer.head[4] for layer in self.layers]

    @property
    def hops(self) -> tuple[Hop, ...]:
        """One to the neighbours for each layer."""
        s = self.settings
        return (Hop(s.n_neighbours, s.include_ties, s.reach_um),) * s.n_layers

    def geometry(self, batch: Batch, features: Tensor) -> EdgeGeometry:
        """Neighbours and frames of a batch as tensors beside its features [s f]."""
        s = self.settings
        near = neighbours(
            batch.xy_um, s.n_neighbours, starts=batch.starts, include_ties=s.include_ties, reach_um=s.reach_um
        )
        _keep_pages()
        frames = local_frames(batch.xy_um, near, unit_um=s.length_um, min_gap=s.min_gap)
        edges = np.concatenate([frames.along, frames.distance[..., None]], axis=-1)
        index, valid, edges = (torch.from_numpy(x).to(features.device) for x in (near.index, near.valid, edges))
        return EdgeGeometry(features, index, None if near.valid.all() else valid, edges)

    def precompute(self, geometry: EdgeGeometry) -> EdgeGeometry:
        """Edge states of every layer, once for all steps and draws; for inference only."""
        if geometry.embedded is None:
            geometry.keep_embedded(self.embed)
        if self.settings.frame_averaging and geometry.edge_states is None:
            half = self.layers[0].edge.fc2.in_features
            shape = (len(self.layers), *geometry.edges.shape[:2], half)
            edge_states = geometry.edge_states = large_memory(shape, geometry.edges)
            for layer, states in zip(self.layers, edge_states):

                def fill(rows: slice, layer: nn.Module = layer, states: Tensor = states) -> None:
                    states[rows] = frame_average(layer.edge, geometry.edges[rows])

                (each if states.device.type == "cpu" else _in_turn)(fill, geometry.chunks())
        return geometry

    def forward(self, geometry: EdgeGeometry, y: Tensor, t: Tensor) -> Tensor:
        """Denoise y [k s g] at times t ([s], one per spot, or [1]) to [k s g]."""
        image = geometry.embedded_by(self.embed)
        time = self.embed_time(time_features(t))
        if torch.is_grad_enabled():
            h = (image + time)[None]  # [1 s d]
        else:  # layers write into h and y
            h = torch.add(image, time, out=geometry.buffer("h", tuple(image.shape), image))[None]
        if self.embed_expression is not None:
            expression = self.embed_expression(y)
            h = h + expression if torch.is_grad_enabled() else expression.add_(h)
        states, total = geometry.edge_states, torch.zeros_like(y)
        if not torch.is_grad_enabled():
            y = geometry.buffer("y", tuple(y.shape), y).copy_(y)
        for number, layer in enumerate(self.layers):
            h, y = _through(layer, h, y, geometry, None if states is None else states[number])
            total += y
        return total.div_(len(self.layers))


def _through(
    layer: SpatialLayer, h: Tensor, y: Tensor, geometry: EdgeGeometry, state: Tensor | None
) -> tuple[Tensor, Tensor]:
    """One layer the fastest way that there is here; at inference h and y may be overwritten."""
    compiled = not torch.is_grad_enabled() and is_compiled(h, y, layer.qkv.weight)
    return (CompiledLayer(layer) if compiled else layer)(h, y, geometry, state)


def _keep_pages() -> None:
    """Make the C library keep freed memory instead of returning it to the system after every operation.

    glibc raises its limits to the largest block that was ever mapped and freed, up to 32 MiB. Without this, a first
    pass over 10,000 spots spends 40 % of its time on 1.4 million page faults (measured); elsewhere it does nothing.
    """
    torch.empty(32 * 2**20 - 2**16, dtype=torch.uint8)


def time_features(t: Tensor) -> Tensor:
    """[n] -> [n 256]: cosines, then sines, of t in [0, 1] itself at frequencies 10000^(-j/128) (release)."""
    frequencies = torch.exp(-math.log(10000) / 128 * torch.arange(128, device=t.device, dtype=torch.float32))
    angle = t.float()[:, None] * frequencies
    return torch.cat([angle.cos(), angle.sin()], dim=-1)
