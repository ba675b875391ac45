"""The convolutional stem of CTransPath, which replaces the division into patches of a Swin transformer.

Three convolutions reduce the image to a quarter of its resolution, as in Xiao et al. (Early convolutions help
transformers see better, NeurIPS 2021) and Wang et al. (Medical Image Analysis 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class ConvStem(nn.Module):
    """Images [b 3 px px] -> tokens [b px/4 px/4 d], in place of timm's `PatchEmbed`.

    Parameters
    ----------
    img_size
        Sides of the image, pixels; one number if they are equal.
    embed_dim
        Length of a token, d; the layers in between have d/8 and d/4 channels.
    norm_layer
        Makes the norm of the tokens.
    others
        Further arguments that timm passes to every stem; ignored.
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
        """Tokens [b px/4 px/4 d] of images [b 3 px px]."""
        return self.norm(self.proj(images).permute(0, 2, 3, 1))
