"""STFlow's denoiser: E(2)-invariant local attention (Huang et al. 2025, section 3.3, equations 4 to 9).

Written to be fast and exactly equal to the literal formulas of `tests/reference/stflow_literal.py`:

- The first linear map of the attention's MLP acts on [q_i, k_j, e_ij, y_j - y_i]. It is split by its columns:
  what depends on i or on j alone is projected once per spot, then gathered and added (equation 7).
- Frame averages are taken before the second linear map of the edge MLP, which commutes with them (equation 6).
- Edge features depend on neither time nor expression: at inference they are computed once for all steps.
- Spots go through in chunks, so that `[s, n, heads, wide]` never exists for a whole section.
- On the CPU what happens at an edge is compiled (`edge_ops`, and at inference the whole layer: `stflow_compiled`).

Where the paper is silent this follows the authors' release: SwiGLU blocks with a LayerNorm between the two
linear maps, the uncentred distance as third edge input, no norm before the feed-forward map, dropout at the end
of each block. One difference: that dropout acts on the frame average, not on each frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eosin.errors import EosinError
from eosin.geometry import local_frames, neighbours
from eosin.models.stflow.edge_ops import (
    Dropout,
    GatedMLP,
    Neighbourhood,
    attention_logits,
    frame_average,
    is_compiled,
    mix,
    softmax,
)
from eosin.models.stflow.stflow_compiled import CompiledLayer
from eosin.parallel import each
from eosin.row_blocks import row_blocks
from eosin.types import Batch

_CHUNK_EDGES = 4096
"""Edges (times draws) of the spots that a thread takes at once at inference."""

_KEPT_EDGES = 65_536
"""Edges whose inner values training keeps for the way back (about 2.5 GB as published); above, it recomputes."""


@dataclass
class Geometry:
    """What the denoiser needs of a batch of spots, as tensors on its device.

    Attributes
    ----------
    features
        [s f] the spots' image features.
    index, valid
        [s n] neighbours' rows and which of them exist; `valid` is None when all do.
    edges
        [s n 3] offsets along the neighbourhood's two axes, and the distance.
    """

    features: Tensor
    index: Tensor
    valid: Tensor | None
    edges: Tensor
    edge_states: Tensor | None = None  # [layers s n e/2], filled by `Denoiser.precompute`
    embedded: Tensor | None = None  # [s d] image part of the first state, likewise
    buffers: dict[str, Tensor] = field(default_factory=dict)
    parts: dict[tuple[int, int], Neighbourhood] = field(default_factory=dict)

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory that all layers and steps share: fresh pages cost more here than the arithmetic on them."""
        known = self.buffers.get(name)
        if known is None or known.shape != shape or known.dtype != like.dtype:
            self.buffers[name] = known = _large(shape, like)
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


class SpatialLayer(nn.Module):
    """One layer: attention to the neighbours, feed-forward, and an updated guess of the expression."""

    def __init__(self, width: int, edge_width: int, n_heads: int, n_genes: int, dropout: float, *, use_edges: bool):
        super().__init__()
        self.n_heads, self.use_edges = n_heads, use_edges
        self.head_width = width // n_heads
        self.edge_head_width = edge_width // n_heads if use_edges else 0
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.edge = GatedMLP(3, edge_width, edge_width, dropout) if use_edges else None
        self.attention = GatedMLP(2 * self.head_width + self.edge_head_width + n_genes, width, 1, dropout)
        self.attention_dropout = Dropout(dropout)
        self.out = GatedMLP(width + (edge_width if use_edges else 0), width, width, dropout)
        self.feed_forward = GatedMLP(width, 4 * width, width, dropout)
        self.head = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.LayerNorm(width),
            Dropout(dropout),
            nn.Linear(width, n_genes),
            Dropout(dropout),
        )

    def forward(self, h: Tensor, y: Tensor, geometry: Geometry, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Update node states h [k s d] and expression y [k s g]; k of either may be 1. At inference both may be
        overwritten.
        """
        chunks = geometry.chunks(max(len(h), len(y)))
        if not torch.is_grad_enabled() and is_compiled(h, y, self.qkv.weight):
            if state is None and self.edge is not None:
                state = frame_average(self.edge, geometry.edges)
            return CompiledLayer(self)(h, y, geometry, state, chunks)
        beside, v = self._beside(h, y)
        given = h, y, beside, v, geometry, state
        if len(chunks) == 1:
            return self._rows(chunks[0], *given)
        if torch.is_grad_enabled():  # inner values of a chunk are computed again on the way back
            done = [checkpoint(self._rows, rows, *given, use_reentrant=False) for rows in chunks]
        else:
            done = [self._rows(rows, *given) for rows in chunks]
        return torch.cat([new_h for new_h, _ in done], 1), torch.cat([new_y for _, new_y in done], 1)

    def _beside(self, h: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Each spot as a neighbour: its part of the attention's first map (columns of k_j and y_j), and its value."""
        width = h.shape[-1]
        key, v = F.linear(self.norm(h), self.qkv.weight[width:], self.qkv.bias[width:]).chunk(2, dim=-1)
        _, to_key, _, to_y = self.columns()
        key, v = (x.unflatten(-1, (self.n_heads, -1)) for x in (key, v))
        return key @ to_key.T + (y @ to_y.T)[..., None, :], v  # [k c H hidden], [k c H d/H]

    def _centre(self, h: Tensor, y: Tensor) -> Tensor:
        """Each spot as a centre (columns of q_i and of -y_i, and the bias): [k c H hidden]."""
        width = h.shape[-1]
        q = F.linear(self.norm(h), self.qkv.weight[:width], self.qkv.bias[:width])
        to_q, _, _, to_y = self.columns()
        own = self.attention.fc1.bias - y @ to_y.T
        return q.unflatten(-1, (self.n_heads, -1)) @ to_q.T + own[..., None, :]

    def columns(self) -> tuple[Tensor, ...]:
        """The attention's first weight, split into what acts on q_i, k_j, e_ij and y_j - y_i."""
        weight = self.attention.fc1.weight
        widths = [self.head_width, self.head_width, self.edge_head_width]
        return weight.split([*widths, weight.shape[1] - sum(widths)], dim=1)

    def _rows(
        self, rows: slice, h: Tensor, y: Tensor, beside: Tensor, v: Tensor, geometry: Geometry, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The layer for some spots, given what it needs of all spots."""
        near = geometry.near(rows)
        valid = None if geometry.valid is None else geometry.valid[rows]
        e = along = None
        if self.edge is not None:
            own = frame_average(self.edge, geometry.edges[rows]) if state is None else state[rows]
            e = self.edge.dropout(self.edge.fc2(own)).unflatten(-1, (self.n_heads, -1))  # [c n H e]
            along = e @ self.columns()[2].T  # [c n H hidden]
        logits = attention_logits(self.attention, along, beside, self._centre(h[:, rows], y[:, rows]), near)
        share = self.attention_dropout(softmax(logits, valid))
        new_h = h[:, rows] + self.out(mix(share, v, e, near))  # [k c d]
        new_h = new_h + self.feed_forward(new_h)
        return new_h, self.head(new_h)


def _large(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Memory for a large result; NumPy asks the system for large pages, which torch does not."""
    if not is_compiled(like):
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, np.float32))


