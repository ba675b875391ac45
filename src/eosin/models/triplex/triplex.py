"""TRIPLEX: target, neighbour and global views of a spot, fused (Chung et al., CVPR 2024).

The network is in `triplex_net.py`, the regression around it in `regression.py`. All three views are made of frozen
features, as in STFlow's comparison. With `image_px` a trained ResNet-18 makes the target view from the spot's pixels,
as published (`image_branch.py`). Where eosin differs from the paper or its release, and why:

- Neighbours are the nearest measured spots, not 24 tiles cut around the spot: no second encoding. On a square
  lattice these are the 5 x 5 window.
- The lattice of the positional convolution comes from each section's own spacing (`eosin.geometry.lattice_positions`).
  The release rounds to 20 pixels, and keeps the grid of the first slide that it sees for all others.
- Dropout is off at inference; in the release it stays on in the global view. Attention weights have none.
- A step sees connected regions, each encoded once; the release encodes every slide anew for every 128 spots.
- The epoch is chosen on training sections (the release chooses on the test fold). The learning rate is constant.
- The default is small, and regresses what a tuned ridge leaves over; preset `paper` is the published model.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field
from torch import Tensor

from eosin.config import Settings
from eosin.errors import EosinError
from eosin.models.base import MODELS, Learned, ModelEntry
from eosin.models.parts.image_branch import Backbone, BackboneTokens, PixelColumns
from eosin.models.parts.image_regression import ImageRegression
from eosin.models.parts.regression import RegressionModel
from eosin.models.parts.scaling import InputMap, ValueScale
from eosin.models.ridge import Ridge, RidgeSettings
from eosin.models.triplex.triplex_net import Triplex
from eosin.types import GenePanel


class TriplexSettings(Settings):
    width: int = Field(64, ge=8, description="width of a spot's state")
    n_heads: int = Field(4, ge=1, description="attention heads; must divide the width")
    ratio: float = Field(2.0, gt=0, description="width of the feed-forward layers, in widths")
    n_window_layers: int = Field(1, ge=1, description="blocks over the window of each spot")
    n_global_layers: int = Field(1, ge=1, description="blocks over all spots; the first is followed by positions")
    n_fusion_layers: int = Field(1, ge=1, description="cross-attention blocks that read target and window")
    n_neighbours: int = Field(24, ge=1, description="nearest spots in a window beside the spot itself")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout rate in every block")
    distillation: float = Field(
        0.3, ge=0, le=1, description="how much each view learns from the fused guess instead of from the target"
    )
    residual_positions: bool = Field(True, description="add the lattice convolution to the state; False replaces it")
    clamp: bool = Field(False, description="raise guesses below 0 to 0, in training too, as the release does")
    n_components: int | None = Field(
        128, ge=1, description="principal components of the features; none: all features, standardised"
    )
    standardise: bool = Field(True, description="give every gene mean 0 and sd 1 inside the network")
    base: bool = Field(True, description="predict what a cross-fitted tuned ridge leaves over")
    image_px: int | None = Field(
        None,
        ge=8,
        description="train the target view on tiles of so many pixels a side, which are the last features, as "
        "--encoder stain+pixels?px=64 makes them; none: frozen features",
    )
    image_backbone: str = Field("resnet18", description="convolutional network of timm for `image_px`")
    image_weights: str | None = Field(
        None, description="its .safetensors file to start from; none: at random, with statistics of training tiles"
    )
    image_turns: bool = Field(True, description="flip and turn the tiles of `image_px` at random in training")


@dataclass(frozen=True)
class Distillation:
    """Squared error of the fused guess; each view learns from the target and, by `share`, from the fused guess.

    The gradient also flows from the views into the fused guess.
    """

    share: float

    def __call__(self, guesses: Tensor, target: Tensor) -> Tensor:
        fused, views = guesses[0], guesses[1:]
        to_target = (views - target).square().mean((1, 2)).sum()
        to_fused = (views - fused).square().mean((1, 2)).sum()
        return (fused - target).square().mean() + (1 - self.share) * to_target + self.share * to_fused


def build(settings: TriplexSettings, n_features: int, panel: GenePanel) -> Learned:
    """Put the parts together; no I/O, no device."""
    if settings.width % settings.n_heads:
        raise EosinError(f"{settings.n_heads} heads do not divide width {settings.width}", fix="change one of them")
    px = settings.image_px
    if px is None:
        return _regression(settings, n_features, panel, None)
    columns = PixelColumns.of(n_features, px)
    if columns.n_rest == 0:
        raise EosinError(
            "'triplex' has pixels but no features for the neighbours and the whole slide",
            fix=f'encode with --encoder "stain+pixels?px={px}"',
        )
    own = BackboneTokens(Backbone(settings.image_backbone, px, settings.image_weights), settings.width)
    return ImageRegression(_regression(settings, columns.n_rest, panel, own), columns, turns=settings.image_turns)


def _regression(
    settings: TriplexSettings, n_features: int, panel: GenePanel, own: BackboneTokens | None
) -> RegressionModel:
    inputs = InputMap(n_features, settings.n_components)
    network = Triplex(
        inputs.n_out,
        len(panel),
        width=settings.width,
        n_heads=settings.n_heads,
        ratio=settings.ratio,
        dropout=settings.dropout,
        n_window_layers=settings.n_window_layers,
        n_global_layers=settings.n_global_layers,
        n_fusion_layers=settings.n_fusion_layers,
        n_neighbours=settings.n_neighbours,
        residual_positions=settings.residual_positions,
        start_at_zero=settings.base,  # a correction starts as none
        own=own,
    )
    return RegressionModel(
        network,
        Distillation(settings.distillation),
        inputs,
        ValueScale(len(panel), standardise=settings.standardise),
        Ridge(RidgeSettings.of(), n_features, panel) if settings.base else None,
        clamp=settings.clamp,
    )


MODELS.add(
    "triplex",
    ModelEntry(
        build,
        TriplexSettings,
        "target, neighbour and global views fused by cross-attention",
        "Chung et al., CVPR 2024",
        presets={
            "paper": {
                "model": {
                    "width": 512,
                    "n_heads": 8,
                    "n_window_layers": 2,
                    "n_global_layers": 2,
                    "n_fusion_layers": 2,
                    "dropout": 0.1,
                    "residual_positions": False,
                    "clamp": True,
                    "n_components": None,
                    "standardise": False,
                    "base": False,
                },
                "train": {"lr": 1e-4, "ema": 0.0, "epochs": 100, "patience": 20},
            },
            "small": {"model": {"width": 32, "n_components": 64}},
        },
    ),
)
