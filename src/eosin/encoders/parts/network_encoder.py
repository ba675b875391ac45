"""Encoders with weights: a frozen network over one field of view or several."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from eosin.encoders.base import Encoder, EncoderCard, View
from eosin.encoders.parts.network import Network


class NetworkEncoder(Encoder):
    """A frozen network; the features of several fields of view are concatenated.

    Parameters
    ----------
    card
        Name, licence and preprocessing; `width` counts the features of all views.
    network
        The network with its weights and normalisation.
    views
        Its windows, all of one size in pixels.
    weights
        Text that identifies the weights: a hash of their file.
    spec
        The text from which `get_encoder` makes the same encoder.
    pooling, padding
        Further choices that the numbers depend on; None where the kind of encoder has no such choice.
    """

    def __init__(
        self,
        card: EncoderCard,
        network: Network,
        *,
        views: Sequence[View],
        weights: str,
        spec: str,
        pooling: str | None = None,
        padding: str | None = None,
    ):
        self.card, self.views, self.spec = card, tuple(views), spec
        self._network, self._weights = network, weights
        self._pooling, self._padding = pooling, padding

    @property
    def key(self) -> str:
        """Weights, windows, normalisation, precision, and the major version of timm."""
        import timm

        parts = {
            "weights": self._weights,
            "views": ",".join(map(str, self.views)),
            "pooling": self._pooling,
            "mean": ",".join(f"{m:.9g}" for m in self._network.mean),
            "std": ",".join(f"{s:.9g}" for s in self._network.std),
            "precision": self._network.precision,
            "pad": self._padding,
            "resize": "bicubic",
            "timm": timm.__version__.split(".")[0],
        }
        written = ";".join(f"{name}={value}" for name, value in parts.items() if value is not None)
        return f"{self.card.name};{written}"

    def to(self, device: torch.device | str) -> NetworkEncoder:
        """Move the network to `device` and return the encoder."""
        self._network.to(device)
        return super().to(device)

    def encode(self, tiles: Sequence[Tensor]) -> Tensor:
        """Features of the tiles, float32 [b f]."""
        self.check_tiles(tiles)
        return self._network.features(tiles)
