"""A layer of STFlow's denoiser by whole tensors: in training, and wherever nothing is compiled.

Spots go through in chunks, so that `[s, n, heads, wide]` never exists for a whole section. The docstring of
`stflow_net.py` says what the formulas are and how they were made fast.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from eosin.models.stflow.edge_geometry import EdgeGeometry
from eosin.models.stflow.edge_ops import Dropout, GatedMLP, attention_logits, frame_average, mix, softmax


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

    def forward(self, h: Tensor, y: Tensor, geometry: EdgeGeometry, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """New node states [k s d] and expression [k s g] from h [k s d] and y [k s g]; k of either may be 1.

        `state` [s n e/2] is this layer's of each edge, where it is kept.
        """
        chunks = geometry.chunks(max(len(h), len(y)))
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
        self, rows: slice, h: Tensor, y: Tensor, beside: Tensor, v: Tensor, geometry: EdgeGeometry, state: Tensor | None
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
