"""Maps of a network's middle layers, pooled to one vector: what edges, textures and parts of cells look like.

The last layer of a network of photographs is about objects that are not in tissue; its middle layers are not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eosin.config import did_you_mean, near_names
from eosin.errors import EosinError

MapPooling = Literal["mean", "mean+sd", "gram"]
"""How a map becomes a vector: its mean over pixels, also its standard deviation, or its Gram matrix."""
_WIDEST_GRAM = 256
"""Channels; so many make 32,896 products."""


def _mean(maps: Tensor) -> Tensor:
    return maps.mean(2)


def _mean_and_sd(maps: Tensor) -> Tensor:
    return torch.cat([maps.mean(2), maps.std(2, correction=0)], 1)


def _gram(maps: Tensor) -> Tensor:
    """Means over pixels of the products of every two channels [b c(c+1)/2] (Gatys et al. 2015)."""
    n_channels = maps.shape[1]
    if n_channels > _WIDEST_GRAM:
        raise EosinError(f"a layer of {n_channels} channels has too wide a Gram matrix", fix="take an earlier layer")
    rows, columns = torch.triu_indices(n_channels, n_channels, device=maps.device)
    return (maps @ maps.transpose(1, 2) / maps.shape[2])[:, rows, columns]


_POOLINGS: dict[str, Callable[[Tensor], Tensor]] = {"mean": _mean, "mean+sd": _mean_and_sd, "gram": _gram}


class _AllSeen(Exception):
    """Every wanted layer has been computed: the rest of the network need not be."""


class MiddleLayers(nn.Module):
    """The maps of some layers of a timm network, pooled and concatenated in the order of the names.

    Parameters
    ----------
    trunk
        The network, without classifier.
    layers
        Names of its modules, as `blocks.2`; none: its last map.
    pooling
        How a map becomes a vector.

    Raises
    ------
    EosinError
        The network has no layer of a name.
    """

    def __init__(self, trunk: nn.Module, layers: Sequence[str], pooling: MapPooling):
        super().__init__()
        self.trunk, self._layers, self._pool = trunk, tuple(layers), _POOLINGS[pooling]
        self._seen: dict[int, dict[str, Any]] = {}  # by thread: windows are encoded on several at a time
        modules = dict(trunk.named_modules())
        for name in self._layers:
            if not name or name not in modules:
                fix = did_you_mean(near_names(name, modules), f"see named_modules() of {type(trunk).__name__}")
                raise EosinError(f"the network has no layer '{name}'", fix=fix)
            modules[name].register_forward_hook(partial(self._keep, name))

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images [b 3 px px] -> features [b f]."""
        return torch.cat([self._pool(self._as_map(output).float()) for output in self._outputs(images)], 1)

    def _outputs(self, images: Tensor) -> list[Any]:
        """What the layers give for images, in the order of the names."""
        if not self._layers:
            return [self.trunk.forward_features(images)]
        seen = self._seen[threading.get_ident()] = {}
        try:
            self.trunk.forward_features(images)
        except _AllSeen:
            pass
        finally:
            del self._seen[threading.get_ident()]
        if missing := [name for name in self._layers if name not in seen]:
            raise EosinError(f"layer '{missing[0]}' takes no part in the features", fix="name another layer")
        return [seen[name] for name in self._layers]

    def _keep(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        del module, inputs
        seen = self._seen[threading.get_ident()]
        seen[name] = output
        if len(seen) == len(set(self._layers)):
            raise _AllSeen

    def _as_map(self, output: Any) -> Tensor:
        """The output of a layer as [b c n]: n pixels or patches, without class token and registers."""
        if isinstance(output, Tensor) and output.ndim == 4:
            last = getattr(self.trunk, "output_fmt", "NCHW") == "NHWC"
            return (output.movedim(-1, 1) if last else output).flatten(2)
        if isinstance(output, Tensor) and output.ndim == 3:
            return output[:, getattr(self.trunk, "num_prefix_tokens", 0) :].transpose(1, 2)
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise EosinError(f"a layer gives {shape}, no map or tokens", fix="name another layer, as a block")
