"""Transformer blocks over spots: attention within each part of a batch, or within small sets of equal size.

Who attends to whom is a part handed in (`within_parts`, `within_sets`); PyTorch's fused attention does the rest, so
that memory is linear in spots where all of a part attend to one another (time is not).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]  # queries, keys, values [... h n d] -> [... h n d]


def within_parts(starts: Sequence[int]) -> Mix:
    """All spots of a part attend to one another; parts stand one after another along the third axis [1 h s d]."""

    def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.cat(
            [scaled_dot_product_attention(q[:, :, a:b], k[:, :, a:b], v[:, :, a:b]) for a, b in pairwise(starts)], dim=2
        )

    return mix


def within_sets(bias: Tensor) -> Mix:
    """Members of each set attend to one another [s h n d]; `bias` is added to the logits, -inf hides a member."""

    def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, attn_mask=bias)

    return mix


class Block(nn.Module):
    """Norm, attention, norm, feed-forward, each added to what came in.

    Parameters
    ----------
    norm_context
        Normalise what a block attends to, too, by the norm of the asking side; else only the asking side is normalised.
    ratio
        Width of the feed-forward layer in widths.
    head_width
        Width of a head; by default the heads share the width.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        ratio: float,
        dropout: float,
        head_width: int | None = None,
        *,
        norm_context: bool = False,
    ):
        super().__init__()
        self.norm_context = norm_context
        self.n_heads, inner = n_heads, n_heads * (head_width or width // n_heads)
        self.norm = nn.LayerNorm(width)
        self.queries = nn.Linear(width, inner, bias=False)
        self.keys_values = nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Sequential(nn.Linear(inner, width), nn.Dropout(dropout))
        wide = int(width * ratio)
        self.feed = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, wide),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(wide, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, mix: Mix, context: Tensor | None = None) -> Tensor:
        """x [b n w] after attending to itself, or to `context` [b m w]."""
        normed = self.norm(x)
        q = self._split(self.queries(normed))
        if context is None:
            context = normed
        elif self.norm_context:
            context = self.norm(context)
        k, v = self.keys_values(context).chunk(2, dim=-1)
        mixed = mix(q, self._split(k), self._split(v))
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.feed(x)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)  # [b n w] -> [b h n d]