def _in_turn(function: Callable[[slice], None], chunks: list[slice]) -> None:
    for rows in chunks:
        function(rows)


class Denoiser(nn.Module):
    """f(features, geometry, Y_t, t) -> expression at t = 1 (equation 2), a mean over the layers' guesses."""

    def __init__(
        self,
        n_features: int,
        n_genes: int,
        *,
        width: int,
        edge_width: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        n_neighbours: int = 8,
        use_edges: bool = True,
        absolute: bool = False,
        include_ties: bool = False,
        length_um: float = 100.0,
        min_gap: float = 0.01,
        start_at_zero: bool = False,
    ):
        super().__init__()
        if width % n_heads or edge_width % n_heads:
            raise EosinError(
                f"{n_heads} heads do not divide widths {width} and {edge_width}", fix="choose --model.n-heads that does"
            )
        self.n_neighbours, self.include_ties = n_neighbours, include_ties
        self.length_um, self.min_gap = length_um, min_gap
        self.embed = nn.Linear(n_features, width)
        self.embed_time = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.embed_expression = nn.Linear(n_genes, width) if absolute else None
        self.layers = nn.ModuleList(
            SpatialLayer(width, edge_width, n_heads, n_genes, dropout, use_edges=use_edges) for _ in range(n_layers)
        )
        self.use_edges = use_edges
        if start_at_zero:
            for layer in self.layers:
                nn.init.zeros_(layer.head[4].weight)
                nn.init.zeros_(layer.head[4].bias)

    def geometry(self, batch: Batch, features: Tensor) -> Geometry:
        """Neighbours and frames of a batch as tensors beside its features [s f]."""
        near = neighbours(batch.xy_um, self.n_neighbours, starts=batch.starts, include_ties=self.include_ties)
        _keep_pages()
        frames = local_frames(batch.xy_um, near, unit_um=self.length_um, min_gap=self.min_gap)
        edges = np.concatenate([frames.along, frames.distance[..., None]], axis=-1)
        index, valid, edges = (torch.from_numpy(x).to(features.device) for x in (near.index, near.valid, edges))
        return Geometry(features, index, None if near.valid.all() else valid, edges)

    def precompute(self, geometry: Geometry) -> Geometry:
        """Edge states of every layer, once for all steps and draws; for inference only."""
        if geometry.embedded is None:
            geometry.embedded = self.embed(geometry.features)
        if self.use_edges and geometry.edge_states is None:
            half = self.layers[0].edge.fc2.in_features
            shape = (len(self.layers), *geometry.edges.shape[:2], half)
            edge_states = geometry.edge_states = _large(shape, geometry.edges)
            for layer, states in zip(self.layers, edge_states):

                def fill(rows: slice, layer: nn.Module = layer, states: Tensor = states) -> None:
                    states[rows] = frame_average(layer.edge, geometry.edges[rows])

                (each if states.device.type == "cpu" else _in_turn)(fill, geometry.chunks())
        return geometry

    def forward(self, geometry: Geometry, y: Tensor, t: Tensor) -> Tensor:
        """Denoise y [k s g] at times t ([s], one per spot, or [1]) to [k s g]."""
        image = self.embed(geometry.features) if geometry.embedded is None else geometry.embedded
        time = self.embed_time(time_features(t))
        if torch.is_grad_enabled():
            h = (image + time)[None]  # [1 s d]
        else:  # layers write into h and y
            h = torch.add(image, time, out=geometry.buffer("h", tuple(image.shape), image))[None]
        if self.embed_expression is not None:
            h = h + self.embed_expression(y)
        states, total = geometry.edge_states, torch.zeros_like(y)
        if not torch.is_grad_enabled():
            y = geometry.buffer("y", tuple(y.shape), y).copy_(y)
        for number, layer in enumerate(self.layers):
            h, y = layer(h, y, geometry, None if states is None else states[number])
            total += y
        return total.div_(len(self.layers))


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
