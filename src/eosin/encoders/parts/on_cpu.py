"""A convolutional network made faster for the CPU: the same numbers to rounding, or it stays as it is.

Normalisations of a batch are frozen, so that each is a factor and a term of every channel, which go into the weights of
the convolution before it; and maps are kept channel by channel for each pixel, which the CPU's libraries prefer.
"""

from __future__ import annotations

import copy
import logging
from itertools import pairwise

import torch
from torch import Tensor, nn

_LOG = logging.getLogger("eosin")
_FEWEST_CONVOLUTIONS = 4
"""A transformer has one, and nothing to gain."""
_TOLERANCE = 1e-4


@torch.inference_mode(False)
@torch.no_grad()
def fast_on_cpu(model: nn.Module, px: int) -> nn.Module:
    """A copy that computes the same faster; the model itself where it has few convolutions, or the copy would differ.

    Parameters
    ----------
    model
        A frozen network on the CPU, in evaluation.
    px
        Side of the images on which the two are compared.
    """
    if sum(isinstance(part, nn.Conv2d) for part in model.modules()) < _FEWEST_CONVOLUTIONS:
        return model
    made = _folded(copy.deepcopy(model)).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    image = torch.randn(1, 3, px, px, generator=torch.Generator().manual_seed(0))
    known, found = model(image), made(by_pixel(image))
    if known.shape != found.shape or (found - known).abs().max() > _TOLERANCE * known.abs().max():
        _LOG.debug("the network is left as it is: folded, it computes something else")
        return model
    return made


def by_pixel(images: Tensor) -> Tensor:
    """Images [b 3 h w] whose channels of a pixel lie side by side in memory."""
    return images.contiguous(memory_format=torch.channels_last)


def _folded(model: nn.Module) -> nn.Module:
    """The model with each normalisation that follows a convolution, as modules are named, put into its weights."""
    for parent in list(model.modules()):
        for (_, before), (name, norm) in pairwise(list(parent.named_children())):
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                _fold(before, norm)
                setattr(parent, name, getattr(norm, "act", nn.Identity()))  # timm's have their activation in them
    return model


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_var is not None and norm.running_mean is not None
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    before = 0 if convolution.bias is None else convolution.bias.double()
    term = norm.bias.double() + (before - norm.running_mean.double()) * factor
    weight = convolution.weight.double() * factor[:, None, None, None]
    convolution.weight = nn.Parameter(weight.to(convolution.weight.dtype), requires_grad=False)
    convolution.bias = nn.Parameter(term.to(convolution.weight.dtype), requires_grad=False)
