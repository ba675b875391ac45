"""ST-Net whole: an image network and a linear head, trained together on the tiles' pixels (He et al., 2020).

As published: DenseNet-121; a head that starts with weights of zero and a bias of the training mean; flips and quarter
turns in training, and a prediction that is the mean over all eight. Where eosin differs, and why:

- Adam on the mean squared error, as all learned models here (paper: SGD on the sum over a batch, lr 1e-6).
- Batch normalisation keeps its statistics: see `image_branch.py`.
- A step takes `batch_size` random spots of a region (paper: of all sections), since the engine hands out regions.
- Tiles that cross the image's border are padded (paper: dropped).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eosin.models.base import Learned, Training
from eosin.models.parts.image_branch import Backbone, PixelColumns, symmetry, turn_at_random
from eosin.types import Batch


class FineTuned(Learned):
    """Tiles -> expression; features before the pixels are not looked at; one draw.

    Parameters
    ----------
    backbone
        The image network.
    columns
        Which features are the pixels.
    n_genes
        Outputs of the head.
    batch_size
        Random spots of a region that one step takes.
    turns
        Flip and turn tiles at random in training, and average over all eight symmetries in prediction.
    """

    def __init__(self, backbone: Backbone, columns: PixelColumns, n_genes: int, *, batch_size: int, turns: bool):
        super().__init__()
        self.backbone, self.columns = backbone, columns
        self.batch_size, self.turns = batch_size, turns
        self.head = nn.Linear(backbone.width, n_genes)
        nn.init.zeros_(self.head.weight)

    @property
    def trains_on_rows(self) -> bool:
        """Tiles are looked at a region at a time."""
        return True

    @torch.no_grad()
    def observe(self, training: Training) -> None:
        """Start the network, and set the head's bias to the training mean."""
        self.columns.check(training.batch.features)
        self.backbone.observe(self.columns.some_tiles(training.batch))
        self.head.bias.copy_(torch.from_numpy(training.target.mean(0)))

    def prepare(self, batch: Batch) -> Tensor:
        """Tiles [s px px 3] of bytes."""
        return self.columns.tiles(batch)

    def loss(self, context: Tensor, target: Tensor, rng: torch.Generator) -> Tensor:
        """Mean squared error of some random spots."""
        rows = torch.randperm(len(target), generator=rng)[: self.batch_size]
        tiles = turn_at_random(context[rows], rng) if self.turns else context[rows]
        return (self._predict(tiles) - target[rows.to(target.device)]).square().mean()

    @torch.no_grad()
    def draw(self, context: Tensor, n_draws: int, rng: torch.Generator) -> Tensor:
        """[1 s g]."""
        views = [symmetry(context, number) for number in range(8)] if self.turns else [context]
        return torch.stack([self._predict(tiles) for tiles in views]).mean(0, keepdim=True).cpu()

    def _predict(self, tiles: Tensor) -> Tensor:
        """[s g] of tiles [s px px 3]; the mean over places of what the network sees, then the head."""
        return self.head(self.backbone(tiles).mean(1))
