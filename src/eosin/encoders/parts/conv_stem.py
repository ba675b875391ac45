"""The convolutional stem of CTransPath, which stands in place of a Swin's cutting into patches.

Three convolutions on the way to a quarter of the resolution, as in Xiao et al. (Early convolutions help transformers
see better, NeurIPS 2021) and Wang et al. (Medical Image Analysis 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class ConvStem(nn.Module):
    """Images [b 3 px px] -> [b px/4 px/4 d], in the place of timm's `PatchEmbed`.

    Parameters
    ----------
    img_size
        Sides of the image, pixels; one number if they are equal.
    embed_dim
        Length of a token; an eighth and a quarter of it are the widths on the way.
    norm_layer
        Norm of the tokens.
    others
        What timm hands to every stem and this one does not need.
    """

    def __init__(
        self, img_size: int | tuple[int, int], embed_dim: int, norm_layer: Callable[[int], nn.Module], **others: Any
    ):
        super().__init__()
        del others
        height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
        self.grid_size = (height // 4, width // 4)
        narrow, middle = embed_dim // 8, embed_dim // 4
        self.proj = nn.Sequential(
            nn.Conv2d(3, narrow, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
            nn.Conv2d(narrow, middle, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(),
            nn.Conv2d(middle, embed_dim, 1),
        )
        self.norm = norm_layer(embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.proj(images).permute(0, 2, 3, 1))
