"""What a denoiser prepares of a batch, whatever its geometry: features, and their share of the first state."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass
class SpotGeometry(ABC):
    """The spots of a batch as tensors on the network's device; each network adds its neighbours and offsets.

    Attributes
    ----------
    features
        [s f] the network's inputs of each spot.
    embedded
        [s d] what a first map makes of the features, once it is kept for all steps and draws.
    """

    features: Tensor
    embedded: Tensor | None = field(default=None, kw_only=True)

    def keep_embedded(self, embed: nn.Module) -> None:
        """Compute `embedded` once; for inference only."""
        self.embedded = embed(self.features)

    def embedded_by(self, embed: nn.Module) -> Tensor:
        """What `embed` makes of the features [s d]; what is kept, where it is."""
        return embed(self.features) if self.embedded is None else self.embedded
