"""How the output of a network becomes one vector per window: class token, class and mean, mean of a map, attention."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Pooling(nn.Module, ABC):
    """Interface of poolings: from the output of a network [b ...] to one vector per window [b f]."""

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """One vector per window [b f]."""


class ClassToken(Pooling):
    """The class token, which is the first token in most vision transformers."""

    def forward(self, features: Tensor) -> Tensor:
        """Tokens [b n d] -> [b d]."""
        return features[:, 0]


class ClassAndMean(Pooling):
    """The class token and the mean of the patch tokens, concatenated (Virchow; Vorontsov et al. 2024).

    Parameters
    ----------
    n_prefix
        Tokens before the patches: the class token and the registers, which are left out of the mean.
    """

    def __init__(self, n_prefix: int):
        super().__init__()
        self.n_prefix = n_prefix

    def forward(self, features: Tensor) -> Tensor:
        """Tokens [b n d] -> [b 2d]."""
        return torch.cat([features[:, 0], features[:, self.n_prefix :].mean(1)], 1)


class MapMean(Pooling):
    """Mean over the positions of a map of features.

    Parameters
    ----------
    axes
        The two axes of the map: (2, 3) of a convolutional network's [b c h w], (1, 2) of a Swin's [b h w c].
    """

    def __init__(self, axes: tuple[int, int]):
        super().__init__()
        self.axes = axes

    def forward(self, features: Tensor) -> Tensor:
        """Map [b c h w] or [b h w c] -> [b c]."""
        return features.mean(self.axes)


class AttentionPool(Pooling):
    """One learned query that attends to all tokens, then a norm (contrastive captioner; Yu et al. 2022, and CONCH).

    Parameters
    ----------
    width
        Length of the vector, f.
    context
        Length of a token, d.
    n_heads
        Number of heads.
    bias
        Whether the linear maps have biases.
    """

    def __init__(self, width: int, context: int, *, n_heads: int = 8, bias: bool = True):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, width))
        self.ln_q, self.ln_k, self.norm = nn.LayerNorm(width), nn.LayerNorm(context), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, n_heads, bias=bias, kdim=context, vdim=context, batch_first=True)

    def forward(self, features: Tensor) -> Tensor:
        """Tokens [b n d] -> [b f]."""
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
"""By name on a card: `POOLINGS[name](network, width of the vector)` makes the pooling."""
