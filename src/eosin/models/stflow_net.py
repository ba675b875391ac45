"""STFlow's denoiser: E(2)-invariant local attention (Huang et al. 2025, section 3.3, equations 4 to 9).

Written to be fast and exactly equal to the literal formulas of `tests/reference/stflow_literal.py`:

- The first linear map of the attention's MLP acts on [q_i, k_j, e_ij, y_j - y_i]. It is split by its columns:
  what depends on i or on j alone is projected once per spot, then gathered and added (equation 7).
- Frame averages are taken before the second linear map of the edge MLP, which commutes with them (equation 6).
- Edge features depend on neither time nor expression: at inference they are computed once for all steps.
- Spots go through in chunks, so that `[s, n, heads, wide]` only exists for a chunk that stays in cache.

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
from eosin.parallel import each
from eosin.spots import local_frames, neighbours
from eosin.types import Batch

_CHUNK_EDGES = 4096
"""Edges per chunk at inference (times draws): [4096, heads, wide] in float32 is 8 MB, about a core's cache."""

_KEPT_EDGES = 65_536
"""Edges whose inner values training keeps for the way back (about 5 GB as published); above, it recomputes."""

_SIGNS = ((1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (-1.0, 1.0, 1.0), (-1.0, -1.0, 1.0))


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
    edge_states: list[Tensor] | None = None  # per layer [s n e/2], filled by `Denoiser.precompute`
    embedded: Tensor | None = None  # [s d] image part of the first state, likewise
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def buffer(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Memory that all layers and steps share: fresh pages cost more here than the arithmetic on them."""
        known = self.buffers.get(name)
        if known is None or known.shape != shape or known.dtype != like.dtype:
            self.buffers[name] = known = like.new_empty(shape)
        return known

    @property
    def chunk(self) -> int:
        """Spots per chunk for one draw."""
        return max(_CHUNK_EDGES // max(self.index.shape[1], 1), 1)


class Dropout(nn.Module):
    """Dropout whose mask costs a byte of randomness per number instead of a draw from torch's slow generator.

    The rate is the nearest multiple of 1/256; the kept values are scaled for exactly that rate.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.dropped = round(256 * rate)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        kept = (words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped).to(x.dtype)
        return x * kept.mul_(256 / (256 - self.dropped))


class GatedMLP(nn.Module):
    """Linear, SiLU gate, dropout, LayerNorm, linear, dropout: timm's SwiGLU with a norm, which the release uses."""

    def __init__(self, n_in: int, n_hidden: int, n_out: int, dropout: float):
        super().__init__()
        self.fc1 = nn.Linear(n_in, n_hidden)
        self.norm = nn.LayerNorm(n_hidden // 2)
        self.fc2 = nn.Linear(n_hidden // 2, n_out)
        self.dropout = Dropout(dropout)

    def gate(self, hidden: Tensor) -> Tensor:
        """From the first linear map's output [..., hidden] to the gated half [..., hidden/2]."""
        u, w = hidden.chunk(2, dim=-1)
        return self.dropout(F.silu(u).mul_(w) if not torch.is_grad_enabled() else F.silu(u) * w)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.fc2(self.norm(self.gate(self.fc1(x)))))


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

    def edge_state(self, edges: Tensor) -> Tensor:
        """Frame average of the edge MLP's normalised hidden state: [s n 3] -> [s n e/2] (equation 6).

        The four frames are the signs of the first two inputs. The second linear map follows in `_edge_features`.
        """
        assert self.edge is not None
        signs = edges.new_tensor(_SIGNS)  # [4 3]
        weight = signs[:, None] * self.edge.fc1.weight  # [4 e 3]: signs move from the input into the weights
        hidden = F.linear(edges, weight.flatten(0, 1), self.edge.fc1.bias.repeat(4)).unflatten(-1, (4, -1))
        return self.edge.norm(self.edge.gate(hidden)).mean(-2)

    def forward(self, h: Tensor, y: Tensor, geometry: Geometry, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Update node states h [k s d] and expression y [k s g]; k of either may be 1."""
        k, s = max(h.shape[0], y.shape[0]), len(geometry.index)
        step = max((_KEPT_EDGES if torch.is_grad_enabled() else _CHUNK_EDGES) // (k * geometry.index.shape[1]), 1)
        chunks = [slice(a, min(a + step, s)) for a in range(0, s, step)]
        if torch.is_grad_enabled():
            return self._with_gradients(chunks, h, y, geometry)
        half = self.attention.fc1.out_features // 2
        beside = _Beside(
            geometry.buffer("gate", (k, s, self.n_heads, half), h),
            geometry.buffer("value", (k, s, self.n_heads, half), h),
            geometry.buffer("v", h.shape, h),
        )
        new_h, new_y = h.new_empty(k, *h.shape[1:]), y.new_empty(k, *y.shape[1:])

        def lay(rows: slice) -> None:
            part = self._beside(h[:, rows], y[:, rows])
            beside.gate[:, rows], beside.value[:, rows], beside.v[:, rows] = part.gate, part.value, part.v

        def attend(rows: slice) -> None:
            new_h[:, rows], new_y[:, rows] = self._rows(rows, h, y, beside, geometry, state)

        run = each if h.device.type == "cpu" else _in_turn
        run(lay, chunks)
        run(attend, chunks)
        return new_h, new_y

    def _with_gradients(self, chunks: list[slice], h: Tensor, y: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        """The same for training. Where one chunk does not hold all, each is computed again on the way back."""
        beside = self._beside(h, y)
        if len(chunks) == 1:
            return self._rows(chunks[0], h, y, beside, geometry, None)
        done = [checkpoint(self._rows, rows, h, y, beside, geometry, None, use_reentrant=False) for rows in chunks]
        return torch.cat([new_h for new_h, _ in done], 1), torch.cat([new_y for _, new_y in done], 1)

    def _beside(self, h: Tensor, y: Tensor) -> _Beside:
        """What the attention makes of each spot as a neighbour (equation 7, columns of k_j and of y_j)."""
        width = h.shape[-1]
        key, v = F.linear(self.norm(h), self.qkv.weight[width:], self.qkv.bias[width:]).chunk(2, dim=-1)
        _, to_key, _, to_y = self._columns()
        met = key.reshape(*key.shape[:-1], self.n_heads, -1) @ to_key.T + (y @ to_y.T)[..., None, :]
        gate, value = met.chunk(2, dim=-1)  # the gate's halves are kept apart, each with its heads side by side
        return _Beside(gate, value, v)

    def _centre(self, h: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The same of each spot as a centre (columns of q_i and of -y_i, and the bias): two halves [k c H hidden/2]."""
        width = h.shape[-1]
        q = F.linear(self.norm(h), self.qkv.weight[:width], self.qkv.bias[:width])
        to_q, _, _, to_y = self._columns()
        own = self.attention.fc1.bias - y @ to_y.T
        gate, value = (q.reshape(*q.shape[:-1], self.n_heads, -1) @ to_q.T + own[..., None, :]).chunk(2, dim=-1)
        return gate, value

    def _columns(self) -> tuple[Tensor, ...]:
        """The attention's first weight, split into what acts on q_i, k_j, e_ij and y_j - y_i."""
        weight = self.attention.fc1.weight
        widths = [self.head_width, self.head_width, self.edge_head_width]
        return weight.split([*widths, weight.shape[1] - sum(widths)], dim=1)

    def _rows(
        self, rows: slice, h: Tensor, y: Tensor, beside: _Beside, geometry: Geometry, state: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The layer for some spots, given what it needs of all spots."""
        index = geometry.index[rows]  # [c n]
        e = None
        if self.edge is not None:
            own = self.edge_state(geometry.edges[rows]) if state is None else state[rows]
            e = self.edge.dropout(self.edge.fc2(own)).unflatten(-1, (self.n_heads, -1))  # [c n H e]
        to_edge = self._columns()[2].chunk(2)
        centre = self._centre(h[:, rows], y[:, rows])
        gate = self._meet(beside.gate, centre[0], index, e, to_edge[0])
        value = self._meet(beside.value, centre[1], index, e, to_edge[1])
        weight = self._softmax(self._logits(gate, value), None if geometry.valid is None else geometry.valid[rows])
        message = (weight[..., None] * _gather(beside.v, index).unflatten(-1, (self.n_heads, -1))).sum(2).flatten(-2)
        if e is not None:
            around = (weight[..., None] * e).sum(2).flatten(-2)
            message = torch.cat([message, around], dim=-1)
        new_h = h[:, rows] + self.out(message)  # [k c d]
        new_h = new_h + self.feed_forward(new_h)
        return new_h, self.head(new_h)

    def _meet(self, beside: Tensor, centre: Tensor, index: Tensor, e: Tensor | None, to_edge: Tensor) -> Tensor:
        """One half of the attention's first linear map at every edge: [k c n H hidden/2]."""
        met = _gather(beside.flatten(-2), index).unflatten(-1, (self.n_heads, -1))
        if torch.is_grad_enabled():
            met = met + centre[:, :, None]
            return met if e is None else met + e @ to_edge.T
        met.add_(centre[:, :, None])
        if e is not None and met.shape[0] == 1:  # the product adds itself
            met.view(-1, met.shape[-1]).addmm_(e.reshape(-1, e.shape[-1]), to_edge.T)
        elif e is not None:
            met.add_(e @ to_edge.T)
        return met

    def _logits(self, gate: Tensor, value: Tensor) -> Tensor:
        """The rest of the attention's MLP at every edge [k c n H]; at inference the norm folds into the last map."""
        mlp = self.attention
        if torch.is_grad_enabled():
            return mlp.dropout(mlp.fc2(mlp.norm(mlp.dropout(F.silu(gate) * value)))).squeeze(-1)
        z = F.silu(gate, inplace=True).mul_(value)
        width = z.shape[-1]
        mean = z @ z.new_full((width,), 1 / width)  # products and a norm: torch's own variance is 30 times slower
        variance = torch.linalg.vector_norm(z, dim=-1).square() / width - mean.square()
        weight = mlp.fc2.weight[0] * mlp.norm.weight
        constant = mlp.fc2.weight[0] @ mlp.norm.bias + mlp.fc2.bias
        return (z @ weight - mean * weight.sum()) * torch.rsqrt(variance + mlp.norm.eps) + constant

    def _softmax(self, logits: Tensor, valid: Tensor | None) -> Tensor:
        """Over neighbours [k c n H]; a spot without neighbours gets all zeros, hence no message."""
        if valid is None:
            return self.attention_dropout(logits.softmax(2))
        exists = valid[None, :, :, None]
        logits = logits.masked_fill(~exists, torch.finfo(logits.dtype).min)
        return self.attention_dropout(logits.softmax(2) * exists)


@dataclass
class _Beside:
    """Per spot, what it is to those that attend to it: two halves of the attention's first map, and the value."""

    gate: Tensor  # [k s H hidden/2]
    value: Tensor  # [k s H hidden/2]
    v: Tensor  # [k s d]


def _in_turn(function: Callable[[slice], None], chunks: list[slice]) -> None:
    for rows in chunks:
        function(rows)


def _gather(x: Tensor, index: Tensor) -> Tensor:
    """Rows of x [k s w] at index [c n] -> [k c n w]."""
    if torch.is_grad_enabled():
        return x.index_select(1, index.flatten()).unflatten(1, index.shape)
    if x.shape[0] == 1:  # torch's embedding is five times as fast as its index_select (measured, 1 KB rows)
        return F.embedding(index, x[0])[None]
    first = torch.arange(x.shape[0], device=x.device)[:, None, None] * x.shape[1]
    return F.embedding(index + first, x.flatten(0, 1))


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
            step = max(geometry.chunk // 4, 1)
            chunks = [slice(a, a + step) for a in range(0, len(geometry.edges), step)]
            geometry.edge_states = []
            for layer in self.layers:
                half = layer.edge.fc2.in_features
                states = geometry.edges.new_empty(*geometry.edges.shape[:2], half)

                def fill(rows: slice, layer: nn.Module = layer, states: Tensor = states) -> None:
                    states[rows] = layer.edge_state(geometry.edges[rows])

                (each if states.device.type == "cpu" else _in_turn)(fill, chunks)
                geometry.edge_states.append(states)
        return geometry

    def forward(self, geometry: Geometry, y: Tensor, t: Tensor) -> Tensor:
        """Denoise y [k s g] at times t ([s], one per spot, or [1]) to [k s g]."""
        image = self.embed(geometry.features) if geometry.embedded is None else geometry.embedded
        h = (image + self.embed_time(time_features(t)))[None]  # [1 s d]
        if self.embed_expression is not None:
            h = h + self.embed_expression(y)
        total = torch.zeros_like(y)
        for number, layer in enumerate(self.layers):
            states = geometry.edge_states
            h, y = layer(h, y, geometry, None if states is None else states[number])
            total = total + y
        return total / len(self.layers)


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
