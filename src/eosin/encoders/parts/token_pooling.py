"""How the output of a network becomes one vector per window: class token, class and mean, mean of a map, attention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Pooling(nn.Module, ABC):
    """Features of a network [b ...] -> [b f]."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """One vector per window."""


class ClassToken(Pooling):
    """The first token, which gathers the window's content in most vision transformers."""

    def forward(self, features: Tensor) -> Tensor:  # [b tokens d]
        return features[:, 0]


class ClassAndMean(Pooling):
    """The first token and beside it the mean of the patches' tokens (Virchow; Vorontsov et al. 2024).

    Parameters
    ----------
    n_prefix
        Tokens before the patches: the class token and the registers, which are left out of the mean.
    """

    def __init__(self, n_prefix: int):
        super().__init__()
        self.n_prefix = n_prefix

    def forward(self, features: Tensor) -> Tensor:  # [b tokens d]
        return torch.cat([features[:, 0], features[:, self.n_prefix :].mean(1)], 1)


class MapMean(Pooling):
    """Mean over the places of a map of features.

    Parameters
    ----------
    axes
        The two axes of the map: (2, 3) of a convolutional network's [b c h w], (1, 2) of a Swin's [b h w c].
    """

    def __init__(self, axes: tuple[int, int]):
        super().__init__()
        self.axes = axes

    def forward(self, features: Tensor) -> Tensor:
        return features.mean(self.axes)


class AttentionPool(Pooling):
    """One learned query that attends to all tokens, then a norm (contrastive captioner; Yu et al. 2022, and CONCH).

    Parameters
    ----------
    width
        Length of the vector.
    context
        Length of a token.
    n_heads
        Heads of the attention.
    bias
        Whether its linear maps have biases.
    """

    def __init__(self, width: int, context: int, *, n_heads: int = 8, bias: bool = True):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, width))
        self.ln_q, self.ln_k, self.norm = nn.LayerNorm(width), nn.LayerNorm(context), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, n_heads, bias=bias, kdim=context, vdim=context, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:  # [b tokens d]
        query = self.ln_q(self.query).expand(len(features), -1, -1)  # [b 1 f]
        context = self.ln_k(features)
        return self.norm(self.attn(query, context, context, need_weights=False)[0][:, 0])


def _map_mean(trunk: nn.Module, width: int) -> MapMean:
    del width
    return MapMean((1, 2) if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else (2, 3))


POOLINGS: dict[str, Callable[[nn.Module, int], Pooling]] = {
    "class": lambda trunk, width: ClassToken(),
    "class+mean": lambda trunk, width: ClassAndMean(trunk.num_prefix_tokens),
    "mean": _map_mean,
    "attention": lambda trunk, width: AttentionPool(width, trunk.num_features),
    "attention without bias": lambda trunk, width: AttentionPool(width, trunk.num_features, bias=False),
}
"""Pooling by its name on a card: made for a network and the width of the vector."""
